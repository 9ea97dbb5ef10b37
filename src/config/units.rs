//! Sizes, durations and rates as people write them: `16MiB`, `1h30min`, `800Mbit/s`.
//!
//! Everything is exact: what does not come out as a whole number of bytes, nanoseconds or bits, or does not fit into 64
//! bits, is refused. What is printed reads back as the same value, with and without its spaces.
//!
//! Refused as ambiguous: `64K` (1000 or 1024?), `10Mb` as a size, leading zeros (`010`), exponents, signs.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A number of bytes: `1500`, `64kB` (1000), `16MiB` (1024 squared), `1.5GiB`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(pub u64);

/// A length of time: `90` (seconds), `100ms`, `1h30min`. From 0 to 2^64 − 1 ns, about 584 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    nanos: u64,
}

/// A rate: `1000` (bytes per second), `800Mbit/s`, `100MiB/s`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate {
    /// Bits per second; the finest unit in which rates are written.
    pub bits_per_second: u64,
}

/// Why a text is no size, duration or rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// No number where one belongs.
    #[error("no {what} such as {example}")]
    Malformed {
        /// What was expected.
        what: &'static str,
        /// How it is written.
        example: &'static str,
    },
    /// A unit that is not known, missing, or out of order.
    #[error("units are {allowed}")]
    Unit {
        /// The units there are.
        allowed: &'static str,
    },
    /// More digits than the unit has.
    #[error("not a whole number of {base}")]
    Inexact {
        /// The base unit.
        base: &'static str,
    },
    /// Does not fit into 64 bits of the base unit.
    #[error("too large")]
    TooLarge,
}

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = Decimal::split(text).ok_or(SIZE_FORM)?;
        let scale = if unit.is_empty() { 1 } else { lookup(&SIZES, unit).ok_or(SIZE_UNITS)? };
        number.times(scale, "bytes").map(Self)
    }
}

/// `512 B`, `64 kB`, `16 MiB`: the unit that gives the smallest whole number.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = largest_unit(&SIZES, self.0);
        write!(f, "{number} {unit}")
    }
}

impl Span {
    /// This many nanoseconds.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self { nanos }
    }

    /// Nanoseconds.
    pub const fn as_nanos(self) -> u64 {
        self.nanos
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        Self::from_nanos(span.nanos)
    }
}

/// Saturates at the longest span.
impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        Self { nanos: u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX) }
    }
}

impl FromStr for Span {
    type Err = UnitError;

    /// A bare number is in seconds; otherwise numbers with units, each unit once, the larger first.
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = Decimal::split(text).ok_or(SPAN_FORM)?;
        if unit.is_empty() {
            return number.times(NANOS_PER_SECOND, "nanoseconds").map(Self::from_nanos);
        }
        let (mut nanos, mut rest, mut smallest) = (0_u64, text, u64::MAX);
        while !rest.is_empty() {
            let (number, tail) = Decimal::split(rest).ok_or(SPAN_FORM)?;
            let end = tail.find(|c: char| c.is_ascii_digit() || c == ' ').unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(end);
            let scale = lookup(&SPANS, unit).filter(|&scale| scale < smallest).ok_or(SPAN_UNITS)?;
            let part = number.times(scale, "nanoseconds")?;
            nanos = nanos.checked_add(part).ok_or(UnitError::TooLarge)?;
            (rest, smallest) = (tail.trim_start(), scale);
        }
        Ok(Self { nanos })
    }
}

/// `3 ms`, `60 s`, `1 h 30 min`: minutes from two on, so that the usual timeouts keep their seconds.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes_from = 2 * 60 * NANOS_PER_SECOND;
        let (mut rest, mut separator) = (self.nanos, "");
        for (unit, scale) in PRINTED_SPANS {
            let whole = rest / scale;
            if whole == 0 || (unit == "min" && self.nanos < minutes_from) {
                continue;
            }
            write!(f, "{separator}{whole} {unit}")?;
            (rest, separator) = (rest % scale, " ");
        }
        if self.nanos == 0 { f.write_str("0 s") } else { Ok(()) }
    }
}

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = Decimal::split(text).ok_or(RATE_FORM)?;
        let scale = if unit.is_empty() {
            Some(8)
        } else if let Some(amount) = unit.strip_suffix("/s") {
            lookup(&BITS, amount).or_else(|| lookup(&SIZES, amount).map(|bytes| 8 * bytes))
        } else {
            lookup(&BITS_PER_SECOND, unit)
        };
        let bits_per_second = number.times(scale.ok_or(RATE_UNITS)?, "bits per second")?;
        Ok(Self { bits_per_second })
    }
}

/// Bytes per second where they come out whole (`100 MiB/s`), else bits (`12 bit/s`).
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = if self.bits_per_second.is_multiple_of(8) {
            largest_unit(&SIZES, self.bits_per_second / 8)
        } else {
            largest_unit(&BITS, self.bits_per_second)
        };
        write!(f, "{number} {unit}/s")
    }
}

/// A decimal number without sign or exponent: `mantissa / 10^scale`.
#[derive(Clone, Copy)]
struct Decimal {
    mantissa: u128,
    scale: u32,
}

impl Decimal {
    /// The most digits before and behind the point; 64 bits need 20.
    const MAX_DIGITS: usize = 20;

    /// The number at the start of `text`, and what follows it without the space between. `None` if there is none.
    fn split(text: &str) -> Option<(Self, &str)> {
        let (whole, mut rest) = digits(text);
        let mut fraction = "";
        if let Some(behind_point) = rest.strip_prefix('.') {
            (fraction, rest) = digits(behind_point);
            if fraction.is_empty() {
                return None;
            }
        }
        let leading_zero = whole.len() > 1 && whole.starts_with('0');
        let too_long = whole.len() > Self::MAX_DIGITS || fraction.len() > Self::MAX_DIGITS / 2;
        if whole.is_empty() || leading_zero || too_long {
            return None;
        }
        let mantissa = whole.bytes().chain(fraction.bytes()).fold(0, |sum, digit| sum * 10 + u128::from(digit - b'0'));
        let scale = u32::try_from(fraction.len()).ok()?;
        Some((Self { mantissa, scale }, rest.strip_prefix(' ').unwrap_or(rest)))
    }

    /// This number of units of `scale` bases each.
    fn times(self, scale: u64, base: &'static str) -> Result<u64, UnitError> {
        let divisor = 10_u128.pow(self.scale);
        let scaled = self.mantissa.checked_mul(u128::from(scale)).ok_or(UnitError::TooLarge)?;
        if !scaled.is_multiple_of(divisor) {
            return Err(UnitError::Inexact { base });
        }
        u64::try_from(scaled / divisor).map_err(|_| UnitError::TooLarge)
    }
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn lookup(units: &[(&str, u64)], name: &str) -> Option<u64> {
    units.iter().find(|(unit, _)| *unit == name).map(|&(_, scale)| scale)
}

/// `value` in the first of `units` that divides it; the last one divides everything and serves for 0.
fn largest_unit(units: &[(&'static str, u64)], value: u64) -> (u64, &'static str) {
    let divides = |scale: u64| value.is_multiple_of(scale) && (value > 0 || scale == 1);
    units.iter().find(|&&(_, scale)| divides(scale)).map_or((value, ""), |&(unit, scale)| (value / scale, unit))
}

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// From large to small; `KB` only reads.
const SIZES: [(&str, u64); 10] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("KB", 1_000),
    ("B", 1),
];
const BITS: [(&str, u64); 9] = [
    ("Tibit", 1 << 40),
    ("Tbit", 1_000_000_000_000),
    ("Gibit", 1 << 30),
    ("Gbit", 1_000_000_000),
    ("Mibit", 1 << 20),
    ("Mbit", 1_000_000),
    ("Kibit", 1 << 10),
    ("kbit", 1_000),
    ("bit", 1),
];
const BITS_PER_SECOND: [(&str, u64); 5] =
    [("Tbps", 1_000_000_000_000), ("Gbps", 1_000_000_000), ("Mbps", 1_000_000), ("kbps", 1_000), ("bps", 1)];
const SPANS: [(&str, u64); 9] = [
    ("d", 86_400 * NANOS_PER_SECOND),
    ("h", 3_600 * NANOS_PER_SECOND),
    ("min", 60 * NANOS_PER_SECOND),
    ("m", 60 * NANOS_PER_SECOND),
    ("s", NANOS_PER_SECOND),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("ns", 1),
];
const PRINTED_SPANS: [(&str, u64); 6] = [
    ("h", 3_600 * NANOS_PER_SECOND),
    ("min", 60 * NANOS_PER_SECOND),
    ("s", NANOS_PER_SECOND),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

const SIZE_FORM: UnitError = UnitError::Malformed { what: "size", example: "`1500` or `16MiB`" };
const SIZE_UNITS: UnitError = UnitError::Unit { allowed: "B, kB, MB, GB, TB (1000) and KiB, MiB, GiB, TiB (1024)" };
const SPAN_FORM: UnitError = UnitError::Malformed { what: "duration", example: "`10s` or `1h30min`" };
const SPAN_UNITS: UnitError = UnitError::Unit { allowed: "d, h, min, s, ms, us, ns, each once, the larger first" };
const RATE_FORM: UnitError = UnitError::Malformed { what: "rate", example: "`800Mbit/s` or `100MiB/s`" };
const RATE_UNITS: UnitError =
    UnitError::Unit { allowed: "bit/s, kbit/s, Mbit/s, Gbit/s, B/s, kB/s, KiB/s, MiB/s, ..." };

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn size(text: &str) -> Result<u64, UnitError> {
        text.parse().map(|Size(bytes)| bytes)
    }

    fn nanos(text: &str) -> Result<u64, UnitError> {
        text.parse().map(Span::as_nanos)
    }

    fn bits(text: &str) -> Result<u64, UnitError> {
        text.parse().map(|rate: Rate| rate.bits_per_second)
    }

    #[test]
    fn sizes_read_in_powers_of_ten_and_of_two() {
        for (text, bytes) in [
            ("0", 0),
            ("1500", 1500),
            ("64KB", 64_000),
            ("64kB", 64_000),
            ("64KiB", 65_536),
            ("100MiB", 104_857_600),
            ("1.5 GiB", 1_610_612_736),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn ambiguous_or_inexact_sizes_are_refused() {
        for text in ["", "MiB", "-1", "+1", "010", "0x10", "1e3", "1_000", "1.", ".5", " 1", "1  B", "١"] {
            assert!(size(text).is_err(), "{text}");
        }
        for text in ["64K", "10Mb", "1mib", "1B/s", "1 B "] {
            assert_eq!(size(text), Err(SIZE_UNITS), "{text}");
        }
        assert_eq!(size("1.5"), Err(UnitError::Inexact { base: "bytes" }));
        assert_eq!(size("18446744073709551616"), Err(UnitError::TooLarge));
        assert_eq!(size("16777216TiB"), Err(UnitError::TooLarge));
    }

    #[test]
    fn a_bare_duration_is_in_seconds() {
        assert_eq!(nanos("10"), Ok(10_000_000_000));
        assert_eq!(nanos("0.5"), Ok(500_000_000));
        assert_eq!(nanos("100ms"), Ok(100_000_000));
        assert_eq!(nanos("1h30m"), Ok(5_400_000_000_000));
        assert_eq!(nanos("1 h 30 min"), Ok(5_400_000_000_000));
        assert_eq!(nanos("1d"), nanos("24h"));
    }

    #[test]
    fn duration_units_come_once_and_the_larger_first() {
        for text in ["30m1h", "1s1s", "1m1min", "1h30", "1 fortnight", "1h 30 min x", "10S"] {
            assert!(nanos(text).is_err(), "{text}");
        }
        assert_eq!(nanos("0.1ns"), Err(UnitError::Inexact { base: "nanoseconds" }));
        assert_eq!(nanos("213504d"), Err(UnitError::TooLarge));
        assert_eq!(nanos("213503d86400s"), Err(UnitError::TooLarge));
    }

    #[test]
    fn durations_print_as_people_say_them() {
        for (seconds, text) in [(0, "0 s"), (60, "60 s"), (90, "90 s"), (300, "5 min"), (5400, "1 h 30 min")] {
            assert_eq!(Span::from(Duration::from_secs(seconds)).to_string(), text);
        }
        assert_eq!(Span::from(Duration::from_millis(1500)).to_string(), "1 s 500 ms");
        assert_eq!(Span::from(Duration::from_secs(86_400)).to_string(), "24 h");
    }

    #[test]
    fn a_rate_of_bits_and_one_of_bytes_are_the_same_thing() {
        assert_eq!(bits("800Mbit/s"), bits("100MB/s"));
        assert_eq!(bits("800Mbps"), bits("100MB/s"));
        assert_eq!(bits("125"), bits("1kbit/s"));
        assert_eq!(bits("100MiB/s"), Ok(838_860_800));
        for text in ["800Mbit", "100MiB", "1/s", "-1bit/s", "0.5bit/s", "3TiB/h", "2305843009213693952B/s"] {
            assert!(bits(text).is_err(), "{text}");
        }
        assert_eq!(Rate { bits_per_second: 12 }.to_string(), "12 bit/s");
        assert_eq!(Rate { bits_per_second: 838_860_800 }.to_string(), "100 MiB/s");
    }

    fn reads_back<T: FromStr<Err = UnitError> + fmt::Display + PartialEq + fmt::Debug>(value: &T) {
        let printed = value.to_string();
        assert_eq!(printed.parse::<T>().as_ref(), Ok(value), "{printed}");
        let compact = printed.replace(' ', "");
        assert_eq!(compact.parse::<T>().as_ref(), Ok(value), "{compact}");
    }

    proptest! {
        #[test]
        fn whatever_is_printed_reads_back(value: u64, shift in 0_u32..64, zeros in 0_u32..12) {
            let round = (value >> shift).checked_mul(10_u64.pow(zeros)).unwrap_or(value);
            for number in [value, value >> shift, value << shift, round] {
                reads_back(&Size(number));
                reads_back(&Span::from_nanos(number));
                reads_back(&Rate { bits_per_second: number });
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in r"[0-9.]{0,24} ?[a-zA-Zµ/ ]{0,6}|\PC{0,24}") {
            let _ = (size(&text), nanos(&text), bits(&text));
        }

        #[test]
        fn a_size_in_a_unit_is_the_product_or_too_large(number: u64, unit in 0..SIZES.len()) {
            let (name, scale) = SIZES[unit];
            let expected = number.checked_mul(scale).ok_or(UnitError::TooLarge);
            prop_assert_eq!(size(&format!("{number}{name}")), expected);
        }
    }
}
