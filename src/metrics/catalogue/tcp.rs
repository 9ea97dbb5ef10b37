//! TCP health. All from packets; `direction` is that of the segment on its interface.

use super::count;
use crate::metrics::family::Dimension::{self, Interface};
use crate::metrics::family::{Family, Value};
use crate::metrics::view::View;
use crate::stats::{Buckets, TcpCounters};

pub(super) const FAMILIES: &[Family] = &[
    Family::counter(
        "netmon_tcp_segments_total",
        "TCP segments with a good header.",
        &[Interface, Dimension::DIRECTION],
        |view, [i, direction, ..]| count(tcp(view, i).segments[direction]),
    ),
    Family::counter(
        "netmon_tcp_retransmitted_segments_total",
        "Segments whose sequence numbers were already seen.",
        &[Interface, Dimension::DIRECTION],
        |view, [i, direction, ..]| count(tcp(view, i).retransmitted_segments[direction]),
    ),
    Family::counter(
        "netmon_tcp_retransmitted_bytes_total",
        "Payload bytes of retransmitted segments.",
        &[Interface, Dimension::DIRECTION],
        |view, [i, direction, ..]| count(tcp(view, i).retransmitted_bytes[direction]),
    )
    .unit("bytes"),
    Family::counter(
        "netmon_tcp_out_of_order_segments_total",
        "Segments that filled a gap inside the reorder limit.",
        &[Interface, Dimension::DIRECTION],
        |view, [i, direction, ..]| count(tcp(view, i).out_of_order_segments[direction]),
    ),
    Family::counter(
        "netmon_tcp_duplicate_acks_total",
        "Pure acknowledgements repeated while data is outstanding.",
        &[Interface, Dimension::DIRECTION],
        |view, [i, direction, ..]| count(tcp(view, i).duplicate_acks[direction]),
    ),
    Family::counter(
        "netmon_tcp_zero_window_total",
        "Times an advertised window went from open to zero.",
        &[Interface, Dimension::DIRECTION],
        |view, [i, direction, ..]| count(tcp(view, i).zero_window[direction]),
    ),
    Family::counter(
        "netmon_tcp_flag_packets_total",
        "Segments by flag; syn is SYN without ACK, synack is both.",
        &[Interface, Dimension::DIRECTION, Dimension::FLAG],
        |view, [i, direction, flag, _]| count(tcp(view, i).flags[direction][flag]),
    ),
    Family::counter("netmon_tcp_connections_opened_total", "Completed handshakes.", &[Interface], |view, [i, ..]| {
        count(tcp(view, i).connections_opened)
    }),
    Family::counter(
        "netmon_tcp_connection_failures_total",
        "Connection attempts that failed.",
        &[Interface, Dimension::FAILURE],
        |view, [i, reason, ..]| count(tcp(view, i).connection_failures[reason]),
    ),
    Family::counter(
        "netmon_tcp_resets_total",
        "Acceptable RST segments by when they came.",
        &[Interface, Dimension::PHASE],
        |view, [i, phase, ..]| count(tcp(view, i).resets[phase]),
    ),
    Family::seconds_histogram(
        "netmon_tcp_handshake_rtt_seconds",
        "Round trips of handshakes: SYN to SYN-ACK for the server side, SYN-ACK to ACK for the client side.",
        Buckets::RTT,
        &[Interface, Dimension::SIDE],
        |view, [i, side, ..]| Some(Value::Histogram(&view.interface(i).handshake_rtt[side])),
    )
    .with_exemplars(),
    Family::seconds_histogram(
        "netmon_tcp_rtt_seconds",
        "Round trips from data to acknowledgement, of segments sent once.",
        Buckets::RTT,
        &[Interface],
        |view, [i, ..]| view.interface(i).rtt.as_ref().map(Value::Histogram),
    )
    .opt_in(|config| config.continuous_rtt),
];

fn tcp(view: &View, interface: usize) -> &TcpCounters {
    &view.interface(interface).totals.tcp
}
