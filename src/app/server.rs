//! The HTTP server in threads of its own, for the daemon and for `replay --serve`.

use super::alert_rooms;
use super::alerting::Board;
use super::api::{Api, Past};
use super::{Keeper, history_room, wall_clock};
use crate::alert;
use crate::config::Loaded;
use crate::http::{
    self, Access, Health, Hosts, Known, LayerStatus, PrivilegeStatus, ProcessStatus, Requests, Rooms, Seconds, Sources,
    TextForm,
};
use crate::metrics::{
    BuildInfo, Confined, ExportState, Exporter, Form, HistoryState, HttpFacts, NotificationState, PushState,
};
use crate::notify::engine::Handle;
use crate::pipeline::{FlowDesk, Watcher};
use crate::privilege::{Confinement, Layer};
use crate::stats::{self, Snapshot};
use crate::time::Timestamp;
use anyhow::Context;
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::sync::oneshot;

/// What was built.
pub(super) const BUILD: BuildInfo = BuildInfo {
    version: env!("CARGO_PKG_VERSION"),
    revision: match option_env!("NETMON_REVISION") {
        Some(revision) => revision,
        None => "unknown",
    },
    target: std::env::consts::ARCH,
    features: "",
};

/// How the process is confined, for the status.
#[derive(Default)]
struct Told {
    user: Option<String>,
    layers: Vec<LayerStatus>,
}

/// What a daemon has behind its API beside the capture.
pub(super) struct Behind {
    /// Who notifies.
    pub(super) notifications: Option<Handle>,
    /// Who keeps the history, if one is kept; its store may be opened later.
    pub(super) history: Option<Keeper>,
}

/// Listeners that are bound and everything that is served on them; threads come with [`Bound::start`].
///
/// A daemon gives up its privileges between the two.
pub struct Bound {
    listeners: Vec<http::Listener>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    board: Board,
    health: Health,
    exporter: Arc<Exporter>,
    hosts: Hosts,
    access: Access,
    api: Api,
    told: Arc<ArcSwap<Told>>,
    sources: Sources,
}

/// Makes the messages of a push, for a resource and a time.
pub(super) type Messages = Box<dyn FnMut(&[(String, String)], Timestamp) -> Vec<Vec<u8>> + Send>;

impl Bound {
    /// Binds all listeners.
    ///
    /// # Errors
    /// [`http::BindError`] for the first one that cannot be bound.
    pub fn new(
        config: &http::Config,
        aggregation: &stats::Config,
        alerts: &alert::Config,
    ) -> Result<Self, http::BindError> {
        let listeners = http::bind(config)?;
        let snapshot = Arc::new(ArcSwap::from_pointee(Snapshot::default()));
        let health = Health::new();
        let started = wall_clock();
        let board = Board::default();
        let exporter = Exporter::new(aggregation, BUILD, started).with_alerts(aggregation, alerts, Arc::clone(&board));
        let exporter = Arc::new(exporter);
        let hosts = Hosts::new(config.hosts.clone());
        let (told, api, access) = (Arc::default(), Api::new(), Access::default());
        let mut sources = sources(&exporter, started, &snapshot, &health, &hosts, &told);
        sources.access = access.clone();
        sources.seconds = api.seconds.clone();
        sources.rooms = api.rooms();
        Ok(Self { listeners, snapshot, board, health, exporter, hosts, access, api, told, sources })
    }

    /// Tells readers how the process is confined.
    pub(super) fn confined(&self, confinement: &Confinement) {
        self.exporter.confined(Confined {
            dropped: confinement.dropped,
            sandboxed: confinement.is_sandboxed(),
            layers: Layer::ALL.map(|layer| confinement.is_active(layer)),
        });
        let layers = confinement.layers.iter().map(|(layer, state)| LayerStatus {
            layer: layer.name(),
            state: state.name(),
            reason: state.reason().map(str::to_owned),
        });
        let told = Told { user: Some(confinement.user.clone()), layers: layers.collect() };
        self.told.store(Arc::new(told));
    }

    /// Shows on `/metrics` what becomes of notifications.
    pub(super) fn notifies(&self, ask: impl Fn() -> NotificationState + Send + Sync + 'static) {
        self.exporter.notifies(ask);
    }

    /// What `/healthz` and `/readyz` answer from.
    pub(super) fn health(&self) -> &Health {
        &self.health
    }

    /// Reads who may do what, with what is left of the privileges, and serves. A daemon takes commands, and
    /// has more to tell.
    ///
    /// # Errors
    /// What is wrong with secrets or certificates, or when the system refuses a thread.
    pub(super) fn start(self, loaded: &Loaded, daemon: Option<Behind>) -> anyhow::Result<Server> {
        let Self { listeners, snapshot, board, health, exporter, hosts, access, api, mut sources, .. } = self;
        let known = Known::load(&loaded.config.api).context("cannot set up access to the API")?;
        let is_tls = known.is_tls();
        access.set(known);
        api.set_config(loaded);
        sources.rooms.control = daemon.is_some().then(|| api.control());
        let (notifications, history) = daemon.map_or((None, None), |daemon| (daemon.notifications, daemon.history));
        alert_rooms::mount(&mut sources.rooms, Arc::clone(&board), notifications);
        sources.rooms.history = history.map(history_room::room).or(sources.rooms.history);
        let url = |listener: &http::Listener| match listener.url() {
            Some(url) if is_tls => url.replacen("http:", "https:", 1),
            Some(url) => url,
            None => listener.bind().to_string(),
        };
        let urls = listeners.iter().map(url).collect();
        let requests = sources.requests.clone();
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("http")
            .enable_all()
            .build()
            .context("cannot start the HTTP server's threads")?;
        let work = move || {
            let shutdown = async { drop(stopped.await) };
            if let Err(error) = runtime.block_on(http::serve(listeners, sources, shutdown)) {
                tracing::error!(%error, "the HTTP server ended");
            }
        };
        let thread = super::spawn("http-main", work)?;
        Ok(Server { urls, snapshot, board, health, exporter, requests, hosts, access, api, stop, thread })
    }
}

/// A running server.
pub struct Server {
    urls: Vec<String>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    board: Board,
    health: Health,
    exporter: Arc<Exporter>,
    requests: Requests,
    hosts: Hosts,
    access: Access,
    api: Api,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Server {
    /// Binds and serves at once, without control. A replay that is written down answers from its store, too.
    ///
    /// # Errors
    /// [`http::BindError`] for the first listener that cannot be bound; or when the system refuses a thread.
    pub fn start(loaded: &Loaded, history: Option<Keeper>) -> anyhow::Result<Self> {
        let config = &loaded.config;
        let mut bound = Bound::new(&config.api, &config.aggregation, &config.alerts)?;
        bound.sources.rooms.history = history.map(history_room::room);
        bound.start(loaded, None)
    }

    /// Where flows are asked for.
    pub fn desk(&self) -> FlowDesk {
        self.api.desk.clone()
    }

    /// Keeps the last minutes for streams, from the picture of every tick.
    pub fn past(&self) -> Box<dyn Watcher> {
        Box::new(Past(self.api.seconds.clone()))
    }

    pub(super) fn api(&self) -> &Api {
        &self.api
    }

    /// Where it listens, as addresses for a browser where there are such.
    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// Where it looks for the current snapshot.
    pub fn snapshot(&self) -> Arc<ArcSwap<Snapshot>> {
        Arc::clone(&self.snapshot)
    }

    /// Where it looks for rules and alerts.
    pub fn board(&self) -> Board {
        Arc::clone(&self.board)
    }

    /// What `/healthz` and `/readyz` answer from.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// There is a history, which says how it fares.
    pub(super) fn remembers(&self, ask: impl Fn() -> Option<HistoryState> + Send + Sync + 'static) {
        self.exporter.remembers(ask);
    }

    /// What it shows on `/metrics`, as messages to push.
    pub(super) fn messages(&self) -> Messages {
        let (exporter, snapshot, requests) =
            (Arc::clone(&self.exporter), Arc::clone(&self.snapshot), self.requests.clone());
        Box::new(move |resource, at| exporter.push(&snapshot.load_full(), facts(&requests), resource, at))
    }

    /// Something is pushed, and this is how it fares.
    pub(super) fn pushes(&self, ask: impl Fn() -> PushState + Send + Sync + 'static) {
        self.exporter.pushes(ask);
    }

    /// Flows leave, and this says how that fares.
    pub(super) fn exports(&self, ask: impl Fn() -> ExportState + Send + Sync + 'static) {
        self.exporter.exports(ask);
    }

    /// A reload was accepted: its names and its number are in force from here on. Gives the number.
    pub(super) fn reloaded(&self, loaded: &Loaded, known: Known) -> u64 {
        let config = &loaded.config;
        self.hosts.set(config.api.hosts.clone());
        self.access.set(known);
        self.api.set_config(loaded);
        self.exporter.reloaded(&config.aggregation, &config.alerts, wall_clock())
    }

    /// A reload was rejected.
    pub(super) fn reload_failed(&self) {
        self.exporter.reload_failed();
    }

    /// Takes no more requests and begins to end those that are open, within their deadline. Wait for the thread.
    pub(super) fn begin_stop(self) -> JoinHandle<()> {
        // Already gone if the server failed, which was logged.
        let _ = self.stop.send(());
        self.thread
    }

    /// Ends open requests within their deadline and stops.
    pub fn stop(self) {
        super::live::join(self.begin_stop());
    }
}

/// What the server counts.
fn facts(answered: &Requests) -> HttpFacts {
    HttpFacts {
        requests: answered.counts(),
        durations: Some(answered.durations()),
        websockets: Some(answered.streams()),
    }
}

fn sources(
    exporter: &Arc<Exporter>,
    started: Timestamp,
    snapshot: &Arc<ArcSwap<Snapshot>>,
    health: &Health,
    hosts: &Hosts,
    told: &Arc<ArcSwap<Told>>,
) -> Sources {
    #[expect(clippy::disallowed_methods, reason = "uptime is the machine's, not packet time")]
    let began = Instant::now();
    let current = Arc::clone(snapshot);
    let (scraped, scraper, exporter) = (Arc::clone(snapshot), Arc::clone(exporter), Arc::clone(exporter));
    let told = Arc::clone(told);
    let requests = Requests::default();
    let answered = requests.clone();
    Sources {
        snapshot: Box::new(move || current.load_full()),
        metrics: Box::new(move |form| {
            let form = match form {
                TextForm::Prometheus => Form::Text,
                TextForm::OpenMetrics => Form::OpenMetrics,
            };
            scraper.scrape(&scraped.load_full(), facts(&answered), form)
        }),
        process: Box::new(move || {
            let own = exporter.own();
            ProcessStatus {
                version: BUILD.version,
                revision: BUILD.revision,
                started,
                uptime: began.elapsed(),
                config_generation: own.reloads.generation,
                privileges: own.privileges.map(|held| PrivilegeStatus {
                    root: held.root,
                    capability: held.capability,
                    dropped: held.dropped,
                    sandboxed: held.sandboxed,
                    user: told.load().user.clone(),
                    layers: told.load().layers.clone(),
                }),
            }
        }),
        health: health.clone(),
        requests,
        hosts: hosts.clone(),
        access: Access::default(),
        seconds: Seconds::default(),
        rooms: Rooms::default(),
    }
}

#[cfg(test)]
mod tests {
    use crate::{http, metrics};

    #[test]
    fn the_metrics_name_handlers_as_the_server_counts_them() {
        assert_eq!(metrics::HANDLERS, http::HANDLERS);
        assert_eq!(metrics::TIMED_HANDLERS, http::TIMED);
    }
}
