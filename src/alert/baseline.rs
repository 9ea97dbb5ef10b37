//! The mean of the past that a limit such as `3x` is compared with.

use super::metric::Metric;
use crate::time::{Tick, Timestamp};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

/// Who remembers more than the evaluator does: the history.
pub trait Past: fmt::Debug + Send + Sync {
    /// The mean of a metric over (`from`, `to`], which are whole minutes.
    ///
    /// Asked in the collector's thread, so it must answer from what is at hand. After [`Remembered::NotYet`] it is asked
    /// again a second later, after any other answer not before the span is another.
    fn mean(
        &self,
        metric: &'static Metric,
        labels: &BTreeMap<String, String>,
        from: Timestamp,
        to: Timestamp,
    ) -> Remembered;
}

/// What is known of the past.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Remembered {
    /// The mean.
    Mean(f64),
    /// Nothing, or too little: that will not change.
    Nothing,
    /// It is being looked up.
    NotYet,
}

/// The mean of a value over the time just before now, weighted by time.
///
/// The span is cut into [`PARTS`]; it loses its oldest part as a whole. Bounds: 24 bytes for each part.
#[derive(Clone, Debug)]
pub(super) struct Mean {
    /// Length of the span in ticks.
    span: u64,
    /// When it began to look.
    begun: Option<Tick>,
    /// The newest value and its tick.
    last: Option<(Tick, f64)>,
    parts: VecDeque<Part>,
    /// Of the parts that are closed.
    closed: (f64, u64),
}

#[derive(Clone, Copy, Debug)]
struct Part {
    number: u64,
    /// Value × ticks.
    sum: f64,
    ticks: u64,
}

const PARTS: u64 = 60;

impl Mean {
    pub(super) fn new(span: Duration) -> Self {
        Self { span: ticks(span).max(PARTS), begun: None, last: None, parts: VecDeque::new(), closed: (0.0, 0) }
    }

    /// Takes the value of `now`. In the ticks since the last one, which nobody was shown, it was as it was then.
    pub(super) fn observe(&mut self, now: Tick, value: Option<f64>) {
        self.begun.get_or_insert(now);
        if let Some((then, before)) = self.last {
            self.fill(then.0 + 1, now.0, before);
        }
        if let Some(value) = value {
            self.add(now.0 / self.part_ticks(), value, 1);
        }
        self.last = value.map(|value| (now, value));
        self.forget(now);
    }

    /// The mean, once it has looked for as long as the span.
    pub(super) fn mean(&self, now: Tick) -> Option<f64> {
        let is_ready = now.0.saturating_sub(self.begun?.0) >= self.span;
        let open = self.parts.back().map_or((0.0, 0), |part| (part.sum, part.ticks));
        let ticks = self.closed.1 + open.1;
        (is_ready && ticks > 0).then(|| (self.closed.0 + open.0) / ticks as f64)
    }

    /// Forgets everything: time stepped.
    pub(super) fn restart(&mut self, now: Tick) {
        *self = Self { begun: Some(now), last: None, parts: VecDeque::new(), closed: (0.0, 0), ..*self };
    }

    fn part_ticks(&self) -> u64 {
        self.span / PARTS
    }

    /// The same value in each of the ticks `from..to`.
    fn fill(&mut self, from: u64, to: u64, value: f64) {
        let part = self.part_ticks();
        // What is older than the span is forgotten at once.
        let mut from = from.max(to.saturating_sub(self.span + part));
        while from < to {
            let end = ((from / part + 1) * part).min(to);
            self.add(from / part, value, end - from);
            from = end;
        }
    }

    fn add(&mut self, number: u64, value: f64, ticks: u64) {
        if self.parts.back().is_none_or(|part| part.number < number) {
            self.parts.push_back(Part { number, sum: 0.0, ticks: 0 });
            self.sum_up();
        }
        if let Some(part) = self.parts.back_mut() {
            part.sum += value * ticks as f64;
            part.ticks += ticks;
        }
    }

    fn forget(&mut self, now: Tick) {
        let oldest = (now.0 / self.part_ticks()).saturating_sub(PARTS);
        if self.parts.front().is_some_and(|part| part.number < oldest) {
            self.parts.retain(|part| part.number >= oldest);
            self.sum_up();
        }
    }

    /// Anew each time, so that no rounding error is left of what was forgotten.
    fn sum_up(&mut self) {
        let closed = self.parts.len().saturating_sub(1);
        self.closed =
            self.parts.iter().take(closed).fold((0.0, 0), |(sum, ticks), part| (sum + part.sum, ticks + part.ticks));
    }
}

/// A duration in ticks, rounded up: what lasts this long has lasted at least the duration.
pub(super) fn ticks(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(u128::from(Tick::NANOS))).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_of_the_span_before_now_and_comes_when_it_has_passed() {
        let mut mean = Mean::new(Duration::from_secs(60));
        for tick in 0..600 {
            assert_eq!(mean.mean(Tick(tick)), None);
            mean.observe(Tick(tick), Some(if tick < 300 { 10.0 } else { 20.0 }));
        }
        assert_eq!(mean.mean(Tick(600)), Some(15.0));
        (600..1300).for_each(|tick| mean.observe(Tick(tick), Some(20.0)));
        assert_eq!(mean.mean(Tick(1300)), Some(20.0));
    }

    #[test]
    fn silence_counts_with_the_value_it_began_with() {
        let mut mean = Mean::new(Duration::from_secs(60));
        (0..300).for_each(|tick| mean.observe(Tick(tick), Some(10.0)));
        mean.observe(Tick(300), Some(0.0));
        mean.observe(Tick(600), Some(7.0));
        let exact = (300.0 * 10.0 + 7.0) / 601.0;
        assert_eq!(mean.mean(Tick(601)), Some(exact));
        mean.observe(Tick(1_000_000), Some(7.0));
        assert_eq!(mean.mean(Tick(1_000_001)), Some(7.0));
    }

    #[test]
    fn time_without_data_does_not_count_and_a_restart_forgets() {
        let mut mean = Mean::new(Duration::from_secs(60));
        (0..600).for_each(|tick| mean.observe(Tick(tick), (tick % 2 == 0).then_some(4.0)));
        assert_eq!(mean.mean(Tick(600)), Some(4.0));
        mean.restart(Tick(100));
        assert_eq!(mean.mean(Tick(900)), None);
    }
}
