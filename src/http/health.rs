//! Liveness and readiness: who has moved lately, and what is not there yet.

use serde::Serialize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What `/healthz` and `/readyz` answer from. Cheap to clone; all clones are one.
///
/// ```
/// use netmon::http::Health;
/// use std::time::Duration;
///
/// let health = Health::new();
/// let heartbeat = health.thread("capture eth0", Duration::from_secs(5));
/// let snapshot = health.part("first snapshot");
/// heartbeat.beat();
/// assert!(health.is_live() && !health.is_ready());
/// snapshot.set(true);
/// assert!(health.is_ready());
/// ```
#[derive(Clone, Debug)]
pub struct Health(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    started: Instant,
    threads: Mutex<Vec<Arc<Thread>>>,
    parts: Mutex<Vec<Arc<Part>>>,
}

#[derive(Debug)]
struct Thread {
    name: String,
    limit: Duration,
    /// Milliseconds from the start to the last beat.
    last: AtomicU64,
    /// How often it has beaten.
    beats: AtomicU64,
    ended: AtomicBool,
}

#[derive(Debug)]
struct Part {
    name: String,
    ready: AtomicBool,
    /// Whether netmon has not started without it.
    essential: bool,
}

/// A thread's sign of life. Dropped without [`Heartbeat::retire`], the thread counts as dead.
#[derive(Debug)]
pub struct Heartbeat {
    health: Health,
    thread: Arc<Thread>,
}

/// Whether one part of the daemon is ready.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<Part>);

/// Looks whether every thread moves, from one look to the next: for a watchdog that is told so at intervals.
///
/// Unlike [`Health::is_live`] it knows no limits: how long a thread may be silent is the time between two looks, which has
/// to be longer than a round of every loop. A quiet interface is no silence; its loop goes round all the same.
///
/// ```
/// use netmon::http::Health;
/// use std::time::Duration;
///
/// let health = Health::new();
/// let heartbeat = health.thread("capture eth0", Duration::from_secs(5));
/// let mut watch = health.watch();
/// heartbeat.beat();
/// assert!(watch.stuck().is_empty());
/// assert_eq!(watch.stuck(), ["capture eth0"]);
/// ```
#[derive(Debug)]
pub struct Watch {
    health: Health,
    /// The beats of each thread at the last look.
    seen: Vec<(Arc<Thread>, u64)>,
}

/// What is wrong with one part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Complaint {
    pub part: String,
    pub problem: String,
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl Health {
    /// Nothing is known yet: live and ready.
    pub fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "liveness is about the machine's clock, not about packet time")]
        let started = Instant::now();
        Self(Arc::new(Inner { started, threads: Mutex::default(), parts: Mutex::default() }))
    }

    /// Watches a thread: it must beat at least every `limit`, counted from now.
    pub fn thread(&self, name: &str, limit: Duration) -> Heartbeat {
        let (last, beats, ended) = (AtomicU64::new(self.now()), AtomicU64::new(0), AtomicBool::new(false));
        let thread = Arc::new(Thread { name: name.into(), limit, last, beats, ended });
        self.threads().push(Arc::clone(&thread));
        Heartbeat { health: self.clone(), thread }
    }

    /// Makes a part known; it is not ready until it says so.
    pub fn part(&self, name: &str) -> Readiness {
        self.add_part(name, true)
    }

    /// Makes a part known that the answers name while it is not ready, and without which netmon does its work: it is no
    /// reason to take the start for failed.
    pub fn part_beside(&self, name: &str) -> Readiness {
        self.add_part(name, false)
    }

    fn add_part(&self, name: &str, essential: bool) -> Readiness {
        let part = Arc::new(Part { name: name.into(), ready: AtomicBool::new(false), essential });
        self.0.parts.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&part));
        Readiness(part)
    }

    /// Looks at the threads from now on.
    pub fn watch(&self) -> Watch {
        let seen = self.threads().iter().map(|thread| (Arc::clone(thread), thread.beats.load(Relaxed))).collect();
        Watch { health: self.clone(), seen }
    }

    /// Whether every thread has moved lately.
    pub fn is_live(&self) -> bool {
        self.stalled().is_empty()
    }

    /// Whether every part is ready and every thread has moved lately.
    pub fn is_ready(&self) -> bool {
        self.unready().is_empty()
    }

    /// Whether every part that netmon cannot do without is ready, and every thread has moved lately.
    pub fn has_started(&self) -> bool {
        let parts = self.0.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.iter().all(|part| !part.essential || part.ready.load(Relaxed)) && self.is_live()
    }

    /// The threads that do not move, in the order they were made known.
    pub(super) fn stalled(&self) -> Vec<Complaint> {
        let now = self.now();
        self.threads().iter().filter_map(|thread| thread.complaint(now)).collect()
    }

    /// The parts that are not ready, then the threads that do not move.
    pub(super) fn unready(&self) -> Vec<Complaint> {
        let parts = self.0.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = parts.iter().filter(|part| !part.ready.load(Relaxed));
        let complaint = |part: &Arc<Part>| Complaint { part: part.name.clone(), problem: "not ready yet".into() };
        waiting.map(complaint).chain(self.stalled()).collect()
    }

    fn threads(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Thread>>> {
        self.0.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Thread {
    fn complaint(&self, now: u64) -> Option<Complaint> {
        let complaint = |problem| Some(Complaint { part: self.name.clone(), problem });
        if self.ended.load(Relaxed) {
            return complaint("has ended".into());
        }
        let silence = Duration::from_millis(now.saturating_sub(self.last.load(Relaxed)));
        if silence <= self.limit {
            return None;
        }
        complaint(format!("has not moved for {:.1} s, limit {:.1} s", silence.as_secs_f64(), self.limit.as_secs_f64()))
    }
}

impl Watch {
    /// The threads that have ended, or have not moved since the last look, in the order they were made known.
    ///
    /// A thread made known since then has until the next look.
    pub fn stuck(&mut self) -> Vec<String> {
        let now: Vec<_> = self.health.threads().iter().map(|t| (Arc::clone(t), t.beats.load(Relaxed))).collect();
        let is_stuck = |(thread, beats): &&(Arc<Thread>, u64)| {
            let before = self.seen.iter().find(|(known, _)| Arc::ptr_eq(known, thread));
            thread.ended.load(Relaxed) || before.is_some_and(|(_, before)| before == beats)
        };
        let stuck = now.iter().filter(is_stuck).map(|(thread, _)| thread.name.clone()).collect();
        self.seen = now;
        stuck
    }

    /// Whether [`Watch::stuck`] finds none.
    pub fn all_moved(&mut self) -> bool {
        self.stuck().is_empty()
    }
}

impl Heartbeat {
    /// The thread has gone round its loop. Reads the monotonic clock and stores two numbers; no lock.
    pub fn beat(&self) {
        self.thread.last.store(self.health.now(), Relaxed);
        self.thread.beats.fetch_add(1, Relaxed);
    }

    /// The thread ends on purpose and is no longer watched.
    pub fn retire(self) {
        self.health.threads().retain(|thread| !Arc::ptr_eq(thread, &self.thread));
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.thread.ended.store(true, Relaxed);
    }
}

impl Readiness {
    /// Says whether the part is ready now.
    pub fn set(&self, ready: bool) {
        self.0.ready.store(ready, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    #[test]
    fn a_thread_may_be_silent_up_to_its_limit() {
        let heartbeat = Health::new().thread("capture eth0", LIMIT);
        heartbeat.thread.last.store(1_000, Relaxed);
        assert_eq!(heartbeat.thread.complaint(6_000), None);
        let complaint = heartbeat.thread.complaint(6_001).expect("one millisecond too long");
        assert_eq!(
            (complaint.part.as_str(), complaint.problem.as_str()),
            ("capture eth0", "has not moved for 5.0 s, limit 5.0 s")
        );
    }

    #[test]
    fn a_thread_that_ends_without_a_word_is_dead_and_one_that_retires_is_not() {
        let health = Health::new();
        health.thread("store", LIMIT).retire();
        assert!(health.is_live());
        drop(health.thread("capture eth0", LIMIT));
        assert_eq!(health.stalled(), [Complaint { part: "capture eth0".into(), problem: "has ended".into() }]);
        assert!(!health.is_ready(), "what is dead is not ready either");
    }

    #[test]
    fn a_watch_names_every_thread_that_has_not_moved_since_its_last_look() {
        let health = Health::new();
        let [capture, aggregator] = ["capture eth0", "aggregator"].map(|name| health.thread(name, LIMIT));
        let mut watch = health.watch();
        assert_eq!(watch.stuck(), ["capture eth0", "aggregator"]);
        (0..1000).for_each(|_| capture.beat());
        assert_eq!(watch.stuck(), ["aggregator"], "many rounds of one thread are none of another");
        assert_eq!(watch.stuck(), ["capture eth0", "aggregator"]);
        capture.beat();
        aggregator.beat();
        assert!(watch.all_moved());
    }

    #[test]
    fn a_watch_waits_for_new_threads_and_forgets_retired_ones() {
        let health = Health::new();
        let mut watch = health.watch();
        let store = health.thread("store", LIMIT);
        assert!(watch.all_moved(), "it is not known for long enough");
        assert_eq!(watch.stuck(), ["store"]);
        store.retire();
        assert!(watch.all_moved());
    }

    #[test]
    fn a_thread_that_ended_is_stuck_even_if_it_moved_before() {
        let health = Health::new();
        let mut watch = health.watch();
        let capture = health.thread("capture eth0", LIMIT);
        capture.beat();
        drop(capture);
        assert_eq!(watch.stuck(), ["capture eth0"]);
    }

    #[test]
    fn each_watch_has_looks_of_its_own() {
        let health = Health::new();
        let heartbeat = health.thread("capture eth0", LIMIT);
        let (mut one, mut other) = (health.watch(), health.watch());
        heartbeat.beat();
        assert!(one.all_moved() && other.all_moved());
        assert!(!one.all_moved() && !other.all_moved());
    }

    #[test]
    fn a_part_beside_is_named_but_the_start_does_not_wait_for_it() {
        let health = Health::new();
        let (capture, history) = (health.part("capture"), health.part_beside("history"));
        assert!(!health.has_started());
        capture.set(true);
        assert!(health.has_started() && !health.is_ready());
        assert_eq!(health.unready(), [Complaint { part: "history".into(), problem: "not ready yet".into() }]);
        history.set(true);
        assert!(health.is_ready());
    }

    #[test]
    fn readiness_can_be_lost_again() {
        let health = Health::new();
        let store = health.part("store");
        store.set(true);
        assert!(health.is_ready());
        store.set(false);
        assert_eq!(health.unready(), [Complaint { part: "store".into(), problem: "not ready yet".into() }]);
        assert!(health.is_live());
    }
}
