//! Where output goes: pipes that close, colours, locales, versions.

use std::process::Stdio;

use weaveheap_core::BorrowKind;

use crate::common::{Folder, borrow, buffer, ran, region};

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let folder = Folder::new();
    let heap = folder.heap("flights");
    let frames = region(&heap, "frames");
    for _ in 0..2000 {
        buffer(&heap, frames, 64);
    }
    for arguments in
        [&["stats"][..], &["viz", "--all"], &["list"], &["viz", "--json"], &["completions", "bash"], &["--help"]]
    {
        let mut child = folder.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let ran = ran(child.wait_with_output().unwrap());
        assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{arguments:?}");
    }
}

#[test]
fn colours_are_for_terminals_and_for_those_who_ask() {
    let folder = Folder::new();
    let heap = folder.heap("flights");
    let frames = region(&heap, "frames");
    let bytes = buffer(&heap, frames, 64);
    let _lease = borrow(&heap, bytes, BorrowKind::Unique);
    for command in ["list", "stats", "viz", "doctor"] {
        let colored = |arguments: &[&str], no_color: bool| {
            let mut command = folder.command(arguments);
            if no_color {
                command.env("NO_COLOR", "1");
            }
            ran(command.output().unwrap()).out.contains('\u{1b}')
        };
        assert!(!colored(&[command], false), "{command} into a pipe");
        assert!(colored(&[command, "--color", "always"], false), "{command} --color always");
        assert!(!colored(&[command, "--color", "never"], false), "{command} --color never");
        assert!(!colored(&[command], true), "{command} with NO_COLOR");
    }
}

#[test]
fn a_locale_without_drawings_gets_none() {
    let folder = Folder::new();
    let heap = folder.heap("flights");
    buffer(&heap, region(&heap, "frames"), 1 << 20);
    let out = ran(folder.command(&["viz"]).env("LC_ALL", "C").output().unwrap()).out;
    assert!(out.is_ascii() && out.contains("[#"), "{out}");
}

#[test]
fn names_that_steer_the_terminal_are_shown_as_escapes() {
    let folder = Folder::new();
    let heap = folder.heap("flights");
    region(&heap, "evil\u{1b}[2J\nnext");
    for command in ["stats", "viz"] {
        let out = folder.ok(&[command, "flights"]);
        assert!(out.contains("evil\\u{1b}[2J\\nnext") && !out.contains('\u{1b}'), "{out}");
    }
}

#[test]
fn the_version_names_the_layout() {
    let folder = Folder::new();
    let wanted =
        format!("weaveheap {} (segment layout {})\n", env!("CARGO_PKG_VERSION"), weaveheap_core::LAYOUT_VERSION);
    assert_eq!(folder.ok(&["--version"]), wanted);
}
