//! The row `demo_json`: what the demo itself measures, some times over.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::programs;
use super::report::Outcome;
use crate::ctx::Ctx;

/// The table: JSON of a tenth of it takes seconds.
const SIZE: &str = "256M";

/// Runs the demo and takes the hand-over to Node and that of the same rows as JSON from its summary.
pub fn measure(ctx: &Ctx, command: &mut Command, quick: bool) -> Result<Outcome> {
    let rounds = if quick { 1 } else { 5 };
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    command.args(["demo", "--size", SIZE]).stdin(Stdio::null());
    for _ in 0..rounds {
        let output = command.output().context("cannot run the demo")?;
        if !output.status.success() {
            bail!("the demo ended with {}: {}", output.status, programs::last_words(&output.stderr, &output.stdout));
        }
        let path = ctx.target().join("demo").join("summary.json");
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let (one, other) = figures(&serde_json::from_str(&text)?)?;
        ours.push(one);
        peer.push(other);
    }
    Outcome::of(&json!({
        "row": "demo_json", "ours_ns": median(&mut ours), "peer_ns": median(&mut peer), "rounds": rounds,
    }))
}

/// Nanoseconds for the whole table: through the heap, and as JSON at what a MiB of it took.
fn figures(summary: &Value) -> Result<(f64, f64)> {
    let named = |list: &str, word: &str| {
        let all = summary[list].as_array()?;
        all.iter().find(|one| one["name"].as_str().is_some_and(|name| name.contains(word)))
    };
    let ours =
        named("handover", "Node").and_then(|one| one["ms"].as_f64()).context("the demo hands nothing to Node")?;
    let json =
        named("peers", "JSON").and_then(|one| one["ms_per_mib"].as_f64()).context("the demo has no JSON peer")?;
    let mib = summary["bytes"].as_f64().context("no size")? / f64::from(1 << 20);
    Ok((ours * 1e6, json * mib * 1e6))
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::figures;

    #[test]
    fn both_are_of_the_whole_table() {
        let summary = json!({
            "bytes": 4 << 20,
            "handover": [{ "name": "Rust to Python", "ms": 1.0 }, { "name": "Python to Node", "ms": 2.0 }],
            "peers": [{ "name": "JSON from Rust to Node", "ms_per_mib": 3.0 }],
        });
        assert_eq!(figures(&summary).unwrap(), (2e6, 12e6));
        assert!(figures(&json!({ "bytes": 1, "handover": [], "peers": [] })).is_err());
    }
}
