//! The processes of the demo: started, told what to do a line at a time, heard through JSON lines, and ended whatever
//! happens. They are in groups of their own, so that Ctrl-C reaches this program alone, which then cleans up.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, Once};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;

use super::setup::Programs;

/// How long a process may take for one step before the demo gives up on it.
const PATIENCE: Duration = Duration::from_secs(600);

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C and termination make the step that is under way fail, so that everything is cleaned up.
pub fn catch_interrupts() -> Result<()> {
    static ONCE: Once = Once::new();
    let mut result = Ok(());
    ONCE.call_once(|| result = ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed)));
    result.context("cannot catch Ctrl-C")
}

/// One process of the demo.
pub struct Actor {
    name: &'static str,
    child: std::process::Child,
    input: Option<ChildStdin>,
    events: Receiver<Value>,
    complaints: Arc<Mutex<String>>,
    listener: Option<JoinHandle<()>>,
}

impl Actor {
    /// Starts a process.
    pub fn start(name: &'static str, command: &mut Command) -> Result<Actor> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        own_group(command);
        let mut child = command.spawn().with_context(|| format!("cannot start the {name} process"))?;
        let input = child.stdin.take();
        let output = child.stdout.take().context("no output")?;
        let mut errors = child.stderr.take().context("no error output")?;
        let (sender, events) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if sender.send(event).is_err() {
                    break;
                }
            }
        });
        let complaints = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&complaints);
        let listener = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = errors.read_to_end(&mut bytes);
            if let Ok(mut heard) = heard.lock() {
                *heard = String::from_utf8_lossy(&bytes).into_owned();
            }
        });
        Ok(Actor { name, child, input, events, complaints, listener: Some(listener) })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Gives it a command.
    pub fn tell(&mut self, command: &str) -> Result<()> {
        let name = self.name;
        let input = self.input.as_mut().with_context(|| format!("the {name} process takes no commands any more"))?;
        writeln!(input, "{command}")
            .and_then(|()| input.flush())
            .with_context(|| format!("the {name} process does not listen"))
    }

    /// Gives it a command, and waits for the event that answers it.
    pub fn ask(&mut self, command: &str, event: &str) -> Result<Value> {
        self.tell(command)?;
        self.hear(event)
    }

    /// Waits for an event.
    pub fn hear(&mut self, event: &str) -> Result<Value> {
        self.hear_with(event, |_| ())
    }

    /// Waits for an event; others that come before it go to `meanwhile`.
    pub fn hear_with(&mut self, event: &str, mut meanwhile: impl FnMut(&Value)) -> Result<Value> {
        let start = Instant::now();
        loop {
            if INTERRUPTED.load(Ordering::Relaxed) {
                bail!("interrupted");
            }
            match self.events.recv_timeout(Duration::from_millis(50)) {
                Ok(heard) if heard["event"] == event => return Ok(heard),
                Ok(heard) => meanwhile(&heard),
                Err(RecvTimeoutError::Timeout) if start.elapsed() < PATIENCE => {}
                Err(RecvTimeoutError::Timeout) => {
                    bail!("the {} process did not report {event:?} in {PATIENCE:?}", self.name)
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.death(event)),
            }
        }
    }

    /// Waits for it to end, and sees to it that it ended well.
    pub fn finish(mut self) -> Result<()> {
        self.input = None;
        let start = Instant::now();
        while start.elapsed() < PATIENCE && !INTERRUPTED.load(Ordering::Relaxed) {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(_) => return Err(self.death("its end")),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
        bail!("the {} process did not end", self.name)
    }

    fn death(&mut self, awaited: &str) -> anyhow::Error {
        let status = self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
        let complaints = self.complaints.lock().map(|text| text.trim().to_owned()).unwrap_or_default();
        let said = if complaints.is_empty() { String::new() } else { format!(". It said:\n{complaints}") };
        anyhow!("the {} process ended ({status}) before {awaited:?}{said}", self.name)
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Puts a command into a process group of its own, where the terminal's Ctrl-C does not reach it.
pub fn own_group(command: &mut Command) {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    #[cfg(not(unix))]
    let _ = command;
}

/// The heap's file: removed when this is dropped, if it is still there.
pub struct HeapFile {
    weaveheap: PathBuf,
    name: String,
}

impl HeapFile {
    /// Watches over the file of the heap with this name.
    pub fn new(programs: &Programs, name: &str) -> HeapFile {
        HeapFile { weaveheap: programs.weaveheap.clone(), name: name.to_owned() }
    }
}

impl Drop for HeapFile {
    fn drop(&mut self) {
        // NotFound is the usual case: the producer removes its heap itself when it ends well.
        let _ = Command::new(&self.weaveheap)
            .args(["remove", &self.name])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}
