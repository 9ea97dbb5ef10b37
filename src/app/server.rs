//! The HTTP server in threads of its own, for the daemon and for `replay --serve`.

use super::wall_clock;
use crate::http::{self, Health, PrivilegeStatus, ProcessStatus, Requests, Sources, TextForm};
use crate::metrics::{BuildInfo, Exporter, Form};
use crate::stats::{self, Snapshot};
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

/// A running server.
#[derive(Debug)]
pub struct Server {
    urls: Vec<String>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    health: Health,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Server {
    /// Binds all listeners, then serves them.
    ///
    /// # Errors
    /// [`http::BindError`] for the first listener that cannot be bound; or when the system refuses a thread.
    pub fn start(config: &http::Config, aggregation: &stats::Config) -> anyhow::Result<Self> {
        let listeners = http::bind(config)?;
        let urls = listeners.iter().map(|l| l.url().unwrap_or_else(|| l.bind().to_string())).collect();
        let snapshot = Arc::new(ArcSwap::from_pointee(Snapshot::default()));
        let health = Health::new();
        let sources = sources(aggregation, &snapshot, &health);
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("http")
            .enable_all()
            .build()
            .context("cannot start the HTTP server's threads")?;
        let config = config.clone();
        let work = move || {
            let shutdown = async { drop(stopped.await) };
            if let Err(error) = runtime.block_on(http::serve(listeners, &config, sources, shutdown)) {
                tracing::error!(%error, "the HTTP server ended");
            }
        };
        let thread = std::thread::Builder::new().name("http-main".into()).spawn(work);
        let thread = thread.context("cannot start the HTTP server's thread")?;
        Ok(Self { urls, snapshot, health, stop, thread })
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

    /// Ends open requests within their deadline and stops.
    pub fn stop(self) {
        // Already gone if the server failed, which was logged.
        let _ = self.stop.send(());
        if let Err(panic) = self.thread.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

fn sources(aggregation: &stats::Config, snapshot: &Arc<ArcSwap<Snapshot>>, health: &Health) -> Sources {
    let started = wall_clock();
    #[expect(clippy::disallowed_methods, reason = "uptime is the machine's, not packet time")]
    let began = Instant::now();
    let exporter = Arc::new(Exporter::new(aggregation, BUILD, started));
    let current = Arc::clone(snapshot);
    let (scraped, scraper) = (Arc::clone(snapshot), Arc::clone(&exporter));
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
                }),
            }
        }),
        health: health.clone(),
        requests,
    }
}
