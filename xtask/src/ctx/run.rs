//! Running commands: their output is kept and shown only when they fail (or streamed, when verbose), and the closing
//! lines of test runners are counted.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

use super::{Ctx, human_time};

/// Tests counted from the closing lines of their runners.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Passed.
    pub passed: u64,
    /// Failed.
    pub failed: u64,
    /// Skipped or ignored.
    pub skipped: u64,
}

impl Counts {
    /// The sum of both.
    pub fn plus(self, other: Counts) -> Counts {
        Counts {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }

    /// What this holds more than an earlier one.
    pub fn since(self, earlier: Counts) -> Counts {
        Counts {
            passed: self.passed - earlier.passed,
            failed: self.failed - earlier.failed,
            skipped: self.skipped - earlier.skipped,
        }
    }

    /// The sum of the closing lines of cargo test, pytest, unittest's successors, node:test and plain runners
    /// (`N passed, N failed`) in this output.
    pub fn of_output(output: &str) -> Counts {
        output.lines().map(Counts::of_line).fold(Counts::default(), Counts::plus)
    }

    fn of_line(line: &str) -> Counts {
        let line = strip_ansi(line);
        let line = line.trim();
        let mut counts = Counts::default();
        if let Some((word, number)) = line.trim_start_matches(['#', 'ℹ', ' ']).split_once(' ') {
            // node:test: "# pass 5" (TAP) or "ℹ pass 5" (spec).
            if line.starts_with(['#', 'ℹ']) {
                let number = number.trim().parse().unwrap_or(0);
                match word {
                    "pass" => counts.passed = number,
                    "fail" | "cancelled" => counts.failed = number,
                    "skipped" | "todo" => counts.skipped = number,
                    _ => {}
                }
                return counts;
            }
        }
        let bare = line.trim_matches('=').trim();
        let body = match bare.strip_prefix("test result:") {
            Some(rest) => rest.split_once('.').map_or(rest, |(_, rest)| rest),
            None => bare,
        };
        let mut any = false;
        for piece in body.split([',', ';']) {
            let mut words = piece.split_whitespace();
            let (Some(number), Some(word)) = (words.next(), words.next()) else { continue };
            let Ok(number) = number.parse::<u64>() else {
                // A sentence that merely holds such words is no closing line.
                if any { continue } else { return Counts::default() }
            };
            any = true;
            match word {
                "passed" => counts.passed += number,
                "failed" | "error" | "errors" => counts.failed += number,
                "ignored" | "skipped" => counts.skipped += number,
                _ => {}
            }
        }
        // "3 errors generated" of a compiler is not a test.
        let is_closing = ["passed", "failed", "skipped"].iter().any(|word| body.contains(word));
        if is_closing { counts } else { Counts::default() }
    }
}

fn last_words(line: &[u8]) -> String {
    strip_ansi(&String::from_utf8_lossy(line)).trim().chars().filter(|c| !c.is_control()).collect()
}

fn strip_ansi(line: &str) -> String {
    console::strip_ansi_codes(line).into_owned()
}

impl Ctx {
    /// Runs a command to its end. What it prints is shown if it fails, or as it comes when verbose.
    pub fn run(&self, label: &str, command: &mut Command) -> Result<()> {
        self.output(label, command).map(|_| ())
    }

    /// As [`Ctx::run`], and returns what it printed, both streams in order.
    pub fn output(&self, label: &str, command: &mut Command) -> Result<String> {
        let start = Instant::now();
        let (success, status, output) = self.execute(label, command)?;
        if !success {
            self.show_failure(label, command, &output);
            bail!("{label} failed ({status}){}", reason(&output).map(|why| format!(": {why}")).unwrap_or_default());
        }
        eprintln!("  {label}  {}", human_time(start.elapsed()));
        Ok(output)
    }

    /// Runs a test runner and counts the tests that its closing lines name. A runner that counts nothing is an error
    /// (a wrong filter or a moved folder would otherwise pass), and so is a skipped test in CI.
    pub fn run_tests(&self, label: &str, command: &mut Command) -> Result<Counts> {
        let start = Instant::now();
        let (success, status, output) = self.execute(label, command)?;
        let counts = Counts::of_output(&output);
        self.count(counts);
        if !success {
            self.show_failure(label, command, &output);
            if counts.failed == 0 {
                self.count(Counts { failed: 1, ..Counts::default() });
            }
            bail!("{label} failed ({status})");
        }
        if counts.passed == 0 {
            self.show_failure(label, command, &output);
            bail!("{label} ran no test that this command could count");
        }
        if counts.skipped > 0 && self.is_ci() {
            self.show_failure(label, command, &output);
            bail!("{label} skipped {} tests, and in CI nothing may be left out", counts.skipped);
        }
        let skipped = if counts.skipped > 0 { format!(", {} skipped", counts.skipped) } else { String::new() };
        eprintln!("  {label}  {} tests{skipped}  {}", counts.passed, human_time(start.elapsed()));
        Ok(counts)
    }

    /// Adds tests that were counted by other means.
    pub fn count(&self, counts: Counts) {
        self.counts.set(self.counts.get().plus(counts));
    }

    /// All tests counted so far.
    pub fn counts(&self) -> Counts {
        self.counts.get()
    }

    fn execute(&self, label: &str, command: &mut Command) -> Result<(bool, String, String)> {
        if self.verbose() {
            eprintln!("  {label}: {}", show_command(command));
        }
        let (reader, writer) = std::io::pipe().context("cannot make a pipe")?;
        command.stdin(Stdio::null()).stderr(writer.try_clone()?).stdout(writer);
        let mut child = command.spawn().with_context(|| format!("{label}: cannot start {}", show_command(command)))?;
        // The command keeps the ends of the pipe that it was given: replaced, or reading would never end.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let spinner = self.spinner(label);
        let mut output = Vec::new();
        let mut reader = BufReader::new(reader);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            if self.verbose() {
                std::io::stderr().write_all(&line)?;
            }
            spinner.set_message(last_words(&line));
            output.append(&mut line);
        }
        let status = child.wait()?;
        spinner.finish_and_clear();
        Ok((status.success(), status.to_string(), String::from_utf8_lossy(&output).into_owned()))
    }

    /// What is under way, how long it has taken, and the last line that it printed; on a terminal only.
    fn spinner(&self, label: &str) -> ProgressBar {
        if self.verbose() {
            return ProgressBar::hidden();
        }
        let spinner = ProgressBar::new_spinner().with_prefix(label.to_owned());
        if let Ok(look) = ProgressStyle::with_template("  {spinner:.cyan} {prefix}  {elapsed}  {wide_msg:.dim}") {
            spinner.set_style(look);
        }
        spinner.enable_steady_tick(Duration::from_millis(100));
        spinner
    }

    fn show_failure(&self, label: &str, command: &Command, output: &str) {
        eprintln!("  {label}: {}", show_command(command));
        if !self.verbose() {
            eprint!("{output}");
            if !output.ends_with('\n') {
                eprintln!();
            }
        }
    }
}

/// Why a command of the set-up failed, where its output says one of the two things that are nobody's fault but common.
/// Tools bury them in pages of retries.
fn reason(output: &str) -> Option<&'static str> {
    const FULL: [&str; 5] =
        ["No space left on device", "ENOSPC", "Disk quota exceeded", "os error 28", "not have enough free space"];
    const UNREACHABLE: [&str; 11] = [
        "ENOTFOUND",
        "EAI_AGAIN",
        "ECONNREFUSED",
        "ENETUNREACH",
        "ETIMEDOUT",
        "NewConnectionError",
        "NameResolutionError",
        "Temporary failure resolving",
        "Could not connect to",
        "Could not resolve host",
        "Couldn't connect to server",
    ];
    let says = |words: &[&str]| words.iter().any(|word| output.contains(word));
    if says(&FULL) {
        Some("the disk is full: make room, and run this again")
    } else if says(&UNREACHABLE) {
        Some("a package registry cannot be reached: what is set up once needs the network; run this again with it")
    } else {
        None
    }
}

fn show_command(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line = words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    match command.get_current_dir() {
        Some(folder) => format!("(cd {} && {line})", folder.display()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::{Counts, reason};

    fn counted(output: &str) -> (u64, u64, u64) {
        let counts = Counts::of_output(output);
        (counts.passed, counts.failed, counts.skipped)
    }

    #[test]
    fn closing_lines_of_each_runner_are_counted() {
        assert_eq!(
            counted("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.1s"),
            (12, 0, 1)
        );
        assert_eq!(
            counted("test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out"),
            (2, 1, 0)
        );
        assert_eq!(counted("==== 1 failed, 27 passed, 2 skipped in 3.02s ===="), (27, 1, 2));
        assert_eq!(counted("\u{1b}[32m\u{1b}[1m40 passed\u{1b}[0m\u{1b}[32m in 1.10s\u{1b}[0m"), (40, 0, 0));
        assert_eq!(counted("# tests 9\n# pass 7\n# fail 1\n# cancelled 0\n# skipped 1\n# todo 0"), (7, 1, 1));
        assert_eq!(counted("ℹ pass 3\nℹ fail 0\nℹ skipped 0"), (3, 0, 0));
        assert_eq!(counted("61 passed, 0 failed"), (61, 0, 0));
    }

    #[test]
    fn a_full_disk_and_a_missing_network_are_named() {
        let full = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device";
        assert!(reason(full).unwrap().contains("disk is full"));
        let said = [
            "npm error code EAI_AGAIN\nnpm error syscall getaddrinfo",
            "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(...)'",
            "warning: spurious network error (3 tries remaining): [6] Could not resolve host: a (Could not resolve host: a)",
        ];
        for said in said {
            assert!(reason(said).unwrap().contains("network"), "{said}");
        }
        assert_eq!(reason("error[E0308]: mismatched types"), None);
    }

    #[test]
    fn other_lines_are_not_counted() {
        assert_eq!(counted("3 errors generated."), (0, 0, 0));
        assert_eq!(counted("the 12 passed values are fine, 3 failed"), (0, 0, 0));
        assert_eq!(counted("# Subtest: pass 3"), (0, 0, 0));
        assert_eq!(counted("running 4 tests"), (0, 0, 0));
    }
}
