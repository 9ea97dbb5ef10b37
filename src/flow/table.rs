//! One partition of the flow table: records in a slab, found by an index, ended by a wheel, bounded by a cap.
//!
//! A partition is complete in itself and sees its packets in the order of capture whatever the number of shards, so
//! everything here that depends on order (which record is evicted, in which order deltas are drained) does not.

#![expect(clippy::cast_possible_truncation, reason = "slots are numbered in 31 bits, which the rules see to")]

mod evict;

use super::expiry::{Linked, Links, Wheel};
use super::index::{Index, NONE};
use super::key::Sender;
use super::prefetch::{prefetch, prefetch_line_of};
use super::record::{FREE, FlowDelta, LISTED, Record, Rest};
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
    pub(super) key: FlowKey,
    pub(super) hash: u64,
    pub(super) hint: u32,
    pub(super) sender: Sender,
    /// Its table among those of the tracker.
    pub(super) table: usize,
}

/// How many records ahead of the one that is drained are asked for.
const AHEAD: usize = 8;

/// One partition.
#[derive(Debug)]
pub(super) struct Table {
    number: usize,
    hash: HashKey,
    records: Vec<Record>,
    /// By slot, as the records.
    rests: Vec<Rest>,
    /// When each record was made, in ticks; empty without an active timeout.
    opened: Vec<u32>,
    /// Round trips under way; empty unless configured.
    round_trips: Vec<RoundTrips>,
    free: Vec<u32>,
    index: Index,
    wheel: Wheel,
    half_open: SlotSet,
    /// Where the search for a victim goes on.
    hand: u32,
    /// Slots with a delta, in the order of their first packet since the last drain.
    listed: Vec<u32>,
}

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
            rests: Vec::with_capacity(rules.cap),
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

    /// The slot that the index names first for this hash, of whose record the first line is asked for.
    #[inline]
    pub(super) fn hint(&self, hash: u64) -> u32 {
        let slot = self.index.hint(hash);
        prefetch_line_of(&self.records, slot as usize, 0);
        slot
    }

    /// Asks for what [`Table::hint`] left of a record.
    #[inline]
    pub(super) fn prefetch_rest(&self, hint: u32) {
        prefetch_line_of(&self.records, hint as usize, 1);
    }

    pub(super) fn len(&self) -> usize {
        self.records.len() - self.free.len()
    }

    pub(super) fn probe_max(&self) -> u32 {
        self.index.probe_max()
    }

    /// Bytes of memory that hold flows.
    pub(super) fn memory(&self) -> usize {
        self.records.len() * (size_of::<Record>() + size_of::<Rest>())
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
        let slot = self.find(prepared);
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
    fn find(&self, prepared: &Prepared) -> u32 {
        let is = |slot: u32| self.records.get(slot as usize).is_some_and(|r| r.key == prepared.key && r.is_live());
        if is(prepared.hint) { prepared.hint } else { self.index.find(prepared.hash, is) }
    }

    #[inline]
    fn is_reused(&self, rules: &Rules, slot: u32, sender: Sender, packet: &ParsedPacket) -> bool {
        let Header::Tcp(segment) = &packet.header else { return false };
        if segment.flags & flag::SYN == 0 {
            return false;
        }
        let record = &self.records[slot as usize];
        let seen = rules.seen(sender, record.initiator, segment, packet);
        let silence = packet.timestamp.nanos_since(record.last_seen);
        is_reused_by(&record.halves, record.state, &seen, silence, record.bytes[sender as usize])
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
        if self.len() >= rules.cap {
            self.make_room(rules, tick, listener);
        }
        let (record, rest) = Record::new(rules, tick, prepared, packet);
        let state = record.state;
        let slot = self.store(rules, tick, record, rest);
        if self.records[slot as usize].is_half_open() {
            self.half_open.insert(slot);
        }
        self.list(slot);
        self.index.insert(prepared.hash, slot);
        let deadline = self.deadline(rules, slot);
        self.wheel.link(&mut self.rests, slot, deadline);
        let (interface, transport) = (packet.interface, prepared.key.transport());
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
            self.rests[slot as usize] = rest;
            slot
        } else {
            self.records.push(record);
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
        let (from, was_half_open) = (sender as usize, record.is_half_open());
        record.active = tick;
        record.bytes[from] += u64::from(packet.wire_len);
        record.packets[from] += 1;
        if packet.timestamp >= record.last_seen {
            record.last_seen = packet.timestamp;
        } else {
            let rest = &mut self.rests[slot as usize];
            rest.first_seen = rest.first_seen.min(packet.timestamp);
        }
        if record.delta[from].checked_add(packet.wire_len).is_none() {
            self.spill(slot, listener);
        }
        self.records[slot as usize].delta[from] += packet.wire_len;
        self.list(slot);
        let before = self.records[slot as usize].state;
        if let Header::Tcp(segment) = &packet.header {
            self.update_tcp(rules, slot, sender, segment, packet, listener);
        }
        let record = &self.records[slot as usize];
        let stays_half_open = record.is_half_open() == was_half_open;
        if record.state != before || !stays_half_open {
            self.change(rules, slot, was_half_open, before, packet, listener);
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
        let seen = rules.seen(sender, record.initiator, segment, packet);
        // Filled in place: a returned one would be copied in other sizes than it was written, which stalls.
        let mut outcome = Outcome::default();
        let rest = &mut self.rests[slot as usize];
        let mut connection = Connection { halves: &mut record.halves, past: &mut rest.past };
        record.state = connection.observe(record.state, &seen, &mut outcome);
        if !outcome.is_nothing() {
            report(record, rest, packet, &outcome, listener);
            if outcome.reset.is_some() {
                let is_rejected = outcome.failed == Some(Failure::Rejected);
                record.closed_by = Some(if is_rejected { EndReason::Rejected } else { EndReason::Rst });
            }
        }
        if let Some(round_trips) = self.round_trips.get_mut(slot as usize)
            && let Some(nanos) = round_trips.observe(sender, segment, packet, outcome.retransmitted.is_some())
        {
            listener.on(Event::Rtt { interface: packet.interface, nanos });
        }
    }

    /// Follows a record into another state, or into both directions; a shorter timeout takes effect at once.
    #[inline(never)]
    fn change(
        &mut self,
        rules: &Rules,
        slot: u32,
        was_half_open: bool,
        from: State,
        packet: &ParsedPacket,
        listener: &mut impl Listener,
    ) {
        if was_half_open && !self.records[slot as usize].is_half_open() {
            self.half_open.remove(slot);
        }
        let record = &self.records[slot as usize];
        let before = rules.idle_timeout_in(from, was_half_open, record.key.transport());
        // A later deadline needs no new place on the wheel: the record is looked at early and linked again.
        if rules.idle_timeout(record) < before {
            self.wheel.unlink(&mut self.rests, slot);
            let deadline = self.deadline(rules, slot);
            self.wheel.link(&mut self.rests, slot, deadline);
        }
        let record = &self.records[slot as usize];
        if record.state != from {
            let (interface, transport) = (packet.interface, record.key.transport());
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
        let (interface, transport) = (record.key.interface, record.key.transport());
        let ended = record.read(&self.rests[slot as usize], Some(reason));
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
        if let Some(delta) = self.records[slot as usize].take_delta() {
            listener.on(Event::Moved { partition: self.number, delta: &delta });
        }
    }

    /// Hands out and clears all deltas, in the order of the flows' first packet since the last time.
    pub(super) fn drain_deltas(&mut self, visit: &mut impl FnMut(usize, FlowDelta)) {
        for (place, &slot) in self.listed.iter().enumerate() {
            if let Some(&soon) = self.listed.get(place + AHEAD) {
                prefetch(&self.records, soon as usize);
            }
            let record = &mut self.records[slot as usize];
            record.marks &= !LISTED;
            if let Some(delta) = record.take_delta() {
                visit(self.number, delta);
            }
        }
        self.listed.clear();
    }

    /// The live records.
    pub(super) fn records(&self) -> impl Iterator<Item = FlowRecord> + '_ {
        live(&self.records, &self.rests).map(|(record, rest)| record.read_live(rest))
    }

    /// Shows the live records in these slots; whether there are none behind them.
    pub(super) fn records_in(&self, slots: std::ops::Range<usize>, visit: &mut impl FnMut(&FlowRecord)) -> bool {
        let (is_last, slots) = (slots.end >= self.records.len(), slots.start..slots.end.min(self.records.len()));
        let records = self.records.get(slots.clone()).unwrap_or_default();
        let rests = self.rests.get(slots).unwrap_or_default();
        live(records, rests).for_each(|(record, rest)| visit(&record.read_live(rest)));
        is_last
    }

    /// The same as a shutdown would end them.
    pub(super) fn ended_records(&self) -> impl Iterator<Item = FlowRecord> + '_ {
        let all = live(&self.records, &self.rests);
        all.map(|(record, rest)| record.read(rest, Some(record.end_reason(EndReason::Shutdown))))
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

/// Both halves of the records that live.
fn live<'a>(records: &'a [Record], rests: &'a [Rest]) -> impl Iterator<Item = (&'a Record, &'a Rest)> {
    records.iter().zip(rests).filter(|(record, _)| record.is_live())
}
