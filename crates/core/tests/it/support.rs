//! What the integration tests share: places of their own, and second processes that are this binary again.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use weaveheap_core::{ErrorCode, Heap, HeapOptions};

/// The root of the checkout.
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).expect("the crate is two folders deep").to_owned()
}

/// 24 characters that no other test has.
pub fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = std::time::UNIX_EPOCH.elapsed().expect("a clock after 1970").as_nanos() as u64;
    let count = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("t{:07x}{:04x}{:012x}", std::process::id() & 0xfff_ffff, count & 0xffff, now & 0xffff_ffff_ffff)
}

/// A folder that is removed with all that is in it.
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new() -> TempDir {
        let path = std::env::temp_dir().join(format!("weaveheap-it-{}", unique()));
        std::fs::create_dir(&path).expect("a folder of our own");
        TempDir(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A shared heap in a file that goes with it.
pub struct SharedHeap {
    pub heap: Heap,
    pub path: PathBuf,
    _folder: TempDir,
}

impl SharedHeap {
    pub fn new() -> SharedHeap {
        SharedHeap::with(Heap::options().limit(1 << 30))
    }

    pub fn with(options: HeapOptions) -> SharedHeap {
        let folder = TempDir::new();
        let path = folder.join("heap");
        // SAFETY: the tests share the heap with processes of their own, which follow the protocol.
        let heap = unsafe { options.create_path(&path) }.expect("a shared heap");
        SharedHeap { heap, path, _folder: folder }
    }
}

/// Another attachment to a heap in a file.
pub fn open(path: &Path) -> Heap {
    // SAFETY: as for `SharedHeap::with`.
    unsafe { Heap::options().open_path(path) }.expect("the heap opens")
}

/// The code of an error that must have come.
pub fn code<T>(result: weaveheap_core::Result<T>) -> ErrorCode {
    match result {
        Ok(_) => panic!("an error is expected, and it succeeded"),
        Err(error) => error.code(),
    }
}

/// Waits until this is so.
pub fn wait_for(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < Duration::from_secs(30), "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A second process: this binary again, in a role of `process::roles`. It says lines, is told lines, and is killed when
/// dropped.
pub struct Second {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

const SAYS: &str = "> ";

impl Second {
    pub fn start(role: &str, arguments: &[&str]) -> Second {
        Second::start_in(role, arguments, &[])
    }

    /// With environment variables.
    pub fn start_in(role: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Second {
        let mut command = Command::new(std::env::current_exe().expect("this binary"));
        command.args(["--exact", "roles::second_process", "--nocapture", "--test-threads=1"]);
        command.env("WEAVEHEAP_TEST_ROLE", role).env("WEAVEHEAP_TEST_ARGUMENTS", arguments.join("\n"));
        command.envs(environment.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("a second process");
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        Second { child, stdin, stdout }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it says.
    pub fn hear(&mut self) -> String {
        said(&mut self.stdout).expect("the second process ended without a word")
    }

    /// As `hear`; after this time it is killed, and that it did not answer is told.
    pub fn hear_within(&mut self, time: Duration) -> Result<String, String> {
        let (done, expired) = std::sync::mpsc::channel::<()>();
        let child = &mut self.child;
        let stdout = &mut self.stdout;
        std::thread::scope(|scope| {
            let watch = scope.spawn(move || {
                let late = expired.recv_timeout(time) == Err(std::sync::mpsc::RecvTimeoutError::Timeout);
                if late {
                    let _ = child.kill();
                }
                late
            });
            let heard = said(stdout);
            drop(done);
            match (heard, watch.join().expect("no panic")) {
                (Some(line), _) => Ok(line),
                (None, true) => Err("hangs".to_owned()),
                (None, false) => Err("has crashed".to_owned()),
            }
        })
    }

    pub fn tell(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("piped");
        writeln!(stdin, "{line}").expect("the second process listens");
    }

    /// Tells a line and hears the answer.
    pub fn ask(&mut self, line: &str) -> String {
        self.tell(line);
        self.hear()
    }

    /// Kills it, at whatever instruction it is.
    pub fn kill(mut self) {
        self.end();
    }

    /// Waits for its end; it must have ended well.
    pub fn finish(mut self) {
        drop(self.stdin.take());
        let status = self.child.wait().expect("its status");
        assert!(status.success(), "the second process ended with {status}");
    }

    /// Waits for its end, however that is.
    pub fn status(mut self) -> std::process::ExitStatus {
        drop(self.stdin.take());
        self.child.wait().expect("its status")
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        self.end();
    }
}

/// The next line that was said; none when the other has gone.
fn said(stdout: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    loop {
        line.clear();
        if stdout.read_line(&mut line).expect("its output") == 0 {
            return None;
        }
        // The harness may have begun a line of its own.
        if let Some((_, said)) = line.trim_end_matches('\n').split_once(SAYS) {
            return Some(said.to_owned());
        }
    }
}

/// Says a line to the process that started this one.
pub fn say(line: &str) {
    println!("{SAYS}{line}");
    std::io::stdout().flush().expect("somebody listens");
}

/// The next line that this process is told; none when the other has gone.
pub fn told() -> Option<String> {
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line).expect("input");
    (read > 0).then(|| line.trim_end().to_owned())
}
