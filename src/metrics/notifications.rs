//! What the notifications say of themselves, as it becomes series.

use crate::stats::Buckets;
use std::fmt;

/// How notifications fare.
#[derive(Clone, Debug, Default)]
pub struct NotificationState {
    /// By name, at most [`MAX_RECEIVERS`].
    pub receivers: Vec<ReceiverState>,
    /// Alerts kept back by a silence.
    pub silenced: u64,
    /// Messages sent without being stored first.
    pub undurable: u64,
    /// Alert changes that came faster than they could be stored.
    pub overrun: u64,
}

/// How one receiver fares; arrays are in the order of the `reason` labels.
#[derive(Clone, Debug)]
pub struct ReceiverState {
    /// Its name.
    pub name: String,
    /// Attempts.
    pub attempts: u64,
    /// Failed attempts.
    pub failures: [u64; FAILURE_REASONS.len()],
    /// Changes that wait.
    pub queue_length: u64,
    /// The most that may wait.
    pub queue_limit: u64,
    /// Changes that were given up.
    pub dropped: [u64; DROP_REASONS.len()],
    /// From a change to its acceptance, over [`Buckets::DELIVERY`], in nanoseconds.
    pub latency: Buckets,
    /// Unix time of the last acceptance, in seconds.
    pub last_success: Option<f64>,
}

/// The most receivers.
pub const MAX_RECEIVERS: usize = 10;

/// Values of the `reason` label of failed attempts.
pub const FAILURE_REASONS: [&str; 6] = ["connect", "timeout", "tls", "http_4xx", "http_5xx", "rate_limited"];

/// Values of the `reason` label of what was given up.
pub const DROP_REASONS: [&str; 3] = ["queue_full", "expired", "refused"];

/// Who is asked how notifications fare.
pub(super) struct NotificationSource(Box<dyn Fn() -> NotificationState + Send + Sync>);

impl NotificationSource {
    pub(super) fn new(ask: impl Fn() -> NotificationState + Send + Sync + 'static) -> Self {
        Self(Box::new(ask))
    }

    pub(super) fn ask(&self) -> NotificationState {
        (self.0)()
    }
}

impl fmt::Debug for NotificationSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NotificationSource")
    }
}
