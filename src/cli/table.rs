//! Tables and numbers for people.

use std::fmt::Write as _;
use tabled::builder::Builder;
use tabled::settings::object::{Columns, Rows};
use tabled::settings::{Alignment, Modify, Padding, Style};

/// A table with a heading; columns named in `right` are aligned to the right.
#[derive(Debug)]
pub(super) struct Table {
    heading: &'static str,
    columns: Vec<(&'static str, Alignment)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table under `heading`. A column name that begins with `>` is aligned to the right.
    pub(super) fn new(heading: &'static str, columns: &[&'static str]) -> Self {
        let column = |name: &&'static str| match name.strip_prefix('>') {
            Some(name) => (name, Alignment::right()),
            None => (*name, Alignment::left()),
        };
        Self { heading, columns: columns.iter().map(column).collect(), rows: Vec::new() }
    }

    /// Adds a row, one cell for each column.
    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.cells(cells.into());
    }

    /// Adds a row where the number of columns is not known beforehand.
    pub(super) fn cells(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(cells);
    }

    /// Appends the table to `out`; nothing when it has no rows.
    pub(super) fn print(self, out: &mut String) {
        if self.rows.is_empty() {
            return;
        }
        let mut builder = Builder::new();
        builder.push_record(self.columns.iter().map(|(name, _)| *name));
        for row in self.rows {
            builder.push_record(row);
        }
        let mut table = builder.build();
        table.with(Style::blank()).with(Padding::new(0, 1, 0, 0));
        for (index, (_, alignment)) in self.columns.iter().enumerate() {
            table.with(Modify::new(Columns::one(index)).with(*alignment));
        }
        table.with(Modify::new(Rows::first()).with(Padding::new(0, 1, 0, 0)));
        let heading = if self.heading.is_empty() { String::new() } else { format!("{}\n", self.heading) };
        // Writing to a string cannot fail.
        let _ = write!(out, "\n{heading}");
        for line in table.to_string().lines() {
            let _ = writeln!(out, "  {}", line.trim_end());
        }
    }
}

/// A number with a comma between groups of three digits.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Bytes with a binary unit and three significant digits.
pub(super) fn bytes(bytes: u64) -> String {
    scaled(bytes as f64, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"])
}

/// A rate of bytes as bits per second, as links are named.
pub(super) fn bit_rate(bytes_per_second: f64) -> String {
    scaled(bytes_per_second * 8.0, 1000.0, &["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"])
}

/// A share in percent.
pub(super) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{:.1} %", part as f64 * 100.0 / whole as f64) }
}

/// A bar of up to `width` cells for a share, in eighths of a cell.
pub(super) fn bar(part: u64, whole: u64, width: usize) -> String {
    const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let Some(eighths) = (part as u128 * width as u128 * 8).checked_div(u128::from(whole)) else { return String::new() };
    let eighths = usize::try_from(eighths).unwrap_or(usize::MAX).min(width * 8);
    let mut bar = "█".repeat(eighths / 8);
    bar.extend(eighths.rem_euclid(8).checked_sub(1).map(|partial| EIGHTHS[partial]));
    bar
}

fn scaled(mut value: f64, step: f64, units: &[&str]) -> String {
    let mut unit = 0;
    while value >= step && unit + 1 < units.len() {
        value /= step;
        unit += 1;
    }
    let digits = if unit == 0 || value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    format!("{value:.digits$} {}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_three_digits() {
        assert_eq!(["0", "999", "1,000", "1,234,567"], [0, 999, 1000, 1_234_567].map(count));
    }

    #[test]
    fn units_step_at_their_own_base() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.50 KiB");
        assert_eq!(bit_rate(125_000.0), "1.00 Mbit/s");
        assert_eq!(bytes(u64::MAX), "16.0 EiB");
    }

    #[test]
    fn a_full_share_fills_the_bar_and_none_leaves_it_empty() {
        assert_eq!(bar(1, 1, 4), "████");
        assert_eq!(bar(1, 16, 4), "▎");
        assert_eq!(bar(0, 7, 4), "");
        assert_eq!(bar(0, 0, 4), "");
    }
}
