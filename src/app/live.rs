//! The thread of one ring: adapter, dealer and shard in one loop.
//!
//! It owns what it reads from. What changes while it runs comes as an [`Order`] between two polls; what the supervisor
//! must know of it is in [`Status`].

use super::wall_clock;
use crate::capture::{CaptureError, LiveAdapter, Poll, Statistics};
use crate::flow;
use crate::http::Heartbeat;
use crate::packet::{InterfaceId, Linktype, Perspective};
use crate::pipeline::Dealer;
use crate::stats::DropStage;
use crate::time::{NANOS_PER_SECOND, Timestamp};
use crossbeam_channel::{Receiver, Sender, TryRecvError, unbounded};
use ipnet::IpNet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The longest wait for frames; an order or a tick is noticed within it.
const WAIT: Duration = Duration::from_millis(50);
/// How often statistics are read, under load too.
const STATISTICS: Duration = Duration::from_secs(1);
/// How far an idle clock stays behind the wall clock: frames may wait that long in the kernel's buffer.
const BEHIND: u64 = NANOS_PER_SECOND / 5;

/// What a ring's thread is told to do. There are few: what an interface does, and reloads.
pub(super) enum Order {
    /// Read from this, in place of what there was.
    Attach(Box<dyn LiveAdapter>),
    /// The interface is gone: give back what was read from.
    Detach,
    /// Set another filter, and say how it went; frames that waited had passed the one before, and count.
    Filter(Option<String>, Sender<Result<(), CaptureError>>),
    /// Other networks are on this side, or the interface has other addresses.
    Perspective(Vec<IpNet>, Perspective),
    /// Another cap and other timeouts for the flow table.
    Flows(flow::Config),
    /// The interface itself lost this many frames.
    Missed(u64),
}

/// What the supervisor reads of a ring.
#[derive(Debug, Default)]
pub(super) struct Status {
    /// What captures, while anything does.
    pub backend: Option<&'static str>,
    /// Link type of its frames.
    pub linktype: Option<Linktype>,
    /// Times the ring froze since the thread began.
    pub freezes: u64,
    /// Largest time that a frame waited, since it was last taken.
    pub lag: Option<Duration>,
    /// Why reading ended, until it is taken.
    pub lost: Option<CaptureError>,
    /// Whether the loop has gone round with something to read from.
    pub went_round: bool,
}

/// The supervisor's end of a ring's thread. The thread ends when this is dropped.
pub(super) struct Ring {
    orders: Sender<Order>,
    status: Arc<Mutex<Status>>,
    thread: std::thread::JoinHandle<()>,
}

impl Ring {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system refuses one.
    pub(super) fn start(id: InterfaceId, name: &str, mut dealer: Dealer, heartbeat: Heartbeat) -> anyhow::Result<Self> {
        let (orders, inbox) = unbounded();
        let status = Arc::new(Mutex::new(Status::default()));
        let live = Live {
            id,
            adapter: None,
            orders: inbox,
            status: Arc::clone(&status),
            reported: Statistics::default(),
            freezes: 0,
            went_round: false,
        };
        let thread = super::spawn(name, move || {
            live.run(&mut dealer, &heartbeat);
            dealer.finish();
            heartbeat.retire();
        })?;
        Ok(Self { orders, status, thread })
    }

    /// Hands an order to the thread; one that has ended is noticed when it is joined.
    pub(super) fn order(&self, order: Order) {
        drop(self.orders.send(order));
    }

    /// What it says of itself.
    pub(super) fn status(&self) -> std::sync::MutexGuard<'_, Status> {
        lock(&self.status)
    }

    /// Whether the thread is over, which only a panic brings about while this is here.
    pub(super) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends the thread; wait for it with [`join`].
    pub(super) fn end(self) -> std::thread::JoinHandle<()> {
        self.thread
    }
}

/// Waits for a thread. Its panic is the program's: numbers without it would be wrong.
pub(super) fn join(thread: std::thread::JoinHandle<()>) {
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// One ring and what it is read from.
struct Live {
    id: InterfaceId,
    /// `None` while the interface is gone.
    adapter: Option<Box<dyn LiveAdapter>>,
    orders: Receiver<Order>,
    status: Arc<Mutex<Status>>,
    /// Of the present adapter, what was counted already.
    reported: Statistics,
    /// Freezes of the adapters before.
    freezes: u64,
    went_round: bool,
}

impl Live {
    /// Captures until nobody can give orders any more, then ends all flows.
    #[expect(clippy::disallowed_methods, reason = "reads statistics by the monotonic clock")]
    fn run(mut self, dealer: &mut Dealer, heartbeat: &Heartbeat) {
        let mut due = Instant::now();
        loop {
            heartbeat.beat();
            match self.orders.try_recv() {
                Ok(order) => self.obey(order, dealer),
                Err(TryRecvError::Empty) => self.poll(dealer),
                Err(TryRecvError::Disconnected) => break,
            }
            if Instant::now() >= due {
                due = Instant::now() + STATISTICS;
                self.count(dealer);
            }
        }
        self.count(dealer);
        if let Some(shard) = dealer.shard() {
            shard.shutdown();
        }
    }

    fn obey(&mut self, order: Order, dealer: &mut Dealer) {
        match order {
            Order::Attach(adapter) => {
                self.detach(dealer);
                {
                    let mut status = lock(&self.status);
                    status.backend = Some(adapter.backend());
                    status.linktype =
                        adapter.interfaces().first().and_then(|interface| interface.linktypes.first().copied());
                }
                self.adapter = Some(adapter);
            }
            Order::Detach => self.detach(dealer),
            Order::Filter(expression, answer) => {
                let set = self.adapter.as_mut().map_or(Ok(()), |adapter| adapter.set_filter(expression.as_deref()));
                // Nobody waits for the answer while the daemon stops.
                drop(answer.send(set));
            }
            Order::Perspective(networks, perspective) => dealer.set_perspective(self.id, networks, perspective),
            Order::Flows(flows) => {
                if let Some(shard) = dealer.shard() {
                    shard.set_flows(&flows);
                }
            }
            Order::Missed(frames) => {
                if let Some(shard) = dealer.shard() {
                    shard.dropped(self.id, DropStage::Interface, frames);
                }
            }
        }
    }

    /// Takes what is there, or lets time pass.
    fn poll(&mut self, dealer: &mut Dealer) {
        let wait = patience(dealer);
        let Some(adapter) = &mut self.adapter else {
            std::thread::sleep(wait);
            return dealer.idle(behind(wall_clock()));
        };
        let lost = match adapter.poll(wait, dealer) {
            Ok(Poll::Frames) => None,
            Ok(Poll::Idle) => {
                dealer.idle(behind(wall_clock()));
                None
            }
            Ok(Poll::End) => Some(gone(&**adapter)),
            Err(error) => Some(error),
        };
        let waited = dealer.take_oldest().map(|first| Duration::from_nanos(wall_clock().nanos_since(first)));
        let is_lost = lost.is_some();
        if is_lost {
            self.detach(dealer);
        }
        if waited.is_some() || is_lost || !self.went_round {
            self.went_round = true;
            let mut status = lock(&self.status);
            status.lag = status.lag.max(waited);
            status.went_round = true;
            status.lost = lost.or(status.lost.take());
        }
    }

    fn detach(&mut self, dealer: &mut Dealer) {
        self.count(dealer);
        self.freezes += self.reported.freezes;
        self.adapter = None;
        self.reported = Statistics::default();
        lock(&self.status).backend = None;
    }

    /// Losses to the shard, the rest to the status.
    fn count(&mut self, dealer: &mut Dealer) {
        let Some(adapter) = &mut self.adapter else { return };
        // A handle that has no statistics any more fails its next poll too, which says why.
        let Ok(Some(now)) = adapter.statistics() else { return };
        if let Some(shard) = dealer.shard() {
            shard.dropped(self.id, DropStage::Kernel, now.kernel_dropped.saturating_sub(self.reported.kernel_dropped));
        }
        self.reported = now;
        let mut status = lock(&self.status);
        status.freezes = self.freezes + now.freezes;
    }
}

/// How long to wait for frames: not at all while a question about flows is worked on.
fn patience(dealer: &mut Dealer) -> Duration {
    match dealer.shard().filter(|shard| shard.is_asked()) {
        Some(shard) => {
            shard.answer();
            Duration::ZERO
        }
        None => WAIT,
    }
}

fn gone(adapter: &dyn LiveAdapter) -> CaptureError {
    let name = adapter.interfaces().first().map(|interface| interface.name.clone());
    CaptureError::InterfaceGone { interface: name.unwrap_or_default() }
}

/// Where an idle clock may stand.
fn behind(wall: Timestamp) -> Timestamp {
    Timestamp::from_nanos(wall.as_nanos().saturating_sub(BEHIND))
}

/// Nothing panics while it holds the lock.
fn lock(status: &Mutex<Status>) -> std::sync::MutexGuard<'_, Status> {
    status.lock().unwrap_or_else(PoisonError::into_inner)
}
