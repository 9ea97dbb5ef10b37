//! The one thread that owns the aggregator: folds tallies in packet time and publishes snapshots.

use super::shard::{Report, ReportReceiver};
use super::{FlowDesk, InterfaceNames, Turns, Watcher};
use crate::capture::InterfaceInfo;
use crate::packet::InterfaceId;
use crate::stats::{Capture, HistoryHealth, Snapshot, StatsAggregator, Tally};
use crate::time::{Advance, PacketClock, Tick, Timestamp};
use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many ticks the windows of live capture stay behind the wall clock.
///
/// A frame waits up to 50 ms in the kernel, an idle shard's clock is 200 ms behind, and its loop goes round in 50 ms.
const BEHIND: u64 = 3;

/// News about capture points, from the edges.
#[derive(Debug)]
enum News {
    Interface(InterfaceId, String),
    Renamed(InterfaceId, String),
    Removed(InterfaceId),
    Capture(InterfaceId, Box<Capture>),
    Reloaded(u64, Vec<(InterfaceId, Capture)>),
    History(HistoryHealth),
    Shard(ReportReceiver),
}

/// Tells the collector about capture points. Bounded by their number and one report a second for each.
#[derive(Clone, Debug)]
pub struct Publisher {
    news: Sender<News>,
    /// What captures, where nobody reports more of it (replay).
    backend: Option<&'static str>,
    names: InterfaceNames,
}

impl Publisher {
    /// The names of all that were announced.
    pub fn names(&self) -> InterfaceNames {
        self.names.clone()
    }

    /// A capture point, before its first frame is dealt, or what was learned of it.
    pub fn interface(&self, info: &InterfaceInfo) {
        self.names.set(info.id, &info.name);
        drop(self.news.send(News::Interface(info.id, info.name.clone())));
        if let Some(backend) = self.backend {
            let linktype = info.linktypes.first().copied();
            self.capture(info.id, Capture { up: true, backend, linktype, ..Capture::default() });
        }
    }

    /// A capture point goes on under another name.
    pub fn renamed(&self, id: InterfaceId, name: &str) {
        self.names.set(id, name);
        drop(self.news.send(News::Renamed(id, name.into())));
    }

    /// A capture point is no more, and its shards have ended. Its id may come again after [`ID_REST`].
    pub fn removed(&self, id: InterfaceId) {
        drop(self.news.send(News::Removed(id)));
    }

    /// Another configuration holds from now on, with these states; one picture shows both or neither.
    pub fn reloaded(&self, generation: u64, captures: Vec<(InterfaceId, Capture)>) {
        drop(self.news.send(News::Reloaded(generation, captures)));
    }

    /// How the history fares, where there is one (live only: a replay says the same whatever disk it runs on).
    pub fn history(&self, health: HistoryHealth) {
        drop(self.news.send(News::History(health)));
    }

    /// A shard that begins while others run.
    pub fn shard(&self, reports: ReportReceiver) {
        drop(self.news.send(News::Shard(reports)));
    }

    /// The state of a capture point.
    pub fn capture(&self, id: InterfaceId, capture: Capture) {
        drop(self.news.send(News::Capture(id, Box::new(capture))));
    }
}

/// How long the id of a removed capture point must rest: its last reports have been folded by then.
pub const ID_REST: Duration = Duration::from_secs(2);

/// Owns the aggregator.
#[derive(Debug)]
pub struct Collector {
    aggregator: StatsAggregator,
    shards: Vec<ReportReceiver>,
    /// Capture points that were removed, and the last tick that may still have reports of them.
    removed: Vec<(InterfaceId, Tick)>,
    news: Receiver<News>,
    published: Option<Arc<ArcSwap<Snapshot>>>,
    watchers: Vec<Box<dyn Watcher>>,
    desk: Option<FlowDesk>,
    /// The newest tick in which something happened.
    busy: Tick,
}

impl Collector {
    /// A collector of these shards' reports, and of those that the publisher is given later (live only). `published` is
    /// where readers look, `None` when nobody does; `backend` is what captures, where nobody reports more of it.
    pub fn new(
        aggregator: StatsAggregator,
        shards: Vec<ReportReceiver>,
        published: Option<Arc<ArcSwap<Snapshot>>>,
        backend: Option<&'static str>,
    ) -> (Self, Publisher) {
        let (news_in, news) = unbounded();
        let (removed, watchers, busy) = (Vec::new(), Vec::new(), Tick::default());
        let collector = Self { aggregator, shards, removed, news, published, watchers, desk: None, busy };
        (collector, Publisher { news: news_in, backend, names: InterfaceNames::default() })
    }

    /// Shows the picture of every tick to these too.
    #[must_use]
    pub fn watched_by(mut self, watchers: Vec<Box<dyn Watcher>>) -> Self {
        self.watchers = watchers;
        self
    }

    /// Tells the desk where flows are asked for what interfaces are called.
    #[must_use]
    pub fn naming_for(mut self, desk: &FlowDesk) -> Self {
        self.desk = Some(desk.clone());
        self
    }

    fn named(&self, id: InterfaceId, name: &str) {
        if let Some(desk) = &self.desk {
            desk.name(id, name);
        }
    }

    /// Replay: folds the shards' reports in lockstep until all have ended, and returns the last picture.
    ///
    /// Every shard reports the same ticks and steps in the same order, and some ticks of its own in between (when
    /// flows expired), so taking the least tick that any shard is at keeps packet time in order.
    pub fn replay(mut self) -> Arc<Snapshot> {
        let mut heads: Vec<Option<Report>> = self.shards.iter().map(|_| None).collect();
        let mut last_published = None;
        let mut turns = self.published.is_some().then(Turns::new);
        loop {
            for (head, shard) in heads.iter_mut().zip(&self.shards) {
                if head.is_none() {
                    *head = shard.reports.recv().ok();
                }
            }
            self.take_news(Tick::default());
            if let Some(tick) = least_tick(&heads) {
                self.pass_silence(tick);
                self.fold_heads(&mut heads, tick);
                self.show();
                self.publish_at_most_every(Duration::from_millis(100), &mut last_published);
                if let Some(turns) = &mut turns {
                    turns.give_way();
                }
            } else if let Some(step) = heads.iter().flatten().find_map(as_step) {
                self.step(step);
                heads.fill_with(|| None);
            } else {
                break;
            }
        }
        self.take_news(Tick::default());
        self.publish()
    }

    /// Shows watchers the ticks before `next` in which nothing happens: all until every window is empty, and later ones
    /// as far as somebody waits for them.
    fn pass_silence(&mut self, next: Tick) {
        while let Some(now) = self.aggregator.now()
            && let Some(last) = self.awaited()
            && now < last
            && now.0 + 1 < next.0
        {
            self.aggregator.advance(Tick(now.0 + 1));
            self.show();
        }
    }

    /// The last tick whose picture somebody needs if nothing happens any more.
    fn awaited(&self) -> Option<Tick> {
        let deadline = self.watchers.iter().map(|watcher| watcher.deadline()).max()?;
        let emptied = Tick(self.busy.0 + self.aggregator.longest_window());
        Some(deadline.map_or(emptied, |deadline| deadline.max(emptied)))
    }

    /// Shows watchers the picture of this tick.
    fn show(&mut self) {
        if !self.watchers.is_empty() {
            let snapshot = self.aggregator.snapshot();
            self.watchers.iter_mut().for_each(|watcher| watcher.picture(&snapshot));
        }
    }

    fn step(&mut self, step: crate::time::Step) {
        self.aggregator.step(step);
        self.busy = Tick::of(step.to);
        self.watchers.iter_mut().for_each(|watcher| watcher.step(step));
    }

    fn fold_heads(&mut self, heads: &mut [Option<Report>], tick: Tick) {
        for (head, shard) in heads.iter_mut().zip(&self.shards) {
            match head.take() {
                Some(Report::Tick(at, tally)) if at == tick => {
                    self.aggregator.fold(tick, &tally);
                    give_back(shard, tally);
                }
                other => *head = other,
            }
        }
        self.aggregator.advance(tick);
        self.busy = self.busy.max(tick);
    }

    /// Live: every 100 ms folds what has come, moves the windows with the wall clock and publishes; ends when all
    /// shards have ended and no publisher is left to announce another.
    ///
    /// Windows end 300 ms before now, so that frames which waited in the kernel's buffer are counted in their
    /// own tick. `wall` reads the wall clock; `round` is given each new picture, so that a stalled collector shows.
    pub fn live(mut self, wall: impl Fn() -> Timestamp, round: impl Fn(&Snapshot)) {
        let mut clock = PacketClock::default();
        let mut pending = Vec::new();
        let mut ended = false;
        while !ended {
            let now = wall();
            let is_alone = !self.take_news(Tick::of(now));
            if let Advance::Stepped(step) = clock.advance(now) {
                tracing::warn!(from = %step.from, to = %step.to, "the wall clock was set; windows start anew");
                self.fold_pending(&mut pending, Tick(u64::MAX));
                self.step(step);
            }
            ended = self.receive(&mut pending) && is_alone;
            let complete = Tick(Tick::of(now).0.saturating_sub(BEHIND));
            self.fold_pending(&mut pending, if ended { Tick(u64::MAX) } else { complete });
            self.forget(&pending, complete);
            self.aggregator.advance(complete);
            round(&self.publish());
            self.show();
            std::thread::sleep(Duration::from_nanos(Tick::NANOS - now.as_nanos() % Tick::NANOS));
        }
    }

    /// Takes all reports that wait; whether all shards have ended.
    fn receive(&mut self, pending: &mut Vec<(Tick, usize, Box<Tally>)>) -> bool {
        for shard in &mut self.shards {
            loop {
                match shard.reports.try_recv() {
                    Ok(Report::Tick(tick, tally)) => pending.push((tick, shard.number, tally)),
                    // The collector watches the wall clock itself.
                    Ok(Report::Step(_)) => {}
                    Err(error) => {
                        shard.ended = error.is_disconnected();
                        break;
                    }
                }
            }
        }
        pending.sort_by_key(|(tick, number, _)| (*tick, *number));
        self.shards.iter().all(|shard| shard.ended)
    }

    /// Folds the reports of ticks up to `complete`, in order; one that comes too late counts in the newest tick.
    fn fold_pending(&mut self, pending: &mut Vec<(Tick, usize, Box<Tally>)>, complete: Tick) {
        let count = pending.partition_point(|(tick, ..)| *tick <= complete);
        for (tick, number, tally) in pending.drain(..count) {
            self.aggregator.fold(tick, &tally);
            if let Some(shard) = self.shards.iter().find(|shard| shard.number == number) {
                give_back(shard, tally);
            }
        }
    }

    /// Lets go of shards that ended and of capture points that were removed, once nothing of them is left to fold.
    fn forget(&mut self, pending: &[(Tick, usize, Box<Tally>)], complete: Tick) {
        let aggregator = &mut self.aggregator;
        self.shards.retain(|shard| !shard.ended || pending.iter().any(|(_, number, _)| *number == shard.number));
        self.removed.retain(|(id, last)| {
            if *last <= complete {
                aggregator.remove_interface(*id);
            }
            *last > complete
        });
    }

    /// Takes all news that wait; whether there is anybody left to send more.
    fn take_news(&mut self, now: Tick) -> bool {
        loop {
            match self.news.try_recv() {
                Ok(News::Interface(id, name)) => {
                    self.named(id, &name);
                    self.aggregator.add_interface(id, &name);
                }
                Ok(News::Renamed(id, name)) => {
                    self.named(id, &name);
                    self.aggregator.rename_interface(id, &name);
                }
                Ok(News::Removed(id)) => {
                    if let Some(desk) = &self.desk {
                        desk.forget(id);
                    }
                    self.removed.push((id, now));
                }
                Ok(News::Capture(id, capture)) => self.aggregator.capture(id, *capture),
                Ok(News::Reloaded(generation, captures)) => {
                    self.aggregator.set_generation(generation);
                    captures.into_iter().for_each(|(id, capture)| self.aggregator.capture(id, capture));
                }
                Ok(News::History(health)) => self.aggregator.set_history(health),
                Ok(News::Shard(reports)) => self.shards.push(reports),
                Err(error) => return error.is_empty(),
            }
        }
    }

    fn publish(&mut self) -> Arc<Snapshot> {
        let snapshot = self.aggregator.snapshot();
        if let Some(published) = &self.published {
            published.store(Arc::clone(&snapshot));
        }
        snapshot
    }

    #[expect(clippy::disallowed_methods, reason = "how often readers get a new picture is no matter of packet time")]
    fn publish_at_most_every(&mut self, interval: Duration, last: &mut Option<Instant>) {
        if self.published.is_some() && last.is_none_or(|last| last.elapsed() >= interval) {
            self.publish();
            *last = Some(Instant::now());
        }
    }
}

/// A shard that no longer needs tallies has ended; its vector of them may be full.
fn give_back(shard: &ReportReceiver, mut tally: Box<Tally>) {
    tally.clear();
    drop(shard.spent.try_send(tally));
}

fn least_tick(heads: &[Option<Report>]) -> Option<Tick> {
    let ticks = heads.iter().flatten().filter_map(|head| match head {
        Report::Tick(tick, _) => Some(*tick),
        Report::Step(_) => None,
    });
    ticks.min()
}

fn as_step(report: &Report) -> Option<crate::time::Step> {
    match report {
        Report::Step(step) => Some(*step),
        Report::Tick(..) => None,
    }
}
