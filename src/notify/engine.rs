//! The thread that owns the machine and its store, and the tasks that send.
//!
//! One thread takes everything in, in turns: what came in, what is due, one commit for all of it, then the messages
//! whose turn it is. So nothing is sent before it is stored, and many changes share a commit. Each attempt is a task of
//! its own; one that hangs holds up its own receiver only.

use super::config::Policy;
use super::desk::Now;
use super::group::Mono;
use super::keeper::{Keeper, Kept};
use super::machine::Machine;
use super::notification::{Deliver, Notice, Notification, Outcome, Reason};
use super::silence::{NewSilence, Silence, SilenceError};
use super::status::Status;
use super::store::{OpenedStore, Store, StoreError, Table};
use super::test_message;
use crate::alert::Alert;
use crate::telemetry::trace_span;
use crate::time::Timestamp;
use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver as Inbox, RecvTimeoutError, Sender, unbounded};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tracing::field::Empty;
use tracing::{Instrument, Span};

/// A receiver: what is asked of it, and who sends to it.
#[derive(Clone)]
pub struct Receiver {
    /// What is asked.
    pub policy: Policy,
    /// Who sends.
    pub deliver: Arc<dyn Deliver>,
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// The state of alerts, by keys of the evaluator's choice; `None` removes.
pub type SavedAlerts = Vec<(String, Option<Vec<u8>>)>;

/// What an engine is made of.
#[derive(Debug)]
pub struct Setup {
    /// Where the store is; it must exist and belong to the process's user.
    pub directory: PathBuf,
    /// Who is told.
    pub receivers: Vec<Receiver>,
    /// Where a person finds this daemon's page.
    pub external_url: Option<String>,
    /// The wall clock.
    pub wall_clock: fn() -> Timestamp,
}

/// An engine with its store open and nothing running.
#[derive(Debug)]
pub struct Opened {
    machine: Machine,
    keeper: Keeper,
    clock: Clock,
    receivers: Vec<Receiver>,
    alerts: BTreeMap<String, Vec<u8>>,
}

/// A running engine.
#[derive(Debug)]
pub struct Engine {
    handle: Handle,
    thread: JoinHandle<()>,
}

/// The way to a running engine, for as many as need it.
#[derive(Clone, Debug)]
pub struct Handle {
    inbox: Sender<Input>,
    /// Changes that were handed over and not taken yet.
    depth: Arc<AtomicUsize>,
    shared: Arc<Shared>,
    clock: Clock,
}

/// What everybody can look at.
struct Shared {
    status: ArcSwap<Status>,
    silences: ArcSwap<Vec<Silence>>,
    receivers: ArcSwap<BTreeMap<Arc<str>, Receiver>>,
    runtime: tokio::runtime::Handle,
    overrun: AtomicUsize,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("receivers", &self.receivers.load()).finish_non_exhaustive()
    }
}

enum Input {
    Changed(Vec<Alert>, SavedAlerts),
    Outcome { receiver: Arc<str>, message: String, outcome: Outcome },
    Silence(NewSilence, Answer<Silence>),
    Expire(String, Answer<Silence>),
    Receivers(Vec<Receiver>),
    Stop { patience: Duration },
}

type Answer<T> = oneshot::Sender<Result<T, SilenceError>>;

/// The most changes that wait for the thread; more come only while the disk stands still.
const MAX_DEPTH: usize = 65_536;
/// The most inputs between two commits.
const MAX_BATCH: usize = 1_024;
/// The longest sleep, so that the thread is seen to be alive.
const NAP: Duration = Duration::from_secs(1);

impl Setup {
    /// Opens the store and takes up where it left off. A damaged store is set aside; one on a full disk is done
    /// without until there is room.
    ///
    /// # Errors
    /// [`StoreError`] when another process has it, or the system refuses it.
    pub fn open(self) -> Result<Opened, StoreError> {
        let clock = Clock::new(self.wall_clock);
        let now = clock.now();
        let (store, contents) = match Store::open(&self.directory, now.wall) {
            Ok(OpenedStore { store, contents, set_aside, reserved }) => {
                tell_of(&self.directory, set_aside, reserved);
                (Some(store), contents)
            }
            Err(error) if is_full(&error) => {
                tracing::error!(error = with_causes(&error), "notifications cannot be stored; trying again");
                (None, BTreeMap::new())
            }
            Err(error) => return Err(error),
        };
        let policies = self.receivers.iter().map(|receiver| receiver.policy.clone()).collect();
        let machine = Machine::new(policies, self.external_url, &contents, draw(), now);
        let alerts = contents.into_iter().filter(|((table, _), _)| *table == Table::Alerts);
        let alerts = alerts.map(|((_, key), value)| (key, value)).collect();
        let keeper = Keeper::new(self.directory, store);
        Ok(Opened { machine, keeper, clock, receivers: self.receivers, alerts })
    }
}

fn tell_of(directory: &Path, set_aside: Option<(PathBuf, String)>, reserved: bool) {
    if let Some((aside, reason)) = set_aside {
        tracing::error!(reason, file = %aside.display(), "the store was damaged and is set aside; a new one begins");
    }
    if !reserved {
        let directory = directory.display();
        tracing::warn!(%directory, "no room can be reserved here: on a full disk notifications are sent without being stored");
    }
}

fn is_full(error: &StoreError) -> bool {
    match error {
        StoreError::Open { source, .. } => {
            matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        }
        StoreError::Write { .. } => true,
        StoreError::InUse { .. } | StoreError::Damaged { .. } => false,
    }
}

impl Opened {
    /// The evaluator's own part of the store, as it was handed over last.
    pub fn alerts(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.alerts
    }

    /// Starts the thread and the runtime for the attempts. `beat` is called at least once a second while it moves.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(self, beat: impl Fn() + Send + 'static) -> io::Result<Engine> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("notify").enable_all().build()?;
        let (sender, inbox) = unbounded();
        let shared = Shared {
            status: ArcSwap::default(),
            silences: ArcSwap::default(),
            receivers: ArcSwap::default(),
            runtime: runtime.handle().clone(),
            overrun: AtomicUsize::new(0),
        };
        let handle = Handle { inbox: sender, depth: Arc::default(), shared: Arc::new(shared), clock: self.clock };
        let mut thread = Thread {
            machine: self.machine,
            keeper: self.keeper,
            inbox,
            handle: handle.clone(),
            undurable: 0,
            stop_at: None,
            answers: Vec::new(),
        };
        thread.adopt(self.receivers);
        thread.publish();
        let work = move || {
            thread.run(&beat);
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("notify-outbox".into()).spawn(work)?;
        Ok(Engine { handle, thread })
    }
}

impl Engine {
    /// The way to it.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Whether its thread is over, which only a panic brings about while it was not stopped.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Sends what can be sent within `patience`, then ends; the rest is in the store for the next start. Join the
    /// thread.
    pub fn begin_stop(self, patience: Duration) -> JoinHandle<()> {
        self.handle.send(Input::Stop { patience });
        self.thread
    }
}

impl Handle {
    /// Alerts changed, and the evaluator's own state with them: one transaction. Never waits.
    pub fn changed(&self, alerts: Vec<Alert>, saved: SavedAlerts) {
        if self.depth.fetch_add(1, Ordering::Relaxed) >= MAX_DEPTH {
            self.depth.fetch_sub(1, Ordering::Relaxed);
            self.shared.overrun.fetch_add(alerts.len(), Ordering::Relaxed);
            return tracing::error!(alerts = alerts.len(), "the store stands still; alerts are lost");
        }
        self.send(Input::Changed(alerts, saved));
    }

    /// Other receivers from here on; what waits for those that stay is kept.
    pub fn set_receivers(&self, receivers: Vec<Receiver>) {
        self.send(Input::Receivers(receivers));
    }

    /// How it stands.
    pub fn status(&self) -> Arc<Status> {
        self.shared.status.load_full()
    }

    /// All silences, those that end last first; those that are over for a few days too.
    pub fn silences(&self) -> Arc<Vec<Silence>> {
        self.shared.silences.load_full()
    }

    /// Adds a silence; on return it is stored and in force.
    ///
    /// # Errors
    /// See [`SilenceError`].
    pub async fn add_silence(&self, new: NewSilence) -> Result<Silence, SilenceError> {
        let (answer, answered) = oneshot::channel();
        self.send(Input::Silence(new, answer));
        answered.await.unwrap_or(Err(SilenceError::Stopping))
    }

    /// Ends a silence.
    ///
    /// # Errors
    /// [`SilenceError::Unknown`], [`SilenceError::Stopping`].
    pub async fn expire_silence(&self, id: &str) -> Result<Silence, SilenceError> {
        let (answer, answered) = oneshot::channel();
        self.send(Input::Expire(id.to_owned(), answer));
        answered.await.unwrap_or(Err(SilenceError::Stopping))
    }

    /// The same for those who may wait.
    ///
    /// # Errors
    /// See [`SilenceError`].
    pub fn add_silence_and_wait(&self, new: NewSilence) -> Result<Silence, SilenceError> {
        self.shared.runtime.block_on(self.add_silence(new))
    }

    /// The same for those who may wait.
    ///
    /// # Errors
    /// [`SilenceError::Unknown`], [`SilenceError::Stopping`].
    pub fn expire_silence_and_wait(&self, id: &str) -> Result<Silence, SilenceError> {
        self.shared.runtime.block_on(self.expire_silence(id))
    }

    /// Sends a test message past the queue, once: what was sent and what became of it. `None`: no such receiver.
    pub async fn test(&self, receiver: &str) -> Option<(Notification, Outcome)> {
        let Receiver { policy, deliver } = self.shared.receivers.load().get(receiver)?.clone();
        let message = Arc::new(test_message(&policy.name, (self.clock.wall)()));
        let sent = Arc::clone(&message);
        let attempt = self.shared.runtime.spawn(attempt(deliver, sent, policy.timeout));
        let outcome = attempt.await.unwrap_or_else(|_| panicked());
        Some((Arc::unwrap_or_clone(message), outcome))
    }

    /// The same for those who may wait.
    pub fn test_and_wait(&self, receiver: &str) -> Option<(Notification, Outcome)> {
        self.shared.runtime.block_on(self.test(receiver))
    }

    /// Names of all receivers.
    pub fn receivers(&self) -> Vec<String> {
        self.shared.receivers.load().keys().map(ToString::to_string).collect()
    }

    /// What the engine wants to know of the time.
    pub fn wall_clock(&self) -> Timestamp {
        (self.clock.wall)()
    }

    /// A thread that is over takes nothing; it is noticed elsewhere.
    fn send(&self, input: Input) {
        drop(self.inbox.send(input));
    }
}

/// What the thread owns.
struct Thread {
    machine: Machine,
    keeper: Keeper,
    inbox: Inbox<Input>,
    handle: Handle,
    undurable: u64,
    stop_at: Option<Mono>,
    /// Given once what they say is stored.
    answers: Vec<(Answer<Silence>, Result<Silence, SilenceError>)>,
}

impl Thread {
    fn run(&mut self, beat: &dyn Fn()) {
        // What the store held is due at once.
        self.turn();
        loop {
            beat();
            match self.inbox.recv_timeout(self.sleep()) {
                Ok(input) => {
                    self.take(input);
                    for _ in 1..MAX_BATCH {
                        let Ok(input) = self.inbox.try_recv() else { break };
                        self.take(input);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.turn();
            if self.is_over() {
                break;
            }
        }
    }

    fn sleep(&self) -> Duration {
        let due = self.machine.deadline().into_iter().chain(self.keeper.deadline()).chain(self.stop_at).min();
        due.map_or(NAP, |due| due.saturating_sub(self.handle.clock.now().mono)).min(NAP)
    }

    fn take(&mut self, input: Input) {
        let now = self.handle.clock.now();
        match input {
            Input::Changed(alerts, saved) => {
                self.handle.depth.fetch_sub(1, Ordering::Relaxed);
                for alert in &alerts {
                    Notice::of(alert).iter().for_each(|notice| self.machine.tell(notice, &alert.notify, now));
                }
                self.machine.save(saved);
            }
            Input::Outcome { receiver, message, outcome } => {
                log(&receiver, &outcome);
                self.machine.outcome(&receiver, &message, &outcome, now);
            }
            Input::Silence(new, answer) => {
                let [high, low] = draw();
                let added = self.machine.silence(new, format!("{:016x}", high ^ low), now);
                self.answers.push((answer, added));
            }
            Input::Expire(id, answer) => {
                let expired = self.machine.expire(&id, now);
                self.answers.push((answer, expired));
            }
            Input::Receivers(receivers) => {
                self.machine.set_policies(receivers.iter().map(|receiver| receiver.policy.clone()).collect());
                self.adopt(receivers);
            }
            Input::Stop { patience } => {
                self.stop_at = Some(now.mono.saturating_add(patience));
                self.machine.hurry(now);
            }
        }
    }

    fn adopt(&self, receivers: Vec<Receiver>) {
        let by_name = receivers.into_iter().map(|receiver| (Arc::clone(&receiver.policy.name), receiver)).collect();
        self.handle.shared.receivers.store(Arc::new(by_name));
    }

    /// Makes what is due, stores it, and only then sends.
    fn turn(&mut self) {
        let now = self.handle.clock.now();
        self.machine.wake(now);
        self.store(now);
        self.answers.drain(..).for_each(|(answer, result)| drop(answer.send(result)));
        for notification in self.machine.next(now) {
            self.undurable += u64::from(!self.keeper.is_durable());
            self.send(notification);
        }
        // Taking the next message may have given up others.
        self.store(now);
        self.publish();
    }

    fn store(&mut self, now: Now) {
        if self.keeper.keep(self.machine.take_writes(), now) == Kept::Anew {
            self.machine.all_dirty();
            self.keeper.keep(self.machine.take_writes(), now);
        }
    }

    fn send(&self, notification: Arc<Notification>) {
        let receivers = self.handle.shared.receivers.load();
        let Some(receiver) = receivers.get(&notification.receiver) else { return };
        let (inbox, deliver) = (self.handle.inbox.clone(), Arc::clone(&receiver.deliver));
        let timeout = self.machine.timeout(&notification.receiver);
        let span = trace_span!("notification.deliver", receiver = %notification.receiver, outcome = Empty, otel.kind = "client", otel.status_code = Empty);
        self.handle.shared.runtime.spawn(async move {
            let attempt = attempt(deliver, Arc::clone(&notification), timeout).instrument(span.clone());
            let outcome = tokio::spawn(attempt).await.unwrap_or_else(|_| panicked());
            note(&span, &outcome);
            let (receiver, message) = (Arc::clone(&notification.receiver), notification.key.clone());
            drop(inbox.send(Input::Outcome { receiver, message, outcome }));
        });
    }

    fn publish(&self) {
        let shared = &self.handle.shared;
        let status = Status {
            undurable: self.undurable,
            overrun: shared.overrun.load(Ordering::Relaxed) as u64,
            is_durable: self.keeper.is_durable(),
            ..self.machine.status()
        };
        shared.status.store(Arc::new(status));
        let silences = self.machine.silences().list();
        if silences != **shared.silences.load() {
            shared.silences.store(Arc::new(silences));
        }
    }

    fn is_over(&self) -> bool {
        self.stop_at.is_some_and(|at| !self.machine.is_at_work() || self.handle.clock.now().mono >= at)
    }
}

async fn attempt(deliver: Arc<dyn Deliver>, notification: Arc<Notification>, timeout: Duration) -> Outcome {
    let attempt = tokio::time::timeout(timeout, deliver.deliver(&notification)).await;
    attempt.unwrap_or_else(|_| Outcome::Retry {
        reason: Reason::Timeout,
        after: None,
        detail: format!("no answer within {timeout:?}"),
    })
}

/// What became of an attempt, on its span.
fn note(span: &Span, outcome: &Outcome) {
    match outcome {
        Outcome::Accepted => span.record("outcome", "accepted"),
        Outcome::Retry { reason, .. } | Outcome::Refused { reason, .. } => {
            span.record("outcome", reason.name()).record("otel.status_code", "ERROR")
        }
    };
}

/// Not the receiver's fault, and not to be tried every second.
fn panicked() -> Outcome {
    Outcome::Retry { reason: Reason::Http4xx, after: None, detail: "the message could not be made".into() }
}

fn log(receiver: &str, outcome: &Outcome) {
    match outcome {
        Outcome::Accepted => tracing::debug!(receiver, "a notification was accepted"),
        Outcome::Retry { reason, detail, .. } => {
            tracing::warn!(
                receiver,
                reason = reason.name(),
                detail,
                "a notification was not accepted; it is tried again"
            );
        }
        Outcome::Refused { reason, detail } => {
            tracing::error!(receiver, reason = reason.name(), detail, "a notification was refused and is given up");
        }
    }
}

/// An error and its causes in one line.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// 128 random bits; where the system has none, the number of the process has to do.
fn draw() -> [u64; 2] {
    let mut bytes = [0; 16];
    match getrandom::fill(&mut bytes) {
        Ok(()) => {
            let (high, low) = bytes.split_at(8);
            [high, low].map(|half| u64::from_le_bytes(half.try_into().unwrap_or_default()))
        }
        Err(_) => [u64::from(std::process::id()), 0],
    }
}

/// Both clocks.
#[derive(Clone, Copy, Debug)]
struct Clock {
    began: Instant,
    wall: fn() -> Timestamp,
}

impl Clock {
    /// Monotonic time at the start: long enough that what is older has a place before it.
    const BEGAN: Mono = Duration::from_secs(1 << 40);

    #[expect(clippy::disallowed_methods, reason = "timers and waits go by the monotonic clock")]
    fn new(wall: fn() -> Timestamp) -> Self {
        Self { began: Instant::now(), wall }
    }

    fn now(self) -> Now {
        Now { mono: Self::BEGAN.saturating_add(self.began.elapsed()), wall: (self.wall)() }
    }
}
