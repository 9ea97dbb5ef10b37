//! The last minutes of every interface, second by second: what a page draws when it opens.

use crate::stats::{Snapshot, Volume};
use crate::time::NANOS_PER_SECOND;
use serde::Serialize;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// Seconds that are kept of each interface.
pub const KEPT_SECONDS: usize = 600;
/// Seconds of all interfaces together that one message has at most; more interfaces get a shorter past each.
const MOST_POINTS: usize = 24 * KEPT_SECONDS;
/// A collector that was held up may skip a second or two, whose traffic is then the mean. Longer pauses are silence.
const HELD_UP: u64 = 3;

/// One-second values of every interface. Cheap to clone; all clones are one. Fed with the picture of every tick.
///
/// Bounds: [`KEPT_SECONDS`] points of 40 bytes for each interface.
#[derive(Clone, Debug, Default)]
pub struct Seconds(Arc<Mutex<Ring>>);

#[derive(Debug, Default)]
struct Ring {
    /// The second that was added last, as Unix time of its end.
    last: u64,
    interfaces: HashMap<Arc<str>, Series>,
}

#[derive(Debug, Default)]
struct Series {
    /// Totals at the end of the last second.
    totals: [Volume; 2],
    points: VecDeque<Point>,
}

#[derive(Clone, Copy, Debug)]
struct Point {
    time: u64,
    volume: [Volume; 2],
}

/// Points of one interface as columns of equal length, oldest first. A second that is missing is missing in all.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Columns {
    pub interface: String,
    /// Unix time of the end of each second.
    pub time: Vec<u64>,
    pub receive_bytes: Vec<u64>,
    pub receive_packets: Vec<u64>,
    pub transmit_bytes: Vec<u64>,
    pub transmit_packets: Vec<u64>,
}

impl Columns {
    /// Leaves out the oldest.
    pub(super) fn skip(&mut self, count: usize) {
        let columns = [
            &mut self.time,
            &mut self.receive_bytes,
            &mut self.receive_packets,
            &mut self.transmit_bytes,
            &mut self.transmit_packets,
        ];
        columns.into_iter().for_each(|column| drop(column.drain(..count)));
    }
}

impl Seconds {
    /// Takes the picture of a tick; only the first one of a new second counts.
    pub fn observe(&self, snapshot: &Snapshot) {
        let Some(tick) = snapshot.tick else { return };
        let second = tick.end().as_nanos() / NANOS_PER_SECOND;
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if second < ring.last {
            // The clock was set back; the past is no longer before the present.
            ring.interfaces.values_mut().for_each(|series| series.points.clear());
        } else if second == ring.last {
            return;
        }
        let span = if ring.last == 0 { 1 } else { second.saturating_sub(ring.last).clamp(1, u64::MAX) };
        ring.last = second;
        ring.interfaces.retain(|name, _| snapshot.interfaces.iter().any(|interface| interface.name == *name));
        for interface in &snapshot.interfaces {
            let series = ring.interfaces.entry(Arc::clone(&interface.name)).or_default();
            series.add(second, if span <= HELD_UP { span } else { 1 }, interface.totals.volume);
        }
    }

    /// What there is after a second, by name of the interface: of `only`, or of all.
    pub(super) fn since(&self, second: u64, only: Option<&str>) -> (u64, Vec<Columns>) {
        let ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = ring.interfaces.iter().filter(|(name, _)| only.is_none_or(|only| ***name == *only));
        let mut asked: Vec<_> = asked.collect();
        asked.sort_by_key(|(name, _)| Arc::clone(name));
        let most = (MOST_POINTS / asked.len().max(1)).min(KEPT_SECONDS);
        (ring.last, asked.into_iter().map(|(name, series)| series.columns(name, second, most)).collect())
    }
}

impl Series {
    /// Adds the seconds up to `time`, of which the last `span` share what was counted since the one before.
    fn add(&mut self, time: u64, span: u64, totals: [Volume; 2]) {
        let grown = |now: u64, before: u64| now.saturating_sub(before) / span;
        let since = |n: usize| Volume {
            packets: grown(totals[n].packets, self.totals[n].packets),
            bytes: grown(totals[n].bytes, self.totals[n].bytes),
        };
        let volume = [since(0), since(1)];
        self.totals = totals;
        for time in time + 1 - span..=time {
            self.points.push_back(Point { time, volume });
        }
        while self.points.len() > KEPT_SECONDS {
            self.points.pop_front();
        }
    }

    fn columns(&self, name: &Arc<str>, since: u64, most: usize) -> Columns {
        let points = || {
            let skipped = self.points.len().saturating_sub(most);
            self.points.iter().skip(skipped).filter(|point| point.time > since)
        };
        Columns {
            interface: name.to_string(),
            time: points().map(|point| point.time).collect(),
            receive_bytes: points().map(|point| point.volume[0].bytes).collect(),
            receive_packets: points().map(|point| point.volume[0].packets).collect(),
            transmit_bytes: points().map(|point| point.volume[1].bytes).collect(),
            transmit_packets: points().map(|point| point.volume[1].packets).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(series: &mut Series, time: u64, span: u64, bytes: u64) {
        series.add(time, span, [Volume { packets: bytes / 100, bytes }, Volume::default()]);
    }

    #[test]
    fn points_are_what_came_in_their_second() {
        let mut series = Series::default();
        add(&mut series, 100, 1, 500);
        add(&mut series, 101, 1, 700);
        add(&mut series, 103, 2, 900);
        let columns = series.columns(&"eth0".into(), 100, 600);
        assert_eq!(columns.time, [101, 102, 103]);
        assert_eq!(columns.receive_bytes, [200, 100, 100]);
        assert_eq!(columns.receive_packets, [2, 1, 1]);
    }

    #[test]
    fn the_past_is_bounded() {
        let mut series = Series::default();
        (1..=2000).for_each(|second| add(&mut series, second, 1, second * 100));
        assert_eq!(series.points.len(), KEPT_SECONDS);
        assert_eq!(series.columns(&"eth0".into(), 0, 60).time, (1941..=2000).collect::<Vec<_>>());
    }
}
