//! A shard: the tracker of some partitions and the tally of the open tick.

use super::feed::FlowFeed;
use super::flows::{Keep, Selection};
use super::query::{Answering, FlowDesk};
use super::turns::Turns;
use super::{BATCH, LANE_BATCH, QUEUE};
use crate::flow::{self, ConnectionTracker, Event, FlowRecord, HashKey, Listener, PARTITIONS};
use crate::packet::{InterfaceId, ParsedPacket};
use crate::stats::{self, DropStage, TableState, TalkerSketches, Tally};
use crate::time::{Step, Tick};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use std::ops::Range;
use std::thread::JoinHandle;
use std::time::Duration;

/// What a full queue to the collector means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Live: the tally goes on adding up; nothing is lost, only coarser.
    Live,
    /// Replay: wait.
    Replay,
}

/// What a shard tells the collector, in packet time.
#[derive(Debug)]
pub(super) enum Report {
    /// A tick's counts.
    Tick(Tick, Box<Tally>),
    /// The packet clock jumped.
    Step(Step),
}

/// The collector's end of a shard's queue.
#[derive(Debug)]
pub struct ReportReceiver {
    /// The shard's.
    pub(super) number: usize,
    /// Whether the shard was found to have ended.
    pub(super) ended: bool,
    pub(super) reports: Receiver<Report>,
    pub(super) spent: Sender<Box<Tally>>,
}

/// One shard: flows of its partitions, counts of the open tick.
#[derive(Debug)]
pub struct Shard {
    tracker: ConnectionTracker,
    counts: Counts,
    open: Option<Tick>,
    mode: Mode,
    /// Names the shard's flow table in its tallies.
    number: usize,
    limit: u64,
    partitions: Range<usize>,
    config: stats::Config,
    reports: Sender<Report>,
    spent: Receiver<Box<Tally>>,
    answering: Answering,
    /// In a replay that is asked; live waits for frames anyway.
    turns: Option<Turns>,
}

/// Where the tracker's events go: what moved to the talkers, ended records to the selection if flows are kept and to
/// the feeds, and all counts to the tally.
#[derive(Debug)]
struct Counts {
    tally: Box<Tally>,
    talkers: TalkerSketches,
    ended: Option<Selection>,
    feeds: Vec<FlowFeed>,
}

impl Listener for Counts {
    #[inline]
    fn on(&mut self, event: Event<'_>) {
        match &event {
            Event::Moved { partition, delta } => return self.talkers.add(*partition, delta),
            Event::Closed { record } => self.ended(record),
            _ => {}
        }
        self.tally.on(event);
    }
}

impl Counts {
    fn ended(&mut self, record: &FlowRecord) {
        if let Some(ended) = &mut self.ended {
            ended.offer(record);
        }
        self.feeds.iter_mut().for_each(|feed| feed.offer(record));
    }
}

impl Shard {
    /// A shard for `partitions`, and the queue that its tallies come out of. `number` is its own among all that run.
    pub fn new(
        number: usize,
        flows: flow::Config,
        stats: &stats::Config,
        hash: HashKey,
        partitions: Range<usize>,
        mode: Mode,
        keep: Option<Keep>,
    ) -> (Self, ReportReceiver) {
        let (reports, reports_out) = bounded(QUEUE);
        let (spent_in, spent) = bounded(QUEUE);
        let limit = (flows.max / PARTITIONS * partitions.len()) as u64;
        let shard = Self {
            tracker: ConnectionTracker::new(flows, hash, partitions.clone()),
            counts: Counts {
                tally: Box::new(Tally::new(stats)),
                talkers: TalkerSketches::new(stats.talkers),
                ended: keep.map(Selection::new),
                feeds: Vec::new(),
            },
            open: None,
            mode,
            number,
            limit,
            partitions,
            config: stats.clone(),
            reports,
            spent,
            answering: Answering::default(),
            turns: None,
        };
        (shard, ReportReceiver { number, ended: false, reports: reports_out, spent: spent_in })
    }

    /// Answers questions about its flows, between batches. In replay it gives way to those who bring them, too.
    #[must_use]
    pub fn answering(mut self, desk: &FlowDesk) -> Self {
        self.answering = Answering::at(desk);
        self.turns = (self.mode == Mode::Replay).then(Turns::new);
        self
    }

    /// Whether a question about its flows waits.
    #[inline]
    pub fn is_asked(&self) -> bool {
        self.answering.is_asked()
    }

    /// Looks for the answer for one slice of time.
    pub fn answer(&mut self) {
        self.answering.go_on(&self.tracker, 1);
    }

    /// Brings ended flows to these readers too; at the end those still open, as ended by the shutdown.
    #[must_use]
    pub fn feeding(mut self, feeds: Vec<FlowFeed>) -> Self {
        self.counts.feeds = feeds;
        self
    }

    /// Counts and tracks packets of the open tick, in order.
    pub fn packets(&mut self, packets: &[ParsedPacket]) {
        let Some(tick) = self.open else { return };
        self.counts.tally.packets(packets);
        self.tracker.observe(tick, packets, &mut self.counts);
        if self.answering.is_asked() {
            self.search(packets.len());
        }
        self.give_way();
    }

    /// Looks for an answer after so many packets. In replay these wait, and longer slices cost nothing but bring it sooner.
    #[cold]
    fn search(&mut self, packets: usize) {
        const REPLAY: u32 = 4;
        let slices = if self.mode == Mode::Replay { REPLAY } else { 1 };
        for _ in 0..packets.div_ceil(BATCH) {
            if self.answering.is_asked() {
                self.answering.go_on(&self.tracker, slices);
                self.give_way();
            }
        }
    }

    fn give_way(&mut self) {
        if let Some(turns) = &mut self.turns {
            turns.give_way();
        }
    }

    /// Opens `tick`: the one before is closed and reported, and what expires in between ends in its own tick.
    pub fn tick(&mut self, tick: Tick) {
        let Some(open) = self.open.filter(|open| *open < tick) else {
            self.open.get_or_insert(tick);
            return;
        };
        self.close(open, tick);
        while let Some(due) = self.tracker.next_due().filter(|due| *due < tick) {
            self.tracker.advance(due, &mut self.counts);
            if !self.counts.tally.is_empty() {
                self.close(due, Tick(due.0 + 1));
            }
        }
        self.tracker.advance(tick, &mut self.counts);
        let partitions = &self.partitions;
        self.counts.feeds.iter_mut().for_each(|feed| feed.sweep(tick, partitions.clone(), &self.tracker));
        self.open = Some(tick);
    }

    /// Reports the tick `open`; the next one that can be open is `next`.
    fn close(&mut self, open: Tick, next: Tick) {
        if open.second() != next.second() {
            self.take_talkers();
        }
        self.report(open);
    }

    /// Partition by partition, so that what is summed up of one is taken while it is in the processor's cache. With a million
    /// flows this takes tens of milliseconds; a question is not held up for so long.
    fn take_talkers(&mut self) {
        for table in 0..self.partitions.len() {
            let Counts { tally, talkers, .. } = &mut self.counts;
            self.tracker.drain_deltas_of(table, |partition, delta| {
                tally.talkers_before(partition, talkers);
                talkers.add(partition, &delta);
            });
            if self.answering.is_asked() {
                self.search(if self.mode == Mode::Replay { LANE_BATCH } else { BATCH });
            }
        }
        let Counts { tally, talkers, .. } = &mut self.counts;
        tally.talkers(talkers);
    }

    /// The finished tally, with a fresh one in its place.
    fn take_tally(&mut self) -> Box<Tally> {
        let state = TableState {
            entries: self.tracker.len() as u64,
            limit: self.limit,
            probe_length_max: u64::from(self.tracker.probe_length_max()),
        };
        self.counts.tally.table(self.number, state);
        let fresh = self.spent.try_recv().unwrap_or_else(|_| Box::new(Tally::new(&self.config)));
        std::mem::replace(&mut self.counts.tally, fresh)
    }

    fn report(&mut self, tick: Tick) {
        self.counts.feeds.iter_mut().for_each(FlowFeed::flush);
        let full = self.take_tally();
        match self.mode {
            // The collector lives until every sender is gone; without one there is nobody left to tell.
            Mode::Replay => drop(self.reports.send(Report::Tick(tick, full))),
            Mode::Live => {
                if let Err(TrySendError::Full(Report::Tick(_, back))) = self.reports.try_send(Report::Tick(tick, full))
                {
                    self.counts.tally = back;
                }
            }
        }
    }

    /// Takes a time step: the open tick is closed, timers are shifted, the tick at `step.to` is open.
    pub fn step(&mut self, step: Step) {
        if let Some(open) = self.open {
            self.take_talkers();
            self.report(open);
        }
        self.tracker.step(step);
        self.counts.feeds.iter_mut().for_each(|feed| feed.step(step.to));
        drop(self.reports.send(Report::Step(step)));
        self.open = Some(Tick::of(step.to));
    }

    /// Counts late frames and frames lost at a capture point.
    pub fn late(&mut self, packets: u64) {
        self.counts.tally.late(packets);
    }

    /// Counts frames lost before parsing.
    pub fn dropped(&mut self, interface: InterfaceId, stage: DropStage, packets: u64) {
        self.counts.tally.dropped(interface, stage, packets);
    }

    /// Takes another cap and other timeouts (live); flows beyond the cap go as new ones come.
    pub fn set_flows(&mut self, flows: &flow::Config) {
        self.limit = (flows.max / PARTITIONS * self.partitions.len()) as u64;
        self.tracker.set_max(flows.max);
        self.tracker.set_rules(flows);
    }

    /// Ends every flow (live, at shutdown).
    pub fn shutdown(&mut self) {
        self.tracker.shutdown(&mut self.counts);
    }

    /// Reports the last tick and hands out the flows that were kept, those still open included.
    pub fn finish(mut self) -> Option<Selection> {
        if let Some(open) = self.open {
            self.take_talkers();
            let mut last = self.take_tally();
            if self.mode == Mode::Live {
                // Its table is no more.
                last.table(self.number, TableState::default());
            }
            drop(self.reports.send(Report::Tick(open, last)));
        }
        for feed in &mut self.counts.feeds {
            // Live the shutdown has ended all; in replay the report leaves them open, and only what is fed ends.
            self.tracker.ended_records().for_each(|record| feed.offer(&record));
            feed.flush();
        }
        let mut ended = self.counts.ended.take();
        if let Some(ended) = ended.as_mut() {
            self.tracker.records().for_each(|record| ended.offer(&record));
        }
        if self.mode == Mode::Replay {
            self.answering.rest(self.tracker);
        }
        ended
    }
}

/// The partitions of shard `number` of `count`.
pub fn partitions(number: usize, count: usize) -> Range<usize> {
    let first = |number: usize| (number * PARTITIONS).div_ceil(count);
    first(number)..first(number + 1)
}

/// The shard of `count` that a partition belongs to, as [`partitions`] has it.
pub(super) fn owner(partition: usize, count: usize) -> usize {
    partition * count / PARTITIONS
}

/// What a dealer sends to a shard thread.
#[derive(Debug)]
pub(super) enum Order {
    Packets(Vec<ParsedPacket>),
    Tick(Tick),
    Step(Step),
    Late(u64),
}

/// How long a question may wait for a shard thread that has nothing to do.
const NOTICE: Duration = Duration::from_millis(5);

/// The next order; until it comes, questions are answered. `None` at the end.
fn next(inbox: &Receiver<Order>, shard: &mut Shard) -> Option<Order> {
    if !shard.answering.is_at_desk() {
        return inbox.recv().ok();
    }
    loop {
        let patience = if shard.is_asked() { Duration::ZERO } else { NOTICE };
        match inbox.recv_timeout(patience) {
            Ok(order) => return Some(order),
            Err(RecvTimeoutError::Timeout) if shard.is_asked() => shard.answer(),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
}

/// The shards of a dealer: one in its own thread, or several behind bounded queues.
#[derive(Debug)]
pub enum Shards {
    /// Dealer and shard share a thread.
    Inline(Box<Shard>),
    /// Each shard has a thread.
    Threads(Vec<Lane>),
}

/// The way to one shard thread.
#[derive(Debug)]
pub struct Lane {
    pub(super) orders: Sender<Order>,
    pub(super) spent: Receiver<Vec<ParsedPacket>>,
    thread: JoinHandle<Option<Selection>>,
}

impl Shards {
    /// Starts a thread for each shard. A live one stays with its dealer, so that nothing is copied and no frame waits;
    /// in replay reading and tracking go on side by side, unless there is but one processor.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(mut shards: Vec<Shard>) -> std::io::Result<Self> {
        let is_alone = std::thread::available_parallelism().is_ok_and(|processors| processors.get() == 1);
        if shards.len() == 1 && (is_alone || shards[0].mode == Mode::Live) {
            return Ok(Self::Inline(Box::new(shards.remove(0))));
        }
        let lanes = shards.into_iter().enumerate().map(|(n, shard)| Lane::start(n, shard));
        Ok(Self::Threads(lanes.collect::<Result<_, _>>()?))
    }

    /// Waits for all shards; one selection for each that kept flows.
    pub fn finish(self) -> Vec<Selection> {
        match self {
            Self::Inline(shard) => shard.finish().into_iter().collect(),
            Self::Threads(lanes) => {
                // All senders go first, so that the shards end side by side.
                let threads: Vec<_> = lanes.into_iter().map(|lane| lane.thread).collect();
                threads.into_iter().filter_map(join).collect()
            }
        }
    }
}

/// A panic of a shard is a panic of the program: results without it would be wrong.
fn join(thread: JoinHandle<Option<Selection>>) -> Option<Selection> {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

impl Lane {
    fn start(number: usize, mut shard: Shard) -> std::io::Result<Self> {
        let (orders, inbox) = bounded(QUEUE);
        let (spent_in, spent) = bounded(QUEUE);
        let thread = std::thread::Builder::new().name(format!("shard-{number}")).spawn(move || {
            while let Some(order) = next(&inbox, &mut shard) {
                match order {
                    Order::Packets(mut packets) => {
                        shard.packets(&packets);
                        packets.clear();
                        // A full return queue only means that the vector is not needed again.
                        drop(spent_in.try_send(packets));
                    }
                    Order::Tick(tick) => shard.tick(tick),
                    Order::Step(step) => shard.step(step),
                    Order::Late(packets) => shard.late(packets),
                }
            }
            shard.finish()
        })?;
        Ok(Self { orders, spent, thread })
    }

    pub(super) fn send(&self, order: Order) {
        // The shard lives until the queue is closed; if it panicked, `finish` raises it again.
        drop(self.orders.send(order));
    }

    /// Sends what is in the batch, and leaves an empty one.
    pub(super) fn send_batch(&self, batch: &mut Vec<ParsedPacket>) {
        if !batch.is_empty() {
            let empty = self.spent.try_recv().unwrap_or_else(|_| Vec::with_capacity(LANE_BATCH));
            self.send(Order::Packets(std::mem::replace(batch, empty)));
        }
    }
}
