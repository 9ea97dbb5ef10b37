//! The last minutes of one interface, second by second, by the clock of the packets.

use std::collections::VecDeque;

/// Seconds that are kept: what a view that is held can still show.
const KEPT: usize = 600;

/// Rates of one interface in bytes per second.
#[derive(Clone, Debug, Default)]
pub(super) struct Series(VecDeque<(i64, [f64; 2])>);

impl Series {
    /// What moved in this second since 1970, received and transmitted. A clock that went back begins anew.
    pub(super) fn push(&mut self, second: i64, rates: [f64; 2]) {
        match self.0.back().map(|(last, _)| second - last) {
            Some(0) => drop(self.0.pop_back()),
            Some(..0) => self.0.clear(),
            // Asking comes a little late now and then: no hole for that, what it saw is mostly of the second before.
            Some(2) => self.0.push_back((second - 1, rates)),
            _ => {}
        }
        self.0.push_back((second, rates));
        let surplus = self.0.len().saturating_sub(KEPT);
        self.0.drain(..surplus);
    }

    /// The seconds up to and with `end`, oldest first: received (0) or transmitted (1); `None` where nothing was seen.
    pub(super) fn points(&self, end: i64, seconds: usize, direction: usize) -> Vec<Option<f64>> {
        let mut points = vec![None; seconds];
        for (second, rates) in &self.0 {
            let back = usize::try_from(end - second).ok();
            if let Some(place) = back.and_then(|back| seconds.checked_sub(back + 1)) {
                points[place] = rates.get(direction).copied();
            }
        }
        points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pushed: &[(i64, f64)]) -> Vec<Option<f64>> {
        let mut series = Series::default();
        pushed.iter().for_each(|(second, rate)| series.push(*second, [*rate, 0.0]));
        series.points(10, 5, 0)
    }

    #[test]
    fn seconds_stand_in_their_places_and_those_not_seen_are_empty() {
        assert_eq!(of(&[(6, 1.0), (9, 2.0), (10, 3.0)]), [Some(1.0), None, None, Some(2.0), Some(3.0)]);
    }

    #[test]
    fn a_look_that_is_late_leaves_no_hole_and_one_that_is_early_counts_once() {
        assert_eq!(of(&[(7, 1.0), (9, 2.0), (9, 4.0)]), [None, Some(1.0), Some(2.0), Some(4.0), None]);
    }

    #[test]
    fn a_clock_that_went_back_begins_anew() {
        assert_eq!(of(&[(9, 1.0), (7, 2.0)]), [None, Some(2.0), None, None, None]);
    }
}
