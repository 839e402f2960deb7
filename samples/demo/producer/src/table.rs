//! The table: the rows of the Parquet file, and the Arrow IPC file that repeats them to the size asked for. Its exact
//! length is known before a byte is written, so that it can be written in place.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use arrow_array::RecordBatch;
use arrow_ipc::MetadataVersion;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use arrow_schema::SchemaRef;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use crate::figures::Figures;

/// Rows of a record batch: some megabytes each, so that a reader that works batch by batch needs little memory.
const BATCH_ROWS: usize = 65_536;

/// Every column of the IPC file starts at a multiple of this many bytes.
pub const ALIGN: usize = 64;

/// The rows of the file.
pub struct Source {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

/// The Arrow IPC file to be written.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Record batches; those of the source in turn, from the first again after the last.
    pub batches: usize,
    /// Rows.
    pub rows: u64,
    /// Its length in bytes, exactly.
    pub length: u64,
}

impl Source {
    /// Reads a Parquet file.
    pub fn read(path: &Path) -> Result<Source> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        // The file asks for 64-bit text offsets; 32 bits do for a batch, and every Arrow library reads them fast.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)?
            .with_batch_size(BATCH_ROWS)
            .build()?;
        let batches =
            reader.collect::<Result<Vec<_>, _>>().with_context(|| format!("cannot read {}", path.display()))?;
        let schema = batches.first().context("the file has no rows")?.schema();
        Ok(Source { schema, batches })
    }

    /// Its rows.
    pub fn rows(&self) -> u64 {
        self.batches.iter().map(|batch| batch.num_rows() as u64).sum()
    }

    /// Its batches in turn, without end.
    pub fn repeated(&self) -> impl Iterator<Item = &RecordBatch> {
        self.batches.iter().cycle()
    }

    /// Plans the shortest file of whole batches with at least this many bytes: a dry run of the writer, which only
    /// counts.
    pub fn plan(&self, bytes: u64) -> Result<Plan> {
        let mut writer = FileWriter::try_new_with_options(Counter(0), &self.schema, options()?)?;
        let mut plan = Plan { batches: 0, rows: 0, length: 0 };
        for batch in self.repeated() {
            writer.write(batch)?;
            plan.batches += 1;
            plan.rows += batch.num_rows() as u64;
            if writer.get_ref().0 >= bytes {
                break;
            }
        }
        plan.length = writer.into_inner()?.0;
        Ok(plan)
    }

    /// Writes the planned file: each byte once, from the columns of the source to its place in `target`.
    pub fn write(&self, plan: Plan, target: &mut [u8], mut progress: impl FnMut(usize) -> Result<()>) -> Result<()> {
        let length = target.len();
        ensure!(length as u64 == plan.length, "the buffer has {length} bytes, and the table has {}", plan.length);
        let mut writer = FileWriter::try_new_with_options(target, &self.schema, options()?)?;
        for batch in self.repeated().take(plan.batches) {
            writer.write(batch)?;
            progress(length - writer.get_ref().len())?;
        }
        let rest = writer.into_inner()?;
        ensure!(rest.is_empty(), "{} bytes of the buffer were not written", rest.len());
        Ok(())
    }

    /// The figures of the planned table, from the rows of the source.
    pub fn figures(&self, plan: Plan) -> Result<Figures> {
        let mut all = Figures::default();
        let (whole, rest) = (plan.batches / self.batches.len(), plan.batches % self.batches.len());
        for (index, batch) in self.batches.iter().enumerate() {
            let times = whole + usize::from(index < rest);
            if times > 0 {
                all.add(&Figures::of(batch)?, times as u64);
            }
        }
        Ok(all)
    }
}

fn options() -> Result<IpcWriteOptions> {
    Ok(IpcWriteOptions::try_new(ALIGN, false, MetadataVersion::V5)?)
}

/// A writer that counts.
struct Counter(u64);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Int64Array, StringArray};
    use arrow_ipc::reader::FileReader;

    use super::*;

    fn source() -> Source {
        let batch = |delay: i64, origin: &str| {
            let columns: [(&str, arrow_array::ArrayRef); 3] = [
                ("delay", Arc::new(Int64Array::from(vec![delay; 100]))),
                ("distance", Arc::new(Int64Array::from(vec![1000; 100]))),
                ("origin", Arc::new(StringArray::from(vec![origin; 100]))),
            ];
            RecordBatch::try_from_iter(columns).unwrap()
        };
        let batches = vec![batch(1, "JFK"), batch(5, "SFO"), batch(9, "JFK")];
        Source { schema: batches[0].schema(), batches }
    }

    #[test]
    fn the_planned_length_is_the_written_length_and_the_figures_are_those_of_the_file() {
        let source = source();
        for bytes in [0, 10_000, 40_000] {
            let plan = source.plan(bytes).unwrap();
            assert!(plan.length >= bytes);
            let mut target = vec![0; plan.length as usize];
            source.write(plan, &mut target, |_| Ok(())).unwrap();
            let mut read = Figures::default();
            for batch in FileReader::try_new(io::Cursor::new(&target), None).unwrap() {
                read.add(&Figures::of(&batch.unwrap()).unwrap(), 1);
            }
            assert_eq!(read.rows, plan.rows);
            assert_eq!(read, source.figures(plan).unwrap());
        }
    }

    #[test]
    fn a_buffer_of_another_length_is_refused() {
        let source = source();
        let plan = source.plan(10_000).unwrap();
        let mut target = vec![0; plan.length as usize + 1];
        assert!(source.write(plan, &mut target, |_| Ok(())).is_err());
    }
}
