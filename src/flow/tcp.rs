//! The life of a TCP connection and the health of its two directions, from headers alone.
//!
//! Follows RFC 9293 as an observer between the ends: it may have missed segments, so it never insists, but what ends a
//! connection must fit the sequence numbers (RFC 5961 section 3), so that a stray or forged RST cannot.

use super::State;
use super::health::Half;
use super::key::Sender;
use crate::packet::{TcpSegment, flag};
use crate::time::{NANOS_PER_SECOND, Timestamp};

/// Why a TCP connection attempt failed, as the `reason` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Failure {
    /// A RST answered the SYN.
    Rejected,
    /// Nothing answered the SYN until the opening timeout.
    Unanswered,
    /// A RST after the SYN-ACK or from the initiator, before the handshake was complete.
    ResetInHandshake,
}

impl Failure {
    /// All, in the order of every array indexed by failure.
    pub const ALL: [Self; 3] = [Self::Rejected, Self::Unanswered, Self::ResetInHandshake];

    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Unanswered => "unanswered",
            Self::ResetInHandshake => "reset_in_handshake",
        }
    }
}

/// When in a connection's life a RST came, as the `phase` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Before the handshake was complete.
    Handshake,
    /// After it.
    Established,
    /// After a FIN.
    Closing,
}

impl Phase {
    /// All, in the order of every array indexed by phase.
    pub const ALL: [Self; 3] = [Self::Handshake, Self::Established, Self::Closing];

    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Established => "established",
            Self::Closing => "closing",
        }
    }
}

/// A segment as a connection sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'a> {
    pub(super) sender: Sender,
    /// The end that opened the connection.
    pub(super) initiator: Sender,
    pub(super) segment: &'a TcpSegment,
    /// Bytes of payload.
    pub(super) payload: u32,
    pub(super) now: Timestamp,
    /// Nanoseconds that a segment may be late and still count as out of order.
    pub(super) reorder_limit: u64,
}

impl Seen<'_> {
    pub(super) fn has(&self, flag: u8) -> bool {
        self.segment.flags & flag != 0
    }

    /// Sequence numbers that the segment takes: its payload, and one for each of SYN and FIN.
    pub(super) fn len(&self) -> u32 {
        self.payload.wrapping_add(u32::from(self.has(flag::SYN))).wrapping_add(u32::from(self.has(flag::FIN)))
    }

    /// The sequence number after it.
    pub(super) fn end(&self) -> u32 {
        self.segment.sequence.wrapping_add(self.len())
    }
}

/// What one segment did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) established: bool,
    /// Round trip to the responder, then to the initiator, in nanoseconds.
    pub(super) handshake_rtt: [Option<u64>; 2],
    pub(super) reset: Option<Phase>,
    pub(super) failed: Option<Failure>,
    /// Payload bytes that were seen before; `Some(0)` for a SYN or FIN alone.
    pub(super) retransmitted: Option<u32>,
    pub(super) out_of_order: bool,
    pub(super) duplicate_ack: bool,
    pub(super) zero_window: bool,
}

impl Outcome {
    /// Whether the segment did nothing worth telling. Field by field: comparing all at once would load what was just
    /// stored in other sizes, which stalls the processor.
    #[inline]
    pub(super) fn is_nothing(&self) -> bool {
        let [to_responder, to_initiator] = &self.handshake_rtt;
        let happened = self.established
            | to_responder.is_some()
            | to_initiator.is_some()
            | self.reset.is_some()
            | self.failed.is_some()
            | self.retransmitted.is_some()
            | self.out_of_order
            | self.duplicate_ack
            | self.zero_window;
        !happened
    }
}

/// What is remembered of a connection.
#[derive(Debug)]
pub(super) struct Connection<'a> {
    /// By sender.
    pub(super) halves: &'a mut [Half; 2],
    pub(super) past: &'a mut Past,
}

/// What a segment in its place does not look at: one gap, and when the handshake or the gap got so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Past {
    /// Sequence numbers of the newest gap that is still open; empty when both are equal.
    pub(super) gap: (u32, u32),
    /// In the handshake, when its last segment was seen; then, when the gap was.
    pub(super) stamp: Timestamp,
}

/// Sequence numbers compare modulo 2^32 (RFC 9293 section 3.4).
pub(super) fn distance(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from).cast_signed()
}

/// The greatest window (RFC 7323 section 2.3).
pub(super) const WINDOW_MAX: i32 = 1 << 30;

/// Nanoseconds that a connection must have been silent before a SYN outside its window begins a new one.
const REUSE_SILENCE: u64 = NANOS_PER_SECOND;

/// The most data that a SYN is expected to carry (RFC 7413).
const SYN_DATA_MAX: i32 = 65_536;

/// Whether both ends have sent a FIN.
pub(super) fn both_finished(halves: &[Half; 2]) -> bool {
    halves.iter().all(|half| half.has(Half::FIN))
}

/// Whether a SYN-ACK, or a SYN of its own, came from the end that did not open the connection.
pub(super) fn was_answered(halves: &[Half; 2], initiator: Sender) -> bool {
    halves[initiator.other() as usize].has(Half::SYN)
}

/// Whether this SYN begins a new connection on the 5-tuple of this one.
///
/// `silence` is the time since the record's last packet in nanoseconds, `sent` the wire bytes of the SYN's sender.
#[cold]
pub(super) fn is_reused_by(halves: &[Half; 2], state: State, seen: &Seen<'_>, silence: u64, sent: u64) -> bool {
    if seen.has(flag::ACK | flag::RST) {
        return false;
    }
    let (own, other) = (&halves[seen.sender as usize], &halves[seen.sender.other() as usize]);
    if !own.has(Half::SEQUENCE) {
        return state == State::Closed;
    }
    let ahead = distance(own.next, seen.segment.sequence.wrapping_add(1));
    if state == State::Opening {
        return own.has(Half::SYN) && ahead != 0;
    }
    // The SYN of this connection lies before all that was sent since.
    let is_own = ahead <= 0 && u64::from(ahead.unsigned_abs()) <= sent;
    if state == State::Closed || both_finished(halves) {
        return !is_own || !own.has(Half::SYN) || halves.iter().any(|half| half.has(Half::RESET));
    }
    if !own.has(Half::SYN) {
        return !is_own;
    }
    // A SYN into a living connection proves nothing (RFC 5961 section 4), but its end may have been missed.
    let window = other.window_bytes(own).saturating_mul(2).max(1 << 20);
    (ahead > 0 || ahead.unsigned_abs() > window) && silence >= REUSE_SILENCE
}

impl Connection<'_> {
    /// Takes the first segment of a record: its state, and whether the roles are swapped (a SYN-ACK seen first).
    pub(super) fn begin(&mut self, seen: &Seen<'_>) -> (State, bool) {
        self.past.stamp = seen.now;
        let half = &mut self.halves[seen.sender as usize];
        if seen.has(flag::RST) {
            half.seen |= Half::RESET;
            return (State::Closed, false);
        }
        half.start(seen);
        if seen.has(flag::FIN) {
            half.seen |= Half::FIN;
            return (State::Closing, false);
        }
        if !seen.has(flag::SYN) {
            return (State::Open, false);
        }
        half.seen |= Half::SYN;
        let answers = seen.has(flag::ACK);
        if answers {
            let opener = &mut self.halves[seen.sender.other() as usize];
            opener.next = seen.segment.acknowledgement;
            opener.seen |= Half::SEQUENCE;
        }
        (State::Opening, answers)
    }

    /// Takes a later segment.
    #[inline]
    pub(super) fn observe(&mut self, state: State, seen: &Seen<'_>, outcome: &mut Outcome) -> State {
        if seen.has(flag::RST | flag::SYN) || state == State::Closed {
            return self.observe_control(state, seen, outcome);
        }
        if seen.has(flag::ACK) {
            self.acknowledge(seen, outcome);
        }
        if state == State::Opening {
            if !self.completes(seen) {
                self.follow(seen, false, outcome);
                return state;
            }
            outcome.established = true;
            outcome.handshake_rtt[1] = self.round_trip_to_initiator(seen);
        }
        self.follow(seen, true, outcome);
        if self.halves.iter().all(|half| half.has(Half::FIN_ACKED)) {
            State::Closed
        } else if self.halves.iter().any(|half| half.has(Half::FIN)) {
            State::Closing
        } else {
            State::Open
        }
    }

    /// A segment with RST or SYN, or any on a closed connection, which stays so.
    #[cold]
    fn observe_control(&mut self, state: State, seen: &Seen<'_>, outcome: &mut Outcome) -> State {
        if state == State::Closed {
            return state;
        }
        if seen.has(flag::RST) {
            return self.reset(state, seen, outcome);
        }
        self.synchronise(state, seen, outcome);
        state
    }

    /// A SYN or SYN-ACK on a record that exists.
    fn synchronise(&mut self, state: State, seen: &Seen<'_>, outcome: &mut Outcome) {
        let own = self.halves[seen.sender as usize];
        if own.has(Half::SYN) {
            return self.synchronise_again(seen, outcome);
        }
        let answers = seen.has(flag::ACK);
        if state != State::Opening || (answers && !self.acknowledges_syn(seen)) {
            return;
        }
        let half = &mut self.halves[seen.sender as usize];
        half.start(seen);
        half.seen |= Half::SYN;
        if answers && seen.sender != seen.initiator {
            let asked_once = !self.halves[seen.initiator as usize].has(Half::SYN_AGAIN);
            outcome.handshake_rtt[0] = asked_once.then(|| seen.now.nanos_since(self.past.stamp));
        } else {
            // Both opened: no segment answers another.
            self.halves.iter_mut().for_each(|half| half.seen |= Half::SYN_AGAIN);
        }
        self.past.stamp = seen.now;
    }

    /// The same SYN again; one with another number is stray (or began a new record before it came here).
    fn synchronise_again(&mut self, seen: &Seen<'_>, outcome: &mut Outcome) {
        let half = &mut self.halves[seen.sender as usize];
        let ahead = distance(half.next, seen.segment.sequence.wrapping_add(1));
        if !(-WINDOW_MAX..=0).contains(&ahead) {
            return;
        }
        half.seen |= Half::SYN_AGAIN;
        if seen.has(flag::ACK) && !half.has(Half::ACK) {
            // Both opened: this repeats the number of the SYN, but it is its first acknowledgement.
            half.acked = seen.segment.acknowledgement;
            half.seen |= Half::ACK;
        } else {
            outcome.retransmitted = Some(0);
        }
    }

    /// Whether a segment acknowledges the other end's SYN, with or without the data in it.
    fn acknowledges_syn(&self, seen: &Seen<'_>) -> bool {
        let other = &self.halves[seen.sender.other() as usize];
        let left = distance(seen.segment.acknowledgement, other.next);
        seen.has(flag::ACK) && (!other.has(Half::SEQUENCE) || (0..SYN_DATA_MAX).contains(&left))
    }

    /// Whether a segment without SYN shows that the handshake is complete.
    fn completes(&self, seen: &Seen<'_>) -> bool {
        let (own, other) = (&self.halves[seen.sender as usize], &self.halves[seen.sender.other() as usize]);
        if !seen.has(flag::ACK) {
            return false;
        }
        let beyond = distance(other.next, seen.segment.acknowledgement);
        if seen.sender == seen.initiator {
            // With the SYN-ACK seen it must be acknowledged; without, the capture has only one side.
            let acknowledges = !other.has(Half::SYN) || beyond >= 0;
            return acknowledges && own.has(Half::SEQUENCE) && distance(own.next, seen.segment.sequence) >= 0;
        }
        if own.has(Half::SYN) {
            // The initiator's part was missed: the responder sends data, or acknowledges some.
            return seen.len() > 0 || beyond > 0;
        }
        other.has(Half::SEQUENCE) && beyond >= 0
    }

    /// SYN-ACK to ACK, if both were seen and the SYN-ACK only once.
    fn round_trip_to_initiator(&self, seen: &Seen<'_>) -> Option<u64> {
        let responder = &self.halves[seen.initiator.other() as usize];
        let is_told = responder.has(Half::SYN) && !responder.has(Half::SYN_AGAIN) && seen.sender == seen.initiator;
        is_told.then(|| seen.now.nanos_since(self.past.stamp))
    }

    /// A RST, if it fits.
    fn reset(&mut self, state: State, seen: &Seen<'_>, outcome: &mut Outcome) -> State {
        if !self.reset_fits(state, seen) {
            return state;
        }
        self.halves[seen.sender as usize].seen |= Half::RESET;
        outcome.reset = Some(match state {
            State::Opening => Phase::Handshake,
            State::Closing => Phase::Closing,
            State::Open | State::Closed | State::Active => Phase::Established,
        });
        if state == State::Opening {
            let rejects = seen.sender != seen.initiator && !was_answered(self.halves, seen.initiator);
            outcome.failed = Some(if rejects { Failure::Rejected } else { Failure::ResetInHandshake });
        }
        State::Closed
    }

    /// Whether a RST can come from the connection's own end (RFC 9293 section 3.10.7, RFC 5961 section 3.2).
    fn reset_fits(&self, state: State, seen: &Seen<'_>) -> bool {
        let (own, other) = (&self.halves[seen.sender as usize], &self.halves[seen.sender.other() as usize]);
        if state == State::Opening && !own.has(Half::SYN) {
            // It answers a SYN, which it must acknowledge; or it comes from an end whose SYN was not seen.
            return self.acknowledges_syn(seen) || !other.has(Half::SYN);
        }
        let sequence = seen.segment.sequence;
        let at_next = own.has(Half::SEQUENCE) && sequence == own.next;
        let at_expected = other.has(Half::ACK) && sequence == other.acked;
        let in_flight = own.has(Half::SEQUENCE)
            && other.has(Half::ACK)
            && distance(other.acked, sequence) >= 0
            && distance(sequence, own.next) >= 0;
        at_next || at_expected || in_flight
    }
}
