//! What the kernel counted, what the capture lost, and what could not be parsed.

use super::{RECEIVE, TRANSMIT, count, real, yes};
use crate::metrics::family::Dimension::{self, Interface, LongWindow};
use crate::metrics::family::{Family, Labels, Value};
use crate::metrics::view::View;
use crate::packet::Reject;
use crate::stats::Capture;

pub(super) const KERNEL: &[Family] = &[
    Family::counter(
        "netmon_kernel_interface_receive_bytes_total",
        "Bytes the kernel counted as received.",
        &[Interface],
        |view, [i, ..]| count(view.interface(i).capture.kernel?.bytes[RECEIVE]),
    )
    .unit("bytes")
    .of_process(),
    Family::counter(
        "netmon_kernel_interface_transmit_bytes_total",
        "Bytes the kernel counted as transmitted.",
        &[Interface],
        |view, [i, ..]| count(view.interface(i).capture.kernel?.bytes[TRANSMIT]),
    )
    .unit("bytes")
    .of_process(),
    Family::counter(
        "netmon_kernel_interface_receive_packets_total",
        "Packets the kernel counted as received.",
        &[Interface],
        |view, [i, ..]| count(view.interface(i).capture.kernel?.packets[RECEIVE]),
    )
    .of_process(),
    Family::counter(
        "netmon_kernel_interface_transmit_packets_total",
        "Packets the kernel counted as transmitted.",
        &[Interface],
        |view, [i, ..]| count(view.interface(i).capture.kernel?.packets[TRANSMIT]),
    )
    .of_process(),
    Family::counter(
        "netmon_kernel_interface_receive_dropped_total",
        "Received packets the kernel dropped; most were seen by the capture before.",
        &[Interface],
        |view, [i, ..]| count(view.interface(i).capture.kernel?.dropped[RECEIVE]),
    )
    .of_process(),
    Family::counter(
        "netmon_kernel_interface_transmit_dropped_total",
        "Packets the kernel dropped instead of transmitting them.",
        &[Interface],
        |view, [i, ..]| count(view.interface(i).capture.kernel?.dropped[TRANSMIT]),
    )
    .of_process(),
    Family::counter(
        "netmon_kernel_interface_receive_errors_total",
        "Receive errors the kernel counted.",
        &[Interface],
        |view, [i, ..]| count(view.interface(i).capture.kernel?.errors[RECEIVE]),
    )
    .of_process(),
    Family::counter(
        "netmon_kernel_interface_transmit_errors_total",
        "Transmit errors the kernel counted.",
        &[Interface],
        |view, [i, ..]| count(view.interface(i).capture.kernel?.errors[TRANSMIT]),
    )
    .of_process(),
    Family::gauge(
        "netmon_capture_coverage_ratio",
        "Captured bytes by the bytes the kernel counted over the window; falls while nothing is captured; absent while a filter is set.",
        &[Interface, LongWindow],
        |view, [i, w, ..]| {
            let length = view.settings.windows[w].length;
            real(view.interface(i).capture.coverage.iter().find(|(of, _)| *of == length)?.1)
        },
    )
    .unit("ratio")
    .of_process(),
];

pub(super) const HEALTH: &[Family] = &[
    Family::gauge(
        "netmon_capture_up",
        "Whether the capture handle is open and reading; a link that is down does not end the capture.",
        &[Interface],
        |view, [i, ..]| yes(capture(view, i)?.up),
    )
    .of_process(),
    Family::counter(
        "netmon_capture_restarts_total",
        "Times the capture handle was opened again after it was lost.",
        &[Interface],
        |view, [i, ..]| count(capture(view, i)?.restarts),
    )
    .of_process(),
    Family::counter(
        "netmon_capture_gaps_total",
        "Intervals in which nothing was captured; one that lasts is counted.",
        &[Interface],
        |view, [i, ..]| count(capture(view, i)?.gaps_total),
    )
    .of_process(),
    Family::counter(
        "netmon_capture_packets_total",
        "Frames that reached the parser; frames lost before are in netmon_capture_dropped_packets_total.",
        &[Interface],
        |view, [i, ..]| count(view.interface(i).totals.volume.iter().map(|volume| volume.packets).sum()),
    ),
    Family::counter(
        "netmon_capture_dropped_packets_total",
        "Frames lost before parsing, each counted at one stage.",
        &[Interface, Dimension::STAGE],
        |view, [i, stage, ..]| count(view.interface(i).totals.dropped_packets[stage]),
    ),
    Family::counter(
        "netmon_capture_ring_freezes_total",
        "Times a capture ring was full and the kernel stopped filling it; absent where the backend cannot tell.",
        &[Interface],
        |view, [i, ..]| capture(view, i)?.ring_freezes.and_then(count),
    )
    .of_process(),
    Family::counter(
        "netmon_capture_truncated_packets_total",
        "Frames of which the snapshot length cut off a needed header.",
        &[Interface],
        |view, [i, ..]| count(view.interface(i).totals.truncated_packets),
    ),
    Family::counter(
        "netmon_capture_superframes_total",
        "TCP frames too long for the link, which the kernel merged (GRO) or has not yet split (TSO).",
        &[Interface],
        |view, [i, ..]| count(view.interface(i).totals.superframes),
    ),
    Family::counter(
        "netmon_capture_superframe_segments_total",
        "Estimate of the segments on the wire that were captured as frames too long for the link.",
        &[Interface],
        |view, [i, ..]| count(view.interface(i).totals.superframe_segments),
    ),
    Family::info(
        "netmon_capture_backend_info",
        "How the interface is captured, and its link type.",
        &[Interface],
        |view, [i, ..]| {
            let labels = Labels::default().with("backend", capture(view, i)?.backend);
            Some(Value::Info(labels.with("link", view.link_text(i))))
        },
    )
    .carrying(&["backend", "link"]),
    Family::counter(
        "netmon_parse_errors_total",
        "Frames with a header that cannot be right; they still count for their interface.",
        &[Interface, Dimension::REJECT],
        |view, [i, reject, ..]| {
            let Reject { layer, reason } = Reject::REAL[reject];
            count(view.interface(i).totals.parse_errors[layer as usize][reason as usize])
        },
    ),
    Family::counter(
        "netmon_ip_fragments_total",
        "Fragments of IP datagrams; a later one carries no ports and joins no flow.",
        &[Interface, Dimension::IP, Dimension::POSITION],
        |view, [i, network, position, _]| count(view.interface(i).totals.fragments[network][position]),
    ),
    Family::gauge(
        "netmon_processing_lag_seconds",
        "Longest time between capture and handling of a frame in the last tick; 0 when nothing waits.",
        &[Interface],
        |view, [i, ..]| real(view.interface(i).capture.lag?.as_secs_f64()),
    )
    .unit("seconds")
    .of_process(),
];

/// The capture point's own report; `None` where there is none (`other`, or before the first one).
fn capture(view: &View, interface: usize) -> Option<&Capture> {
    Some(&view.interface(interface).capture).filter(|capture| !capture.backend.is_empty())
}
