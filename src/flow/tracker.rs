//! The tracker: batches of packets in, partitions and packet time kept, events out.

use super::expiry::Wheel;
use super::hash::{self, HashKey};
use super::record::FlowDelta;
use super::rules::{self, Rules};
use super::table::{LiveFlow, Prepared, Table};
use super::{Config, Event, FlowRecord, Listener, Untracked};
use crate::packet::{Attribution, ParsedPacket};
use crate::time::{Step, Tick};
use std::ops::Range;

/// Folds packets into flow records.
///
/// Owns the partitions it was made for; the packets given to it must belong there. Time is given in ticks of the
/// packet clock; inside, ticks are counted from the first one and steps of the clock are taken out, so that a step
/// ends no flow.
///
/// Bounds: at most `Config::max / 64` records in each partition (or what [`ConnectionTracker::set_max`] says later), 128
/// bytes each, 32 more where a partition has seen IPv6 or VLAN tags, and 8 to 22 bytes of index; a full partition evicts,
/// counted by victim. Amortised O(1) for each packet.
///
/// ```
/// use netmon::flow::{Config, ConnectionTracker, Event, HashKey, Listener, PARTITIONS};
///
/// struct Opened(usize);
/// impl Listener for Opened {
///     fn on(&mut self, event: Event<'_>) {
///         self.0 += usize::from(matches!(event, Event::Opened { .. }));
///     }
/// }
/// let mut tracker = ConnectionTracker::new(Config::default(), HashKey::FIXED, 0..PARTITIONS);
/// let mut opened = Opened(0);
/// tracker.observe(netmon::time::Tick(1), &[], &mut opened);
/// assert_eq!((tracker.len(), opened.0), (0, 0));
/// ```
#[derive(Debug)]
pub struct ConnectionTracker {
    hash: HashKey,
    rules: Rules,
    first_partition: usize,
    tables: Vec<Table>,
    /// Ticks that time steps added to the clock.
    stepped: i64,
    /// The tick, steps left out, that counts as 0 in our own count.
    origin: Option<i64>,
    /// The last tick of our own count that is over.
    passed: u32,
    /// Room for what is worked out of a chunk of packets.
    prepared: Box<[Prepared]>,
}

/// Packets whose memory is asked for together: few enough that all of it stays in the first cache.
const CHUNK: usize = 64;

impl ConnectionTracker {
    /// An empty tracker for these of the [`PARTITIONS`](super::PARTITIONS).
    pub fn new(config: Config, hash: HashKey, partitions: Range<usize>) -> Self {
        let rules = Rules::new(&config);
        let first_partition = partitions.start;
        let tables = partitions.map(|number| Table::new(number, hash, &rules)).collect();
        let prepared = vec![Prepared::default(); CHUNK].into_boxed_slice();
        Self { hash, rules, first_partition, tables, stepped: 0, origin: None, passed: 0, prepared }
    }

    /// Folds packets in order. `tick` is the packet clock's, in which all of them count.
    ///
    /// Much of the cost is waiting for memory, so it is asked for before it is needed: of a chunk of packets first the
    /// places in the index, then the records. All at once, since a processor holds up what comes after until it has
    /// found the page, but finds several pages at a time.
    pub fn observe(&mut self, tick: Tick, packets: &[ParsedPacket], listener: &mut impl Listener) {
        self.advance(tick, listener);
        let now = self.own(tick);
        let mut prepared = std::mem::take(&mut self.prepared);
        for packets in packets.chunks(CHUNK) {
            let prepared = &mut prepared[..packets.len()];
            self.prepare(packets, prepared, listener);
            prepared.iter_mut().for_each(|prepared| self.find(prepared));
            for (packet, prepared) in packets.iter().zip(prepared) {
                if let Some(table) = self.tables.get_mut(prepared.table) {
                    table.observe(&self.rules, now, prepared, packet, listener);
                }
            }
        }
        self.prepared = prepared;
    }

    /// Works out keys and hashes, and asks for their places in the index.
    #[inline]
    fn prepare(&self, packets: &[ParsedPacket], prepared: &mut [Prepared], listener: &mut impl Listener) {
        for (packet, prepared) in packets.iter().zip(prepared) {
            if !prepared.set(packet, &self.hash) {
                prepared.table = NO_TABLE;
                untracked(packet, listener);
                continue;
            }
            prepared.table = hash::partition(prepared.hash) - self.first_partition;
            if let Some(table) = self.tables.get(prepared.table) {
                table.prefetch_index(prepared.hash);
            }
        }
    }

    /// Looks into the index and asks for the record.
    #[inline]
    fn find(&self, prepared: &mut Prepared) {
        if let Some(table) = self.tables.get(prepared.table) {
            prepared.hint = table.hint(prepared);
        }
    }

    /// Lets time pass up to the beginning of `tick`: every record whose deadline is before it ends.
    pub fn advance(&mut self, tick: Tick, listener: &mut impl Listener) {
        // On the wheels' grid, so that records end in the same order whichever tick came first.
        let first = tick.0.cast_signed().saturating_sub(self.stepped).saturating_sub(1);
        self.origin.get_or_insert(first & !i64::from(Wheel::ROUND - 1));
        let passed = self.own(tick) - 1;
        if passed <= self.passed {
            return;
        }
        self.passed = passed;
        self.tables.iter_mut().for_each(|table| table.expire(&self.rules, passed, listener));
    }

    /// The first tick at whose beginning [`ConnectionTracker::advance`] may end a record; `None` if there is nothing
    /// to end. Meant for skipping silence: it looks at every partition.
    pub fn next_due(&self) -> Option<Tick> {
        let event = self.tables.iter().filter_map(Table::next_event).min()?;
        self.origin.map(|origin| Tick((self.stepped + origin + i64::from(event) + 1).cast_unsigned()))
    }

    /// Takes a time step: timers are shifted by it, no record ends.
    pub fn step(&mut self, step: Step) {
        let ticks = |at| Tick::of(at).0.cast_signed();
        self.stepped += ticks(step.to) - ticks(step.from);
    }

    /// Changes the cap: each partition holds a 64th of `max`, one record at least. For live capture, whose interfaces
    /// share one limit; a replay that did this would depend on when.
    ///
    /// Nothing ends at once: a partition above its cap evicts a few records for each one it makes, counted by victim as
    /// always, until it is below; silence brings it down by timeouts alone. Memory that was in use stays in use.
    ///
    /// A partition that outgrows the cap it was made with copies its records to a larger place, once for each doubling.
    /// A tracker that is made with the largest `max` it may get never does: that memory is reserved, not touched.
    pub fn set_max(&mut self, max: usize) {
        self.rules.cap = rules::share(max);
    }

    /// Takes the timeouts, the reorder limit and whether round trips are measured from `config`; its `max` stays with
    /// [`ConnectionTracker::set_max`].
    ///
    /// Records of before are looked at no later than their old deadline, and live on or end by the new timeouts then:
    /// a longer timeout holds at once, a shorter one at the latest after the old one. A new active timeout counts from
    /// the first flow made after it for those that were there.
    pub fn set_rules(&mut self, config: &Config) {
        let cap = self.rules.cap;
        self.rules = Rules::new(config);
        self.rules.cap = cap;
        self.tables.iter_mut().for_each(|table| table.follow(&self.rules));
    }

    /// Ends every record: with its own reason where its history gives one, else with `shutdown`.
    pub fn shutdown(&mut self, listener: &mut impl Listener) {
        self.tables.iter_mut().for_each(|table| table.shutdown(listener));
    }

    /// Hands out and clears the bytes that flows moved since the last call: partition by partition, in the order of
    /// the flows' first packet since then. What ended flows moved went to the listener as [`Event::Moved`].
    pub fn drain_deltas(&mut self, mut visit: impl FnMut(usize, FlowDelta)) {
        (0..self.tables.len()).for_each(|table| self.drain_deltas_of(table, &mut visit));
    }

    /// The same of one of its partitions, from 0: with many flows something else may be due in between.
    pub fn drain_deltas_of(&mut self, table: usize, mut visit: impl FnMut(usize, FlowDelta)) {
        if let Some(table) = self.tables.get_mut(table) {
            table.drain_deltas(&mut visit);
        }
    }

    /// The live records, partition by partition.
    pub fn records(&self) -> impl Iterator<Item = FlowRecord> + '_ {
        self.tables.iter().flat_map(Table::records)
    }

    /// Shows the live flows in the next `slots` places, and whether these were the last.
    ///
    /// A flow stays in its place while it lives, so one that lives from the first call to the last is shown once,
    /// whatever else begins and ends between calls.
    pub fn scan(&self, from: &mut Place, slots: usize, visit: &mut impl FnMut(LiveFlow<'_>)) -> bool {
        let Some(table) = self.tables.get(from.table) else { return true };
        let end = from.slot.saturating_add(slots);
        let is_last = table.flows_in(from.slot..end, visit);
        *from = if is_last { Place { table: from.table + 1, slot: 0 } } else { Place { slot: end, ..*from } };
        from.table >= self.tables.len()
    }

    /// The live records as [`ConnectionTracker::shutdown`] would end them.
    pub fn ended_records(&self) -> impl Iterator<Item = FlowRecord> + '_ {
        self.tables.iter().flat_map(Table::ended_records)
    }

    /// Number of live records.
    pub fn len(&self) -> usize {
        self.tables.iter().map(Table::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The longest probe of an insertion so far, in places of the index.
    pub fn probe_length_max(&self) -> u32 {
        self.tables.iter().map(Table::probe_max).max().unwrap_or(0)
    }

    /// Bytes of memory that hold flows: records in use, their index and lists.
    pub fn memory(&self) -> usize {
        self.tables.iter().map(Table::memory).sum()
    }

    /// Panics if the books of a partition disagree with its records; for tests.
    #[doc(hidden)]
    pub fn check(&self) {
        self.tables.iter().for_each(Table::check);
    }

    /// A tick of the packet clock in our own count, which stands still after thirteen years.
    fn own(&self, tick: Tick) -> u32 {
        let since = tick.0.cast_signed().saturating_sub(self.stepped).saturating_sub(self.origin.unwrap_or_default());
        u32::try_from(since.clamp(1, LAST_TICK)).unwrap_or(u32::MAX)
    }
}

/// Where a scan of the records goes on; the beginning by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    table: usize,
    slot: usize,
}

impl Place {
    /// The beginning of the `table`th partition of a tracker.
    pub const fn of_table(table: usize) -> Self {
        Self { table, slot: 0 }
    }
}

/// No table: the packet joins no flow.
const NO_TABLE: usize = usize::MAX;

/// Our own count of ticks ends where the wheels' next rounds still fit in 32 bits.
const LAST_TICK: i64 = (u32::MAX - 2 * Wheel::ROUND) as i64;

fn untracked(packet: &ParsedPacket, listener: &mut impl Listener) {
    match packet.attribution {
        Attribution::LaterFragment => listener.on(Event::Untracked { reason: Untracked::Fragment }),
        Attribution::NotIp => listener.on(Event::Untracked { reason: Untracked::NotIp }),
        // Counted as a reject or as truncated already.
        Attribution::Unreadable | Attribution::Ports | Attribution::Portless => {}
    }
}
