//! What pushing to a collector says of itself, as it becomes series.

use std::fmt;

/// How pushing fares, in the order of [`SIGNALS`]; a signal that is not pushed is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PushState {
    /// By signal.
    pub signals: [Option<SignalState>; SIGNALS.len()],
    /// Spans that could not be kept until they were sent, or were given up.
    pub dropped_spans: u64,
}

/// How one signal fares.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SignalState {
    /// Attempts.
    pub exports: u64,
    /// Failed ones, in the order of [`PUSH_FAILURES`].
    pub failures: [u64; PUSH_FAILURES.len()],
    /// Unix time of the last accepted one, in seconds.
    pub last_success: Option<f64>,
}

/// Values of the `signal` label.
pub const SIGNALS: [&str; 2] = ["metrics", "traces"];

/// Values of the `reason` label of failed exports. `refused` is final (4xx), `unavailable` is not (5xx); `rejected` is
/// an export of which a part was not taken.
pub const PUSH_FAILURES: [&str; 7] =
    ["connect", "timeout", "tls", "refused", "unavailable", "rate_limited", "rejected"];

/// Asks how pushing fares.
pub(super) struct PushSource(Box<dyn Fn() -> PushState + Send + Sync>);

impl PushSource {
    pub(super) fn new(ask: impl Fn() -> PushState + Send + Sync + 'static) -> Self {
        Self(Box::new(ask))
    }

    pub(super) fn ask(&self) -> PushState {
        (self.0)()
    }
}

impl fmt::Debug for PushSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PushSource")
    }
}
