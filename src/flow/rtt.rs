//! Round trips of data segments, for those who want them.

use super::key::Sender;
use super::tcp::distance;
use crate::packet::{ParsedPacket, TcpSegment, flag};
use crate::time::Timestamp;

/// A data segment whose acknowledgement is awaited.
#[derive(Clone, Copy, Debug)]
struct Awaited {
    end: u32,
    sent: Timestamp,
}

/// One sample under way in each direction, by sender; none across a retransmission (Karn's rule).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RoundTrips([Option<Awaited>; 2]);

impl RoundTrips {
    /// Takes a segment and returns the round trip that it completes, in nanoseconds.
    pub(super) fn observe(
        &mut self,
        sender: Sender,
        segment: &TcpSegment,
        packet: &ParsedPacket,
        is_retransmitted: bool,
    ) -> Option<u64> {
        let awaited = &mut self.0[sender.other() as usize];
        let reached = |awaited: &mut Awaited| {
            segment.flags & flag::ACK != 0 && distance(awaited.end, segment.acknowledgement) >= 0
        };
        let answered = awaited.take_if(reached).map(|awaited| packet.timestamp.nanos_since(awaited.sent));
        let own = &mut self.0[sender as usize];
        if is_retransmitted {
            *own = None;
        } else if packet.payload_len > 0 && own.is_none() {
            *own = Some(Awaited { end: segment.sequence.wrapping_add(packet.payload_len), sent: packet.timestamp });
        }
        answered
    }
}
