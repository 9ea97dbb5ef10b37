//! The talker tables of the rolling windows.

use super::list::{Moved, Row, add, larger_first};
use super::{Host, KEPT_SHARE, Key, List, Pair, Service, Talkers};
use crate::stats::grid::{Grid, second};
use crate::stats::{Talker, TalkerConfig, TalkerTable};
use crate::time::Tick;
use hashbrown::HashMap;
use std::collections::VecDeque;
use std::time::Duration;

/// The seconds inside the windows, for each kind of key, and the tables made of them.
///
/// Bounds: each length of part in use (one second for all windows up to 60 s, its own for each longer one) keeps at
/// most 60 parts of an eighth of `keys` rows: with the default of 16 384 keys at most 15 MiB. Making a table takes as
/// much again for its time.
#[derive(Debug)]
pub(in crate::stats) struct TalkerWindows {
    windows: Vec<(Duration, Grid)>,
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
        let windows: Vec<_> = lengths.iter().map(|length| (*length, Grid::of(*length))).collect();
        let keep = (config.keys / KEPT_SHARE).max(config.top);
        let grids: Vec<_> = windows.iter().map(|(_, grid)| *grid).collect();
        Self {
            hosts: Rings::new(&grids, keep),
            pairs: Rings::new(&grids, keep),
            services: Rings::new(&grids, keep),
            windows,
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
        self.hosts.open.append(&talkers.hosts);
        self.pairs.open.append(&talkers.pairs);
        self.services.open.append(&talkers.services);
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
        let hosts = self.hosts.tops(self.now, &self.windows, self.top);
        let pairs = self.pairs.tops(self.now, &self.windows, self.top);
        let services = self.services.tops(self.now, &self.windows, self.top);
        let lists = hosts.into_iter().zip(pairs).zip(services);
        self.windows
            .iter()
            .zip(lists)
            .map(|((length, _), ((hosts, pairs), ports))| TalkerTable {
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
    /// The second that is being handed over.
    open: List<K>,
    rings: Vec<Ring<K>>,
    keep: usize,
    purged: u64,
}

impl<K: Key> Rings<K> {
    fn new(grids: &[Grid], keep: usize) -> Self {
        let mut rings: Vec<Ring<K>> = Vec::new();
        for grid in grids {
            match rings.iter_mut().find(|ring| ring.grid.unit == grid.unit) {
                Some(ring) => ring.grid = ring.grid.max(*grid),
                None => rings.push(Ring { grid: *grid, parts: VecDeque::new() }),
            }
        }
        Self { open: List::default(), rings, keep, purged: 0 }
    }

    fn close(&mut self, second: u64) {
        if self.open.is_empty() {
            return;
        }
        self.open.join_rows();
        self.open.keep_largest(self.keep);
        self.open.rows.sort_unstable_by_key(|(key, _)| *key);
        self.purged += self.open.purged;
        for ring in &mut self.rings {
            self.purged += ring.add(second, &self.open, self.keep);
        }
        self.open.clear();
    }

    fn expire(&mut self, now: u64) {
        self.rings.iter_mut().for_each(|ring| ring.expire(now));
    }

    fn restart(&mut self) {
        self.rings.iter_mut().for_each(|ring| ring.parts.clear());
    }

    fn tops(&self, now: u64, windows: &[(Duration, Grid)], top: usize) -> Vec<Top> {
        let of_unit = |unit| windows.iter().map(|(_, grid)| *grid).filter(move |grid| grid.unit == unit);
        self.rings.iter().flat_map(|ring| ring.tops(now, of_unit(ring.grid.unit), top)).collect()
    }
}

/// Parts of equal length, oldest first; those of the longest window with this length of part.
#[derive(Debug)]
struct Ring<K> {
    grid: Grid,
    parts: VecDeque<(u64, List<K>)>,
}

impl<K: Key> Ring<K> {
    /// Adds a closed second; returns how many keys lost their row for it.
    fn add(&mut self, second: u64, list: &List<K>, keep: usize) -> u64 {
        let part = self.grid.part(second);
        match self.parts.back_mut() {
            Some((last, sum)) if *last == part => {
                let before = sum.purged + list.purged;
                sum.append(list);
                sum.join_rows();
                sum.keep_largest(keep);
                sum.purged - before
            }
            _ => {
                self.parts.push_back((part, list.clone()));
                0
            }
        }
    }

    fn expire(&mut self, now: u64) {
        let now = self.grid.part(now);
        while self.parts.front().is_some_and(|(part, _)| self.grid.has_left(*part, now)) {
            self.parts.pop_front();
        }
    }

    /// The tops of the windows on this ring, ascending: each goes on where the shorter one before it stopped.
    fn tops(&self, now: u64, grids: impl Iterator<Item = Grid>, top: usize) -> impl Iterator<Item = Top> {
        let now = self.grid.part(now);
        let mut parts = self.parts.iter().rev().peekable();
        let mut sums = Sums { rows: HashMap::new(), total: Moved::default(), error: 0 };
        grids.map(move |grid| {
            while let Some((_, list)) = parts.next_if(|(part, _)| !grid.has_left(*part, now)) {
                sums.add(list);
            }
            sums.top(top)
        })
    }
}

/// Parts of a window added up.
struct Sums<K> {
    rows: HashMap<K, Moved>,
    total: Moved,
    error: u64,
}

impl<K: Key> Sums<K> {
    fn add(&mut self, list: &List<K>) {
        for (key, moved) in &list.rows {
            add(self.rows.entry(*key).or_default(), *moved);
        }
        add(&mut self.total, list.total);
        self.error += list.error;
    }

    fn top(&self, count: usize) -> Top {
        let mut rows: Vec<Row<K>> = self.rows.iter().map(|(key, moved)| (*key, *moved)).collect();
        if rows.len() > count {
            rows.select_nth_unstable_by(count, larger_first);
            rows.truncate(count);
        }
        rows.sort_unstable_by(larger_first);
        let mut other = self.total;
        for (_, moved) in &rows {
            other[0] -= moved[0];
            other[1] -= moved[1];
        }
        let shown = |(key, [from_bytes, to_bytes]): &Row<K>| Talker {
            key: key.shown(),
            from_bytes: *from_bytes,
            to_bytes: *to_bytes,
        };
        Top { rows: rows.iter().map(shown).collect(), other, error: self.error }
    }
}

/// The largest rows of a window and what is known of the rest.
#[derive(Debug)]
struct Top {
    rows: Vec<Talker>,
    other: Moved,
    error: u64,
}
