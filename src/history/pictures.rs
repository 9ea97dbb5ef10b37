//! From records back to pictures, so that rules can look at what was: the reverse of [`Watch`](super::Watch).

use super::{Measures, Record, Tier};
use crate::flow::State;
use crate::packet::Transport;
use crate::stats::{Buckets, Capture, InterfaceSnapshot, KernelCounters, Peak, Quantiles, Snapshot, WindowSnapshot};
use crate::time::Tick;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Makes a picture at the end of every step of a tier, each interface with one window.
///
/// A picture has what the history keeps (`netmon::alert::Metric::is_recorded`), and nothing else. Where a window was not recorded
/// to its last second, its interface is one that is there and is not captured: what was not recorded is unknown, not
/// zero. A gap is shown by its first and its last step.
///
/// Bounds: for each interface the records of one window, 0.7 KiB each; two additions for each record.
#[derive(Debug)]
pub struct Pictures {
    tier: Tier,
    /// Seconds.
    window: u64,
    interfaces: BTreeMap<Arc<str>, Sliding>,
    /// Start of the step whose records are coming.
    open: Option<u64>,
    missing: u64,
}

impl Pictures {
    /// Of records of this tier; a window of zero is one step.
    pub fn new(tier: Tier, window: Duration) -> Self {
        let window = if window.is_zero() { tier.seconds() } else { window.as_secs() };
        Self { tier, window, interfaces: BTreeMap::new(), open: None, missing: 0 }
    }

    /// Takes the next record in order of time, and shows what it completes.
    pub fn take(&mut self, record: Record, mut show: impl FnMut(&Snapshot)) {
        match self.open {
            // Windows begin before the first record.
            None => show(&Snapshot { tick: Some(tick(record.start)), ..Snapshot::default() }),
            Some(open) if record.start > open => {
                self.close(open, &mut show);
                self.pass(open + self.tier.seconds(), record.start, &mut show);
            }
            Some(_) => {}
        }
        self.open = Some(record.start);
        self.interfaces.entry(record.interface).or_default().push(record.start, record.measures);
    }

    /// Shows the last step. Gives how many seconds between the first and the last were recorded of no interface.
    pub fn finish(mut self, mut show: impl FnMut(&Snapshot)) -> u64 {
        if let Some(open) = self.open {
            self.close(open, &mut show);
        }
        self.missing
    }

    fn close(&mut self, start: u64, show: &mut impl FnMut(&Snapshot)) {
        let end = start + self.tier.seconds();
        let (from, length) = (end.saturating_sub(self.window), Duration::from_secs(self.window));
        let picture = |(name, records): (&Arc<str>, &mut Sliding)| {
            records.forget_before(from);
            Arc::new(interface(name, length, &records.sum()))
        };
        let interfaces = self.interfaces.iter_mut().map(picture).collect();
        show(&Snapshot { tick: Some(tick(end)), interfaces, ..Snapshot::default() });
    }

    /// Nothing was recorded from `from` to `to`.
    fn pass(&mut self, from: u64, to: u64, show: &mut impl FnMut(&Snapshot)) {
        if from >= to {
            return;
        }
        self.missing += to - from;
        let last = to - self.tier.seconds();
        self.close(from, show);
        if last > from {
            self.close(last, show);
        }
    }
}

/// The tick that ends with this second.
fn tick(second: u64) -> Tick {
    Tick(second.saturating_mul(Tick::PER_SECOND))
}

fn interface(name: &Arc<str>, length: Duration, sum: &Measures) -> InterfaceSnapshot {
    let is_whole = sum.seconds >= length.as_secs();
    let mut flows = [[0; State::ALL.len()]; Transport::ALL.len()];
    flows[Transport::Tcp as usize][State::Open as usize] = sum.flows_active;
    let coverage = sum.coverage().map(|ratio| (length, ratio));
    let capture = Capture {
        up: is_whole,
        backend: "history",
        // One of which the kernel knows nothing would be gone.
        kernel: Some(KernelCounters::default()),
        coverage: coverage.into_iter().collect(),
        ..Capture::default()
    };
    InterfaceSnapshot {
        name: Arc::clone(name),
        totals: crate::stats::Counters::default(),
        windows: vec![WindowSnapshot {
            length,
            sums: sum.counters(),
            peak: Peak { volume: sum.peak },
            full: is_whole,
            handshake_rtt: [Quantiles::default(); 2],
        }],
        peak: Peak::default(),
        packet_size: Buckets::new(&[]),
        handshake_rtt: [Buckets::new(&[]), Buckets::new(&[])],
        rtt: None,
        ethertypes: BTreeMap::new(),
        ip_protocols: BTreeMap::new(),
        vlans: BTreeMap::new(),
        vlans_other: crate::stats::Volume::default(),
        ports: Vec::new(),
        flows,
        first_seen: None,
        last_seen: None,
        capture,
    }
}

/// Records whose sum is at hand: those that came last in one stack, the older ones in another, each with the sum from it
/// on.
#[derive(Debug, Default)]
struct Sliding {
    older: Vec<(u64, Measures)>,
    newer: Vec<(u64, Measures)>,
    /// Of `newer`.
    sum: Measures,
}

impl Sliding {
    fn push(&mut self, start: u64, measures: Measures) {
        self.newer.push((start, measures));
        self.sum.merge(&measures);
    }

    fn forget_before(&mut self, from: u64) {
        loop {
            if self.older.is_empty() {
                self.turn();
            }
            match self.older.last() {
                Some((start, _)) if *start < from => drop(self.older.pop()),
                _ => return,
            }
        }
    }

    fn turn(&mut self) {
        while let Some((start, mut sum)) = self.newer.pop() {
            if let Some((_, later)) = self.older.last() {
                sum.merge(later);
            }
            self.older.push((start, sum));
        }
        self.sum = Measures::default();
    }

    fn sum(&self) -> Measures {
        let Some((_, mut sum)) = self.older.last().copied() else { return self.sum };
        if !self.newer.is_empty() {
            sum.merge(&self.sum);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Volume;

    fn record(interface: &str, start: u64, bytes: u64) -> Record {
        let mut measures = Measures { seconds: 1, ..Measures::default() };
        measures.protocols[0][0] = Volume { packets: 1, bytes };
        measures.peak[0] = measures.protocols[0][0];
        Record { interface: interface.into(), start, measures }
    }

    /// Its second, and of each interface whether it was captured, bytes of the window and of its peak.
    type Seen = (u64, Vec<(bool, u64, u64)>);

    /// What each picture was, and the seconds that were recorded of no interface.
    fn shown(records: Vec<Record>) -> (Vec<Seen>, u64) {
        let mut pictures = Pictures::new(Tier::Second, Duration::from_secs(3));
        let mut seen: Vec<Seen> = Vec::new();
        let mut note = |snapshot: &Snapshot| {
            let of = |interface: &Arc<InterfaceSnapshot>| {
                let window = &interface.windows[0];
                (interface.capture.up, window.sums.volume[0].bytes, window.peak.volume[0].bytes)
            };
            seen.push((snapshot.tick.unwrap().second(), snapshot.interfaces.iter().map(of).collect()));
        };
        records.into_iter().for_each(|record| pictures.take(record, &mut note));
        let missing = pictures.finish(&mut note);
        (seen, missing)
    }

    #[test]
    fn a_window_is_the_sum_of_its_seconds_and_is_captured_once_all_of_them_were_recorded() {
        let (seen, missing) = shown((0..6).map(|n| record("eth0", 100 + n, 10 + n)).collect());
        let windows = [(101, false, 10, 10), (102, false, 21, 11), (103, true, 33, 12), (104, true, 36, 13)];
        assert_eq!(seen[0], (100, Vec::new()));
        assert_eq!(seen[1..5], windows.map(|(at, up, sum, peak)| (at, vec![(up, sum, peak)])));
        assert_eq!((seen[6].0, missing), (106, 0));
    }

    #[test]
    fn a_gap_is_not_captured_until_a_window_behind_it_is_whole() {
        let seconds = [100, 101, 102, 103, 200, 201, 202].into_iter();
        let (seen, missing) = shown(seconds.map(|start| record("eth0", start, 10)).collect());
        let up: Vec<(u64, bool)> = seen[1..].iter().map(|(at, of)| (*at, of[0].0)).collect();
        let gap = [(105, false), (200, false), (201, false), (202, false), (203, true)];
        assert_eq!(up[2..], [&[(103, true), (104, true)], &gap[..]].concat());
        assert_eq!(missing, 96);
    }

    #[test]
    fn an_interface_that_was_not_recorded_beside_another_is_not_captured() {
        let mut records: Vec<Record> = (0..4).map(|n| record("eth0", 100 + n, 10)).collect();
        records.splice(1..1, [record("eth1", 100, 5)]);
        let (seen, _) = shown(records);
        assert_eq!(seen.last().unwrap(), &(104, vec![(true, 30, 10), (false, 0, 0)]));
    }
}
