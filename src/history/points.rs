//! Points over time.

use super::scan::{Row, View};
use super::{Point, Range, Series, SeriesAnswer, SeriesQuery, Tier, layout, reader};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// Answers a [`SeriesQuery`].
pub(super) fn series(view: &mut View<'_>, query: &SeriesQuery) -> Result<SeriesAnswer, redb::Error> {
    let tier = match (query.tier, query.step) {
        (Some(tier), _) => tier,
        (None, Some(step)) => coarsest_dividing(step),
        (None, None) => finest_fitting(view, query.range)?,
    };
    let step = whole(query.step.unwrap_or(0), tier);
    // Whole points at both ends.
    let from = query.range.from - query.range.from % step;
    let to = query.range.to.checked_next_multiple_of(step).unwrap_or(u64::MAX);
    let mut points = Points { step, limit: query.limit, ..Points::default() };
    if let Ok(only) = view.only(query.interface.as_deref()) {
        let parts = view.parts(Range { from, to }, tier, query.tier.is_some());
        view.scan(&parts, only, |row| points.add(row))?;
    }
    let gaps = reader::gaps(view, query.range)?;
    let mut series: Vec<_> = points
        .series
        .into_iter()
        .filter_map(|(series, points)| Some(Series { interface: view.names.get(&series)?.clone(), points }))
        .collect();
    series.sort_by(|a, b| a.interface.cmp(&b.interface));
    Ok(SeriesAnswer { tier, step, series, truncated: points.is_truncated, bad_records: view.bad, gaps })
}

/// The coarsest tier of which a whole number of records makes `step` seconds.
fn coarsest_dividing(step: u64) -> Tier {
    let divides = |tier: &Tier| step >= tier.seconds() && step.is_multiple_of(tier.seconds());
    Tier::ALL.into_iter().rev().find(divides).unwrap_or(Tier::Second)
}

/// The finest tier that gives no more than [`SeriesQuery::AUTO_POINTS`] over what is there of the range.
fn finest_fitting(view: &View<'_>, range: Range) -> Result<Tier, redb::Error> {
    let reach = view.reach()?;
    let seconds = range.to.min(reach.to).saturating_sub(range.from.max(reach.from));
    let fits = |tier: &Tier| seconds / tier.seconds() <= SeriesQuery::AUTO_POINTS;
    Ok(Tier::ALL.into_iter().find(fits).unwrap_or(Tier::Hour))
}

/// `step`, rounded up to a whole number of the tier's records.
fn whole(step: u64, tier: Tier) -> u64 {
    step.max(1).checked_next_multiple_of(tier.seconds()).unwrap_or(tier.seconds())
}

#[derive(Default)]
struct Points {
    step: u64,
    limit: usize,
    count: usize,
    is_truncated: bool,
    series: BTreeMap<layout::Series, Vec<Point>>,
}

impl Points {
    fn add(&mut self, row: &Row) -> ControlFlow<()> {
        let length = whole(self.step, row.tier);
        let start = row.start - row.start % length;
        let points = self.series.entry(row.series).or_default();
        match points.last_mut() {
            Some(last) if last.start == start => last.measures.merge(&row.measures),
            _ if self.count == self.limit => {
                self.is_truncated = true;
                return ControlFlow::Break(());
            }
            _ => {
                self.count += 1;
                points.push(Point { start, length, measures: row.measures });
            }
        }
        ControlFlow::Continue(())
    }
}
