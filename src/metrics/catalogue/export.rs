//! Flows that leave; absent where none do.

use super::count;
use crate::metrics::family::{Dimension, Family};

pub(super) const FAMILIES: &[Family] = &[
    Family::counter(
        "netmon_ipfix_records_total",
        "Data records of flows that were sent to collectors of IPFIX.",
        &[],
        |view, _| count(view.own.exports.ipfix?.0),
    )
    .of_process(),
    Family::counter(
        "netmon_ipfix_records_lost_total",
        "Records and flows that did not come to a collector: its queue was full, it refused them, or netmon ended.",
        &[Dimension::LOSS_REASON],
        |view, [reason, ..]| count(view.own.exports.ipfix?.1[reason]),
    )
    .of_process(),
    Family::counter("netmon_flow_log_records_total", "Flows that were written to the flow log.", &[], |view, _| {
        count(view.own.exports.flow_log?.0)
    })
    .of_process(),
    Family::counter(
        "netmon_flow_log_records_lost_total",
        "Flows that are not in the flow log: its queue was full, it could not be written, or netmon ended.",
        &[Dimension::LOSS_REASON],
        |view, [reason, ..]| count(view.own.exports.flow_log?.1[reason]),
    )
    .of_process(),
];
