//! Meaning: what the words of `syntax.rs` ask for, with every value checked. What is wrong here is a misuse (status 2)
//! and is said in one line; what only the machine can know is found out by the commands themselves.

use std::path::PathBuf;
use std::time::Duration;

use weaveheap_core::Handle;

use crate::fail::Usage;
use crate::screen::Screen;
use crate::syntax::{Cli, Command, Need, Shell};
use crate::target::Target;

/// One command, ready to be executed.
#[derive(Debug)]
pub enum Job {
    Doctor { needs: Vec<Need>, json: bool },
    List { process: Option<u32>, json: bool },
    Stats { target: Target, pace: Option<Duration>, json: bool },
    Viz { target: Target, pace: Option<Duration>, all: bool, json: bool },
    Who { target: Target, handle: Handle, json: bool },
    Check { target: Target, read_only: bool, json: bool },
    Remove { target: Target },
    Completions { shell: Shell },
    Man { folder: PathBuf },
}

/// The job that the words ask for, and the screen that its output goes to.
pub fn understand(cli: Cli) -> Result<(Job, Screen), Usage> {
    let screen = Screen::of_stdout(cli.color, cli.width);
    let job = match cli.command {
        Command::Doctor { need, json } => Job::Doctor { needs: need, json },
        Command::List { pid, json } => Job::List { process: pid.map(process).transpose()?, json },
        Command::Stats { heap, watch, json } => {
            let (target, pace) = watched(heap.name, heap.path, heap.pid, watch.watch)?;
            Job::Stats { target, pace, json }
        }
        Command::Viz { heap, watch, all, json } => {
            let (target, pace) = watched(heap.name, heap.path, heap.pid, watch.watch)?;
            Job::Viz { target, pace, all, json }
        }
        Command::Who { heap, handle, json } => {
            let handle: Handle = handle.parse().map_err(|error: weaveheap_core::Error| Usage(error.message()))?;
            if handle.is_null() {
                return Err(Usage(
                    "the null handle names nothing: give a buffer (b17:2043) or a region (r3:77)".into(),
                ));
            }
            Job::Who { target: target(heap.name, heap.path, heap.pid)?, handle, json }
        }
        Command::Check { heap, read_only, json } => {
            Job::Check { target: target(heap.name, heap.path, heap.pid)?, read_only, json }
        }
        Command::Remove { heap } => {
            if let Some(pid) = heap.pid {
                return Err(Usage(format!("a private heap has no file to remove: it ends with its process {pid}")));
            }
            Job::Remove { target: target(heap.name, heap.path, None)? }
        }
        Command::Completions { shell } => Job::Completions { shell },
        Command::Man { folder } => Job::Man { folder },
    };
    Ok((job, screen))
}

fn target(name: Option<String>, path: Option<PathBuf>, pid: Option<u32>) -> Result<Target, Usage> {
    Ok(match (name, path, pid) {
        (Some(name), None, None) => Target::Name(name_of_heap(name)?),
        (None, Some(path), None) => Target::Path(path),
        (None, None, Some(pid)) => Target::Process(process(pid)?),
        (None, None, None) => Target::Folder,
        _ => return Err(Usage("name one heap: by its name, by --path, or by --pid".into())),
    })
}

/// A name of the form that heaps have (H4). A path is the likeliest mistake, and gets its own answer.
fn name_of_heap(name: String) -> Result<String, Usage> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_".contains(c);
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    if starts && name.len() <= 64 && name.chars().all(inner) {
        Ok(name)
    } else if name.contains(['/', '\\']) {
        Err(Usage(format!("{name:?} is no heap's name; to use a file, write --path {name:?}")))
    } else {
        let shape = "a name has up to 64 of a-z, 0-9, dot, underscore and hyphen, and starts with a letter or digit";
        Err(Usage(format!("{name:?} is no heap's name: {shape}")))
    }
}

fn process(pid: u32) -> Result<u32, Usage> {
    if pid == 0 || pid > i32::MAX as u32 {
        return Err(Usage(format!("{pid} is no process id")));
    }
    Ok(pid)
}

/// `--watch` takes a number that may be left out, so that in `stats --watch flights` the word after it is the heap.
fn watched(
    mut name: Option<String>,
    path: Option<PathBuf>,
    pid: Option<u32>,
    watch: Option<String>,
) -> Result<(Target, Option<Duration>), Usage> {
    let pace = match watch {
        None => None,
        Some(word) => match word.parse::<f64>() {
            Ok(seconds) if (0.05..=86_400.0).contains(&seconds) => Some(Duration::from_secs_f64(seconds)),
            Ok(_) => return Err(Usage(format!("--watch {word}: between 0.05 and 86400 seconds are possible"))),
            Err(_) if name.is_none() && path.is_none() && pid.is_none() => {
                name = Some(word);
                Some(Duration::from_secs(1))
            }
            Err(_) => return Err(Usage(format!("--watch takes seconds, not {word:?}"))),
        },
    };
    Ok((target(name, path, pid)?, pace))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn job(words: &str) -> Result<Job, String> {
        let cli = Cli::try_parse_from(words.split(' ')).map_err(|error| format!("syntax: {error}"))?;
        understand(cli).map(|(job, _)| job).map_err(|usage| usage.0)
    }

    #[test]
    fn watch_takes_seconds_or_leaves_the_heap_its_place() {
        let cases = [
            ("weaveheap stats --watch", Target::Folder, Some(1.0)),
            ("weaveheap stats --watch 2", Target::Folder, Some(2.0)),
            ("weaveheap stats flights -w 0.5", Target::Name("flights".into()), Some(0.5)),
            ("weaveheap stats --watch=3 flights", Target::Name("flights".into()), Some(3.0)),
            ("weaveheap stats --watch flights", Target::Name("flights".into()), Some(1.0)),
            ("weaveheap stats 2", Target::Name("2".into()), None),
        ];
        for (words, wanted, seconds) in cases {
            let Ok(Job::Stats { target, pace, .. }) = job(words) else { panic!("{words}") };
            assert_eq!((target, pace), (wanted, seconds.map(Duration::from_secs_f64)), "{words}");
        }
        for words in
            ["stats a --watch b", "stats --watch 0", "stats --watch=-1", "stats --watch NaN", "stats --watch 1e9"]
        {
            assert!(job(&format!("weaveheap {words}")).is_err(), "{words}");
        }
    }

    #[test]
    fn names_are_checked_and_paths_are_pointed_out() {
        for name in ["Flights", ".hidden", "-", "a b", "ä", &"x".repeat(65)] {
            let said = name_of_heap(name.into()).unwrap_err().0;
            assert!(said.contains("is no heap's name"), "{said}");
        }
        assert!(job("weaveheap stats ../flights").unwrap_err().contains("--path \"../flights\""));
        for name in ["a", "0", "a.b_c-d", &"x".repeat(64)] {
            assert_eq!(name_of_heap(name.into()).unwrap(), name);
        }
    }

    #[test]
    fn handles_are_checked() {
        assert!(matches!(job("weaveheap who flights b17:2043"), Ok(Job::Who { .. })));
        assert!(job("weaveheap who flights 17").unwrap_err().contains("b17:2043"));
        assert!(job("weaveheap who flights null").unwrap_err().contains("null handle"));
        assert!(job("weaveheap stats --pid 0").unwrap_err().contains("no process id"));
    }
}
