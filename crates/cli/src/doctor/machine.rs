//! The machine as the checks see it: programs on the path, variables, files of the system, limits. Everything that a
//! check reads comes through here, so that tests can give it another machine.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a program may take to say its version.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where checks look.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// The folders of `PATH`.
    pub path: Vec<PathBuf>,
    /// Environment variables.
    pub variables: BTreeMap<String, OsString>,
    /// What the system's files are found under: `/`, save in tests.
    pub root: PathBuf,
    /// The folder of shared heaps.
    pub folder: PathBuf,
    /// The user.
    #[cfg(unix)]
    pub user: u32,
    /// The limit on this process's address space, `None` without one.
    pub address_space: Option<u64>,
    /// The folder's file system.
    pub room: Option<Room>,
}

/// A file system's room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes; 0 if the system names no bound.
    pub total: u64,
    /// Bytes that this user may still take.
    pub free: u64,
    /// `tmpfs`, `ext4`, ...; empty if it is not known.
    pub kind: String,
}

/// A program that was run.
pub enum Answer {
    /// What it wrote, to standard output and then to standard error.
    Said(String),
    /// Why it said nothing of use.
    Failed(String),
}

impl Machine {
    /// The machine that this program runs on.
    pub fn this() -> Machine {
        let folder = weaveheap_core::Heap::folder();
        let variables: BTreeMap<String, OsString> =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect();
        let path = variables.get("PATH").map(|path| std::env::split_paths(path).collect()).unwrap_or_default();
        // The folder may not be there yet: what is above it then tells of the room.
        let there = folder.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
        Machine {
            path,
            variables,
            root: PathBuf::from("/"),
            #[cfg(unix)]
            user: system::user(),
            address_space: system::address_space(),
            room: system::room(there),
            folder,
        }
    }

    /// A file of the system.
    pub fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The text of a file of the system; `None` if it is not there.
    pub fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.at(path)).ok()
    }

    /// A variable with a value.
    pub fn variable(&self, name: &str) -> Option<PathBuf> {
        self.variables.get(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    /// Every program of this name on the path, in its order.
    pub fn find(&self, program: &str) -> Vec<PathBuf> {
        let name = format!("{program}{}", std::env::consts::EXE_SUFFIX);
        let mut found: Vec<PathBuf> = Vec::new();
        for folder in &self.path {
            let path = folder.join(&name);
            if is_program(&path) && !found.contains(&path) && !self.is_stub(&path) {
                found.push(path);
            }
        }
        found
    }

    /// macOS has programs in `/usr/bin` that ask, in a window, to install the developer tools when they are run.
    fn is_stub(&self, path: &Path) -> bool {
        cfg!(target_os = "macos")
            && path.starts_with("/usr/bin")
            && !matches!(self.run(Path::new("/usr/bin/xcode-select"), &["-p"]), Answer::Said(_))
    }

    /// Runs a program with nothing to read and little time.
    pub fn run(&self, program: &Path, arguments: &[&str]) -> Answer {
        match self.output(program, arguments) {
            Ok(text) => Answer::Said(text),
            Err(error) => Answer::Failed(error.to_string()),
        }
    }

    fn output(&self, program: &Path, arguments: &[&str]) -> io::Result<String> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Ok(path) = std::env::join_paths(&self.path) {
            command.env("PATH", path);
        }
        let start = Instant::now();
        let mut child = loop {
            match command.spawn() {
                // Someone is installing it at this moment.
                Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && start.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                other => break other?,
            }
        };
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if start.elapsed() > PATIENCE {
                child.kill()?;
                child.wait()?;
                return Err(io::Error::other(format!("no answer in {} s", PATIENCE.as_secs())));
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let mut bytes = Vec::new();
        if let Some(mut out) = child.stdout.take() {
            out.read_to_end(&mut bytes)?;
        }
        if let Some(mut out) = child.stderr.take() {
            out.read_to_end(&mut bytes)?;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if status.success() {
            return Ok(text);
        }
        let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("no word of why");
        Err(io::Error::other(format!("{status}: {}", first.trim())))
    }
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}

#[cfg(unix)]
mod system {
    use std::path::Path;

    use super::Room;

    pub fn user() -> u32 {
        rustix::process::getuid().as_raw()
    }

    pub fn address_space() -> Option<u64> {
        rustix::process::getrlimit(rustix::process::Resource::As).current
    }

    pub fn room(path: &Path) -> Option<Room> {
        let found = rustix::fs::statvfs(path).ok()?;
        Some(Room {
            total: found.f_blocks.saturating_mul(found.f_frsize),
            free: found.f_bavail.saturating_mul(found.f_frsize),
            kind: kind(path),
        })
    }

    #[cfg(target_os = "linux")]
    fn kind(path: &Path) -> String {
        let Ok(found) = rustix::fs::statfs(path) else { return String::new() };
        let name = match found.f_type as u64 & 0xffff_ffff {
            0x0102_1994 => "tmpfs",
            0x8584_58f6 => "ramfs",
            0xef53 => "ext4",
            0x5846_5342 => "xfs",
            0x9123_683e => "btrfs",
            0x794c_7630 => "overlay",
            0x2fc1_2fc1 => "zfs",
            0x6969 => "nfs",
            0x0102_1997 => "9p",
            other => return format!("file system {other:#x}"),
        };
        name.into()
    }

    #[cfg(not(target_os = "linux"))]
    fn kind(_: &Path) -> String {
        String::new()
    }
}

#[cfg(not(unix))]
mod system {
    use std::path::Path;

    use super::Room;

    pub fn address_space() -> Option<u64> {
        None
    }

    pub fn room(_: &Path) -> Option<Room> {
        None
    }
}

#[cfg(all(test, unix))]
pub mod fake {
    //! Machines for tests: folders with programs that print what a test wants them to print.

    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A machine in a temporary folder, with nothing on it.
    pub fn machine() -> (tempfile::TempDir, Machine) {
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine {
            path: vec![folder.path().join("bin")],
            root: folder.path().to_path_buf(),
            folder: folder.path().join("dev/shm/heaps"),
            user: rustix::process::getuid().as_raw(),
            ..Machine::default()
        };
        (folder, machine)
    }

    /// A program on the machine's path that prints this text.
    pub fn program(machine: &Machine, name: &str, text: &str) {
        script(&machine.path[0].join(name), &format!("cat <<'EOT'\n{text}\nEOT\n"));
    }

    /// A shell script that may be run. `cat` and `sleep` are the system's own: the machine's path has none.
    pub fn script(path: &Path, body: &str) {
        file(path, &format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{body}"));
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A file, with the folders above it.
    pub fn file(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn programs_are_found_in_the_order_of_the_path() {
        let (_keep, mut machine) = machine();
        machine.path.push(machine.root.join("more"));
        script(&machine.root.join("more/cc"), "");
        script(&machine.root.join("bin/cc"), "");
        file(&machine.root.join("bin/node"), "not to be run");
        assert_eq!(machine.find("cc"), [machine.root.join("bin/cc"), machine.root.join("more/cc")]);
        assert!(machine.find("node").is_empty());
    }

    #[test]
    fn a_program_that_fails_says_why() {
        let (_keep, machine) = machine();
        let path = machine.root.join("bin/python3.12");
        script(&path, "echo 'pyenv: not installed' >&2; exit 127");
        let Answer::Failed(why) = machine.run(&path, &[]) else { panic!() };
        assert!(why.contains("127") && why.contains("pyenv: not installed"), "{why}");
    }
}
