//! What a replay found, as tables for people.

use super::document::{CaptureFacts, conversation_total, rejects, total};
use super::table::{Table, bar, bit_rate, bytes, count, percent};
use crate::flow::{EndReason, Failure, FlowRecord, Side};
use crate::packet::{Network, Transport, names};
use crate::stats::{Buckets, CONVERSATIONS, InterfaceSnapshot, Snapshot, Volume};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

/// Width of the share bars.
const BAR: usize = 20;

/// The whole summary. `names` are the interfaces' names by id.
pub(super) fn summary(facts: &CaptureFacts, names: &[String], snapshot: &Snapshot, flows: &[FlowRecord]) -> String {
    let mut out = String::new();
    capture(facts, snapshot, &mut out);
    interfaces(snapshot, &mut out);
    protocols(snapshot, &mut out);
    tcp_health(snapshot, &mut out);
    trouble(snapshot, &mut out);
    top_flows(flows, names, &mut out);
    out
}

fn capture(facts: &CaptureFacts, snapshot: &Snapshot, out: &mut String) {
    let sum = snapshot.interfaces.iter().fold(Volume::default(), |sum, interface| {
        let volume = total(&interface.totals);
        Volume { packets: sum.packets + volume.packets, bytes: sum.bytes + volume.bytes }
    });
    let _ = writeln!(out, "{} ({})", facts.files.join(", "), facts.linktypes.join(", "));
    let first = snapshot.interfaces.iter().filter_map(|interface| interface.first_seen).min();
    let last = snapshot.interfaces.iter().filter_map(|interface| interface.last_seen).max();
    let _ = write!(out, "  {} packets, {}", count(sum.packets), bytes(sum.bytes));
    if let (Some(first), Some(last)) = (first, last) {
        let span = Duration::from_nanos(last.nanos_since(first));
        let _ = write!(out, " in {}", seconds(span));
        if !span.is_zero() {
            let _ = write!(out, " (mean {})", bit_rate(sum.bytes as f64 / span.as_secs_f64()));
        }
        let _ = write!(out, "\n  {first} to {last}");
    }
    out.push('\n');
}

fn interfaces(snapshot: &Snapshot, out: &mut String) {
    let columns = ["interface", ">receive packets", ">bytes", ">peak", ">transmit packets", ">bytes", ">peak"];
    let mut table = Table::new("Interfaces", &columns);
    for interface in &snapshot.interfaces {
        let [receive, transmit] = interface.totals.volume;
        let [peak_receive, peak_transmit] = interface.peak.volume;
        table.row([
            interface.name.to_string(),
            count(receive.packets),
            bytes(receive.bytes),
            bit_rate(peak_receive.bytes as f64),
            count(transmit.packets),
            bytes(transmit.bytes),
            bit_rate(peak_transmit.bytes as f64),
        ]);
    }
    table.print(out);
}

fn protocols(snapshot: &Snapshot, out: &mut String) {
    let whole: u64 = snapshot.interfaces.iter().map(|interface| total(&interface.totals).bytes).sum();
    let mut rows: Vec<(Network, Transport, Volume)> = CONVERSATIONS
        .into_iter()
        .map(|(network, transport)| {
            let volumes = snapshot.interfaces.iter().map(|i| conversation_total(&i.totals, network, transport));
            let sum = volumes.fold(Volume::default(), |sum, volume| Volume {
                packets: sum.packets + volume.packets,
                bytes: sum.bytes + volume.bytes,
            });
            (network, transport, sum)
        })
        .filter(|(_, _, sum)| sum.packets > 0)
        .collect();
    rows.sort_by_key(|(_, _, sum)| std::cmp::Reverse(sum.bytes));
    let mut table = Table::new("Protocols", &["network", "transport", ">packets", ">bytes", ">share", ""]);
    for (network, transport, sum) in rows {
        table.row([
            network.name().to_owned(),
            if network.is_ip() { transport.name().to_owned() } else { "-".to_owned() },
            count(sum.packets),
            bytes(sum.bytes),
            percent(sum.bytes, whole),
            bar(sum.bytes, whole, BAR),
        ]);
    }
    table.print(out);
}

fn tcp_health(snapshot: &Snapshot, out: &mut String) {
    let columns = [
        "interface",
        ">segments",
        ">retransmitted",
        ">out of order",
        ">zero window",
        ">opened",
        ">failed",
        ">resets",
        ">rtt server",
        ">rtt client",
    ];
    let mut table = Table::new("TCP health", &columns);
    for interface in &snapshot.interfaces {
        let tcp = &interface.totals.tcp;
        let segments: u64 = tcp.segments.iter().sum();
        if segments == 0 {
            continue;
        }
        table.row([
            interface.name.to_string(),
            count(segments),
            percent(tcp.retransmitted_segments.iter().sum(), segments),
            count(tcp.out_of_order_segments.iter().sum()),
            count(tcp.zero_window.iter().sum()),
            count(tcp.connections_opened),
            failures(interface),
            count(tcp.resets.iter().sum()),
            mean(&interface.handshake_rtt[Side::Server as usize]),
            mean(&interface.handshake_rtt[Side::Client as usize]),
        ]);
    }
    table.print(out);
}

/// `3 (2 unanswered, 1 rejected)`.
fn failures(interface: &InterfaceSnapshot) -> String {
    let counts = &interface.totals.tcp.connection_failures;
    let reasons: Vec<String> = Failure::ALL
        .into_iter()
        .filter(|failure| counts[*failure as usize] > 0)
        .map(|failure| format!("{} {}", count(counts[failure as usize]), failure.name()))
        .collect();
    match counts.iter().sum() {
        0 => "0".to_owned(),
        sum => format!("{} ({})", count(sum), reasons.join(", ")),
    }
}

fn mean(buckets: &Buckets) -> String {
    match buckets.sum().checked_div(u128::from(buckets.count())) {
        None => "-".to_owned(),
        Some(nanos) => seconds(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))),
    }
}

fn trouble(snapshot: &Snapshot, out: &mut String) {
    let mut table = Table::new("Rejected and cut headers", &["interface", "layer", "reason", ">packets"]);
    for interface in &snapshot.interfaces {
        for (layer, reason, packets) in rejects(&interface.totals) {
            let (layer, reason) = (layer.name().to_owned(), reason.name().to_owned());
            table.row([interface.name.to_string(), layer, reason, count(packets)]);
        }
        if interface.totals.truncated_packets > 0 {
            let cut = count(interface.totals.truncated_packets);
            table.row([interface.name.to_string(), "-".to_owned(), "cut by the snapshot length".to_owned(), cut]);
        }
    }
    table.print(out);
}

fn top_flows(flows: &[FlowRecord], names: &[String], out: &mut String) {
    let columns = [
        "protocol",
        "initiator",
        "responder",
        "state",
        ">packets",
        ">bytes sent",
        ">received",
        ">duration",
        "interface",
    ];
    let mut table = Table::new("Flows by bytes", &columns);
    for record in flows {
        let stats = &record.stats;
        let ended = match record.end_reason {
            Some(reason) if reason.name() != stats.state.name() => {
                format!("{} ({})", stats.state.name(), reason.name())
            }
            _ => stats.state.name().to_owned(),
        };
        table.row([
            names::protocol(record.network(), record.key.protocol),
            endpoint(record, record.initiator()),
            endpoint(record, record.responder()),
            ended,
            count(stats.packets_c2s + stats.packets_s2c),
            bytes(stats.bytes_c2s),
            bytes(stats.bytes_s2c),
            seconds(record.duration()),
            names.get(usize::from(record.interface().0)).cloned().unwrap_or_default(),
        ]);
    }
    table.print(out);
    let closed = |reason: EndReason| flows.iter().filter(|flow| flow.end_reason == Some(reason)).count();
    if closed(EndReason::Evicted) > 0 {
        let _ = writeln!(out, "  some flows were cut in pieces: `flows.max` is too small for this capture");
    }
}

fn endpoint(record: &FlowRecord, (address, port): (crate::packet::Address, u16)) -> String {
    let ip = address.to_ip(record.network());
    match ip {
        _ if !record.key.has_ports() => ip.to_string(),
        _ if record.transport() == Transport::Icmp => format!("{ip} id {port}"),
        IpAddr::V4(_) => format!("{ip}:{port}"),
        IpAddr::V6(_) => format!("[{ip}]:{port}"),
    }
}

/// A span with the unit and precision that people use for it.
fn seconds(span: Duration) -> String {
    let nanos = span.as_nanos();
    match nanos {
        0..1_000_000 => format!("{:.0} µs", nanos as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", nanos as f64 / 1e6),
        1_000_000_000..60_000_000_000 => format!("{:.2} s", span.as_secs_f64()),
        _ => {
            let whole = span.as_secs();
            let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
            if hours > 0 { format!("{hours} h {minutes:02} min") } else { format!("{minutes} min {seconds:02} s") }
        }
    }
}
