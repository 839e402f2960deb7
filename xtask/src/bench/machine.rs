//! The machine that is measured on: what it is, and how quiet.

use std::fmt;

use console::style;

/// How many programs want a processor, over the last minute.
#[derive(Clone, Copy)]
pub struct Load(Option<f64>);

/// Above this, others are at work.
const QUIET: f64 = 0.7;

impl Load {
    /// The load of the last minute, where the system tells.
    pub fn now() -> Load {
        let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Load(text.split_whitespace().next().and_then(|word| word.parse().ok()))
    }

    /// A warning when the machine is not quiet.
    pub fn warn(self) {
        if self.0.is_some_and(|load| load > QUIET) {
            let text = format!(
                "The machine is not quiet (load {self}). Rounds in which another program ran are taken again, and ratios \
                 hold better than the figures themselves, but measure again when it is."
            );
            eprintln!("  {}", style(text).yellow());
        }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(load) => write!(f, "{load:.2}"),
            None => f.write_str("unknown"),
        }
    }
}

/// The processor and how many there are.
pub fn describe() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")).and_then(|rest| rest.split_once(':'));
    let model = model.map_or(std::env::consts::ARCH, |(_, name)| name.trim());
    format!("{model}, {} processors, {}", processors(), std::env::consts::OS)
}

/// How many threads can run at once.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
