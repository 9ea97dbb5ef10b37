//! One partition of the flow table: records in a slab, found by an index, ended by a wheel, bounded by a cap.
//!
//! A partition is complete in itself and sees its packets in the order of capture whatever the number of shards, so
//! everything here that depends on order (which record is evicted, in which order deltas are drained) does not.

#![expect(clippy::cast_possible_truncation, reason = "slots are numbered in 31 bits, which the rules see to")]

mod evict;
mod live;

pub use live::LiveFlow;

use super::expiry::{Linked, Links, Wheel};
use super::health::proceeds;
use super::index::{Index, NONE};
use super::key::{Narrow, Sender, Wide};
use super::prefetch::prefetch;
use super::record::{FREE, FlowDelta, LISTED, Record, Rest, Stage, Total};
use super::report::report;
use super::rtt::RoundTrips;
use super::rules::Rules;
use super::slots::SlotSet;
use super::tcp::{Connection, Failure, Outcome, is_reused_by};
use super::{EndReason, Event, FlowKey, FlowRecord, HashKey, Listener, Phase, State, Victim};
use crate::packet::{Header, ParsedPacket, TcpSegment, flag};

/// A packet with its key worked out, and where its record probably is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Prepared {
    pub(super) narrow: Narrow,
    pub(super) hash: u64,
    pub(super) hint: u32,
    pub(super) sender: Sender,
    /// Its key has a [`Wide`] part.
    pub(super) is_wide: bool,
    /// Its table among those of the tracker.
    pub(super) table: usize,
}

impl Prepared {
    /// Works out all but the places; `false` for packets that make no flow.
    #[inline]
    pub(super) fn set(&mut self, packet: &ParsedPacket, hash: &HashKey) -> bool {
        if !packet.is_plain {
            return self.set_any(packet, hash);
        }
        (self.narrow, self.sender) = Narrow::of_plain(packet);
        self.hash = hash.hash_words(self.narrow.words());
        self.is_wide = false;
        true
    }

    #[inline(never)]
    fn set_any(&mut self, packet: &ParsedPacket, hash: &HashKey) -> bool {
        let Some((key, sender)) = FlowKey::of(packet) else { return false };
        (self.narrow, self.sender) = (Narrow::of(&key), sender);
        self.hash = hash.hash(&key);
        self.is_wide = key.is_wide();
        true
    }
}

/// How many records ahead of the one that is drained are asked for: their totals were not touched for a second.
const AHEAD: usize = 32;

/// One partition. What every packet reads of it comes first, in one cache line, since packets go from one partition to
/// another all the time.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Table {
    records: Vec<Record>,
    index: Index,
    number: usize,
    hash: HashKey,
    /// By slot, as the records.
    totals: Vec<Total>,
    /// By slot, as the records.
    rests: Vec<Rest>,
    /// By slot, up to the last flow that has such a part of its key: none where all is IPv4 without tags.
    wides: Vec<Wide>,
    /// When each record was made, in ticks; empty without an active timeout.
    opened: Vec<u32>,
    /// Round trips under way; empty unless configured.
    round_trips: Vec<RoundTrips>,
    free: Vec<u32>,
    wheel: Wheel,
    half_open: SlotSet,
    /// Where the search for a victim goes on.
    hand: u32,
    /// Slots with a delta, in the order of their first packet since the last drain.
    listed: Vec<u32>,
}

const _: () = assert!(std::mem::offset_of!(Table, number) <= 64);

impl Linked for Vec<Rest> {
    #[inline]
    fn links(&mut self, slot: u32) -> &mut Links {
        &mut self[slot as usize].links
    }
}

impl Table {
    pub(super) fn new(number: usize, hash: HashKey, rules: &Rules) -> Self {
        Self {
            number,
            hash,
            // Reserved, not touched: memory becomes resident as records are made.
            records: Vec::with_capacity(rules.cap),
            totals: Vec::with_capacity(rules.cap),
            rests: Vec::with_capacity(rules.cap),
            wides: Vec::new(),
            opened: Vec::new(),
            round_trips: Vec::new(),
            free: Vec::new(),
            index: Index::new(),
            wheel: Wheel::new(),
            half_open: SlotSet::default(),
            hand: 0,
            listed: Vec::new(),
        }
    }

    /// Forgets what is not kept under new rules, so that nothing old is found if it is kept again.
    pub(super) fn follow(&mut self, rules: &Rules) {
        if rules.active.is_none() {
            self.opened = Vec::new();
        }
        if !rules.continuous_rtt {
            self.round_trips = Vec::new();
        }
    }

    /// Asks for the place of the index that a hash is looked up at.
    #[inline]
    pub(super) fn prefetch_index(&self, hash: u64) {
        self.index.prefetch(hash);
    }

    /// The slot that the index names first for a packet, whose record is asked for.
    #[inline]
    pub(super) fn hint(&self, prepared: &Prepared) -> u32 {
        let slot = self.index.hint(prepared.hash);
        prefetch(&self.records, slot as usize);
        if prepared.is_wide {
            prefetch(&self.wides, slot as usize);
        }
        slot
    }

    pub(super) fn len(&self) -> usize {
        self.records.len() - self.free.len()
    }

    pub(super) fn probe_max(&self) -> u32 {
        self.index.probe_max()
    }

    /// Bytes of memory that hold flows.
    pub(super) fn memory(&self) -> usize {
        self.records.len() * (size_of::<Record>() + size_of::<Total>() + size_of::<Rest>())
            + self.wides.len() * size_of::<Wide>()
            + self.index.memory()
            + self.half_open.memory()
            + self.opened.capacity() * size_of::<u32>()
            + self.round_trips.capacity() * size_of::<RoundTrips>()
            + (self.free.capacity() + self.listed.capacity()) * size_of::<u32>()
    }

    /// Folds one packet of tick `tick` into its record.
    #[inline]
    pub(super) fn observe(
        &mut self,
        rules: &Rules,
        tick: u32,
        prepared: &Prepared,
        packet: &ParsedPacket,
        listener: &mut impl Listener,
    ) {
        let record = self.records.get_mut(prepared.hint as usize);
        if !rules.continuous_rtt && record.is_some_and(|record| record.proceeds(rules, tick, prepared, packet)) {
            self.list(prepared.hint);
        } else {
            self.observe_any(rules, tick, prepared, packet, listener);
        }
    }

    /// The same for any packet.
    #[inline(never)]
    fn observe_any(
        &mut self,
        rules: &Rules,
        tick: u32,
        prepared: &Prepared,
        packet: &ParsedPacket,
        listener: &mut impl Listener,
    ) {
        let slot = self.find(prepared, packet);
        if slot == NONE {
            self.open(rules, tick, prepared, packet, listener);
        } else if self.is_reused(rules, slot, prepared.sender, packet) {
            let reason = self.records[slot as usize].end_reason(EndReason::Idle);
            self.end(slot, reason, listener);
            self.open(rules, tick, prepared, packet, listener);
        } else {
            self.update(rules, slot, tick, prepared.sender, packet, listener);
        }
    }

    #[inline]
    fn find(&self, prepared: &Prepared, packet: &ParsedPacket) -> u32 {
        let is = |slot: u32| {
            self.records.get(slot as usize).is_some_and(|record| record.is_of(prepared.narrow, prepared.is_wide))
                && (!prepared.is_wide || self.is_wide_part(slot, packet))
        };
        if is(prepared.hint) { prepared.hint } else { self.index.find(prepared.hash, is) }
    }

    /// Whether the wide part of a record's key is that of the packet's.
    #[inline(never)]
    fn is_wide_part(&self, slot: u32, packet: &ParsedPacket) -> bool {
        FlowKey::of(packet).is_some_and(|(key, _)| self.wides.get(slot as usize) == Some(&Wide::of(&key)))
    }

    #[inline]
    fn is_reused(&self, rules: &Rules, slot: u32, sender: Sender, packet: &ParsedPacket) -> bool {
        if packet.is_plain {
            return false;
        }
        let Header::Tcp(segment) = &packet.header else { return false };
        if segment.flags & flag::SYN == 0 {
            return false;
        }
        let record = &self.records[slot as usize];
        let seen = rules.seen(sender, record.initiator(), segment, packet);
        let silence = packet.timestamp.nanos_since(record.last_seen);
        let sent = self.totals[slot as usize][sender as usize] + u64::from(record.delta[sender as usize]);
        is_reused_by(&record.halves, record.state, &seen, silence, sent)
    }

    /// Makes a record of a packet.
    #[inline(never)]
    fn open(
        &mut self,
        rules: &Rules,
        tick: u32,
        prepared: &Prepared,
        packet: &ParsedPacket,
        listener: &mut impl Listener,
    ) {
        // A packet that was prepared has a key.
        let Some((key, _)) = FlowKey::of(packet) else { return };
        if self.len() >= rules.cap {
            self.make_room(rules, tick, listener);
        }
        let (record, rest) = Record::new(rules, tick, prepared, packet);
        let state = record.state;
        let slot = self.store(rules, tick, record, rest);
        if prepared.is_wide {
            self.store_wide(rules, slot, Wide::of(&key));
        }
        if self.records[slot as usize].is_half_open() {
            self.half_open.insert(slot);
        }
        self.list(slot);
        self.index.insert(prepared.hash, slot);
        let deadline = self.deadline(rules, slot);
        self.wheel.link(&mut self.rests, slot, deadline);
        let (interface, transport) = (packet.interface, key.transport());
        listener.on(Event::Opened { interface, transport });
        listener.on(Event::StateChanged { interface, transport, from: None, to: Some(state) });
        if state == State::Closed {
            listener.on(Event::Reset { interface, phase: Phase::Established });
        }
        if let (Some(round_trips), Header::Tcp(segment)) = (self.round_trips.get_mut(slot as usize), &packet.header) {
            round_trips.observe(prepared.sender, segment, packet, false);
        }
    }

    /// Puts a record into a free slot or a new one.
    fn store(&mut self, rules: &Rules, tick: u32, mut record: Record, rest: Rest) -> u32 {
        let slot = if let Some(slot) = self.free.pop() {
            record.marks |= self.records[slot as usize].marks & LISTED;
            self.records[slot as usize] = record;
            self.totals[slot as usize] = Total::default();
            self.rests[slot as usize] = rest;
            slot
        } else {
            self.records.push(record);
            self.totals.push(Total::default());
            self.rests.push(rest);
            (self.records.len() - 1) as u32
        };
        if rules.active.is_some() {
            // Records of before an active timeout was set count from now on.
            self.opened.resize(self.records.len(), tick);
            self.opened[slot as usize] = tick;
        }
        if rules.continuous_rtt {
            self.round_trips.resize(self.records.len(), RoundTrips::default());
            self.round_trips[slot as usize] = RoundTrips::default();
        }
        slot
    }

    /// Puts the wide part of a key beside its record.
    fn store_wide(&mut self, rules: &Rules, slot: u32, wide: Wide) {
        let slot = slot as usize;
        if slot >= self.wides.len() {
            // Reserved, not touched, as the records are.
            self.wides.reserve_exact(rules.cap.saturating_sub(self.wides.len()));
            self.wides.resize(slot + 1, Wide::default());
        }
        self.wides[slot] = wide;
    }

    #[inline]
    fn list(&mut self, slot: u32) {
        let record = &mut self.records[slot as usize];
        if record.marks & LISTED == 0 {
            record.marks |= LISTED;
            self.listed.push(slot);
        }
    }

    /// Folds a packet into an existing record.
    #[inline]
    fn update(
        &mut self,
        rules: &Rules,
        slot: u32,
        tick: u32,
        sender: Sender,
        packet: &ParsedPacket,
        listener: &mut impl Listener,
    ) {
        let record = &mut self.records[slot as usize];
        let before = record.stage();
        record.active = tick;
        if packet.timestamp >= record.last_seen {
            record.last_seen = packet.timestamp;
        } else {
            let rest = &mut self.rests[slot as usize];
            rest.first_seen = rest.first_seen.min(packet.timestamp);
        }
        let (bytes_full, packets_full) = record.is_full(sender, packet.wire_len);
        if packets_full {
            record.carry_packets(&mut self.rests[slot as usize]);
        }
        if bytes_full {
            self.spill(slot, listener);
        }
        self.records[slot as usize].count(sender, packet.wire_len);
        self.list(slot);
        if let Header::Tcp(segment) = &packet.header {
            self.update_tcp(rules, slot, sender, segment, packet, listener);
        }
        if self.records[slot as usize].stage() != before {
            self.change(rules, slot, before, packet, listener);
        }
    }

    #[inline]
    fn update_tcp(
        &mut self,
        rules: &Rules,
        slot: u32,
        sender: Sender,
        segment: &TcpSegment,
        packet: &ParsedPacket,
        listener: &mut impl Listener,
    ) {
        let record = &mut self.records[slot as usize];
        let seen = rules.seen(sender, record.initiator(), segment, packet);
        let rest = &mut self.rests[slot as usize];
        let mut connection = Connection { halves: &mut record.halves, past: &mut rest.past };
        let mut is_retransmitted = false;
        if record.state != State::Open || !proceeds(connection.halves, &seen) {
            // Filled in place: a returned one would be copied in other sizes than it was written, which stalls.
            let mut outcome = Outcome::default();
            record.state = connection.observe(record.state, &seen, &mut outcome);
            if !outcome.is_nothing() {
                if outcome.reset.is_some() {
                    record.closed_by_reset(outcome.failed == Some(Failure::Rejected));
                }
                is_retransmitted = outcome.retransmitted.is_some();
                let first_seen = rest.first_seen;
                report(&self.key(slot), first_seen, packet, &outcome, listener);
            }
        }
        if let Some(round_trips) = self.round_trips.get_mut(slot as usize)
            && let Some(nanos) = round_trips.observe(sender, segment, packet, is_retransmitted)
        {
            listener.on(Event::Rtt { interface: packet.interface, nanos });
        }
    }

    /// Follows a record into another state, or into both directions; a shorter timeout takes effect at once.
    #[inline(never)]
    fn change(&mut self, rules: &Rules, slot: u32, before: Stage, packet: &ParsedPacket, listener: &mut impl Listener) {
        let (from, was_half_open) = (before.state, before.is_half_open());
        if was_half_open && !self.records[slot as usize].is_half_open() {
            self.half_open.remove(slot);
        }
        let record = &self.records[slot as usize];
        let before = rules.idle_timeout_in(from, was_half_open, record.narrow.transport());
        // A later deadline needs no new place on the wheel: the record is looked at early and linked again.
        if rules.idle_timeout(record) < before {
            self.wheel.unlink(&mut self.rests, slot);
            let deadline = self.deadline(rules, slot);
            self.wheel.link(&mut self.rests, slot, deadline);
        }
        let record = &self.records[slot as usize];
        if record.state != from {
            let (interface, transport) = (packet.interface, record.narrow.transport());
            listener.on(Event::StateChanged { interface, transport, from: Some(from), to: Some(record.state) });
        }
    }

    /// The last tick in which a record lives without another packet.
    fn deadline(&self, rules: &Rules, slot: u32) -> u32 {
        let idle = idle_deadline(rules, &self.records[slot as usize]);
        match (rules.active, self.opened.get(slot as usize)) {
            (Some(active), Some(opened)) => idle.min(opened.saturating_add(active)),
            _ => idle,
        }
    }

    /// Ends every record whose deadline is not after `tick`.
    pub(super) fn expire(&mut self, rules: &Rules, tick: u32, listener: &mut impl Listener) {
        if self.wheel.skip(tick) {
            return;
        }
        while let Some(slot) = self.wheel.next_due(&mut self.rests, tick) {
            let deadline = self.deadline(rules, slot);
            if deadline > self.wheel.now() {
                self.wheel.link(&mut self.rests, slot, deadline);
                continue;
            }
            let record = &self.records[slot as usize];
            let is_idle = idle_deadline(rules, record) <= deadline;
            let reason = record.end_reason(if is_idle { EndReason::Idle } else { EndReason::ActiveTimeout });
            self.end_unlinked(slot, reason, listener);
        }
    }

    /// The first tick at which [`Table::expire`] may have something to do.
    pub(super) fn next_event(&self) -> Option<u32> {
        self.wheel.next_event()
    }

    fn end(&mut self, slot: u32, reason: EndReason, listener: &mut impl Listener) {
        self.wheel.unlink(&mut self.rests, slot);
        self.end_unlinked(slot, reason, listener);
    }

    /// Ends a record and frees its slot.
    fn end_unlinked(&mut self, slot: u32, reason: EndReason, listener: &mut impl Listener) {
        self.spill(slot, listener);
        let record = &mut self.records[slot as usize];
        if record.is_half_open() {
            self.half_open.remove(slot);
        }
        record.marks |= FREE;
        let ended = self.read(slot, Some(reason));
        let (interface, transport) = (ended.interface(), ended.transport());
        if reason == EndReason::Unanswered {
            listener.on(Event::Failed { interface, reason: Failure::Unanswered });
        }
        listener.on(Event::StateChanged { interface, transport, from: Some(ended.stats.state), to: None });
        listener.on(Event::Closed { record: &ended });
        self.index.remove(self.hash.hash(&ended.key), slot);
        self.free.push(slot);
    }

    /// Ends every record.
    pub(super) fn shutdown(&mut self, listener: &mut impl Listener) {
        for slot in 0..self.records.len() as u32 {
            let record = &self.records[slot as usize];
            if record.is_live() {
                let reason = record.end_reason(EndReason::Shutdown);
                self.end(slot, reason, listener);
            }
        }
    }

    /// Hands a record's delta to the listener.
    #[cold]
    fn spill(&mut self, slot: u32, listener: &mut impl Listener) {
        if let Some(delta) = self.take_delta(slot) {
            listener.on(Event::Moved { partition: self.number, delta: &delta });
        }
    }

    /// Takes out what moved since the last time.
    fn take_delta(&mut self, slot: u32) -> Option<FlowDelta> {
        let record = &mut self.records[slot as usize];
        let low_is_initiator = record.initiator() == Sender::Low;
        let [bytes_from_low, bytes_from_high] = record.take_delta(&mut self.totals[slot as usize])?;
        Some(FlowDelta { key: self.key(slot), low_is_initiator, bytes_from_low, bytes_from_high })
    }

    /// Hands out and clears all deltas, in the order of the flows' first packet since the last time.
    pub(super) fn drain_deltas(&mut self, visit: &mut impl FnMut(usize, FlowDelta)) {
        let listed = std::mem::take(&mut self.listed);
        for (place, &slot) in listed.iter().enumerate() {
            if let Some(&soon) = listed.get(place + AHEAD) {
                prefetch(&self.records, soon as usize);
                prefetch(&self.totals, soon as usize);
            }
            self.records[slot as usize].marks &= !LISTED;
            if let Some(delta) = self.take_delta(slot) {
                visit(self.number, delta);
            }
        }
        self.listed = listed;
        self.listed.clear();
    }

    /// The key of a record.
    fn key(&self, slot: u32) -> FlowKey {
        let record = &self.records[slot as usize];
        if record.is_wide() {
            record.narrow.with(&self.wides[slot as usize])
        } else {
            record.narrow.with(&Wide::default())
        }
    }

    /// A record as readers see it.
    fn read(&self, slot: u32, end_reason: Option<EndReason>) -> FlowRecord {
        let (total, rest) = (&self.totals[slot as usize], &self.rests[slot as usize]);
        self.records[slot as usize].read(total, rest, self.key(slot), end_reason)
    }

    /// The live records in these slots, with their own slot.
    fn live(&self, slots: std::ops::Range<usize>) -> impl Iterator<Item = (u32, &Record)> + '_ {
        let records = self.records.get(slots.clone()).unwrap_or_default();
        slots.map(|slot| slot as u32).zip(records).filter(|(_, record)| record.is_live())
    }

    /// The live records.
    pub(super) fn records(&self) -> impl Iterator<Item = FlowRecord> + '_ {
        self.live(0..self.records.len()).map(|(slot, record)| self.read(slot, record.end_reason_so_far()))
    }

    /// Shows the live flows in these slots; whether there are none behind them.
    pub(super) fn flows_in(&self, slots: std::ops::Range<usize>, visit: &mut impl FnMut(LiveFlow<'_>)) -> bool {
        let (is_last, slots) = (slots.end >= self.records.len(), slots.start..slots.end.min(self.records.len()));
        self.live(slots).for_each(|(slot, _)| visit(LiveFlow { table: self, slot }));
        is_last
    }

    /// The same as a shutdown would end them.
    pub(super) fn ended_records(&self) -> impl Iterator<Item = FlowRecord> + '_ {
        let all = self.live(0..self.records.len());
        all.map(|(slot, record)| self.read(slot, Some(record.end_reason(EndReason::Shutdown))))
    }

    /// Panics if the lists disagree with the records.
    pub(super) fn check(&self) {
        assert_eq!(self.records.iter().filter(|record| record.is_live()).count(), self.len());
        assert_eq!(self.index.len(), self.len());
        let half_open = self.records.iter().filter(|record| record.is_live() && record.is_half_open());
        assert_eq!(half_open.count(), self.half_open.len());
        let listed = self.records.iter().filter(|record| record.marks & LISTED != 0);
        assert_eq!(listed.count(), self.listed.len());
    }
}

fn idle_deadline(rules: &Rules, record: &Record) -> u32 {
    record.active.saturating_add(rules.idle_timeout(record))
}
