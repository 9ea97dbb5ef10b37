//! Series and flows as files for other engines, partitioned by day as Hive does it.
//!
//! ```text
//! DIR/series/date=2026-11-21/part-0.parquet     one row for each interface and record of one tier
//! DIR/flows/date=2026-11-21/part-0.parquet      one row for each ended flow, by the day of its last packet
//! ```
//!
//! Days are UTC. A file appears under its name when it is whole; one that was there is replaced, so that the same export
//! twice leaves the same files. Memory holds one row group.

mod columns;
mod parquet;
mod text;

use super::{Error, Range, Reader, Tier};
use columns::{Cell, Column, Dataset};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Form of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// Apache Parquet with zstd.
    Parquet,
    /// RFC 4180 with a line of names.
    Csv,
    /// One JSON object on each line.
    Json,
}

impl Form {
    const fn extension(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Json => "jsonl",
        }
    }
}

/// What is exported, and where to.
#[derive(Clone, Debug)]
pub struct Options {
    /// Made if it is not there.
    pub directory: PathBuf,
    /// Form of the files.
    pub form: Form,
    /// Over which time.
    pub range: Range,
    /// The tier of the series.
    pub tier: Tier,
}

/// What was written of one dataset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Rows.
    pub rows: u64,
    /// Files.
    pub files: u64,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Records of the tier.
    pub series: Written,
    /// Ended flows.
    pub flows: Written,
    /// Records that were skipped because their checksum was wrong.
    pub bad_records: u64,
}

/// Exports series and flows of a range.
///
/// # Errors
/// The store cannot be read, or a file cannot be written: files of earlier days are whole then.
pub fn export(reader: &Reader, options: &Options) -> Result<Done, Error> {
    let mut series = Partitions::new(options, &columns::SERIES);
    let mut bad_records = reader.records(options.tier, options.range, |record| {
        series.row(record.start, columns::of_record(&record, options.tier))
    })?;
    let series = series.finish()?;
    let mut flows = Partitions::new(options, &columns::FLOWS);
    bad_records +=
        reader.each_flow(options.range, |flow| flows.row(columns::second(flow.last_seen), columns::of_flow(&flow)))?;
    Ok(Done { series, flows: flows.finish()?, bad_records })
}

/// The files of one dataset. Rows come in order of time, so one is open at a time.
struct Partitions<'o> {
    options: &'o Options,
    dataset: &'static Dataset,
    open: Option<Partition>,
    written: Written,
    failed: Option<Error>,
}

/// One file that is being written.
struct Partition {
    day: u64,
    path: PathBuf,
    sink: Sink,
}

enum Sink {
    Parquet(parquet::Sink<File>),
    Csv(BufWriter<File>),
    Json(BufWriter<File>),
}

impl<'o> Partitions<'o> {
    fn new(options: &'o Options, dataset: &'static Dataset) -> Self {
        Self { options, dataset, open: None, written: Written::default(), failed: None }
    }

    /// Writes a row of the day that `second` is in; breaks after a failure.
    fn row(&mut self, second: u64, row: Vec<Cell>) -> ControlFlow<()> {
        match self.try_row(second / DAY, row) {
            Ok(()) => {
                self.written.rows += 1;
                ControlFlow::Continue(())
            }
            Err(error) => {
                self.failed = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    fn try_row(&mut self, day: u64, row: Vec<Cell>) -> Result<(), Error> {
        if self.open.as_ref().is_none_or(|open| open.day != day) {
            self.close()?;
            self.open = Some(self.begin(day)?);
        }
        let Some(Partition { path, sink, .. }) = &mut self.open else { return Ok(()) };
        let columns = self.dataset.columns;
        let written = match sink {
            Sink::Parquet(sink) => sink.row(row),
            Sink::Csv(out) => text::csv_row(out, &row),
            Sink::Json(out) => text::json_row(out, columns, &row),
        };
        written.map_err(|source| refused("write", path, source))
    }

    fn begin(&self, day: u64) -> Result<Partition, Error> {
        let date = date(day);
        let directory = self.options.directory.join(self.dataset.name).join(format!("date={date}"));
        std::fs::create_dir_all(&directory).map_err(|source| refused("make", &directory, source))?;
        let path = directory.join(format!("part-0.{}", self.options.form.extension()));
        let failed = |source| refused("make", &path, source);
        let file = File::create(unfinished(&path)).map_err(failed)?;
        let sink = match self.options.form {
            Form::Parquet => Sink::Parquet(parquet::Sink::new(file, self.dataset).map_err(failed)?),
            Form::Csv => {
                let mut out = BufWriter::new(file);
                text::csv_names(&mut out, self.dataset.columns).map_err(failed)?;
                Sink::Csv(out)
            }
            Form::Json => Sink::Json(BufWriter::new(file)),
        };
        Ok(Partition { day, path, sink })
    }

    /// Finishes the open file and gives it its name.
    fn close(&mut self) -> Result<(), Error> {
        let Some(Partition { path, sink, .. }) = self.open.take() else { return Ok(()) };
        let finished = match sink {
            Sink::Parquet(sink) => sink.finish(),
            Sink::Csv(mut out) | Sink::Json(mut out) => out.flush(),
        };
        let named = finished.and_then(|()| std::fs::rename(unfinished(&path), &path));
        named.map_err(|source| refused("finish", &path, source))?;
        self.written.files += 1;
        Ok(())
    }

    fn finish(mut self) -> Result<Written, Error> {
        match self.failed.take() {
            Some(error) => Err(error),
            None => self.close().map(|()| self.written),
        }
    }
}

/// Leaves no half file behind.
impl Drop for Partitions<'_> {
    fn drop(&mut self) {
        if let Some(Partition { path, .. }) = self.open.take() {
            drop(std::fs::remove_file(unfinished(&path)));
        }
    }
}

const DAY: u64 = 86_400;

fn unfinished(path: &Path) -> PathBuf {
    path.with_extension("unfinished")
}

fn date(day: u64) -> String {
    let seconds = i64::try_from(day * DAY).unwrap_or(i64::MAX);
    let at = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
    at.strftime("%Y-%m-%d").to_string()
}

fn refused(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Export { action, path: path.into(), source }
}
