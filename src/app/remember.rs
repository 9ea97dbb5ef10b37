//! The history of the daemon: its directory, its store, and what brings records there.
//!
//! The directory is made and given to the user that netmon becomes while there is privilege to do so; the store is
//! opened when there is none any more. A store that cannot be opened holds nothing else up: it is tried again, and what
//! would have been kept is counted.

use super::{Server, spawn, state};
use crate::alert::Transition;
use crate::config::Config;
use crate::history::{self, AlertEvent, Feed, Flow, Health, Reader, Second, Status, Store, Watch, Writer};
use crate::http::Readiness;
use crate::lookback::{self, Refusal, Topic};
use crate::metrics::{HistoryState, TIERS};
use crate::pipeline::{FlowFeed, FlowReceiver, FlowsMissed, InterfaceNames, Mode, Publisher, Watcher};
use crate::privilege::{Identity, Needs};
use crate::stats::{Buckets, HistoryHealth};
use anyhow::Context;
use arc_swap::ArcSwapOption;
use crossbeam_channel::{Receiver, Sender, bounded};
use serde_json::Value;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long the start waits for the store to be open, so that nothing is missed in the usual case.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often a store that cannot be opened is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// How long the end waits for the last commit.
const LAST_COMMIT: Duration = Duration::from_secs(3);
/// How long a lost record makes the history count as failing: longer than the windows of rules that wait for it to last.
const LOSING: Duration = Duration::from_secs(60);

/// Where the history will be, made ready while netmon has its privileges.
pub(super) struct Place(history::Config);

impl Place {
    /// Makes the directory, private and of the user that netmon becomes. `None` where there is to be no history; what
    /// stands in its way is logged, and said again when the store is opened.
    pub(super) fn prepare(config: &Config, identity: &Identity) -> Option<Self> {
        if !config.history.enabled {
            return None;
        }
        let Some(directory) = state::directory(config) else {
            tracing::warn!("no history is kept: there is no home directory, and `state.directory` is not set");
            return None;
        };
        if let Err(error) = state::make_private(&directory, identity) {
            tracing::warn!(directory = %directory.display(), %error, "the state directory cannot be made ready");
        }
        Some(Self(config.history.in_directory(&directory)))
    }

    /// What must be within reach later: the directory if it is there, and the time zones of questions.
    pub(super) fn needs(&self) -> Needs {
        let exists = |path: &&Path| path.exists();
        let directory = self.0.path.parent().filter(exists).map(Path::to_owned);
        let zones = ["/usr/share/zoneinfo", "/etc/localtime"].map(Path::new).into_iter().filter(exists);
        Needs { read: zones.map(Path::to_owned).collect(), write: directory.into_iter().collect(), ..Needs::default() }
    }
}

/// The way to the store for everybody who keeps or asks. All clones are one; empty while the store is not open.
#[derive(Clone, Debug, Default)]
pub struct Keeper(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    feed: ArcSwapOption<Feed>,
    reader: ArcSwapOption<Reader>,
    /// Records that came while the store was not open.
    dropped: AtomicU64,
    /// Of a replay, whose time is that of its packets.
    is_replay: bool,
    /// The file of a replay that is over. It is opened for each question, so that others may have it in between.
    rests: OnceLock<PathBuf>,
}

impl Keeper {
    /// The way to the store of a replay, once that is being written. `now` in its questions is the end of what it holds.
    pub fn of_replay() -> Self {
        Self(Arc::new(Inner { is_replay: true, ..Inner::default() }))
    }

    /// Who answers questions; `None` while the store is not open.
    pub fn reader(&self) -> Option<Reader> {
        self.0.reader.load().as_deref().cloned()
    }

    /// Answers a question that came as parameters, as of a URL. Blocks on the disk.
    ///
    /// # Errors
    /// A wrong question; a store that is not open or cannot be read now.
    pub fn answer<'p>(
        &self,
        topic: Topic,
        parameters: impl IntoIterator<Item = (&'p str, &'p str)>,
    ) -> Result<Value, Refusal> {
        let reader = match self.0.rests.get() {
            Some(file) => Reader::open(file)?,
            None => self.reader().ok_or_else(|| history::Error::Closed { path: history::Config::FILE.into() })?,
        };
        let now = if self.0.is_replay { lookback::end_of(&reader)? } else { super::wall_clock() };
        lookback::answer(&reader, topic, parameters, now)
    }

    /// Keeps an alert's change of state. Never waits.
    pub fn alert(&self, transition: &Transition) {
        self.keep(|feed| feed.alert(AlertEvent::from(transition)));
    }

    fn second(&self, second: Second) {
        self.keep(|feed| feed.second(second));
    }

    fn keep(&self, hand_over: impl FnOnce(&Feed)) {
        match self.0.feed.load().as_deref() {
            Some(feed) => hand_over(feed),
            None => drop(self.0.dropped.fetch_add(1, Relaxed)),
        }
    }

    pub(super) fn opened(&self, writer: &Writer) {
        self.0.feed.store(Some(Arc::new(writer.feed())));
        self.0.reader.store(Some(Arc::new(writer.reader())));
    }

    fn state(&self, limit_bytes: u64, missed: &FlowsMissed) -> HistoryState {
        let status = self.reader().and_then(|reader| reader.status());
        let lost_before = self.0.dropped.load(Relaxed) + missed.flows();
        status.map_or_else(|| unopened(limit_bytes, lost_before), |status| shown(status, lost_before))
    }
}

/// As the metrics have it before there is a store.
fn unopened(limit_bytes: u64, dropped_records: u64) -> HistoryState {
    HistoryState {
        size_bytes: 0,
        limit_bytes,
        oldest: [None; TIERS.len()],
        write_duration: Buckets::new(Buckets::COMMIT),
        write_failures: 0,
        pruned_records: Default::default(),
        dropped_records,
        flows_left_out: 0,
        quarantined: 0,
    }
}

/// As the metrics have it. `lost_before` is what did not even come to the writer.
fn shown(status: Status, lost_before: u64) -> HistoryState {
    HistoryState {
        size_bytes: status.size_bytes,
        limit_bytes: status.limit_bytes,
        oldest: status.oldest,
        write_duration: status.write_duration,
        write_failures: status.write_failures,
        pruned_records: status.pruned_records,
        dropped_records: status.dropped_records + lost_before,
        flows_left_out: status.flows_left_out,
        quarantined: status.quarantined,
    }
}

/// The running history.
pub(super) struct Memory {
    pub(super) keeper: Keeper,
    thread: JoinHandle<()>,
    /// Dropped to end it.
    stop: Sender<Infallible>,
    ended: Receiver<Infallible>,
    /// As it was reported last.
    health: Health,
    quarantined: u64,
    told: Option<HistoryHealth>,
    losses: Losses,
}

/// Records that an open store could not take.
#[derive(Debug, Default)]
struct Losses {
    records: u64,
    last: Option<Instant>,
}

impl Losses {
    /// Whether some were lost a moment ago. So many are lost by now.
    fn note(&mut self, records: u64, now: Instant) -> bool {
        if records > self.records {
            (self.records, self.last) = (records, Some(now));
        }
        self.last.is_some_and(|last| now.duration_since(last) < LOSING)
    }
}

impl Memory {
    /// Opens the store in a thread of its own and waits a moment for it; `keeper` leads there from then on. Gives the
    /// feed that every shard has to have.
    ///
    /// # Errors
    /// When the system refuses the thread.
    pub(super) fn start(
        place: Place,
        keeper: Keeper,
        server: &Server,
        names: InterfaceNames,
    ) -> anyhow::Result<(Self, FlowFeed)> {
        let (feed, flows) = FlowFeed::new(Mode::Live);
        let (told, missed, limit) = (keeper.clone(), flows.missed(), place.0.limit_bytes);
        server.remembers(move || Some(told.state(limit, &missed)));
        let (stop, stopped) = bounded(0);
        let (ending, ended) = bounded(0);
        let (opened, is_open) = bounded(1);
        let ready = server.health().part_beside("history");
        let work = Work { config: place.0, keeper: keeper.clone(), flows, names, stopped };
        let thread = spawn("history", move || {
            work.run(&ready, &opened);
            drop(ending);
        })?;
        // Without an answer it goes on without.
        let _ = is_open.recv_timeout(PATIENCE);
        let (health, losses) = (Health::Good, Losses::default());
        let memory = Self { keeper, thread, stop, ended, health, quarantined: 0, told: None, losses };
        Ok((memory, feed))
    }

    /// Tells alert rules and the log what became of the store since the last time.
    pub(super) fn report(&mut self, publisher: &Publisher) {
        let status = self.keeper.reader().and_then(|reader| reader.status());
        let now = self.health(status.as_ref());
        if self.told != Some(now) {
            self.told = Some(now);
            publisher.history(now);
        }
        if let Some(status) = status {
            self.log(status);
        }
    }

    /// Without a store nothing is written either; the start waited a moment for it.
    #[expect(clippy::disallowed_methods, reason = "how long ago a record was lost is a matter of the machine's time")]
    fn health(&mut self, status: Option<&Status>) -> HistoryHealth {
        let lost = status.map_or(0, |status| status.dropped_records);
        let is_losing = self.losses.note(lost, Instant::now());
        let is_written = status.is_some_and(|status| status.health == Health::Good);
        HistoryHealth { failing: is_losing || !is_written, quarantined: status.map_or(0, |status| status.quarantined) }
    }

    fn log(&mut self, status: Status) {
        if status.quarantined > self.quarantined {
            let set_aside = status.quarantined_path.unwrap_or_default();
            tracing::error!(set_aside = %set_aside.display(), "the history was damaged: the old store is kept, a new one was begun");
        }
        match &status.health {
            health if *health == self.health => {}
            Health::Good => tracing::info!("the history is written again"),
            Health::Degraded { reason, detail } => {
                tracing::error!(reason = reason.name(), detail, "the history cannot be written for now; trying again");
            }
        }
        (self.health, self.quarantined) = (status.health, status.quarantined);
    }

    /// Who sees every picture for it.
    pub(super) fn watcher(&self) -> Box<dyn Watcher> {
        let keeper = self.keeper.clone();
        Box::new(Watch::live(move |second| keeper.second(second)))
    }

    /// Has it commit what there is, and end. All shards and watchers must have ended.
    #[expect(clippy::disallowed_methods, reason = "how long a disk may take is no matter of packet time")]
    pub(super) fn begin_close(self) -> Closing {
        drop(self.stop);
        Closing { ended: self.ended, thread: self.thread, deadline: Instant::now() + LAST_COMMIT }
    }
}

/// The last commit, under way.
pub(super) struct Closing {
    ended: Receiver<Infallible>,
    thread: JoinHandle<()>,
    deadline: Instant,
}

impl Closing {
    /// Waits for it.
    pub(super) fn wait(self) {
        // Nothing is ever sent: it is over when the other end is gone.
        if self.ended.recv_deadline(self.deadline).is_err_and(|error| error.is_timeout()) {
            tracing::error!("the history could not be written to its end: the disk does not answer");
            return;
        }
        super::live::join(self.thread);
    }
}

/// What the thread works with.
struct Work {
    config: history::Config,
    keeper: Keeper,
    flows: FlowReceiver,
    names: InterfaceNames,
    stopped: Receiver<Infallible>,
}

impl Work {
    fn run(self, ready: &Readiness, opened: &Sender<()>) {
        let Some(writer) = self.open() else { return };
        self.keeper.opened(&writer);
        ready.set(true);
        // Nobody may be waiting any more.
        let _ = opened.try_send(());
        keep_flows(&self.flows, &self.names, &writer.feed());
        // All shards have ended; the last second comes with the end of the collector.
        let _ = self.stopped.recv();
        self.keeper.0.feed.store(None);
        if let Err(error) = writer.close() {
            tracing::error!(error = causes(&error), "the last records of the history are lost");
        }
    }

    /// Opens the store, sooner or later; `None` when the end came first.
    fn open(&self) -> Option<Writer> {
        let mut complaint = String::new();
        loop {
            let error = match Store::open(self.config.clone()).and_then(Store::start) {
                Ok(writer) => return Some(writer),
                Err(error) => error,
            };
            let text = causes(&error);
            if text != complaint {
                tracing::error!(error = text, hint = error.hint(), "no history is kept for now; trying again");
                complaint = text;
            }
            if self.stopped.recv_timeout(RETRY).is_err_and(|error| error.is_disconnected()) {
                return None;
            }
        }
    }
}

/// Hands over ended flows until every shard has ended.
fn keep_flows(flows: &FlowReceiver, names: &InterfaceNames, feed: &Feed) {
    while let Some(batch) = flows.next_batch() {
        for flow in &batch {
            if let Some(interface) = names.name(flow.record.interface()) {
                feed.flow(Flow::of(&interface, &flow.record));
            }
        }
    }
}

/// An error with what is behind it.
fn causes(error: &history::Error) -> String {
    let sources = std::iter::successors(std::error::Error::source(error), |error| error.source());
    sources.fold(error.to_string(), |text, source| format!("{text}: {source}"))
}

/// The history of a replay: written as fast as it comes, in a file that the user named.
pub struct Recording {
    writer: Writer,
    flows: JoinHandle<()>,
    file: PathBuf,
    keeper: Keeper,
}

impl Recording {
    /// Takes the file; `keeper` leads there from then on. Gives who watches the collector, and what every shard feeds.
    ///
    /// # Errors
    /// [`history::Error`] in the chain: the file is no store, is in use, or cannot be written.
    pub fn start(
        settings: &history::Settings,
        file: PathBuf,
        names: InterfaceNames,
        keeper: Keeper,
    ) -> anyhow::Result<(Self, Box<dyn Watcher>, FlowFeed)> {
        if !may_be_store(&file) {
            return Err(NotAStore(file).into());
        }
        let writer = Store::open(settings.of_replay(file.clone())).and_then(Store::start)?;
        keeper.opened(&writer);
        let (feed, receiver) = FlowFeed::new(Mode::Replay);
        let (of_flows, of_seconds) = (writer.feed(), writer.feed());
        let flows = spawn("history-flows", move || keep_flows(&receiver, &names, &of_flows))?;
        let watch = Watch::replay(move |second| of_seconds.second(second));
        Ok((Self { writer, flows, file, keeper }, Box::new(watch), feed))
    }

    /// Where alerts' changes of state are handed over.
    pub fn alerts(&self) -> Feed {
        self.writer.feed()
    }

    /// Writes everything out. All shards and the collector must have ended.
    ///
    /// # Errors
    /// [`history::Error`] in the chain: what could not be written.
    pub fn finish(self) -> anyhow::Result<()> {
        super::live::join(self.flows);
        self.writer.close().context("the history is not complete")?;
        // It is finished once.
        drop(self.keeper.0.rests.set(self.file));
        Ok(())
    }
}

/// Whether nothing is lost if this file is taken for a store: it is not there, empty, or begins as one does. A damaged
/// store is set aside when it is opened, which must not happen to a capture that was named by mistake.
fn may_be_store(file: &Path) -> bool {
    use std::io::Read;
    let mut begin = Vec::new();
    let read = std::fs::File::open(file).and_then(|file| file.take(4).read_to_end(&mut begin));
    // What cannot be read is refused with its reason when it is opened.
    read.is_err() || begin.is_empty() || begin == b"redb"
}

/// A file that is something else.
#[derive(Debug, thiserror::Error)]
#[error("`{}` is no history store", .0.display())]
pub struct NotAStore(PathBuf);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{PruneReason, Tier};
    use crate::metrics::PRUNE_REASONS;

    #[expect(clippy::disallowed_methods, reason = "any moment will do")]
    fn beginning() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_lost_record_counts_for_a_minute() {
        let (mut losses, begun) = (Losses::default(), beginning());
        assert!(!losses.note(0, begun));
        assert!(losses.note(3, begun + Duration::from_secs(1)));
        assert!(losses.note(3, begun + Duration::from_secs(60)));
        assert!(!losses.note(3, begun + Duration::from_secs(61)));
        assert!(losses.note(4, begun + Duration::from_secs(62)));
    }

    #[test]
    fn the_metrics_name_tiers_and_reasons_as_the_history_does() {
        assert_eq!(TIERS, Tier::ALL.map(Tier::name));
        assert_eq!(PRUNE_REASONS, PruneReason::ALL.map(PruneReason::name));
    }
}
