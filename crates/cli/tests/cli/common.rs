//! A folder of heaps for each test, the program run on it, and child processes that hold borrows.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use weaveheap_core::{BorrowKind, Handle, Heap, HeapOptions, Init, Lease, RegionOptions};

/// A folder of names that belongs to one test.
pub struct Folder {
    root: tempfile::TempDir,
}

/// What a run of the program gave.
#[derive(Debug)]
pub struct Ran {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Folder {
    pub fn new() -> Folder {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("heaps")).unwrap();
        std::fs::set_permissions(root.path().join("heaps"), std::fs::Permissions::from_mode(0o700)).unwrap();
        Folder { root }
    }

    /// The folder of names.
    pub fn path(&self) -> PathBuf {
        self.root.path().join("heaps")
    }

    /// A folder beside it, for whatever is no heap.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// A file in the folder of names.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// A shared heap in the folder. By path, because the folder of names is one for a whole process.
    pub fn heap(&self, name: &str) -> Heap {
        let options = HeapOptions::new().limit(64 << 20).label("cli test");
        // SAFETY: the tests touch bytes only through leases, in this process and in its children.
        unsafe { options.create_path(&self.file(name)) }.unwrap()
    }

    /// The program, to be run on this folder; no terminal, no colours, drawings allowed.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weaveheap"));
        command.args(arguments).env("WEAVEHEAP_DIR", self.path()).stdin(Stdio::null());
        command.env("LC_ALL", "C.UTF-8").env("TERM", "xterm-256color");
        for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "WEAVEHEAP_INSPECT", "COLUMNS"] {
            command.env_remove(name);
        }
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        ran(self.command(arguments).output().unwrap())
    }

    /// Runs a command that must succeed and be silent on standard error.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{arguments:?}: {ran:?}");
        ran.out
    }

    /// Runs a command that must succeed, and reads its JSON.
    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let out = self.ok(arguments);
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{arguments:?}: {error}\n{out}"))
    }

    /// Runs a command that must fail with this status and one line on standard error, and gives the line.
    pub fn fails(&self, status: i32, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.status, status, "{arguments:?}: {ran:?}");
        assert_eq!(ran.err.lines().count(), 1, "{arguments:?}: {ran:?}");
        assert!(ran.err.starts_with("weaveheap: ") && !ran.err.contains("panicked"), "{arguments:?}: {ran:?}");
        assert_eq!(ran.out, "", "{arguments:?}");
        ran.err.trim_end().to_string()
    }
}

pub fn ran(output: Output) -> Ran {
    Ran {
        status: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A region with this name.
pub fn region(heap: &Heap, name: &str) -> Handle {
    heap.create_region(&RegionOptions::new().name(name)).unwrap()
}

/// A buffer of this length.
pub fn buffer(heap: &Heap, region: Handle, length: u64) -> Handle {
    heap.alloc(region, length, 64, Init::Zeroed).unwrap()
}

pub fn borrow(heap: &Heap, buffer: Handle, kind: BorrowKind) -> Lease {
    heap.borrow(buffer, kind).unwrap()
}

/// The cells of the first line that begins with this word: columns are at least two blanks apart.
pub fn row(text: &str, first: &str) -> Vec<String> {
    let line = text
        .lines()
        .find(|line| line.split_whitespace().next() == Some(first))
        .unwrap_or_else(|| panic!("no line begins with {first}:\n{text}"));
    line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(String::from).collect()
}

/// Says to the child which heap is meant, and that it is the child.
const CHILD: &str = "WEAVEHEAP_CLI_TEST_CHILD";

/// A test that needs another process runs itself once more: there this does the child's part and does not return.
pub fn as_child(part: impl FnOnce(&Path)) {
    let Some(path) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    part(&path);
    std::fs::write(sign(&path), "").unwrap();
    std::thread::sleep(Duration::from_secs(300));
    std::process::exit(1);
}

/// The file that says that the child of a test on this heap has done its part; beside the folder of names.
fn sign(heap: &Path) -> PathBuf {
    heap.parent().unwrap().with_file_name("ready")
}

/// The child process of a test; killed when dropped.
pub struct Companion {
    child: Child,
}

impl Companion {
    /// Starts this test again as a child, and waits until it has done its part on the heap in this file.
    pub fn start(test: &str, heap: &Path) -> Companion {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(CHILD, heap)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let companion = Companion { child };
        wait_for("the child", || sign(heap).exists());
        companion
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it at once, whatever it holds.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Companion {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until something is so, and fails if it never is.
pub fn wait_for(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < Duration::from_secs(120), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
