//! The flow table and the flows that passed through it.

use super::count;
use crate::metrics::family::Dimension::{self, Interface};
use crate::metrics::family::{Family, Value, flow_end, flow_state};
use crate::stats::Buckets;

pub(super) const FAMILIES: &[Family] = &[
    Family::gauge(
        "netmon_flows",
        "Flows in the table by state; flows other than TCP are active.",
        &[Interface, Dimension::FLOW_STATE],
        |view, [i, n, ..]| {
            let (transport, state) = flow_state(n);
            count(view.interface(i).flows[transport as usize][state as usize])
        },
    ),
    Family::counter(
        "netmon_flows_opened_total",
        "Flow records made.",
        &[Interface, Dimension::TRANSPORT],
        |view, [i, transport, ..]| count(view.interface(i).totals.flows_opened[transport]),
    ),
    Family::counter(
        "netmon_flows_closed_total",
        "Flow records ended, by why.",
        &[Interface, Dimension::FLOW_END],
        |view, [i, n, ..]| {
            let (transport, reason) = flow_end(n);
            count(view.interface(i).totals.flows_closed[transport as usize][reason as usize])
        },
    ),
    Family::counter(
        "netmon_flow_one_sided_total",
        "Flow records ended with packets in one direction only.",
        &[Interface],
        |view, [i, ..]| count(view.interface(i).totals.flows_one_sided),
    ),
    Family::seconds_histogram(
        "netmon_flow_duration_seconds",
        "Time between the first and the last packet of ended flows; one seen on two monitored interfaces is two.",
        Buckets::DURATION,
        &[Dimension::TCP_UDP],
        |view, [transport, ..]| Some(Value::Histogram(&view.snapshot.flow_duration.as_ref()?[transport])),
    )
    .with_exemplars(),
    Family::bytes_histogram(
        "netmon_flow_size_bytes",
        "Frame bytes of ended flows, both directions together; one seen on two monitored interfaces is two.",
        Buckets::FLOW_SIZE,
        &[Dimension::TCP_UDP],
        |view, [transport, ..]| Some(Value::Histogram(&view.snapshot.flow_size.as_ref()?[transport])),
    ),
    Family::gauge("netmon_flow_table_entries", "Records in the flow table.", &[], |view, _| {
        count(view.snapshot.own.flow_table_entries)
    }),
    Family::gauge("netmon_flow_table_limit", "The most records the flow table holds.", &[], |view, _| {
        count(view.snapshot.own.flow_table_limit)
    }),
    Family::counter(
        "netmon_flow_table_evictions_total",
        "Records ended early to make room in a full table.",
        &[Dimension::VICTIM],
        |view, [victim, ..]| count(view.snapshot.own.evictions[victim]),
    ),
    Family::counter(
        "netmon_flow_untracked_packets_total",
        "Frames counted by their interface but by no flow.",
        &[Dimension::UNTRACKED],
        |view, [reason, ..]| count(view.snapshot.own.untracked[reason]),
    ),
    Family::gauge("netmon_flow_probe_length_max", "Longest probe of the flow table's index.", &[], |view, _| {
        count(view.snapshot.own.flow_probe_length_max)
    })
    .of_process(),
];
