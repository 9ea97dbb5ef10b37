//! Where the record of a flow is: open addressing with linear probing over (hash, slot) words.
//!
//! The low half of the hash is kept beside each slot, so growing and deleting never touch a record. Deleting shifts
//! the entries behind back, so there are no tombstones and a probe ends at the first empty place.

#![expect(clippy::cast_possible_truncation, reason = "a tag is the low half of a hash, a place its low bits")]

use super::prefetch::prefetch;

/// No slot.
pub(super) const NONE: u32 = u32::MAX;

/// Places in an empty index.
const SMALLEST: usize = 16;

#[derive(Clone, Copy, Debug)]
struct Entry {
    tag: u32,
    slot: u32,
}

const EMPTY: Entry = Entry { tag: 0, slot: NONE };

/// Slots by hash.
#[derive(Debug)]
pub(super) struct Index {
    /// A power of two of places, at most three quarters full.
    entries: Box<[Entry]>,
    len: u32,
    probe_max: u32,
}

impl Index {
    pub(super) fn new() -> Self {
        Self { entries: vec![EMPTY; SMALLEST].into_boxed_slice(), len: 0, probe_max: 0 }
    }

    fn mask(&self) -> usize {
        self.entries.len() - 1
    }

    /// Asks for the place where a probe begins.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        prefetch(&self.entries, hash as u32 as usize & self.mask());
    }

    /// The first slot whose hash has the low half of `hash`, without asking whether it is the flow's.
    #[inline]
    pub(super) fn hint(&self, hash: u64) -> u32 {
        self.find(hash, |_| true)
    }

    /// The slot with this hash for which `is` holds; [`NONE`] if there is none.
    #[inline]
    pub(super) fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> u32 {
        let (tag, mask) = (hash as u32, self.mask());
        let mut place = tag as usize & mask;
        loop {
            let entry = self.entries[place];
            if entry.slot == NONE || (entry.tag == tag && is(entry.slot)) {
                return entry.slot;
            }
            place = (place + 1) & mask;
        }
    }

    /// Adds a slot that is not there yet.
    pub(super) fn insert(&mut self, hash: u64, slot: u32) {
        if (self.len() + 1) * 4 > self.entries.len() * 3 {
            self.grow();
        }
        self.len += 1;
        self.place(Entry { tag: hash as u32, slot });
    }

    fn place(&mut self, entry: Entry) {
        let mask = self.mask();
        let mut place = entry.tag as usize & mask;
        let mut probe = 1;
        while self.entries[place].slot != NONE {
            place = (place + 1) & mask;
            probe += 1;
        }
        self.entries[place] = entry;
        self.probe_max = self.probe_max.max(probe);
    }

    fn grow(&mut self) {
        let doubled = vec![EMPTY; self.entries.len() * 2].into_boxed_slice();
        let old = std::mem::replace(&mut self.entries, doubled);
        old.into_iter().filter(|entry| entry.slot != NONE).for_each(|entry| self.place(entry));
    }

    /// Takes out a slot that is there.
    pub(super) fn remove(&mut self, hash: u64, slot: u32) {
        let mask = self.mask();
        let mut hole = hash as usize & mask;
        while self.entries[hole].slot != slot {
            debug_assert_ne!(self.entries[hole].slot, NONE);
            hole = (hole + 1) & mask;
        }
        let mut place = hole;
        loop {
            place = (place + 1) & mask;
            let entry = self.entries[place];
            if entry.slot == NONE {
                break;
            }
            // An entry may move into the hole only if that is not before its own first place.
            let home = entry.tag as usize & mask;
            if place.wrapping_sub(home) & mask >= place.wrapping_sub(hole) & mask {
                self.entries[hole] = entry;
                hole = place;
            }
        }
        self.entries[hole] = EMPTY;
        self.len -= 1;
    }

    /// All slots with their places, from a place on, going round.
    pub(super) fn slots_from(&self, place: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
        let mask = self.mask();
        let places = (0..self.entries.len()).map(move |step| (place as usize).wrapping_add(step) & mask);
        places.map(|place| (place as u32, self.entries[place].slot)).filter(|(_, slot)| *slot != NONE)
    }

    /// Slots held.
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    /// The longest probe that an insertion needed so far.
    pub(super) fn probe_max(&self) -> u32 {
        self.probe_max
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        self.entries.len() * size_of::<Entry>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #[test]
        fn the_index_agrees_with_a_map_under_any_insertions_and_removals(
            steps in proptest::collection::vec((0u64..64, any::<bool>()), 0..600)
        ) {
            // Few hashes with few home places, so that probes run into each other.
            let hash_of = |key: u64| key % 7 * 0x1_0000_0001 + (key / 21);
            let (mut index, mut model) = (Index::new(), HashMap::new());
            for (step, (key, insert)) in steps.into_iter().enumerate() {
                let slot = u32::try_from(step).unwrap();
                match (insert, model.get(&key).copied()) {
                    (true, None) => {
                        index.insert(hash_of(key), slot);
                        model.insert(key, slot);
                    }
                    (false, Some(old)) => {
                        index.remove(hash_of(key), old);
                        model.remove(&key);
                    }
                    _ => {}
                }
                for key in 0..64 {
                    let expected = model.get(&key).copied();
                    let found = index.find(hash_of(key), |slot| Some(slot) == expected);
                    prop_assert_eq!(found, expected.unwrap_or(NONE));
                }
            }
        }
    }
}
