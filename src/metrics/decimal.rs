//! Numbers as text: integers stay integers, nanoseconds become exact decimal seconds.

use super::family::Scale;
use std::fmt;

/// An integer in the unit of a histogram, printed in its base unit without rounding: `0.0001`, `64`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decimal {
    pub value: u128,
    pub scale: Scale,
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NANOS: u128 = 1_000_000_000;
        match self.scale {
            Scale::One => write!(f, "{}", self.value),
            Scale::Nanoseconds if self.value.is_multiple_of(NANOS) => write!(f, "{}", self.value / NANOS),
            Scale::Nanoseconds => {
                let fraction = format!("{:09}", self.value % NANOS);
                write!(f, "{}.{}", self.value / NANOS, fraction.trim_end_matches('0'))
            }
        }
    }
}

impl Decimal {
    /// The nearest double.
    pub(crate) fn to_f64(self) -> f64 {
        // Both parts of a decimal number are digits, so it always parses; parsing rounds once, dividing would twice.
        self.to_string().parse().unwrap_or(f64::NAN)
    }
}

/// An upper bound as the `le` label: always with a point (`64.0`), as OpenMetrics wants it, so that a series has the
/// same labels in every format.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound(pub Decimal);

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = match self.0.scale {
            Scale::One => true,
            Scale::Nanoseconds => self.0.value.is_multiple_of(1_000_000_000),
        };
        write!(f, "{}{}", self.0, if whole { ".0" } else { "" })
    }
}

/// A finite double as Go and Python read it: whole numbers without a point, far ones with an exponent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Real(pub f64);

impl fmt::Display for Real {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.abs();
        if magnitude == 0.0 || (1e-6..1e17).contains(&magnitude) {
            write!(f, "{}", self.0)
        } else {
            write!(f, "{:e}", self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(value: u128) -> Decimal {
        Decimal { value, scale: Scale::Nanoseconds }
    }

    #[test]
    fn nanoseconds_become_exact_seconds() {
        assert_eq!(seconds(100_000).to_string(), "0.0001");
        assert_eq!(seconds(1_084_443_427_311_224_000).to_string(), "1084443427.311224");
        assert_eq!(seconds(10_000_000_000).to_string(), "10");
        assert_eq!(seconds(u128::from(u64::MAX)).to_string(), "18446744073.709551615");
    }

    #[test]
    fn bounds_have_a_point_and_no_exponent() {
        assert_eq!(Bound(seconds(100_000)).to_string(), "0.0001");
        assert_eq!(Bound(seconds(10_000_000_000)).to_string(), "10.0");
        assert_eq!(Bound(Decimal { value: 16 << 30, scale: Scale::One }).to_string(), "17179869184.0");
    }

    #[test]
    fn whole_numbers_print_without_a_point_and_far_ones_with_an_exponent() {
        assert_eq!(Real(1250.0).to_string(), "1250");
        assert_eq!(Real(0.1).to_string(), "0.1");
        assert_eq!(Real(1e300).to_string(), "1e300");
        assert_eq!(Real(-2.5e-9).to_string(), "-2.5e-9");
    }
}
