//! Numbers and times as people read them in a narrow column.

use jiff::Timestamp;
use jiff::tz::TimeZone;

const PREFIXES: [&str; 6] = ["", "k", "M", "G", "T", "P"];

/// Three significant digits and a prefix of 1000.
fn scaled(value: f64) -> (String, &'static str) {
    let (mut value, mut prefixes) = (value, PREFIXES.into_iter());
    let mut prefix = prefixes.next().unwrap_or_default();
    while value >= 999.5 {
        let Some(next) = prefixes.next() else { break };
        (value, prefix) = (value / 1000.0, next);
    }
    (short(value), prefix)
}

fn short(value: f64) -> String {
    match value {
        0.0 => "0".into(),
        _ if value >= 99.95 => format!("{value:.0}"),
        _ if value >= 9.995 => format!("{value:.1}"),
        _ if value >= 0.01 => format!("{value:.2}"),
        _ => "<0.01".into(),
    }
}

/// A rate given in bytes per second, in bits (as links are sold) or bytes.
pub(super) fn rate(bytes_per_second: f64, bits: bool) -> String {
    let (value, prefix) = scaled(if bits { bytes_per_second * 8.0 } else { bytes_per_second });
    format!("{value} {prefix}{}", if bits { "bit/s" } else { "B/s" })
}

/// A number of bytes.
pub(super) fn bytes(count: u64) -> String {
    let (value, prefix) = scaled(count as f64);
    format!("{value} {prefix}B")
}

/// A count; in full while it is short.
pub(super) fn count(value: u64) -> String {
    match value {
        0..100_000 => value.to_string(),
        _ => {
            let (value, prefix) = scaled(value as f64);
            format!("{value} {prefix}")
        }
    }
}

/// Events per second.
pub(super) fn per_second(value: f64) -> String {
    let (value, prefix) = scaled(value);
    format!("{value}{}{prefix}/s", if prefix.is_empty() { "" } else { " " })
}

/// A ratio as a percentage; never rounded to 0 or 100 when it is not.
pub(super) fn percent(ratio: Option<f64>) -> String {
    let Some(value) = ratio.map(|ratio| ratio * 100.0) else { return "–".into() };
    match value {
        0.0 => "0 %".into(),
        _ if value < 0.01 => "<0.01 %".into(),
        _ if value > 99.99 && value < 100.0 => ">99.99 %".into(),
        _ if value < 10.0 => format!("{value:.2} %"),
        _ => format!("{value:.1} %"),
    }
}

/// A span of time.
pub(super) fn duration(seconds: Option<f64>) -> String {
    let Some(seconds) = seconds else { return "–".into() };
    match seconds {
        _ if seconds < 0.001 => format!("{} µs", short(seconds * 1e6)),
        _ if seconds < 1.0 => format!("{} ms", short(seconds * 1e3)),
        _ if seconds < 120.0 => format!("{} s", short(seconds)),
        _ if seconds < 7200.0 => format!("{:.0} min", seconds / 60.0),
        _ if seconds < 172_800.0 => format!("{:.0} h", seconds / 3600.0),
        _ => format!("{:.0} d", seconds / 86_400.0),
    }
}

/// A moment of the API by the clock of the reader.
pub(super) fn clock(time: &str) -> String {
    let zoned = time.parse::<Timestamp>().map(|time| time.to_zoned(TimeZone::system()));
    zoned.map_or_else(|_| "–".into(), |time| time.strftime("%H:%M:%S").to_string())
}

/// A moment of the API in whole seconds since 1970.
pub(super) fn seconds(time: &str) -> Option<i64> {
    time.parse::<Timestamp>().ok().map(Timestamp::as_second)
}

/// What an alert measures.
pub(super) fn amount(value: f64, unit: &str, bits: bool) -> String {
    match unit {
        "bytes_per_second" => rate(value, bits),
        "bytes" => {
            let (value, prefix) = scaled(value);
            format!("{value} {prefix}B")
        }
        "ratio" => percent(Some(value)),
        "seconds" => duration(Some(value)),
        _ if unit.ends_with("_per_second") => per_second(value),
        _ => {
            let (value, prefix) = scaled(value);
            format!("{value} {prefix}").trim_end().to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_three_digits_in_either_unit() {
        assert_eq!(rate(125_000.0, true), "1.00 Mbit/s");
        assert_eq!(rate(125_000.0, false), "125 kB/s");
        assert_eq!(rate(0.0, true), "0 bit/s");
        assert_eq!(rate(999_499.0, false), "999 kB/s");
        assert_eq!(rate(999_500.0, false), "1.00 MB/s");
    }

    #[test]
    fn percentages_are_never_rounded_to_nothing_or_all() {
        assert_eq!(percent(Some(0.0)), "0 %");
        assert_eq!(percent(Some(0.000_001)), "<0.01 %");
        assert_eq!(percent(Some(0.999_999)), ">99.99 %");
        assert_eq!(percent(Some(1.0)), "100.0 %");
        assert_eq!(percent(None), "–");
    }

    #[test]
    fn times_that_cannot_be_read_are_left_out() {
        assert_eq!(clock("yesterday"), "–");
        assert_eq!(seconds("1970-01-01T00:01:00.500000000Z"), Some(60));
    }
}
