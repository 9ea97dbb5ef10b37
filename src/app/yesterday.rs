//! What rules ask of the history: the same hour yesterday, and the time before netmon was started.
//!
//! The evaluator asks in the collector's thread, which never waits for a disk: it is answered from sums that a thread
//! beside it has read, and what was not read yet is read for the next time.

use super::{Keeper, spawn};
use crate::alert::{Metric, Past, Remembered};
use crate::history::{Measures, Range, Reader, SeriesQuery};
use crate::time::{NANOS_PER_SECOND, Timestamp};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Spans whose sums are at hand, each about 0.8 KiB for every interface: those of a few rules for some minutes.
const KEPT: usize = 64;
/// Spans that wait to be read.
const WAITING: usize = 8;

/// Seconds since the epoch: from, to.
type Span = (u64, u64);
/// What was recorded of each interface.
type Sums = BTreeMap<Arc<str>, Measures>;

/// Answers from the store that a keeper leads to.
#[derive(Debug)]
pub(super) struct Recall {
    known: Arc<Known>,
    ask: Sender<Span>,
}

/// The sums of spans in the order in which they were asked for; `None` while they are being read.
#[derive(Debug, Default)]
struct Known(Mutex<Vec<(Span, Option<Sums>)>>);

impl Recall {
    /// Starts the thread that reads; it ends with this.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(super) fn start(keeper: Keeper) -> anyhow::Result<Arc<dyn Past>> {
        let known = Arc::<Known>::default();
        let (ask, asked) = bounded(WAITING);
        let found = Arc::clone(&known);
        // Nobody waits for it: once the collector has ended nothing is asked, and it is over.
        drop(spawn("history-past", move || read(&keeper, &asked, &found))?);
        Ok(Arc::new(Self { known, ask }))
    }
}

impl Past for Recall {
    fn mean(
        &self,
        metric: &'static Metric,
        labels: &BTreeMap<String, String>,
        from: Timestamp,
        to: Timestamp,
    ) -> Remembered {
        let span = (from.as_nanos() / NANOS_PER_SECOND, to.as_nanos() / NANOS_PER_SECOND);
        // The reader holds it for a moment; then the evaluator comes again.
        let Ok(mut known) = self.known.0.try_lock() else { return Remembered::NotYet };
        match known.iter().find(|(of, _)| *of == span) {
            Some((_, Some(sums))) => mean(metric, labels, sums, span.1.saturating_sub(span.0)),
            Some((_, None)) => Remembered::NotYet,
            None => {
                if self.ask.try_send(span).is_ok() {
                    let over = (known.len() + 1).saturating_sub(KEPT);
                    known.drain(..over);
                    known.push((span, None));
                }
                Remembered::NotYet
            }
        }
    }
}

/// Answers from a file at rest: at once, since nobody is kept waiting.
#[derive(Debug)]
struct AtRest {
    reader: Reader,
    known: Mutex<BTreeMap<Span, Option<Sums>>>,
}

/// Who remembers what is in a file at rest.
pub fn at_rest(reader: Reader) -> Arc<dyn Past> {
    Arc::new(AtRest { reader, known: Mutex::default() })
}

impl Past for AtRest {
    fn mean(
        &self,
        metric: &'static Metric,
        labels: &BTreeMap<String, String>,
        from: Timestamp,
        to: Timestamp,
    ) -> Remembered {
        let span = (from.as_nanos() / NANOS_PER_SECOND, to.as_nanos() / NANOS_PER_SECOND);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KEPT && !known.contains_key(&span) {
            known.pop_first();
        }
        let sums = known.entry(span).or_insert_with(|| sums(&self.reader, span));
        sums.as_ref().map_or(Remembered::Nothing, |sums| mean(metric, labels, sums, span.1.saturating_sub(span.0)))
    }
}

/// Of less than half a span nothing is said: a minute is no measure of an hour.
fn mean(metric: &'static Metric, labels: &BTreeMap<String, String>, sums: &Sums, length: u64) -> Remembered {
    let of_interface = labels.get("interface").and_then(|interface| sums.get(interface.as_str()));
    let recorded = of_interface.filter(|measures| measures.seconds.saturating_mul(2) >= length.max(1));
    let value = recorded.and_then(|measures| metric.over(labels, &measures.counters(), measures.seconds));
    value.map_or(Remembered::Nothing, Remembered::Mean)
}

fn read(keeper: &Keeper, asked: &Receiver<Span>, known: &Known) {
    while let Ok(span) = asked.recv() {
        let found = keeper.reader().and_then(|reader| sums(&reader, span));
        let mut known = known.lock();
        match known.iter_mut().find(|(of, _)| *of == span) {
            Some((_, sums)) if found.is_some() => *sums = found,
            // The store is away: it is asked again.
            _ => known.retain(|(of, _)| *of != span),
        }
    }
}

/// `None` while the store cannot be read.
fn sums(reader: &Reader, (from, to): Span) -> Option<Sums> {
    const HOUR: u64 = 3600;
    let step = if from % HOUR == 0 && to % HOUR == 0 { HOUR } else { 60 };
    let query = SeriesQuery { step: Some(step), ..SeriesQuery::over(Range { from, to }) };
    let answer = reader.series(&query).ok()?;
    let sum = |series: crate::history::Series| {
        let mut points = series.points.into_iter().map(|point| point.measures);
        let first = points.next()?;
        let merged = points.fold(first, |mut sum, later| {
            sum.merge(&later);
            sum
        });
        Some((series.interface, merged))
    };
    Some(answer.series.into_iter().filter_map(sum).collect())
}

impl Known {
    /// Nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, Vec<(Span, Option<Sums>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Config, Pace, Second, Store};
    use crate::stats::Volume;

    const HOUR: u64 = 3600;

    fn at(second: u64) -> Timestamp {
        Timestamp::from_nanos(second * NANOS_PER_SECOND)
    }

    fn labels(interface: &str) -> BTreeMap<String, String> {
        [("interface".to_owned(), interface.to_owned())].into()
    }

    /// Asks until there is an answer.
    fn ask(past: &dyn Past, metric: &str, interface: &str, (from, to): Span) -> Remembered {
        let metric = Metric::find(metric).unwrap();
        loop {
            match past.mean(metric, &labels(interface), at(from), at(to)) {
                Remembered::NotYet => std::thread::yield_now(),
                answer => return answer,
            }
        }
    }

    #[test]
    fn means_are_those_of_the_recorded_seconds_of_the_span() {
        let directory = tempfile::tempdir().unwrap();
        let config = Config { pace: Pace::Replay, ..Config::at(directory.path().join("state/history.redb")) };
        let writer = Store::open(config).unwrap().start().unwrap();
        let (feed, begin) = (writer.feed(), 400_000 * HOUR);
        // An hour of 100 bytes a second, of which the last quarter was not recorded, and 20 s of another interface.
        for second in 0..2700 {
            let mut measures = Measures::default();
            measures.protocols[0][0] = Volume { packets: 1, bytes: 100 };
            measures.tcp.segments = [9, 1];
            measures.tcp.retransmitted_segments = [1, 0];
            feed.second(Second { interface: "eth0".into(), start: begin + second, measures });
            if second < 20 {
                feed.second(Second { interface: "eth1".into(), start: begin + second, measures });
            }
        }
        assert!(feed.flush());
        let keeper = Keeper::default();
        keeper.opened(&writer);
        let past = Recall::start(keeper.clone()).unwrap();
        let whole = (begin, begin + HOUR);
        for (metric, value) in [
            ("receive_bytes_per_second", 100.0),
            ("transmit_bytes_per_second", 0.0),
            ("packets_per_second", 1.0),
            ("retransmit_ratio", 0.1),
        ] {
            assert_eq!(ask(&*past, metric, "eth0", whole), Remembered::Mean(value), "{metric}");
        }
        assert_eq!(ask(&*past, "bytes_per_second", "eth1", whole), Remembered::Nothing, "too little was recorded");
        assert_eq!(ask(&*past, "bytes_per_second", "eth2", whole), Remembered::Nothing);
        assert_eq!(ask(&*past, "bytes_per_second", "eth0", (begin - HOUR, begin)), Remembered::Nothing);
        assert_eq!(ask(&*past, "bytes_per_second", "eth0", (begin + 60, begin + 120)), Remembered::Mean(100.0));
        assert_eq!(ask(&*past, "bytes_per_second", "eth0", (begin, begin + 2 * HOUR)), Remembered::Nothing);

        let file = directory.path().join("state/history.redb");
        drop((past, feed, keeper));
        writer.close().unwrap();
        let past = at_rest(Reader::open(&file).unwrap());
        assert_eq!(ask(&*past, "receive_bytes_per_second", "eth0", whole), Remembered::Mean(100.0));
        assert_eq!(ask(&*past, "bytes_per_second", "eth1", whole), Remembered::Nothing, "too little was recorded");
    }

    #[test]
    fn a_store_that_is_away_is_asked_again_until_it_is_there() {
        let past = Recall { known: Arc::default(), ask: bounded(1).0 };
        let metric = Metric::find("bytes_per_second").unwrap();
        assert_eq!(past.mean(metric, &labels("eth0"), at(0), at(HOUR)), Remembered::NotYet);
        assert!(past.known.lock().is_empty(), "nobody reads, so nothing is waited for");

        let (ask, asked) = bounded(1);
        let past = Recall { known: Arc::default(), ask };
        assert_eq!(past.mean(metric, &labels("eth0"), at(0), at(HOUR)), Remembered::NotYet);
        let known = Arc::clone(&past.known);
        drop(past);
        read(&Keeper::default(), &asked, &known);
        assert!(known.lock().is_empty());
    }

    #[test]
    fn what_is_at_hand_is_bounded() {
        let (ask, asked) = bounded(KEPT + 10);
        let past = Recall { known: Arc::default(), ask };
        let metric = Metric::find("bytes_per_second").unwrap();
        for hour in 0..KEPT as u64 + 10 {
            past.mean(metric, &labels("eth0"), at(hour * HOUR), at((hour + 1) * HOUR));
        }
        assert_eq!((past.known.lock().len(), asked.len()), (KEPT, KEPT + 10));
    }

    #[test]
    fn metrics_that_are_remembered_are_those_whose_numbers_are_kept() {
        let some = Volume { packets: 3, bytes: 300 };
        let mut measures = Measures { protocols: [[some; _]; 2], ..Measures::default() };
        (measures.dropped, measures.rejected) = ([1; _], 7);
        (measures.flows_opened, measures.flows_closed) = ([1; _], [1; _]);
        let tcp = &mut measures.tcp;
        (tcp.segments, tcp.retransmitted_segments, tcp.out_of_order_segments) = ([9; 2], [1; 2], [1; 2]);
        (tcp.zero_window, tcp.resets, tcp.connections_opened) = ([1; 2], [1; _], 1);
        tcp.connection_failures = [1; _];
        for metric in Metric::all() {
            let value = metric.over(&BTreeMap::new(), &measures.counters(), 1);
            assert_eq!(value.is_some_and(|value| value > 0.0), metric.is_remembered(), "{}: {value:?}", metric.name);
        }
    }
}
