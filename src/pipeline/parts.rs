//! Long flows in parts: what exports say of a flow that goes on (RFC 5470 section 5.1.1, active timeout).
//!
//! The table is not asked to cut anything, so no packet and no other reader pays for it. The records are looked
//! through now and then, a partition at a time at moments that packet time alone decides; of a flow that has gone on
//! for too long what is new since the last time is reported. What was reported is kept here, for those flows only.

use super::feed::FedFlow;
use crate::flow::{
    ConnectionTracker, EndReason, FlowKey, FlowRecord, FlowStats, FlowView, LiveFlow, PARTITIONS, Place,
};
use crate::time::{Tick, Timestamp};
use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

/// The parts that one shard reports to one reader.
///
/// A part is cut after the active timeout, at most a sixteenth of it or 64 s later, whichever is less.
/// Bounds: an entry of about 120 bytes for each flow of the table that is older than the active timeout.
#[derive(Debug)]
pub(super) struct Parts {
    active: Duration,
    /// Ticks in which every partition is looked through once.
    period: u64,
    swept: Option<Tick>,
    /// Where packet time went on after its last step: ages are counted from there, as if it had not jumped.
    stepped: Timestamp,
    reported: HashMap<FlowKey, Reported>,
}

/// What was said of a flow so far.
#[derive(Clone, Copy, Debug)]
struct Reported {
    /// `[packets_c2s, bytes_c2s, packets_s2c, bytes_s2c]`
    counts: [u64; 4],
    /// As it was said first: a late frame may move the record's.
    first_seen: Timestamp,
    until: Timestamp,
}

/// The most ticks in which the whole table is looked through: 64 s.
const LONGEST_PERIOD: u64 = 64 * Tick::PER_SECOND;

impl Parts {
    pub(super) fn new(active: Duration) -> Self {
        let ticks = u64::try_from(active.as_nanos() / u128::from(Tick::NANOS)).unwrap_or(u64::MAX);
        let period = (ticks / 16).clamp(1, LONGEST_PERIOD);
        Self { active, period, swept: None, stepped: Timestamp::MIN, reported: HashMap::new() }
    }

    /// The same for another shard.
    pub(super) fn anew(&self) -> Self {
        Self::new(self.active)
    }

    /// Packet time jumped to `to`, which makes no flow older.
    pub(super) fn step(&mut self, to: Timestamp) {
        (self.swept, self.stepped) = (None, to);
    }

    /// The rest of a flow that has ended.
    pub(super) fn last(&mut self, record: &FlowRecord) -> FedFlow {
        let reported = if self.reported.is_empty() { None } else { self.reported.remove(&record.key) };
        reported.map_or_else(|| FedFlow::whole(*record), |reported| reported.rest(record))
    }

    /// Hands out a part of every flow that is due for one, in the partitions whose turn came up to the beginning of
    /// `tick`.
    pub(super) fn sweep(
        &mut self,
        tick: Tick,
        partitions: Range<usize>,
        tracker: &ConnectionTracker,
        emit: &mut impl FnMut(FedFlow),
    ) {
        let swept = self.swept.replace(tick).filter(|swept| *swept <= tick);
        let Some(swept) = swept else { return };
        let now = Tick(tick.0.saturating_sub(1)).end();
        for (table, partition) in partitions.enumerate() {
            if self.is_due(partition, swept, tick) {
                let mut visit = |flow: LiveFlow<'_>| {
                    if let Some(part) = self.part(&flow.record(), now) {
                        emit(part);
                    }
                };
                tracker.scan(&mut Place::of_table(table), usize::MAX, &mut visit);
            }
        }
    }

    /// Whether the turn of a partition came after `swept`, up to `tick`.
    fn is_due(&self, partition: usize, swept: Tick, tick: Tick) -> bool {
        let phase = partition as u64 * self.period / PARTITIONS as u64;
        let turns = |tick: Tick| (tick.0 + self.period - phase) / self.period;
        turns(tick) > turns(swept)
    }

    /// What is new of a flow that has gone on for too long.
    fn part(&mut self, record: &FlowRecord, now: Timestamp) -> Option<FedFlow> {
        if record.end_reason.is_some() || !self.is_old(record.stats.first_seen, now) {
            return None;
        }
        let before = self.reported.get(&record.key).copied();
        let part = before.map_or_else(|| FedFlow::whole(*record), |reported| reported.rest(record));
        let has_moved = part.record.stats.packets_c2s + part.record.stats.packets_s2c > 0;
        if !has_moved || !self.is_old(part.counted_since, now) {
            return None;
        }
        let first_seen = part.record.stats.first_seen;
        self.reported.insert(record.key, Reported { counts: counts(&record.stats), first_seen, until: now });
        let record = FlowRecord { end_reason: Some(EndReason::ActiveTimeout), ..part.record };
        Some(FedFlow { record, ..part })
    }

    /// Whether what began at `since` has gone on for too long.
    fn is_old(&self, since: Timestamp, now: Timestamp) -> bool {
        let since = if since > now { self.stepped } else { since.max(self.stepped) };
        u128::from(now.nanos_since(since)) >= self.active.as_nanos()
    }
}

impl Reported {
    /// What a record has beyond it.
    fn rest(&self, record: &FlowRecord) -> FedFlow {
        let mut rest = counts(&record.stats);
        rest.iter_mut().zip(self.counts).for_each(|(count, before)| *count = count.saturating_sub(before));
        let [packets_c2s, bytes_c2s, packets_s2c, bytes_s2c] = rest;
        let first_seen = self.first_seen;
        let stats = FlowStats { first_seen, packets_c2s, bytes_c2s, packets_s2c, bytes_s2c, ..record.stats };
        FedFlow { record: FlowRecord { stats, ..*record }, counted_since: self.until }
    }
}

fn counts(stats: &FlowStats) -> [u64; 4] {
    [stats.packets_c2s, stats.bytes_c2s, stats.packets_s2c, stats.bytes_s2c]
}
