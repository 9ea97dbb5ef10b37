//! Ended flows on their way to who keeps or sends them: the history, a log of flows, IPFIX.
//!
//! A packet that ends no flow costs nothing here. What ended in a tick leaves as one batch when the tick is over, or
//! earlier when [`BATCH`] flows have; where nobody takes it, live drops and counts, and replay waits.

use super::Mode;
use super::parts::Parts;
use crate::flow::{ConnectionTracker, FlowRecord};
use crate::packet::InterfaceId;
use crate::time::{Tick, Timestamp};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// The most flows of one batch.
const BATCH: usize = 1024;

/// Batches that may wait: with those being filled, at most 10 MiB of records.
const QUEUE: usize = 64;

/// A flow that has ended, or a part of one that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FedFlow {
    /// Its record. Times, key and id are of the whole flow; packets and bytes of what came since `counted_since`.
    pub record: FlowRecord,
    /// The beginning of the flow, or where the part before was cut.
    pub counted_since: Timestamp,
}

impl FedFlow {
    /// A flow in one piece.
    pub const fn whole(record: FlowRecord) -> Self {
        Self { record, counted_since: record.stats.first_seen }
    }
}

/// The way from every shard to one reader of ended flows. Each clone fills batches of its own.
#[derive(Debug)]
pub struct FlowFeed {
    pending: Vec<FedFlow>,
    parts: Option<Parts>,
    mode: Mode,
    batches: Sender<Vec<FedFlow>>,
    missed: FlowsMissed,
}

/// What did not come through a [`FlowFeed`], since the start.
#[derive(Clone, Debug, Default)]
pub struct FlowsMissed(Arc<AtomicU64>);

impl FlowsMissed {
    /// Flows dropped because the reader was behind; 0 in replay.
    pub fn flows(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// The reader's end of a [`FlowFeed`].
#[derive(Debug)]
pub struct FlowReceiver {
    batches: Receiver<Vec<FedFlow>>,
    missed: FlowsMissed,
}

impl FlowReceiver {
    /// The next batch; waits for it. `None` once every shard has ended. Every record has an end reason.
    pub fn next_batch(&self) -> Option<Vec<FedFlow>> {
        self.batches.recv().ok()
    }

    /// What did not come through.
    pub fn missed(&self) -> FlowsMissed {
        self.missed.clone()
    }
}

impl FlowFeed {
    /// A feed, and its reader's end.
    pub fn new(mode: Mode) -> (Self, FlowReceiver) {
        let (batches, batches_out) = bounded(QUEUE);
        let missed = FlowsMissed::default();
        let feed = Self { pending: Vec::new(), parts: None, mode, batches, missed: missed.clone() };
        (feed, FlowReceiver { batches: batches_out, missed })
    }

    /// Brings flows that go on for longer than `active` in parts of about that length, each ended by the active
    /// timeout; the rest comes when the flow ends.
    #[must_use]
    pub fn in_parts(self, active: Option<Duration>) -> Self {
        Self { parts: active.map(Parts::new), ..self }
    }

    /// Takes a flow that has ended.
    pub(super) fn offer(&mut self, record: &FlowRecord) {
        debug_assert!(record.end_reason.is_some());
        let flow = match &mut self.parts {
            Some(parts) => parts.last(record),
            None => FedFlow::whole(*record),
        };
        self.push(flow);
    }

    /// Looks for flows that have gone on for too long, at the beginning of `tick`. The tracker has these partitions.
    pub(super) fn sweep(&mut self, tick: Tick, partitions: Range<usize>, tracker: &ConnectionTracker) {
        let Some(mut parts) = self.parts.take() else { return };
        parts.sweep(tick, partitions, tracker, &mut |part| self.push(part));
        self.parts = Some(parts);
    }

    /// Takes a step of packet time.
    pub(super) fn step(&mut self, to: Timestamp) {
        self.parts.iter_mut().for_each(|parts| parts.step(to));
    }

    fn push(&mut self, flow: FedFlow) {
        self.pending.push(flow);
        if self.pending.len() >= BATCH {
            self.flush();
        }
    }

    /// Sends what has come since the last time.
    pub(super) fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let batch = std::mem::take(&mut self.pending);
        match self.mode {
            // A reader that is gone needs no flows.
            Mode::Replay => drop(self.batches.send(batch)),
            Mode::Live => {
                if let Err(refused) = self.batches.try_send(batch) {
                    self.missed.0.fetch_add(refused.into_inner().len() as u64, Relaxed);
                }
            }
        }
    }
}

impl Clone for FlowFeed {
    fn clone(&self) -> Self {
        let Self { mode, batches, missed, parts, .. } = self;
        let parts = parts.as_ref().map(Parts::anew);
        Self { pending: Vec::new(), parts, mode: *mode, batches: batches.clone(), missed: missed.clone() }
    }
}

/// The names of capture points by id, as they are now: records carry ids. All clones are one.
///
/// The name of one that was removed stays until its id is given to another, which rests first
/// ([`ID_REST`](super::ID_REST)): its last flows still find it.
#[derive(Clone, Debug, Default)]
pub struct InterfaceNames(Arc<RwLock<BTreeMap<InterfaceId, Arc<str>>>>);

impl InterfaceNames {
    /// The name of an id; `None` before it was announced.
    pub fn name(&self, id: InterfaceId) -> Option<Arc<str>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    pub(super) fn set(&self, id: InterfaceId, name: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(id, name.into());
    }
}
