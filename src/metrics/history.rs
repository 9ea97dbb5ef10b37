//! What the history says of itself, as it becomes series.

use crate::stats::Buckets;
use std::fmt;

/// How a store fares; arrays are in the order of the `tier` and `reason` labels.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryState {
    /// Size of the store.
    pub size_bytes: u64,
    /// The most it may be.
    pub limit_bytes: u64,
    /// Unix time of the oldest record of each tier.
    pub oldest: [Option<u64>; TIERS.len()],
    /// Time of each commit, over [`Buckets::COMMIT`], in nanoseconds.
    pub write_duration: Buckets,
    /// Failed commits.
    pub write_failures: u64,
    /// Records removed, by tier, then reason.
    pub pruned_records: [[u64; PRUNE_REASONS.len()]; TIERS.len()],
    /// Records that were not kept: a queue was full, or the store could not be written or opened.
    pub dropped_records: u64,
    /// Ended flows that were only counted: below the floor, or beyond the cap.
    pub flows_left_out: u64,
    /// Damaged stores that were set aside.
    pub quarantined: u64,
}

/// Values of the `tier` label.
pub const TIERS: [&str; 4] = ["1s", "10s", "60s", "1h"];

/// Values of the `reason` label of removed records.
pub const PRUNE_REASONS: [&str; 2] = ["age", "size"];

/// Asks the history how it fares; nothing while there is none.
pub(super) struct HistorySource(Box<dyn Fn() -> Option<HistoryState> + Send + Sync>);

impl HistorySource {
    pub(super) fn new(ask: impl Fn() -> Option<HistoryState> + Send + Sync + 'static) -> Self {
        Self(Box::new(ask))
    }

    pub(super) fn ask(&self) -> Option<HistoryState> {
        (self.0)()
    }
}

impl fmt::Debug for HistorySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HistorySource")
    }
}
