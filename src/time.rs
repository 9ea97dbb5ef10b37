//! Packet time: nanoseconds since the epoch, the 100 ms tick grid, and the clock that drives everything inside.
//!
//! Every frame has two times. Its *record time* is what the kernel or the file says. The *packet clock* follows the
//! record times but never goes back; windows, timeouts and alerts read only the clock. The core takes time as an
//! argument and never asks the machine for it.

use std::fmt;
use std::time::Duration;

/// Nanoseconds in one second.
pub const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// A point in packet time: nanoseconds since 1970-01-01T00:00:00Z, without leap seconds.
///
/// Bounds: 0 to 2^63 − 1 (2262-04-11); arithmetic saturates at both ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The epoch, the least record time that is accepted.
    pub const MIN: Self = Self(0);
    /// 2262-04-11T23:47:16.854775807Z, the greatest record time that is accepted.
    pub const MAX: Self = Self(i64::MAX as u64);

    /// The point `nanos` nanoseconds after the epoch, clamped to [`Timestamp::MAX`].
    pub const fn from_nanos(nanos: u64) -> Self {
        if nanos > Self::MAX.0 { Self::MAX } else { Self(nanos) }
    }

    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Seconds since the epoch, for exposition only: a double holds about 100 ns at today's dates.
    pub fn as_secs_f64(self) -> f64 {
        (self.0 / NANOS_PER_SECOND) as f64 + (self.0 % NANOS_PER_SECOND) as f64 / 1e9
    }

    /// This point moved forward, saturating.
    pub fn saturating_add(self, by: Duration) -> Self {
        Self::from_nanos(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Nanoseconds from `earlier` to this point; 0 when `earlier` is later.
    pub const fn nanos_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// RFC 3339 in UTC with nine digits of fraction.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.0 / NANOS_PER_SECOND, self.0 % NANOS_PER_SECOND);
        let (year, month, day) = civil_from_days(seconds / 86_400);
        let of_day = seconds % 86_400;
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{nanos:09}Z",
            of_day / 3600,
            of_day / 60 % 60,
            of_day % 60
        )
    }
}

/// Gregorian date of a day number counted from 1970-01-01, by eras of 400 years that begin in March.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// One step of the 100 ms grid, counted from the epoch.
///
/// Tick `k` covers the half-open span (`(k−1)·100 ms`, `k·100 ms`], so that a window of W seconds at tick `T` is
/// exactly (T−W, T].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(pub u64);

impl Tick {
    /// Length of a tick.
    pub const NANOS: u64 = 100_000_000;
    /// Ticks in one second.
    pub const PER_SECOND: u64 = NANOS_PER_SECOND / Self::NANOS;

    /// The tick that `at` belongs to.
    pub const fn of(at: Timestamp) -> Self {
        Self(at.as_nanos().div_ceil(Self::NANOS))
    }

    /// The last instant of this tick.
    pub const fn end(self) -> Timestamp {
        Timestamp::from_nanos(self.0.saturating_mul(Self::NANOS))
    }

    /// The second that this tick lies in: `s` covers (s−1, s], as ticks do.
    pub const fn second(self) -> u64 {
        self.0.div_ceil(Self::PER_SECOND)
    }
}

/// What a record time did to the packet clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advance {
    /// The clock stays in its tick.
    Same,
    /// The clock is in a later tick of the same history.
    Ticked,
    /// The record is late by at most [`PacketClock::LATE`]; it counts in the open tick.
    Late,
    /// A *time step*: the clock jumped by more than silence explains. Windows start empty, flow timers are shifted.
    Stepped(Step),
}

/// A jump of the packet clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The clock before the jump.
    pub from: Timestamp,
    /// The clock after the jump.
    pub to: Timestamp,
}

impl Step {
    /// Whether the clock jumped to a later time.
    pub fn is_forward(self) -> bool {
        self.to > self.from
    }
}

/// The clock of one pipeline: the greatest record time so far, with rules for jumps.
///
/// Silence of up to [`PacketClock::SILENCE`] is silence. A larger step forward, or one backward beyond
/// [`PacketClock::LATE`], is a time step. Records late by less leave the clock alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct PacketClock {
    now: Option<Timestamp>,
    /// The last instant of the tick that `now` is in.
    tick_end: Timestamp,
}

impl PacketClock {
    /// The longest gap between records that still counts as silence.
    pub const SILENCE: Duration = Duration::from_secs(3600);
    /// How late a record may be without being a step backward.
    pub const LATE: Duration = Duration::from_secs(1);

    /// The clock's time; `None` before the first record.
    pub fn now(&self) -> Option<Timestamp> {
        self.now
    }

    /// Moves the clock to a record's time. The first record starts it.
    #[inline]
    pub fn advance(&mut self, record: Timestamp) -> Advance {
        let Some(now) = self.now else {
            self.set(record);
            return Advance::Ticked;
        };
        // Compared with the end of the tick: working out the tick of every record takes a division.
        if now <= record && record <= self.tick_end {
            self.now = Some(record);
            return Advance::Same;
        }
        let is_late = record < now;
        if is_late && u128::from(now.nanos_since(record)) <= Self::LATE.as_nanos() {
            return Advance::Late;
        }
        self.set(record);
        if is_late || u128::from(record.nanos_since(now)) > Self::SILENCE.as_nanos() {
            Advance::Stepped(Step { from: now, to: record })
        } else {
            Advance::Ticked
        }
    }

    fn set(&mut self, now: Timestamp) {
        self.now = Some(now);
        self.tick_end = Tick::of(now).end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_print_as_rfc_3339_with_nine_digits() {
        assert_eq!(Timestamp::from_nanos(1_084_443_427_311_224_000).to_string(), "2004-05-13T10:17:07.311224000Z");
        assert_eq!(Timestamp::MIN.to_string(), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(Timestamp::MAX.to_string(), "2262-04-11T23:47:16.854775807Z");
        assert_eq!(Timestamp::from_nanos(951_782_400_000_000_000).to_string(), "2000-02-29T00:00:00.000000000Z");
    }

    #[test]
    fn a_tick_ends_at_its_own_instant_and_begins_after_the_one_before() {
        assert_eq!(Tick::of(Timestamp::from_nanos(100_000_000)), Tick(1));
        assert_eq!(Tick::of(Timestamp::from_nanos(100_000_001)), Tick(2));
        assert_eq!(Tick(2).end(), Timestamp::from_nanos(200_000_000));
        assert_eq!((Tick(20).second(), Tick(21).second()), (2, 3));
    }

    #[test]
    fn the_clock_never_goes_back_for_a_late_record() {
        let mut clock = PacketClock::default();
        clock.advance(Timestamp::from_nanos(5 * NANOS_PER_SECOND));
        assert_eq!(clock.advance(Timestamp::from_nanos(4 * NANOS_PER_SECOND)), Advance::Late);
        assert_eq!(clock.now(), Some(Timestamp::from_nanos(5 * NANOS_PER_SECOND)));
    }

    #[test]
    fn an_hour_of_silence_is_no_step_and_more_is() {
        let hour = 3600 * NANOS_PER_SECOND;
        let mut clock = PacketClock::default();
        clock.advance(Timestamp::from_nanos(1));
        assert_eq!(clock.advance(Timestamp::from_nanos(hour + 1)), Advance::Ticked);
        let to = Timestamp::from_nanos(2 * hour + 2);
        assert_eq!(clock.advance(to), Advance::Stepped(Step { from: Timestamp::from_nanos(hour + 1), to }));
    }
}
