//! The daemon: the only place where all rooms meet. Opens, gives up its privileges, spawns, waits, drains.
//!
//! Everything that needs a privilege or can be refused is opened first, in the main thread: capture handles and spare
//! packet sockets, listeners, what the kernel says of interfaces. Then privileges are given up and the sandbox is
//! entered, once for the whole process because it has one thread, and only then threads start, the store of the history
//! is opened and the first packet is read. To stop, the capture threads are told so; each ends its shard, the collector
//! ends when the last shard has, the history with the collector, and the server when the last picture is out.

mod alert_rooms;
mod alerting;
mod api;
mod exporting;
mod history_room;
mod live;
mod notify;
mod notifying;
mod opener;
mod operate;
mod pushing;
mod reload;
mod remember;
mod resolved;
mod server;
mod state;
mod supervisor;
mod watch;
mod watched;
mod yesterday;

pub use alerting::{Alerting, Board, Timeline};
pub use exporting::Exporting;
pub use remember::{Keeper, NotAStore, Recording};
pub use server::Server;
pub use yesterday::at_rest;

use crate::alert::Evaluator;
use crate::capture::CaptureError;
use crate::capture::interfaces::{self, Monitor, Selection};
use crate::config::{Config, Loaded, Override};
use crate::flow::HashKey;
use crate::http::{self, Bind, Watch};
use crate::pipeline::Collector;
use crate::privilege::{self, Needs};
use crate::stats::{InterfaceSnapshot, Snapshot, StatsAggregator};
use crate::telemetry::{Levels, SpanQueue, Telemetry};
use crate::time::Timestamp;
use anyhow::Context;
use notify::Notifier;
use notifying::{Notifying, Prepared, Ready};
use opener::Opener;
use pushing::Pushing;
use remember::{Closing, Memory, Place};
use server::{Behind, Bound};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use supervisor::{Opened, Parts, STALLED, Supervisor};
use watch::FileWatch;
use yesterday::Recall;

/// The wall clock; before 1970 it stands at the epoch.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock, for live capture and labels")]
pub fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// What the outside tells a running daemon, and what it needs to read its configuration again.
pub struct Control<'a> {
    /// Set to stop it.
    pub stop: &'a AtomicBool,
    /// Set to have the configuration read again.
    pub reload: &'a AtomicBool,
    /// The flags that stand over the file and the environment.
    pub overrides: &'a [Override],
    /// What a configuration logs, under the flags of this call.
    pub levels: &'a dyn Fn(&Config) -> Levels,
    /// The log.
    pub log: &'a Telemetry,
}

/// What a start brings with it: the configuration, and the spans of what is done under it.
pub struct Start {
    /// The configuration.
    pub loaded: Loaded,
    /// Spans of netmon's own work, where they are to be pushed.
    pub spans: Option<SpanQueue>,
}

/// Monitors until told to stop. `announce` is told once what is monitored and where the page is.
///
/// # Errors
/// What could not be opened: [`CaptureError`], [`http::BindError`]
/// and [`PrivilegeError`](privilege::PrivilegeError) are in the chain.
pub fn run(start: Start, control: &Control<'_>, announce: impl FnOnce(&[String], &Server)) -> anyhow::Result<()> {
    let Start { loaded, spans } = start;
    let config = &loaded.config;
    let notifier = Notifier::open();
    let identity = privilege::identity(&config.privileges)?;
    if let Some(warning) = &identity.warning {
        tracing::warn!("{warning}");
    }
    privilege::raise_net_raw()?;
    let monitor = Monitor::open()?;
    let mut selection = Selection::new(&patterns(config));
    interfaces::check_names(&patterns(config), monitor.links())?;
    may_capture(config)?;
    let mut opener = Opener::new(&config.capture)?;
    let mut opened = open_interfaces(config, &mut selection, &monitor, &opener)?;
    let hash = HashKey::random().context("cannot draw a random key for the flow table")?;
    let bound = Bound::new(&config.api, &config.aggregation, &config.alerts)?;
    let files = http::Known::load(&config.api).context("cannot set up access to the API")?.files();
    hand_over_sockets(config, &identity)?;
    let notifying = Prepared::new(config, &identity)?;
    let history = Place::prepare(config, &identity);
    let pushing = pushing::Prepared::new(&config.otlp, &identity)?;

    let of_notifying = notifying.as_ref().map(Prepared::needs).unwrap_or_default();
    let of_history = history.as_ref().map(Place::needs).unwrap_or_default();
    let of_pushing = pushing.as_ref().map(pushing::Prepared::needs).unwrap_or_default();
    let needs = needs(&loaded, &files).and(of_notifying).and(of_history).and(of_pushing).and(exporting::needs(config));
    let confinement = privilege::confine(&identity, &config.privileges, &needs)?;
    if confinement.dropped && !config.privileges.keep_net_raw {
        opener.give_up();
    }
    supervisor::verify(&mut opened)?;
    bound.confined(&confinement);
    tracing::info!("{confinement}");

    let ready = notifying.map(|prepared| prepared.open(&config.notify)).transpose()?;
    let saved = ready.as_ref().map(Ready::saved).unwrap_or_default();
    let (notifying, transitions) = ready.map(|ready| ready.start(&bound)).transpose()?.unzip();
    let keeper = history.as_ref().map(|_| Keeper::default());
    let behind = Behind { notifications: notifying.as_ref().map(Notifying::handle), history: keeper.clone() };
    let server = bound.start(&loaded, Some(behind))?;
    let aggregator = StatsAggregator::new(config.aggregation.clone());
    let (collector, publisher) = Collector::new(aggregator, Vec::new(), Some(server.snapshot()), None);
    publisher.reloaded(1, Vec::new());
    let history = history.zip(keeper.clone());
    let history =
        history.map(|(place, keeper)| Memory::start(place, keeper, &server, publisher.names())).transpose()?;
    let (memory, remembered) = history.unzip();
    let (exporting, exported) = Exporting::start(config, &server, publisher.names())?.unzip();
    let feeds = remembered.into_iter().chain(exported).collect();
    let past = keeper.clone().map(Recall::start).transpose()?;
    let evaluator = Evaluator::new(&config.alerts, past).restored(&saved);
    let (alerting, rules) = Alerting::new(evaluator, server.board(), transitions, keeper);
    let watchers = [server.past(), rules].into_iter().chain(memory.iter().map(Memory::watcher)).collect();
    let collector = collector.naming_for(&server.desk()).watched_by(watchers);
    let parts = Parts {
        config: config.clone(),
        opener,
        monitor,
        selection,
        hash,
        publisher,
        health: server.health().clone(),
        desk: server.desk(),
        feeds,
    };
    let supervisor = Supervisor::start(parts, opened)?;
    // It finds all interfaces announced, so that no picture lacks one.
    let collector = start_collector(collector, &server)?;
    let pushing = pushing.map(|prepared| prepared.start(&loaded, &server, spans)).transpose()?;
    announce(&supervisor.names(), &server);
    let watch = FileWatch::new(&loaded);
    let mut daemon = Daemon {
        loaded,
        supervisor,
        server,
        alerting,
        notifying,
        pushing,
        notifier,
        collector,
        memory,
        exporting,
        watch,
    };
    let result = daemon.run(control);
    daemon.stop();
    result
}

/// Everything that runs.
struct Daemon {
    loaded: Loaded,
    supervisor: Supervisor,
    server: Server,
    alerting: Alerting,
    notifying: Option<Notifying>,
    pushing: Option<Pushing>,
    notifier: Notifier,
    collector: JoinHandle<()>,
    memory: Option<Memory>,
    exporting: Option<Exporting>,
    watch: FileWatch,
}

impl Daemon {
    /// Goes round until told to stop, or until a thread is over that should not be.
    #[expect(clippy::disallowed_methods, reason = "the service manager is pinged by the monotonic clock")]
    fn run(&mut self, control: &Control<'_>) -> anyhow::Result<()> {
        let heartbeat = self.server.health().thread("supervisor", STALLED);
        let mut watch = self.server.health().watch();
        let mut said_ready = false;
        let mut ping = Instant::now();
        while !control.stop.load(Ordering::Relaxed) && !self.is_broken() {
            heartbeat.beat();
            self.supervisor.round()?;
            self.memory.iter_mut().for_each(|memory| memory.report(&self.supervisor.publisher));
            control.log.report_suppressed();
            if !said_ready && self.server.health().has_started() {
                said_ready = true;
                self.say_ready();
            }
            let told = control.reload.swap(false, Ordering::Relaxed);
            if told || self.watch.has_news(&self.loaded, Instant::now()) {
                // It was logged.
                drop(self.reload(control));
                self.exporting.iter().for_each(Exporting::reopen);
            }
            self.obey(control);
            if self.notifier.watchdog_interval().is_some_and(|interval| said_ready && ping.elapsed() >= interval) {
                ping = Instant::now();
                self.ping(&mut watch);
            }
        }
        heartbeat.retire();
        Ok(())
    }

    /// Whether a thread is over that should not be; joining it says why.
    fn is_broken(&self) -> bool {
        let is_silent = self.notifying.as_ref().is_some_and(Notifying::is_broken);
        self.collector.is_finished() || self.supervisor.is_broken() || is_silent
    }

    fn say_ready(&self) {
        self.notifier.ready(&format!("monitoring {}", self.supervisor.names().join(", ")));
    }

    /// Tells the service manager that all is well, if every thread has moved since the last time.
    fn ping(&self, watch: &mut Watch) {
        let stuck = watch.stuck();
        if stuck.is_empty() {
            self.notifier.ping();
        } else {
            tracing::error!(
                threads = stuck.join(", "),
                "the service manager is not told that all is well: threads are stuck"
            );
        }
    }

    /// Ends everything: the threads that capture, then what folds their last counts, with the server beside it.
    fn stop(self) {
        self.notifier.stopping();
        let server = self.server.begin_stop();
        self.supervisor.stop();
        live::join(self.collector);
        // With the last counts. All come to their end side by side, or their deadlines would add up.
        let pushing = self.pushing.map(Pushing::begin_stop);
        let memory = self.memory.map(Memory::begin_close);
        let notifying = self.notifying.map(Notifying::begin_stop);
        notifying.into_iter().for_each(live::join);
        self.exporting.into_iter().for_each(Exporting::close);
        memory.into_iter().for_each(Closing::wait);
        pushing.into_iter().for_each(live::join);
        live::join(server);
    }
}

/// What the patterns of the configuration are; none means the interface of the default route.
fn patterns(config: &Config) -> Vec<String> {
    match config.interfaces.is_empty() {
        true => vec![interfaces::of_default_route()],
        false => config.interfaces.clone(),
    }
}

/// Says what is missing to capture at all, before anything is opened.
fn may_capture(config: &Config) -> Result<(), CaptureError> {
    let interface = patterns(config).join("`, `");
    interfaces::missing().map_or(Ok(()), |missing| Err(CaptureError::NotPermitted { interface, missing }))
}

/// Opens what the configuration names; globs may wait for theirs.
fn open_interfaces(
    config: &Config,
    selection: &mut Selection,
    monitor: &Monitor,
    opener: &Opener,
) -> anyhow::Result<Vec<Opened>> {
    let opened = supervisor::open(selection, monitor, opener)?;
    if opened.is_empty() {
        tracing::warn!(
            patterns = config.interfaces.join(", "),
            "no interface matches yet; those that come are captured"
        );
    }
    Ok(opened)
}

/// What must be within reach later: the configuration, secrets and certificates, to be read again, and sockets to be removed at the end.
fn needs(loaded: &Loaded, files: &[PathBuf]) -> Needs {
    let sockets = loaded.config.api.bind.iter().filter_map(|bind| match bind {
        Bind::Unix(path) => path.parent().map(Path::to_owned),
        Bind::Tcp(_) => None,
    });
    let files = files.iter().chain(loaded.config.api.files()).filter_map(|file| file.parent().map(Path::to_owned));
    let read = loaded.directories().into_iter().chain(files).collect();
    let needs = Needs { read, write: sockets.collect(), ..Needs::default() };
    needs.and(Needs::for_watching())
}

/// Unix sockets belong to the user that netmon becomes, whose group may connect.
#[cfg(unix)]
fn hand_over_sockets(config: &Config, identity: &privilege::Identity) -> anyhow::Result<()> {
    let (uid, gid) = identity.ids();
    for bind in &config.api.bind {
        if let Bind::Unix(path) = bind {
            std::os::unix::fs::chown(path, Some(uid), Some(gid))
                .with_context(|| format!("cannot give `{}` to the user {}", path.display(), identity.user))?;
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn hand_over_sockets(_: &Config, _: &privilege::Identity) -> anyhow::Result<()> {
    Ok(())
}

fn start_collector(collector: Collector, server: &Server) -> anyhow::Result<JoinHandle<()>> {
    let heartbeat = server.health().thread("aggregator", STALLED);
    let first_snapshot = server.health().part("first snapshot");
    spawn("aggregator", move || {
        collector.live(wall_clock, |snapshot| {
            heartbeat.beat();
            if is_whole(snapshot) {
                first_snapshot.set(true);
            }
        });
        heartbeat.retire();
    })
}

/// Whether it says all that pages have to say of each interface.
fn is_whole(snapshot: &Snapshot) -> bool {
    let is_reported = |interface: &Arc<InterfaceSnapshot>| !interface.capture.backend.is_empty();
    snapshot.tick.is_some() && snapshot.interfaces.iter().all(is_reported)
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> anyhow::Result<JoinHandle<()>> {
    let builder = std::thread::Builder::new().name(name.to_owned());
    builder.spawn(work).with_context(|| format!("cannot start the thread {name}"))
}
