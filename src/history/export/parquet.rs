//! Rows as Apache Parquet: zstd, row groups of a bounded size, logical types that engines know.

use super::columns::{Cell, Dataset, Kind};
use ::parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use ::parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use ::parquet::schema::types::Type;
use std::io::{self, Write};
use std::sync::Arc;

/// Rows of a row group: what is held in memory, some 10 MiB.
const GROUP: usize = 50_000;

/// One Parquet file that is being written.
pub(super) struct Sink<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    dataset: &'static Dataset,
    rows: Vec<Vec<Cell>>,
}

impl<W: Write + Send> Sink<W> {
    pub(super) fn new(out: W, dataset: &'static Dataset) -> io::Result<Self> {
        let zstd = Compression::ZSTD(ZstdLevel::default());
        let properties = WriterProperties::builder().set_compression(zstd).set_created_by(CREATED_BY.into()).build();
        let schema = schema(dataset).map_err(failed)?;
        let writer = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties)).map_err(failed)?;
        Ok(Self { writer, dataset, rows: Vec::new() })
    }

    pub(super) fn row(&mut self, row: Vec<Cell>) -> io::Result<()> {
        self.rows.push(row);
        if self.rows.len() >= GROUP { self.flush().map_err(failed) } else { Ok(()) }
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.flush().map_err(failed)?;
        self.writer.close().map(drop).map_err(failed)
    }

    fn flush(&mut self) -> Result<(), ParquetError> {
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        for (index, column) in self.dataset.columns.iter().enumerate() {
            let Some(mut writer) = group.next_column()? else { break };
            write(&mut writer, column.kind, rows.iter().map(|row| &row[index]))?;
            writer.close()?;
        }
        group.close().map(drop)
    }
}

const CREATED_BY: &str = concat!("netmon ", env!("CARGO_PKG_VERSION"));

/// Writes one column of a row group. Where values may be missing a level of 0 says so.
fn write<'c>(
    writer: &mut SerializedColumnWriter<'_>,
    kind: Kind,
    cells: impl Iterator<Item = &'c Cell>,
) -> Result<(), ParquetError> {
    let (mut texts, mut longs, mut ints, mut reals, mut levels) = (vec![], vec![], vec![], vec![], vec![]);
    for cell in cells {
        match cell {
            Cell::Text(text) => texts.push(ByteArray::from(text.as_str())),
            Cell::Time(at) => longs.push((at.as_nanos() / 1000).cast_signed()),
            Cell::Count(number) => longs.push(number.cast_signed()),
            Cell::Byte(number) => ints.push(i32::from(*number)),
            Cell::Port(port) => {
                levels.push(i16::from(port.is_some()));
                ints.extend(port.map(i32::from));
            }
            Cell::Real(number) => {
                levels.push(i16::from(number.is_some()));
                reals.extend(*number);
            }
        }
    }
    let levels = matches!(kind, Kind::OptionalPort | Kind::OptionalReal).then_some(&levels[..]);
    match kind {
        Kind::Text => writer.typed::<ByteArrayType>().write_batch(&texts, levels, None),
        Kind::Time | Kind::Count => writer.typed::<Int64Type>().write_batch(&longs, levels, None),
        Kind::Byte | Kind::OptionalPort => writer.typed::<Int32Type>().write_batch(&ints, levels, None),
        Kind::OptionalReal => writer.typed::<DoubleType>().write_batch(&reals, levels, None),
    }
    .map(drop)
}

fn schema(dataset: &Dataset) -> Result<Type, ParquetError> {
    let field = |column: &super::Column| {
        let (physical, logical, repetition) = form(column.kind);
        let field = Type::primitive_type_builder(column.name, physical);
        field.with_logical_type(logical).with_repetition(repetition).build().map(Arc::new)
    };
    let fields = dataset.columns.iter().map(field).collect::<Result<Vec<_>, _>>()?;
    Type::group_type_builder(dataset.name).with_fields(fields).build()
}

fn form(kind: Kind) -> (Physical, Option<LogicalType>, Repetition) {
    let unsigned = |bit_width| Some(LogicalType::Integer { bit_width, is_signed: false });
    match kind {
        Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String), Repetition::REQUIRED),
        Kind::Time => {
            let micros = LogicalType::Timestamp { is_adjusted_to_u_t_c: true, unit: TimeUnit::MICROS };
            (Physical::INT64, Some(micros), Repetition::REQUIRED)
        }
        Kind::Count => (Physical::INT64, unsigned(64), Repetition::REQUIRED),
        Kind::Byte => (Physical::INT32, unsigned(8), Repetition::REQUIRED),
        Kind::OptionalPort => (Physical::INT32, unsigned(16), Repetition::OPTIONAL),
        Kind::OptionalReal => (Physical::DOUBLE, None, Repetition::OPTIONAL),
    }
}

fn failed(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(source) => io::Error::other(source),
        other => io::Error::other(other.to_string()),
    }
}
