//! Limits as people write them, in the unit of the metric.

use crate::alert::Unit;
use crate::config::mistake::quoted;
use crate::config::units::{Rate, Size, Span};
use std::time::Duration;

/// What a limit says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Written {
    /// A value in the base unit.
    Absolute(f64),
    /// `3x`.
    Times(f64),
}

/// Reads a limit of this unit.
///
/// # Errors
/// How the message names what was found.
pub(super) fn level(unit: Unit, text: &str) -> Result<Written, String> {
    if let Some(times) = text.strip_suffix('x') {
        let times = number(times).filter(|times| *times > 0.0 && *times <= 1e6);
        return times.map(Written::Times).ok_or_else(|| quoted(text));
    }
    let value = match unit {
        Unit::BytesPerSecond => bytes_per_second(text),
        Unit::PerSecond | Unit::Count => number(text),
        Unit::Ratio => share(text),
        Unit::State => number(text).filter(|value| *value <= 1.0),
        Unit::Seconds => text.parse::<Span>().ok().map(|span| Duration::from(span).as_secs_f64()),
    };
    value.map(Written::Absolute).ok_or_else(|| quoted(text))
}

/// `100MiB` is per second too: nothing else can be meant.
fn bytes_per_second(text: &str) -> Option<f64> {
    let rate = text.parse::<Rate>().ok().map(|rate| rate.bits_per_second as f64 / 8.0);
    rate.or_else(|| text.parse::<Size>().ok().map(|size| size.0 as f64))
}

/// A whole number from 1 on; of bytes also a size such as `1MiB`.
pub(super) fn samples(text: &str, is_of_bytes: bool) -> Option<u64> {
    let plain = || text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    let size = || is_of_bytes.then(|| text.parse::<Size>().ok()).flatten().map(|size| size.0);
    plain().or_else(size).filter(|samples| (1..=1_000_000_000_000_000).contains(samples))
}

/// `0.05` or `5%`.
pub(in crate::config) fn share(text: &str) -> Option<f64> {
    let value = match text.strip_suffix('%') {
        Some(percent) => number(percent.trim_end())? / 100.0,
        None => number(text)?,
    };
    (value <= 1.0).then_some(value)
}

/// Digits with at most one point among them; signs and exponents are refused, as in all units.
fn number(text: &str) -> Option<f64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && text.starts_with(|c: char| c.is_ascii_digit())
        && text.ends_with(|c: char| c.is_ascii_digit());
    text.parse().ok().filter(|value: &f64| is_plain && *value <= 1e15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_read_in_the_unit_of_its_metric() {
        let absolute = |unit, text| {
            level(unit, text).ok().map(|written| match written {
                Written::Absolute(value) => value,
                Written::Times(_) => f64::NAN,
            })
        };
        assert_eq!(absolute(Unit::BytesPerSecond, "100MiB"), Some(104_857_600.0));
        assert_eq!(absolute(Unit::BytesPerSecond, "100MiB/s"), Some(104_857_600.0));
        assert_eq!(absolute(Unit::BytesPerSecond, "800Mbit/s"), Some(100_000_000.0));
        assert_eq!(absolute(Unit::BytesPerSecond, "1500"), Some(1500.0));
        assert_eq!(absolute(Unit::Ratio, "5%"), Some(0.05));
        assert_eq!(absolute(Unit::Ratio, "0.05"), Some(0.05));
        assert_eq!(absolute(Unit::Seconds, "50ms"), Some(0.05));
        assert_eq!(absolute(Unit::PerSecond, "0.5"), Some(0.5));
        for (unit, text) in [
            (Unit::BytesPerSecond, "5%"),
            (Unit::BytesPerSecond, "50ms"),
            (Unit::Ratio, "1.5"),
            (Unit::Ratio, "101%"),
            (Unit::Ratio, "-1"),
            (Unit::Seconds, "100MiB"),
            (Unit::PerSecond, "1e3"),
            (Unit::PerSecond, "NaN"),
            (Unit::PerSecond, "inf"),
            (Unit::Count, ""),
            (Unit::Count, "x"),
            (Unit::Count, "0x"),
            (Unit::State, "2"),
        ] {
            assert!(level(unit, text).is_err(), "{unit:?} {text}");
        }
        assert_eq!(level(Unit::Ratio, "3x"), Ok(Written::Times(3.0)));
    }
}
