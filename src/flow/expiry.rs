//! Deadlines: a timer wheel of three levels over intrusive lists of slots.
//!
//! Time is in ticks that only go forward (time steps are taken out by the tracker). Level 0 has a bucket for each of
//! the next 256 ticks, level 1 for each 256 of those, level 2 again; entries come down a level when their bucket's
//! time begins. A packet that moves a deadline later does not touch the wheel: the entry fires early and is linked
//! again. Skipping silence costs one step for each bucket that holds something, not one for each tick.

use super::index::NONE;

/// Links of one slot, kept inside its record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Links {
    next: u32,
    /// The slot before, or [`HEAD`] plus the bucket.
    previous: u32,
}

/// Marks `previous` as a bucket.
const HEAD: u32 = 1 << 31;

impl Default for Links {
    fn default() -> Self {
        Self { next: NONE, previous: NONE }
    }
}

/// Where the links of a slot are.
pub(super) trait Linked {
    fn links(&mut self, slot: u32) -> &mut Links;
}

const LEVELS: u32 = 3;
const BUCKETS: u32 = 256;
const BITS: u32 = BUCKETS.trailing_zeros();
/// Deadlines beyond this many ticks (19 days) fire early and are linked again.
const HORIZON: u32 = Wheel::ROUND - 1;

/// The wheel.
#[derive(Debug)]
pub(super) struct Wheel {
    now: u32,
    /// No event is before this tick.
    quiet_until: u32,
    heads: Box<[u32; (LEVELS * BUCKETS) as usize]>,
    /// One bit for each bucket that holds something.
    filled: [[u64; BUCKETS as usize / 64]; LEVELS as usize],
}

impl Wheel {
    /// Ticks after which all levels are back where they began.
    pub(super) const ROUND: u32 = 1 << (BITS * LEVELS);

    pub(super) fn new() -> Self {
        Self {
            now: 0,
            quiet_until: u32::MAX,
            heads: Box::new([NONE; (LEVELS * BUCKETS) as usize]),
            filled: Default::default(),
        }
    }

    /// Links a slot to fire at `deadline`, at the next tick at the earliest.
    pub(super) fn link(&mut self, slots: &mut impl Linked, slot: u32, deadline: u32) {
        let deadline = deadline.clamp(self.now + 1, self.now.saturating_add(HORIZON));
        let level = match deadline - self.now {
            0..BUCKETS => 0,
            distance if distance < BUCKETS << BITS => 1,
            _ => 2,
        };
        let begin = deadline >> (BITS * level) << (BITS * level);
        self.quiet_until = self.quiet_until.min(begin);
        self.push(slots, slot, level, deadline >> (BITS * level) & (BUCKETS - 1));
    }

    fn push(&mut self, slots: &mut impl Linked, slot: u32, level: u32, bucket: u32) {
        let head = level * BUCKETS + bucket;
        let next = std::mem::replace(&mut self.heads[head as usize], slot);
        *slots.links(slot) = Links { next, previous: HEAD | head };
        if next != NONE {
            slots.links(next).previous = slot;
        }
        self.filled[level as usize][bucket as usize / 64] |= 1 << (bucket % 64);
    }

    /// Unlinks a slot.
    pub(super) fn unlink(&mut self, slots: &mut impl Linked, slot: u32) {
        let Links { next, previous } = std::mem::take(slots.links(slot));
        if previous & HEAD == 0 {
            slots.links(previous).next = next;
        } else {
            let head = previous & !HEAD;
            self.heads[head as usize] = next;
            if next == NONE {
                let (level, bucket) = (head / BUCKETS, head % BUCKETS);
                self.filled[level as usize][bucket as usize / 64] &= !(1 << (bucket % 64));
            }
        }
        if next != NONE {
            slots.links(next).previous = previous;
        }
    }

    /// The next tick at which a bucket fires or comes down a level; `None` when the wheel is empty.
    pub(super) fn next_event(&self) -> Option<u32> {
        let of_level = |level: u32| {
            let position = self.now >> (BITS * level);
            let ahead = first_filled(&self.filled[level as usize], (position + 1) % BUCKETS)?;
            Some((position + 1 + ahead) << (BITS * level))
        };
        (0..LEVELS).filter_map(of_level).min()
    }

    /// Moves to `until` if no event is known to be due by then, and says so.
    #[inline]
    pub(super) fn skip(&mut self, until: u32) -> bool {
        let is_quiet = until < self.quiet_until;
        if is_quiet {
            self.now = self.now.max(until);
        }
        is_quiet
    }

    /// Moves to the next event that is not after `until` and returns a slot that is due by then, unlinked; `None`
    /// once `until` is reached.
    pub(super) fn next_due(&mut self, slots: &mut impl Linked, until: u32) -> Option<u32> {
        loop {
            let due = self.heads[(self.now % BUCKETS) as usize];
            if due != NONE {
                self.unlink(slots, due);
                return Some(due);
            }
            self.quiet_until = self.next_event().unwrap_or(u32::MAX);
            if self.skip(until) {
                return None;
            }
            self.now = self.quiet_until;
            self.come_down(slots);
        }
    }

    /// Spreads the buckets of higher levels whose time begins now.
    ///
    /// Their entries may be due at once: those go to the bucket of now, which is looked at next. Which exact tick an
    /// entry has is not kept, so it comes down to the first one of its bucket and the table looks at its deadline.
    fn come_down(&mut self, slots: &mut impl Linked) {
        for level in (1..LEVELS).rev() {
            if !self.now.is_multiple_of(1 << (BITS * level)) {
                continue;
            }
            let bucket = self.now >> (BITS * level) & (BUCKETS - 1);
            let head = (level * BUCKETS + bucket) as usize;
            while self.heads[head] != NONE {
                let slot = self.heads[head];
                self.unlink(slots, slot);
                self.push(slots, slot, 0, self.now % BUCKETS);
            }
        }
    }

    /// The wheel's time.
    pub(super) fn now(&self) -> u32 {
        self.now
    }
}

/// Distance from `start` to the first set bit, going round.
fn first_filled(words: &[u64; BUCKETS as usize / 64], start: u32) -> Option<u32> {
    let at = |bit: u32| words[(bit / 64) as usize] >> (bit % 64);
    let first = at(start);
    if first != 0 {
        return Some(first.trailing_zeros());
    }
    let mut distance = 64 - start % 64;
    while distance < BUCKETS {
        let word = at((start + distance) % BUCKETS);
        if word != 0 {
            let found = distance + word.trailing_zeros();
            return (found < BUCKETS).then_some(found);
        }
        distance += 64;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    impl Linked for Vec<Links> {
        fn links(&mut self, slot: u32) -> &mut Links {
            &mut self[slot as usize]
        }
    }

    proptest! {
        #[test]
        fn every_slot_fires_at_its_deadline_and_never_before(
            deadlines in proptest::collection::vec(1u32..20_000_000, 1..60),
            jumps in proptest::collection::vec(1u32..3_000_000, 1..40),
            removed in proptest::collection::vec(any::<bool>(), 60),
        ) {
            let mut wheel = Wheel::new();
            let mut links = vec![Links::default(); deadlines.len()];
            for (slot, deadline) in deadlines.iter().enumerate() {
                wheel.link(&mut links, u32::try_from(slot).unwrap(), *deadline);
            }
            let mut pending: Vec<bool> = removed[..deadlines.len()].iter().map(|removed| !removed).collect();
            for (slot, pending) in pending.iter().enumerate() {
                if !pending {
                    wheel.unlink(&mut links, u32::try_from(slot).unwrap());
                }
            }
            let mut now = 0u32;
            for jump in jumps {
                now += jump;
                while let Some(slot) = wheel.next_due(&mut links, now) {
                    let deadline = deadlines[slot as usize];
                    prop_assert!(pending[slot as usize]);
                    if deadline <= wheel.now() {
                        prop_assert_eq!(deadline, wheel.now());
                        pending[slot as usize] = false;
                    } else {
                        wheel.link(&mut links, slot, deadline);
                    }
                }
                for (slot, deadline) in deadlines.iter().enumerate() {
                    prop_assert_eq!(pending[slot], !removed[slot] && *deadline > now);
                }
            }
        }
    }
}
