//! Which record makes room in a full partition.

#![expect(clippy::cast_possible_truncation, reason = "slots are numbered in 31 bits, which the rules see to")]

use super::{EndReason, Event, Listener, Rules, Table, Victim};
use std::cmp::Reverse;

impl Table {
    /// Makes room for one record. Above a cap that was lowered a few more go, so that the table comes down to it step by
    /// step.
    #[cold]
    pub(super) fn make_room(&mut self, rules: &Rules, tick: u32, listener: &mut impl Listener) {
        for _ in 0..MOST_AT_ONCE {
            self.evict(rules, tick, listener);
            if self.len() < rules.cap {
                return;
            }
        }
    }

    fn evict(&mut self, rules: &Rules, tick: u32, listener: &mut impl Listener) {
        let (slot, victim) = if let Some(slot) = self.half_open.next_from(self.hand) {
            // In turn, so that a flood leaves every handshake the same time to complete.
            self.hand = slot + 1;
            (slot, Victim::HalfOpen)
        } else {
            let slot = self.most_silent(tick);
            let record = &self.records[slot as usize];
            let is_idle = tick.saturating_sub(record.active) >= rules.idle_timeout(record) / 4;
            (slot, if is_idle { Victim::Idle } else { Victim::Oldest })
        };
        listener.on(Event::Evicted { victim });
        self.end(slot, EndReason::Evicted, listener);
    }

    /// The record silent for longest among the next few from the hand on.
    fn most_silent(&mut self, tick: u32) -> u32 {
        let silence = |slot: &u32| (tick.saturating_sub(self.records[*slot as usize].active), Reverse(*slot));
        if self.free.is_empty() {
            let count = self.records.len() as u32;
            let looked_at = (0..LOOK_AT.min(count)).map(|step| (self.hand % count + step) % count);
            let found = looked_at.max_by_key(silence).unwrap_or_default();
            self.hand = (self.hand % count + LOOK_AT) % count;
            return found;
        }
        // A table whose cap was lowered may be mostly free slots, in long runs; the index spreads the others evenly.
        let mut next = self.hand;
        let looked_at = self.index.slots_from(self.hand).take(LOOK_AT as usize);
        let found = looked_at.inspect(|(place, _)| next = place + 1).map(|(_, slot)| slot).max_by_key(silence);
        self.hand = next;
        found.unwrap_or_default()
    }
}

/// Records that are looked at when none is half-open.
const LOOK_AT: u32 = 16;

/// Records that make room for one: above a lowered cap the table shrinks by three for each new record.
const MOST_AT_ONCE: usize = 4;
