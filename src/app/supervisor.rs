//! Which interfaces are captured now: follows what the kernel says of them, and keeps a ring thread for each.
//!
//! An interface that goes away leaves its thread waiting, so its flows end by their timeouts and its numbers stay; when
//! one of the same name comes back, capture goes on. One that only a glob asked for is forgotten after [`FORGET`].
//! Needs no privilege: sockets were opened before.

use super::live::{self, Order, Ring};
use super::opener::{Adapters, Opener};
use super::wall_clock;
use super::watched::Watched;
use crate::capture::interfaces::{Change, Interface, Monitor, Selection, overlaps};
use crate::capture::{CaptureError, FrameSink};
use crate::config::Config;
use crate::flow::{self, HashKey, PARTITIONS};
use crate::http::{Health, Readiness};
use crate::packet::InterfaceId;
use crate::pipeline::{Dealer, FlowDesk, FlowFeed, ID_REST, Mode, Publisher, Shard, Shards};
use crate::stats::Capture;
use crate::time::Timestamp;
use anyhow::Context;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long a thread may go without a round of its loop before `/healthz` says so.
pub(super) const STALLED: Duration = Duration::from_secs(5);
/// How soon news of interfaces, a signal or a lost capture are noticed.
const NOTICE: Duration = Duration::from_millis(100);
/// How often counters are read and states reported, and what could not be opened is tried again.
const ROUND: Duration = Duration::from_secs(1);
/// How long an interface that only a glob asked for may be gone before it is forgotten.
const FORGET: Duration = Duration::from_secs(120);
/// The most interfaces at a time; each has a thread and a buffer for each ring.
const MAX_INTERFACES: usize = 256;

/// Follows the interfaces.
pub(super) struct Supervisor {
    pub(super) config: Config,
    pub(super) opener: Opener,
    pub(super) monitor: Monitor,
    pub(super) selection: Selection,
    pub(super) watched: Vec<Watched>,
    hash: HashKey,
    pub(super) publisher: Publisher,
    health: Health,
    desk: FlowDesk,
    /// Who is brought ended flows.
    feeds: Vec<FlowFeed>,
    captures: Readiness,
    shards_started: usize,
    /// Ids that may not be used again yet.
    resting: VecDeque<(InterfaceId, Instant)>,
    due: Instant,
}

/// What one interface is captured with, opened with all privileges.
pub(super) struct Opened {
    interface: Interface,
    id: InterfaceId,
    adapters: Adapters,
}

/// Opens the interfaces that are there. Those that were named and do not exist are an error; globs may wait.
///
/// # Errors
/// A name that no interface has, and why an interface that is there cannot be captured.
pub(super) fn open(selection: &mut Selection, monitor: &Monitor, opener: &Opener) -> Result<Vec<Opened>, CaptureError> {
    let changes = selection.update(monitor.links());
    let joined = changes.into_iter().filter_map(|change| match change {
        Change::Joined(interface) | Change::Back(interface) => Some(interface),
        _ => None,
    });
    joined
        .take(MAX_INTERFACES)
        .enumerate()
        .map(|(number, interface)| {
            let id = InterfaceId(u16::try_from(number).unwrap_or(u16::MAX));
            let adapters = opener.open(&interface, id)?;
            Ok(Opened { interface, id, adapters })
        })
        .collect()
}

/// What the supervisor is made of; see its fields.
pub(super) struct Parts {
    pub config: Config,
    pub opener: Opener,
    pub monitor: Monitor,
    pub selection: Selection,
    pub hash: HashKey,
    pub publisher: Publisher,
    pub health: Health,
    pub desk: FlowDesk,
    pub feeds: Vec<FlowFeed>,
}

impl Supervisor {
    /// Starts the threads of the interfaces that were opened.
    ///
    /// # Errors
    /// When the system refuses a thread.
    #[expect(clippy::disallowed_methods, reason = "rounds go by the monotonic clock")]
    pub(super) fn start(parts: Parts, opened: Vec<Opened>) -> anyhow::Result<Self> {
        let Parts { config, opener, monitor, selection, hash, publisher, health, desk, feeds } = parts;
        let captures = health.part("capture");
        let mut supervisor = Self {
            config,
            opener,
            monitor,
            selection,
            watched: Vec::new(),
            hash,
            publisher,
            health,
            desk,
            feeds,
            captures,
            shards_started: 0,
            resting: VecDeque::new(),
            due: Instant::now(),
        };
        for opened in opened {
            supervisor.watch(&opened.interface, opened.id, supervisor.opener.rings())?;
            supervisor.attach(opened.id, opened.adapters);
        }
        Ok(supervisor)
    }

    /// Names of what is captured, or awaited.
    pub(super) fn names(&self) -> Vec<String> {
        self.watched.iter().map(|watched| watched.interface.name.clone()).collect()
    }

    /// One round: waits for news of interfaces for a moment, and does what they ask for.
    ///
    /// # Errors
    /// When the system refuses a thread for a new interface.
    #[expect(clippy::disallowed_methods, reason = "rounds go by the monotonic clock")]
    pub(super) fn round(&mut self) -> anyhow::Result<()> {
        match self.monitor.poll(NOTICE) {
            Ok(true) => self.follow()?,
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot follow the interfaces");
                std::thread::sleep(NOTICE);
            }
        }
        self.mend();
        if Instant::now() >= self.due {
            self.due = Instant::now() + ROUND;
            if let Err(error) = self.monitor.refresh() {
                tracing::warn!(%error, "cannot read the counters of the interfaces");
            }
            let read_at = wall_clock();
            self.follow()?;
            self.report(read_at);
            self.forget();
        }
        let is_round =
            |watched: &Watched| !watched.attached || watched.rings.iter().all(|ring| ring.status().went_round);
        self.captures.set(self.watched.iter().all(is_round));
        Ok(())
    }

    /// Whether a thread is over that should not be; joining it says why.
    pub(super) fn is_broken(&self) -> bool {
        self.watched.iter().flat_map(|watched| &watched.rings).any(Ring::is_finished)
    }

    /// Ends all threads side by side, and waits for them.
    pub(super) fn stop(self) {
        let rings = self.watched.into_iter().flat_map(|watched| watched.rings);
        let threads: Vec<_> = rings.map(Ring::end).collect();
        threads.into_iter().for_each(live::join);
    }

    /// Takes over what changed.
    fn follow(&mut self) -> anyhow::Result<()> {
        let changes = self.selection.update(self.monitor.links());
        self.take_over(changes)
    }

    pub(super) fn take_over(&mut self, changes: Vec<Change>) -> anyhow::Result<()> {
        for change in changes {
            match change {
                Change::Joined(interface) => self.join(&interface)?,
                Change::Back(interface) => match self.position(&interface.name) {
                    Some(at) => self.come_back(at, interface),
                    None => self.join(&interface)?,
                },
                Change::Gone { name } => self.lose(&name),
                Change::Renamed { from, to } => self.rename(&from, to),
                Change::Link(interface) => self.update(interface),
                Change::Left { name } => self.leave(&name),
            }
        }
        Ok(())
    }

    fn join(&mut self, interface: &Interface) -> anyhow::Result<()> {
        let Some(id) = self.free_id(&[]) else {
            tracing::warn!(
                interface = interface.name,
                "not captured: {MAX_INTERFACES} interfaces are, the most there can be"
            );
            return Ok(());
        };
        tracing::info!(interface = interface.name, "a new interface");
        self.watch(interface, id, self.opener.rings())?;
        self.try_open(self.watched.len() - 1);
        Ok(())
    }

    fn come_back(&mut self, at: usize, interface: Interface) {
        let watched = &mut self.watched[at];
        watched.detach("interface gone");
        watched.present = true;
        watched.interface = interface;
        self.try_open(at);
    }

    #[expect(clippy::disallowed_methods, reason = "how long it is gone is a matter of the machine's clock")]
    fn lose(&mut self, name: &str) {
        let Some(at) = self.position(name) else { return };
        let watched = &mut self.watched[at];
        tracing::warn!(interface = name, "the interface is gone; it is captured again when it is back");
        (watched.present, watched.since) = (false, Instant::now());
        watched.interface.kernel = None;
        watched.detach("interface gone");
        self.publish(at);
    }

    fn rename(&mut self, from: &str, to: Interface) {
        let Some(at) = self.position(from) else { return };
        tracing::info!(interface = from, to = to.name, "the interface was renamed; capture goes on under its new name");
        self.publisher.renamed(self.watched[at].id, &to.name);
        self.watched[at].interface = to;
        self.publish(at);
    }

    /// State, addresses or MTU are others.
    fn update(&mut self, interface: Interface) {
        let Some(at) = self.position(&interface.name) else { return };
        let watched = &mut self.watched[at];
        let turned = watched.interface.up != interface.up;
        let moved = (&watched.interface.addresses, watched.interface.mac) != (&interface.addresses, interface.mac);
        watched.interface = interface;
        if turned {
            tracing::info!(
                interface = watched.interface.name,
                up = watched.interface.up,
                "the interface changed its state"
            );
            watched.note_state();
        }
        if moved {
            watched.set_perspective(&self.config.local_networks);
        }
        self.publish(at);
    }

    /// Nobody asks for it any more.
    #[expect(clippy::disallowed_methods, reason = "an id rests by the machine's clock")]
    fn leave(&mut self, name: &str) {
        let Some(at) = self.position(name) else { return };
        tracing::info!(interface = name, "the interface is no longer captured");
        let watched = self.watched.remove(at);
        let threads: Vec<_> = watched.rings.into_iter().map(Ring::end).collect();
        threads.into_iter().for_each(live::join);
        self.publisher.removed(watched.id);
        self.resting.push_back((watched.id, Instant::now()));
        self.share_flows();
    }

    /// Forgets what only globs asked for and is long gone.
    fn forget(&mut self) {
        let long_gone = |watched: &&Watched| !watched.present && watched.since.elapsed() >= FORGET;
        let names: Vec<String> =
            self.watched.iter().filter(long_gone).map(|watched| watched.interface.name.clone()).collect();
        for name in names {
            if self.selection.forget(&name) {
                self.leave(&name);
            }
        }
    }

    /// Opens again what stopped while its interface is there.
    #[expect(clippy::disallowed_methods, reason = "tries again by the monotonic clock")]
    fn mend(&mut self) {
        for at in 0..self.watched.len() {
            let watched = &mut self.watched[at];
            let lost = watched.rings.iter().find_map(|ring| ring.status().lost.take());
            if let Some(error) = lost.filter(|_| watched.present && watched.attached) {
                tracing::warn!(interface = watched.interface.name, %error, "capture stopped");
                // The other rings of a fan-out are opened anew with it.
                watched.detach("capture stopped");
            }
            if watched.present && !watched.attached && Instant::now() >= watched.retry {
                self.try_open(at);
            }
        }
    }

    #[expect(clippy::disallowed_methods, reason = "tries again by the monotonic clock")]
    fn try_open(&mut self, at: usize) {
        let watched = &mut self.watched[at];
        watched.retry = Instant::now() + ROUND;
        match self.opener.open(&watched.interface, watched.id) {
            Ok(adapters) => {
                watched.attach(adapters, &self.config.local_networks);
                tracing::info!(interface = watched.interface.name, "capturing");
                if (watched.paused || watched.filter.is_some())
                    && let Err(error) = self.apply(at)
                {
                    let error = format!("{error:#}");
                    tracing::warn!(error, "the filter that an operator set is not in force");
                }
            }
            Err(error) => {
                let text = error.to_string();
                if watched.complaint.as_ref() != Some(&text) {
                    tracing::warn!(error = text, hint = error.hint(), "cannot capture; trying again every second");
                    watched.complaint = Some(text);
                }
                watched.begin_gap("cannot be opened");
            }
        }
        self.publish(at);
    }

    pub(super) fn attach(&mut self, id: InterfaceId, adapters: Adapters) {
        if let Some(watched) = self.watched.iter_mut().find(|watched| watched.id == id) {
            watched.attach(adapters, &self.config.local_networks);
        }
    }

    /// Starts the threads of an interface.
    pub(super) fn watch(&mut self, interface: &Interface, id: InterfaceId, rings: usize) -> anyhow::Result<()> {
        let flows = self.flows(self.rings() + rings);
        let mut watched = Watched::new(interface, id);
        for number in 0..rings {
            let name = if rings == 1 { interface.name.clone() } else { format!("{}/{number}", interface.name) };
            let heartbeat = self.health.thread(&format!("capture {name}"), STALLED);
            let dealer = self.dealer(flows, &watched)?;
            watched.rings.push(Ring::start(id, &format!("capture-{name}"), dealer, heartbeat)?);
        }
        self.watched.push(watched);
        self.share_flows();
        Ok(())
    }

    /// A dealer with a shard of its own, which the collector is told of.
    fn dealer(&mut self, flows: flow::Config, watched: &Watched) -> anyhow::Result<Dealer> {
        let number = self.shards_started;
        self.shards_started += 1;
        let stats = &self.config.aggregation;
        let (shard, reports) = Shard::new(number, flows, stats, self.hash, 0..PARTITIONS, Mode::Live, None);
        let shard = shard.answering(&self.desk).feeding(self.feeds.clone());
        let shards = Shards::start(vec![shard]).context("cannot start a shard")?;
        let networks = self.config.local_networks.clone();
        let mut dealer = Dealer::new(shards, self.hash, self.publisher.clone(), networks);
        dealer.interface(&watched.info());
        self.publisher.shard(reports);
        Ok(dealer)
    }

    /// Rings share the flow table's cap evenly.
    pub(super) fn share_flows(&self) {
        let flows = self.flows(self.rings());
        self.watched.iter().flat_map(|watched| &watched.rings).for_each(|ring| ring.order(Order::Flows(flows)));
    }

    fn flows(&self, rings: usize) -> flow::Config {
        flow::Config { max: (self.config.flows.max / rings.max(1)).max(PARTITIONS), ..self.config.flows }
    }

    fn rings(&self) -> usize {
        self.watched.iter().map(|watched| watched.rings.len()).sum()
    }

    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.watched.iter().position(|watched| watched.interface.name == name)
    }

    /// The least id that nobody has or was promised, and that has rested.
    pub(super) fn free_id(&mut self, promised: &[InterfaceId]) -> Option<InterfaceId> {
        while self.resting.front().is_some_and(|(_, since)| since.elapsed() >= ID_REST) {
            self.resting.pop_front();
        }
        if self.watched.len() + promised.len() >= MAX_INTERFACES {
            return None;
        }
        let is_taken = |id: InterfaceId| {
            promised.contains(&id)
                || self.watched.iter().any(|watched| watched.id == id)
                || self.resting.iter().any(|(resting, _)| *resting == id)
        };
        (0..u16::MAX).map(InterfaceId).find(|id| !is_taken(*id))
    }

    /// Once a second: what was lost, and the state of every interface.
    fn report(&mut self, read_at: Timestamp) {
        for at in 0..self.watched.len() {
            let name = self.watched[at].interface.name.clone();
            if let Some(now) = self.monitor.links().iter().find(|link| link.name == name) {
                let watched = &mut self.watched[at];
                if watched.present && watched.interface.index == now.index {
                    watched.set_kernel(now.kernel, read_at);
                }
            }
            self.publish(at);
        }
    }

    pub(super) fn publish(&self, at: usize) {
        let watched = &self.watched[at];
        self.publisher.capture(watched.id, self.capture(watched));
    }

    pub(super) fn capture(&self, watched: &Watched) -> Capture {
        Capture {
            filter: self.filter_of(watched),
            overlaps: self.overlaps(&watched.interface.name),
            ..watched.capture(self.opener.backend())
        }
    }

    /// Other interfaces that are captured and see the same packets.
    fn overlaps(&self, name: &str) -> Vec<String> {
        let names = self.names();
        let pairs = overlaps(self.monitor.links(), &names);
        let other = |(one, two): (String, String)| match name {
            _ if one == name => Some(two),
            _ if two == name => Some(one),
            _ => None,
        };
        pairs.into_iter().filter_map(other).collect()
    }
}

/// Asks every handle for its counters: one that does not answer with what is left of the privileges gives no frames.
///
/// # Errors
/// What the handle says.
pub(super) fn verify(opened: &mut [Opened]) -> Result<(), CaptureError> {
    let adapters = opened.iter_mut().flat_map(|opened| &mut opened.adapters);
    adapters.into_iter().try_for_each(|adapter| adapter.statistics().map(drop))
}
