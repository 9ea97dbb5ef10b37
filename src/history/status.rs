//! How the history fares, for metrics and alerts.

use super::{GapReason, Tier};
use crate::stats::Buckets;
use std::path::PathBuf;

/// Whether records are being kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// They are.
    #[default]
    Good,
    /// They are not for now; it is tried again.
    Degraded {
        /// Why.
        reason: GapReason,
        /// What the store or the operating system said.
        detail: String,
    },
}

/// Why records were removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PruneReason {
    /// Older than their tier's retention.
    Age,
    /// The store was at its limit, or the disk was full.
    Size,
}

impl PruneReason {
    /// All, in the order of arrays.
    pub const ALL: [Self; 2] = [Self::Age, Self::Size];

    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Size => "size",
        }
    }
}

/// Facts about the writer, since the start.
#[derive(Clone, Debug)]
pub struct Status {
    /// Whether records are being kept.
    pub health: Health,
    /// Length of the file.
    pub size_bytes: u64,
    /// The most it may be.
    pub limit_bytes: u64,
    /// Start of the oldest record, by [`Tier`].
    pub oldest: [Option<u64>; Tier::ALL.len()],
    /// Time of each commit, in nanoseconds.
    pub write_duration: Buckets,
    /// Commits that failed.
    pub write_failures: u64,
    /// Records removed, by [`Tier`], then [`PruneReason`].
    pub pruned_records: [[u64; PruneReason::ALL.len()]; Tier::ALL.len()],
    /// Flows removed, by [`PruneReason`].
    pub pruned_flows: [u64; PruneReason::ALL.len()],
    /// Messages lost: the queue was full, the store could not be written for too long, or it has 65,536 interface names.
    pub dropped_records: u64,
    /// Ended flows that were only counted (too small, or too many).
    pub flows_left_out: u64,
    /// Damaged stores that were set aside.
    pub quarantined: u64,
    /// The one set aside last.
    pub quarantined_path: Option<PathBuf>,
}

impl Status {
    pub(super) fn new(limit_bytes: u64) -> Self {
        Self {
            health: Health::Good,
            size_bytes: 0,
            limit_bytes,
            oldest: [None; Tier::ALL.len()],
            write_duration: Buckets::new(Buckets::COMMIT),
            write_failures: 0,
            pruned_records: Default::default(),
            pruned_flows: Default::default(),
            dropped_records: 0,
            flows_left_out: 0,
            quarantined: 0,
            quarantined_path: None,
        }
    }
}

/// One commit, told to [`Store::on_commit`](super::Store::on_commit) once it is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Commits of this store so far, those of earlier processes included.
    pub batch: u64,
    /// Records of the 1 s tier in it.
    pub seconds: usize,
    /// Start of the newest second in it; `None` without one.
    pub newest: Option<u64>,
}
