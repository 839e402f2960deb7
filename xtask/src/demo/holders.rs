//! The holders that the command line shows in step 4: by language, process and age, compared with what the processes
//! themselves reported of when their borrows began.

use anyhow::{Result, ensure};

/// What an age may be short of: ages are cut to tenths of a second, and the ledger's clock ticks in hundredths.
const COARSE: f64 = 0.15;
/// What an age may be too long by: the ledger's ticks.
const TICKS: f64 = 0.05;

/// A borrow that lives, by what its process reported. Times are nanoseconds on the clock that all processes share.
#[derive(Clone, Copy, Debug)]
pub struct Borrow {
    /// The language.
    pub language: &'static str,
    /// The process.
    pub pid: u32,
    /// It began at this time or later,
    pub after: f64,
    /// and at this time or earlier.
    pub before: f64,
}

impl Borrow {
    /// An error unless the output of `weaveheap COMMAND`, written between two times, shows this borrow by language,
    /// process, and an age that it can have.
    pub fn is_in(&self, command: &str, output: &str, written: [f64; 2]) -> Result<()> {
        let [least, most] = [written[0] - self.before, written[1] - self.after].map(|nanoseconds| nanoseconds / 1e9);
        let shown = ages(output, self.language, self.pid);
        ensure!(
            shown.iter().any(|age| (least - COARSE.max(age.unit)..=most + TICKS).contains(&age.seconds)),
            "`weaveheap {command}` does not show the borrow of {}, process {}, with its age of {least:.1} to {most:.1} s, \
             but {shown:?}",
            self.language,
            self.pid
        );
        Ok(())
    }
}

/// An age as it was printed.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Age {
    seconds: f64,
    /// It is cut to whole ones of these.
    unit: f64,
}

/// The ages in the lines that name this language and process. Where a line is too narrow for its age, that is in the
/// next.
fn ages(output: &str, language: &str, pid: u32) -> Vec<Age> {
    let pid = pid.to_string();
    let lines: Vec<&str> = output.lines().collect();
    let mut found = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.contains(&language) && words.contains(&pid.as_str()) {
            let ages = |line: &str| line.split("  ").filter_map(|cell| age(cell.trim())).collect::<Vec<_>>();
            let here = ages(line);
            found.extend(if here.is_empty() { ages(lines.get(number + 1).unwrap_or(&"")) } else { here });
        }
    }
    found
}

/// `3.1 s`, `2 m 05 s`, `1 h 02 m`: two units at most, the last one cut.
fn age(text: &str) -> Option<Age> {
    let words: Vec<&str> = text.split(' ').collect();
    let mut age = Age { seconds: 0.0, unit: 0.0 };
    for pair in words.chunks(2) {
        let [number, unit] = pair else { return None };
        age.unit = match *unit {
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        age.seconds += number.parse::<f64>().ok()? * age.unit;
    }
    if text.contains('.') {
        age.unit = 0.1;
    }
    Some(age)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "holders\n  python   4242    4250    7.5 s  shared  b17:2043\n  node  4243  4243\n      2 m 05 s  shared\n  \
                          attachments\n  python     4242  2  demo reader\n";

    fn shown(language: &'static str, pid: u32, seconds: f64) -> bool {
        let began = 5e9;
        let borrow = Borrow { language, pid, after: began, before: began + 1e7 };
        let now = began + seconds * 1e9;
        borrow.is_in("stats", OUTPUT, [now, now + 2e7]).is_ok()
    }

    #[test]
    fn a_borrow_is_shown_with_the_age_that_it_has() {
        assert!(shown("python", 4242, 7.51) && shown("python", 4242, 7.6) && shown("node", 4243, 125.7));
        for (language, pid, seconds) in [
            ("python", 4242, 7.3),
            ("python", 4242, 8.0),
            ("node", 4243, 120.0),
            ("node", 4242, 7.5),
            ("rust", 4242, 7.5),
        ] {
            assert!(!shown(language, pid, seconds), "{language} {pid} {seconds}");
        }
    }

    #[test]
    fn only_ages_are_read_as_ages() {
        let seconds = |text| age(text).map(|age| age.seconds);
        assert_eq!(
            [seconds("0.4 s"), seconds("3 m 20 s"), seconds("2 h 05 m")],
            [Some(0.4), Some(200.0), Some(7500.0)]
        );
        for other in ["", "s", "7.5", "process 7", "64 MiB", "7.5 s shared", "NaN"] {
            assert_eq!(age(other), None, "{other}");
        }
    }
}
