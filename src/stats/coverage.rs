//! How much of what the kernel counted on an interface the capture saw.

use super::{Capture, Config};
use std::collections::VecDeque;
use std::time::Duration;

/// Samples of both counts, at most one for each second, reaching back over the longest window.
///
/// Bounds: 24 bytes for each second of the longest window.
#[derive(Clone, Debug)]
pub(super) struct Coverage {
    windows: Vec<Duration>,
    samples: VecDeque<Sample>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    second: u64,
    kernel_bytes: u64,
    seen_bytes: u64,
}

impl Coverage {
    pub(super) fn new(config: &Config) -> Self {
        let windows = config.windows.iter().copied().filter(|length| *length > Duration::from_secs(1)).collect();
        Self { windows, samples: VecDeque::new() }
    }

    /// Takes the counts of `second`. A filter, missing kernel counters and counters that went back start anew.
    pub(super) fn sample(&mut self, second: u64, capture: &Capture, seen_bytes: u64) {
        let Some(kernel) = capture.kernel.filter(|_| !capture.filtered()) else {
            return self.samples.clear();
        };
        let [receive, transmit] = kernel.bytes;
        let kernel_bytes = if capture.loopback { receive } else { receive.saturating_add(transmit) };
        if self.samples.back().is_some_and(|last| last.kernel_bytes > kernel_bytes || last.second > second) {
            self.samples.clear();
        }
        if self.samples.back().is_none_or(|last| last.second < second) {
            self.samples.push_back(Sample { second, kernel_bytes, seen_bytes });
        }
        let longest = self.windows.last().map_or(0, Duration::as_secs);
        while self.samples.get(1).is_some_and(|next| next.second + longest <= second) {
            self.samples.pop_front();
        }
    }

    pub(super) fn restart(&mut self) {
        self.samples.clear();
    }

    /// The ratio of each window above 1 s that samples reach back over, up to the newest sample.
    pub(super) fn ratios(&self) -> Vec<(Duration, f64)> {
        let Some(newest) = self.samples.back() else { return Vec::new() };
        let ratio = |length: &Duration| {
            let reaching = self.samples.partition_point(|sample| sample.second + length.as_secs() <= newest.second);
            let oldest = self.samples.get(reaching.checked_sub(1)?)?;
            let kernel = newest.kernel_bytes - oldest.kernel_bytes;
            let seen = newest.seen_bytes.saturating_sub(oldest.seen_bytes);
            (kernel > 0).then(|| (*length, seen as f64 / kernel as f64))
        };
        self.windows.iter().filter_map(ratio).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::KernelCounters;

    fn capture(kernel_bytes: u64) -> Capture {
        let kernel = KernelCounters { bytes: [kernel_bytes, kernel_bytes], ..KernelCounters::default() };
        Capture { kernel: Some(kernel), ..Capture::default() }
    }

    fn sampled(samples: impl IntoIterator<Item = (u64, Capture, u64)>) -> Coverage {
        let mut coverage = Coverage::new(&Config::default());
        samples.into_iter().for_each(|(second, capture, seen)| coverage.sample(second, &capture, seen));
        coverage
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
    fn the_loopback_counts_what_the_kernel_received() {
        let loopback = |bytes| Capture { loopback: true, ..capture(bytes) };
        let coverage = sampled((0..=10).map(|second| (second, loopback(second * 500), second * 500)));
        assert_eq!(coverage.ratios(), [(Duration::from_secs(10), 1.0)]);
    }
}
