//! What must hold between keys, and the step from the file to the [`Config`] of each room.

use super::file::{Aggregation, Blind, Capture, File, Flows, History, Timeouts};
use super::mistake::quoted;
use super::setting::ClassName;
use super::units::Span;
use super::{Config, alerts, exporting, otlp, receivers, summaries};
use crate::history::{self, Tier};
use crate::{alert, capture, flow, http, notify, privilege, stats, telemetry};
use std::collections::BTreeMap;
use std::time::Duration;

/// Mistakes that no key makes alone, as key path and message.
pub(super) fn across(file: &File) -> Vec<(String, String)> {
    let mut mistakes = Vec::new();
    let classes = file.address_classes.len();
    if classes > ClassName::MAX_CLASSES {
        let message = format!("has {classes} classes, allowed 0 to {}", ClassName::MAX_CLASSES);
        mistakes.push(("address_classes".into(), message));
    }
    mistakes.extend(networks_in_two_classes(file));
    mistakes.extend(receivers::mistakes(&file.receivers.0));
    mistakes.extend(alerts::mistakes(&file.alerts.0, &known(file)));
    mistakes.extend(summaries::mistakes(&file.alerts.0, &alerts::rules(&file.alerts.0, &known(file))));
    mistakes.extend(unknown_receivers_of_blind(file));
    mistakes.extend(retention_out_of_order(&file.history));
    mistakes.extend(otlp::mistakes(&file.telemetry.otlp));
    mistakes.extend(exporting::mistakes(&file.export));
    mistakes
}

/// The alert that is not written as a rule names receivers too.
fn unknown_receivers_of_blind(file: &File) -> Vec<(String, String)> {
    let names = receivers::names(&file.receivers.0);
    let unknown = file.alerting.blind.notify.0.iter().enumerate().filter(|(_, name)| !names.contains(name));
    let mistake = |(n, name): (usize, &String)| {
        (format!("alerting.blind.notify[{n}]"), format!("is {}, which is no receiver", quoted(name)))
    };
    unknown.map(mistake).collect()
}

/// What the rules of alerts may name.
fn known(file: &File) -> alerts::Known {
    let mut windows = file.aggregation.windows.0.clone();
    windows.sort();
    let classes = file.address_classes.keys().map(|name| name.0.clone()).collect();
    alerts::Known {
        windows,
        classes,
        receivers: Some(receivers::names(&file.receivers.0)),
        has_history: file.history.enabled.0,
    }
}

/// A coarse record is made of finer ones, and continues them where they end.
fn retention_out_of_order(history: &History) -> Vec<(String, String)> {
    let kept = retention(history);
    let pairs = Tier::ALL.iter().zip(&kept).zip(Tier::ALL.iter().zip(&kept).skip(1));
    let is_wrong = |((_, fine), (_, coarse)): &((&Tier, &Duration), (&Tier, &Duration))| coarse < fine;
    let mistake = |((fine, kept), (coarse, age)): ((&Tier, &Duration), (&Tier, &Duration))| {
        let [kept, age] = [kept, age].map(|age| Span::from(*age));
        let message = format!("is {age}, allowed from the {kept} of `history.retention.{fine}` on");
        (format!("history.retention.{coarse}"), message)
    };
    pairs.filter(is_wrong).map(mistake).collect()
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
        api: http::Config {
            bind: file.api.bind.0.clone(),
            hosts: file.api.hosts.0.clone(),
            control: file.api.control.0,
            token_file: file.api.auth.token_file.0.clone(),
            web_config_file: file.api.web_config_file.0.clone(),
        },
        alerts: alert::Config {
            rules: alerts::rules(&file.alerts.0, &known(file)),
            blind: blind(&file.alerting.blind),
        },
        notify: notify::Config {
            receivers: receivers::receivers(&file.receivers.0),
            external_url: file.alerting.external_url.0.clone(),
        },
        history: history(&file.history),
        export: exporting::config(&file.export),
        state_directory: file.state.directory.0.clone(),
        privileges: privilege::Config {
            user: file.privileges.user.0.clone(),
            sandbox: file.privileges.sandbox.0,
            keep_net_raw: file.privileges.keep_net_raw.0,
        },
        watch: file.reload.watch.0,
        telemetry: telemetry::Config { level: file.telemetry.level.0.clone(), format: file.telemetry.format.0 },
        otlp: otlp::config(&file.telemetry.otlp),
    }
}

fn blind(blind: &Blind) -> alert::Blind {
    alert::Blind {
        loss: blind.loss.0,
        coverage: blind.coverage.0,
        severity: blind.severity.0,
        notify: blind.notify.0.clone().into(),
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

fn history(history: &History) -> history::Settings {
    history::Settings {
        enabled: history.enabled.0,
        limit_bytes: history.limit.0,
        retention: retention(history),
        flows: history::FlowConfig {
            keep: history.flows.enabled.0,
            min_bytes: history.flows.floor.0,
            max_per_second: saturating_u32(history.flows.rate.0),
            retention: history.retention.flows.0,
        },
        alert_retention: history.retention.alerts.0,
    }
}

/// By [`Tier`].
fn retention(history: &History) -> [Duration; Tier::ALL.len()] {
    let kept = &history.retention;
    [kept.seconds.0, kept.ten_seconds.0, kept.minutes.0, kept.hours.0]
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
