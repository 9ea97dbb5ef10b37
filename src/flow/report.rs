//! What a segment did, as events.

use super::hash::flow_id;
use super::tcp::Outcome;
use super::{Event, FlowKey, Listener, Side};
use crate::packet::ParsedPacket;
use crate::time::Timestamp;

/// Tells what a segment did to its connection, whose first packet was seen at `first_seen`.
#[cold]
pub(super) fn report(
    key: &FlowKey,
    first_seen: Timestamp,
    packet: &ParsedPacket,
    outcome: &Outcome,
    listener: &mut impl Listener,
) {
    let (interface, direction) = (packet.interface, packet.direction);
    for (side, nanos) in [Side::Server, Side::Client].into_iter().zip(outcome.handshake_rtt) {
        if let Some(nanos) = nanos {
            let flow = flow_id(key, first_seen);
            listener.on(Event::HandshakeRtt { interface, side, nanos, flow });
        }
    }
    if outcome.established {
        listener.on(Event::Established { interface });
    }
    if let Some(bytes) = outcome.retransmitted {
        listener.on(Event::Retransmitted { interface, direction, bytes });
    }
    if outcome.out_of_order {
        listener.on(Event::OutOfOrder { interface, direction });
    }
    if outcome.duplicate_ack {
        listener.on(Event::DuplicateAck { interface, direction });
    }
    if outcome.zero_window {
        listener.on(Event::ZeroWindow { interface, direction });
    }
    if let Some(phase) = outcome.reset {
        listener.on(Event::Reset { interface, phase });
    }
    if let Some(reason) = outcome.failed {
        listener.on(Event::Failed { interface, reason });
    }
}
