//! The checks of languages' tools: Rust, C, Node, Python, Go, Swift or Xcode, Zig. Java, the WebAssembly target and the Android
//! NDK are looked for in ways of their own, in `places.rs`.

use std::path::{Path, PathBuf};

use super::machine::{Answer, Machine};
use super::version::Version;
use super::{Finding, Group, State};
use crate::syntax::Need;

/// One tool: what it is called, which version is needed, and where it may be.
pub struct Tool {
    pub need: Need,
    pub name: &'static str,
    pub least: Version,
    /// What it is for.
    pub purpose: &'static str,
    /// How to get it.
    pub advice: &'static str,
    pub ways: &'static [Way],
}

/// A program that may be the tool, and how it says its version.
pub struct Way {
    pub program: &'static str,
    pub arguments: &'static [&'static str],
    /// The words before the version.
    pub words: &'static [&'static str],
    /// Another least version than the tool's: gcc and clang count differently.
    pub least: Option<Version>,
}

const fn way(program: &'static str, arguments: &'static [&'static str], words: &'static [&'static str]) -> Way {
    Way { program, arguments, words, least: None }
}

const GCC: &[&str] = &["clang version ", ") "];
const PYTHON: &[&str] = &["Python "];
const SWIFT: &[&str] = &["Swift version "];

pub const TOOLS: &[Tool] = &[
    Tool {
        need: Need::Rust,
        name: "Rust",
        least: Version::minor(1, 95),
        purpose: "Rust programs, and building WeaveHeap",
        advice: "Install it with rustup (rustup.rs), or run `rustup update stable`.",
        ways: &[way("rustc", &["--version"], &["rustc "])],
    },
    Tool {
        need: Need::C,
        name: "C compiler",
        least: Version::new(8),
        purpose: "C and C++ programs (C11, C++17)",
        advice: "Install gcc 8 or clang 7, or later: `apt-get install gcc g++`, `xcode-select --install`.",
        ways: &[
            way("cc", &["--version"], GCC),
            way("gcc", &["--version"], GCC),
            Way { program: "clang", arguments: &["--version"], words: GCC, least: Some(Version::new(7)) },
        ],
    },
    Tool {
        need: Need::Node,
        name: "Node",
        least: Version::new(20),
        purpose: "JavaScript programs",
        advice: "Install Node 20 or later (nodejs.org, or a version manager).",
        ways: &[way("node", &["--version"], &["v"]), way("nodejs", &["--version"], &["v"])],
    },
    Tool {
        need: Need::Python,
        name: "Python",
        least: Version::minor(3, 11),
        purpose: "Python programs",
        advice: "Install Python 3.11 or later (python.org, pyenv, uv).",
        ways: &[
            way("python3", &["--version"], PYTHON),
            way("python", &["--version"], PYTHON),
            way("python3.14", &["--version"], PYTHON),
            way("python3.13", &["--version"], PYTHON),
            way("python3.12", &["--version"], PYTHON),
            way("python3.11", &["--version"], PYTHON),
        ],
    },
    Tool {
        need: Need::Go,
        name: "Go",
        least: Version::minor(1, 24),
        purpose: "Go programs",
        advice: "Install Go 1.24 or later (go.dev/dl).",
        ways: &[way("go", &["version"], &["go version go"])],
    },
    Tool {
        need: Need::Swift,
        name: "Swift",
        least: Version::minor(5, 9),
        purpose: "Swift programs",
        advice: "Install Swift 5.9 or later (swift.org), or Xcode 15 on macOS.",
        ways: &[
            way("swift", &["--version"], SWIFT),
            way("swiftc", &["--version"], SWIFT),
            Way { program: "xcodebuild", arguments: &["-version"], words: &["Xcode "], least: Some(Version::new(15)) },
        ],
    },
    Tool {
        need: Need::Zig,
        name: "Zig",
        least: Version::minor(0, 14),
        purpose: "Zig programs",
        advice: "Install Zig 0.14 or later (ziglang.org, or `pip install ziglang`).",
        ways: &[way("zig", &["version"], &[""]), way("python3", &["-m", "ziglang", "version"], &[""])],
    },
];

/// Something that may do: where it is, its version, and the least version of its sort.
pub struct Candidate {
    pub place: PathBuf,
    pub version: Result<Version, String>,
    pub least: Version,
}

impl Candidate {
    fn will_do(&self) -> bool {
        self.version.as_ref().is_ok_and(|version| *version >= self.least)
    }
}

/// Checks one tool.
pub fn check(tool: &Tool, machine: &Machine, needed: bool) -> Finding {
    let mut candidates = Vec::new();
    for way in tool.ways {
        for place in machine.find(way.program) {
            let version = ask(machine, &place, way);
            // A Python without the module is no Zig at all.
            if way.arguments.first() == Some(&"-m") && version.is_err() {
                continue;
            }
            candidates.push(Candidate { place, version, least: way.least.unwrap_or(tool.least) });
            if candidates.last().is_some_and(Candidate::will_do) {
                return judge(tool.name, tool.least, tool.purpose, tool.advice, needed, candidates);
            }
        }
    }
    judge(tool.name, tool.least, tool.purpose, tool.advice, needed, candidates)
}

fn ask(machine: &Machine, place: &Path, way: &Way) -> Result<Version, String> {
    match machine.run(place, way.arguments) {
        Answer::Said(text) => Version::after(text.trim_start(), way.words)
            .ok_or_else(|| format!("it says no version, but {:?}", text.lines().next().unwrap_or_default().trim())),
        Answer::Failed(why) => Err(why),
    }
}

/// The finding for what was found: the first that will do, else the newest, else the first that does not run.
pub fn judge(
    name: &str,
    least: Version,
    purpose: &str,
    advice: &str,
    needed: bool,
    mut candidates: Vec<Candidate>,
) -> Finding {
    // Stable: of equals, the first on the path stays first.
    candidates.sort_by_key(|candidate| (!candidate.will_do(), std::cmp::Reverse(candidate.version.clone().ok())));
    let best = candidates.into_iter().next();
    let (state, found, place, least) = match best {
        None => (State::Absent, String::new(), String::new(), least),
        Some(Candidate { place, version, least }) => {
            let place = place.display().to_string();
            match version {
                Ok(version) if version >= least => (State::Found, version.to_string(), place, least),
                Ok(version) => (State::TooOld, version.to_string(), place, least),
                Err(why) => (State::Broken, why, place, least),
            }
        }
    };
    let advice = if state == State::Found { String::new() } else { format!("For {purpose}. {advice}") };
    Finding {
        group: Group::Tools,
        name: name.into(),
        state,
        needed,
        ok: state == State::Found,
        found,
        wanted: format!("{least} or later"),
        place,
        advice,
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::super::machine::fake;
    use super::*;

    fn tool(need: Need) -> &'static Tool {
        TOOLS.iter().find(|tool| tool.need == need).unwrap()
    }

    /// What each tool prints when it is new enough, and when it is too old.
    const SAYINGS: &[(Need, &str, &str, &str)] = &[
        (Need::Rust, "rustc", "rustc 1.95.0 (59807616e 2026-04-14)", "rustc 1.70.0 (90c541806 2023-05-31)"),
        (Need::C, "cc", "cc (Debian 12.2.0-14+deb12u1) 12.2.0", "cc (GCC) 4.8.5 20150623 (Red Hat 4.8.5-44)"),
        (Need::C, "gcc", "gcc (Ubuntu 11.4.0-1ubuntu1~22.04) 11.4.0", "gcc (GCC) 7.3.1"),
        (Need::C, "clang", "Debian clang version 14.0.6", "clang version 6.0.1 (tags/RELEASE_601/final)"),
        (Need::Node, "node", "v20.20.2", "v18.19.0"),
        (Need::Python, "python3", "Python 3.13.1", "Python 3.9.18"),
        (Need::Go, "go", "go version go1.26.8 linux/amd64", "go version go1.19 linux/amd64"),
        (Need::Swift, "swift", "Apple Swift version 6.0.3 (swiftlang-6.0.3)", "Swift version 5.5 (swift-5.5-RELEASE)"),
        (Need::Swift, "xcodebuild", "Xcode 15.2\nBuild version 15C500b", "Xcode 14.1\nBuild version 14B47b"),
        (Need::Zig, "zig", "0.15.2", "0.9.1"),
    ];

    #[test]
    fn every_tool_is_found_too_old_or_absent() {
        for (need, program, new, old) in SAYINGS {
            let (_keep, machine) = fake::machine();
            let absent = check(tool(*need), &machine, false);
            assert_eq!((absent.state, absent.ok), (State::Absent, false), "{program}");
            assert!(!absent.advice.is_empty());

            fake::program(&machine, program, old);
            let finding = check(tool(*need), &machine, false);
            assert_eq!((finding.state, finding.ok), (State::TooOld, false), "{program} that says {old}: {finding:?}");
            assert!(finding.wanted.ends_with("or later") && !finding.advice.is_empty(), "{finding:?}");

            fake::program(&machine, program, new);
            let finding = check(tool(*need), &machine, false);
            assert_eq!((finding.state, finding.ok), (State::Found, true), "{program} that says {new}: {finding:?}");
            assert!(new.contains(&finding.found), "{finding:?}");
            assert_eq!(finding.place, machine.path[0].join(program).display().to_string());
        }
    }

    #[test]
    fn a_new_tool_behind_an_old_or_broken_one_is_found() {
        let (_keep, machine) = fake::machine();
        fake::program(&machine, "python3", "Python 3.8.0");
        fake::script(&machine.path[0].join("python3.14"), "exit 1");
        fake::program(&machine, "python3.12", "Python 3.12.4");
        let finding = check(tool(Need::Python), &machine, true);
        assert_eq!((finding.state, finding.found.as_str()), (State::Found, "3.12.4"));
    }

    #[test]
    fn a_tool_that_does_not_run_is_broken_and_says_why() {
        let (_keep, machine) = fake::machine();
        fake::script(&machine.path[0].join("node"), "echo 'libstdc++.so.6: no such file' >&2; exit 127");
        let finding = check(tool(Need::Node), &machine, true);
        assert_eq!(finding.state, State::Broken);
        assert!(finding.found.contains("libstdc++.so.6"), "{finding:?}");
        fake::program(&machine, "node", "hello");
        let finding = check(tool(Need::Node), &machine, true);
        assert!(finding.found.contains("says no version"), "{finding:?}");
    }

    #[test]
    fn zig_may_be_a_python_module() {
        let (_keep, machine) = fake::machine();
        fake::script(&machine.path[0].join("python3"), "[ \"$1\" = -m ] && echo 0.15.2 || echo 'Python 3.11.2'");
        assert_eq!(check(tool(Need::Zig), &machine, false).found, "0.15.2");
        fake::script(&machine.path[0].join("python3"), "echo 'No module named ziglang' >&2; exit 1");
        assert_eq!(check(tool(Need::Zig), &machine, false).state, State::Absent);
    }
}
