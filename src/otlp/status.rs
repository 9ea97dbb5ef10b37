//! How pushing fares: counters, and a line in the log where something changes.

use super::Reason;
use super::client::Failure;
use crate::time::Timestamp;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// What is pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// The families of `/metrics`.
    Metrics,
    /// Spans of netmon's own work.
    Traces,
}

impl Signal {
    /// All, in the order of counters.
    pub const ALL: [Self; 2] = [Self::Metrics, Self::Traces];

    /// As in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Traces => "traces",
        }
    }

    /// The path of its call in gRPC.
    pub(super) const fn method(self) -> &'static str {
        match self {
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        }
    }
}

/// How both signals fare. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Status(Arc<Mutex<[Told; 2]>>);

/// How one signal fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignalStatus {
    /// Whether it is pushed.
    pub on: bool,
    /// Attempts.
    pub exports: u64,
    /// Failed ones, in the order of [`Reason::ALL`].
    pub failures: [u64; Reason::ALL.len()],
    /// When one was accepted last.
    pub last_success: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct Told {
    status: SignalStatus,
    /// What is wrong, since it was said last.
    complaint: Option<(Reason, Instant)>,
}

/// How often the same trouble is said again.
const REMIND: Duration = Duration::from_secs(600);

impl Status {
    /// As it is now, in the order of [`Signal::ALL`].
    pub fn now(&self) -> [SignalStatus; 2] {
        self.lock().each_ref().map(|told| told.status.clone())
    }

    pub(super) fn switch(&self, signal: Signal, on: bool) {
        self.lock()[signal as usize].status.on = on;
    }

    /// Counts an attempt, and says so where things have changed.
    pub(super) fn note(&self, signal: Signal, place: &str, result: &Result<(), Failure>, at: Timestamp) {
        let mut all = self.lock();
        let told = &mut all[signal as usize];
        told.status.exports += 1;
        match result {
            Ok(()) => {
                told.status.last_success = Some(at);
                if told.complaint.take().is_some() {
                    tracing::info!(signal = signal.name(), collector = place, "the collector takes exports again");
                }
            }
            Err(failure) => {
                told.status.failures[failure.reason as usize] += 1;
                told.complain(signal, place, failure);
            }
        }
    }

    /// Nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, [Told; 2]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
    /// Once for each kind of trouble, and from time to time.
    fn complain(&mut self, signal: Signal, place: &str, failure: &Failure) {
        let is_known = |(reason, said): (Reason, Instant)| reason == failure.reason && said.elapsed() < REMIND;
        if self.complaint.is_some_and(is_known) {
            return;
        }
        self.complaint = Some((failure.reason, Instant::now()));
        let (signal, reason, error) = (signal.name(), failure.reason.name(), &*failure.what);
        tracing::warn!(signal, collector = place, reason, error, "the collector does not take an export");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn attempts_are_counted_by_signal_and_reason() {
        let status = Status::default();
        let failed = Err(Failure::new(Reason::Timeout, "late"));
        status.note(Signal::Metrics, "a:1", &failed, Timestamp::MIN);
        status.note(Signal::Metrics, "a:1", &Ok(()), Timestamp::from_nanos(7));
        status.note(Signal::Traces, "a:1", &failed, Timestamp::MIN);
        let [metrics, traces] = status.now();
        assert_eq!((metrics.exports, metrics.failures[Reason::Timeout as usize]), (2, 1));
        assert_eq!(metrics.last_success, Some(Timestamp::from_nanos(7)));
        assert_eq!((traces.exports, traces.last_success), (1, None));
    }

    #[test]
    fn reasons_and_signals_are_in_the_order_of_their_counters() {
        assert!(Reason::ALL.iter().enumerate().all(|(n, reason)| *reason as usize == n));
        assert!(Signal::ALL.iter().enumerate().all(|(n, signal)| *signal as usize == n));
    }
}
