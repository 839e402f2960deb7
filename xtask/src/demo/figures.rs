//! The figures: what Rust, Python and Node each computed of the same table, and whether they are the same.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The delays of one origin.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Delay {
    /// Minutes.
    pub sum: i64,
    /// Flights.
    pub count: i64,
    /// The mean as the language itself computed it; Rust gives sum and count.
    #[serde(default)]
    pub mean: Option<f64>,
}

impl Delay {
    /// Minutes.
    pub fn mean(&self) -> f64 {
        self.mean.unwrap_or(self.sum as f64 / self.count as f64)
    }
}

/// What one language computed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// The language.
    pub by: &'static str,
    /// Rows of the table.
    pub rows: u64,
    /// Delays by origin.
    pub delays: BTreeMap<String, Delay>,
    /// The sum of the changed column.
    pub kilometres: i64,
}

impl Figures {
    /// The figures in what a process reported.
    pub fn new(by: &'static str, rows: &Value, delays: &Value, kilometres: &Value) -> Result<Figures> {
        let what = || format!("the figures of {by} are not what was expected");
        Ok(Figures {
            by,
            rows: rows.as_u64().with_context(what)?,
            delays: serde_json::from_value(delays.clone()).with_context(what)?,
            kilometres: kilometres.as_i64().with_context(what)?,
        })
    }

    /// The origins with the most flights.
    pub fn busiest(&self, number: usize) -> Vec<(&str, &Delay)> {
        let mut all: Vec<(&str, &Delay)> = self.delays.iter().map(|(origin, delay)| (origin.as_str(), delay)).collect();
        all.sort_by_key(|(origin, delay)| (std::cmp::Reverse(delay.count), *origin));
        all.truncate(number);
        all
    }
}

/// An error that names the first differences, if there are any. Whole numbers must be equal, means to 12 digits.
pub fn compare(all: &[Figures]) -> Result<()> {
    let Some((first, others)) = all.split_first() else { return Ok(()) };
    let mut differences = Vec::new();
    for other in others {
        let mut note = |what: &str, ours: String, theirs: String| {
            differences.push(format!("{what}: {ours} by {}, {theirs} by {}", first.by, other.by));
        };
        if first.rows != other.rows {
            note("rows", first.rows.to_string(), other.rows.to_string());
        }
        if first.kilometres != other.kilometres {
            note("sum of kilometres", first.kilometres.to_string(), other.kilometres.to_string());
        }
        let origins: std::collections::BTreeSet<&String> = first.delays.keys().chain(other.delays.keys()).collect();
        for origin in origins {
            let (ours, theirs) = (first.delays.get(origin), other.delays.get(origin));
            if !same(ours, theirs) {
                note(&format!("delays of {origin}"), format!("{ours:?}"), format!("{theirs:?}"));
            }
        }
    }
    if differences.is_empty() {
        return Ok(());
    }
    let number = differences.len();
    differences.truncate(5);
    bail!("{number} figures differ: {}", differences.join("; "))
}

fn same(ours: Option<&Delay>, theirs: Option<&Delay>) -> bool {
    let (Some(ours), Some(theirs)) = (ours, theirs) else { return false };
    let close = (ours.mean() - theirs.mean()).abs() <= 1e-12 * ours.mean().abs().max(1.0);
    ours.sum == theirs.sum && ours.count == theirs.count && close
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn figures(by: &'static str, delays: Value, kilometres: i64) -> Figures {
        Figures::new(by, &json!(3), &delays, &json!(kilometres)).unwrap()
    }

    #[test]
    fn equal_figures_pass_and_each_difference_is_named() {
        let rust = figures("rust", json!({ "JFK": { "sum": 10, "count": 4 } }), 7);
        let python = figures("python", json!({ "JFK": { "sum": 10, "count": 4, "mean": 2.5 } }), 7);
        assert!(compare(&[rust.clone(), python.clone()]).is_ok());

        let says = |other: Figures| compare(&[rust.clone(), python.clone(), other]).unwrap_err().to_string();
        let kilometres = figures("node", json!({ "JFK": { "sum": 10, "count": 4, "mean": 2.5 } }), 8);
        assert!(says(kilometres).contains("sum of kilometres: 7 by rust, 8 by node"));
        let mean = figures("node", json!({ "JFK": { "sum": 10, "count": 4, "mean": 2.5001 } }), 7);
        assert!(says(mean).contains("delays of JFK"));
        let missing = figures("node", json!({}), 7);
        assert!(says(missing).contains("delays of JFK"));
        let more = figures("node", json!({ "JFK": { "sum": 10, "count": 4 }, "SFO": { "sum": 0, "count": 1 } }), 7);
        assert!(says(more).contains("delays of SFO"));
    }

    #[test]
    fn the_busiest_come_first() {
        let all =
            json!({ "A": { "sum": 0, "count": 1 }, "B": { "sum": 0, "count": 9 }, "C": { "sum": 0, "count": 9 } });
        let names: Vec<String> =
            figures("rust", all, 0).busiest(2).iter().map(|(origin, _)| origin.to_string()).collect();
        assert_eq!(names, ["B", "C"]);
    }
}
