//! The store of this process, its one writing thread, and the queue between them.

use super::backend::Bounded;
use super::database::{self, Birth, State, VERIFIED_BYTES};
use super::fault::Fault;
use super::keeper::Keeper;
use super::shared::{self, Shared};
use super::{AlertEvent, Committed, Config, Error, Flow, Health, LeftOut, Pace, Reader, Second, Status, place};
use crate::flow::EndReason;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use redb::Database;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long a flow that the end of netmon ended waits for room in the queue.
const LAST_ROOM: Duration = Duration::from_secs(1);

/// Told of every commit.
pub(super) type Ledger = Box<dyn FnMut(Committed) + Send>;

/// What goes through the queue.
#[derive(Debug)]
pub(super) enum Message {
    Second(Box<Second>),
    Flow(Box<Flow>),
    Alert(Box<AlertEvent>),
    /// Commit now, and say so.
    Flush(Sender<()>),
    /// Commit and stop.
    Stop,
}

/// A store taken for this process, before its thread runs.
pub struct Store {
    pub(super) shared: Arc<Shared>,
    pub(super) state: State,
    pub(super) lock: place::Lock,
    pub(super) ledger: Option<Ledger>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("shared", &self.shared).field("state", &self.state).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens or makes the store. A damaged one is set aside as `<file>.damaged-<UTC time>` and a new one is made. If the
    /// disk is too full to open it, it is degraded and the writer goes on trying.
    ///
    /// # Errors
    /// Another process has it; a layout this version cannot read; a place that is not private; the operating system.
    pub fn open(mut config: Config) -> Result<Self, Error> {
        config.limit_bytes = config.limit_bytes.max(Config::MIN_LIMIT);
        place::directory(&config)?;
        let lock = place::lock(&config.path)?;
        match open_file(&config, false) {
            Ok((database, state)) => Ok(Self::with(config, Some(database), state, lock)),
            Err(Opening::Fault(Fault::Damaged(_))) => {
                let aside = place::set_aside(&config.path)?;
                let (database, state) = open_file(&config, false).map_err(|failure| failure.error(&config))?;
                let store = Self::with(config, Some(database), state, lock);
                store.shared.change(|status| quarantine(status, aside));
                Ok(store)
            }
            Err(Opening::Fault(fault @ (Fault::Full(_) | Fault::Limit(_)))) => {
                let store = Self::with(config, None, State::default(), lock);
                store.shared.degraded(&fault);
                Ok(store)
            }
            Err(failure) => Err(failure.error(&config)),
        }
    }

    fn with(config: Config, database: Option<Database>, state: State, lock: place::Lock) -> Self {
        let shared = Arc::new(Shared::new(config, database));
        super::keeper::refresh(&shared);
        Self { shared, state, lock, ledger: None }
    }

    /// Calls `each` after every durable commit, in the writer's thread. For tests.
    #[must_use]
    pub fn on_commit(mut self, each: impl FnMut(Committed) + Send + 'static) -> Self {
        self.ledger = Some(Box::new(each));
        self
    }

    /// A reader of it; any number of them, at any time.
    pub fn reader(&self) -> Reader {
        Reader::live(Arc::clone(&self.shared))
    }

    /// How it fares.
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// Starts the writing thread.
    ///
    /// # Errors
    /// The operating system refused a thread.
    pub fn start(self) -> Result<Writer, Error> {
        let (shared, path) = (Arc::clone(&self.shared), self.shared.config.path.clone());
        let (queue, messages) = bounded(shared.config.queue.max(1));
        let work = move || Keeper::new(self).run(&messages);
        let thread = thread::Builder::new().name("history".to_owned()).spawn(work);
        let thread = thread.map_err(|source| place::failed("start the writer of", &path, source))?;
        Ok(Writer { feed: Feed { shared, queue }, thread: Some(thread) })
    }
}

/// Why a file was not opened.
pub(super) enum Opening {
    Fault(Fault),
    Refused(Error),
}

impl Opening {
    fn error(self, config: &Config) -> Error {
        match self {
            Self::Fault(fault) => shared::error(&config.path, fault),
            Self::Refused(error) => error,
        }
    }
}

/// Opens or makes the file.
pub(super) fn open_file(config: &Config, is_suspect: bool) -> Result<(Database, State), Opening> {
    let file = place::open(&config.path).map_err(Opening::Refused)?;
    let length = file.metadata().map_or(0, |found| found.len());
    let is_verified = length > 0 && (is_suspect || length <= VERIFIED_BYTES);
    let opened = Bounded::new(file, config.limit_bytes).map_err(|error| Fault::from(redb::Error::from(error)));
    opened.and_then(|file| database::open(file, config.cache_bytes, is_verified, birth())).map_err(Opening::Fault)
}

#[expect(clippy::disallowed_methods, reason = "a store says when it was made")]
fn birth() -> Birth {
    let mut identity = [0; 16];
    // Without randomness all stores of this machine have one identity, which only an export would notice.
    let _ = getrandom::fill(&mut identity);
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let created = since.map_or(0, |since| since.as_secs());
    Birth { identity, created }
}

/// Notes that a damaged store was set aside.
pub(super) fn quarantine(status: &mut Status, aside: PathBuf) {
    status.quarantined += 1;
    status.quarantined_path = Some(aside);
}

/// The running writer. Dropped without [`Writer::close`] it commits what it has, too.
#[derive(Debug)]
pub struct Writer {
    feed: Feed,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// An end of the queue.
    pub fn feed(&self) -> Feed {
        self.feed.clone()
    }

    /// A reader.
    pub fn reader(&self) -> Reader {
        Reader::live(Arc::clone(&self.feed.shared))
    }

    /// How it fares.
    pub fn status(&self) -> Status {
        self.feed.shared.status()
    }

    /// Commits everything handed over so far and stops.
    ///
    /// # Errors
    /// The store cannot be written: what was not committed is lost, and why.
    pub fn close(mut self) -> Result<Status, Error> {
        self.stop();
        let (status, path) = (self.status(), self.feed.shared.config.path.clone());
        match &status.health {
            Health::Good => Ok(status),
            Health::Degraded { detail, .. } => {
                Err(place::failed("write", &path, std::io::Error::other(detail.clone())))
            }
        }
    }

    fn stop(&mut self) {
        if let Some(thread) = self.thread.take() {
            // Only a writer that is gone does not take it.
            let _ = self.feed.queue.send(Message::Stop);
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.stop();
        }
    }
}

/// Hands records to the writer. With [`Pace::Live`] no call waits: what finds the queue full is counted and lost.
#[derive(Clone, Debug)]
pub struct Feed {
    shared: Arc<Shared>,
    queue: Sender<Message>,
}

impl Feed {
    /// One finished second of one interface; seconds of an interface come in order.
    pub fn second(&self, second: Second) {
        let mut gate = self.shared.gate();
        if gate.second != second.start {
            gate.second = second.start;
            gate.passed = 0;
        }
        drop(gate);
        self.send(Message::Second(Box::new(second)));
    }

    /// A flow that ended. Too small ones, and those beyond the most of one second (between the seconds handed over), are
    /// only counted. All that the end of netmon itself ended come at once: the most does not hold for them, and each may
    /// wait a second for room in the queue.
    pub fn flow(&self, flow: Flow) {
        let config = &self.shared.config.flows;
        if !config.keep {
            return;
        }
        let (bytes, at) = (flow.bytes(), flow.last_seen);
        if bytes < config.min_bytes {
            let left_out = LeftOut { below_floor: 1, below_floor_bytes: bytes, ..LeftOut::default() };
            return self.leave_out(at, left_out);
        }
        let message = |flow| Message::Flow(Box::new(flow));
        let is_kept = match flow.end_reason {
            EndReason::Shutdown => self.count(self.queue.send_timeout(message(flow), LAST_ROOM).is_ok()),
            _ => self.passes(config.max_per_second) && self.send(message(flow)),
        };
        if !is_kept {
            self.leave_out(at, LeftOut { over_rate: 1, over_rate_bytes: bytes, ..LeftOut::default() });
        }
    }

    /// Whether one more flow of this second is kept.
    fn passes(&self, most: u32) -> bool {
        let mut gate = self.shared.gate();
        gate.passed = gate.passed.saturating_add(1);
        gate.passed <= most
    }

    /// An alert that changed its state.
    pub fn alert(&self, event: AlertEvent) {
        self.send(Message::Alert(Box::new(event)));
    }

    /// Commits what was handed over so far, and waits for that. `false` if it could not be.
    pub fn flush(&self) -> bool {
        let (done, wait) = bounded(1);
        let is_sent = self.queue.send(Message::Flush(done)).is_ok();
        is_sent && wait.recv().is_ok() && self.shared.status().health == Health::Good
    }

    #[cfg(test)]
    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    fn leave_out(&self, at: crate::time::Timestamp, left_out: LeftOut) {
        let mut gate = self.shared.gate();
        let second = at.as_nanos() / crate::time::NANOS_PER_SECOND;
        gate.left_out.entry(second - second % 60).or_default().merge(&left_out);
        gate.total += 1;
    }

    fn send(&self, message: Message) -> bool {
        let sent = match self.shared.config.pace {
            Pace::Live => self.queue.try_send(message),
            Pace::Replay => self.queue.send(message).map_err(|refused| TrySendError::Disconnected(refused.0)),
        };
        self.count(sent.is_ok())
    }

    /// Counts what found no room.
    fn count(&self, is_sent: bool) -> bool {
        if !is_sent {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
        is_sent
    }
}

/// The receiving end, for the thread.
pub(super) type Messages = Receiver<Message>;
