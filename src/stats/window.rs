//! The rolling windows of one interface: running sums, and the closed ticks that still have to be taken away.

use super::counters::Integers;
use super::peak::Peaks;
use super::{Counters, Peak};
use crate::time::Tick;
use std::collections::VecDeque;

/// Totals and windows of one interface.
///
/// Window W at tick T is the sum of the ticks in (T−W, T]. A tick is *open* while it is the newest; when time moves on
/// it is closed, added to the running sums, and packed away until each window has taken it off again. Ticks without
/// traffic are not stored.
///
/// Bounds: a packed tick takes about 4 bytes for each counter that moved (100 to 200 bytes in all), and there are at
/// most ten for each second of the longest window: about 0.1 MiB for 60 s, 5 MiB for an hour.
#[derive(Clone, Debug)]
pub(super) struct Windows {
    now: Tick,
    open: Counters,
    total: Counters,
    spans: Vec<Span>,
    /// Closed ticks inside the longest window, oldest first.
    closed: VecDeque<PackedTick>,
    /// How many closed ticks came before the first one in `closed`.
    forgotten: u64,
    peaks: Peaks,
}

/// One window: its length, what is in it, and how many closed ticks it has let go.
#[derive(Clone, Debug)]
struct Span {
    ticks: u64,
    sums: Counters,
    left: u64,
}

impl Windows {
    /// Empty windows of these lengths in ticks, ascending.
    pub(super) fn new(now: Tick, lengths: &[u64]) -> Self {
        let spans = lengths.iter().map(|ticks| Span { ticks: *ticks, sums: Counters::default(), left: 0 }).collect();
        Self {
            now,
            open: Counters::default(),
            total: Counters::default(),
            spans,
            closed: VecDeque::new(),
            forgotten: 0,
            peaks: Peaks::default(),
        }
    }

    /// Adds to the open tick.
    pub(super) fn add(&mut self, counters: &Counters) {
        self.open.add(counters);
    }

    /// Closes the open tick and moves all windows to `now`. Costs O(ticks that leave), however far time jumps.
    pub(super) fn advance(&mut self, now: Tick) {
        self.close();
        self.now = now;
        self.peaks.advance(Tick(now.0.saturating_sub(1)));
        for span in &mut self.spans {
            while let Some(oldest) = usize::try_from(span.left - self.forgotten).ok().and_then(|n| self.closed.get(n)) {
                if oldest.tick.0 + span.ticks > now.0 {
                    break;
                }
                oldest.take_from(&mut span.sums);
                span.left += 1;
            }
        }
        if let Some(longest) = self.spans.last() {
            while self.forgotten < longest.left {
                self.closed.pop_front();
                self.forgotten += 1;
            }
            self.peaks.expire(now, longest.ticks);
        }
    }

    fn close(&mut self) {
        let Some(packed) = PackedTick::new(self.now, &self.open) else { return };
        self.peaks.close(self.now, &self.open.volume);
        self.closed.push_back(packed);
        self.total.add(&self.open);
        self.spans.iter_mut().for_each(|span| span.sums.add(&self.open));
        self.open = Counters::default();
    }

    /// Starts all windows empty at `now`, which may be earlier; totals and the peak since the start stay.
    pub(super) fn restart(&mut self, now: Tick) {
        self.close();
        self.now = now;
        self.forgotten += self.closed.len() as u64;
        self.closed.clear();
        self.peaks.restart();
        for span in &mut self.spans {
            span.left = self.forgotten;
            span.sums = Counters::default();
        }
    }

    /// Whether no window holds anything, so that only new traffic can change what they say.
    pub(super) fn are_empty(&self) -> bool {
        self.closed.is_empty() && self.open == Counters::default()
    }

    /// Everything since the start.
    pub(super) fn totals(&self) -> Counters {
        sum(&self.total, &self.open)
    }

    /// The greatest one-second volumes since the start.
    pub(super) fn peak(&self) -> Peak {
        self.peaks.greatest(self.now, &self.open.volume)
    }

    /// Sums and peak of each window, ascending.
    pub(super) fn each(&self) -> impl Iterator<Item = (Counters, Peak)> + '_ {
        self.spans
            .iter()
            .map(|span| (sum(&span.sums, &self.open), self.peaks.within(self.now, span.ticks, &self.open.volume)))
    }
}

fn sum(one: &Counters, other: &Counters) -> Counters {
    let mut sum = *one;
    sum.add(other);
    sum
}

/// The counters of one closed tick, without those that are 0.
///
/// For each of the others, in the order of [`Integers::visit`]: the number of zeros before it, then its value, both in
/// groups of seven bits with the lowest first (LEB128).
#[derive(Clone, Debug)]
struct PackedTick {
    tick: Tick,
    fields: Box<[u8]>,
}

impl PackedTick {
    /// `None` if all counters are 0.
    fn new(tick: Tick, counters: &Counters) -> Option<Self> {
        let mut fields = Vec::new();
        let mut zeros = 0;
        counters.visit(&mut |value| {
            if value == 0 {
                zeros += 1;
            } else {
                write_varint(&mut fields, zeros);
                write_varint(&mut fields, value);
                zeros = 0;
            }
        });
        (!fields.is_empty()).then(|| Self { tick, fields: fields.into() })
    }

    fn take_from(&self, sums: &mut Counters) {
        let mut fields = self.fields.iter();
        let mut zeros = read_varint(&mut fields);
        sums.visit_mut(&mut |sum| match zeros {
            Some(0) => {
                *sum -= read_varint(&mut fields).unwrap_or(0);
                zeros = read_varint(&mut fields);
            }
            Some(more) => zeros = Some(more - 1),
            None => {}
        });
    }
}

fn write_varint(to: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        to.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    to.push((value & 0x7f) as u8);
}

/// `None` at the end.
fn read_varint(from: &mut std::slice::Iter<'_, u8>) -> Option<u64> {
    let mut value = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let byte = *from.next()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_packed_tick_takes_away_what_it_was_made_of(
            moved in prop::collection::vec((0..400_usize, any::<u64>()), 0..40),
        ) {
            let mut counters = Counters::default();
            let mut index = 0;
            counters.visit_mut(&mut |field| {
                *field = moved.iter().find(|(at, _)| *at == index).map_or(0, |(_, value)| *value);
                index += 1;
            });
            let mut rest = counters;
            if let Some(packed) = PackedTick::new(Tick(7), &counters) {
                packed.take_from(&mut rest);
            }
            prop_assert_eq!(rest, Counters::default());
        }
    }
}
