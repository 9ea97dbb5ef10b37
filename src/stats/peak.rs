//! The greatest one-second volumes: a sliding maximum over sums of ten consecutive ticks.

use super::{Peak, Volume};
use crate::time::Tick;
use std::collections::VecDeque;

/// What is summed: packets received, bytes received, packets sent, bytes sent.
type Moved = [u64; 4];

/// One-second sums by the tick they end at.
///
/// For each of the four quantities it keeps only the sums that no later one reaches, in falling order; the first of
/// them inside a window is the window's peak, so one row serves every window.
///
/// Bounds: at most one entry of 16 bytes for each quantity and tick of the longest window (38 KiB for 60 s), and that
/// only while the rate falls without a break. A tick costs amortised O(1), silence at most ten steps.
#[derive(Clone, Debug, Default)]
pub(super) struct Peaks {
    /// Ticks with traffic among the last ten that were closed.
    last_second: VecDeque<(u64, Moved)>,
    /// The tick up to which sums have been entered.
    entered: u64,
    falling: [VecDeque<(u64, u64)>; 4],
    greatest: Moved,
}

impl Peaks {
    /// Enters a tick with traffic, later than all before.
    pub(super) fn close(&mut self, tick: Tick, volume: &[Volume; 2]) {
        self.advance(Tick(tick.0.saturating_sub(1)));
        self.last_second.push_back((tick.0, moved(volume)));
        self.enter(tick.0);
    }

    /// Lets time pass to the end of `tick`, without traffic since the last one entered.
    pub(super) fn advance(&mut self, tick: Tick) {
        while self.entered < tick.0 && !self.last_second.is_empty() {
            self.enter(self.entered + 1);
        }
        self.entered = self.entered.max(tick.0);
    }

    fn enter(&mut self, end: u64) {
        self.entered = end;
        while self.last_second.front().is_some_and(|(tick, _)| tick + Tick::PER_SECOND <= end) {
            self.last_second.pop_front();
        }
        let sums = self.second_to(end);
        for ((row, greatest), sum) in self.falling.iter_mut().zip(&mut self.greatest).zip(sums) {
            while row.back().is_some_and(|(_, earlier)| *earlier <= sum) {
                row.pop_back();
            }
            if sum > 0 {
                row.push_back((end, sum));
            }
            *greatest = sum.max(*greatest);
        }
    }

    fn second_to(&self, end: u64) -> Moved {
        let mut sums = Moved::default();
        for (_, moved) in self.last_second.iter().filter(|(tick, _)| tick + Tick::PER_SECOND > end) {
            sums.iter_mut().zip(moved).for_each(|(sum, part)| *sum += part);
        }
        sums
    }

    /// Forgets the sums that no window can reach any more.
    pub(super) fn expire(&mut self, now: Tick, longest: u64) {
        for row in &mut self.falling {
            while row.front().is_some_and(|(end, _)| *end < first_end(now, longest)) {
                row.pop_front();
            }
        }
    }

    /// Starts windows anew; the greatest sums since the start stay.
    pub(super) fn restart(&mut self) {
        self.last_second.clear();
        self.falling.iter_mut().for_each(VecDeque::clear);
        self.entered = 0;
    }

    /// The peak of the window of `ticks` ticks that ends with `now`, whose own traffic so far is `open`.
    pub(super) fn within(&self, now: Tick, ticks: u64, open: &[Volume; 2]) -> Peak {
        let mut sums = self.with_open(now, open);
        for (sum, row) in sums.iter_mut().zip(&self.falling) {
            let first = row.partition_point(|(end, _)| *end < first_end(now, ticks));
            *sum = row.get(first).map_or(*sum, |(_, closed)| (*sum).max(*closed));
        }
        peak(sums)
    }

    /// The peak since the start.
    pub(super) fn greatest(&self, now: Tick, open: &[Volume; 2]) -> Peak {
        let mut sums = self.with_open(now, open);
        sums.iter_mut().zip(self.greatest).for_each(|(sum, closed)| *sum = closed.max(*sum));
        peak(sums)
    }

    fn with_open(&self, now: Tick, open: &[Volume; 2]) -> Moved {
        let mut sums = self.second_to(now.0);
        sums.iter_mut().zip(moved(open)).for_each(|(sum, part)| *sum += part);
        sums
    }
}

/// The end of the earliest second that lies wholly inside the window.
fn first_end(now: Tick, ticks: u64) -> u64 {
    (now.0 + Tick::PER_SECOND).saturating_sub(ticks)
}

fn moved(volume: &[Volume; 2]) -> Moved {
    let [receive, transmit] = volume;
    [receive.packets, receive.bytes, transmit.packets, transmit.bytes]
}

fn peak([receive_packets, receive_bytes, transmit_packets, transmit_bytes]: Moved) -> Peak {
    let receive = Volume { packets: receive_packets, bytes: receive_bytes };
    Peak { volume: [receive, Volume { packets: transmit_packets, bytes: transmit_bytes }] }
}
