//! The groups a configuration asks for: address classes, VLANs, ports, round trips, talkers. All capped.

use super::{count, real};
use crate::metrics::family::Dimension::{
    self, DestinationClass, Host, Interface, Port, SourceClass, TalkerWindow, Vlan,
};
use crate::metrics::family::{Family, Value};
use crate::metrics::view::View;
use crate::stats::{Config, TalkerTable, Volume};

pub(super) const FAMILIES: &[Family] = &[
    Family::counter(
        "netmon_class_bytes_total",
        "Bytes between classes of addresses; packets seen on two monitored interfaces (bridge and port) count twice.",
        &[SourceClass, DestinationClass],
        |view, [source, destination, ..]| count(class(view, source, destination)?.bytes),
    )
    .unit("bytes")
    .opt_in(has_classes),
    Family::counter(
        "netmon_class_packets_total",
        "Frames between classes of addresses; packets seen on two monitored interfaces (bridge and port) count twice.",
        &[SourceClass, DestinationClass],
        |view, [source, destination, ..]| count(class(view, source, destination)?.packets),
    )
    .opt_in(has_classes),
    Family::counter(
        "netmon_vlan_bytes_total",
        "Bytes by outermost VLAN id; only for interfaces with tagged frames.",
        &[Interface, Vlan],
        |view, [i, vlan, ..]| count(view.vlan(i, vlan).bytes),
    )
    .unit("bytes")
    .opt_in(has_vlans),
    Family::counter(
        "netmon_vlan_packets_total",
        "Frames by outermost VLAN id; only for interfaces with tagged frames.",
        &[Interface, Vlan],
        |view, [i, vlan, ..]| count(view.vlan(i, vlan).packets),
    )
    .opt_in(has_vlans),
    Family::counter(
        "netmon_port_bytes_total",
        "Bytes by listed port of either end, both directions together.",
        &[Interface, Dimension::TCP_UDP, Port],
        |view, [i, transport, port, _]| count(*view.interface(i).ports.get(transport)?.get(port)?),
    )
    .unit("bytes")
    .opt_in(|config| !config.ports.is_empty()),
    Family::gauge(
        "netmon_talker_bytes_per_second",
        "Mean rate of the current top hosts, seen from the host: transmit is what it sent; packets seen on two monitored interfaces (bridge and port) count twice.",
        &[Host, Dimension::DIRECTION, TalkerWindow],
        |view, [host, direction, ..]| {
            let table = view.talkers()?;
            let row = table.hosts.get(host)?;
            per_second(table, [row.to_bytes, row.from_bytes][direction])
        },
    )
    .unit("bytes_per_second")
    .opt_in(has_talkers),
    Family::gauge(
        "netmon_talker_other_bytes_per_second",
        "Mean rate of all hosts that are not listed; packets seen on two monitored interfaces (bridge and port) count twice.",
        &[Dimension::DIRECTION, TalkerWindow],
        |view, [direction, ..]| {
            let table = view.talkers()?;
            let unlisted = table.hosts.iter().skip(view.settings.exported_hosts);
            let [from, to] = unlisted.fold(table.other[HOSTS], |[from, to], row| {
                [from.saturating_add(row.from_bytes), to.saturating_add(row.to_bytes)]
            });
            per_second(table, [to, from][direction])
        },
    )
    .unit("bytes_per_second")
    .opt_in(has_talkers),
    Family::gauge(
        "netmon_talker_error_bound_bytes_per_second",
        "The most by which the rate of a listed host may be wrong.",
        &[TalkerWindow],
        |view, _| {
            let table = view.talkers()?;
            per_second(table, table.error_bound[HOSTS])
        },
    )
    .unit("bytes_per_second")
    .opt_in(has_talkers),
];

/// Index of the host list in arrays by list.
const HOSTS: usize = 0;

fn has_classes(config: &Config) -> bool {
    !config.classes.is_empty()
}

fn has_vlans(config: &Config) -> bool {
    config.vlans.is_some()
}

fn has_talkers(config: &Config) -> bool {
    config.talkers.export
}

fn class(view: &View, source: usize, destination: usize) -> Option<Volume> {
    view.snapshot.classes.get(source)?.get(destination).copied()
}

fn per_second<'v>(table: &TalkerTable, bytes: u64) -> Option<Value<'v>> {
    real(bytes as f64 / table.length.as_secs_f64())
}
