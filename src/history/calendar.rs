//! Hours, days and months of a time zone.

use super::scan::{Row, View};
use super::{Calendar, Error, Range, Tier, Total};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan, Zoned};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// A time zone.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone(TimeZone);

impl Zone {
    /// UTC.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// `UTC`, `local` (that of this machine) or an IANA name, as this machine knows them.
    ///
    /// # Errors
    /// A zone that this machine does not know.
    pub fn named(name: &str) -> Result<Self, Error> {
        if name.eq_ignore_ascii_case("utc") {
            return Ok(Self::UTC);
        }
        let found = if name == "local" { TimeZone::try_system() } else { TimeZoneDatabase::from_env().get(name) };
        let unknown = |error| Error::Question(format!("time zone `{name}` is not known here: {error}"));
        found.map(Self).map_err(unknown)
    }

    /// The unit that a second lies in.
    fn unit_of(&self, second: u64, unit: Calendar) -> Option<Unit> {
        let at = Timestamp::from_second(i64::try_from(second).ok()?).ok()?.to_zoned(self.0.clone());
        let (from, to) = match unit {
            Calendar::Hour => self.hour(&at)?,
            Calendar::Day => (at.start_of_day().ok()?, at.tomorrow().ok()?.start_of_day().ok()?),
            Calendar::Month => {
                let first = at.first_of_month().ok()?.start_of_day().ok()?;
                let next = at.last_of_month().ok()?.tomorrow().ok()?.start_of_day().ok()?;
                (first, next)
            }
        };
        let label = from.strftime(match unit {
            Calendar::Hour => "%Y-%m-%dT%H:%M%:z",
            Calendar::Day => "%Y-%m-%d",
            Calendar::Month => "%Y-%m",
        });
        let second_of = |at: &Zoned| u64::try_from(at.timestamp().as_second()).unwrap_or(0);
        Some(Unit { from: second_of(&from), to: second_of(&to), label: label.to_string() })
    }

    /// The hour of the clock; where the clock is set within it, the part before or after that.
    fn hour(&self, at: &Zoned) -> Option<(Zoned, Zoned)> {
        let into = i64::from(at.minute()) * 60 + i64::from(at.second());
        let mut from = at.timestamp().checked_sub(into.seconds()).ok()?;
        let mut to = from.checked_add(3600.seconds()).ok()?;
        let is_odd = |other: Timestamp| self.0.to_offset(other).seconds() % 3600 != at.offset().seconds() % 3600;
        if is_odd(from) {
            from = self.0.preceding(at.timestamp().checked_add(1.nanosecond()).ok()?).next()?.timestamp();
        }
        if is_odd(to) {
            to = self.0.following(at.timestamp()).next()?.timestamp();
        }
        Some((from.to_zoned(self.0.clone()), to.to_zoned(self.0.clone())))
    }

    /// The coarsest tier whose records never cross a unit's border in the range.
    fn tier(&self, range: Range) -> Tier {
        let at =
            |second: u64| Timestamp::from_second(i64::try_from(second).unwrap_or(i64::MAX)).unwrap_or(Timestamp::MAX);
        let (first, last) = (at(range.from), at(range.to));
        let changes =
            self.0.following(first).take_while(|change| change.timestamp() <= last).map(|change| change.offset());
        let offsets = std::iter::once(self.0.to_offset(first)).chain(changes);
        let fits = |seconds: i32| {
            if seconds % 3600 == 0 {
                Tier::Hour
            } else if seconds % 60 == 0 {
                Tier::Minute
            } else {
                Tier::Second
            }
        };
        offsets.map(|offset| fits(offset.seconds())).min().unwrap_or(Tier::Hour)
    }
}

#[derive(Clone, Debug)]
struct Unit {
    from: u64,
    to: u64,
    label: String,
}

/// Sums by unit.
pub(super) fn totals(
    view: &mut View<'_>,
    range: Range,
    unit: Calendar,
    zone: &Zone,
    interface: Option<&str>,
) -> Result<Vec<Total>, redb::Error> {
    let (reach, Ok(only)) = (view.reach()?, view.only(interface)) else { return Ok(Vec::new()) };
    let (from, to) = (range.from.max(reach.from), range.to.min(reach.to));
    if from >= to {
        return Ok(Vec::new());
    }
    // Whole units at both ends.
    let (first, last) = (zone.unit_of(from, unit), zone.unit_of(to - 1, unit));
    let range = Range { from: first.map_or(from, |unit| unit.from), to: last.map_or(to, |unit| unit.to) };
    let parts = view.parts(range, zone.tier(range), false);
    let mut sums = Sums { range, unit, zone, current: None, totals: BTreeMap::new() };
    let names = view.names.clone();
    view.scan(&parts, only, |row| {
        if let Some(name) = names.get(&row.series) {
            sums.add(name, row);
        }
        ControlFlow::Continue(())
    })?;
    Ok(sums.totals.into_values().collect())
}

struct Sums<'a> {
    range: Range,
    unit: Calendar,
    zone: &'a Zone,
    /// The unit that the last row was in.
    current: Option<Unit>,
    totals: BTreeMap<(Arc<str>, u64), Total>,
}

impl Sums<'_> {
    fn add(&mut self, name: &Arc<str>, row: &Row) {
        // A coarse record that begins before the first unit counts there, as nothing finer is left.
        let second = row.start.max(self.range.from);
        let is_current = self.current.as_ref().is_some_and(|unit| unit.from <= second && second < unit.to);
        if !is_current {
            self.current = self.zone.unit_of(second, self.unit);
        }
        let Some(unit) = &self.current else { return };
        let total = self.totals.entry((Arc::clone(name), unit.from)).or_insert_with(|| Total {
            interface: Arc::clone(name),
            from: unit.from,
            to: unit.to,
            label: unit.label.clone(),
            measures: super::Measures::default(),
            inexact: false,
        });
        total.measures.merge(&row.measures);
        total.inexact |= row.start < unit.from || row.start + row.tier.seconds() > unit.to;
    }
}
