//! Record times of pcapng: counts of an interface's own unit, since 1970 plus an offset.

use crate::time::Timestamp;

/// Unit and offset of the record times of one interface (if_tsresol, if_tsoffset).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    unit: Unit,
    offset_seconds: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// This many nanoseconds.
    Nanos(u64),
    /// A nanosecond is this many; 0 where that is more than a count can hold.
    PerNano(u64),
    /// 2^-n seconds.
    Binary(u32),
}

/// Microseconds, as without options.
impl Default for Clock {
    fn default() -> Self {
        Self { unit: Unit::Nanos(1000), offset_seconds: 0 }
    }
}

impl Clock {
    /// Sets the unit by an if_tsresol value: 10^-n seconds, or 2^-n with the high bit; every value is legal.
    pub(super) fn set_resolution(&mut self, if_tsresol: u8) {
        let exponent = u32::from(if_tsresol & 0x7f);
        self.unit = match (if_tsresol & 0x80 == 0, exponent) {
            (false, _) => Unit::Binary(exponent),
            (true, 0..=9) => Unit::Nanos(10_u64.pow(9 - exponent)),
            (true, _) => Unit::PerNano(10_u64.checked_pow(exponent - 9).unwrap_or(0)),
        };
    }

    /// Sets the seconds that are added to every time.
    pub(super) fn set_offset(&mut self, seconds: i64) {
        self.offset_seconds = seconds;
    }

    /// The time of a count; the nearer end of the range, as an error, where it is outside 1970 to 2262.
    #[inline]
    pub(super) fn timestamp(&self, count: u64) -> Result<Timestamp, Timestamp> {
        if let (Unit::Nanos(factor), 0) = (self.unit, self.offset_seconds) {
            // The common case without wide arithmetic.
            if let Some(nanos) = count.checked_mul(factor).filter(|nanos| *nanos <= Timestamp::MAX.as_nanos()) {
                return Ok(Timestamp::from_nanos(nanos));
            }
        }
        self.wide(count)
    }

    fn wide(&self, count: u64) -> Result<Timestamp, Timestamp> {
        let count = i128::from(count);
        let nanos = match self.unit {
            Unit::Nanos(factor) => count * i128::from(factor),
            Unit::PerNano(divisor) => count.checked_div(i128::from(divisor)).unwrap_or(0),
            Unit::Binary(exponent) => (count * 1_000_000_000) >> exponent,
        };
        let nanos = nanos + i128::from(self.offset_seconds) * 1_000_000_000;
        if nanos < 0 {
            return Err(Timestamp::MIN);
        }
        let in_range = u64::try_from(nanos).ok().filter(|nanos| *nanos <= Timestamp::MAX.as_nanos());
        in_range.map(Timestamp::from_nanos).ok_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(if_tsresol: u8, offset: i64, count: u64) -> Result<u64, u64> {
        let mut clock = Clock::default();
        clock.set_resolution(if_tsresol);
        clock.set_offset(offset);
        clock.timestamp(count).map(Timestamp::as_nanos).map_err(Timestamp::as_nanos)
    }

    #[test]
    fn every_resolution_gives_nanoseconds() {
        assert_eq!(at(0, 0, 7), Ok(7_000_000_000));
        assert_eq!(at(6, 0, 7), Ok(7_000));
        assert_eq!(at(9, 0, 7), Ok(7));
        assert_eq!(at(12, 0, 7_999), Ok(7));
        assert_eq!(at(28, 0, u64::MAX), Ok(1));
        assert_eq!(at(127, 0, u64::MAX), Ok(0));
        assert_eq!(at(0x80, 0, 7), Ok(7_000_000_000));
        assert_eq!(at(0x80 | 10, 0, 1536), Ok(1_500_000_000));
        assert_eq!(at(0x80 | 127, 0, u64::MAX), Ok(0));
    }

    #[test]
    fn an_offset_moves_the_time_both_ways() {
        assert_eq!(at(6, 10, 1), Ok(10_000_001_000));
        assert_eq!(at(6, -10, 11_000_000), Ok(1_000_000_000));
    }

    #[test]
    fn times_outside_the_range_are_clamped_to_the_nearer_end() {
        let max = Timestamp::MAX.as_nanos();
        assert_eq!(at(6, -10, 0), Err(0));
        assert_eq!(at(0, 0, u64::MAX), Err(max));
        assert_eq!(at(9, 0, max), Ok(max));
        assert_eq!(at(9, 0, max + 1), Err(max));
        assert_eq!(at(9, i64::MAX, u64::MAX), Err(max));
        assert_eq!(at(9, i64::MIN, 0), Err(0));
    }
}
