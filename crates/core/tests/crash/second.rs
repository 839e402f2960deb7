//! Second processes: this binary again, in a role.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

/// A second process. It says lines and is told lines; it is killed when dropped.
pub struct Second {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

const SAYS: &str = "> ";

impl Second {
    pub fn start(role: &str, arguments: &[&str]) -> Second {
        Second::start_under(&[], role, arguments)
    }

    /// Started by another command.
    pub fn start_under(wrapper: &[&str], role: &str, arguments: &[&str]) -> Second {
        let binary = std::env::current_exe().expect("this binary");
        let mut command = match wrapper {
            [] => Command::new(binary),
            [program, options @ ..] => {
                let mut command = Command::new(program);
                command.args(options).arg(binary);
                command
            }
        };
        command.args(["--exact", "second::second_process", "--nocapture", "--test-threads=1"]);
        command.env("WEAVEHEAP_TEST_ROLE", role).env("WEAVEHEAP_TEST_ARGUMENTS", arguments.join("\n"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("a second process");
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        Second { child, stdin, stdout }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it says; none when it has ended.
    pub fn hear(&mut self) -> Option<String> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.stdout.read_line(&mut line).expect("its output") == 0 {
                return None;
            }
            // The harness may have begun a line of its own.
            if let Some((_, said)) = line.trim_end_matches('\n').split_once(SAYS) {
                return Some(said.to_owned());
            }
        }
    }

    pub fn tell(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().expect("piped"), "{line}").expect("the second process listens");
    }

    /// Tells a line and hears the answer.
    pub fn ask(&mut self, line: &str) -> String {
        self.tell(line);
        self.hear().expect("the second process answers")
    }

    /// Kills it, at whatever instruction it is. It must not have ended by itself.
    pub fn kill(mut self) {
        let ended = self.child.try_wait().expect("its status");
        assert!(ended.is_none(), "a second process ended by itself, with {ended:?} and {:?}", self.hear());
    }

    /// All that it says until its end, and how it ended.
    pub fn into_its_end(mut self) -> (Vec<String>, ExitStatus) {
        drop(self.stdin.take());
        let said = std::iter::from_fn(|| self.hear()).collect();
        (said, self.child.wait().expect("its status"))
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Says a line to the process that started this one.
pub fn say(line: &str) {
    // One system call, so that a death afterwards leaves the whole line.
    let line = format!("{SAYS}{line}\n");
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).expect("somebody listens");
}

/// The next line that this process is told; none when the other has gone.
pub fn told() -> Option<String> {
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line).expect("input");
    (read > 0).then(|| line.trim_end().to_owned())
}

/// Started by the tests as a process of its own. In an ordinary run it shows that a role that nobody knows fails, so
/// that no test can pass by talking to a process that does nothing.
#[test]
fn second_process() {
    let Ok(role) = std::env::var("WEAVEHEAP_TEST_ROLE") else {
        let (said, status) = Second::start("no such role", &[]).into_its_end();
        return assert_eq!((said.len(), status.code()), (0, Some(2)));
    };
    let arguments = std::env::var("WEAVEHEAP_TEST_ARGUMENTS").unwrap_or_default();
    let arguments: Vec<&str> = arguments.lines().collect();
    match role.as_str() {
        "act" => crate::actor::act(&arguments),
        "do_and_die" => crate::actor::do_and_die(&arguments),
        "recover" => crate::actor::recover(&arguments),
        "work" => crate::random::work(&arguments),
        "hold" => crate::identity::hold(&arguments),
        "idle" => crate::identity::idle(),
        "meet" => crate::identity::meets(&arguments),
        "reuse" => crate::identity::reuse(&arguments),
        "middle" => crate::identity::middle(&arguments),
        "namesake" => crate::identity::namesake(&arguments),
        "same_number" => crate::identity::same_number(&arguments),
        "create" => crate::create::create(&arguments),
        "verify" => crate::books::verify(),
        _ => std::process::exit(2),
    }
    std::process::exit(0);
}
