//! The API: how long its answers take, and who listens to the stream.

use super::count;
use crate::metrics::family::{Dimension, Family, Value};
use crate::metrics::process::TIMED_HANDLERS;
use crate::stats::Buckets;

pub(super) const FAMILIES: &[Family] = &[
    Family::seconds_histogram(
        "netmon_http_request_duration_seconds",
        "Time from the head of a request to the head of its answer; for ws until the stream is open.",
        Buckets::ANSWER,
        &[Dimension::TIMED_HANDLER],
        |view, [handler, ..]| {
            let durations: &[Buckets; TIMED_HANDLERS.len()] = view.own.http_durations.as_ref()?;
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
