//! The writing thread: gathers a batch, commits it, and gets over what goes wrong.

use super::backend::Bounded;
use super::batch::{self, Batch};
use super::database::{State, begin_write};
use super::fault::{Fault, guarded, let_go};
use super::prune::{self, Pruned};
use super::shared::Shared;
use super::writer::{self, Ledger, Message, Messages, Opening, Store};
use super::{Committed, Gap, GapReason, Health, Pace, Tier, layout, place};
use crate::telemetry::trace_span;
use crossbeam_channel::{RecvTimeoutError, Sender};
use redb::{Database, ReadableTable};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tracing::field::Empty;

/// From the first record of a batch to its commit, at most.
const COMMIT_EVERY: Duration = Duration::from_secs(1);
/// From the last of a burst of finished seconds to the commit.
const SETTLE: Duration = Duration::from_millis(100);
/// Between two commits, at least.
const COMMIT_APART: Duration = Duration::from_millis(500);
/// How long to wait before a failed store is opened again; doubled up to the last.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(4));
/// How long readers may go on with a failed store.
const READERS: Duration = Duration::from_secs(1);
/// Records that wait while nothing can be written (about 6 MiB); the oldest are lost first.
const PENDING: usize = 8192;
/// Between two verifications that readers ask for.
const VERIFY: Duration = Duration::from_secs(3600);
/// What is kept free in a file that may not grow, at least: a commit writes to new pages before it frees old ones.
const RESERVE: u64 = 1 << 20;
/// Attempts of one commit, each after making room.
const ATTEMPTS: usize = 8;

pub(super) struct Keeper {
    shared: Arc<Shared>,
    state: State,
    ledger: Option<Ledger>,
    _lock: place::Lock,
    pending: Batch,
    /// What was lost since the last commit.
    lost: Option<Gap>,
    /// Bytes of pages in use: measured, then what was added since.
    used: u64,
    /// Commits until `used` is measured again, if that is due.
    measure_in: Option<u32>,
    last_commit: Option<Instant>,
    /// When the next commit is due; `None` without anything to commit.
    due: Option<Instant>,
    backoff: Duration,
    /// When a failed store may be tried again.
    retry: Option<Instant>,
    /// What the failed commit would have left as its number.
    unsure: Option<u64>,
    /// When the store was verified because a reader found something wrong.
    verified: Option<Instant>,
}

impl Keeper {
    pub(super) fn new(store: Store) -> Self {
        let is_open = store.shared.database.load().is_some();
        Self {
            shared: store.shared,
            state: store.state,
            ledger: store.ledger,
            _lock: store.lock,
            pending: Batch::default(),
            lost: None,
            used: 0,
            measure_in: Some(0),
            last_commit: None,
            due: None,
            backoff: BACKOFF.0,
            retry: (!is_open).then(now),
            unsure: None,
            verified: None,
        }
    }

    pub(super) fn run(mut self, messages: &Messages) {
        loop {
            match self.next(messages) {
                Ok(Message::Flush(done)) => self.flush(&done),
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => self.work(),
            }
        }
        self.finish();
    }

    fn next(&self, messages: &Messages) -> Result<Message, RecvTimeoutError> {
        match self.due.into_iter().chain(self.retry).min() {
            Some(due) => messages.recv_deadline(due),
            None => messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    fn take(&mut self, message: Message) {
        let (at, is_live) = (now(), self.shared.config.pace == Pace::Live);
        let mut due = self.due.unwrap_or(at + COMMIT_EVERY);
        match message {
            Message::Second(second) => {
                self.pending.seconds.push(*second);
                if is_live {
                    let apart = self.last_commit.map_or(at, |last| last + COMMIT_APART);
                    due = due.min((at + SETTLE).max(apart));
                }
            }
            Message::Flow(flow) => self.pending.flows.push(*flow),
            Message::Alert(event) => self.pending.alerts.push(*event),
            Message::Flush(_) | Message::Stop => {}
        }
        self.due = Some(due);
        if self.is_full() || due <= at {
            self.work();
        }
    }

    /// Enough for one commit: more would not fit into what is left free in a small store.
    fn is_full(&self) -> bool {
        let most = usize::try_from(self.shared.config.limit_bytes / 10_000).unwrap_or(usize::MAX);
        self.pending.len() >= most.clamp(256, PENDING)
    }

    /// Does what is due.
    fn work(&mut self) {
        let at = now();
        if self.retry.is_some_and(|retry| retry > at) {
            return self.wait();
        }
        if self.shared.is_suspect.swap(false, Ordering::Relaxed) && self.verified.is_none_or(|last| last + VERIFY <= at)
        {
            self.verified = Some(at);
            self.reopen(&Fault::Damaged("a reader found it damaged".to_owned()));
        } else if self.retry.is_some() && self.shared.database.load().is_none() {
            self.reopen(&Fault::Failed(std::io::Error::other("it is closed")));
        }
        self.commit();
    }

    /// Nothing can be written yet: the oldest of too much is lost.
    fn wait(&mut self) {
        self.due = None;
        let reason = match self.shared.status().health {
            Health::Degraded { reason, .. } => reason,
            Health::Good => GapReason::Io,
        };
        let over = self.pending.len().saturating_sub(PENDING);
        let seconds = over.min(self.pending.seconds.len());
        for second in self.pending.seconds.drain(..seconds) {
            lose(&mut self.lost, second.start, reason);
        }
        let mut rest = over - seconds;
        for rows in [trim(&mut self.pending.flows, &mut rest), trim(&mut self.pending.alerts, &mut rest)] {
            if let (Some(lost), true) = (&mut self.lost, rows > 0) {
                lost.records += rows;
            }
        }
        self.shared.change(|status| status.dropped_records += over as u64);
    }

    fn commit(&mut self) {
        self.due = None;
        self.pending.left_out.append(&mut std::mem::take(&mut self.shared.gate().left_out));
        for _ in 0..ATTEMPTS {
            if self.pending.is_empty() && self.lost.is_none() && self.shared.status().health == Health::Good {
                return;
            }
            match self.try_commit() {
                Ok(()) => return,
                Err(fault) => {
                    self.shared.change(|status| status.write_failures += 1);
                    if !self.recover(&fault) {
                        break;
                    }
                }
            }
        }
        self.retry = Some(now() + self.backoff);
        self.backoff = (self.backoff * 2).min(BACKOFF.1);
        self.wait();
    }

    fn try_commit(&mut self) -> Result<(), Fault> {
        let Some(database) = self.shared.database.load_full() else {
            return Err(Fault::Failed(std::io::Error::other("it is closed")));
        };
        let span =
            trace_span!("history.commit", seconds = self.pending.seconds.len(), otel.status_code = Empty).entered();
        let begun = now();
        self.unsure = Some(self.state.batch + 1);
        let gaps = self.pending.gaps.len();
        self.pending.gaps.extend(self.lost);
        let done = batch::commit(&database, &mut self.state, &self.pending, &self.shared.config);
        self.pending.gaps.truncate(gaps);
        if done.is_err() {
            span.record("otel.status_code", "ERROR");
        }
        let done = done?;
        self.unsure = None;
        let took = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.shared.change(|status| status.write_duration.observe(took, None));
        self.used = self.used.saturating_add(done.bytes + done.bytes / 4);
        self.note(&done.pruned);
        self.committed();
        self.keep_room(&database)?;
        refresh(&self.shared);
        Ok(())
    }

    /// The pending batch is durable.
    fn committed(&mut self) {
        let (seconds, newest) = (self.pending.seconds.len(), self.pending.newest());
        (self.pending, self.lost) = (Batch::default(), None);
        self.last_commit = Some(now());
        (self.retry, self.backoff) = (None, BACKOFF.0);
        let unnamed = std::mem::take(&mut self.state.unnamed);
        self.shared.change(|status| {
            status.health = Health::Good;
            status.dropped_records += unnamed;
        });
        if let Some(ledger) = &mut self.ledger {
            ledger(Committed { batch: self.state.batch, seconds, newest });
        }
    }

    fn note(&self, pruned: &Pruned) {
        self.shared.change(|status| {
            let mut sum = Pruned { records: status.pruned_records, flows: status.pruned_flows };
            sum.add(pruned);
            (status.pruned_records, status.pruned_flows) = (sum.records, sum.flows);
        });
    }

    /// Prunes before the file would have to grow beyond its limit.
    fn keep_room(&mut self, database: &Database) -> Result<(), Fault> {
        let length = file_length(&self.shared);
        let may_grow = Bounded::may_grow(length, self.shared.config.limit_bytes);
        let roomy = length.saturating_sub(RESERVE.max(length / 10));
        if may_grow || (self.used <= roomy && self.measure_in.is_none()) {
            return Ok(());
        }
        // Pages that a commit frees can be used after the next one: only then does measuring tell.
        if let Some(commits @ 1..) = self.measure_in {
            self.measure_in = Some(commits - 1);
            return Ok(());
        }
        self.measure_in = None;
        self.used = pages_in_use(database)?;
        if self.used > roomy {
            let pruned = prune::by_size(database, &mut self.state, twentieth(database)?)?;
            self.note(&pruned);
            self.measure_in = Some(2);
        }
        Ok(())
    }

    /// Opens the store again after a failed commit, and makes room if that was missing; whether to try once more now.
    fn recover(&mut self, fault: &Fault) -> bool {
        self.shared.degraded(fault);
        if matches!(fault, Fault::Limit(_)) {
            return self.shrink();
        }
        if !self.reopen(fault) {
            return false;
        }
        if !matches!(fault, Fault::Full(_)) {
            return true;
        }
        let Some(database) = self.shared.database.load_full() else { return false };
        let pruned = twentieth(&database).and_then(|rows| prune::by_size(&database, &mut self.state, rows));
        self.measure_in = Some(2);
        match pruned {
            Ok(pruned) => {
                self.note(&pruned);
                pruned.total() > 0
            }
            // Not even that fits: the next attempt has a fresh handle and waits for room.
            Err(_) => {
                drop(database);
                self.reopen(fault);
                false
            }
        }
    }

    /// The file is at its limit and nothing is free in it, the estimate was wrong: removes the oldest detail in a file that
    /// may grow for that, and compacts it. Takes about a second for each 250 MiB.
    fn shrink(&mut self) -> bool {
        if !self.close() {
            return false;
        }
        let mut roomy = self.shared.config.clone();
        roomy.limit_bytes = roomy.limit_bytes.saturating_mul(4);
        let Ok((mut database, mut state)) = writer::open_file(&roomy, false) else { return false };
        let pruned = twentieth(&database).and_then(|rows| prune::by_size(&database, &mut state, rows * 2));
        // Compacted or not, the file is opened again and the commit says how that is.
        let _ = guarded(|| Ok(database.compact()?));
        let_go(database);
        if let Ok(pruned) = &pruned {
            self.note(pruned);
        }
        self.measure_in = Some(0);
        let is_open = self.reopen(&Fault::Limit(String::new()));
        is_open && pruned.is_ok_and(|pruned| pruned.total() > 0)
    }

    /// Closes the store and opens it again; a damaged one is set aside.
    fn reopen(&mut self, fault: &Fault) -> bool {
        if !self.close() {
            return false;
        }
        let is_suspect = matches!(fault, Fault::Damaged(_));
        let opened = writer::open_file(&self.shared.config, is_suspect).or_else(|failure| match failure {
            Opening::Fault(Fault::Damaged(_)) => self.set_aside(),
            other => Err(other),
        });
        match opened {
            Ok((database, state)) => {
                self.state = state;
                self.shared.database.store(Some(Arc::new(database)));
                if self.unsure.take().is_some_and(|number| number == self.state.batch) {
                    self.committed();
                }
                true
            }
            Err(Opening::Fault(fault)) => {
                self.shared.degraded(&fault);
                false
            }
            Err(Opening::Refused(error)) => {
                self.shared.degraded(&Fault::Failed(std::io::Error::other(error.to_string())));
                false
            }
        }
    }

    /// Lets go of the store once its readers have; whether that came to be.
    fn close(&mut self) -> bool {
        self.take_database().map(|database| database.map(let_go)).is_ok()
    }

    /// Takes the store out of the readers' hands once none of them reads.
    fn take_database(&mut self) -> Result<Option<Database>, StillRead> {
        let Some(mut database) = self.shared.database.swap(None) else { return Ok(None) };
        let until = now() + READERS;
        loop {
            match Arc::try_unwrap(database) {
                Ok(database) => return Ok(Some(database)),
                Err(still_read) if now() < until => {
                    database = still_read;
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(still_read) => {
                    self.shared.database.store(Some(still_read));
                    return Err(StillRead);
                }
            }
        }
    }

    fn set_aside(&mut self) -> Result<(Database, State), Opening> {
        let aside = place::set_aside(&self.shared.config.path).map_err(Opening::Refused)?;
        self.shared.change(|status| writer::quarantine(status, aside));
        if self.state.newest > 0 {
            let (from, to) = (self.state.newest, self.state.newest + 1);
            self.pending.gaps.push(Gap { from, to, reason: GapReason::Damaged, records: 0 });
        }
        writer::open_file(&self.shared.config, false)
    }

    fn flush(&mut self, done: &Sender<()>) {
        self.work();
        // Whoever asked may be gone.
        let _ = done.send(());
    }

    fn finish(&mut self) {
        self.retry = None;
        self.work();
        // Readers that go on keep the store as it is; the process ends soon.
        let Ok(Some(mut database)) = self.take_database() else { return };
        if self.shared.config.pace == Pace::Replay {
            // What a replay wrote is whole: nothing needs the room that the last doubling made. One that cannot be
            // compacted (a full disk) is whole, too. A live store goes on: full to the brim, it would be doubled by the next
            // process's first minutes and be larger than before, and its end has to be quick.
            let _ = guarded(|| Ok(database.compact()?));
        }
        let_go(database);
        let size = file_length(&self.shared);
        self.shared.change(|status| status.size_bytes = size);
    }
}

/// A reader did not come to an end.
struct StillRead;

fn lose(lost: &mut Option<Gap>, start: u64, reason: GapReason) {
    let gap = lost.get_or_insert(Gap { from: start, to: start + 1, reason, records: 0 });
    gap.from = gap.from.min(start);
    gap.to = gap.to.max(start + 1);
    gap.records += 1;
}

fn trim<T>(rows: &mut Vec<T>, over: &mut usize) -> u64 {
    let cut = rows.len().min(*over);
    rows.drain(..cut);
    *over -= cut;
    cut as u64
}

/// Bytes of the pages that are allocated. Reads the whole tree: about 1 s for each GiB.
fn pages_in_use(database: &Database) -> Result<u64, Fault> {
    guarded(|| {
        let transaction = begin_write(database)?;
        let stats = transaction.stats()?;
        let bytes = stats.allocated_pages() * stats.page_size() as u64;
        transaction.abort()?;
        Ok(bytes)
    })
}

/// One row in twenty.
fn twentieth(database: &Database) -> Result<usize, Fault> {
    use redb::{ReadableDatabase, ReadableTableMetadata};
    guarded(|| {
        let read = database.begin_read()?;
        let mut rows = read.open_table(layout::FLOWS)?.len()?;
        for tier in Tier::ALL {
            rows += read.open_table(layout::table(tier))?.len()?;
        }
        Ok(usize::try_from(rows / 20).unwrap_or(usize::MAX).max(100))
    })
}

fn file_length(shared: &Shared) -> u64 {
    std::fs::metadata(&shared.config.path).map_or(0, |found| found.len())
}

/// Brings the sizes and reaches of the status up to date.
pub(super) fn refresh(shared: &Shared) {
    let oldest = shared.read(|read| {
        let mut oldest = [None; Tier::ALL.len()];
        for tier in Tier::ALL {
            let table = read.open_table(layout::table(tier))?;
            let first = table.first()?;
            oldest[tier as usize] = first.map(|(key, _)| layout::parts(key.value()).0);
        }
        Ok(oldest)
    });
    let size = file_length(shared);
    shared.change(|status| {
        status.size_bytes = size;
        status.oldest = oldest.unwrap_or(status.oldest);
    });
}

#[expect(clippy::disallowed_methods, reason = "when to commit is a matter of the machine's time")]
fn now() -> Instant {
    Instant::now()
}
