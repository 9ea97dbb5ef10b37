//! What the queries should say in this scene. A query that is not listed has to say something other than zero.

use crate::documents::Asked;
use Expected::{Either, Later, Something, Zero};

/// How the answer to a query has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Some sample that is not 0.
    Something,
    /// The same, once a minute has passed.
    Later,
    /// Samples, all of them 0.
    Zero,
    /// Samples, of which nobody can say whether they are 0.
    Either,
}

/// Parts of queries, with `last: ` before those that ask only for the last values; what to expect of queries that have
/// them; and why. The first that fits counts.
const LISTED: &[(&str, Expected, &str)] = &[
    (
        "last: sum by (instance) (rate(netmon_capture_dropped_packets_total",
        Either,
        "frames are lost in the middle, not at the end",
    ),
    ("netmon_capture_coverage_ratio", Later, "its window is a minute, and it is absent before"),
    ("count(up{", Either, "a scrape may take longer than its second where the machine is busy"),
    (r#"state="suppressed""#, Either, "rules are held for as long as frames are lost"),
    ("netmon_alert_suppressed_total", Either, "rules are held for as long as frames are lost"),
    ("netmon_alert_dropped_label_sets_total", Zero, "there are a handful of interfaces"),
    ("netmon_alert_waiting_transitions", Either, "a change waits for less than a tick"),
    ("netmon_alert_lost_transitions_total", Zero, "nothing is too fast for what takes them"),
    ("netmon_notifications_dropped_total", Zero, "what is not taken is tried for a day"),
    ("netmon_notifications_undurable_total", Zero, "the disk is not full"),
    ("netmon_notifications_overrun_total", Zero, "the disk is not slow"),
    ("netmon_capture_ring_freezes_total", Either, "a full ring may also lose frames without freezing"),
    ("netmon_kernel_interface_receive_dropped_total", Either, "the kernel drops behind the capture where it is busy"),
    ("netmon_kernel_interface_transmit_dropped_total", Either, "the kernel drops before sending where it is busy"),
    ("netmon_kernel_interface_receive_errors_total", Zero, "a virtual wire has no errors"),
    ("netmon_kernel_interface_transmit_errors_total", Zero, "a virtual wire has no errors"),
    ("netmon_capture_truncated_packets_total", Zero, "the snapshot length has room for every header here"),
    ("netmon_late_packets_total", Either, "frames of several interfaces may overtake each other"),
    ("netmon_time_steps_total", Zero, "the clock is left alone"),
    ("netmon_flow_table_evictions_total", Zero, "there are far fewer flows than records"),
    ("netmon_talker_error_bound_bytes_per_second", Zero, "there are far fewer hosts than are counted"),
    ("netmon_websocket_dropped_messages_total", Zero, "the client of the stream reads all of it"),
    ("netmon_history_write_failures_total", Zero, "the disk is not full"),
    ("netmon_history_dropped_records_total", Either, "the disk may be busy"),
    ("netmon_history_quarantined_total", Zero, "the store is whole"),
    ("netmon_history_pruned_records_total", Zero, "nothing is a day old"),
    ("netmon_otlp_export_failures_total", Either, "an answer may be late where the machine is busy"),
    ("netmon_otlp_dropped_spans_total", Zero, "the collector takes them all"),
    ("netmon_ipfix_records_lost_total", Zero, "the collector takes them all"),
    ("netmon_flow_log_records_lost_total", Zero, "the disk is not full"),
];

/// What to expect of a query.
pub fn of(asked: &Asked) -> Expected {
    place(asked).map_or(Something, |n| LISTED[n].1)
}

/// Where in the list a query is.
fn place(asked: &Asked) -> Option<usize> {
    let written = format!("{}{}", if asked.instant { "last: " } else { "" }, asked.written);
    LISTED.iter().position(|(part, ..)| written.contains(part))
}

/// Parts that fit no query.
pub fn idle<'a>(asked: impl Iterator<Item = &'a Asked>) -> Vec<&'static str> {
    let used: Vec<usize> = asked.filter_map(place).collect();
    LISTED.iter().enumerate().filter(|(n, _)| !used.contains(n)).map(|(_, (part, ..))| *part).collect()
}

impl Expected {
    /// Whether samples are as expected, after more than a minute or not.
    pub fn fits(self, values: &[f64], long: bool) -> bool {
        let other_than_zero = values.iter().any(|value| value.is_finite() && *value != 0.0);
        match self {
            Something => other_than_zero,
            Later => other_than_zero || !long,
            Zero => !values.is_empty() && !other_than_zero,
            Either => !values.is_empty(),
        }
    }
}
