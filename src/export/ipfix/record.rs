//! Data records: the values of a flow in the order of its template.

use super::template::Kind;
use crate::export::Flow;
use crate::export::community::octets;
use crate::flow::EndReason;
use crate::packet::{InterfaceId, Network};
use crate::time::Timestamp;

/// What one direction of a flow adds to a record.
#[derive(Clone, Copy)]
struct Direction {
    bytes: u64,
    packets: u64,
    control: Control,
}

#[derive(Clone, Copy)]
enum Control {
    /// TCP control bits.
    Flags(u8),
    /// ICMP type; the code is 0.
    Echo(u8),
}

/// Appends the records of a flow to `bytes`, all of the template that is given back with their number.
///
/// Without `biflow` that is one for each direction that had packets, and one of a flow that had none since it was told
/// of last. So every record ends with a reason, and the sums over all are those of the flow.
pub(super) fn append(bytes: &mut Vec<u8>, flow: &Flow, biflow: bool) -> (Kind, u32) {
    let kind = kind(flow);
    let [c2s, s2c] = directions(flow, kind);
    if biflow {
        one(bytes, flow, false, c2s);
        counts(bytes, s2c);
        // The template has no type of the reply.
        if let Control::Flags(flags) = s2c.control {
            bytes.push(flags);
        }
        // The first packet was the initiator's (RFC 5103 section 6.3).
        bytes.push(1);
        return (kind, 1);
    }
    let (has_forth, has_back) = (c2s.packets > 0 || s2c.packets == 0, s2c.packets > 0);
    if has_forth {
        one(bytes, flow, false, c2s);
    }
    if has_back {
        one(bytes, flow, true, s2c);
    }
    (kind, u32::from(has_forth) + u32::from(has_back))
}

fn kind(flow: &Flow) -> Kind {
    let record = &flow.record;
    // The types of ICMP are known where there is an identifier; the record of other messages mixes them.
    Kind { is_ipv6: record.network() == Network::Ipv6, is_icmp: record.icmp_id().is_some() }
}

fn directions(flow: &Flow, kind: Kind) -> [Direction; 2] {
    let stats = &flow.record.stats;
    let [forth, back] = match (kind.is_icmp, kind.is_ipv6) {
        (false, _) => flow.record.tcp_flags.map(Control::Flags),
        (true, false) => [8, 0].map(Control::Echo),
        (true, true) => [128, 129].map(Control::Echo),
    };
    [
        Direction { bytes: stats.bytes_c2s, packets: stats.packets_c2s, control: forth },
        Direction { bytes: stats.bytes_s2c, packets: stats.packets_s2c, control: back },
    ]
}

/// A record of one direction; `back`: from the responder.
fn one(bytes: &mut Vec<u8>, flow: &Flow, back: bool, direction: Direction) {
    let record = &flow.record;
    let network = record.network();
    let ((source, source_port), (destination, destination_port)) = match back {
        false => (record.initiator(), record.responder()),
        true => (record.responder(), record.initiator()),
    };
    bytes.extend(millis(flow.counted_since.min(record.stats.last_seen)).to_be_bytes());
    bytes.extend(millis(record.stats.last_seen).to_be_bytes());
    bytes.extend(octets(network, &source));
    bytes.extend(octets(network, &destination));
    if matches!(direction.control, Control::Flags(_)) {
        bytes.extend(source_port.to_be_bytes());
        bytes.extend(destination_port.to_be_bytes());
    }
    bytes.push(record.key.protocol);
    bytes.push(record.end_reason.map_or(0, end_reason));
    bytes.extend(record.vlan().outer().unwrap_or(0).to_be_bytes());
    bytes.extend(interface(record.interface()).to_be_bytes());
    bytes.extend(record.id().to_be_bytes());
    counts(bytes, direction);
    match direction.control {
        Control::Flags(flags) => bytes.push(flags),
        Control::Echo(kind) => bytes.extend([kind, 0]),
    }
}

fn counts(bytes: &mut Vec<u8>, direction: Direction) {
    bytes.extend(direction.bytes.to_be_bytes());
    bytes.extend(direction.packets.to_be_bytes());
}

fn millis(at: Timestamp) -> u64 {
    at.as_nanos() / 1_000_000
}

/// flowEndReason, element 136.
fn end_reason(reason: EndReason) -> u8 {
    match reason {
        EndReason::Idle | EndReason::Unanswered => 1,
        EndReason::ActiveTimeout => 2,
        EndReason::Fin | EndReason::Rst | EndReason::Rejected => 3,
        EndReason::Shutdown => 4,
        EndReason::Evicted => 5,
    }
}

/// The number of an interface in records; 0 would be none.
pub(super) fn interface(id: InterfaceId) -> u32 {
    u32::from(id.0) + 1
}
