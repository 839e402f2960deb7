//! Second processes of the tests: this binary again, in a role of `roles.rs`.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// A second process: this binary again, in a role of `roles.rs`. It says lines, is told lines, and is killed when
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
