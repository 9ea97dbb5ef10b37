//! The HTTP server in threads of its own, for the daemon and for `replay --serve`.

use super::wall_clock;
use crate::http::{self, Health, Hosts, LayerStatus, PrivilegeStatus, ProcessStatus, Requests, Sources, TextForm};
use crate::metrics::{BuildInfo, Confined, Exporter, Form};
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

/// Listeners that are bound and everything that is served on them; threads come with [`Bound::start`].
///
/// A daemon gives up its privileges between the two.
pub struct Bound {
    listeners: Vec<http::Listener>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    health: Health,
    exporter: Arc<Exporter>,
    hosts: Hosts,
    told: Arc<ArcSwap<Told>>,
    sources: Sources,
}

impl Bound {
    /// Binds all listeners.
    ///
    /// # Errors
    /// [`http::BindError`] for the first one that cannot be bound.
    pub fn new(config: &http::Config, aggregation: &stats::Config) -> Result<Self, http::BindError> {
        let listeners = http::bind(config)?;
        let snapshot = Arc::new(ArcSwap::from_pointee(Snapshot::default()));
        let health = Health::new();
        let started = wall_clock();
        let exporter = Arc::new(Exporter::new(aggregation, BUILD, started));
        let hosts = Hosts::new(config.hosts.clone());
        let told = Arc::default();
        let sources = sources(&exporter, started, &snapshot, &health, &hosts, &told);
        Ok(Self { listeners, snapshot, health, exporter, hosts, told, sources })
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

    /// Serves them.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(self) -> anyhow::Result<Server> {
        let Self { listeners, snapshot, health, exporter, hosts, sources, .. } = self;
        let urls = listeners.iter().map(|l| l.url().unwrap_or_else(|| l.bind().to_string())).collect();
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
        Ok(Server { urls, snapshot, health, exporter, hosts, stop, thread })
    }
}

/// A running server.
pub struct Server {
    urls: Vec<String>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    health: Health,
    exporter: Arc<Exporter>,
    hosts: Hosts,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Server {
    /// Binds and serves at once.
    ///
    /// # Errors
    /// [`http::BindError`] for the first listener that cannot be bound; or when the system refuses a thread.
    pub fn start(config: &http::Config, aggregation: &stats::Config) -> anyhow::Result<Self> {
        Bound::new(config, aggregation)?.start()
    }

    /// Where it listens, as addresses for a browser where there are such.
    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// Where it looks for the current snapshot.
    pub fn snapshot(&self) -> Arc<ArcSwap<Snapshot>> {
        Arc::clone(&self.snapshot)
    }

    /// What `/healthz` and `/readyz` answer from.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// A reload was accepted: its names and its number are in force from here on. Gives the number.
    pub(super) fn reloaded(&self, api: &http::Config, aggregation: &stats::Config) -> u64 {
        self.hosts.set(api.hosts.clone());
        self.exporter.reloaded(aggregation, wall_clock())
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
            scraper.scrape(&scraped.load_full(), answered.counts(), form)
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
    }
}
