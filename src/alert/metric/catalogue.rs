//! The rows of the catalogue. Bytes are wire bytes, as everywhere.

use super::{Metric, Read, Sets, Unit};
use crate::alert::label::Dimension;
use crate::flow::State;
use crate::packet::Transport;
use crate::stats::{CONVERSATIONS, Capture, Counters, InterfaceSnapshot, TCP_FLAGS, Volume};
use crate::time::Tick;

const RECEIVE: usize = 0;
const TRANSMIT: usize = 1;

const fn row(
    name: &'static str,
    unit: Unit,
    dimensions: &'static [Dimension],
    read: Read,
    help: &'static str,
) -> Metric {
    Metric { name, unit, help, dimensions, read }
}

use Dimension as D;
use Unit::{BytesPerSecond, Count, PerSecond, Ratio, Seconds, State as YesNo};

#[rustfmt::skip]
pub(super) const METRICS: &[Metric] = &[
    // Volume.
    row("receive_bytes_per_second", BytesPerSecond, &[], Read::Rate(|c, _| c.volume[RECEIVE].bytes), "Mean rate of received bytes."),
    row("transmit_bytes_per_second", BytesPerSecond, &[], Read::Rate(|c, _| c.volume[TRANSMIT].bytes), "Mean rate of transmitted bytes."),
    row("bytes_per_second", BytesPerSecond, &[], Read::Rate(|c, _| both(c).bytes), "Mean rate of bytes in both directions."),
    row("receive_packets_per_second", PerSecond, &[], Read::Rate(|c, _| c.volume[RECEIVE].packets), "Mean rate of received frames."),
    row("transmit_packets_per_second", PerSecond, &[], Read::Rate(|c, _| c.volume[TRANSMIT].packets), "Mean rate of transmitted frames."),
    row("packets_per_second", PerSecond, &[], Read::Rate(|c, _| both(c).packets), "Mean rate of frames in both directions."),
    row("receive_peak_bytes_per_second", BytesPerSecond, &[], Read::Peak(|v| v[RECEIVE].bytes), "Bytes received in the greatest second of the window."),
    row("transmit_peak_bytes_per_second", BytesPerSecond, &[], Read::Peak(|v| v[TRANSMIT].bytes), "Bytes transmitted in the greatest second of the window."),
    row("receive_peak_packets_per_second", PerSecond, &[], Read::Peak(|v| v[RECEIVE].packets), "Frames received in the greatest second of the window."),
    row("transmit_peak_packets_per_second", PerSecond, &[], Read::Peak(|v| v[TRANSMIT].packets), "Frames transmitted in the greatest second of the window."),
    row("receive_utilization_ratio", Ratio, &[], Read::Utilization(RECEIVE), "Received bytes by the speed of the link; no data where the speed is unknown."),
    row("transmit_utilization_ratio", Ratio, &[], Read::Utilization(TRANSMIT), "Transmitted bytes by the speed of the link; no data where the speed is unknown."),
    row("broadcast_packets_per_second", PerSecond, &[], Read::Rate(|c, _| c.broadcast_packets), "Mean rate of frames to the broadcast address."),
    row("multicast_packets_per_second", PerSecond, &[], Read::Rate(|c, _| c.multicast_packets), "Mean rate of frames to group addresses."),
    row("last_packet_age_seconds", Seconds, &[], Read::Now(last_packet_age), "Time since the last frame; no data before the first one."),
    // Protocols.
    row("protocol_bytes_per_second", BytesPerSecond, &[D::Protocol], Read::Rate(|c, s| protocol(c, s).bytes), "Mean rate of bytes of a protocol, both directions and IP versions together."),
    row("protocol_packets_per_second", PerSecond, &[D::Protocol], Read::Rate(|c, s| protocol(c, s).packets), "Mean rate of frames of a protocol, both directions and IP versions together."),
    row("protocol_bytes_ratio", Ratio, &[D::Protocol], Read::Share(|c, s| [protocol(c, s).bytes, both(c).bytes]), "Share of a protocol in all bytes."),
    row("protocol_packets_ratio", Ratio, &[D::Protocol], Read::Share(|c, s| [protocol(c, s).packets, both(c).packets]), "Share of a protocol in all frames."),
    row("network_bytes_per_second", BytesPerSecond, &[D::Network], Read::Rate(|c, s| network(c, s).bytes), "Mean rate of bytes of a network protocol, both directions together."),
    row("network_bytes_ratio", Ratio, &[D::Network], Read::Share(|c, s| [network(c, s).bytes, both(c).bytes]), "Share of a network protocol in all bytes."),
    // Flows.
    row("new_flows_per_second", PerSecond, &[D::Transport], Read::Rate(|c, s| chosen(&c.flows_opened, s[0])), "Flow records made."),
    row("active_flows", Count, &[D::Transport], Read::Now(active_flows), "Flows in the table that have not ended."),
    row("half_open_flows", Count, &[], Read::Now(half_open_flows), "TCP flows in the table whose handshake is not complete."),
    row("flow_table_fill_ratio", Ratio, &[], Read::Own(|s| part(s.own.flow_table_entries, s.own.flow_table_limit)), "Records in the flow table by the most it holds."),
    // The history.
    row("history_failing", YesNo, &[], Read::Own(|s| s.own.history.map(|history| f64::from(u8::from(history.failing)))), "1 while records of the history cannot be written (disk full, failing or not to be opened) or were lost within the minute, 0 while all are kept; no data without a history and in replay."),
    row("history_quarantined", Count, &[], Read::Own(|s| s.own.history.map(|history| history.quarantined as f64)), "Damaged history stores that were set aside since the start; no data without a history and in replay."),
    // TCP health.
    row("retransmit_ratio", Ratio, &[D::Direction], Read::Share(|c, s| [chosen(&c.tcp.retransmitted_segments, s[0]), chosen(&c.tcp.segments, s[0])]), "Retransmitted segments by all TCP segments."),
    row("retransmitted_segments_per_second", PerSecond, &[D::Direction], Read::Rate(|c, s| chosen(&c.tcp.retransmitted_segments, s[0])), "Segments whose sequence numbers were already seen."),
    row("out_of_order_ratio", Ratio, &[D::Direction], Read::Share(|c, s| [chosen(&c.tcp.out_of_order_segments, s[0]), chosen(&c.tcp.segments, s[0])]), "Segments that filled a gap late by all TCP segments."),
    row("duplicate_ack_ratio", Ratio, &[D::Direction], Read::Share(|c, s| [chosen(&c.tcp.duplicate_acks, s[0]), chosen(&c.tcp.segments, s[0])]), "Repeated pure acknowledgements by all TCP segments."),
    row("zero_windows_per_second", PerSecond, &[D::Direction], Read::Rate(|c, s| chosen(&c.tcp.zero_window, s[0])), "Times a receiver's window went to zero."),
    row("reset_ratio", Ratio, &[D::Phase], Read::Share(|c, s| [chosen(&c.tcp.resets, s[0]), c.tcp.segments.iter().sum()]), "Resets by all TCP segments."),
    row("resets_per_second", PerSecond, &[D::Phase], Read::Rate(|c, s| chosen(&c.tcp.resets, s[0])), "TCP resets."),
    row("connections_per_second", PerSecond, &[], Read::Rate(|c, _| c.tcp.connections_opened), "TCP handshakes completed."),
    row("connection_failures_per_second", PerSecond, &[D::Failure], Read::Rate(|c, s| chosen(&c.tcp.connection_failures, s[0])), "TCP connection attempts that failed; one that nobody answers fails when it times out."),
    row("connection_failure_ratio", Ratio, &[D::Failure], Read::Share(failures), "Failed TCP connection attempts by all attempts that ended, well or not."),
    row("syns_per_second", PerSecond, &[D::Direction], Read::Rate(|c, s| flag(c, SYN, s[0])), "TCP segments with SYN and without ACK."),
    row("unanswered_syns_per_second", PerSecond, &[], Read::Rate(|c, _| flag(c, SYN, ALL).saturating_sub(flag(c, SYNACK, ALL))), "SYNs in the window less SYN-ACKs in the window, in both directions together."),
    row("handshake_rtt_p50_seconds", Seconds, &[D::Side], Read::Quantile(|q| q.p50), "Median handshake round trip to the client or server."),
    row("handshake_rtt_p95_seconds", Seconds, &[D::Side], Read::Quantile(|q| q.p95), "95th percentile of handshake round trips."),
    row("handshake_rtt_p99_seconds", Seconds, &[D::Side], Read::Quantile(|q| q.p99), "99th percentile of handshake round trips."),
    row("handshake_rtt_max_seconds", Seconds, &[D::Side], Read::Quantile(|q| q.max), "Greatest handshake round trip."),
    // Capture.
    row("parse_errors_per_second", PerSecond, &[D::Layer, D::Reject], Read::Rate(rejects), "Frames with a header that could not be read."),
    row("parse_error_ratio", Ratio, &[D::Layer, D::Reject], Read::Share(|c, s| [rejects(c, s), both(c).packets]), "Frames with a header that could not be read by all frames."),
    row("capture_loss_ratio", Ratio, &[D::Stage], Read::Share(loss), "Frames lost before they were parsed by all frames."),
    row("capture_coverage_ratio", Ratio, &[], Read::Coverage, "Captured bytes by the bytes the kernel counted; no data while a filter is set or where the kernel does not count."),
    row("capture_up", YesNo, &[], Read::Capture(|i| Some(f64::from(u8::from(i.capture.up)))), "1 while the interface is captured, 0 while it is not or is gone."),
    row("capture_blind", YesNo, &[], Read::Blind, "1 while the numbers of the interface are not to be relied on: losses or coverage beyond `alerting.blind`, or nothing captured."),
    row("capture_lag_seconds", Seconds, &[], Read::Capture(|i| i.capture.lag.map(|lag| lag.as_secs_f64())), "Largest time a frame waited before it was handled; no data in replay."),
    row("interface_up", YesNo, &[], Read::Capture(|i| i.capture.link_up.map(|up| f64::from(u8::from(up)))), "Operational state of the link; no data in replay."),
    // Who with whom.
    row("host_bytes_per_second", BytesPerSecond, &[D::Host], Read::Host { share: false }, "Bytes from and to each of the top hosts, over all interfaces."),
    row("host_bytes_ratio", Ratio, &[D::Host], Read::Host { share: true }, "Share of each of the top hosts in all bytes: the traffic it is one end of."),
    row("class_bytes_per_second", BytesPerSecond, &[D::SourceClass, D::DestinationClass], Read::Class(|v| v.bytes), "Bytes from one class of addresses to another, over all interfaces."),
    row("class_packets_per_second", PerSecond, &[D::SourceClass, D::DestinationClass], Read::Class(|v| v.packets), "Frames from one class of addresses to another, over all interfaces."),
];

const ALL: u32 = u32::MAX;

const SYN: usize = 0;
const SYNACK: usize = 1;
const _: () = assert!(matches!(TCP_FLAGS[SYN].as_bytes(), b"syn") && matches!(TCP_FLAGS[SYNACK].as_bytes(), b"synack"));

fn both(counters: &Counters) -> Volume {
    sum(counters.volume.iter())
}

fn sum<'a>(volumes: impl Iterator<Item = &'a Volume>) -> Volume {
    volumes.fold(Volume::default(), |sum, volume| Volume {
        packets: sum.packets + volume.packets,
        bytes: sum.bytes + volume.bytes,
    })
}

/// The sum of the counts whose place is in `set`.
fn chosen(counts: &[u64], set: u32) -> u64 {
    counts.iter().enumerate().filter(|(place, _)| set >> place & 1 == 1).map(|(_, count)| count).sum()
}

fn conversations(counters: &Counters, is_chosen: impl Fn(usize) -> bool) -> Volume {
    sum(counters.protocols.iter().flat_map(|direction| {
        direction.iter().enumerate().filter(|(conversation, _)| is_chosen(*conversation)).map(|(_, volume)| volume)
    }))
}

fn protocol(counters: &Counters, [set, _]: Sets) -> Volume {
    conversations(counters, |conversation| {
        let (network, transport) = CONVERSATIONS[conversation];
        set >> crate::alert::label::protocol_of(network, transport) & 1 == 1
    })
}

fn network(counters: &Counters, [set, _]: Sets) -> Volume {
    conversations(counters, |conversation| set >> (CONVERSATIONS[conversation].0 as usize) & 1 == 1)
}

fn flag(counters: &Counters, flag: usize, directions: u32) -> u64 {
    chosen(&[counters.tcp.flags[RECEIVE][flag], counters.tcp.flags[TRANSMIT][flag]], directions)
}

fn failures(counters: &Counters, sets: Sets) -> [u64; 2] {
    let failed = &counters.tcp.connection_failures;
    [chosen(failed, sets[0]), failed.iter().sum::<u64>() + counters.tcp.connections_opened]
}

fn rejects(counters: &Counters, [layers, reasons]: Sets) -> u64 {
    let by_layer = counters.parse_errors.iter().enumerate().filter(|(layer, _)| layers >> layer & 1 == 1);
    by_layer.map(|(_, counts)| chosen(counts, reasons)).sum()
}

fn loss(counters: &Counters, sets: Sets) -> [u64; 2] {
    let lost = &counters.dropped_packets;
    [chosen(lost, sets[0]), lost.iter().sum::<u64>() + both(counters).packets]
}

fn active_flows(interface: &InterfaceSnapshot, _: Tick, sets: Sets) -> Option<f64> {
    let transports = Transport::ALL.into_iter().filter(|transport| sets[0] >> (*transport as usize) & 1 == 1);
    let flows = transports.flat_map(|transport| {
        let states = interface.flows[transport as usize];
        State::ALL.into_iter().filter(|state| *state != State::Closed).map(move |state| states[state as usize])
    });
    Some(flows.sum::<u64>() as f64)
}

fn half_open_flows(interface: &InterfaceSnapshot, _: Tick, _: Sets) -> Option<f64> {
    Some(interface.flows[Transport::Tcp as usize][State::Opening as usize] as f64)
}

fn last_packet_age(interface: &InterfaceSnapshot, now: Tick, _: Sets) -> Option<f64> {
    Some(now.end().nanos_since(interface.last_seen?) as f64 / 1e9)
}

/// `None` where there is no whole.
pub(in crate::alert) fn part(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Whether an interface left the machine, so that its numbers are of the past: the kernel knows no counters of it.
pub(in crate::alert) fn is_gone(capture: &Capture) -> bool {
    !capture.backend.is_empty() && !capture.up && capture.link_up != Some(true) && capture.kernel.is_none()
}
