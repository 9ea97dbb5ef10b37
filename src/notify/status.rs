//! What the engine tells of itself: to `/metrics` and to whoever asks.

use super::notification::Reason;
use crate::stats::Buckets;
use crate::time::Timestamp;
use std::sync::Arc;

/// Why a change was given up: the label `reason` of `netmon_notifications_dropped_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Loss {
    /// More waited than the receiver's `queue`.
    QueueFull,
    /// It waited longer than the receiver's `max_age`.
    Expired,
    /// The receiver will not take it.
    Refused,
}

impl Loss {
    /// All, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::QueueFull, Self::Expired, Self::Refused];

    /// The value of the label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Expired => "expired",
            Self::Refused => "refused",
        }
    }
}

/// Notifications at one moment.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// By receiver, in the order of their names.
    pub receivers: Vec<ReceiverStatus>,
    /// Alerts kept back by a silence, once for each receiver.
    pub silenced: u64,
    /// Messages that were sent although they could not be stored first.
    pub undurable: u64,
    /// Alert changes that came faster than they could be stored.
    pub overrun: u64,
    /// Whether the store can be written.
    pub is_durable: bool,
}

/// One receiver at one moment.
#[derive(Clone, Debug)]
pub struct ReceiverStatus {
    /// Its name.
    pub name: Arc<str>,
    /// Attempts that began.
    pub attempts: u64,
    /// Attempts that failed, in the order of [`Reason::ALL`].
    pub failures: [u64; Reason::ALL.len()],
    /// Changes that wait.
    pub queue_length: u64,
    /// The most that may wait.
    pub queue_limit: u64,
    /// Changes that were given up, in the order of [`Loss::ALL`].
    pub dropped: [u64; Loss::ALL.len()],
    /// From a change to the acceptance of a message with it, over [`Buckets::DELIVERY`], in nanoseconds.
    pub latency: Buckets,
    /// When a message was accepted last.
    pub last_success: Option<Timestamp>,
    /// What went wrong last, since the last success.
    pub last_error: Option<String>,
}

impl ReceiverStatus {
    pub(super) fn new(name: &Arc<str>) -> Self {
        Self {
            name: Arc::clone(name),
            attempts: 0,
            failures: [0; Reason::ALL.len()],
            queue_length: 0,
            queue_limit: 0,
            dropped: [0; Loss::ALL.len()],
            latency: Buckets::new(Buckets::DELIVERY),
            last_success: None,
            last_error: None,
        }
    }
}
