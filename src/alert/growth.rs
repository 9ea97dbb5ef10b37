//! Windows over totals that a snapshot has only since the start: the traffic between address classes.

use crate::time::Tick;
use std::collections::VecDeque;

/// One total with its values over a window.
///
/// Bounds: a sample for each hundredth of the window, so that the window may be longer by as much.
#[derive(Clone, Debug)]
pub(super) struct Growth {
    window: u64,
    /// What it was before the oldest sample.
    base: u64,
    samples: VecDeque<(Tick, u64)>,
    newest: u64,
}

impl Growth {
    /// Over a window of so many ticks.
    pub(super) const fn new(window: u64) -> Self {
        Self { window, base: 0, samples: VecDeque::new(), newest: 0 }
    }

    /// Takes the total of `now`, and gives how much of it came in the window.
    pub(super) fn observe(&mut self, now: Tick, total: u64) -> u64 {
        while let Some((_, oldest)) = self.samples.front().filter(|(tick, _)| tick.0 + self.window <= now.0) {
            self.base = *oldest;
            self.samples.pop_front();
        }
        if total != self.newest {
            let grid = (self.window / 100).max(1);
            match self.samples.back_mut().filter(|(tick, _)| tick.0 / grid == now.0 / grid) {
                Some(sample) => *sample = (now, total),
                None => self.samples.push_back((now, total)),
            }
            self.newest = total;
        }
        total.saturating_sub(self.base)
    }

    /// The window starts empty.
    pub(super) fn restart(&mut self) {
        self.base = self.newest;
        self.samples.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_growth_is_of_the_last_window_and_a_restart_empties_it() {
        let mut growth = Growth::new(10);
        let grown: Vec<u64> = (0..20).map(|tick| growth.observe(Tick(tick), (tick + 1) * 5)).collect();
        assert_eq!((grown[0], grown[9], grown[10], grown[19]), (5, 50, 50, 50));
        assert_eq!(growth.observe(Tick(40), 100), 0);
        growth.observe(Tick(41), 200);
        growth.restart();
        assert_eq!((growth.observe(Tick(5), 200), growth.observe(Tick(6), 230)), (0, 30));
    }

    #[test]
    fn samples_are_bounded_by_hundredths_of_the_window() {
        let mut growth = Growth::new(36_000);
        for tick in 0..100_000 {
            growth.observe(Tick(tick), tick + 1);
        }
        assert!(growth.samples.len() <= 102, "{}", growth.samples.len());
        let grown = growth.observe(Tick(100_000), 100_001);
        assert!((36_000..=36_360).contains(&grown), "{grown}");
    }
}
