//! What became of the flows that were to leave.

use std::iter::Sum;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Why a flow did not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The queue was full: the outlet is slower than flows end, or away.
    QueueFull,
    /// The collector, the network or the disk refused it.
    Write,
    /// netmon ended before it could be sent.
    Shutdown,
}

impl Loss {
    /// All, in the order of arrays by reason.
    pub const ALL: [Self; 3] = [Self::QueueFull, Self::Write, Self::Shutdown];

    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Write => "write",
            Self::Shutdown => "shutdown",
        }
    }
}

/// The counters of one outlet.
#[derive(Debug, Default)]
pub(super) struct Counts {
    sent: AtomicU64,
    lost: [AtomicU64; Loss::ALL.len()],
}

impl Counts {
    pub(super) fn sent(&self, records: u64) {
        self.sent.fetch_add(records, Relaxed);
    }

    pub(super) fn lost(&self, reason: Loss, records: u64) {
        self.lost[reason as usize].fetch_add(records, Relaxed);
    }

    pub(super) fn totals(&self) -> Totals {
        Totals { sent: self.sent.load(Relaxed), lost: self.lost.each_ref().map(|count| count.load(Relaxed)) }
    }
}

/// Records sent and lost since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Handed to the system for sending or writing. Over UDP a collector may turn out to be away only then; such
    /// records are in `lost` too.
    pub sent: u64,
    /// By [`Loss`].
    pub lost: [u64; Loss::ALL.len()],
}

impl Sum for Totals {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            sent: sum.sent + one.sent,
            lost: std::array::from_fn(|reason| sum.lost[reason] + one.lost[reason]),
        })
    }
}
