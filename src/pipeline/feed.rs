//! Ended flows on their way to who keeps or sends them: the history, a log of flows, IPFIX.
//!
//! A packet that ends no flow costs nothing here. What ended in a tick leaves as one batch when the tick is over, or
//! earlier when [`BATCH`] flows have; where nobody takes it, live drops and counts, and replay waits.

use super::Mode;
use crate::flow::FlowRecord;
use crate::packet::InterfaceId;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

/// The most flows of one batch.
const BATCH: usize = 1024;

/// Batches that may wait: with those being filled, at most 9 MiB of records.
const QUEUE: usize = 64;

/// The way from every shard to one reader of ended flows. Each clone fills batches of its own.
#[derive(Debug)]
pub struct FlowFeed {
    pending: Vec<FlowRecord>,
    mode: Mode,
    batches: Sender<Vec<FlowRecord>>,
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
    batches: Receiver<Vec<FlowRecord>>,
    missed: FlowsMissed,
}

impl FlowReceiver {
    /// The next batch; waits for it. `None` once every shard has ended. Every record has an end reason.
    pub fn next_batch(&self) -> Option<Vec<FlowRecord>> {
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
        let feed = Self { pending: Vec::new(), mode, batches, missed: missed.clone() };
        (feed, FlowReceiver { batches: batches_out, missed })
    }

    /// Takes a flow that has ended.
    pub(super) fn offer(&mut self, record: &FlowRecord) {
        debug_assert!(record.end_reason.is_some());
        self.pending.push(*record);
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
        let Self { mode, batches, missed, .. } = self;
        Self { pending: Vec::new(), mode: *mode, batches: batches.clone(), missed: missed.clone() }
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
