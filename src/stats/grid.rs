//! Windows on whole seconds: what is too large to be kept for each tick is kept for parts of a window.

use crate::time::Tick;
use std::time::Duration;

/// How a window is cut into parts of equal length: seconds up to 60 s, at most 60 parts of more seconds beyond.
///
/// A window that ends inside part p consists of the parts (p − n, p]: exactly W at the end of a part, less at other
/// times. Where the length of a part does not divide W, the rest of W is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Grid {
    /// Seconds in a part.
    pub(super) unit: u64,
    /// Parts in the window.
    pub(super) parts: u64,
}

impl Grid {
    const MAX_PARTS: u64 = 60;

    /// The grid of a window of this length; a fraction of a second is dropped.
    pub(super) fn of(window: Duration) -> Self {
        let seconds = window.as_secs().max(1);
        let unit = seconds.div_ceil(Self::MAX_PARTS);
        Self { unit, parts: seconds / unit }
    }

    /// The part that a second belongs to.
    pub(super) fn part(self, second: u64) -> u64 {
        second.div_ceil(self.unit)
    }

    /// Whether a part has left the window that ends inside part `now`.
    pub(super) fn has_left(self, part: u64, now: u64) -> bool {
        part + self.parts <= now
    }
}

/// The second that a tick belongs to: second s covers the ticks in (10(s − 1), 10s].
pub(super) fn second(tick: Tick) -> u64 {
    tick.0.div_ceil(Tick::PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_to_one_minute_have_one_part_for_each_second_and_longer_ones_at_most_sixty() {
        for seconds in 1..=3600 {
            let grid = Grid::of(Duration::from_secs(seconds));
            assert!(grid.parts >= 1 && grid.parts <= 60, "{seconds} s");
            assert!(grid.parts * grid.unit <= seconds && seconds < (grid.parts + 1) * grid.unit, "{seconds} s");
            assert_eq!(grid.unit == 1, seconds <= 60);
        }
    }
}
