//! Pushing to a collector: what it needs, who tells it what, and how it ends.
//!
//! Headers and certificates are read while there is privilege, which tells what is wrong with them before anything is
//! given up, and again afterwards, as they will be from then on.

use super::server::Server;
use super::wall_clock;
use crate::config::{Config, Loaded, otel};
use crate::http::Bind;
use crate::metrics::{PushState, SignalState};
use crate::notify::secret::Surroundings;
use crate::otlp::{self, Pusher, Setup, SignalStatus, Status, Targets};
use crate::privilege::{Identity, Needs};
use crate::telemetry::SpanQueue;
use anyhow::Context;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

/// What pushing will need, made ready while netmon has its privileges.
pub(super) struct Prepared {
    ports: BTreeSet<u16>,
    directories: Vec<PathBuf>,
    uid: Option<u32>,
}

impl Prepared {
    /// Looks at headers and certificates. `None` where nothing is pushed.
    ///
    /// # Errors
    /// They cannot be read or used.
    pub(super) fn new(config: &otlp::Config, identity: &Identity) -> anyhow::Result<Option<Self>> {
        if !config.is_on() {
            return Ok(None);
        }
        let uid = identity.user_id();
        open(config, uid)?;
        let unused = otel::unused(std::env::vars_os().map(|(name, _)| name));
        if !unused.is_empty() {
            tracing::warn!(variables = unused.join(" "), "variables of OpenTelemetry that mean nothing to netmon");
        }
        Ok(Some(Self { ports: ports(config), directories: directories(config), uid }))
    }

    /// What must be within reach later.
    pub(super) fn needs(&self) -> Needs {
        let own =
            Needs { read: self.directories.clone(), connect: self.ports.iter().copied().collect(), ..Needs::default() };
        own.and(Needs::for_resolving())
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// What can no longer be read, or when the system refuses a thread.
    pub(super) fn start(self, loaded: &Loaded, server: &Server, spans: Option<SpanQueue>) -> anyhow::Result<Pushing> {
        let config = &loaded.config;
        let resource = resource(config);
        let dropped = spans.as_ref().map(SpanQueue::dropped).unwrap_or_default();
        let has_spans = spans.is_some();
        let (of_metrics, mut messages) = (resource.clone(), server.messages());
        let setup = Setup {
            targets: open(&config.otlp, self.uid)?,
            messages: Box::new(move || messages(&of_metrics, wall_clock())),
            spans,
            resource,
            wall_clock,
        };
        let pusher = Pusher::start(setup).context("cannot start the thread otlp")?;
        let status = pusher.status();
        server.pushes(move || shown(&status, &dropped));
        Ok(Pushing { pusher, ports: self.ports, uid: self.uid, has_spans })
    }
}

/// Pushing that runs.
pub(super) struct Pushing {
    pusher: Pusher,
    /// That may be connected to.
    ports: BTreeSet<u16>,
    uid: Option<u32>,
    /// Whether spans are made.
    has_spans: bool,
}

impl Pushing {
    /// Opens other targets; they hold once they are given to [`Pushing::adopt`].
    ///
    /// # Errors
    /// What cannot be used, a port that was not asked for at the start, or spans where none are made.
    pub(super) fn prepare(&self, config: &otlp::Config) -> anyhow::Result<Targets> {
        if let Some(port) = ports(config).iter().find(|port| !self.ports.contains(port)) {
            anyhow::bail!(
                "the collector is at port {port}, to which nothing was pushed so far: restart netmon to use it"
            );
        }
        if config.traces.is_some() && !self.has_spans {
            anyhow::bail!("no traces were pushed so far: restart netmon to push them");
        }
        open(config, self.uid)
    }

    /// Pushes to these from here on.
    pub(super) fn adopt(&self, targets: Targets) {
        self.pusher.adopt(targets);
    }

    /// Sends what there is once more; ends within two seconds.
    pub(super) fn begin_stop(self) -> JoinHandle<()> {
        self.pusher.begin_stop()
    }
}

fn open(config: &otlp::Config, uid: Option<u32>) -> anyhow::Result<Targets> {
    let around = Surroundings { user: uid, ..Surroundings::of_process() };
    Targets::open(config, around).map_err(anyhow::Error::new)
}

fn ports(config: &otlp::Config) -> BTreeSet<u16> {
    config.urls().map(crate::notify::client::Url::port).collect()
}

/// Of files that may be replaced by others.
fn directories(config: &otlp::Config) -> Vec<PathBuf> {
    let headers = config.headers.as_ref().and_then(crate::notify::secret::Source::file);
    let files = headers.into_iter().chain(config.ca_file.as_deref());
    let directories = |file: &Path| {
        let named = file.parent().map(Path::to_owned);
        let real = file.canonicalize().ok().and_then(|file| file.parent().map(Path::to_owned));
        [named, real].into_iter().flatten()
    };
    files.flat_map(directories).collect()
}

/// Who pushes. The instance is the host with the first port of the API, as Prometheus names what it scrapes: it is the
/// same after a restart, so series go on. What is configured stands over what is found out.
fn resource(config: &Config) -> Vec<(String, String)> {
    let host = host_name();
    let port = config.api.bind.iter().find_map(|bind| match bind {
        Bind::Tcp(address) => Some(address.port()),
        Bind::Unix(_) => None,
    });
    let instance = port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
    let found = [
        ("service.name", config.otlp.service_name.as_str()),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("service.instance.id", &instance),
        ("host.name", &host),
    ];
    let configured = &config.otlp.attributes;
    let is_configured = |name: &str| configured.iter().any(|(known, _)| known == name);
    let found = found.into_iter().filter(|(name, _)| !is_configured(name));
    found.map(|(name, value)| (name.to_owned(), value.to_owned())).chain(configured.iter().cloned()).collect()
}

#[cfg(unix)]
fn host_name() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "unknown".into())
}

#[cfg(not(unix))]
fn host_name() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_else(|_| "unknown".into())
}

fn shown(status: &Status, dropped: &AtomicU64) -> PushState {
    let shown = |status: SignalStatus| SignalState {
        exports: status.exports,
        failures: status.failures,
        last_success: status.last_success.map(|at| at.as_secs_f64()),
    };
    let signals = status.now().map(|signal| signal.on.then(|| shown(signal)));
    PushState { signals, dropped_spans: dropped.load(Ordering::Relaxed) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{PUSH_FAILURES, SIGNALS};
    use crate::otlp::{Reason, Signal};

    #[test]
    fn the_page_has_the_signals_and_reasons_that_pushing_counts_by() {
        assert_eq!(SIGNALS, Signal::ALL.map(Signal::name));
        assert_eq!(PUSH_FAILURES, Reason::ALL.map(Reason::name));
    }

    #[test]
    fn what_is_configured_stands_over_what_is_found_out() {
        let attributes = vec![("host.name".to_owned(), "a".to_owned()), ("team".into(), "net".into())];
        let otlp = otlp::Config { attributes, ..otlp::Config::default() };
        let resource = resource(&Config { otlp, ..Config::default() });
        let value = |name: &str| {
            let found: Vec<_> = resource.iter().filter(|(known, _)| known == name).map(|(_, value)| &**value).collect();
            found.join("|")
        };
        assert_eq!(
            (value("service.name"), value("host.name"), value("team")),
            ("netmon".into(), "a".into(), "net".into())
        );
        assert!(value("service.instance.id").ends_with(":8080"));
    }
}
