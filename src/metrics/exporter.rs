//! The exposition of a running daemon: adds what the process knows of itself, and measures its own rendering.

use super::export::{ExportSource, ExportState};
use super::history::{HistorySource, HistoryState};
use super::notifications::{NotificationSource, NotificationState};
use super::process::{BuildInfo, Confined, HttpFacts, Privileges, ProcessFiles, RENDER_BOUNDS, Reloads, SelfState};
use super::pushes::{PushSource, PushState};
use super::{Envelope, Exposition, Form, Scope};
use crate::alert::{self, Picture};
use crate::stats::{Buckets, Config, Snapshot};
use crate::time::Timestamp;
use arc_swap::ArcSwap;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

/// Renders pages for scrapers. Shared by all of them; nobody who feeds the snapshot waits for it.
#[derive(Debug)]
pub struct Exporter {
    files: ProcessFiles,
    state: Mutex<State>,
    notifications: OnceLock<NotificationSource>,
    history: OnceLock<HistorySource>,
    pushes: OnceLock<PushSource>,
    exports: OnceLock<ExportSource>,
}

#[derive(Debug)]
struct State {
    exposition: Exposition,
    own: SelfState,
    /// How it was before the last configurations were accepted, oldest first: pictures may still be of those.
    earlier: VecDeque<(Exposition, Reloads)>,
    durations: Buckets,
    confined: Option<Confined>,
    alerts: Option<Arc<ArcSwap<Picture>>>,
}

/// Configurations that may be accepted within the time that a picture takes, which is a tick.
const EARLIER: usize = 8;

impl Exporter {
    /// Opens the process's files in `/proc`; make it before a sandbox takes them away.
    pub fn new(config: &Config, build: BuildInfo, started: Timestamp) -> Self {
        let reloads =
            Reloads { generation: 1, last_successful: true, last_success: Some(started), ..Reloads::default() };
        let own = SelfState { build, started: Some(started), reloads, ..SelfState::default() };
        let durations = Buckets::new(RENDER_BOUNDS);
        let exposition = Exposition::new(config);
        let state = State { exposition, own, earlier: VecDeque::new(), durations, confined: None, alerts: None };
        let (notifications, history) = (OnceLock::new(), OnceLock::new());
        let (pushes, exports) = (OnceLock::new(), OnceLock::new());
        Self { files: ProcessFiles::open(), state: Mutex::new(state), notifications, history, pushes, exports }
    }

    /// Shows where these rules stand too, as published there. For the configuration of the start.
    #[must_use]
    pub fn with_alerts(self, config: &Config, rules: &alert::Config, published: Arc<ArcSwap<Picture>>) -> Self {
        {
            let mut state = self.state();
            state.exposition = Exposition::with_alerts(config, rules);
            state.alerts = Some(published);
        }
        self
    }

    /// Somebody is told of alerts, and says how that fares when asked; the first one told counts.
    pub fn notifies(&self, ask: impl Fn() -> NotificationState + Send + Sync + 'static) {
        drop(self.notifications.set(NotificationSource::new(ask)));
    }

    /// There is a history, which says how it fares when it is asked; the first one told counts.
    pub fn remembers(&self, ask: impl Fn() -> Option<HistoryState> + Send + Sync + 'static) {
        drop(self.history.set(HistorySource::new(ask)));
    }

    /// Metrics or spans are pushed, and who does it says how that fares when asked; the first one told counts.
    pub fn pushes(&self, ask: impl Fn() -> PushState + Send + Sync + 'static) {
        drop(self.pushes.set(PushSource::new(ask)));
    }

    /// All families of `snapshot` as messages to push; see [`Exposition::messages`].
    pub fn push(
        &self,
        snapshot: &Arc<Snapshot>,
        http: impl Into<HttpFacts>,
        resource: &[(String, String)],
        at: Timestamp,
    ) -> Vec<Vec<u8>> {
        let (exposition, own) = self.answering(snapshot, http.into());
        let envelope = Envelope { resource: resource.to_vec(), at };
        exposition.messages(snapshot, &own, &envelope, Scope::All)
    }

    /// Flows leave, and who sends them says how that fares when asked; the first one told counts.
    pub fn exports(&self, ask: impl Fn() -> ExportState + Send + Sync + 'static) {
        drop(self.exports.set(ExportSource::new(ask)));
    }

    /// Renders all families of `snapshot` and counts the time it took.
    pub fn scrape(&self, snapshot: &Arc<Snapshot>, http: impl Into<HttpFacts>, form: Form) -> String {
        let (exposition, own) = self.answering(snapshot, http.into());
        #[expect(clippy::disallowed_methods, reason = "measures itself; no value from packets depends on it")]
        let begun = Instant::now();
        let page = exposition.render(snapshot, &own, form, Scope::All);
        let nanos = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.state().durations.observe(nanos, None);
        page
    }

    /// How it was with the configuration of `snapshot`, with what the server says of itself.
    fn answering(&self, snapshot: &Snapshot, http: HttpFacts) -> (Exposition, SelfState) {
        let (exposition, mut own) = self.of(snapshot.own.config_generation);
        let HttpFacts { requests, durations, websockets } = http;
        (own.http_requests, own.http_durations, own.websockets) = (Some(requests), durations, websockets);
        (exposition, own)
    }

    /// A configuration was accepted: from here on pages are its own, and none is partly of the one before. Gives its
    /// number.
    pub fn reloaded(&self, config: &Config, alerts: &alert::Config, at: Timestamp) -> u64 {
        let mut state = self.state();
        let before = std::mem::replace(&mut state.exposition, Exposition::with_alerts(config, alerts));
        let reloads = state.own.reloads;
        state.earlier.push_back((before, reloads));
        if state.earlier.len() > EARLIER {
            state.earlier.pop_front();
        }
        let reloads = &mut state.own.reloads;
        reloads.generation += 1;
        reloads.attempts += 1;
        reloads.last_successful = true;
        reloads.last_success = Some(at);
        reloads.generation
    }

    /// A configuration was rejected; the one before stays in force.
    pub fn reload_failed(&self) {
        let reloads = &mut self.state().own.reloads;
        reloads.attempts += 1;
        reloads.failures += 1;
        reloads.last_successful = false;
    }

    /// Privileges were given up.
    pub fn confined(&self, confined: Confined) {
        self.state().confined = Some(confined);
    }

    /// What the process knows of itself now.
    pub fn own(&self) -> SelfState {
        let generation = self.state().own.reloads.generation;
        self.of(generation).1
    }

    /// How it was while `generation` was in force, else how it is now: all of it read at once.
    fn of(&self, generation: u64) -> (Exposition, SelfState) {
        let (process, privileges) = self.files.read();
        let notifications = self.notifications.get().map(NotificationSource::ask);
        let history = self.history.get().and_then(HistorySource::ask);
        let pushes = self.pushes.get().map(PushSource::ask);
        let exports = self.exports.get().map(ExportSource::ask).unwrap_or_default();
        let state = self.state();
        let (exposition, reloads) = state.at(generation);
        let Confined { dropped, sandboxed, .. } = state.confined.unwrap_or_default();
        let own = SelfState {
            process,
            privileges: privileges.map(|held| Privileges { dropped, sandboxed, ..held }),
            layers: state.confined.map(|confined| confined.layers),
            scrapes: Some(state.durations.clone()),
            notifications,
            alerts: state.alerts.as_ref().map(|published| published.load_full()),
            reloads,
            history,
            pushes,
            exports,
            ..state.own.clone()
        };
        (exposition.clone(), own)
    }

    /// Nothing panics while it holds the lock; a poisoned one is used as it is.
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The families, and what had become of the configuration, when that of `generation` was in force.
    fn at(&self, generation: u64) -> (&Exposition, Reloads) {
        let earlier = self.earlier.iter().find(|(_, reloads)| reloads.generation == generation);
        earlier.map_or((&self.exposition, self.own.reloads), |(exposition, reloads)| (exposition, *reloads))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::process::HttpRequests;
    use crate::stats::VlanConfig;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    /// The value of a sample without labels.
    fn value(page: &str, name: &str) -> f64 {
        let line = page.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
        line.unwrap_or_else(|| panic!("no {name}")).rsplit(' ').next().unwrap().parse().unwrap()
    }

    fn exporter(config: &Config) -> Exporter {
        Exporter::new(config, BuildInfo::default(), Timestamp::from_nanos(1_000_000_000))
    }

    fn page(exporter: &Exporter) -> String {
        exporter.scrape(&Arc::default(), HttpRequests::default(), Form::Text)
    }

    /// Says that it is over also when a claim fails: the other thread is waited for.
    struct Ends<'a>(&'a AtomicBool);

    impl Drop for Ends<'_> {
        fn drop(&mut self) {
            self.0.store(true, Relaxed);
        }
    }

    #[test]
    fn a_page_is_of_one_generation_while_others_reload() {
        let even = Config::default();
        let odd = Config { vlans: Some(VlanConfig { max: 32 }), ..even.clone() };
        let limits = [&even, &odd].map(|config| Exposition::new(config).series_limit() as f64);
        let (exporter, done) = (exporter(&odd), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let ends = Ends(&done);
            let reloads = scope.spawn(|| {
                let mut generation = 1;
                while !done.load(Relaxed) {
                    generation = exporter.reloaded(
                        if generation % 2 == 1 { &even } else { &odd },
                        &alert::Config::default(),
                        Timestamp::MIN,
                    );
                }
                generation
            });
            let mut seen = std::collections::HashSet::new();
            for _ in 0..200 {
                let page = page(&exporter);
                let generation = value(&page, "netmon_config_generation");
                let is_odd = generation % 2.0 == 1.0;
                assert_eq!(value(&page, "netmon_series_limit"), limits[usize::from(is_odd)], "{generation}");
                seen.insert(generation.to_bits());
            }
            drop(ends);
            let last = reloads.join().unwrap();
            assert_eq!(value(&page(&exporter), "netmon_config_generation"), last as f64);
            assert!(seen.len() > 1, "reloads happened between the pages");
        });
    }

    #[test]
    fn a_rejected_reload_shows_and_leaves_the_last_success() {
        let exporter = exporter(&Config::default());
        let names = ["generation", "last_reload_successful", "reloads_total", "reload_failures_total"];
        let values = || {
            let page = page(&exporter);
            let success = value(&page, "netmon_config_last_reload_success_timestamp_seconds");
            (names.map(|name| value(&page, &format!("netmon_config_{name}"))), success)
        };
        assert_eq!(values(), ([1.0, 1.0, 0.0, 0.0], 1.0));
        exporter.reload_failed();
        assert_eq!(values(), ([1.0, 0.0, 1.0, 1.0], 1.0));
        exporter.reloaded(&Config::default(), &alert::Config::default(), Timestamp::from_nanos(5_000_000_000));
        assert_eq!(values(), ([2.0, 1.0, 2.0, 1.0], 5.0));
    }
}
