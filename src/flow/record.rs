//! The record of one flow.

use super::expiry::Links;
use super::health::{Half, proceeds};
use super::key::{Narrow, Sender};
use super::rules::Rules;
use super::table::Prepared;
use super::tcp::{Connection, Past, both_finished, was_answered};
use super::{EndReason, FlowKey, FlowRecord, FlowStats, State};
use crate::packet::{Header, ParsedPacket};
use crate::time::Timestamp;

/// Bytes a flow moved since they were last drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowDelta {
    /// Whose.
    pub key: FlowKey,
    /// Whether the low end of the key is the initiator.
    pub low_is_initiator: bool,
    /// Wire bytes from the low end.
    pub bytes_from_low: u64,
    /// Wire bytes from the high end.
    pub bytes_from_high: u64,
}

/// What a packet of a known flow reads and writes: one cache line. [`Rest`] has what is seldom needed, and the totals that
/// the small counts here are added to before they overflow.
///
/// | bytes | |
/// |---|---|
/// | 0..16 | the key, all of it for IPv4 without tags ([`WIDE`] says of which flows there is more) |
/// | 16..24 | time of the last packet |
/// | 24..32 | bytes by sender since the last drain |
/// | 32..56 | the two directions of a TCP connection, by sender |
/// | 56..60 | tick of the last packet |
/// | 60..62 | packets by sender since they were last added to the totals |
/// | 62, 63 | state, marks |
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(super) struct Record {
    pub(super) narrow: Narrow,
    pub(super) last_seen: Timestamp,
    /// By sender, in wire bytes.
    pub(super) delta: [u32; 2],
    /// By sender.
    pub(super) halves: [Half; 2],
    /// The tick of its last packet.
    pub(super) active: u32,
    /// By sender.
    pub(super) packets: [u8; 2],
    pub(super) state: State,
    pub(super) marks: u8,
}

/// Wire bytes by sender without those of [`Record::delta`]: apart from all else, since once a second they are added to.
pub(super) type Total = [u64; 2];

/// What else there is of a flow: written when it is made, changes its state or its timer, when a count of packets is full,
/// and when packets are late.
#[derive(Clone, Debug)]
pub(super) struct Rest {
    /// By sender, without those of [`Record::packets`].
    pub(super) packets: [u64; 2],
    pub(super) first_seen: Timestamp,
    pub(super) past: Past,
    pub(super) links: Links,
}

/// How far a flow has come: its state, and who has sent a packet. Seldom two packets of a flow find different ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stage {
    pub(super) state: State,
    sent: u8,
}

impl Stage {
    /// TCP before the handshake is complete, or another flow in one direction only.
    pub(super) fn is_half_open(self) -> bool {
        match self.state {
            State::Opening => true,
            State::Active => self.sent != SENT[0] | SENT[1],
            State::Open | State::Closing | State::Closed => false,
        }
    }
}

/// The slot is in the list of those with a delta.
pub(super) const LISTED: u8 = 1;
/// The slot holds no flow.
pub(super) const FREE: u8 = 2;

/// There is more of its key than [`Record::narrow`].
const WIDE: u8 = 4;
/// The high end is the initiator.
const HIGH_INITIATED: u8 = 8;
/// By sender: it has sent a packet.
const SENT: [u8; 2] = [16, 32];
/// A RST closed its connection.
const RESET: u8 = 64;
/// That RST answered the SYN.
const REJECTED: u8 = 128;

const _: () = assert!(size_of::<Record>() == 64 && size_of::<Rest>() == 48);

impl Record {
    /// The record that a packet opens in tick `tick`.
    pub(super) fn new(rules: &Rules, tick: u32, prepared: &Prepared, packet: &ParsedPacket) -> (Self, Rest) {
        let sender = prepared.sender;
        let (mut halves, mut past) = Default::default();
        let mut tcp = Connection { halves: &mut halves, past: &mut past };
        let (state, is_swapped) = match &packet.header {
            Header::Tcp(segment) => tcp.begin(&rules.seen(sender, sender, segment, packet)),
            _ => (State::Active, false),
        };
        let initiator = if is_swapped { sender.other() } else { sender };
        let mut record = Self {
            narrow: prepared.narrow,
            last_seen: packet.timestamp,
            delta: [0; 2],
            halves,
            active: tick,
            packets: [0; 2],
            state,
            marks: 0,
        };
        record.mark(WIDE, prepared.is_wide);
        record.mark(HIGH_INITIATED, initiator == Sender::High);
        record.mark(RESET, state == State::Closed);
        record.count(sender, packet.wire_len);
        (record, Rest::new(packet.timestamp, past))
    }

    fn mark(&mut self, mark: u8, is: bool) {
        self.marks |= if is { mark } else { 0 };
    }

    /// Whether it is the record of a flow whose key is this, as far as the record has it.
    #[inline]
    pub(super) fn is_of(&self, narrow: Narrow, is_wide: bool) -> bool {
        self.narrow == narrow && self.marks & (FREE | WIDE) == if is_wide { WIDE } else { 0 }
    }

    /// Folds the packet that most are, if it is one: plain, of a flow that has heard from its sender before, not late, with
    /// room in the counts, and changing nothing but counts and numbers.
    #[inline]
    pub(super) fn proceeds(&mut self, rules: &Rules, tick: u32, prepared: &Prepared, packet: &ParsedPacket) -> bool {
        let (sender, from) = (prepared.sender, prepared.sender as usize);
        let is_known = self.narrow == prepared.narrow && self.marks & (FREE | WIDE | SENT[from]) == SENT[from];
        let is_late = packet.timestamp < self.last_seen;
        let Some(bytes) = self.delta[from].checked_add(packet.wire_len) else { return false };
        let Some(packets) = self.packets[from].checked_add(1) else { return false };
        if !packet.is_plain || !is_known || is_late {
            return false;
        }
        if let Header::Tcp(segment) = &packet.header {
            let seen = rules.seen(sender, self.initiator(), segment, packet);
            if self.state != State::Open || !proceeds(&mut self.halves, &seen) {
                return false;
            }
        }
        (self.delta[from], self.packets[from]) = (bytes, packets);
        (self.active, self.last_seen) = (tick, packet.timestamp);
        true
    }

    /// Whether the counts of this sender have no room for another packet of this length: bytes, then packets.
    #[inline]
    pub(super) fn is_full(&self, sender: Sender, wire_len: u32) -> (bool, bool) {
        let from = sender as usize;
        (self.delta[from].checked_add(wire_len).is_none(), self.packets[from] == u8::MAX)
    }

    /// Counts a packet, for which there must be room.
    #[inline]
    pub(super) fn count(&mut self, sender: Sender, wire_len: u32) {
        let from = sender as usize;
        self.delta[from] += wire_len;
        self.packets[from] += 1;
        self.marks |= SENT[from];
    }

    /// Wire bytes since the last drain.
    #[inline]
    pub(super) fn bytes(&self) -> u64 {
        self.delta.iter().map(|bytes| u64::from(*bytes)).sum()
    }

    /// Packets since they were last added to the totals.
    #[inline]
    pub(super) fn packets(&self) -> u64 {
        self.packets.iter().map(|packets| u64::from(*packets)).sum()
    }

    /// The end that opened it.
    #[inline]
    pub(super) fn initiator(&self) -> Sender {
        if self.marks & HIGH_INITIATED == 0 { Sender::Low } else { Sender::High }
    }

    /// Remembers that a RST closed it, and whether that answered the SYN.
    pub(super) fn closed_by_reset(&mut self, is_rejected: bool) {
        self.marks |= if is_rejected { RESET | REJECTED } else { RESET };
    }

    #[inline]
    pub(super) fn is_live(&self) -> bool {
        self.marks & FREE == 0
    }

    #[inline]
    pub(super) fn is_wide(&self) -> bool {
        self.marks & WIDE != 0
    }

    /// How far the flow has come.
    #[inline]
    pub(super) fn stage(&self) -> Stage {
        Stage { state: self.state, sent: self.marks & (SENT[0] | SENT[1]) }
    }

    /// As its stage says.
    #[inline]
    pub(super) fn is_half_open(&self) -> bool {
        self.stage().is_half_open()
    }

    /// Why it ends, if its own history says; else `otherwise`.
    pub(super) fn end_reason(&self, otherwise: EndReason) -> EndReason {
        match self.state {
            State::Closed if self.marks & REJECTED != 0 => EndReason::Rejected,
            State::Closed if self.marks & RESET != 0 => EndReason::Rst,
            State::Closed => EndReason::Fin,
            State::Closing if both_finished(&self.halves) => EndReason::Fin,
            State::Opening if otherwise == EndReason::Idle && !was_answered(&self.halves, self.initiator()) => {
                EndReason::Unanswered
            }
            State::Opening | State::Open | State::Closing | State::Active => otherwise,
        }
    }

    /// The end reason that it shows while it is in the table: a connection that is closed and only waits for stray
    /// segments has one.
    pub(super) fn end_reason_so_far(&self) -> Option<EndReason> {
        (self.state == State::Closed).then(|| self.end_reason(EndReason::Shutdown))
    }

    /// Takes out what moved since the last time, and adds it to the totals.
    #[inline]
    pub(super) fn take_delta(&mut self, total: &mut Total) -> Option<[u64; 2]> {
        let [low, high] = std::mem::take(&mut self.delta).map(u64::from);
        total[0] += low;
        total[1] += high;
        (low + high > 0).then_some([low, high])
    }

    /// Adds the packets to the totals.
    pub(super) fn carry_packets(&mut self, rest: &mut Rest) {
        let [low, high] = std::mem::take(&mut self.packets).map(u64::from);
        rest.packets[0] += low;
        rest.packets[1] += high;
    }

    /// The record as readers see it.
    pub(super) fn read(&self, total: &Total, rest: &Rest, key: FlowKey, end_reason: Option<EndReason>) -> FlowRecord {
        let initiator = self.initiator();
        let bytes = |sender: Sender| total[sender as usize] + u64::from(self.delta[sender as usize]);
        let packets = |sender: Sender| rest.packets[sender as usize] + u64::from(self.packets[sender as usize]);
        FlowRecord {
            key,
            low_is_initiator: initiator == Sender::Low,
            stats: FlowStats {
                first_seen: rest.first_seen,
                last_seen: self.last_seen,
                packets_c2s: packets(initiator),
                bytes_c2s: bytes(initiator),
                packets_s2c: packets(initiator.other()),
                bytes_s2c: bytes(initiator.other()),
                state: self.state,
            },
            end_reason,
            tcp_flags: [initiator, initiator.other()].map(|sender| self.halves[sender as usize].flags()),
        }
    }
}

impl Rest {
    fn new(first_seen: Timestamp, past: Past) -> Self {
        Self { packets: [0; 2], first_seen, past, links: Links::default() }
    }
}
