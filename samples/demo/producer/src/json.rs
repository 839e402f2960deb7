//! The JSON peer: the same rows as JSON text on standard output, as a service would send them without a shared heap.
//! The time at which it started stands in the first line, so that the receiver can tell how long the handing over took.

use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use serde::Serialize;

use crate::events::now;
use crate::figures::Figures;
use crate::table::Source;

#[derive(Serialize)]
struct Row<'a> {
    date: i64,
    delay: i64,
    distance: i64,
    origin: &'a str,
    destination: &'a str,
}

/// Writes the rows of a table of this size: one line of numbers about it, then one JSON array.
pub fn run(parquet: &Path, bytes: u64) -> Result<()> {
    let source = Source::read(parquet)?;
    let plan = source.plan(bytes)?;
    let Figures { rows, miles, .. } = source.figures(plan)?;
    let mut out = BufWriter::with_capacity(1 << 20, std::io::stdout().lock());
    let about = serde_json::json!({ "bytes": plan.length, "rows": rows, "miles": miles, "from": now() });
    writeln!(out, "{about}")?;
    out.write_all(b"[")?;
    let mut first = true;
    for batch in source.repeated().take(plan.batches) {
        write_rows(batch, &mut out, &mut first)?;
    }
    out.write_all(b"]")?;
    out.flush()?;
    Ok(())
}

fn write_rows(batch: &RecordBatch, out: &mut impl Write, first: &mut bool) -> Result<()> {
    let column = |name: &str| batch.column_by_name(name).with_context(|| format!("the table has no column {name:?}"));
    let date = column("date")?.as_primitive_opt::<TimestampMicrosecondType>().context("date is no timestamp column")?;
    let delay = column("delay")?.as_primitive_opt::<Int64Type>().context("delay is no int64 column")?;
    let distance = column("distance")?.as_primitive_opt::<Int64Type>().context("distance is no int64 column")?;
    let origin = column("origin")?.as_string_opt::<i32>().context("origin is no text column")?;
    let destination = column("destination")?.as_string_opt::<i32>().context("destination is no text column")?;
    anyhow::ensure!(batch.columns().iter().all(|column| column.null_count() == 0), "the table has empty cells");
    for i in 0..batch.num_rows() {
        if !std::mem::take(first) {
            out.write_all(b",")?;
        }
        let row = Row {
            date: date.value(i),
            delay: delay.value(i),
            distance: distance.value(i),
            origin: origin.value(i),
            destination: destination.value(i),
        };
        serde_json::to_writer(&mut *out, &row)?;
    }
    Ok(())
}
