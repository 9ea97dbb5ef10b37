//! The rows of one flow partition.

use super::Key;
use super::list::{List, Moved, add};
use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

/// A list and the way to its rows.
///
/// Rows are made as keys come. Beyond eight times `limit` all but the largest quarter are purged, and when the list is
/// handed over all but the `limit` largest; so adding is amortised O(1): a purge looks at eight times `limit` rows, and
/// six times as many new keys come before the next.
#[derive(Clone, Debug)]
pub(in crate::stats) struct Summary<K> {
    list: List<K>,
    limit: usize,
    /// Positions of the rows in the list, by key.
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl<K: Key> Summary<K> {
    pub(super) fn new(limit: usize) -> Self {
        let hasher = DefaultHashBuilder::default();
        Self { list: List::default(), limit, index: HashTable::new(), hasher }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Adds to the row of `key`.
    pub(super) fn add(&mut self, key: K, moved: Moved) {
        add(&mut self.list.total, moved);
        let rows = &mut self.list.rows;
        let hash = self.hasher.hash_one(key);
        if let Some(row) = self.index.find(hash, |row| rows[*row as usize].0 == key) {
            return add(&mut rows[*row as usize].1, moved);
        }
        // Far fewer rows than that fit the bounds of a tally.
        let Ok(row) = u32::try_from(rows.len()) else { return };
        rows.push((key, moved));
        self.index.insert_unique(hash, row, |row| self.hasher.hash_one(rows[*row as usize].0));
        if rows.len() > 8 * self.limit {
            self.purge();
        }
    }

    /// Counts traffic that has no key of this kind.
    pub(super) fn add_unlisted(&mut self, moved: Moved) {
        add(&mut self.list.total, moved);
    }

    fn purge(&mut self) {
        self.list.keep_largest(2 * self.limit);
        self.index.clear();
        let rows = &self.list.rows;
        let hash = |row: &u32| self.hasher.hash_one(rows[*row as usize].0);
        for row in (0..).take(rows.len()) {
            self.index.insert_unique(hash(&row), row, hash);
        }
    }

    /// Appends the largest rows to `all` and begins anew.
    pub(super) fn hand_over(&mut self, all: &mut List<K>) {
        self.list.keep_largest(self.limit);
        all.append(&self.list);
        self.list.clear();
        self.index.clear();
    }
}
