//! `weaveheap doctor`: what this machine has of what WeaveHeap's languages and heaps want, and what to do about the rest.

mod leftovers;
mod machine;
mod memory;
mod places;
mod tools;
mod version;

use anyhow::Result;
use serde::Serialize;

use crate::human::{plural, printable};
use crate::screen::{self, Line, Page, Role, Screen, Span};
use crate::syntax::Need;
use machine::Machine;

/// What a check found.
#[derive(Clone, Debug, Serialize)]
struct Finding {
    group: Group,
    name: String,
    state: State,
    /// True if the status is 1 unless this is well.
    needed: bool,
    /// True if nothing has to be done.
    ok: bool,
    /// A version, an amount, or what is wrong.
    found: String,
    /// The version that is asked for; empty for what has none.
    wanted: String,
    /// Where it is.
    place: String,
    /// What to do; empty if nothing.
    advice: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Group {
    Tools,
    Memory,
    Heaps,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Found,
    TooOld,
    Absent,
    /// It is there and does not run.
    Broken,
    /// It is there and is not what it must be.
    Wrong,
    /// There is little of it.
    Low,
    /// Nobody alive uses it.
    LeftBehind,
}

impl State {
    fn words(self) -> &'static str {
        match self {
            State::Found => "found",
            State::TooOld => "too old",
            State::Absent => "absent",
            State::Broken => "broken",
            State::Wrong => "wrong",
            State::Low => "low",
            State::LeftBehind => "left behind",
        }
    }
}

#[derive(Serialize)]
struct Report {
    version: &'static str,
    layout_version: u32,
    /// True if nothing that is needed is missing.
    ready: bool,
    findings: Vec<Finding>,
}

/// Looks at the machine. The status is 1 if something that is needed is missing.
pub fn run(needs: &[Need], json: bool, screen: &Screen) -> Result<u8> {
    let report = examine(&Machine::this(), needs);
    if json {
        screen::print(&format!("{}\n", serde_json::to_string(&report)?))?;
    } else {
        page(&report, screen).print(screen)?;
    }
    Ok(if report.ready { 0 } else { crate::fail::FAILED })
}

fn examine(machine: &Machine, needs: &[Need]) -> Report {
    let needed = |need: Need| needs.contains(&need);
    // Each tool is a program to wait for: they are asked side by side.
    let mut findings: Vec<Finding> = std::thread::scope(|scope| {
        let mut checks: Vec<_> = Vec::new();
        for tool in tools::TOOLS {
            checks.push(scope.spawn(move || tools::check(tool, machine, needed(tool.need))));
        }
        checks.push(scope.spawn(move || places::java(machine, needed(Need::Java))));
        checks.push(scope.spawn(move || places::wasm(machine, needed(Need::Wasm))));
        checks.push(scope.spawn(move || places::android(machine, needed(Need::Android))));
        // A check that panicked panics here: nothing of it is lost.
        checks.into_iter().map(|check| check.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    findings.push(memory::folder(machine));
    findings.push(memory::room(machine));
    findings.push(memory::address_space(machine));
    findings.extend(memory::overcommit(machine));
    findings.extend(memory::memory_limit(machine));
    findings.extend(leftovers::check(machine));
    Report {
        version: env!("CARGO_PKG_VERSION"),
        layout_version: weaveheap_core::LAYOUT_VERSION,
        ready: findings.iter().all(|finding| finding.ok || !finding.needed),
        findings,
    }
}

fn page(report: &Report, screen: &Screen) -> Page {
    let mut page = Page::default();
    for (group, title) in [(Group::Tools, "Tools"), (Group::Memory, "Memory"), (Group::Heaps, "Heaps")] {
        page.gap();
        page.push(Line::new(Role::Heading, title));
        let of_group: Vec<&Finding> = report.findings.iter().filter(|finding| finding.group == group).collect();
        let widest = |text: fn(&Finding) -> usize| of_group.iter().map(|finding| text(finding)).max().unwrap_or(0);
        // A file's name may be long: it does not push all the others aside. Columns need a screen that is wide enough.
        let narrow = screen.width.is_some_and(|width| width < 60);
        let name_width = if narrow { 0 } else { widest(|finding| finding.name.chars().count()).min(18) };
        let state_width = if narrow { 0 } else { widest(|finding| state(finding).len()) };
        for finding in of_group {
            draw(&mut page, finding, name_width, state_width, screen);
        }
    }
    page.gap();
    page.wrap(0, 0, " ", &verdict(report), screen);
    page
}

fn state(finding: &Finding) -> String {
    let optional = finding.group == Group::Tools && !finding.needed && !finding.ok;
    format!("{}{}", finding.state.words(), if optional { ", optional" } else { "" })
}

fn draw(page: &mut Page, finding: &Finding, name_width: usize, state_width: usize, screen: &Screen) {
    let (role, mark) = if finding.ok && finding.state != State::Low {
        (Role::Good, screen.glyph('✓', '+'))
    } else if finding.ok || !finding.needed {
        let optional = finding.group == Group::Tools && finding.state == State::Absent;
        (if optional { Role::Dim } else { Role::Warn }, if optional { '-' } else { '!' })
    } else {
        (Role::Bad, screen.glyph('✗', 'x'))
    };
    let wanted = match finding.state {
        State::TooOld | State::Broken => format!("wanted: {}", finding.wanted),
        State::Absent if !finding.wanted.is_empty() => finding.wanted.clone(),
        _ => String::new(),
    };
    let parts = [
        Span::new(role, mark.to_string()),
        Span::new(Role::Title, format!("{:<name_width$}", finding.name)),
        Span::new(role, format!("{:<state_width$}", state(finding))),
        Span::plain(printable(&finding.found)),
        Span::plain(wanted),
        Span::new(Role::Dim, printable(&finding.place)),
    ];
    page.wrap(2, 5, "  ", &parts, screen);
    if !finding.advice.is_empty() {
        let words: Vec<Span> = finding.advice.split_whitespace().map(Span::from).collect();
        page.wrap(5, 5, " ", &words, screen);
    }
}

fn verdict(report: &Report) -> Vec<Span> {
    let missing: Vec<&str> = report
        .findings
        .iter()
        .filter(|finding| finding.needed && !finding.ok)
        .map(|finding| finding.name.as_str())
        .collect();
    let (role, text) = if missing.is_empty() {
        (Role::Good, "Ready: nothing that is needed is missing.".to_string())
    } else {
        (Role::Bad, format!("Not ready: {} needed: {}.", plural(missing.len() as u64, "thing"), missing.join(", ")))
    };
    text.split(' ').map(|word| Span::new(role, word)).collect()
}

#[cfg(all(test, unix))]
mod tests {
    use super::machine::fake;
    use super::*;

    fn tool_findings(machine: &Machine, needs: &[Need]) -> Vec<Finding> {
        tools::TOOLS.iter().map(|tool| tools::check(tool, machine, needs.contains(&tool.need))).collect()
    }

    fn report(findings: Vec<Finding>) -> Report {
        let ready = findings.iter().all(|finding| finding.ok || !finding.needed);
        Report { version: "0", layout_version: 1, ready, findings }
    }

    #[test]
    fn tools_are_optional_until_they_are_asked_for() {
        let (_keep, machine) = fake::machine();
        fake::program(&machine, "node", "v18.0.0");
        let free = report(tool_findings(&machine, &[]));
        assert!(free.ready);
        let text = page(&free, &Screen::plain(None)).text(&Screen::plain(None));
        assert!(text.contains("absent, optional") && text.contains("too old, optional  18.0.0"), "{text}");
        let asked = report(tool_findings(&machine, &[Need::Node, Need::Go]));
        assert!(!asked.ready);
        let text = page(&asked, &Screen::plain(None)).text(&Screen::plain(None));
        assert!(text.contains("Not ready: 2 things needed: Node, Go."), "{text}");
    }

    #[test]
    fn the_report_fits_forty_columns() {
        let (_keep, machine) = fake::machine();
        fake::program(&machine, "cc", "cc (GCC) 4.8.5");
        let screen = Screen::plain(Some(40));
        let text = page(&report(tool_findings(&machine, &[Need::C])), &screen).text(&screen);
        let long: Vec<&str> = text.lines().filter(|line| line.chars().count() > 40).collect();
        assert!(long.is_empty(), "{long:#?}");
        assert!(text.contains("✗  C compiler") && text.contains("rustup"), "{text}");
    }

    #[test]
    fn states_are_words_in_json() {
        let (_keep, machine) = fake::machine();
        fake::program(&machine, "node", "v18.0.0");
        let json = serde_json::to_value(report(tool_findings(&machine, &[]))).unwrap();
        let node = json["findings"].as_array().unwrap().iter().find(|finding| finding["name"] == "Node").unwrap();
        assert_eq!((&node["state"], &node["ok"], &node["found"]), (&"too_old".into(), &false.into(), &"18.0.0".into()));
    }
}
