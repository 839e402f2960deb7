//! The check for heaps left behind: files of the folder that nobody alive is attached to, that are no sound heaps, or
//! that were never finished.

use std::path::Path;
use std::time::{Duration, SystemTime};

use weaveheap_core::{Heap, Inspector, Snapshot};

use super::machine::Machine;
use super::{Finding, Group, State};
use crate::human::{age, plural, printable, size};

/// What files that are still being made begin with; no heap's name does.
const DRAFT: &str = ".new-";
/// A heap is made in a moment: a draft that is older belongs to nobody.
const DRAFT_LIFE: Duration = Duration::from_secs(60);

/// What became of a heap's file when it was looked at.
struct Heard {
    name: String,
    snapshot: weaveheap_core::Result<Snapshot>,
    /// Since the file was last written or made.
    idle: Option<Duration>,
}

/// Findings for every file that could go, or one that says all is well.
pub fn check(machine: &Machine) -> Vec<Finding> {
    let entries = match Heap::list() {
        Ok(entries) => entries,
        // Why the folder cannot be read is the folder's own finding.
        Err(error) => return vec![finding("heaps", State::Wrong, error.to_string(), "See the folder above.".into())],
    };
    let heard: Vec<Heard> = entries
        .into_iter()
        .map(|entry| Heard {
            idle: idle(&entry.path),
            snapshot: Inspector::open_path(&entry.path).and_then(|inspector| inspector.snapshot()),
            name: entry.name,
        })
        .collect();
    let mut findings: Vec<Finding> = heard.iter().filter_map(judge).collect();
    findings.extend(drafts(machine));
    if findings.is_empty() {
        let found = match heard.len() {
            0 => "none".into(),
            n => format!("{}, all in use", plural(n as u64, "heap")),
        };
        findings.push(finding("heaps", State::Found, found, String::new()));
    }
    findings
}

fn finding(name: &str, state: State, found: String, advice: String) -> Finding {
    Finding {
        group: Group::Heaps,
        name: name.into(),
        state,
        needed: false,
        ok: state == State::Found,
        found: printable(&found),
        wanted: String::new(),
        place: String::new(),
        advice,
    }
}

fn judge(heard: &Heard) -> Option<Finding> {
    let remove = format!("If nobody is to open it again, run `weaveheap remove {}`.", heard.name);
    match &heard.snapshot {
        // It was removed while the folder was read.
        Err(error) if error.code() == weaveheap_core::ErrorCode::NotFound => None,
        Err(error) => Some(finding(&heard.name, State::Wrong, error.to_string(), remove)),
        Ok(snapshot) if snapshot.attachments.iter().any(|attachment| attachment.alive) => None,
        Ok(snapshot) => {
            let dead: Vec<String> =
                snapshot.attachments.iter().map(|a| format!("{} {}", a.runtime.name(), a.process)).collect();
            let who = if dead.is_empty() {
                "nobody is attached".to_string()
            } else {
                format!("all that were attached are dead ({})", dead.join(", "))
            };
            let idle = heard
                .idle
                .map(|idle| format!(", file written {} ago", age(idle.as_millis() as u64)))
                .unwrap_or_default();
            let found = format!("{}, {who}{idle}", size(snapshot.heap.reserved));
            Some(finding(&heard.name, State::LeftBehind, found, remove))
        }
    }
}

/// Files of heaps whose making never ended.
fn drafts(machine: &Machine) -> Vec<Finding> {
    let mut findings = Vec::new();
    for entry in std::fs::read_dir(&machine.folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(rest) = name.strip_prefix(DRAFT) else { continue };
        let old = idle(&entry.path()).is_some_and(|idle| idle > DRAFT_LIFE);
        let maker: Option<u32> = rest.split('-').next().and_then(|digits| digits.parse().ok());
        let gone =
            maker.is_some_and(|pid| machine.at("/proc/self").exists() && !machine.at(&format!("/proc/{pid}")).exists());
        if old || gone {
            let path = printable(&entry.path().display().to_string());
            let found = "a heap whose making never ended".to_string();
            findings.push(finding(&printable(&name), State::LeftBehind, found, format!("Run `rm '{path}'`.")));
        }
    }
    findings.sort_by(|a, b| a.name.cmp(&b.name));
    findings
}

fn idle(path: &Path) -> Option<Duration> {
    let written = path.symlink_metadata().ok()?.modified().ok()?;
    SystemTime::now().duration_since(written).ok()
}

#[cfg(all(test, unix))]
mod tests {
    use weaveheap_core::{Error, ErrorCode};

    use super::super::machine::fake;
    use super::*;
    use crate::sample;

    fn heard(snapshot: weaveheap_core::Result<Snapshot>) -> Heard {
        Heard { name: "flights".into(), snapshot, idle: Some(Duration::from_secs(7_500)) }
    }

    #[test]
    fn a_heap_is_left_behind_when_no_attachment_lives() {
        assert!(judge(&heard(Ok(sample::snapshot()))).is_none(), "somebody lives");
        let mut snapshot = sample::snapshot();
        snapshot.attachments.truncate(1);
        let finding = judge(&heard(Ok(snapshot.clone()))).unwrap();
        assert_eq!(finding.state, State::LeftBehind);
        assert_eq!(finding.found, "2.00 GiB, all that were attached are dead (rust 4000), file written 2 h 05 m ago");
        assert!(finding.advice.contains("weaveheap remove flights"));
        snapshot.attachments.clear();
        assert!(judge(&heard(Ok(snapshot))).unwrap().found.contains("nobody is attached"));
    }

    #[test]
    fn a_file_that_is_no_heap_is_wrong_and_one_that_went_is_nothing() {
        let finding = judge(&heard(Err(Error::with_message(ErrorCode::Corrupt, "checksum")))).unwrap();
        assert_eq!(finding.state, State::Wrong);
        assert!(finding.found.contains("checksum"));
        assert!(judge(&heard(Err(Error::new(ErrorCode::NotFound)))).is_none());
    }

    #[test]
    fn drafts_of_the_dead_are_found_and_those_of_the_living_are_not() {
        let (_keep, machine) = fake::machine();
        std::fs::create_dir_all(machine.at("/proc/self")).unwrap();
        std::fs::create_dir_all(machine.at("/proc/42")).unwrap();
        fake::file(&machine.folder.join(".new-42-0123"), "");
        fake::file(&machine.folder.join(".new-43-0123"), "");
        fake::file(&machine.folder.join("flights"), "");
        let names: Vec<String> = drafts(&machine).into_iter().map(|finding| finding.name).collect();
        assert_eq!(names, [".new-43-0123"]);
    }

    #[test]
    fn an_old_draft_is_found_whoever_made_it() {
        let (_keep, machine) = fake::machine();
        let path = machine.folder.join(".new-1-0123");
        fake::file(&path, "");
        assert!(drafts(&machine).is_empty());
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
        assert_eq!(drafts(&machine).len(), 1);
    }
}
