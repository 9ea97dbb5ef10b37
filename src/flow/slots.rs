//! A set of slots that finds the next member quickly, so that nobody can make the search for a victim long.

/// Slots, one bit each.
#[derive(Debug, Default)]
pub(super) struct SlotSet {
    words: Vec<u64>,
    len: usize,
}

impl SlotSet {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds a slot that is not in the set.
    pub(super) fn insert(&mut self, slot: u32) {
        let (word, bit) = place(slot);
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        debug_assert_eq!(self.words[word] & bit, 0);
        self.words[word] |= bit;
        self.len += 1;
    }

    /// Takes out a slot that is in the set.
    pub(super) fn remove(&mut self, slot: u32) {
        let (word, bit) = place(slot);
        debug_assert_ne!(self.words[word] & bit, 0);
        self.words[word] &= !bit;
        self.len -= 1;
    }

    /// The first member from `start` on, going round; `None` if there is none.
    ///
    /// Reads one word for each 64 slots it passes: 512 at most for the default limit.
    #[expect(clippy::cast_possible_truncation, reason = "slots are numbered in 31 bits")]
    pub(super) fn next_from(&self, start: u32) -> Option<u32> {
        let (first, bit) = place(start);
        let from_bit = self.words.get(first).map(|word| (first, word & !(bit - 1)));
        let behind = (first + 1..self.words.len()).chain(0..self.words.len()).map(|at| (at, self.words[at]));
        let (at, word) = from_bit.into_iter().chain(behind).find(|(_, word)| *word != 0)?;
        Some(at as u32 * u64::BITS + word.trailing_zeros())
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        self.words.capacity() * size_of::<u64>()
    }
}

fn place(slot: u32) -> (usize, u64) {
    ((slot / u64::BITS) as usize, 1 << (slot % u64::BITS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn the_next_member_is_the_one_that_a_sorted_set_names(
            toggles in prop::collection::vec(0u32..300, 0..80), start in 0u32..400
        ) {
            let (mut set, mut model) = (SlotSet::default(), BTreeSet::new());
            for slot in toggles {
                if model.remove(&slot) {
                    set.remove(slot);
                } else {
                    model.insert(slot);
                    set.insert(slot);
                }
                let expected = model.range(start..).next().or_else(|| model.first()).copied();
                prop_assert_eq!((set.next_from(start), set.len()), (expected, model.len()));
            }
        }
    }
}
