//! How many requests were answered, how, and in which time; and how many streams there are.

use crate::stats::Buckets;
use axum::http::StatusCode;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What answers requests, in the order of [`Requests::counts`].
pub const HANDLERS: [&str; 5] = ["metrics", "health", "api", "page", "other"];

/// What is timed, in the order of [`Requests::durations`]. `ws` is the time until a stream is open.
pub const TIMED: [&str; 3] = ["metrics", "api", "ws"];

/// Answers since the start, by handler and class of status. Cheap to clone; all clones are one.
///
/// A refused connection counts as one answer of `other` with 5xx. What is no HTTP is not counted.
#[derive(Clone, Debug, Default)]
pub struct Requests(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    counts: [[AtomicU64; 4]; HANDLERS.len()],
    durations: Mutex<[Buckets; TIMED.len()]>,
    clients: Arc<AtomicU64>,
    dropped: Arc<AtomicU64>,
}

impl Default for Inner {
    fn default() -> Self {
        let durations = Mutex::new(std::array::from_fn(|_| Buckets::new(Buckets::ANSWER)));
        Self { counts: Default::default(), durations, clients: Arc::default(), dropped: Arc::default() }
    }
}

impl Requests {
    /// By [`HANDLERS`], then 2xx, 3xx, 4xx, 5xx. An opened stream counts as 2xx.
    pub fn counts(&self) -> [[u64; 4]; HANDLERS.len()] {
        std::array::from_fn(|handler| std::array::from_fn(|class| self.0.counts[handler][class].load(Relaxed)))
    }

    /// Times from a request's head to its answer's, in nanoseconds, by [`TIMED`].
    pub fn durations(&self) -> [Buckets; TIMED.len()] {
        self.0.durations.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Streams that are open, and messages that slow ones did not get.
    pub fn streams(&self) -> [u64; 2] {
        [self.0.clients.load(Relaxed), self.0.dropped.load(Relaxed)]
    }

    /// Where streams count themselves: those that are open, and messages dropped.
    pub(super) fn of_streams(&self) -> (Arc<AtomicU64>, Arc<AtomicU64>) {
        (Arc::clone(&self.0.clients), Arc::clone(&self.0.dropped))
    }

    pub(super) fn count(&self, path: &str, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(2, 5) - 2;
        self.0.counts[handler(path)][class].fetch_add(1, Relaxed);
    }

    pub(super) fn time(&self, path: &str, took: Duration) {
        let Some(timed) = timed(path) else { return };
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.0.durations.lock().unwrap_or_else(PoisonError::into_inner)[timed].observe(nanos, None);
    }

    /// A connection got 503 without being asked for its path.
    pub(super) fn count_refusal(&self) {
        self.count("", StatusCode::SERVICE_UNAVAILABLE);
    }
}

fn handler(path: &str) -> usize {
    match path {
        "/metrics" => 0,
        "/healthz" | "/readyz" => 1,
        "/" => 3,
        path if path.starts_with("/assets/") => 3,
        _ if path.starts_with("/api/") => 2,
        _ => 4,
    }
}

fn timed(path: &str) -> Option<usize> {
    match path {
        "/metrics" => Some(0),
        "/api/v1/stream" => Some(2),
        _ => path.starts_with("/api/").then_some(1),
    }
}
