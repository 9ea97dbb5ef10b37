//! Traffic of an interface: volume, rates and peaks, and what protocols it is made of. All from packets.
//!
//! Bytes are frame bytes as captured on the wire side of the socket. Where the kernel merges segments on receipt (GRO)
//! or splits them on sending (TSO), one frame here may be several on the wire.

use super::{RECEIVE, TRANSMIT, count, real, yes};
use crate::metrics::family::Dimension::{self, Interface, LongWindow, Window};
use crate::metrics::family::{Family, Value};
use crate::metrics::view::View;
use crate::stats::{Buckets, Volume};

const BYTES_PER_SECOND: &str = "bytes_per_second";

pub(super) const VOLUME: &[Family] = &[
    Family::counter(
        "netmon_interface_receive_bytes_total",
        "Bytes of received frames without FCS; frames merged by the kernel (GRO) count as one.",
        &[Interface],
        |view, [i, ..]| count(total(view, i, RECEIVE).bytes),
    )
    .unit("bytes"),
    Family::counter(
        "netmon_interface_transmit_bytes_total",
        "Bytes of transmitted frames without FCS; frames not yet split by the card (TSO) count as one.",
        &[Interface],
        |view, [i, ..]| count(total(view, i, TRANSMIT).bytes),
    )
    .unit("bytes"),
    Family::counter(
        "netmon_interface_receive_packets_total",
        "Received frames; frames merged by the kernel (GRO) count as one.",
        &[Interface],
        |view, [i, ..]| count(total(view, i, RECEIVE).packets),
    ),
    Family::counter(
        "netmon_interface_transmit_packets_total",
        "Transmitted frames; frames not yet split by the card (TSO) count as one.",
        &[Interface],
        |view, [i, ..]| count(total(view, i, TRANSMIT).packets),
    ),
    Family::gauge(
        "netmon_interface_receive_bytes_per_second",
        "Mean rate of received bytes over the window.",
        &[Interface, Window],
        |view, [i, w, ..]| rate(view, i, w, RECEIVE, |volume| volume.bytes),
    )
    .unit(BYTES_PER_SECOND),
    Family::gauge(
        "netmon_interface_transmit_bytes_per_second",
        "Mean rate of transmitted bytes over the window.",
        &[Interface, Window],
        |view, [i, w, ..]| rate(view, i, w, TRANSMIT, |volume| volume.bytes),
    )
    .unit(BYTES_PER_SECOND),
    Family::gauge(
        "netmon_interface_receive_packets_per_second",
        "Mean rate of received frames over the window.",
        &[Interface, Window],
        |view, [i, w, ..]| rate(view, i, w, RECEIVE, |volume| volume.packets),
    ),
    Family::gauge(
        "netmon_interface_transmit_packets_per_second",
        "Mean rate of transmitted frames over the window.",
        &[Interface, Window],
        |view, [i, w, ..]| rate(view, i, w, TRANSMIT, |volume| volume.packets),
    ),
    Family::gauge(
        "netmon_interface_receive_peak_bytes_per_second",
        "Most bytes received in one second inside the window.",
        &[Interface, LongWindow],
        |view, [i, w, ..]| peak(view, i, w, RECEIVE, |volume| volume.bytes),
    )
    .unit(BYTES_PER_SECOND),
    Family::gauge(
        "netmon_interface_transmit_peak_bytes_per_second",
        "Most bytes transmitted in one second inside the window.",
        &[Interface, LongWindow],
        |view, [i, w, ..]| peak(view, i, w, TRANSMIT, |volume| volume.bytes),
    )
    .unit(BYTES_PER_SECOND),
    Family::gauge(
        "netmon_interface_receive_peak_packets_per_second",
        "Most frames received in one second inside the window.",
        &[Interface, LongWindow],
        |view, [i, w, ..]| peak(view, i, w, RECEIVE, |volume| volume.packets),
    ),
    Family::gauge(
        "netmon_interface_transmit_peak_packets_per_second",
        "Most frames transmitted in one second inside the window.",
        &[Interface, LongWindow],
        |view, [i, w, ..]| peak(view, i, w, TRANSMIT, |volume| volume.packets),
    ),
    Family::bytes_histogram(
        "netmon_interface_packet_size_bytes",
        "Lengths of frames in both directions.",
        Buckets::PACKET_SIZE,
        &[Interface],
        |view, [i, ..]| Some(Value::Histogram(&view.interface(i).packet_size)),
    ),
    Family::counter(
        "netmon_interface_broadcast_packets_total",
        "Frames to the broadcast address.",
        &[Interface],
        |view, [i, ..]| count(view.interface(i).totals.broadcast_packets),
    ),
    Family::counter(
        "netmon_interface_multicast_packets_total",
        "Frames to a group address.",
        &[Interface],
        |view, [i, ..]| count(view.interface(i).totals.multicast_packets),
    ),
    Family::gauge(
        "netmon_interface_up",
        "Whether the link is operational; absent where it is not known and while the interface is gone.",
        &[Interface],
        |view, [i, ..]| view.interface(i).capture.link_up.and_then(yes),
    )
    .of_process(),
    Family::gauge(
        "netmon_interface_mtu_bytes",
        "The largest network-layer packet of the link; absent where it is not known.",
        &[Interface],
        |view, [i, ..]| count(view.interface(i).capture.mtu?.into()),
    )
    .unit("bytes")
    .of_process(),
    Family::gauge(
        "netmon_interface_speed_bytes_per_second",
        "Speed of the link; absent where it is not known.",
        &[Interface],
        |view, [i, ..]| view.interface(i).capture.speed.and_then(count),
    )
    .unit(BYTES_PER_SECOND)
    .of_process(),
    Family::gauge(
        "netmon_interface_utilization_ratio",
        "Mean rate over the window by the speed of the link; absent where the speed is not known.",
        &[Interface, Dimension::DIRECTION, Window],
        |view, [i, direction, w, _]| {
            let speed = view.interface(i).capture.speed.filter(|speed| *speed > 0)?;
            let window = view.window(i, w)?;
            real(window.per_second(window.sums.volume[direction].bytes) / speed as f64)
        },
    )
    .unit("ratio")
    .of_process(),
    Family::gauge(
        "netmon_interface_last_packet_timestamp_seconds",
        "Greatest record time of a frame, Unix time; absent before the first one.",
        &[Interface],
        |view, [i, ..]| real(view.interface(i).last_seen?.as_secs_f64()),
    )
    .unit("seconds"),
];

pub(super) const PROTOCOLS: &[Family] = &[
    Family::counter(
        "netmon_protocol_receive_bytes_total",
        "Bytes of received frames by protocol.",
        &[Interface, Dimension::CONVERSATION],
        |view, [i, protocol, ..]| count(view.interface(i).totals.protocols[RECEIVE][protocol].bytes),
    )
    .unit("bytes"),
    Family::counter(
        "netmon_protocol_transmit_bytes_total",
        "Bytes of transmitted frames by protocol.",
        &[Interface, Dimension::CONVERSATION],
        |view, [i, protocol, ..]| count(view.interface(i).totals.protocols[TRANSMIT][protocol].bytes),
    )
    .unit("bytes"),
    Family::counter(
        "netmon_protocol_receive_packets_total",
        "Received frames by protocol.",
        &[Interface, Dimension::CONVERSATION],
        |view, [i, protocol, ..]| count(view.interface(i).totals.protocols[RECEIVE][protocol].packets),
    ),
    Family::counter(
        "netmon_protocol_transmit_packets_total",
        "Transmitted frames by protocol.",
        &[Interface, Dimension::CONVERSATION],
        |view, [i, protocol, ..]| count(view.interface(i).totals.protocols[TRANSMIT][protocol].packets),
    ),
    Family::gauge(
        "netmon_protocol_bytes_per_second",
        "Mean rate over the window by protocol, both directions together.",
        &[Interface, Dimension::CONVERSATION, LongWindow],
        |view, [i, protocol, w, _]| {
            let window = view.window(i, w)?;
            let both = &window.sums.protocols;
            real(window.per_second(both[RECEIVE][protocol].bytes + both[TRANSMIT][protocol].bytes))
        },
    )
    .unit(BYTES_PER_SECOND),
    Family::counter(
        "netmon_icmp_messages_total",
        "ICMP and ICMPv6 messages by meaning.",
        &[Interface, Dimension::IP, Dimension::ICMP_MESSAGE],
        |view, [i, network, message, _]| count(view.interface(i).totals.icmp[network][message]),
    ),
];

fn total(view: &View, interface: usize, direction: usize) -> Volume {
    view.interface(interface).totals.volume[direction]
}

fn rate<'v>(view: &View, i: usize, w: usize, direction: usize, of: fn(Volume) -> u64) -> Option<Value<'v>> {
    let window = view.window(i, w)?;
    real(window.per_second(of(window.sums.volume[direction])))
}

fn peak<'v>(view: &View, i: usize, w: usize, direction: usize, of: fn(Volume) -> u64) -> Option<Value<'v>> {
    count(of(view.window(i, w)?.peak.volume[direction]))
}
