//! The JSON document of a replay. Key names and the order of every list are part of the contract.

use crate::flow::{EndReason, Failure, FlowRecord, Phase, Side};
use crate::packet::{Ethertype, Layer, Network, Reason, Transport, names};
use crate::stats::{
    Buckets, CONVERSATIONS, Counters, InterfaceSnapshot, Peak, Snapshot, TCP_FLAGS, Talker, TalkerKey, TalkerTable,
    Volume, conversation,
};
use crate::time::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Facts about the files that were read.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct CaptureFacts {
    /// As named on the command line; `-` is standard input.
    pub(super) files: Vec<String>,
    /// Names of the link types seen, in order of appearance.
    pub(super) linktypes: Vec<String>,
    /// Frames whose record time was outside 1970-01-01 to 2262-04-11, or had a fraction out of range.
    pub(super) bad_timestamps: u64,
    /// What is missing and where, when a file could not be read to its end.
    pub(super) incomplete: Option<String>,
}

/// Everything a replay found. `names` are the interfaces' names by id.
pub(super) fn document(facts: &CaptureFacts, names: &[String], snapshot: &Snapshot, flows: &[FlowRecord]) -> Value {
    json!({
        "schema": 1,
        "capture": capture(facts, snapshot),
        "interfaces": snapshot.interfaces.iter().map(|found| interface(found)).collect::<Vec<_>>(),
        "flows": flows.iter().map(|record| flow(record, names)).collect::<Vec<_>>(),
        "talkers": snapshot.talkers.iter().map(talkers).collect::<Vec<_>>(),
        "alerts": [],
    })
}

fn capture(facts: &CaptureFacts, snapshot: &Snapshot) -> Value {
    let totals = || snapshot.interfaces.iter().map(|interface| &interface.totals);
    let first_seen = snapshot.interfaces.iter().filter_map(|interface| interface.first_seen).min();
    let last_seen = snapshot.interfaces.iter().filter_map(|interface| interface.last_seen).max();
    json!({
        "files": facts.files,
        "linktypes": facts.linktypes,
        "packets": totals().map(|totals| total(totals).packets).sum::<u64>(),
        "captured_bytes": totals().map(|totals| totals.captured_bytes).sum::<u64>(),
        "wire_bytes": totals().map(|totals| total(totals).bytes).sum::<u64>(),
        "truncated_packets": totals().map(|totals| totals.cut_packets).sum::<u64>(),
        "bad_timestamps": facts.bad_timestamps,
        "late_packets": snapshot.own.late_packets,
        "time_steps": { "forward": snapshot.own.time_steps[0], "backward": snapshot.own.time_steps[1] },
        "first_seen": first_seen.map(time),
        "last_seen": last_seen.map(time),
        "incomplete": facts.incomplete,
    })
}

/// Both directions together.
pub(super) fn total(counters: &Counters) -> Volume {
    let [receive, transmit] = counters.volume;
    Volume { packets: receive.packets + transmit.packets, bytes: receive.bytes + transmit.bytes }
}

fn interface(interface: &InterfaceSnapshot) -> Value {
    let totals = &interface.totals;
    let first = totals.fragments.iter().map(|[first, _]| first).sum::<u64>();
    let later = totals.fragments.iter().map(|[_, later]| later).sum::<u64>();
    json!({
        "interface": &*interface.name,
        "receive": volume(totals.volume[0]),
        "transmit": volume(totals.volume[1]),
        "ethertypes": ethertypes(interface),
        "protocols": protocols(interface),
        "vlan_packets": totals.vlan_packets,
        "fragments": { "first": first, "later": later },
        "broadcast_packets": totals.broadcast_packets,
        "multicast_packets": totals.multicast_packets,
        "headers_cut_packets": totals.truncated_packets,
        "parse_errors": parse_errors(totals),
        "packet_size_bytes": histogram(&interface.packet_size, 1.0),
        "tcp": tcp(interface),
        "flows": flow_counts(totals),
        "peak": peak(&interface.peak),
    })
}

fn volume(volume: Volume) -> Value {
    json!({ "packets": volume.packets, "bytes": volume.bytes })
}

fn ethertypes(interface: &InterfaceSnapshot) -> Vec<Value> {
    let row = |(ethertype, volume): (&Ethertype, &Volume)| {
        json!({
            "ethertype": ethertype.to_string(),
            "name": names::ethertype(*ethertype),
            "packets": volume.packets,
            "bytes": volume.bytes,
        })
    };
    interface.ethertypes.iter().map(row).collect()
}

/// One row for each IP version and protocol number, then ARP and the rest.
fn protocols(interface: &InterfaceSnapshot) -> Vec<Value> {
    let ip = interface.ip_protocols.iter().map(|((is_v6, number), volume)| {
        let network = if *is_v6 { Network::Ipv6 } else { Network::Ipv4 };
        protocol_row(network, Transport::of(network, *number), Some(*number), *volume)
    });
    let without_ip = [Network::Arp, Network::Other].into_iter().filter_map(|network| {
        let volume = conversation_total(&interface.totals, network, Transport::Other);
        (volume.packets > 0).then(|| protocol_row(network, Transport::Other, None, volume))
    });
    ip.chain(without_ip).collect()
}

fn protocol_row(network: Network, transport: Transport, number: Option<u8>, volume: Volume) -> Value {
    json!({
        "network": network.name(),
        "transport": transport.name(),
        "protocol": number,
        "name": number.map(|number| names::protocol(network, number)),
        "packets": volume.packets,
        "bytes": volume.bytes,
    })
}

/// Both directions of one (network, transport) pair.
pub(super) fn conversation_total(counters: &Counters, network: Network, transport: Transport) -> Volume {
    let index = conversation(network, transport);
    debug_assert!(index < CONVERSATIONS.len());
    let [receive, transmit] = [counters.protocols[0][index], counters.protocols[1][index]];
    Volume { packets: receive.packets + transmit.packets, bytes: receive.bytes + transmit.bytes }
}

/// The (layer, reason) pairs that occurred, in the order of their enums.
pub(super) fn rejects(counters: &Counters) -> impl Iterator<Item = (Layer, Reason, u64)> {
    let counts = counters.parse_errors;
    Layer::ALL.into_iter().flat_map(move |layer| {
        Reason::ALL.into_iter().filter_map(move |reason| {
            let packets = counts[layer as usize][reason as usize];
            (packets > 0).then_some((layer, reason, packets))
        })
    })
}

fn parse_errors(counters: &Counters) -> Vec<Value> {
    rejects(counters)
        .map(|(layer, reason, packets)| json!({ "layer": layer.name(), "reason": reason.name(), "packets": packets }))
        .collect()
}

fn tcp(interface: &InterfaceSnapshot) -> Value {
    let tcp = &interface.totals.tcp;
    let flags: Map<String, Value> = TCP_FLAGS
        .iter()
        .enumerate()
        .map(|(flag, name)| ((*name).to_owned(), (tcp.flags[0][flag] + tcp.flags[1][flag]).into()))
        .collect();
    let rtt: Map<String, Value> = Side::ALL
        .into_iter()
        .map(|side| (side.name().to_owned(), histogram(&interface.handshake_rtt[side as usize], 1e-9)))
        .collect();
    json!({
        "flags": flags,
        "segments": by_direction(tcp.segments),
        "retransmitted_segments": by_direction(tcp.retransmitted_segments),
        "retransmitted_bytes": by_direction(tcp.retransmitted_bytes),
        "out_of_order_segments": by_direction(tcp.out_of_order_segments),
        "duplicate_acks": by_direction(tcp.duplicate_acks),
        "zero_window": by_direction(tcp.zero_window),
        "connections_opened": tcp.connections_opened,
        "connection_failures": named(Failure::ALL.map(Failure::name), tcp.connection_failures),
        "resets": named(Phase::ALL.map(Phase::name), tcp.resets),
        "handshake_rtt_seconds": rtt,
    })
}

fn flow_counts(counters: &Counters) -> Value {
    let closed: Map<String, Value> = Transport::ALL
        .into_iter()
        .map(|transport| {
            let reasons = named(EndReason::ALL.map(EndReason::name), counters.flows_closed[transport as usize]);
            (transport.name().to_owned(), reasons)
        })
        .collect();
    json!({
        "opened": named(Transport::ALL.map(Transport::name), counters.flows_opened),
        "closed": closed,
        "one_sided": counters.flows_one_sided,
    })
}

fn named<const N: usize>(names: [&'static str; N], counts: [u64; N]) -> Value {
    names
        .into_iter()
        .zip(counts)
        .map(|(name, count)| (name.to_owned(), Value::from(count)))
        .collect::<Map<_, _>>()
        .into()
}

fn by_direction([receive, transmit]: [u64; 2]) -> Value {
    json!({ "receive": receive, "transmit": transmit })
}

/// Count, sum and the buckets that hold something; `le` is null for what is beyond the last bound.
fn histogram(buckets: &Buckets, unit: f64) -> Value {
    let scaled = |value: u64| if unit == 1.0 { json!(value) } else { json!(value as f64 * unit) };
    let bounds = buckets.bounds().iter().map(|bound| scaled(*bound)).chain([Value::Null]);
    let filled: Vec<Value> = bounds
        .zip(buckets.counts())
        .filter(|(_, count)| **count > 0)
        .map(|(le, count)| json!({ "le": le, "count": count }))
        .collect();
    let sum = u64::try_from(buckets.sum()).unwrap_or(u64::MAX);
    json!({ "count": buckets.count(), "sum": scaled(sum), "buckets": filled })
}

fn peak(peak: &Peak) -> Value {
    let [receive, transmit] = peak.volume;
    json!({
        "receive_bytes_per_second": receive.bytes,
        "receive_packets_per_second": receive.packets,
        "transmit_bytes_per_second": transmit.bytes,
        "transmit_packets_per_second": transmit.packets,
    })
}

fn flow(record: &FlowRecord, names: &[String]) -> Value {
    let [source, destination] = [record.initiator().0, record.responder().0];
    let ports = record.ports();
    let vlan: Vec<u16> = record.vlan().ids().collect();
    let stats = &record.stats;
    let mut row = json!({
        "id": format!("{:016x}", record.id()),
        "interface": names.get(usize::from(record.interface().0)),
        "vlan": if vlan.is_empty() { Value::Null } else { json!(vlan) },
        "protocol": names::protocol(record.network(), record.key.protocol),
        "src_ip": source.to_ip(record.network()),
        "src_port": ports.map(|[source, _]| source),
        "dst_ip": destination.to_ip(record.network()),
        "dst_port": ports.map(|[_, destination]| destination),
        "state": stats.state.name(),
        "end_reason": record.end_reason.map(EndReason::name),
        "first_seen": time(stats.first_seen),
        "last_seen": time(stats.last_seen),
        "packets_c2s": stats.packets_c2s,
        "bytes_c2s": stats.bytes_c2s,
        "packets_s2c": stats.packets_s2c,
        "bytes_s2c": stats.bytes_s2c,
    });
    if let Some(id) = record.icmp_id() {
        row["icmp_id"] = id.into();
    }
    row
}

fn talkers(table: &TalkerTable) -> Value {
    json!({
        "window": format!("{}s", table.length.as_secs()),
        "hosts": table.hosts.iter().map(talker).collect::<Vec<_>>(),
        "pairs": table.pairs.iter().map(talker).collect::<Vec<_>>(),
        "ports": table.ports.iter().map(talker).collect::<Vec<_>>(),
        "other": named_lists(table.other.map(|[from, to]| json!({ "from_bytes": from, "to_bytes": to }))),
        "error_bound_bytes": named_lists(table.error_bound.map(Value::from)),
    })
}

fn named_lists(values: [Value; 3]) -> Value {
    ["hosts", "pairs", "ports"].map(str::to_owned).into_iter().zip(values).collect::<Map<_, _>>().into()
}

fn talker(talker: &Talker) -> Value {
    let mut row = match talker.key {
        TalkerKey::Host(host) => json!({ "host": host }),
        TalkerKey::Pair(a, b) => json!({ "hosts": [a, b] }),
        TalkerKey::Port(transport, port) => json!({ "transport": transport.name(), "port": port }),
    };
    row["from_bytes"] = talker.from_bytes.into();
    row["to_bytes"] = talker.to_bytes.into();
    row
}

fn time(timestamp: Timestamp) -> String {
    timestamp.to_string()
}
