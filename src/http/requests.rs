//! How many requests were answered, and how.

use axum::http::StatusCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What answers requests, in the order of [`Requests::counts`].
pub const HANDLERS: [&str; 5] = ["metrics", "health", "api", "page", "other"];

/// Answers since the start, by handler and class of status. Cheap to clone; all clones are one.
///
/// A refused connection counts as one answer of `other` with 5xx. What is no HTTP is not counted.
#[derive(Clone, Debug, Default)]
pub struct Requests(Arc<[[AtomicU64; 4]; HANDLERS.len()]>);

impl Requests {
    /// By [`HANDLERS`], then 2xx, 3xx, 4xx, 5xx.
    pub fn counts(&self) -> [[u64; 4]; HANDLERS.len()] {
        std::array::from_fn(|handler| std::array::from_fn(|class| self.0[handler][class].load(Relaxed)))
    }

    pub(super) fn count(&self, path: &str, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(2, 5) - 2;
        self.0[handler(path)][class].fetch_add(1, Relaxed);
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
        _ if path.starts_with("/api/") => 2,
        _ => 4,
    }
}
