//! The exposition of a running daemon: adds what the process knows of itself, and measures its own rendering.

use super::process::{BuildInfo, HttpRequests, ProcessFiles, RENDER_BOUNDS, Reloads, SelfState};
use super::{Exposition, Form, Scope};
use crate::stats::{Buckets, Config, Snapshot};
use crate::time::Timestamp;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Renders pages for scrapers. Shared by all of them; nobody who feeds the snapshot waits for it.
#[derive(Debug)]
pub struct Exporter {
    files: ProcessFiles,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    exposition: Exposition,
    own: SelfState,
    durations: Buckets,
}

impl Exporter {
    /// Opens the process's files in `/proc`; make it before a sandbox takes them away.
    pub fn new(config: &Config, build: BuildInfo, started: Timestamp) -> Self {
        let reloads =
            Reloads { generation: 1, last_successful: true, last_success: Some(started), ..Reloads::default() };
        let own = SelfState { build, started: Some(started), reloads, ..SelfState::default() };
        let durations = Buckets::new(RENDER_BOUNDS);
        let state = State { exposition: Exposition::new(config), own, durations };
        Self { files: ProcessFiles::open(), state: Mutex::new(state) }
    }

    /// Renders all families of `snapshot` and counts the time it took.
    pub fn scrape(&self, snapshot: &Arc<Snapshot>, http_requests: HttpRequests, form: Form) -> String {
        let (exposition, mut own) = self.before();
        own.http_requests = Some(http_requests);
        #[expect(clippy::disallowed_methods, reason = "measures itself; no value from packets depends on it")]
        let begun = Instant::now();
        let page = exposition.render(snapshot, &own, form, Scope::All);
        let nanos = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.state().durations.observe(nanos, None);
        page
    }

    /// A configuration was accepted.
    pub fn reloaded(&self, config: &Config, at: Timestamp) {
        let mut state = self.state();
        state.exposition = Exposition::new(config);
        let reloads = &mut state.own.reloads;
        reloads.generation += 1;
        reloads.attempts += 1;
        reloads.last_successful = true;
        reloads.last_success = Some(at);
    }

    /// A configuration was rejected; the one before stays in force.
    pub fn reload_failed(&self) {
        let reloads = &mut self.state().own.reloads;
        reloads.attempts += 1;
        reloads.failures += 1;
        reloads.last_successful = false;
    }

    /// What the process knows of itself now.
    pub fn own(&self) -> SelfState {
        self.before().1
    }

    fn before(&self) -> (Exposition, SelfState) {
        let (process, privileges) = self.files.read();
        let state = self.state();
        let own = SelfState { process, privileges, scrapes: Some(state.durations.clone()), ..state.own.clone() };
        (state.exposition.clone(), own)
    }

    /// Nothing panics while it holds the lock; a poisoned one is used as it is.
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
