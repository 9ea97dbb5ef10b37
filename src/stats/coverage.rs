//! How much of what the kernel counted on an interface the capture saw.

use super::series::ticks;
use super::{Capture, Config};
use crate::time::Tick;
use std::collections::VecDeque;
use std::time::Duration;

/// Readings of the kernel's counter, and what had been seen by then, reaching back over the longest window.
///
/// A reading is of an instant and what was seen is known by the tick, so each sample has what was seen before its tick
/// and what was seen with it. A difference that could come from that alone counts as none: on an interface with short
/// bursts it is as large as a burst.
///
/// Bounds: 32 bytes for each second of the longest window.
#[derive(Clone, Debug)]
pub(super) struct Coverage {
    windows: Vec<Duration>,
    samples: VecDeque<Sample>,
    /// A reading whose tick is not over yet, and the kernel's bytes.
    waiting: Option<(Tick, u64)>,
    /// The open tick, and what had been seen before it.
    open: Tick,
    before: u64,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    tick: Tick,
    kernel_bytes: u64,
    /// What was seen before the tick, and with it.
    seen_bytes: [u64; 2],
}

/// Bytes of an Ethernet header.
const LOOPBACK_HEADER: u64 = 14;

impl Coverage {
    pub(super) fn new(config: &Config, now: Tick) -> Self {
        let windows = config.windows.iter().copied().filter(|length| *length > Duration::from_secs(1)).collect();
        Self { windows, samples: VecDeque::new(), waiting: None, open: now, before: 0 }
    }

    /// Takes a reading, at most one a second. A filter, missing kernel counters and counters that went back start anew.
    pub(super) fn reading(&mut self, capture: &Capture) {
        let Some(kernel) = capture.kernel.filter(|_| !capture.filtered()) else {
            return self.forget();
        };
        let [receive, transmit] = kernel.bytes;
        // Linux counts a frame on the loopback once in each direction, and without the header that it is captured with.
        let kernel_bytes = match capture.loopback {
            true => receive.saturating_add(LOOPBACK_HEADER * kernel.packets[0]),
            false => receive.saturating_add(transmit),
        };
        let tick = Tick::of(kernel.at);
        if self.samples.back().is_some_and(|last| last.kernel_bytes > kernel_bytes || last.tick > tick) {
            self.forget();
        }
        if self.samples.back().is_none_or(|last| last.tick.second() < tick.second()) {
            self.waiting = Some((tick, kernel_bytes));
        }
    }

    /// The open tick is over, and with it `seen_bytes` have been seen; the next one is `now`. Whether a ratio changed.
    pub(super) fn advance(&mut self, now: Tick, seen_bytes: u64) -> bool {
        let over = std::mem::replace(&mut self.open, now);
        let before = std::mem::replace(&mut self.before, seen_bytes);
        let Some((tick, kernel_bytes)) = self.waiting.filter(|(tick, _)| *tick < now) else { return false };
        self.waiting = None;
        // Nothing was seen in a tick that never was open.
        let seen_bytes = [if tick > over { seen_bytes } else { before }, seen_bytes];
        self.samples.push_back(Sample { tick, kernel_bytes, seen_bytes });
        let longest = self.windows.last().map_or(0, |length| ticks(*length));
        while self.samples.get(1).is_some_and(|next| next.tick.0 + longest <= tick.0) {
            self.samples.pop_front();
        }
        true
    }

    /// Packet time begins anew at `now`.
    pub(super) fn restart(&mut self, now: Tick, seen_bytes: u64) {
        self.forget();
        (self.open, self.before) = (now, seen_bytes);
    }

    /// What was read is of the past, or of another interface.
    pub(super) fn forget(&mut self) {
        self.samples.clear();
        self.waiting = None;
    }

    /// The ratio of each window above 1 s that samples reach back over, up to the newest sample.
    pub(super) fn ratios(&self) -> Vec<(Duration, f64)> {
        let Some(newest) = self.samples.back() else { return Vec::new() };
        let ratio = |length: &Duration| {
            // Readings come once a second, but not to the tick.
            let reaches = |sample: &Sample| sample.tick.second() + length.as_secs() <= newest.tick.second();
            let oldest = self.samples.get(self.samples.partition_point(reaches).checked_sub(1)?)?;
            let kernel = newest.kernel_bytes - oldest.kernel_bytes;
            let least = newest.seen_bytes[0].saturating_sub(oldest.seen_bytes[1]);
            let most = newest.seen_bytes[1].saturating_sub(oldest.seen_bytes[0]);
            (kernel > 0).then(|| (*length, kernel.clamp(least, most) as f64 / kernel as f64))
        };
        self.windows.iter().filter_map(ratio).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::KernelCounters;
    use proptest::prelude::*;

    fn capture(kernel_bytes: u64) -> Capture {
        let kernel = KernelCounters { bytes: [kernel_bytes, kernel_bytes], ..KernelCounters::default() };
        Capture { kernel: Some(kernel), ..Capture::default() }
    }

    /// What the kernel said in the last tick of each second, and what had been seen by then; ticks of readings are still.
    fn sampled(samples: impl IntoIterator<Item = (u64, Capture, u64)>) -> Coverage {
        let mut coverage = Coverage::new(&Config::default(), Tick(0));
        for (second, mut capture, seen) in samples {
            let tick = Tick(second * Tick::PER_SECOND);
            if let Some(kernel) = &mut capture.kernel {
                kernel.at = tick.end();
            }
            coverage.advance(tick, seen);
            coverage.reading(&capture);
            coverage.advance(Tick(tick.0 + 1), seen);
        }
        coverage
    }

    /// Ratios after bytes moved in ticks, `missed` of each tick's not seen, and readings a second apart, the first in
    /// tick `first`, taken when that part of their tick's bytes had moved.
    fn bursts(bytes: &[u64], missed: fn(u64) -> u64, first: usize, percent: u64) -> Vec<(Duration, f64)> {
        let mut coverage = Coverage::new(&Config::default(), Tick(0));
        let (mut kernel, mut seen) = (0, 0);
        for (tick, &bytes) in bytes.iter().enumerate() {
            coverage.advance(Tick(tick as u64), seen);
            if tick % 10 == first {
                let moved = bytes * percent / 100;
                let kernel = KernelCounters {
                    at: Tick(tick as u64).end(),
                    bytes: [kernel + moved, 0],
                    ..KernelCounters::default()
                };
                coverage.reading(&Capture { kernel: Some(kernel), ..Capture::default() });
            }
            kernel += bytes;
            seen += bytes - missed(bytes);
        }
        coverage.advance(Tick(bytes.len() as u64), seen);
        coverage.ratios()
    }

    proptest! {
        #[test]
        fn where_nothing_is_missed_the_ratio_is_one_however_traffic_and_readings_fall(
            bytes in prop::collection::vec(prop_oneof![5 => Just(0_u64), 1 => 60..1_000_000_u64], 300..900),
            first in 0..10_usize,
            percent in 0..=100_u64,
        ) {
            for (window, ratio) in bursts(&bytes, |_| 0, first, percent) {
                prop_assert_eq!(ratio, 1.0, "{:?}", window);
            }
        }
    }

    #[test]
    fn of_what_is_missed_all_shows_but_what_moved_while_the_kernel_was_asked() {
        let ratios = bursts(&[1_000; 900], |bytes| bytes / 4, 3, 50);
        // Two of 101 and of 601 ticks.
        for ((_, ratio), slack) in ratios.into_iter().zip([0.02, 0.004]) {
            assert!((0.75..0.75 + slack).contains(&ratio), "{ratio}");
        }
    }

    #[test]
    fn a_window_has_a_ratio_once_samples_reach_back_over_it() {
        let steady = |seconds| sampled((0..=seconds).map(|second| (second, capture(second * 500), second * 900)));
        assert_eq!(steady(9).ratios(), []);
        assert_eq!(steady(10).ratios(), [(Duration::from_secs(10), 0.9)]);
        assert_eq!(steady(3000).ratios(), [(Duration::from_secs(10), 0.9), (Duration::from_secs(60), 0.9)]);
        assert_eq!(steady(3000).samples.len(), 61);
    }

    #[test]
    fn what_was_seen_before_the_window_does_not_count() {
        let seen = |second: u64| if second <= 20 { second * 1000 } else { 20_000 };
        let coverage = sampled((0..=30).map(|second| (second, capture(second * 500), seen(second))));
        assert_eq!(coverage.ratios(), [(Duration::from_secs(10), 0.0)]);
    }

    #[test]
    fn a_filter_or_a_counter_that_goes_back_starts_anew() {
        let until = |last| (0..=20).map(|second| (second, capture(second * 500), 0)).chain([last]);
        let filtered = Capture { filter: Some("tcp".into()), ..capture(20_000) };
        assert_eq!(sampled(until((21, filtered, 0))).ratios(), []);
        assert_eq!(sampled(until((21, Capture::default(), 0))).ratios(), []);
        assert_eq!(sampled(until((21, capture(3), 0))).ratios(), []);
    }

    #[test]
    fn while_the_capture_is_down_the_kernel_goes_on_counting_and_the_ratio_falls() {
        // Blind from second 10 to 14: five of the last ten seconds' bytes were seen.
        let seen = |second: u64| second.min(10) + second.saturating_sub(15);
        let point = |second: u64| Capture { up: !(10..15).contains(&second), ..capture(second * 500) };
        let until = |last| sampled((0..=last).map(|second| (second, point(second), seen(second) * 1000)));
        assert_eq!(until(10).ratios(), [(Duration::from_secs(10), 1.0)]);
        assert_eq!(until(15).ratios(), [(Duration::from_secs(10), 0.5)]);
        assert_eq!(until(25).ratios(), [(Duration::from_secs(10), 1.0)]);
    }

    #[test]
    fn an_interface_that_was_made_anew_has_no_ratio_until_its_own_counters_reach_back() {
        let before = (0..=20).map(|second| (second, capture(second * 500), second * 1000));
        let gone = (21..=22).map(|second| (second, Capture::default(), 20_000));
        let after = |last| (23..=last).map(|second| (second, capture((second - 22) * 500), (second - 2) * 1000));
        let until = |last| sampled(before.clone().chain(gone.clone()).chain(after(last)));
        assert_eq!(until(32).ratios(), []);
        assert_eq!(until(33).ratios(), [(Duration::from_secs(10), 1.0)]);
    }

    #[test]
    fn the_loopback_counts_what_the_kernel_received_and_its_headers() {
        let loopback = |bytes, packets| {
            let kernel =
                KernelCounters { bytes: [bytes, bytes], packets: [packets, packets], ..KernelCounters::default() };
            Capture { loopback: true, kernel: Some(kernel), ..Capture::default() }
        };
        let coverage = sampled((0..=10).map(|second| (second, loopback(second * 500, second), second * 514)));
        assert_eq!(coverage.ratios(), [(Duration::from_secs(10), 1.0)]);
    }
}
