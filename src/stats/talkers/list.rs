//! Sums by key in bounded memory.

use super::Key;

/// One part in this many of the configured keys outlives its second.
pub(in crate::stats) const KEPT_SHARE: usize = 8;

/// Bytes from and to something.
pub(in crate::stats) type Moved = [u64; 2];

/// A key and what it moved.
pub(in crate::stats) type Row<K> = (K, Moved);

/// Adds in both directions.
pub(super) fn add(sum: &mut Moved, moved: Moved) {
    sum[0] += moved[0];
    sum[1] += moved[1];
}

/// Takes away in both directions.
pub(super) fn subtract(sum: &mut Moved, moved: Moved) {
    sum[0] -= moved[0];
    sum[1] -= moved[1];
}

/// Bytes in both directions.
fn bytes(moved: &Moved) -> u64 {
    moved[0] + moved[1]
}

/// Moves the rows for which `is` holds to the front; how many there are.
fn move_to_front<K: Key>(rows: &mut [Row<K>], is: impl Fn(&Moved) -> bool) -> usize {
    let mut front = 0;
    for at in 0..rows.len() {
        if is(&rows[at].1) {
            rows.swap(front, at);
            front += 1;
        }
    }
    front
}

/// Largest first, then by key: an order without ties.
pub(super) fn larger_first<K: Key>(one: &Row<K>, other: &Row<K>) -> std::cmp::Ordering {
    bytes(&other.1).cmp(&bytes(&one.1)).then_with(|| one.0.cmp(&other.0))
}

/// Rows, and what is known of everything without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::stats) struct List<K> {
    /// A key may have several rows; they are added up by whoever reads them.
    pub(in crate::stats) rows: Vec<Row<K>>,
    /// Bytes of all, with a row or without.
    pub(in crate::stats) total: Moved,
    /// The most bytes that are missing from the rows of any key.
    pub(in crate::stats) error: u64,
    /// How often a key lost its row.
    pub(in crate::stats) purged: u64,
}

impl<K> Default for List<K> {
    fn default() -> Self {
        Self { rows: Vec::new(), total: Moved::default(), error: 0, purged: 0 }
    }
}

impl<K: Key> List<K> {
    /// Adds all of another list.
    pub(in crate::stats) fn append(&mut self, other: &Self) {
        self.rows.extend_from_slice(&other.rows);
        add(&mut self.total, other.total);
        self.error += other.error;
        self.purged += other.purged;
    }

    /// Brings the rows down to half of `limit` when there are more than `limit`.
    pub(in crate::stats) fn keep_within(&mut self, limit: usize) {
        if self.rows.len() <= limit {
            return;
        }
        self.join_rows();
        if self.rows.len() > limit / 2 {
            self.keep_largest(limit / 2);
        }
    }

    /// Gives each key one row, in the order of keys.
    pub(in crate::stats) fn join_rows(&mut self) {
        self.rows.sort_unstable_by_key(|(key, _)| *key);
        self.rows.dedup_by(|later, row| {
            let same = later.0 == row.0;
            if same {
                add(&mut row.1, later.1);
            }
            same
        });
    }

    /// Keeps the rows of the `count` largest keys; each key must have one row only.
    pub(in crate::stats) fn keep_largest(&mut self, count: usize) {
        if self.rows.len() <= count {
            return;
        }
        // Numbers alone are selected from much faster than rows; of those with the number that falls in between, and
        // there are many where flows are alike, the keys decide.
        let mut sums: Vec<u64> = self.rows.iter().map(|(_, moved)| bytes(moved)).collect();
        let (_, largest_lost, _) = sums.select_nth_unstable_by(count, |one, other| other.cmp(one));
        let lost = *largest_lost;
        let larger = move_to_front(&mut self.rows, |moved| bytes(moved) > lost);
        let tied = larger + move_to_front(&mut self.rows[larger..], |moved| bytes(moved) == lost);
        if count > larger {
            self.rows[larger..tied].select_nth_unstable_by_key(count - larger, |(key, _)| *key);
        }
        self.error += lost;
        self.purged += (self.rows.len() - count) as u64;
        self.rows.truncate(count);
    }

    pub(in crate::stats) fn clear(&mut self) {
        self.rows.clear();
        (self.total, self.error, self.purged) = (Moved::default(), 0, 0);
    }

    pub(in crate::stats) fn is_empty(&self) -> bool {
        self.total == Moved::default()
    }
}
