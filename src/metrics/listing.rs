//! The catalogue for readers outside of this room: reference pages, dashboards, tests.

use super::catalogue::GROUPS;
use super::family::{Dimension, Family, Kind};
use crate::stats::{Class, Config, VlanConfig};

/// A metric family as the catalogue declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// What it is part of, such as `TCP health`.
    pub group: &'static str,
    /// Name as in text 0.0.4: counters with `_total`, infos with `_info`; histograms without `_bucket`.
    pub name: &'static str,
    /// Type.
    pub kind: ListedKind,
    /// Base unit, a suffix of the name; empty for none.
    pub unit: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// Labels in order, `le` not included, each with its values where these are known before any traffic.
    pub labels: Vec<(&'static str, Vec<&'static str>)>,
    /// The configuration key without which it is not there; `None` for one that always is.
    pub needs: Option<&'static str>,
}

/// Type of a listed family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListedKind {
    /// Only grows while the process lives.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A constant 1 whose labels are the message.
    Info,
    /// Classic buckets.
    Histogram {
        /// Whether buckets carry the id of a flow.
        exemplars: bool,
    },
}

impl ListedKind {
    /// As OpenMetrics calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Info => "info",
            Self::Histogram { .. } => "histogram",
        }
    }
}

/// Every family that some configuration declares, in order of exposition.
///
/// ```
/// let coverage = netmon::metrics::families().find(|family| family.name == "netmon_capture_coverage_ratio").unwrap();
/// let labels: Vec<&str> = coverage.labels.iter().map(|(name, _)| *name).collect();
/// assert_eq!((coverage.unit, labels), ("ratio", vec!["interface", "window"]));
/// ```
pub fn families() -> impl Iterator<Item = Listed> {
    GROUPS.iter().flat_map(|(group, families)| families.iter().map(move |family| listed(group, family)))
}

fn listed(group: &'static str, family: &Family) -> Listed {
    Listed {
        group,
        name: family.name,
        kind: kind(family.kind),
        unit: family.unit,
        help: family.help,
        labels: labels(family),
        needs: needs(group, family),
    }
}

const fn kind(kind: Kind) -> ListedKind {
    match kind {
        Kind::Counter => ListedKind::Counter,
        Kind::Gauge => ListedKind::Gauge,
        Kind::Info => ListedKind::Info,
        Kind::Histogram { exemplars, .. } => ListedKind::Histogram { exemplars },
    }
}

fn labels(family: &Family) -> Vec<(&'static str, Vec<&'static str>)> {
    let declared = family.dimensions.iter().flat_map(|dimension| {
        let named = dimension.names().iter().enumerate();
        named.map(|(place, name)| (*name, values(*dimension, place)))
    });
    declared.chain(family.carried.iter().map(|name| (*name, Vec::new()))).collect()
}

/// Of a closed set, each once, in order.
fn values(dimension: Dimension, place: usize) -> Vec<&'static str> {
    let Dimension::Closed(set) = dimension else { return Vec::new() };
    let mut values: Vec<&str> = Vec::new();
    for value in (0..set.size).map(|n| (set.values)(n)[place]) {
        if !values.contains(&value) {
            values.push(value);
        }
    }
    values
}

fn needs(group: &str, family: &Family) -> Option<&'static str> {
    if family.of_alerts {
        return Some("alerts");
    }
    if !(family.declared)(&Config::default()) {
        return asked().into_iter().find(|(_, config)| (family.declared)(config)).map(|(key, _)| key);
    }
    // Declared in any case, and without a value where the room is not in use.
    match group {
        "history" => Some("history.enabled"),
        "notifications" => Some("receivers"),
        "pushing to a collector" => Some("telemetry.otlp"),
        "flows that leave" => Some("export"),
        _ => None,
    }
}

/// The keys that families are asked for with, each in a configuration that asks.
fn asked() -> [(&'static str, Config); 5] {
    let mut talkers = Config::default();
    talkers.talkers.export = true;
    let class = Class { name: "office".into(), prefixes: Vec::new() };
    [
        ("address_classes", Config { classes: vec![class], ..Config::default() }),
        ("aggregation.vlans.enabled", Config { vlans: Some(VlanConfig { max: 1 }), ..Config::default() }),
        ("aggregation.ports", Config { ports: vec![443], ..Config::default() }),
        ("aggregation.talkers.export", talkers),
        ("aggregation.continuous_rtt", Config { continuous_rtt: true, ..Config::default() }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_not_declared_by_default_names_the_key_that_asks_for_it() {
        let families = GROUPS.iter().flat_map(|(group, families)| families.iter().map(move |family| (group, family)));
        for (group, family) in families {
            let is_there = (family.declared)(&Config::default()) && !family.of_alerts;
            assert!(is_there || needs(group, family).is_some(), "{} is asked for by no known key", family.name);
        }
    }

    #[test]
    fn every_info_says_which_labels_carry_its_message() {
        for family in families().filter(|family| family.kind == ListedKind::Info) {
            assert!(
                !family.labels.is_empty() && family.labels.iter().any(|(name, _)| *name != "interface"),
                "{family:?}"
            );
        }
    }
}
