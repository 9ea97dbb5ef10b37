//! What is removed: the old, and when there is no room, the oldest detail.

use super::batch::Batch;
use super::database::{State, begin_write};
use super::fault::{Fault, guarded};
use super::layout;
use super::{Config, PruneReason, Tier};
use crate::time::NANOS_PER_SECOND;
use redb::{Database, Key, ReadableTable, Table, Value, WriteTransaction};

/// Rows removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pruned {
    /// By tier, then reason.
    pub(super) records: [[u64; PruneReason::ALL.len()]; Tier::ALL.len()],
    /// By reason.
    pub(super) flows: [u64; PruneReason::ALL.len()],
}

impl Pruned {
    pub(super) fn total(&self) -> u64 {
        self.records.iter().flatten().chain(&self.flows).sum()
    }

    pub(super) fn add(&mut self, other: &Self) {
        let theirs = other.records.iter().flatten();
        self.records.iter_mut().flatten().zip(theirs).for_each(|(mine, theirs)| *mine += theirs);
        self.flows.iter_mut().zip(other.flows).for_each(|(mine, theirs)| *mine += theirs);
    }
}

/// Seconds of silence that are no jump of time: live, every second is recorded, traffic or not.
const SILENCE: u64 = 60;
/// Seconds recorded in a row after which a jump forward is believed.
const BELIEVED: u64 = 86_400;
/// Rows of a table that one commit removes at most, so that it stays short.
const ROWS: usize = 20_000;

impl State {
    /// Moves the retention clock by what was recorded.
    ///
    /// It follows the seconds that are written, and does not believe a jump forward (a machine that was off, a clock that
    /// was set) before a day was recorded after it; it goes back at once. So however the wall clock is set, nothing is
    /// removed for its age before as much time was recorded after it.
    pub(super) fn tick(&mut self, batch: &Batch) {
        batch.seconds.iter().for_each(|second| self.pass(second.start));
    }

    fn pass(&mut self, second: u64) {
        let is_first = self.newest == 0 && self.clock == 0;
        match second.checked_sub(self.newest).filter(|passed| *passed <= SILENCE) {
            _ if is_first => self.clock = second,
            Some(passed) => {
                self.steady = self.steady.saturating_add(passed);
                self.clock = self.clock.saturating_add(passed);
            }
            None => self.steady = 0,
        }
        if self.steady >= BELIEVED || second < self.clock {
            self.clock = second;
        }
        self.newest = second;
    }
}

/// Removes what is older than its retention, at most [`ROWS`] of each table.
pub(super) fn by_age(to: &WriteTransaction, state: &mut State, config: &Config) -> Result<Pruned, redb::Error> {
    let mut pruned = Pruned::default();
    let age = PruneReason::Age as usize;
    for tier in Tier::ALL {
        let kept = config.retention[tier as usize].as_secs();
        let before = boundary(tier, state.clock.saturating_sub(kept));
        let mark = &mut state.pruned[tier as usize];
        // A clock that went back must not hide what is written from now on.
        *mark = before.max(*mark).min(boundary(tier, state.clock));
        let end = layout::key(*mark, 0);
        pruned.records[tier as usize][age] = remove_below(&mut to.open_table(layout::table(tier))?, end, ROWS)?;
    }
    let before = state.clock.saturating_sub(config.flows.retention.as_secs());
    pruned.flows[age] = remove_below(&mut to.open_table(layout::FLOWS)?, nanos(before), ROWS)?;
    remove_below(&mut to.open_table(layout::LEFT_OUT)?, before, ROWS)?;
    let before = state.clock.saturating_sub(config.alert_retention.as_secs());
    remove_below(&mut to.open_table(layout::ALERTS)?, nanos(before), ROWS)?;
    remove_below(&mut to.open_table(layout::GAPS)?, before, ROWS)?;
    Ok(pruned)
}

/// Where a tier may be cut: between two records of the next coarser one, so that the two never tell of the same second.
fn boundary(tier: Tier, second: u64) -> u64 {
    tier.coarser().unwrap_or(tier).start_of(second)
}

fn nanos(second: u64) -> u128 {
    (u128::from(second) * u128::from(NANOS_PER_SECOND)) << 64
}

/// Removes the rows below `end`, at most `most`.
fn remove_below<K, T>(table: &mut Table<'_, K, T>, end: K, most: usize) -> Result<u64, redb::Error>
where
    K: Key + Copy + PartialOrd + for<'a> Value<SelfType<'a> = K> + std::borrow::Borrow<K> + 'static,
    T: Value + 'static,
{
    let first = table.first()?.map(|(key, _)| key.value());
    if first.is_none_or(|first| first >= end) {
        return Ok(0);
    }
    let cut = table.range(..end)?.nth(most).transpose()?.map_or(end, |(key, _)| key.value());
    let mut removed = 0;
    table.retain_in(..cut, |_, _| {
        removed += 1;
        false
    })?;
    Ok(removed)
}

/// Where to cut for room: who goes first, and what stays of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Detail {
    Flows,
    Tier(Tier),
}

/// Removes the oldest detail, about `rows` of it, in one commit: 1 s records and flows, whichever reach back further, then
/// 10 s, 60 s and 1 h records. Nothing when only what always stays is left.
pub(super) fn by_size(database: &Database, state: &mut State, rows: usize) -> Result<Pruned, Fault> {
    let mut next = state.clone();
    let pruned = guarded(|| {
        let transaction = begin_write(database)?;
        next.batch += 1;
        let pruned = make_room(&transaction, &mut next, rows)?;
        next.save(&transaction)?;
        transaction.commit()?;
        Ok(pruned)
    })?;
    *state = next;
    Ok(pruned)
}

fn make_room(to: &WriteTransaction, state: &mut State, rows: usize) -> Result<Pruned, redb::Error> {
    let mut pruned = Pruned::default();
    while pruned.total() < rows as u64 {
        let removed = match oldest_detail(to, state)? {
            None => break,
            Some(detail) => cut(to, state, detail, rows.div_ceil(4), &mut pruned)?,
        };
        if removed == 0 {
            break;
        }
    }
    Ok(pruned)
}

/// Seconds of a kind of detail that always stay.
const fn floor(detail: Detail) -> u64 {
    match detail {
        Detail::Tier(Tier::Second) => 600,
        Detail::Flows | Detail::Tier(Tier::TenSeconds) => 3600,
        Detail::Tier(Tier::Minute) => 86_400,
        Detail::Tier(Tier::Hour) => 7 * 86_400,
    }
}

fn oldest_detail(to: &WriteTransaction, state: &State) -> Result<Option<Detail>, redb::Error> {
    let flows = oldest(to, Detail::Flows)?.filter(|second| *second < end_of(Detail::Flows, state));
    for tier in Tier::ALL {
        let detail = Detail::Tier(tier);
        let records = oldest(to, detail)?.filter(|second| *second < end_of(detail, state));
        match (records, flows) {
            (Some(records), Some(flows)) if flows < records => return Ok(Some(Detail::Flows)),
            (Some(_), _) => return Ok(Some(detail)),
            (None, Some(_)) => return Ok(Some(Detail::Flows)),
            (None, None) => {}
        }
    }
    Ok(None)
}

/// The second before which detail may go.
fn end_of(detail: Detail, state: &State) -> u64 {
    let end = state.newest.saturating_sub(floor(detail));
    match detail {
        Detail::Flows => end,
        Detail::Tier(tier) => boundary(tier, end),
    }
}

/// The first second of the detail.
fn oldest(to: &WriteTransaction, detail: Detail) -> Result<Option<u64>, redb::Error> {
    Ok(match detail {
        Detail::Flows => to.open_table(layout::FLOWS)?.first()?.map(|(key, _)| second_of(key.value())),
        Detail::Tier(tier) => to.open_table(layout::table(tier))?.first()?.map(|(key, _)| layout::parts(key.value()).0),
    })
}

fn second_of(key: u128) -> u64 {
    u64::try_from((key >> 64) / u128::from(NANOS_PER_SECOND)).unwrap_or(u64::MAX)
}

/// Removes about `rows` of the oldest of one kind.
fn cut(
    to: &WriteTransaction,
    state: &mut State,
    detail: Detail,
    rows: usize,
    pruned: &mut Pruned,
) -> Result<u64, redb::Error> {
    let (end, size) = (end_of(detail, state), PruneReason::Size as usize);
    match detail {
        Detail::Flows => {
            let removed = remove_below(&mut to.open_table(layout::FLOWS)?, nanos(end), rows)?;
            pruned.flows[size] += removed;
            Ok(removed)
        }
        Detail::Tier(tier) => {
            let mut table = to.open_table(layout::table(tier))?;
            let reached = table.range(..layout::key(end, 0))?.nth(rows).transpose()?;
            let reached = reached.map_or(end, |(key, _)| layout::parts(key.value()).0);
            // To the end of a record of the coarser tier, which may be a few rows more.
            let coarse = tier.coarser().unwrap_or(tier).seconds();
            let mark = reached.next_multiple_of(coarse).min(end);
            state.pruned[tier as usize] = state.pruned[tier as usize].max(mark);
            let removed = remove_below(&mut table, layout::key(mark, 0), usize::MAX)?;
            pruned.records[tier as usize][size] += removed;
            Ok(removed)
        }
    }
}
