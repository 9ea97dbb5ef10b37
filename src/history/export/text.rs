//! Rows as CSV and as JSON lines.

use super::columns::{Cell, Column};
use serde_json::{Map, Value};
use std::io::{self, Write};

pub(super) fn csv_names(out: &mut impl Write, columns: &[Column]) -> io::Result<()> {
    let names: Vec<_> = columns.iter().map(|column| column.name).collect();
    write!(out, "{}\r\n", names.join(","))
}

/// A line as RFC 4180 has it; what is missing is empty.
pub(super) fn csv_row(out: &mut impl Write, row: &[Cell]) -> io::Result<()> {
    for (index, cell) in row.iter().enumerate() {
        if index > 0 {
            out.write_all(b",")?;
        }
        match cell {
            Cell::Text(text) if text.contains([',', '"', '\n', '\r']) => {
                write!(out, "\"{}\"", text.replace('"', "\"\""))?;
            }
            Cell::Text(text) => out.write_all(text.as_bytes())?,
            other => match value(other) {
                Value::Null => {}
                Value::String(text) => out.write_all(text.as_bytes())?,
                number => write!(out, "{number}")?,
            },
        }
    }
    out.write_all(b"\r\n")
}

/// One object on a line; what is missing is null.
pub(super) fn json_row(out: &mut impl Write, columns: &[Column], row: &[Cell]) -> io::Result<()> {
    let object: Map<String, Value> =
        columns.iter().zip(row).map(|(column, cell)| (column.name.to_owned(), value(cell))).collect();
    serde_json::to_writer(&mut *out, &object)?;
    out.write_all(b"\n")
}

fn value(cell: &Cell) -> Value {
    match cell {
        Cell::Text(text) => text.as_str().into(),
        Cell::Time(at) => at.to_string().into(),
        Cell::Count(number) => (*number).into(),
        Cell::Port(port) => (*port).into(),
        Cell::Byte(number) => (*number).into(),
        Cell::Real(number) => (*number).into(),
    }
}
