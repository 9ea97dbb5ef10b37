//! Pushing to a collector; absent where nothing is pushed.

use super::{count, real};
use crate::metrics::family::{Dimension, Family};
use crate::metrics::pushes::SignalState;
use crate::metrics::view::View;

pub(super) const FAMILIES: &[Family] = &[
    Family::counter("netmon_otlp_exports_total", "Exports to the collector.", &[Dimension::SIGNAL], |view, [s, ..]| {
        count(signal(view, s)?.exports)
    })
    .of_process(),
    Family::counter(
        "netmon_otlp_export_failures_total",
        "Exports to the collector that failed, or of which a part was rejected.",
        &[Dimension::SIGNAL, Dimension::PUSH_FAILURE],
        |view, [s, reason, ..]| count(signal(view, s)?.failures[reason]),
    )
    .of_process(),
    Family::gauge(
        "netmon_otlp_last_success_timestamp_seconds",
        "When the collector last accepted an export, Unix time.",
        &[Dimension::SIGNAL],
        |view, [s, ..]| real(signal(view, s)?.last_success?),
    )
    .unit("seconds")
    .of_process(),
    Family::counter(
        "netmon_otlp_dropped_spans_total",
        "Spans of netmon's own work that were not sent: the queue was full, or the collector did not take them.",
        &[],
        |view, _| {
            let pushes = view.own.pushes.as_ref()?;
            pushes.signals[1].as_ref()?;
            count(pushes.dropped_spans)
        },
    )
    .of_process(),
];

fn signal(view: &View, place: usize) -> Option<&SignalState> {
    view.own.pushes.as_ref()?.signals[place].as_ref()
}
