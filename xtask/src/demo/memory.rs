//! The anonymous memory of the demo's processes (`RssAnon`), sampled while they run: what a process owns itself, and so
//! what would grow if it copied the table.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Serialize;

/// One process's anonymous memory in bytes.
#[derive(Clone, Debug, Serialize)]
pub struct Memory {
    /// The language.
    pub process: &'static str,
    /// Before it touched the table.
    pub before: u64,
    /// The most that was seen.
    pub peak: u64,
    /// The most that `peak - before` may be, whatever the size of the table.
    pub allowed_growth: u64,
    #[serde(skip)]
    pid: u32,
}

impl Memory {
    /// What was measured of a process.
    #[cfg(test)]
    pub fn new(process: &'static str, before: u64, peak: u64, allowed_growth: u64) -> Memory {
        Memory { process, before, peak, allowed_growth, pid: 0 }
    }

    /// How much it grew.
    pub fn growth(&self) -> u64 {
        self.peak.saturating_sub(self.before)
    }
}

/// Samples until dropped.
pub struct Watch {
    watched: Arc<Mutex<Vec<Memory>>>,
    stop: Arc<AtomicBool>,
    sampler: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts sampling.
    pub fn start() -> Watch {
        let watched = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (theirs, until) = (Arc::clone(&watched), Arc::clone(&stop));
        let sampler = std::thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                for memory in lock(&theirs).iter_mut() {
                    memory.peak = memory.peak.max(anonymous(memory.pid).unwrap_or(0));
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Watch { watched, stop, sampler: Some(sampler) }
    }

    /// Watches a process from now on; what it has now is its `before`.
    pub fn add(&self, process: &'static str, pid: u32, allowed_growth: u64) {
        if let Some(before) = anonymous(pid) {
            lock(&self.watched).push(Memory { process, before, peak: before, allowed_growth, pid });
        }
    }

    /// What was seen so far. Empty on systems without `/proc`.
    pub fn seen(&self) -> Vec<Memory> {
        lock(&self.watched).clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(sampler) = self.sampler.take() {
            let _ = sampler.join();
        }
    }
}

fn lock(watched: &Mutex<Vec<Memory>>) -> MutexGuard<'_, Vec<Memory>> {
    watched.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `RssAnon` of a process in bytes; `None` where the system does not tell.
fn anonymous(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::anonymous;

    #[test]
    fn memory_that_this_process_owns_is_seen() {
        let before = anonymous(std::process::id()).unwrap();
        let owned = vec![1u8; 32 << 20];
        let after = anonymous(std::process::id()).unwrap();
        assert!(after > before + (24 << 20), "{before} {after}");
        drop(owned);
    }
}
