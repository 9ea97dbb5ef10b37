//! The record of one flow.

use super::expiry::Links;
use super::health::Half;
use super::key::Sender;
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

/// What a packet of a known flow reads and writes: two cache lines. [`Rest`] has what is seldom needed.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(super) struct Record {
    pub(super) key: FlowKey,
    /// The tick of its last packet.
    pub(super) active: u32,
    pub(super) state: State,
    pub(super) initiator: Sender,
    pub(super) marks: u8,
    /// Why its connection closed; `None` before that, and after FINs.
    pub(super) closed_by: Option<EndReason>,
    /// By sender, in wire bytes, since the last drain.
    pub(super) delta: [u32; 2],
    /// By sender.
    pub(super) bytes: [u64; 2],
    /// By sender.
    pub(super) packets: [u64; 2],
    pub(super) last_seen: Timestamp,
    /// TCP: its two directions, by sender.
    pub(super) halves: [Half; 2],
}

/// What else there is of a flow: written when it is made, changes its state or its timer, or when packets are late.
#[derive(Clone, Debug)]
pub(super) struct Rest {
    pub(super) first_seen: Timestamp,
    pub(super) past: Past,
    pub(super) links: Links,
}

/// The slot is in the list of those with a delta.
pub(super) const LISTED: u8 = 1;
/// The slot holds no flow.
pub(super) const FREE: u8 = 2;

const _: () = assert!(size_of::<Record>() == 128 && size_of::<Rest>() == 32);

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
        let mut record = Self {
            key: prepared.key,
            active: tick,
            state,
            initiator: if is_swapped { sender.other() } else { sender },
            marks: 0,
            closed_by: (state == State::Closed).then_some(EndReason::Rst),
            delta: [0; 2],
            bytes: [0; 2],
            packets: [0; 2],
            last_seen: packet.timestamp,
            halves,
        };
        record.packets[sender as usize] = 1;
        record.bytes[sender as usize] = u64::from(packet.wire_len);
        record.delta[sender as usize] = packet.wire_len;
        (record, Rest { first_seen: packet.timestamp, past, links: Links::default() })
    }

    #[inline]
    pub(super) fn is_live(&self) -> bool {
        self.marks & FREE == 0
    }

    /// TCP before the handshake is complete, or another flow in one direction only.
    #[inline]
    pub(super) fn is_half_open(&self) -> bool {
        match self.state {
            State::Opening => true,
            State::Active => self.packets[0] == 0 || self.packets[1] == 0,
            State::Open | State::Closing | State::Closed => false,
        }
    }

    /// Why it ends, if its own history says; else `otherwise`.
    pub(super) fn end_reason(&self, otherwise: EndReason) -> EndReason {
        match self.state {
            State::Closed => self.closed_by.unwrap_or(EndReason::Fin),
            State::Closing if both_finished(&self.halves) => EndReason::Fin,
            State::Opening if otherwise == EndReason::Idle && !was_answered(&self.halves, self.initiator) => {
                EndReason::Unanswered
            }
            State::Opening | State::Open | State::Closing | State::Active => otherwise,
        }
    }

    /// The record while it is in the table: a connection that is closed and only waits for stray segments has its end
    /// reason.
    pub(super) fn read_live(&self, rest: &Rest) -> FlowRecord {
        self.read(rest, (self.state == State::Closed).then(|| self.end_reason(EndReason::Shutdown)))
    }

    /// Takes out what moved since the last time.
    pub(super) fn take_delta(&mut self) -> Option<FlowDelta> {
        let [low, high] = std::mem::take(&mut self.delta).map(u64::from);
        (low + high > 0).then_some(FlowDelta {
            key: self.key,
            low_is_initiator: self.initiator == Sender::Low,
            bytes_from_low: low,
            bytes_from_high: high,
        })
    }

    /// The record as readers see it.
    pub(super) fn read(&self, rest: &Rest, end_reason: Option<EndReason>) -> FlowRecord {
        let (c2s, s2c) = (self.initiator as usize, self.initiator.other() as usize);
        FlowRecord {
            key: self.key,
            low_is_initiator: self.initiator == Sender::Low,
            stats: FlowStats {
                first_seen: rest.first_seen,
                last_seen: self.last_seen,
                packets_c2s: self.packets[c2s],
                bytes_c2s: self.bytes[c2s],
                packets_s2c: self.packets[s2c],
                bytes_s2c: self.bytes[s2c],
                state: self.state,
            },
            end_reason,
            tcp_flags: [c2s, s2c].map(|sender| self.halves[sender].flags()),
        }
    }
}
