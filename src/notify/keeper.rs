//! Keeps what the machine says in the store, and goes on without one while there is none.

use super::desk::Now;
use super::group::Mono;
use super::store::{OpenedStore, Store, StoreError, Writes};
use crate::telemetry::trace_span;
use std::path::PathBuf;
use std::time::Duration;
use tracing::field::Empty;

/// The store, or what waits for one.
#[derive(Debug)]
pub(super) struct Keeper {
    directory: PathBuf,
    store: Option<Store>,
    /// What could not be written yet; later values stand over earlier ones.
    unsaved: Writes,
    /// When it is tried again.
    retry_at: Mono,
    failures: u32,
}

/// What became of an attempt to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// It is on the disk.
    Durable,
    /// It is in memory only.
    Undurable,
    /// The store is a new one, and holds nothing of what was written before.
    Anew,
}

impl Keeper {
    pub fn new(directory: PathBuf, store: Option<Store>) -> Self {
        Self { directory, store, unsaved: Writes::new(), retry_at: Mono::ZERO, failures: 0 }
    }

    /// Whether the last write is on the disk.
    pub fn is_durable(&self) -> bool {
        self.store.is_some() && self.unsaved.is_empty()
    }

    /// When it wants to try again; `None` if there is no need.
    pub fn deadline(&self) -> Option<Mono> {
        (!self.is_durable()).then_some(self.retry_at)
    }

    /// Writes, now or when there is a store again.
    pub fn keep(&mut self, writes: Writes, now: Now) -> Kept {
        self.unsaved.extend(writes);
        if self.store.is_none() && now.mono >= self.retry_at {
            match self.reopen(now) {
                Ok(true) => return Kept::Anew,
                Ok(false) => {}
                Err(error) => self.failed(&error, now),
            }
        }
        let Some(store) = &mut self.store else { return Kept::Undurable };
        if self.unsaved.is_empty() {
            return Kept::Durable;
        }
        let span = trace_span!("state.commit", writes = self.unsaved.len(), otel.status_code = Empty).entered();
        match store.commit(&self.unsaved) {
            Ok(()) => {
                if self.failures > 0 {
                    tracing::info!("notifications are stored again");
                }
                self.unsaved.clear();
                self.failures = 0;
                Kept::Durable
            }
            Err(error) => {
                span.record("otel.status_code", "ERROR");
                self.store = None;
                self.failed(&error, now);
                Kept::Undurable
            }
        }
    }

    /// Whether it is a new one.
    fn reopen(&mut self, now: Now) -> Result<bool, StoreError> {
        let OpenedStore { store, set_aside, .. } = Store::open(&self.directory, now.wall)?;
        self.store = Some(store);
        if let Some((aside, reason)) = &set_aside {
            tracing::error!(reason, file = %aside.display(), "the store was damaged and is set aside; a new one begins");
        }
        Ok(set_aside.is_some())
    }

    fn failed(&mut self, error: &StoreError, now: Now) {
        let wait = FIRST.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX)).min(MAX);
        self.failures = self.failures.saturating_add(1);
        self.retry_at = now.mono.saturating_add(wait);
        let error = super::engine::with_causes(error);
        tracing::error!(error, "notifications cannot be stored, and are sent all the same; trying again");
    }
}

/// The first wait for a store; it doubles.
const FIRST: Duration = Duration::from_millis(100);
/// The longest wait: space that is there again is used soon.
const MAX: Duration = Duration::from_secs(4);
