//! The figures that every language computes, here from the rows of the file: the delays of each origin, and the sum of
//! the distances in kilometres.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, RecordBatch};
use serde::Serialize;

/// Kilometres in a mile.
pub const KILOMETRES: f64 = 1.609_344;

/// The delays of one origin. The mean is `sum / count`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Delay {
    /// Minutes.
    pub sum: i64,
    /// Flights.
    pub count: i64,
}

/// The figures of some rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Rows.
    pub rows: u64,
    /// Delays by origin.
    pub delays: BTreeMap<String, Delay>,
    /// The sum of the distances as they are.
    pub miles: i64,
    /// The sum of the distances, each rounded to whole kilometres.
    pub kilometres: i64,
}

/// A distance in whole kilometres; halves go to the even number, as NumPy's `rint` has it.
pub fn to_kilometres(miles: i64) -> i64 {
    (miles as f64 * KILOMETRES).round_ties_even() as i64
}

impl Figures {
    /// The figures of one batch.
    pub fn of(batch: &RecordBatch) -> Result<Figures> {
        let column =
            |name: &str| batch.column_by_name(name).with_context(|| format!("the table has no column {name:?}"));
        let origin = column("origin")?.as_string_opt::<i32>().context("origin is no text column")?;
        let delay = column("delay")?.as_primitive_opt::<Int64Type>().context("delay is no int64 column")?;
        let distance = column("distance")?.as_primitive_opt::<Int64Type>().context("distance is no int64 column")?;
        anyhow::ensure!(
            origin.null_count() + delay.null_count() + distance.null_count() == 0,
            "the table has empty cells"
        );
        let mut by_origin: BTreeMap<&str, Delay> = BTreeMap::new();
        for (origin, delay) in origin.iter().zip(delay.values()) {
            let entry = by_origin.entry(origin.unwrap_or_default()).or_default();
            entry.sum += delay;
            entry.count += 1;
        }
        Ok(Figures {
            rows: batch.num_rows() as u64,
            delays: by_origin.into_iter().map(|(origin, delay)| (origin.to_owned(), delay)).collect(),
            miles: distance.values().iter().sum(),
            kilometres: distance.values().iter().map(|miles| to_kilometres(*miles)).sum(),
        })
    }

    /// Adds the figures of rows that stand `times` times in the table.
    pub fn add(&mut self, other: &Figures, times: u64) {
        let factor = times as i64;
        self.rows += other.rows * times;
        self.miles += other.miles * factor;
        self.kilometres += other.kilometres * factor;
        for (origin, delay) in &other.delays {
            let entry = self.delays.entry(origin.clone()).or_default();
            entry.sum += delay.sum * factor;
            entry.count += delay.count * factor;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_rows_count_as_often_as_they_stand_in_the_table() {
        let delays = BTreeMap::from([("JFK".to_owned(), Delay { sum: -3, count: 2 })]);
        let one = Figures { rows: 2, delays, miles: 10, kilometres: to_kilometres(4) + to_kilometres(6) };
        let mut all = Figures::default();
        all.add(&one, 3);
        assert_eq!((all.rows, all.miles, all.kilometres), (6, 30, 3 * (6 + 10)));
        assert_eq!(all.delays["JFK"], Delay { sum: -9, count: 6 });
    }
}
