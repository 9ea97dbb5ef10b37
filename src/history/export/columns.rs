//! The columns of both datasets, and what stands in them.

use crate::flow::Side;
use crate::history::{Flow, Record, Tier};
use crate::packet::{Direction, names};
use crate::time::{NANOS_PER_SECOND, Timestamp};

/// A dataset: a directory of files with the same columns.
#[derive(Debug)]
pub(super) struct Dataset {
    pub(super) name: &'static str,
    pub(super) columns: &'static [Column],
}

/// One column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
}

/// Type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// UTF-8.
    Text,
    /// Microseconds since 1970, UTC.
    Time,
    /// Unsigned, 64 bits.
    Count,
    /// Unsigned, 16 bits; may be missing.
    OptionalPort,
    /// Unsigned, 8 bits.
    Byte,
    /// May be missing.
    OptionalReal,
}

/// One value; of the type of its column.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Text(String),
    Time(Timestamp),
    Count(u64),
    Port(Option<u16>),
    Byte(u8),
    Real(Option<f64>),
}

const fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind }
}

pub(super) static SERIES: Dataset = Dataset {
    name: "series",
    columns: &[
        column("interface", Kind::Text),
        column("time", Kind::Time),
        column("step_seconds", Kind::Count),
        column("recorded_seconds", Kind::Count),
        column("receive_bytes", Kind::Count),
        column("receive_packets", Kind::Count),
        column("transmit_bytes", Kind::Count),
        column("transmit_packets", Kind::Count),
        column("peak_receive_bytes_per_second", Kind::Count),
        column("peak_receive_packets_per_second", Kind::Count),
        column("peak_transmit_bytes_per_second", Kind::Count),
        column("peak_transmit_packets_per_second", Kind::Count),
        column("flows_opened", Kind::Count),
        column("flows_closed", Kind::Count),
        column("flows_active", Kind::Count),
        column("tcp_segments", Kind::Count),
        column("tcp_retransmitted_segments", Kind::Count),
        column("tcp_out_of_order_segments", Kind::Count),
        column("tcp_zero_window", Kind::Count),
        column("tcp_resets", Kind::Count),
        column("tcp_connections_opened", Kind::Count),
        column("tcp_connection_failures", Kind::Count),
        column("handshake_rtt_client_seconds", Kind::OptionalReal),
        column("handshake_rtt_server_seconds", Kind::OptionalReal),
        column("dropped_packets", Kind::Count),
        column("rejected_packets", Kind::Count),
        column("coverage_ratio", Kind::OptionalReal),
    ],
};

/// In the order of [`SERIES`].
pub(super) fn of_record(record: &Record, tier: Tier) -> Vec<Cell> {
    let Record { interface, start, measures } = record;
    let [received, sent] = Direction::ALL.map(|direction| measures.volume(direction));
    let [peak_received, peak_sent] = measures.peak;
    let [client, server] = Side::ALL.map(|side| measures.handshake_rtt()[side as usize]);
    let (sum, tcp) = (|numbers: &[u64]| Cell::Count(numbers.iter().sum()), &measures.tcp);
    vec![
        Cell::Text(interface.to_string()),
        Cell::Time(Timestamp::from_nanos(start.saturating_mul(NANOS_PER_SECOND))),
        Cell::Count(tier.seconds()),
        Cell::Count(measures.seconds),
        Cell::Count(received.bytes),
        Cell::Count(received.packets),
        Cell::Count(sent.bytes),
        Cell::Count(sent.packets),
        Cell::Count(peak_received.bytes),
        Cell::Count(peak_received.packets),
        Cell::Count(peak_sent.bytes),
        Cell::Count(peak_sent.packets),
        sum(&measures.flows_opened),
        sum(&measures.flows_closed),
        Cell::Count(measures.flows_active),
        sum(&tcp.segments),
        sum(&tcp.retransmitted_segments),
        sum(&tcp.out_of_order_segments),
        sum(&tcp.zero_window),
        sum(&tcp.resets),
        Cell::Count(tcp.connections_opened),
        sum(&tcp.connection_failures),
        Cell::Real(client),
        Cell::Real(server),
        sum(&measures.dropped),
        Cell::Count(measures.rejected),
        Cell::Real(measures.coverage()),
    ]
}

pub(super) static FLOWS: Dataset = Dataset {
    name: "flows",
    columns: &[
        column("id", Kind::Text),
        column("interface", Kind::Text),
        column("vlan", Kind::Text),
        column("protocol", Kind::Byte),
        column("protocol_name", Kind::Text),
        column("src_ip", Kind::Text),
        column("src_port", Kind::OptionalPort),
        column("dst_ip", Kind::Text),
        column("dst_port", Kind::OptionalPort),
        column("first_seen", Kind::Time),
        column("last_seen", Kind::Time),
        column("packets_c2s", Kind::Count),
        column("bytes_c2s", Kind::Count),
        column("packets_s2c", Kind::Count),
        column("bytes_s2c", Kind::Count),
        column("end_reason", Kind::Text),
    ],
};

/// In the order of [`FLOWS`]. The ports of an ICMP echo are both its identifier.
pub(super) fn of_flow(flow: &Flow) -> Vec<Cell> {
    let port = |port: u16| Cell::Port(flow.has_ports.then_some(port));
    let vlan: Vec<String> = flow.vlan.ids().map(|id| id.to_string()).collect();
    vec![
        Cell::Text(format!("{:016x}", flow.id)),
        Cell::Text(flow.interface.to_string()),
        Cell::Text(vlan.join(" ")),
        Cell::Byte(flow.protocol),
        Cell::Text(names::protocol(flow.network(), flow.protocol)),
        Cell::Text(flow.source.to_string()),
        port(flow.source_port),
        Cell::Text(flow.destination.to_string()),
        port(flow.destination_port),
        Cell::Time(flow.first_seen),
        Cell::Time(flow.last_seen),
        Cell::Count(flow.packets_c2s),
        Cell::Count(flow.bytes_c2s),
        Cell::Count(flow.packets_s2c),
        Cell::Count(flow.bytes_s2c),
        Cell::Text(flow.end_reason.name().to_owned()),
    ]
}

/// The second that a time is in.
pub(super) fn second(at: Timestamp) -> u64 {
    at.as_nanos() / NANOS_PER_SECOND
}
