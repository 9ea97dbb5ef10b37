//! One commit: finished seconds into all four tiers, flows, alert events.

use super::database::{State, begin_write};
use super::fault::{Fault, guarded};
use super::layout::{self, MAX_SECOND};
use super::prune::{self, Pruned};
use super::{AlertEvent, Config, Flow, Gap, LeftOut, Measures, Second, Tier};
use redb::{Database, ReadableTable, WriteTransaction};
use std::collections::BTreeMap;

/// What waits for the next commit.
#[derive(Clone, Debug, Default)]
pub(super) struct Batch {
    pub(super) seconds: Vec<Second>,
    pub(super) flows: Vec<Flow>,
    pub(super) alerts: Vec<AlertEvent>,
    /// By minute.
    pub(super) left_out: BTreeMap<u64, LeftOut>,
    pub(super) gaps: Vec<Gap>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0 && self.left_out.is_empty() && self.gaps.is_empty()
    }

    /// Records in it.
    pub(super) fn len(&self) -> usize {
        self.seconds.len() + self.flows.len() + self.alerts.len()
    }

    /// The newest second.
    pub(super) fn newest(&self) -> Option<u64> {
        self.seconds.iter().map(|second| second.start).max()
    }
}

/// What a commit did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Done {
    pub(super) pruned: Pruned,
    /// Bytes of keys and values that were written anew.
    pub(super) bytes: u64,
}

/// Commits a batch and prunes by age. The tiers always agree: whatever is in the finest is in all.
///
/// `state` is as before if it fails; whether the batch is in the store all the same is then to be seen by its number.
pub(super) fn commit(database: &Database, state: &mut State, batch: &Batch, config: &Config) -> Result<Done, Fault> {
    let mut next = state.clone();
    let done = guarded(|| {
        let transaction = begin_write(database)?;
        next.batch += 1;
        let bytes = write(&transaction, &mut next, batch)?;
        next.tick(batch);
        let pruned = prune::by_age(&transaction, &mut next, config)?;
        next.save(&transaction)?;
        transaction.commit()?;
        Ok(Done { pruned, bytes })
    })?;
    *state = next;
    Ok(done)
}

fn write(transaction: &WriteTransaction, state: &mut State, batch: &Batch) -> Result<u64, redb::Error> {
    let mut bytes = 0;
    for (tier, rows) in Tier::ALL.into_iter().zip(summed(transaction, state, &batch.seconds)?) {
        bytes += write_tier(transaction, state, tier, rows)?;
    }
    if !batch.flows.is_empty() {
        bytes += write_flows(transaction, state, &batch.flows)?;
    }
    if !batch.alerts.is_empty() {
        bytes += write_alerts(transaction, &batch.alerts)?;
    }
    write_left_out(transaction, &batch.left_out)?;
    write_gaps(transaction, &batch.gaps)?;
    Ok(bytes)
}

type Rows = BTreeMap<u64, Measures>;

/// The batch's seconds as rows of each tier.
fn summed(
    transaction: &WriteTransaction,
    state: &mut State,
    seconds: &[Second],
) -> Result<[Rows; Tier::ALL.len()], redb::Error> {
    let mut rows: [Rows; Tier::ALL.len()] = Default::default();
    for second in seconds {
        let Some(series) = state.series(&second.interface, transaction)? else { continue };
        let (start, measures) = (second.start.min(MAX_SECOND), of_one_second(&second.measures));
        for tier in Tier::ALL {
            let key = layout::key(tier.start_of(start), series);
            rows[tier as usize].entry(key).and_modify(|sum| sum.merge(&measures)).or_insert(measures);
        }
    }
    Ok(rows)
}

fn of_one_second(measures: &Measures) -> Measures {
    let peak = crate::packet::Direction::ALL.map(|direction| measures.volume(direction));
    Measures { seconds: 1, peak, ..*measures }
}

/// Adds rows to a tier; bytes written to new keys.
fn write_tier(transaction: &WriteTransaction, state: &mut State, tier: Tier, rows: Rows) -> Result<u64, redb::Error> {
    let mut table = transaction.open_table(layout::table(tier))?;
    let (tail, mut bytes) = (&mut state.tails[tier as usize], 0);
    for (key, mut measures) in rows {
        let is_new = tail.is_none_or(|tail| key > tail);
        let before = if is_new {
            *tail = Some(key);
            None
        } else {
            table.get(key)?.and_then(|stored| layout::read_record(tier, key, stored.value()))
        };
        if let Some(mut before) = before {
            before.merge(&measures);
            measures = before;
        }
        let value = layout::record(tier, key, &measures);
        table.insert(key, value.as_slice())?;
        bytes += if is_new { value.len() as u64 + 8 } else { 0 };
    }
    Ok(bytes)
}

fn write_flows(transaction: &WriteTransaction, state: &mut State, flows: &[Flow]) -> Result<u64, redb::Error> {
    let (mut table, mut bytes) = (transaction.open_table(layout::FLOWS)?, 0);
    for flow in flows {
        let Some(series) = state.series(&flow.interface, transaction)? else { continue };
        let key = layout::flow_key(flow);
        let value = layout::flow(key, series, flow);
        table.insert(key, value.as_slice())?;
        bytes += value.len() as u64 + 16;
    }
    Ok(bytes)
}

fn write_alerts(transaction: &WriteTransaction, alerts: &[AlertEvent]) -> Result<u64, redb::Error> {
    let (mut table, mut bytes) = (transaction.open_table(layout::ALERTS)?, 0);
    for event in alerts {
        let first = layout::wide_key(event.at, 0);
        let last = table.range(first..=first | u128::from(u64::MAX))?.next_back().transpose()?;
        let key = last.map_or(first, |(key, _)| key.value() + 1);
        let value = layout::alert(key, event);
        table.insert(key, value.as_slice())?;
        bytes += value.len() as u64 + 16;
    }
    Ok(bytes)
}

fn write_left_out(transaction: &WriteTransaction, minutes: &BTreeMap<u64, LeftOut>) -> Result<(), redb::Error> {
    if minutes.is_empty() {
        return Ok(());
    }
    let mut table = transaction.open_table(layout::LEFT_OUT)?;
    for (minute, left_out) in minutes {
        let before = table.get(*minute)?.and_then(|stored| layout::read_left_out(*minute, stored.value()));
        let mut sum = before.unwrap_or_default();
        sum.merge(left_out);
        table.insert(*minute, layout::left_out(*minute, &sum).as_slice())?;
    }
    Ok(())
}

fn write_gaps(transaction: &WriteTransaction, gaps: &[Gap]) -> Result<(), redb::Error> {
    if gaps.is_empty() {
        return Ok(());
    }
    let mut table = transaction.open_table(layout::GAPS)?;
    for gap in gaps {
        let before = table.get(gap.from)?.and_then(|stored| layout::read_gap(gap.from, stored.value()));
        let records = before.map_or(0, |before| before.records).saturating_add(gap.records);
        let to = before.map_or(0, |before| before.to).max(gap.to);
        table.insert(gap.from, layout::gap(&Gap { to, records, ..*gap }).as_slice())?;
    }
    Ok(())
}
