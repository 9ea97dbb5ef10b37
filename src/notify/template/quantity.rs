//! A number with its unit, as people read it.

use minijinja::value::{Object, ObjectRepr};
use std::fmt;
use std::sync::Arc;

/// A measured value or a limit: `120 MiB/s`, `12.5 %`, `3.2 ms`, `1.5 k packets/s`.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantity {
    value: f64,
    unit: Arc<str>,
}

impl Quantity {
    /// A value in the unit of its metric: `bytes_per_second`, `ratio`, `seconds`, ...
    pub fn new(value: f64, unit: &str) -> Self {
        Self { value, unit: unit.into() }
    }

    /// The number in its base unit.
    pub fn value(&self) -> f64 {
        self.value
    }

    /// Bytes as bits; other units as they are.
    pub fn in_bits(&self) -> String {
        match &*self.unit {
            "bytes" => scaled(self.value * 8.0, &DECIMAL, "bit"),
            "bytes_per_second" => scaled(self.value * 8.0, &DECIMAL, "bit/s"),
            _ => self.to_string(),
        }
    }

    /// A ratio as parts of a hundred, whatever its unit is called.
    pub fn in_percent(&self) -> String {
        format!("{} %", digits(self.value * 100.0))
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match &*self.unit {
            _ if !self.value.is_finite() => "unknown".into(),
            "bytes" => scaled(self.value, &BINARY, "B"),
            "bytes_per_second" => scaled(self.value, &BINARY, "B/s"),
            "bits_per_second" => scaled(self.value, &DECIMAL, "bit/s"),
            "ratio" => self.in_percent(),
            "seconds" => seconds(self.value),
            "" => digits(self.value),
            unit => match unit.strip_suffix("_per_second") {
                Some(what) => scaled(self.value, &DECIMAL, &format!("{}/s", what.replace('_', " "))),
                None => format!("{} {}", digits(self.value), unit.replace('_', " ")),
            },
        };
        f.write_str(&text)
    }
}

/// Prints as [`Quantity`] does; the filter `raw` gives the number.
impl Object for Quantity {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    /// It is there, which is what `{% if threshold %}` asks.
    fn is_true(self: &Arc<Self>) -> bool {
        true
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// In the largest unit that leaves at least 1.
fn scaled(value: f64, prefixes: &[(&str, f64)], unit: &str) -> String {
    let found = prefixes.iter().find(|(_, scale)| value.abs() >= *scale);
    let (prefix, scale) = found.copied().unwrap_or(("", 1.0));
    let space = if prefix.is_empty() || unit.starts_with(['B', 'b']) && !unit.starts_with("by") { "" } else { " " };
    format!("{} {prefix}{space}{unit}", digits(value / scale))
}

fn seconds(value: f64) -> String {
    let (scale, unit) = match value.abs() {
        0.0 => (1.0, "s"),
        small if small < 1e-3 => (1e6, "µs"),
        small if small < 1.0 => (1e3, "ms"),
        _ => (1.0, "s"),
    };
    format!("{} {unit}", digits(value * scale))
}

/// Four digits that count, without zeros at the end; all digits of the whole part.
fn digits(value: f64) -> String {
    let decimals = match value.abs() {
        large if large >= 1000.0 => 0,
        large if large >= 100.0 => 1,
        large if large >= 10.0 => 2,
        large if large >= 1.0 => 3,
        _ => 4,
    };
    let text = format!("{value:.decimals$}");
    let text = if decimals > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".into() } else { text.into() }
}

const BINARY: [(&str, f64); 4] =
    [("Ti", 1_099_511_627_776.0), ("Gi", 1_073_741_824.0), ("Mi", 1_048_576.0), ("Ki", 1024.0)];
const DECIMAL: [(&str, f64); 4] = [("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_print_as_people_say_them() {
        for (value, unit, text) in [
            (125_829_120.0, "bytes_per_second", "120 MiB/s"),
            (1000.0, "bytes_per_second", "1000 B/s"),
            (1536.0, "bytes", "1.5 KiB"),
            (0.0, "bytes_per_second", "0 B/s"),
            (0.1234, "ratio", "12.34 %"),
            (0.0032, "seconds", "3.2 ms"),
            (0.000_25, "seconds", "250 µs"),
            (90.0, "seconds", "90 s"),
            (1500.0, "packets_per_second", "1.5 k packets/s"),
            (12.0, "new_flows_per_second", "12 new flows/s"),
            (2_097_152.0, "flows", "2097152 flows"),
            (f64::NAN, "ratio", "unknown"),
            (f64::INFINITY, "bytes", "unknown"),
            (-0.000_001, "", "0"),
        ] {
            assert_eq!(Quantity::new(value, unit).to_string(), text);
        }
        assert_eq!(Quantity::new(1_250_000.0, "bytes_per_second").in_bits(), "10 Mbit/s");
        assert_eq!(Quantity::new(0.5, "").in_percent(), "50 %");
    }
}
