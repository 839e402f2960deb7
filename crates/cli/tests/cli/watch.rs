//! `--watch`: on a terminal, drawn over itself; elsewhere, one after the other; ended by Ctrl-C in both.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use weaveheap_core::BorrowKind;

use crate::common::{Folder, borrow, buffer, region, wait_for};

fn interrupt(child: &Child) {
    rustix::process::kill_process(Pid::from_child(child), Signal::INT).unwrap();
}

#[test]
fn into_a_pipe_it_prints_line_after_line_until_interrupted() {
    let folder = Folder::new();
    let heap = folder.heap("flights");
    let frames = region(&heap, "frames");
    let mut child = folder
        .command(&["stats", "flights", "--watch", "0.05", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut allocations = || -> u64 {
        let line = lines.next().unwrap().unwrap();
        serde_json::from_str::<serde_json::Value>(&line).unwrap()["counters"]["allocations"].as_u64().unwrap()
    };
    assert_eq!(allocations(), 0);
    buffer(&heap, frames, 64);
    let start = Instant::now();
    while allocations() != 1 {
        assert!(start.elapsed() < Duration::from_secs(120), "the new buffer never showed");
    }
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn it_ends_with_a_reason_when_its_heap_is_gone() {
    let folder = Folder::new();
    let heap = folder.heap("flights");
    let mut child = folder
        .command(&["stats", "flights", "-w", "0.05"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    assert!(line.starts_with("flights  shared heap"), "{line}");
    folder.ok(&["remove", "flights"]);
    let rest = std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
    let output = child.wait_with_output().unwrap();
    rest.join().unwrap().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("NotFound") && said.lines().count() == 1, "{said}");
    drop(heap);
}

#[test]
fn it_ends_silently_when_its_reader_leaves() {
    let folder = Folder::new();
    let _heap = folder.heap("flights");
    let mut child =
        folder.command(&["stats", "-w", "0.05"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

/// A terminal of this size, and everything that was written to it so far.
struct Terminal {
    inside: OwnedFd,
    keys: File,
    written: mpsc::Receiver<Vec<u8>>,
    text: String,
}

impl Terminal {
    fn new(rows: u16, columns: u16) -> Terminal {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let outside = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&outside).unwrap();
        unlockpt(&outside).unwrap();
        let name = ptsname(&outside, Vec::new()).unwrap();
        let inside: OwnedFd = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap().into();
        let size = rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&inside, size).unwrap();
        let keys = File::from(outside);
        let mut reader = keys.try_clone().unwrap();
        let (send, written) = mpsc::channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The terminal reports an error instead of an end once its last user has closed it.
            while let Ok(n @ 1..) = reader.read(&mut bytes) {
                if send.send(bytes[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        Terminal { inside, keys, written, text: String::new() }
    }

    fn spawn(&self, folder: &Folder, arguments: &[&str]) -> Child {
        let mut command = folder.command(arguments);
        command.stdin(self.inside.try_clone().unwrap());
        command.stdout(self.inside.try_clone().unwrap());
        command.stderr(self.inside.try_clone().unwrap());
        command.spawn().unwrap()
    }

    fn wait_until(&mut self, what: &str, so: impl Fn(&str) -> bool) {
        wait_for(what, || {
            for bytes in self.written.try_iter() {
                self.text.push_str(&String::from_utf8_lossy(&bytes));
            }
            so(&self.text)
        });
    }
}

#[test]
fn on_a_terminal_it_draws_over_itself_and_gives_the_terminal_back() {
    let folder = Folder::new();
    let heap = folder.heap("flights");
    let frames = region(&heap, "frames");
    let bytes = buffer(&heap, frames, 64);
    let mut terminal = Terminal::new(20, 60);
    let mut child = terminal.spawn(&folder, &["stats", "flights", "--watch", "0.05"]);
    terminal.wait_until("three frames", |text| text.matches("\x1b[?2026h").count() >= 3);
    let _lease = borrow(&heap, bytes, BorrowKind::Unique);
    terminal.wait_until("the new borrow", |text| text.contains("1 borrow"));
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    terminal.wait_until("the last state on the first screen", |text| {
        text.rsplit_once("\x1b[?1049l").is_some_and(|(_, after)| after.contains("bytes copied"))
    });
    let text = &terminal.text;
    assert!(text.starts_with("\x1b[?1049h"), "it begins on the second screen");
    assert!(!text.contains("\x1b[2J"), "a cleared screen flickers");
    assert!(text.contains("\x1b[?25h"), "the cursor is given back");
    assert!(text.contains("more lines below"), "twenty rows are too few");
    let (during, _) = text.rsplit_once("\x1b[?1049l").unwrap();
    for frame in during.split("\x1b[?2026h").skip(1) {
        assert_eq!(frame.matches("\r\n").count(), 19, "a frame has the terminal's rows: {frame:?}");
    }
    terminal.keys.flush().unwrap();
}

#[test]
fn a_terminal_gets_colours_and_its_own_width() {
    let folder = Folder::new();
    let heap = folder.heap("flights");
    let bytes = buffer(&heap, region(&heap, "frames"), 1 << 20);
    let _lease = borrow(&heap, bytes, BorrowKind::Unique);
    let mut terminal = Terminal::new(50, 44);
    let mut child = terminal.spawn(&folder, &["viz", "flights"]);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    terminal.wait_until("the holder", |text| text.contains("thread"));
    assert!(terminal.text.contains("\x1b[33m"), "the unique borrow is yellow: {:?}", terminal.text);
    let plain = anstream::adapter::strip_str(&terminal.text).to_string();
    let bar = plain.lines().find(|line| line.contains('▕')).unwrap();
    assert_eq!(bar.trim_end().chars().count(), 44, "{bar}");
    assert!(plain.lines().all(|line| unicode_width::UnicodeWidthStr::width(line.trim_end()) <= 44), "{plain}");
}
