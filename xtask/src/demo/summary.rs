//! The summary of the demo: printed, written as data, and judged.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::{Value, json};

use super::figures::Figures;
use super::memory::Memory;
use super::peers::Peer;
use super::screen;

/// What Arrow may allocate of its own for reading in place: the objects that describe the columns.
const ARROW_ALLOWANCE: u64 = 1 << 20;

/// The time of something.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// What was done.
    pub name: String,
    /// Milliseconds.
    pub ms: f64,
}

impl Step {
    /// A step.
    pub fn new(name: &str, ms: f64) -> Step {
        Step { name: name.to_owned(), ms }
    }
}

/// The heap's copy counters of one reason: when the producer had written, and at the end.
#[derive(Clone, Debug, Serialize)]
pub struct Copies {
    /// Why.
    pub reason: String,
    /// Bytes copied until the table was written.
    pub until_written: u64,
    /// Bytes copied after that, by any process.
    pub after: u64,
}

impl Copies {
    /// The counters of two snapshots.
    pub fn between(written: &Value, last: &Value) -> Result<Vec<Copies>> {
        let reasons = last["counters"]["copies"].as_object().context("the heap's snapshot has no copy counters")?;
        let one = |(reason, counter): (&String, &Value)| {
            let until_written = written["counters"]["copies"][reason]["bytes"].as_u64().context("no counter")?;
            let bytes = counter["bytes"].as_u64().context("no counter")?;
            let after = bytes.checked_sub(until_written).context("a copy counter went back")?;
            Ok(Copies { reason: reason.clone(), until_written, after })
        };
        reasons.iter().map(one).collect()
    }
}

/// All that the demo found.
pub struct Summary {
    /// The table's size.
    pub bytes: u64,
    /// The figures of each language.
    pub figures: Vec<Figures>,
    /// Why they differ, if they do.
    pub difference: Option<String>,
    /// The time of each step.
    pub steps: Vec<Step>,
    /// The heap's copy counters.
    pub copies: Vec<Copies>,
    /// Bytes that pyarrow had allocated at the end.
    pub arrow_allocated: u64,
    /// The most that it had allocated at any time.
    pub arrow_peak: u64,
    /// Bytes of columns that did not lie in the heap.
    pub outside: u64,
    /// The table handed over through the heap, to Python and to Node: from the publishing of a name to the readable
    /// table.
    pub handover: [Step; 2],
    /// Each process's anonymous memory.
    pub memory: Vec<Memory>,
    /// The other ways of handing over.
    pub peers: Vec<Peer>,
}

impl Summary {
    /// Prints it.
    pub fn print(&self) {
        screen::heading(6, "Summary");
        let rows: Vec<Vec<String>> =
            self.steps.iter().map(|step| vec![step.name.clone(), screen::millis(step.ms)]).collect();
        screen::table(&["step", "time"], &rows);

        println!();
        let copies = self
            .copies
            .iter()
            .map(|copy| vec![copy.reason.clone(), screen::bytes(copy.until_written), screen::bytes(copy.after)]);
        screen::table(&["bytes copied, by the heap's counters", "until written", "after"], &copies.collect::<Vec<_>>());

        println!();
        let memory = self.memory.iter().map(|memory| {
            vec![
                memory.process.to_owned(),
                screen::bytes(memory.before),
                screen::bytes(memory.peak),
                screen::bytes(memory.growth()),
                screen::bytes(self.bytes),
            ]
        });
        screen::table(
            &["anonymous memory (RssAnon)", "before", "peak", "growth", "the table"],
            &memory.collect::<Vec<_>>(),
        );

        println!();
        let mib = self.bytes as f64 / (1 << 20) as f64;
        let ours = self.handover.iter().map(|step| {
            vec![
                format!("{}, WeaveHeap", step.name),
                screen::bytes(self.bytes),
                screen::millis(step.ms),
                format!("{:.4} ms", step.ms / mib),
                String::new(),
            ]
        });
        let peers = self.peers.iter().map(|peer| {
            vec![
                peer.name.to_owned(),
                screen::bytes(peer.bytes),
                screen::millis(peer.ms),
                format!("{:.4} ms", peer.ms_per_mib()),
                format!("{:.0} x", self.ratio(peer)),
            ]
        });
        let rows: Vec<Vec<String>> = ours.chain(peers).collect();
        screen::table(&["the table handed over", "size", "time", "for each MiB", "against ours"], &rows);
        screen::remark(
            "Measured in this run, from the rows at the sender until the receiver can read them, each at the size shown.",
        );

        println!();
        for (holds, what) in self.checks() {
            if holds { screen::holds(&what) } else { screen::fails(&what) }
        }
    }

    /// How many times as long a peer takes for each MiB as the heap does to the same language.
    fn ratio(&self, peer: &Peer) -> f64 {
        let [python, node] = &self.handover;
        let ours = if peer.to_node { node } else { python };
        peer.ms_per_mib() / (ours.ms / (self.bytes as f64 / (1 << 20) as f64))
    }

    /// What must hold.
    fn checks(&self) -> Vec<(bool, String)> {
        let after: u64 = self.copies.iter().map(|copy| copy.after).sum();
        let arrow = self.arrow_peak <= ARROW_ALLOWANCE;
        let mut checks = vec![
            (
                self.difference.is_none(),
                match &self.difference {
                    None => "the three sets of figures are the same".to_owned(),
                    Some(difference) => difference.clone(),
                },
            ),
            (after == 0, format!("{} copied after the producer's write, by the heap's counters", screen::bytes(after))),
            (
                self.outside == 0,
                format!("{} of the readers' columns lie outside the heap", screen::bytes(self.outside)),
            ),
            (
                arrow,
                format!(
                    "pyarrow allocated {} at most, {} at the end",
                    screen::bytes(self.arrow_peak),
                    screen::bytes(self.arrow_allocated)
                ),
            ),
        ];
        for memory in &self.memory {
            let (growth, allowed) = (screen::bytes(memory.growth()), screen::bytes(memory.allowed_growth));
            let text =
                format!("anonymous memory of {} grew by {growth}, of {allowed} allowed at any size", memory.process);
            checks.push((memory.growth() <= memory.allowed_growth, text));
        }
        checks
    }

    /// An error that names what does not hold.
    pub fn verdict(&self) -> Result<()> {
        let failed: Vec<String> = self.checks().into_iter().filter(|(holds, _)| !holds).map(|(_, what)| what).collect();
        if failed.is_empty() {
            return Ok(());
        }
        bail!("the demo does not hold what it promises: {}", failed.join("; "))
    }

    /// Writes it as JSON.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mib = self.bytes as f64 / (1 << 20) as f64;
        let handover: Vec<Value> = self
            .handover
            .iter()
            .map(|step| json!({ "name": step.name, "ms": step.ms, "ms_per_mib": step.ms / mib }))
            .collect();
        let peers: Vec<Value> = self
            .peers
            .iter()
            .map(|peer| {
                json!({
                    "name": peer.name, "bytes": peer.bytes, "ms": peer.ms, "ms_per_mib": peer.ms_per_mib(),
                    "times_ours": self.ratio(peer),
                })
            })
            .collect();
        let checks: Vec<Value> =
            self.checks().into_iter().map(|(holds, what)| json!({ "holds": holds, "what": what })).collect();
        let all = json!({
            "bytes": self.bytes,
            "rows": self.figures.first().map(|figures| figures.rows),
            "figures_agree": self.difference.is_none(),
            "bytes_copied_after_write": self.copies.iter().map(|copy| copy.after).sum::<u64>(),
            "copies": self.copies,
            "bytes_outside": self.outside,
            "arrow_allocated": self.arrow_allocated,
            "arrow_peak": self.arrow_peak,
            "memory": self.memory,
            "steps": self.steps,
            "handover": handover,
            "peers": peers,
            "checks": checks,
            "figures": self.figures,
        });
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let text = serde_json::to_string_pretty(&all)?;
        std::fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn summary() -> Summary {
        let counters = |bytes: u64| json!({ "counters": { "copies": { "export": { "count": 0, "bytes": bytes } } } });
        Summary {
            bytes: 1 << 30,
            figures: Vec::new(),
            difference: None,
            steps: Vec::new(),
            copies: Copies::between(&counters(0), &counters(0)).unwrap(),
            arrow_allocated: 0,
            arrow_peak: 0,
            outside: 0,
            handover: [Step::new("to Python", 1.0), Step::new("to Node", 1.0)],
            memory: Vec::new(),
            peers: Vec::new(),
        }
    }

    #[test]
    fn each_broken_promise_fails_the_demo() {
        let allowed = Memory::new("python", 100 << 20, 164 << 20, 64 << 20);
        assert!(Summary { memory: vec![allowed.clone()], ..summary() }.verdict().is_ok());
        let grown = Memory::new("node", 100 << 20, (164 << 20) + 1, 64 << 20);
        let copied = Copies { reason: "export".to_owned(), until_written: 0, after: 1 };
        let broken = [
            Summary { difference: Some("rows: 1 by rust, 2 by node".to_owned()), ..summary() },
            Summary { copies: vec![copied], ..summary() },
            Summary { outside: 8, ..summary() },
            Summary { arrow_peak: ARROW_ALLOWANCE + 1, ..summary() },
            Summary { memory: vec![allowed, grown], ..summary() },
        ];
        for summary in broken {
            assert!(summary.verdict().is_err());
        }
    }

    #[test]
    fn a_copy_after_the_write_is_told_from_one_before() {
        let counters = |bytes: u64| json!({ "counters": { "copies": { "ingest": { "count": 1, "bytes": bytes } } } });
        let copies = Copies::between(&counters(10), &counters(15)).unwrap();
        assert_eq!((copies[0].until_written, copies[0].after), (10, 5));
        assert!(Copies::between(&counters(10), &counters(5)).is_err());
        assert!(Copies::between(&json!({}), &json!({})).is_err());
    }
}
