//! What must hold between keys, and the step from the file to the [`Config`] of each room.

use super::Config;
use super::file::{Aggregation, Capture, File, Flows, Timeouts};
use super::setting::ClassName;
use crate::{capture, flow, http, privilege, stats, telemetry};
use std::collections::BTreeMap;

/// Mistakes that no key makes alone, as key path and message.
pub(super) fn across(file: &File) -> Vec<(String, String)> {
    let mut mistakes = Vec::new();
    let classes = file.address_classes.len();
    if classes > ClassName::MAX_CLASSES {
        let message = format!("has {classes} classes, allowed 0 to {}", ClassName::MAX_CLASSES);
        mistakes.push(("address_classes".into(), message));
    }
    mistakes.extend(networks_in_two_classes(file));
    mistakes
}

/// The longest prefix decides the class of an address, so one prefix cannot belong to two.
fn networks_in_two_classes(file: &File) -> Vec<(String, String)> {
    let (mut owners, mut mistakes) = (BTreeMap::new(), Vec::new());
    for (name, networks) in &file.address_classes {
        for (n, network) in networks.0.iter().enumerate() {
            if let Some(owner) = owners.insert(network, &name.0) {
                let message = format!("is `{network}`, which is in `address_classes.{owner}` already");
                mistakes.push((format!("address_classes.{}[{n}]", name.0), message));
            }
        }
    }
    mistakes
}

/// The rooms' own configs.
pub(super) fn config(file: &File) -> Config {
    Config {
        interfaces: file.interfaces.0.clone(),
        capture: capture(&file.capture),
        flows: flows(&file.flows, file.aggregation.continuous_rtt.0),
        aggregation: aggregation(file),
        local_networks: file.local_networks.0.clone(),
        api: http::Config { bind: file.api.bind.0.clone(), hosts: file.api.hosts.0.clone() },
        privileges: privilege::Config {
            user: file.privileges.user.0.clone(),
            sandbox: file.privileges.sandbox.0,
            keep_net_raw: file.privileges.keep_net_raw.0,
        },
        telemetry: telemetry::Config { level: file.telemetry.level.0.clone(), format: file.telemetry.format.0 },
    }
}

fn capture(capture: &Capture) -> capture::Config {
    capture::Config {
        backend: capture.backend.0,
        bpf: capture.bpf.0.clone(),
        promiscuous: capture.promiscuous.0,
        snaplen: saturating_u32(capture.snaplen.0),
        buffer_bytes: saturating_u32(capture.buffer.0),
        rings: saturating_usize(capture.rings.0),
        spares: saturating_usize(capture.spares.0),
    }
}

fn flows(flows: &Flows, continuous_rtt: bool) -> flow::Config {
    flow::Config {
        max: saturating_usize(flows.max.0),
        timeouts: timeouts(&flows.timeouts),
        reorder_limit: flows.reorder_limit.0,
        continuous_rtt,
    }
}

fn timeouts(timeouts: &Timeouts) -> flow::Timeouts {
    flow::Timeouts {
        tcp_opening: timeouts.tcp_opening.0,
        tcp_established: timeouts.tcp_established.0,
        tcp_closing: timeouts.tcp_closing.0,
        tcp_closed: timeouts.tcp_closed.0,
        udp: timeouts.udp.0,
        udp_one_way: timeouts.udp_one_way.0,
        icmp: timeouts.icmp.0,
        other: timeouts.other.0,
        active: timeouts.active.0,
    }
}

fn aggregation(file: &File) -> stats::Config {
    let Aggregation { windows, max_interfaces, talkers, vlans, ports, continuous_rtt } = &file.aggregation;
    let mut windows = windows.0.clone();
    windows.sort();
    let classes = file.address_classes.iter();
    stats::Config {
        windows,
        max_interfaces: saturating_usize(max_interfaces.0),
        talkers: stats::TalkerConfig {
            top: saturating_usize(talkers.top.0),
            keys: saturating_usize(talkers.keys.0),
            export: talkers.export.0,
        },
        classes: classes
            .map(|(name, networks)| stats::Class { name: name.0.clone(), prefixes: networks.0.clone() })
            .collect(),
        vlans: vlans.enabled.0.then(|| stats::VlanConfig { max: saturating_usize(vlans.max.0) }),
        ports: ports.0.clone(),
        continuous_rtt: continuous_rtt.0,
    }
}

/// The bounds of the keys are far below; nothing saturates.
fn saturating_u32(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// As above.
fn saturating_usize(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
