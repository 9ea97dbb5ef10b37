//! The history; absent where none is kept.

use super::count;
use crate::metrics::family::{Dimension, Family, Value};
use crate::metrics::history::HistoryState;
use crate::metrics::view::View;
use crate::stats::Buckets;

pub(super) const FAMILIES: &[Family] = &[
    Family::gauge("netmon_history_size_bytes", "Size of the history store.", &[], |view, _| {
        count(of(view)?.size_bytes)
    })
    .unit("bytes")
    .of_process(),
    Family::gauge("netmon_history_limit_bytes", "The most that the history store may take.", &[], |view, _| {
        count(of(view)?.limit_bytes)
    })
    .unit("bytes")
    .of_process(),
    Family::gauge(
        "netmon_history_oldest_timestamp_seconds",
        "Start of the oldest record of each tier, Unix time.",
        &[Dimension::TIER],
        |view, [tier, ..]| count(of(view)?.oldest[tier]?),
    )
    .unit("seconds")
    .of_process(),
    Family::seconds_histogram(
        "netmon_history_write_duration_seconds",
        "Time of each commit to the history store.",
        Buckets::COMMIT,
        &[],
        |view, _| of(view).map(|history| Value::Histogram(&history.write_duration)),
    )
    .of_process(),
    Family::counter(
        "netmon_history_write_failures_total",
        "Commits to the history store that failed.",
        &[],
        |view, _| count(of(view)?.write_failures),
    )
    .of_process(),
    Family::counter(
        "netmon_history_pruned_records_total",
        "Records removed from the history because of their age or the size of the store.",
        &[Dimension::TIER, Dimension::PRUNE_REASON],
        |view, [tier, reason, ..]| count(of(view)?.pruned_records[tier][reason]),
    )
    .of_process(),
    Family::counter(
        "netmon_history_dropped_records_total",
        "Seconds, flows and alert events that could not be kept: a queue was full, or the store could not be written.",
        &[],
        |view, _| count(of(view)?.dropped_records),
    )
    .of_process(),
    Family::counter(
        "netmon_history_left_out_flows_total",
        "Ended flows that were only counted, as too small or beyond the rate that is kept.",
        &[],
        |view, _| count(of(view)?.flows_left_out),
    )
    .of_process(),
    Family::counter(
        "netmon_history_quarantined_total",
        "Damaged history stores that were set aside.",
        &[],
        |view, _| count(of(view)?.quarantined),
    )
    .of_process(),
];

fn of(view: &View) -> Option<&HistoryState> {
    view.own.history.as_ref()
}
