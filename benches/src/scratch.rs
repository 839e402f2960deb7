//! A folder in shared memory for the heaps of a run, and other processes of this program.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use weaveheap_core::{Heap, HeapOptions};

const PREFIX: &str = "weaveheap-bench-";

/// A folder of this process, removed with all that is in it. What a killed run left goes when the next one begins.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Beside the folder of shared heaps, so on the same file system.
    pub fn new() -> Result<Scratch> {
        let folder = Heap::folder();
        let beside = folder.parent().context("the folder of heaps is no root")?;
        for entry in std::fs::read_dir(beside).with_context(|| format!("cannot read {}", beside.display()))?.flatten() {
            let name = entry.file_name();
            let Some(process) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
            if !process.parse().is_ok_and(lives) {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
        let path = beside.join(format!("{PREFIX}{}", std::process::id()));
        std::fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Scratch(path))
    }

    /// A path in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A new shared heap.
    pub fn heap(&self, name: &str) -> Result<(Heap, PathBuf)> {
        let path = self.join(name);
        // SAFETY: only this program knows the file, and it keeps to the borrow rules.
        let heap = unsafe { HeapOptions::new().create_path(&path) }?;
        Ok((heap, path))
    }

    /// An error if the file system or the memory has not this much room.
    pub fn room(&self, bytes: u64) -> Result<()> {
        let path = std::ffi::CString::new(self.0.as_os_str().as_encoded_bytes())?;
        let mut stat = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
        // SAFETY: `path` is a C string, `stat` a place for the answer, and zeros are a valid `statvfs`.
        let stat = unsafe {
            if libc::statvfs(path.as_ptr(), stat.as_mut_ptr()) != 0 {
                bail!("the room in {} is unknown", self.0.display());
            }
            stat.assume_init()
        };
        #[allow(clippy::unnecessary_cast, reason = "the fields have other types on other systems")]
        let free = stat.f_bavail as u64 * stat.f_frsize as u64;
        let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let available = memory.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
        let available = available.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        let room = free.min(available.map_or(u64::MAX, |kib| kib << 10));
        if room < bytes {
            bail!("it needs {} MiB of shared memory, and there are {} MiB", bytes >> 20, room >> 20);
        }
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn lives(process: i32) -> bool {
    // SAFETY: signal 0 asks only whether the process is there.
    unsafe { libc::kill(process, 0) == 0 }
}

/// Attaches to a heap of this run.
pub fn open(path: &Path) -> weaveheap_core::Result<Heap> {
    // SAFETY: only this program knows the file, and it keeps to the borrow rules.
    unsafe { HeapOptions::new().open_path(path) }
}

/// Another process of this program, told and heard a line at a time, and killed when dropped.
pub struct Second {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Second {
    /// Starts one in a role.
    pub fn start(role: &str, arguments: &[&std::ffi::OsStr]) -> Result<Second> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("role").arg(role).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start the process {role}"))?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("no output")?);
        Ok(Second { child, input, output })
    }

    /// The next line that it says.
    pub fn hear(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            bail!("the other process has ended");
        }
        Ok(line.trim_end().to_owned())
    }

    /// Tells it something.
    pub fn tell(&mut self, line: &str) -> Result<()> {
        writeln!(self.input.as_mut().context("it was finished")?, "{line}").context("the other process does not listen")
    }

    /// Ends its input, and waits until it has ended of its own accord.
    pub fn finish(mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }

    /// Kills it, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        self.kill();
    }
}
