//! The health of a connection's two directions: what its sequence and acknowledgement numbers say.

use super::tcp::{Connection, Outcome, Seen, WINDOW_MAX, distance};
use crate::packet::flag;

/// One direction, named by its sender.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Half {
    /// The sequence number after the greatest one sent.
    pub(super) next: u32,
    /// The greatest acknowledgement number sent.
    pub(super) acked: u32,
    /// The last window, not scaled.
    window: u16,
    /// Window scale of its SYN plus one; 0 without the option.
    scale: u8,
    /// What was seen of it.
    pub(super) seen: u8,
}

impl Half {
    /// `next` is known.
    pub(super) const SEQUENCE: u8 = 1;
    /// `acked` and `window` are known.
    pub(super) const ACK: u8 = 2;
    /// Sent a SYN.
    pub(super) const SYN: u8 = 4;
    /// Sent its SYN more than once: the round trip cannot be told (Karn's rule).
    pub(super) const SYN_AGAIN: u8 = 8;
    /// Sent a FIN, the number before `next`.
    pub(super) const FIN: u8 = 16;
    /// Its FIN was acknowledged.
    pub(super) const FIN_ACKED: u8 = 32;
    /// The connection's gap is in this direction.
    const GAP: u8 = 64;
    /// Ended the connection with a RST.
    pub(super) const RESET: u8 = 128;

    #[inline]
    pub(super) fn has(&self, bit: u8) -> bool {
        self.seen & bit != 0
    }

    /// The flags that it was seen to send, of those that are followed.
    pub(super) fn flags(&self) -> u8 {
        let followed =
            [(Self::SYN, flag::SYN), (Self::ACK, flag::ACK), (Self::FIN, flag::FIN), (Self::RESET, flag::RST)];
        followed.into_iter().filter(|(seen, _)| self.has(*seen)).fold(0, |flags, (_, flag)| flags | flag)
    }

    /// Takes the numbers of the first segment.
    pub(super) fn start(&mut self, seen: &Seen<'_>) {
        self.next = seen.end();
        self.window = seen.segment.window;
        self.scale = seen.segment.window_scale.map_or(0, |scale| scale.min(14) + 1);
        self.seen |= Self::SEQUENCE;
        if seen.has(flag::ACK) {
            self.acked = seen.segment.acknowledgement;
            self.seen |= Self::ACK;
        }
    }

    /// Bytes that may be in flight towards this end; 64 KiB while unknown.
    ///
    /// Scaled only if `other` announced a scale too (RFC 7323 section 2.2).
    pub(super) fn window_bytes(&self, other: &Self) -> u32 {
        let shift = if self.scale > 0 && other.scale > 0 { self.scale - 1 } else { 0 };
        if self.has(Self::ACK) { u32::from(self.window) << shift } else { u32::from(u16::MAX) }
    }
}

/// Takes the segment that most are, if it is one: of an open connection, in its place, acknowledging what is new or
/// carrying data. It tells nothing, and [`Connection::observe`] would do the same on a longer way.
#[inline]
pub(super) fn proceeds(halves: &mut [Half; 2], seen: &Seen<'_>) -> bool {
    const CONTROL: u8 = flag::SYN | flag::FIN | flag::RST;
    const KNOWN: u8 = Half::SEQUENCE | Half::ACK;
    const ENDING: u8 = Half::FIN | Half::FIN_ACKED;
    let (segment, payload) = (seen.segment, seen.payload);
    let [own, other] = ends(halves, seen);
    let is_open = own.seen & KNOWN == KNOWN && (own.seen | other.seen) & ENDING == 0;
    let is_plain = segment.flags & (CONTROL | flag::ACK) == flag::ACK && segment.window != 0;
    let advance = distance(own.acked, segment.acknowledgement);
    let is_new = advance > 0 || (advance == 0 && payload > 0);
    let is_in_place = payload == 0 || (segment.sequence == own.next && payload <= WINDOW_MAX.unsigned_abs());
    let proceeds = is_open && is_plain && is_new && is_in_place;
    if proceeds {
        (own.acked, own.window) = (segment.acknowledgement, segment.window);
        own.next = if payload == 0 { own.next } else { seen.end() };
    }
    proceeds
}

impl Connection<'_> {
    /// Follows acknowledgement numbers and windows.
    #[inline]
    pub(super) fn acknowledge(&mut self, seen: &Seen<'_>, outcome: &mut Outcome) {
        let (acknowledgement, window) = (seen.segment.acknowledgement, seen.segment.window);
        let [own, other] = ends(self.halves, seen);
        let advance = distance(own.acked, acknowledgement);
        if own.has(Half::ACK) {
            if (-WINDOW_MAX..0).contains(&advance) {
                // Overtaken by a later one, which knew the window better (RFC 9293 section 3.10.7.4).
                return;
            }
            // RFC 5681 section 2: no data, no SYN or FIN, the same number and window, and data outstanding.
            outcome.duplicate_ack = advance == 0
                && seen.len() == 0
                && window == own.window
                && other.has(Half::SEQUENCE)
                && distance(acknowledgement, other.next) > 0;
        }
        outcome.zero_window = window == 0 && !(own.has(Half::ACK) && own.window == 0);
        own.acked = acknowledgement;
        own.window = window;
        own.seen |= Half::ACK;
        if other.has(Half::FIN) && distance(other.next, acknowledgement) >= 0 {
            other.seen |= Half::FIN_ACKED;
        }
    }

    /// Follows the sequence numbers of data and FIN. No gap is remembered while the handshake needs its time.
    #[inline]
    pub(super) fn follow(&mut self, seen: &Seen<'_>, is_open: bool, outcome: &mut Outcome) {
        let (start, end) = (seen.segment.sequence, seen.end());
        let half = &mut self.halves[seen.sender as usize];
        if !half.has(Half::SEQUENCE) {
            half.next = end;
            half.seen |= Half::SEQUENCE | if seen.has(flag::FIN) { Half::FIN } else { 0 };
            return;
        }
        if start == end {
            return;
        }
        let ahead = distance(half.next, start);
        if ahead < -WINDOW_MAX {
            // No window reaches that far: another connection that began unseen.
            half.next = end;
            return;
        }
        if ahead < 0 {
            self.behind(seen, outcome);
        } else if ahead > 0 && is_open {
            self.remember_gap(seen);
        }
        let half = &mut self.halves[seen.sender as usize];
        if distance(half.next, end) >= 0 {
            half.next = end;
            half.seen |= if seen.has(flag::FIN) { Half::FIN } else { 0 };
        }
    }

    /// A segment that begins before the greatest one seen: it fills a gap, or was seen before.
    #[cold]
    fn behind(&mut self, seen: &Seen<'_>, outcome: &mut Outcome) {
        let next = self.halves[seen.sender as usize].next;
        if self.is_probe(seen) {
            return;
        }
        let Some(rest) = self.fills_gap(seen) else {
            let old = distance(seen.segment.sequence, next).unsigned_abs();
            outcome.retransmitted = Some(seen.payload.min(old));
            return;
        };
        self.past.gap = rest;
        if seen.now.nanos_since(self.past.stamp) <= seen.reorder_limit {
            outcome.out_of_order = true;
        } else {
            outcome.retransmitted = Some(seen.payload);
        }
    }

    /// Whether one byte before the next is a keep-alive (RFC 9293 section 3.8.4), which repeats what was acknowledged,
    /// or a probe of a closed window (section 3.8.6.1), and not data sent again.
    fn is_probe(&self, seen: &Seen<'_>) -> bool {
        let (own, other) = (&self.halves[seen.sender as usize], &self.halves[seen.sender.other() as usize]);
        let is_answered = !other.has(Half::ACK) || other.acked == own.next || other.window == 0;
        seen.payload == 1 && seen.end() == own.next && !own.has(Half::FIN) && is_answered
    }

    /// What is left of the gap when these sequence numbers are taken out; `None` if they are not inside it.
    fn fills_gap(&self, seen: &Seen<'_>) -> Option<(u32, u32)> {
        let ((from, to), (start, end)) = (self.past.gap, (seen.segment.sequence, seen.end()));
        let inside = self.halves[seen.sender as usize].has(Half::GAP)
            && distance(from, to) > 0
            && distance(from, start) >= 0
            && distance(end, to) >= 0;
        // One gap is remembered: of two rests the later one is kept, where the next filling segment belongs.
        inside.then_some(if end == to { (from, start) } else { (end, to) })
    }

    /// Opens a gap from the next expected number to the segment, unless a younger one is still open.
    #[cold]
    fn remember_gap(&mut self, seen: &Seen<'_>) {
        let is_open = self.past.gap.0 != self.past.gap.1;
        if is_open && seen.now.nanos_since(self.past.stamp) <= seen.reorder_limit {
            return;
        }
        self.past.stamp = seen.now;
        self.past.gap = (self.halves[seen.sender as usize].next, seen.segment.sequence);
        let [own, other] = ends(self.halves, seen);
        own.seen |= Half::GAP;
        other.seen &= !Half::GAP;
    }
}

/// The halves of the sender and of the other end.
#[inline]
fn ends<'a>(halves: &'a mut [Half; 2], seen: &Seen<'_>) -> [&'a mut Half; 2] {
    let [low, high] = halves;
    if seen.sender == super::key::Sender::Low { [low, high] } else { [high, low] }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::super::key::Sender;
    use super::super::tcp::Past;
    use super::*;
    use crate::packet::TcpSegment;
    use crate::time::Timestamp;
    use proptest::prelude::*;

    fn half() -> impl Strategy<Value = Half> {
        (0..4u32, 0..4u32, 0..2u16, any::<u8>()).prop_map(|(next, acked, window, seen)| Half {
            next,
            acked,
            window,
            scale: 0,
            seen,
        })
    }

    fn segment() -> impl Strategy<Value = TcpSegment> {
        let flags = prop_oneof![3 => Just(flag::ACK), 1 => any::<u8>()];
        (0..4u32, 0..4u32, 0..2u16, flags).prop_map(|(sequence, acknowledgement, window, flags)| TcpSegment {
            sequence,
            acknowledgement,
            window,
            flags,
            window_scale: None,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn what_proceeds_is_taken_as_any_segment_is_and_tells_nothing(
            halves in [half(), half()],
            segment in segment(),
            payload in 0..3u32,
            (offset, from_high) in (prop::sample::select(vec![0, 1 << 31, u32::MAX - 1]), any::<bool>()),
        ) {
            let moved = |half: Half| Half { next: half.next.wrapping_add(offset), ..half };
            let segment = TcpSegment { sequence: segment.sequence.wrapping_add(offset), ..segment };
            let sender = if from_high { Sender::High } else { Sender::Low };
            let (now, reorder_limit) = (Timestamp::MIN, 0);
            let seen = Seen { sender, initiator: Sender::Low, segment: &segment, payload, now, reorder_limit };
            let (mut short, mut long) = (halves.map(moved), halves.map(moved));
            let (mut past, mut outcome) = (Past::default(), Outcome::default());
            if proceeds(&mut short, &seen) {
                let state = Connection { halves: &mut long, past: &mut past }.observe(State::Open, &seen, &mut outcome);
                prop_assert_eq!((state, outcome), (State::Open, Outcome::default()));
            }
            prop_assert_eq!(format!("{short:?}"), format!("{long:?}"));
        }
    }
}
