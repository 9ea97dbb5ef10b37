//! Walking through records: which tier tells of which part of a range.

use super::database::{self, Loaded, State};
use super::fault::damaged;
use super::layout::{self, MAX_SECOND, Series};
use super::{Measures, Range, Tier};
use redb::ReadTransaction;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// A part of a range that one tier tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) tier: Tier,
    pub(super) from: u64,
    pub(super) to: u64,
}

/// One record that was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) tier: Tier,
    pub(super) start: u64,
    pub(super) series: Series,
    pub(super) measures: Measures,
}

/// A store as of one commit.
pub(super) struct View<'a> {
    pub(super) read: &'a ReadTransaction,
    pub(super) state: State,
    pub(super) names: HashMap<Series, Arc<str>>,
    /// Records that were skipped.
    pub(super) bad: u64,
}

impl<'a> View<'a> {
    pub(super) fn new(read: &'a ReadTransaction) -> Result<Self, redb::Error> {
        let state = match database::load(read)? {
            Loaded::Store(state) => state,
            Loaded::Schema(found) => return Err(damaged(format!("layout {found} while it is open"))),
        };
        let names = state.series.iter().map(|(name, series)| (*series, Arc::clone(name))).collect();
        Ok(Self { read, state, names, bad: 0 })
    }

    /// The series of an interface, if only one is asked for: `Err` when nothing was ever recorded of it.
    pub(super) fn only(&self, interface: Option<&str>) -> Result<Option<Series>, ()> {
        interface.map(|name| self.state.series.get(name).copied().ok_or(())).transpose()
    }

    /// `tier` as far back as it is kept, coarser ones before that; oldest part first. Parts meet between two records of
    /// the coarser tier, so nothing is told twice.
    pub(super) fn parts(&self, range: Range, tier: Tier, is_forced: bool) -> Vec<Part> {
        let (mut parts, mut to) = (Vec::new(), range.to.min(MAX_SECOND));
        for tier in Tier::ALL.into_iter().skip(tier as usize) {
            let mark = self.state.pruned[tier as usize];
            let from = tier.start_of(range.from).max(mark);
            if from < to {
                parts.push(Part { tier, from, to });
            }
            to = to.min(mark);
            if is_forced || to <= range.from {
                break;
            }
        }
        parts.reverse();
        parts
    }

    /// Shows the records of the parts in order of time, then series, until `each` breaks.
    pub(super) fn scan(
        &mut self,
        parts: &[Part],
        only: Option<Series>,
        mut each: impl FnMut(&Row) -> ControlFlow<()>,
    ) -> Result<(), redb::Error> {
        for Part { tier, from, to } in parts.iter().copied() {
            let table = self.read.open_table(layout::table(tier))?;
            for row in table.range(layout::key(from, 0)..layout::key(to, 0))? {
                let (key, stored) = row?;
                let (start, series) = layout::parts(key.value());
                if only.is_some_and(|only| only != series) {
                    continue;
                }
                let Some(measures) = layout::read_record(tier, key.value(), stored.value()) else {
                    self.bad += 1;
                    continue;
                };
                if each(&Row { tier, start, series, measures }).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The seconds from the oldest record of any tier to the end of the newest.
    pub(super) fn reach(&self) -> Result<Range, redb::Error> {
        use redb::ReadableTable;
        let mut reach = Range { from: u64::MAX, to: 0 };
        for tier in Tier::ALL {
            let table = self.read.open_table(layout::table(tier))?;
            let start = |row: Option<(redb::AccessGuard<'_, u64>, _)>| row.map(|(key, _)| layout::parts(key.value()).0);
            if let (Some(first), Some(last)) = (start(table.first()?), start(table.last()?)) {
                reach.from = reach.from.min(first);
                // The coarser tiers end where the finest does, but for records that are not full yet.
                reach.to = reach.to.max(last + 1);
            }
        }
        Ok(reach)
    }
}
