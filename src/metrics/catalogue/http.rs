//! The API: how long its answers take, and who listens to the stream.

use super::count;
use crate::metrics::family::{Dimension, Family, Value};
use crate::stats::Buckets;

/// Upper bounds of answering times in nanoseconds, as the server counts them: 1 ms to 10 s.
const BOUNDS: &[u64] = &[
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    10_000_000_000,
];

pub(super) const FAMILIES: &[Family] = &[
    Family::seconds_histogram(
        "netmon_http_request_duration_seconds",
        "Time from the head of a request to the head of its answer; for ws until the stream is open.",
        BOUNDS,
        &[Dimension::TIMED_HANDLER],
        |view, [handler, ..]| {
            let durations: &[Buckets; 3] = view.own.http_durations.as_ref()?;
            Some(Value::Histogram(&durations[handler]))
        },
    )
    .of_process(),
    Family::gauge("netmon_websocket_clients", "Streams that are open.", &[], |view, _| count(view.own.websockets?[0]))
        .of_process(),
    Family::counter(
        "netmon_websocket_dropped_messages_total",
        "Messages of streams that slow clients did not get.",
        &[],
        |view, _| count(view.own.websockets?[1]),
    )
    .of_process(),
];
