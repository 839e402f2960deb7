//! What was measured: as a table on the terminal, as data, and in the README of `benches`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use console::{Alignment, pad_str, style};
use serde_json::{Value, json};

use super::machine;
use super::rows::{self, ROWS};
use crate::ctx::Ctx;

/// The file whose table `--write` replaces.
pub const README: &str = "benches/README.md";
const BEGIN: &str = "<!-- written by `cargo xtask bench` -->\n";
const END: &str = "<!-- end -->";

/// One row, measured: nanoseconds for each operation.
pub struct Figures {
    /// The row's name.
    pub name: String,
    ours: f64,
    peer: f64,
    rounds: u64,
}

/// What came of a row.
pub enum Outcome {
    /// It was measured.
    Measured(Figures),
    /// It could not be measured.
    Failed {
        /// The row's name.
        name: String,
        /// Why.
        why: String,
    },
}

impl Outcome {
    /// What a program printed.
    pub fn of(line: &Value) -> Result<Outcome> {
        match (line["row"].as_str(), line["failed"].as_str()) {
            (Some(name), Some(why)) => Ok(Outcome::Failed { name: name.to_owned(), why: why.to_owned() }),
            _ => Figures::of(line).map(Outcome::Measured),
        }
    }

    /// A row that could not be measured.
    pub fn failed(name: &str, error: &anyhow::Error) -> Outcome {
        Outcome::Failed { name: name.to_owned(), why: format!("{error:#}") }
    }

    /// The row's name.
    pub fn name(&self) -> &str {
        match self {
            Outcome::Measured(figures) => &figures.name,
            Outcome::Failed { name, .. } => name,
        }
    }
}

impl Figures {
    /// What a program printed.
    pub fn of(line: &Value) -> Result<Figures> {
        let number = |key: &str| line[key].as_f64().filter(|n| *n > 0.0).with_context(|| format!("no {key} in {line}"));
        Ok(Figures {
            name: line["row"].as_str().context("no name")?.to_owned(),
            ours: number("ours_ns")?,
            peer: number("peer_ns")?,
            rounds: line["rounds"].as_u64().context("no rounds")?,
        })
    }

    fn ratio(&self) -> f64 {
        self.ours / self.peer
    }
}

/// All rows that were measured.
#[derive(Default)]
pub struct Report {
    measured: Vec<Figures>,
    failed: Vec<(String, String)>,
}

impl Report {
    /// Adds a row.
    pub fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Measured(figures) => self.measured.push(figures),
            Outcome::Failed { name, why } => self.failed.push((name, why)),
        }
    }

    /// An error if a row could not be measured.
    pub fn complete(&self) -> Result<()> {
        let names: Vec<&str> = self.failed.iter().map(|(name, _)| name.as_str()).collect();
        ensure!(names.is_empty(), "not measured: {}", names.join(", "));
        Ok(())
    }

    /// The rows in the order of the target table, each with its entry there.
    fn rows(&self) -> impl Iterator<Item = (&'static rows::Row, &Figures)> {
        ROWS.iter().filter_map(|row| self.measured.iter().find(|figures| figures.name == row.name).map(|f| (row, f)))
    }

    /// The table for people.
    pub fn print(&self) {
        println!();
        let head = format!(
            "{:<22} {:>11} {:>11} {:>8} {:>8}           {}",
            "row", "ours", "peer", "ratio", "target", "peer is"
        );
        println!("  {}", style(head).cyan().bold());
        let mut missed = 0;
        for (row, figures) in self.rows() {
            let met = figures.ratio() <= row.target;
            missed += usize::from(!met);
            let verdict = if met { style("✓ met   ").green() } else { style("✗ missed").red().bold() };
            let ratio = pad_str(&ratio(figures.ratio()), 8, Alignment::Right, None).into_owned();
            let ratio = if met { style(ratio).green() } else { style(ratio).red() };
            println!(
                "  {:<22} {:>11} {:>11} {ratio} {:>8}  {verdict} {}",
                row.name,
                time(figures.ours),
                time(figures.peer),
                self::ratio(row.target),
                style(row.peer).dim(),
            );
        }
        println!("\n  {} rows, {missed} missed", self.measured.len());
        for (name, why) in &self.failed {
            println!("  {} {name}: {why}", style("not measured:").red().bold());
        }
    }

    /// Writes `target/bench/report.json`.
    pub fn write(&self, ctx: &Ctx) -> Result<PathBuf> {
        let folder = ctx.target().join("bench");
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let path = folder.join("report.json");
        let rows: Vec<Value> = self
            .rows()
            .map(|(row, figures)| {
                json!({
                    "name": row.name, "ours_ns": figures.ours, "peer": row.peer, "peer_ns": figures.peer,
                    "ratio": figures.ratio(), "target": row.target,
                })
            })
            .collect();
        let text = serde_json::to_string_pretty(&rows)? + "\n";
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// Replaces the table in the README.
    pub fn write_readme(&self, ctx: &Ctx) -> Result<()> {
        replace(&ctx.path(README), &self.markdown())
    }

    fn markdown(&self) -> String {
        let mut text = format!("Measured on: {}.\n\n", machine::describe());
        text.push_str("| row | what | ours | peer | peer's | ratio | target | |\n|---|---|---|---|---|---|---|---|\n");
        for (row, figures) in self.rows() {
            let met = if figures.ratio() <= row.target { "met" } else { "**missed**" };
            text.push_str(&format!(
                "| `{}` | {} | {} | {} | {} | {} | {} | {met} |\n",
                row.name,
                row.what,
                time(figures.ours),
                row.peer,
                time(figures.peer),
                ratio(figures.ratio()),
                ratio(row.target),
            ));
        }
        let rounds = self.measured.iter().map(|figures| figures.rounds);
        let (least, most) = (rounds.clone().min().unwrap_or(0), rounds.max().unwrap_or(0));
        text + &format!("\nMedians of {least} to {most} rounds.\n")
    }
}

/// Replaces what stands between the marks of a page.
pub fn replace(path: &Path, table: &str) -> Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let new = replaced(&text, table).with_context(|| format!("{} has no place for the table", path.display()))?;
    std::fs::write(path, new).with_context(|| format!("cannot write {}", path.display()))
}

/// The text with what stands between the marks replaced.
fn replaced(text: &str, table: &str) -> Option<String> {
    let (head, rest) = text.split_once(BEGIN)?;
    let (_, tail) = rest.split_once(END)?;
    Some(format!("{head}{BEGIN}\n{table}\n{END}{tail}"))
}

/// Nanoseconds for people.
pub fn time(ns: f64) -> String {
    match ns {
        ns if ns < 1e3 => format!("{} ns", significant(ns)),
        ns if ns < 1e6 => format!("{} µs", significant(ns / 1e3)),
        ns if ns < 1e9 => format!("{} ms", significant(ns / 1e6)),
        ns => format!("{} s", significant(ns / 1e9)),
    }
}

/// A power of ten of nanoseconds, for an axis.
pub fn short_time(ns: f64) -> String {
    match ns {
        ns if ns < 999.0 => format!("{ns} ns"),
        ns if ns < 999e3 => format!("{} µs", ns / 1e3),
        ns if ns < 999e6 => format!("{} ms", ns / 1e6),
        ns => format!("{} s", ns / 1e9),
    }
}

fn ratio(ratio: f64) -> String {
    significant(ratio)
}

/// Three digits that mean something.
fn significant(number: f64) -> String {
    match number {
        n if n >= 100.0 => format!("{n:.0}"),
        n if n >= 10.0 => format!("{n:.1}"),
        n if n >= 0.1 => format!("{n:.2}"),
        n if n >= 0.01 => format!("{n:.3}"),
        n => format!("{n:.5}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Figures, Outcome, Report, replaced, short_time, time};

    #[test]
    fn times_have_three_digits() {
        assert_eq!(time(9.876), "9.88 ns");
        assert_eq!(time(98.76), "98.8 ns");
        assert_eq!(time(987.6), "988 ns");
        assert_eq!(time(20_460.0), "20.5 µs");
        assert_eq!(time(2.5e9), "2.50 s");
        assert_eq!([10.0, 1e3, 1e5, 1e6, 1e9].map(short_time), ["10 ns", "1 µs", "100 µs", "1 ms", "1 s"]);
    }

    #[test]
    fn table_says_what_is_missed() {
        let mut report = Report::default();
        for (name, ours) in [("borrow_shared", 15.0), ("stale", 2.6)] {
            let line = json!({ "row": name, "ours_ns": ours, "peer_ns": if name == "stale" { 1.0 } else { 10.0 }, "rounds": 31 });
            report.add(Outcome::of(&line).unwrap());
        }
        let table = report.markdown();
        let of = |name: &str| table.lines().find(|line| line.contains(&format!("`{name}`"))).unwrap().to_owned();
        assert!(of("borrow_shared").ends_with("| 1.50 | 1.50 | met |"), "{table}");
        assert!(of("stale").ends_with("| 2.60 | 2.50 | **missed** |"), "{table}");
    }

    #[test]
    fn figures_that_are_none_are_refused() {
        assert!(Figures::of(&json!({ "row": "stale", "ours_ns": 0.0, "peer_ns": 1.0, "rounds": 31 })).is_err());
        assert!(Figures::of(&json!({ "row": "stale", "ours_ns": 1.0, "rounds": 31 })).is_err());
    }

    #[test]
    fn only_the_table_is_replaced() {
        let text = format!("before\n{}old\n{}\nafter\n", super::BEGIN, super::END);
        let new = replaced(&text, "new").unwrap();
        assert!(
            new.starts_with("before\n")
                && new.ends_with("\nafter\n")
                && new.contains("\nnew\n")
                && !new.contains("old")
        );
        assert!(replaced("nothing", "new").is_none());
    }
}
