//! Questions about live flows, answered by the shards between their batches.
//!
//! The table belongs to the shards and nobody else touches it. A question is put up at the desk; each shard sees it
//! after a batch, looks through its records in slices, and hands in its best rows. With no question up, a batch costs
//! one relaxed load more. One question is answered at a time.

use crate::flow::{Best, ConnectionTracker, FlowQuery, FlowRecord, Place};
use crate::packet::InterfaceId;
use crossbeam_channel::{Sender, unbounded};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The longest that looking for an answer may hold up the packets of a batch of [`BATCH`](super::BATCH). Longer batches
/// (replay) take as many slices.
const SLICE: Duration = Duration::from_micros(50);
/// Records between two looks at the clock.
const STEP: usize = 32;

/// Where questions are put up. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct FlowDesk(Arc<Desk>);

#[derive(Debug, Default)]
struct Desk {
    /// Number of the last question, or of its withdrawal.
    asked: AtomicU64,
    state: Mutex<State>,
    /// Held by whoever asks.
    turn: Mutex<()>,
    /// Tables of replays that are over. Taken before `state` where both are.
    resting: Mutex<Vec<ConnectionTracker>>,
    names: Mutex<BTreeMap<InterfaceId, String>>,
}

#[derive(Debug, Default)]
struct State {
    question: Option<Question>,
    /// Shards that answer.
    shards: usize,
}

#[derive(Clone, Debug)]
struct Question {
    number: u64,
    query: Arc<FlowQuery>,
    answers: Sender<Best>,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The first flows in the order asked for.
    pub flows: Vec<FlowRecord>,
    /// How many matched in all.
    pub matched: u64,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// Another question is being answered.
    #[error("another question about flows is being answered")]
    Busy,
    /// A shard did not get round to it.
    #[error("the flow table did not answer in time")]
    TooSlow,
}

impl FlowDesk {
    /// Asks all shards, and waits for them at most this long. Blocks: not for a runtime's threads.
    ///
    /// Flows that begin or end meanwhile may be missing; any other one is looked at exactly once.
    ///
    /// # Errors
    /// [`Unanswered`].
    #[expect(clippy::disallowed_methods, reason = "how long somebody waits for an answer is no matter of packet time")]
    pub fn ask(&self, query: FlowQuery, patience: Duration) -> Result<Found, Unanswered> {
        let Ok(_turn) = self.0.turn.try_lock() else { return Err(Unanswered::Busy) };
        let deadline = Instant::now() + patience;
        let (query, mut best) = (Arc::new(query), Best::new());
        let (answers, incoming) = unbounded();
        let expected = {
            // A shard that comes to rest now waits, so that it is asked either as a shard or as a resting table.
            let resting = lock(&self.0.resting);
            resting.iter().for_each(|tracker| look_through(tracker, &query, &mut best));
            self.put_up(Some((Arc::clone(&query), answers)))
        };
        let answered = (0..expected).all(|_| match incoming.recv_deadline(deadline) {
            Ok(part) => {
                best.merge(query.most, part);
                true
            }
            Err(_) => false,
        });
        self.put_up(None);
        let matched = best.matched();
        answered.then(|| Found { flows: best.into_rows(), matched }).ok_or(Unanswered::TooSlow)
    }

    /// Puts up a question, or takes it down; how many shards see it.
    fn put_up(&self, question: Option<(Arc<FlowQuery>, Sender<Best>)>) -> usize {
        let mut state = lock(&self.0.state);
        let number = self.0.asked.load(Ordering::Relaxed) + 1;
        state.question = question.map(|(query, answers)| Question { number, query, answers });
        self.0.asked.store(number, Ordering::Release);
        state.shards
    }

    /// An interface is known under this name from now on.
    pub(super) fn name(&self, id: InterfaceId, name: &str) {
        lock(&self.0.names).insert(id, name.to_owned());
    }

    /// An interface is no more.
    pub(super) fn forget(&self, id: InterfaceId) {
        lock(&self.0.names).remove(&id);
    }

    /// The names of interfaces.
    pub fn names(&self) -> BTreeMap<InterfaceId, String> {
        lock(&self.0.names).clone()
    }
}

fn look_through(tracker: &ConnectionTracker, query: &FlowQuery, best: &mut Best) {
    let mut place = Place::default();
    while !tracker.scan(&mut place, usize::MAX, &mut |flow| best.offer(query, &flow)) {}
}

/// Nothing panics while it holds one of these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A shard's side of the desk.
#[derive(Debug, Default)]
pub(super) struct Answering {
    desk: Option<FlowDesk>,
    /// Number of the last question that is done with.
    done: u64,
    search: Option<Search>,
}

#[derive(Debug)]
struct Search {
    question: Question,
    place: Place,
    best: Best,
}

impl Answering {
    /// Answers at this desk from the next question on.
    pub(super) fn at(desk: &FlowDesk) -> Self {
        let mut state = lock(&desk.0.state);
        state.shards += 1;
        let done = desk.0.asked.load(Ordering::Relaxed);
        drop(state);
        Self { desk: Some(desk.clone()), done, search: None }
    }

    /// Whether there is a desk at all.
    pub(super) fn is_at_desk(&self) -> bool {
        self.desk.is_some()
    }

    /// Whether a question waits, or is being worked on.
    #[inline]
    pub(super) fn is_asked(&self) -> bool {
        self.desk.as_ref().is_some_and(|desk| desk.0.asked.load(Ordering::Relaxed) != self.done)
    }

    /// Goes on with the search for so many slices.
    #[cold]
    #[expect(clippy::disallowed_methods, reason = "a slice is bounded by the machine's clock")]
    pub(super) fn go_on(&mut self, tracker: &ConnectionTracker, slices: u32) {
        if !self.take_question() {
            return;
        }
        let Some(search) = &mut self.search else { return };
        let (begun, limit) = (Instant::now(), SLICE * slices);
        loop {
            let Search { question, place, best } = search;
            if tracker.scan(place, STEP, &mut |flow| best.offer(&question.query, &flow)) {
                return self.hand_in();
            }
            if begun.elapsed() >= limit {
                return;
            }
        }
    }

    /// Looks at what is up; whether it is a question.
    fn take_question(&mut self) -> bool {
        let Some(desk) = &self.desk else { return false };
        let asked = desk.0.asked.load(Ordering::Acquire);
        if self.search.as_ref().is_some_and(|search| search.question.number == asked) {
            return true;
        }
        let state = lock(&desk.0.state);
        let question = state.question.clone().filter(|question| question.number > self.done);
        self.done = desk.0.asked.load(Ordering::Relaxed) - u64::from(question.is_some());
        drop(state);
        self.search = question.map(|question| Search { question, place: Place::default(), best: Best::new() });
        self.search.is_some()
    }

    fn hand_in(&mut self) {
        if let Some(Search { question, best, .. }) = self.search.take() {
            self.done = question.number;
            // Whoever asked may have given up.
            drop(question.answers.send(best));
        }
    }

    /// Ends answering; a table that stays as it is (replay) is left at the desk.
    pub(super) fn rest(mut self, tracker: ConnectionTracker) {
        let Some(desk) = self.desk.clone() else { return };
        let mut resting = lock(&desk.0.resting);
        if self.is_asked() {
            self.go_on(&tracker, u32::MAX / 100_000);
        }
        drop(self);
        resting.push(tracker);
    }
}

/// Whoever waits for this shard need not any longer.
impl Drop for Answering {
    fn drop(&mut self) {
        if self.is_asked() && self.take_question() {
            self.hand_in();
        }
        if let Some(desk) = &self.desk {
            lock(&desk.0.state).shards -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{self, HashKey, PARTITIONS};
    use crate::packet::build::{Builder, frame};
    use crate::packet::{Linktype, ParsedPacket, Perspective, parse};
    use crate::pipeline::{Mode, Shard};
    use crate::stats;
    use crate::time::Tick;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// A shard with so many flows of 100 bytes and more, each of another size.
    fn shard(desk: &FlowDesk, flows: u16) -> Shard {
        let (config, stats) = (flow::Config::default(), stats::Config::default());
        let (shard, _) = Shard::new(0, config, &stats, HashKey::FIXED, 0..PARTITIONS, Mode::Replay, None);
        let mut shard = shard.answering(desk);
        shard.tick(Tick(1));
        shard.packets(&(0..flows).map(packet).collect::<Vec<_>>());
        shard
    }

    fn packet(port: u16) -> ParsedPacket {
        let bytes = Builder::ethernet().ipv4([10, 0, 0, 1], [10, 0, 0, 2]).udp(port, 53).build();
        let mut packet = parse(&frame(Linktype::Ethernet, &bytes), &Perspective::default());
        packet.wire_len = 100 + u32::from(port);
        packet
    }

    fn ask(desk: &FlowDesk) -> std::thread::JoinHandle<Result<Found, Unanswered>> {
        let desk = desk.clone();
        std::thread::spawn(move || desk.ask(FlowQuery { most: 3, ..FlowQuery::default() }, PATIENCE))
    }

    fn bytes(found: &Found) -> Vec<u64> {
        found.flows.iter().map(FlowRecord::bytes).collect()
    }

    #[test]
    fn a_question_is_answered_in_slices_while_packets_go_on() {
        let desk = FlowDesk::default();
        // So many that one slice is too short for them on any machine.
        let mut shard = shard(&desk, 50_000);
        let asked = ask(&desk);
        while !shard.is_asked() {
            std::thread::yield_now();
        }
        let mut batches = 0;
        while !asked.is_finished() {
            shard.packets(&[packet(60_000)]);
            batches += 1;
        }
        let found = asked.join().unwrap().unwrap();
        assert!(found.matched == 50_000 || found.matched == 50_001, "{}", found.matched);
        assert!(batches > 1);
        // That the question was taken down is seen with the next batch.
        shard.packets(&[packet(60_000)]);
        assert!(!shard.is_asked());
        assert_eq!(bytes(&found)[1..], [50_099, 50_098][..]);
    }

    #[test]
    fn an_idle_shard_goes_on_when_it_is_called() {
        let desk = FlowDesk::default();
        let mut shard = shard(&desk, 100);
        let asked = ask(&desk);
        while !asked.is_finished() {
            shard.answer();
        }
        assert_eq!(bytes(&asked.join().unwrap().unwrap()), [199, 198, 197]);
    }

    #[test]
    fn tables_at_rest_and_shards_that_end_meanwhile_count_once() {
        let desk = FlowDesk::default();
        let (resting, ending) = (shard(&desk, 10), shard(&desk, 10));
        resting.finish();
        let asked = ask(&desk);
        while !ending.is_asked() {
            std::thread::yield_now();
        }
        ending.finish();
        assert_eq!(asked.join().unwrap().unwrap().matched, 20);
        assert_eq!(ask(&desk).join().unwrap().unwrap().matched, 20);
    }

    #[test]
    fn one_question_at_a_time_and_nobody_waits_for_ever() {
        let desk = FlowDesk::default();
        let silent = shard(&desk, 10);
        let waiting = ask(&desk);
        while !silent.is_asked() {
            std::thread::yield_now();
        }
        assert_eq!(desk.ask(FlowQuery::default(), PATIENCE), Err(Unanswered::Busy));
        drop(silent);
        assert!(waiting.join().unwrap().is_ok(), "a shard that is gone is not waited for");
        let silent = shard(&desk, 10);
        assert_eq!(desk.ask(FlowQuery::default(), Duration::ZERO), Err(Unanswered::TooSlow));
        drop(silent);
    }
}
