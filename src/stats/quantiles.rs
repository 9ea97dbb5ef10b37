//! Quantiles of round trips inside the rolling windows.

use super::Quantiles;
use super::grid::{Grid, second};
use crate::time::Tick;
use hashbrown::HashMap;
use hdrhistogram::Histogram;
use std::collections::VecDeque;
use std::time::Duration;

/// Counts of values, each rounded down to the least one that its bucket of the windows' histograms holds.
///
/// Two samples of the same bucket count together, so the order of samples and of merges leaves no trace.
/// Bounds: at most 2 900 buckets of 16 bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Samples(HashMap<u64, u64>);

impl Samples {
    pub(super) fn record(&mut self, nanos: u64) {
        *self.0.entry(rounded(nanos)).or_default() += 1;
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (value, count) in &other.0 {
            *self.0.entry(*value).or_default() += count;
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn record_in(&self, histogram: &mut Histogram<u64>) {
        self.0.iter().for_each(|(value, count)| histogram.saturating_record_n(*value, *count));
    }
}

/// Least value that is told apart from 0, in nanoseconds.
const LOWEST: u64 = 1_000;
/// Greatest value; larger ones count as this.
const HIGHEST: u64 = 100_000_000_000;
/// Bits dropped of the smallest values: the greatest power of two that is at most [`LOWEST`].
const UNIT_BITS: u32 = LOWEST.ilog2();
/// Leading bits kept of any value: enough for two significant decimal digits.
const KEPT_BITS: u32 = 8;

fn rounded(nanos: u64) -> u64 {
    let nanos = nanos.min(HIGHEST);
    let dropped = (u64::BITS - nanos.leading_zeros()).saturating_sub(KEPT_BITS).max(UNIT_BITS);
    nanos >> dropped << dropped
}

/// An empty histogram of two significant digits; `None` never happens with these constants.
fn histogram() -> Option<Histogram<u64>> {
    Histogram::new_with_bounds(LOWEST, HIGHEST, 2).ok()
}

/// The values of one rolling window: a histogram of all, and the samples of each part to take away again.
///
/// Bounds: nothing before the first value; then 23 KiB, and at most 60 parts of [`Samples`].
#[derive(Clone, Debug)]
pub(super) struct QuantileWindow {
    grid: Grid,
    parts: VecDeque<(u64, Samples)>,
    merged: Option<Histogram<u64>>,
}

impl QuantileWindow {
    pub(super) fn new(length: Duration) -> Self {
        Self { grid: Grid::of(length), parts: VecDeque::new(), merged: None }
    }

    /// Adds the samples of a tick, which is not before the last one.
    pub(super) fn add(&mut self, tick: Tick, samples: &Samples) {
        if samples.is_empty() {
            return;
        }
        let part = self.grid.part(second(tick));
        match self.parts.back_mut() {
            Some((last, sum)) if *last == part => sum.merge(samples),
            _ => self.parts.push_back((part, samples.clone())),
        }
        self.merged = self.merged.take().or_else(histogram);
        if let Some(merged) = &mut self.merged {
            samples.record_in(merged);
        }
    }

    /// Lets go of the parts that have left; whether there were any.
    pub(super) fn advance(&mut self, tick: Tick) -> bool {
        let now = self.grid.part(second(tick));
        let before = self.parts.len();
        while let Some((part, _)) = self.parts.front()
            && self.grid.has_left(*part, now)
        {
            self.drop_oldest();
        }
        self.parts.len() < before
    }

    fn drop_oldest(&mut self) {
        let Some((_, samples)) = self.parts.pop_front() else { return };
        let Some(merged) = &mut self.merged else { return };
        if self.parts.is_empty() {
            merged.reset();
        } else if let Some(mut leaving) = histogram() {
            samples.record_in(&mut leaving);
            let taken = merged.subtract(&leaving);
            debug_assert!(taken.is_ok(), "everything that leaves was added before");
        }
    }

    pub(super) fn restart(&mut self) {
        self.parts.clear();
        if let Some(merged) = &mut self.merged {
            merged.reset();
        }
    }

    pub(super) fn quantiles(&self) -> Quantiles {
        match &self.merged {
            Some(merged) if !merged.is_empty() => Quantiles {
                count: merged.len(),
                p50: merged.value_at_quantile(0.5),
                p95: merged.value_at_quantile(0.95),
                p99: merged.value_at_quantile(0.99),
                max: merged.value_at_quantile(1.0),
            },
            _ => Quantiles::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn samples_are_rounded_as_the_histogram_rounds_them(nanos in 0..HIGHEST, shift in 0..40_u32) {
            let histogram = histogram().unwrap();
            for value in [nanos >> shift, nanos, HIGHEST] {
                prop_assert_eq!(rounded(value), histogram.lowest_equivalent(value));
            }
        }
    }

    #[test]
    fn values_beyond_the_greatest_count_as_the_greatest() {
        assert_eq!(rounded(u64::MAX), rounded(HIGHEST));
    }

    #[test]
    fn the_number_of_buckets_is_within_the_stated_bound() {
        assert!(histogram().unwrap().distinct_values() <= 2_900);
    }
}
