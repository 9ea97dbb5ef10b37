//! The talker tables of the rolling windows.

use super::list::{Moved, Row, add, larger_first, subtract};
use super::{Host, KEPT_SHARE, Key, List, Pair, Service, Talkers};
use crate::stats::grid::{Grid, second};
use crate::stats::{Talker, TalkerConfig, TalkerTable};
use crate::time::Tick;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use std::collections::VecDeque;
use std::time::Duration;

/// The seconds inside the windows, for each kind of key, and the tables made of them.
///
/// Bounds: each length of part in use (one second for all windows up to 60 s, its own for each longer one) keeps at
/// most 60 parts of an eighth of `keys` rows, and each window their sums by key: with the default of 16 384 keys at most
/// 15 MiB of parts, and with the default windows 36 MiB of sums, should no key of a second come again in another.
#[derive(Debug)]
pub(in crate::stats) struct TalkerWindows {
    windows: Vec<Duration>,
    hosts: Rings<Host>,
    pairs: Rings<Pair>,
    services: Rings<Service>,
    top: usize,
    now: u64,
    tables: Vec<TalkerTable>,
    stale: bool,
}

impl TalkerWindows {
    /// Empty windows of these lengths, ascending.
    pub(in crate::stats) fn new(lengths: &[Duration], config: TalkerConfig) -> Self {
        let keep = (config.keys / KEPT_SHARE).max(config.top);
        let grids: Vec<_> = lengths.iter().copied().map(Grid::of).collect();
        Self {
            hosts: Rings::new(&grids, keep),
            pairs: Rings::new(&grids, keep),
            services: Rings::new(&grids, keep),
            windows: lengths.to_vec(),
            top: config.top,
            now: 0,
            tables: Vec::new(),
            stale: true,
        }
    }

    /// Adds what a shard handed over at `tick`; it counts in the second that the tick belongs to.
    pub(in crate::stats) fn fold(&mut self, tick: Tick, talkers: &Talkers) {
        if talkers.is_empty() {
            return;
        }
        self.move_to(second(tick).max(self.now));
        self.hosts.fold(&talkers.hosts);
        self.pairs.fold(&talkers.pairs);
        self.services.fold(&talkers.services);
        self.stale = true;
    }

    /// Lets time pass to the end of `tick`. Costs nothing unless a second ends with it.
    pub(in crate::stats) fn advance(&mut self, tick: Tick) {
        let ended = tick.0 / Tick::PER_SECOND;
        if ended > self.now {
            self.move_to(ended);
        }
    }

    fn move_to(&mut self, now: u64) {
        if now != self.now {
            self.close();
            self.now = now;
            self.stale = true;
            self.hosts.expire(now);
            self.pairs.expire(now);
            self.services.expire(now);
        }
    }

    fn close(&mut self) {
        self.hosts.close(self.now);
        self.pairs.close(self.now);
        self.services.close(self.now);
    }

    /// Starts windows empty.
    pub(in crate::stats) fn restart(&mut self, tick: Tick) {
        self.close();
        self.hosts.restart();
        self.pairs.restart();
        self.services.restart();
        self.now = tick.0 / Tick::PER_SECOND;
        self.stale = true;
    }

    /// How often a key lost its row since the start.
    pub(in crate::stats) fn purged(&self) -> u64 {
        self.hosts.purged + self.pairs.purged + self.services.purged
    }

    /// The tables as of the last whole second, by window.
    pub(in crate::stats) fn tables(&mut self) -> &[TalkerTable] {
        if self.stale {
            self.close();
            self.tables = self.make_tables();
            self.stale = false;
        }
        &self.tables
    }

    fn make_tables(&self) -> Vec<TalkerTable> {
        let hosts = self.hosts.tops(self.top);
        let pairs = self.pairs.tops(self.top);
        let services = self.services.tops(self.top);
        let lists = hosts.zip(pairs).zip(services);
        self.windows
            .iter()
            .zip(lists)
            .map(|(length, ((hosts, pairs), ports))| TalkerTable {
                length: *length,
                other: [hosts.other, pairs.other, ports.other],
                error_bound: [hosts.error, pairs.error, ports.error],
                hosts: hosts.rows,
                pairs: pairs.rows,
                ports: ports.rows,
            })
            .collect()
    }
}

/// All that is kept of one kind of key.
#[derive(Debug)]
struct Rings<K> {
    /// The second that is being handed over: rows of one key are joined when it is closed.
    open: List<K>,
    rings: Vec<Ring<K>>,
    keep: usize,
    purged: u64,
}

impl<K: Key> Rings<K> {
    /// For windows on these grids, ascending.
    fn new(grids: &[Grid], keep: usize) -> Self {
        let mut rings: Vec<Ring<K>> = Vec::new();
        for grid in grids.iter().copied() {
            let window = Window { grid, begin: 0, sums: Sums::default() };
            match rings.iter_mut().find(|ring| ring.grid.unit == grid.unit) {
                Some(ring) => {
                    ring.grid = ring.grid.max(grid);
                    ring.windows.push(window);
                }
                None => rings.push(Ring { grid, windows: vec![window], parts: VecDeque::new() }),
            }
        }
        Self { open: List::default(), rings, keep, purged: 0 }
    }

    fn fold(&mut self, list: &List<K>) {
        self.open.append(list);
    }

    fn close(&mut self, second: u64) {
        if self.open.is_empty() {
            return;
        }
        // Most rows are of keys that are not kept: sorting them costs less than finding the place of each in a map.
        let mut list = std::mem::take(&mut self.open);
        list.join_rows();
        list.keep_largest(self.keep);
        self.purged += list.purged;
        for ring in &mut self.rings {
            self.purged += ring.add(second, &list, self.keep);
        }
    }

    fn expire(&mut self, now: u64) {
        self.rings.iter_mut().for_each(|ring| ring.expire(now));
    }

    fn restart(&mut self) {
        self.rings.iter_mut().for_each(Ring::restart);
    }

    /// The tops of all windows, ascending.
    fn tops(&self, top: usize) -> impl Iterator<Item = Top> {
        self.rings.iter().flat_map(|ring| &ring.windows).map(move |window| window.sums.top(top))
    }
}

/// Parts of equal length, oldest first; those of the longest window with this length of part.
#[derive(Debug)]
struct Ring<K> {
    grid: Grid,
    /// Ascending.
    windows: Vec<Window<K>>,
    parts: VecDeque<(u64, List<K>)>,
}

/// The sums of one window. A part is added once and taken away once, so what a second costs does not grow with the
/// length of the window.
#[derive(Debug)]
struct Window<K> {
    grid: Grid,
    /// Parts before this one were taken away.
    begin: u64,
    sums: Sums<K>,
}

impl<K: Key> Ring<K> {
    /// Adds a closed second, which no window has left yet; returns how many keys lost their row for it.
    fn add(&mut self, second: u64, list: &List<K>, keep: usize) -> u64 {
        let part = self.grid.part(second);
        match self.parts.back_mut() {
            Some((last, sum)) if *last == part => {
                let before = sum.purged + list.purged;
                self.windows.iter_mut().for_each(|window| window.sums.subtract(sum));
                sum.append(list);
                sum.join_rows();
                sum.keep_largest(keep);
                self.windows.iter_mut().for_each(|window| window.sums.add(sum));
                sum.purged - before
            }
            _ => {
                self.windows.iter_mut().for_each(|window| window.sums.add(list));
                self.parts.push_back((part, list.clone()));
                0
            }
        }
    }

    fn expire(&mut self, now: u64) {
        let now = self.grid.part(now);
        for window in &mut self.windows {
            window.expire(now, &self.parts);
        }
        while self.parts.front().is_some_and(|(part, _)| self.grid.has_left(*part, now)) {
            self.parts.pop_front();
        }
    }

    fn restart(&mut self) {
        self.parts.clear();
        for window in &mut self.windows {
            (window.begin, window.sums) = (0, Sums::default());
        }
    }
}

impl<K: Key> Window<K> {
    /// Takes the parts away that have left.
    fn expire(&mut self, now: u64, parts: &VecDeque<(u64, List<K>)>) {
        let first = parts.partition_point(|(part, _)| *part < self.begin);
        let left = parts.range(first..).take_while(|(part, _)| self.grid.has_left(*part, now));
        for (part, list) in left {
            self.sums.subtract(list);
            self.begin = part + 1;
        }
    }
}

/// Lists added up.
#[derive(Debug)]
struct Sums<K> {
    rows: HashMap<K, Moved>,
    total: Moved,
    error: u64,
}

impl<K> Default for Sums<K> {
    fn default() -> Self {
        Self { rows: HashMap::new(), total: Moved::default(), error: 0 }
    }
}

impl<K: Key> Sums<K> {
    fn add(&mut self, list: &List<K>) {
        for (key, moved) in &list.rows {
            add(self.rows.entry(*key).or_default(), *moved);
        }
        add(&mut self.total, list.total);
        self.error += list.error;
    }

    /// Takes away what was added, all of it.
    fn subtract(&mut self, list: &List<K>) {
        for (key, moved) in &list.rows {
            let Entry::Occupied(mut row) = self.rows.entry(*key) else { continue };
            subtract(row.get_mut(), *moved);
            if *row.get() == Moved::default() {
                row.remove();
            }
        }
        subtract(&mut self.total, list.total);
        self.error -= list.error;
    }

    fn top(&self, count: usize) -> Top {
        let rows = self.largest(count);
        let mut other = self.total;
        rows.iter().for_each(|(_, moved)| subtract(&mut other, *moved));
        let shown = |(key, [from_bytes, to_bytes]): &Row<K>| Talker {
            key: key.shown(),
            from_bytes: *from_bytes,
            to_bytes: *to_bytes,
        };
        Top { rows: rows.iter().map(shown).collect(), other, error: self.error }
    }

    /// The largest rows, in their order. Most rows are looked at and left: only what is larger than the least of those
    /// found so far is copied.
    fn largest(&self, count: usize) -> Vec<Row<K>> {
        let (room, mut least) = (2 * count.max(1), None);
        let mut rows: Vec<Row<K>> = Vec::with_capacity(room);
        for row in self.rows.iter().map(|(key, moved)| (*key, *moved)) {
            if least.is_some_and(|least| larger_first(&least, &row).is_lt()) {
                continue;
            }
            rows.push(row);
            if rows.len() == room {
                rows.select_nth_unstable_by(room / 2, larger_first);
                rows.truncate(room / 2);
                least = rows.iter().copied().max_by(larger_first);
            }
        }
        rows.sort_unstable_by(larger_first);
        rows.truncate(count);
        rows
    }
}

/// The largest rows of a window and what is known of the rest.
#[derive(Debug)]
struct Top {
    rows: Vec<Talker>,
    other: Moved,
    error: u64,
}
