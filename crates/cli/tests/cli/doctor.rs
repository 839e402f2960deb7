//! `doctor` as a whole, on this machine with another path, folder or limit. Single checks have their tests beside them.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use weaveheap_core::HeapOptions;

use crate::common::{Companion, Folder, Ran, as_child, ran};

/// Runs `doctor --json` with a path of its own, and gives the status and the report.
fn doctor(folder: &Folder, path: &Path, arguments: &[&str]) -> (i32, Value) {
    let mut command = folder.command(&[&["doctor", "--json"], arguments].concat());
    let Ran { status, out, err } = ran(command.env("PATH", path).output().unwrap());
    assert_eq!(err, "");
    (status, serde_json::from_str(&out).unwrap())
}

fn finding<'a>(report: &'a Value, name: &str) -> &'a Value {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().find(|finding| finding["name"] == name).unwrap_or_else(|| panic!("{name}: {report}"))
}

fn program(folder: &Path, name: &str, said: &str) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join(name), format!("#!/bin/sh\necho '{said}'\n")).unwrap();
    std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn tools_are_found_too_old_or_absent_and_needed_only_when_asked_for() {
    let folder = Folder::new();
    let path = folder.beside("bin");
    program(&path, "node", "v22.1.0");
    program(&path, "go", "go version go1.17 linux/amd64");
    let (status, report) = doctor(&folder, &path, &[]);
    assert_eq!((status, &report["ready"]), (0, &Value::Bool(true)), "{report}");
    assert_eq!(
        (&finding(&report, "Node")["state"], &finding(&report, "Node")["found"]),
        (&"found".into(), &"22.1.0".into())
    );
    assert_eq!(finding(&report, "Go")["state"], "too_old");
    assert_eq!(finding(&report, "Python")["state"], "absent");
    assert!(finding(&report, "Python")["advice"].as_str().unwrap().contains("3.11"));

    assert_eq!(doctor(&folder, &path, &["--need", "node"]).0, 0);
    let (status, report) = doctor(&folder, &path, &["--need", "node,go", "--need", "python"]);
    assert_eq!((status, &report["ready"]), (1, &Value::Bool(false)), "{report}");
    let text = ran(folder.command(&["doctor", "--need", "go,python"]).env("PATH", &path).output().unwrap());
    assert!(text.status == 1 && text.out.contains("Not ready: 2 things needed: Python, Go."), "{text:?}");
}

#[test]
fn a_wrong_folder_is_missing_something_needed() {
    let folder = Folder::new();
    let nothing = folder.beside("bin");
    assert_eq!(doctor(&folder, &nothing, &[]).0, 0);
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let (status, report) = doctor(&folder, &nothing, &[]);
    assert_eq!((status, &finding(&report, "folder")["state"]), (1, &"wrong".into()));
    assert!(finding(&report, "folder")["advice"].as_str().unwrap().contains("chmod 700"));
    std::fs::remove_dir(folder.path()).unwrap();
    let (status, report) = doctor(&folder, &nothing, &[]);
    assert_eq!((status, &finding(&report, "folder")["state"]), (0, &"absent".into()), "the first heap makes it");
}

#[test]
fn limits_of_the_address_space_are_seen() {
    let folder = Folder::new();
    let under = |kib: u64| {
        let script = format!("ulimit -v {kib}; exec \"$0\" doctor --json");
        let mut command = Command::new("sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_weaveheap")]).env("WEAVEHEAP_DIR", folder.path());
        let ran = ran(command.output().unwrap());
        let report: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran:?}"));
        (ran.status, finding(&report, "address space").clone())
    };
    let (status, found) = under(8 << 20);
    assert_eq!((status, &found["state"], &found["ok"]), (0, &"low".into(), &true.into()), "{found}");
    let (status, found) = under(900 << 10);
    assert_eq!((status, &found["ok"]), (1, &false.into()), "{found}");
}

#[test]
fn heaps_of_the_dead_are_left_behind_and_those_of_the_living_are_not() {
    as_child(|path| {
        let options = HeapOptions::new().limit(16 << 20);
        // SAFETY: the child borrows nothing.
        std::mem::forget(unsafe { options.create_path(path) }.unwrap());
    });
    let folder = Folder::new();
    let nothing = folder.beside("bin");
    let _used = folder.heap("used");
    let child = Companion::start(
        "doctor::heaps_of_the_dead_are_left_behind_and_those_of_the_living_are_not",
        &folder.file("orphan"),
    );
    let (_, report) = doctor(&folder, &nothing, &[]);
    assert_eq!(finding(&report, "heaps")["found"], "2 heaps, all in use");

    child.kill();
    let (status, report) = doctor(&folder, &nothing, &[]);
    let orphan = finding(&report, "orphan");
    assert_eq!((status, &orphan["state"]), (0, &"left_behind".into()), "{report}");
    assert!(orphan["advice"].as_str().unwrap().contains("weaveheap remove orphan"), "{orphan}");
    assert!(report["findings"].as_array().unwrap().iter().all(|finding| finding["name"] != "used"), "{report}");

    folder.ok(&["remove", "orphan"]);
    let (_, report) = doctor(&folder, &nothing, &[]);
    assert_eq!(finding(&report, "heaps")["found"], "1 heap, all in use");
}

#[test]
fn drafts_and_files_that_are_no_heaps_are_pointed_out() {
    let folder = Folder::new();
    let nothing = folder.beside("bin");
    // No process has this id: it is past what the system gives.
    std::fs::write(folder.file(".new-2147483646-00ff"), "").unwrap();
    std::fs::write(folder.file("letter"), "Dear reader").unwrap();
    let (status, report) = doctor(&folder, &nothing, &[]);
    assert_eq!(status, 0);
    assert_eq!(finding(&report, ".new-2147483646-00ff")["state"], "left_behind");
    assert_eq!(finding(&report, "letter")["state"], "wrong");
    let text = folder.ok(&["doctor"]);
    assert!(text.contains("rm '") && text.contains("weaveheap remove letter"), "{text}");
}
