//! The catalogue for readers outside of this room: dashboards, reference pages, tests.

use super::catalogue::GROUPS;
use super::family::{Family, Kind};

/// A metric family as the catalogue declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Name as in text 0.0.4: counters with `_total`, infos with `_info`; histograms without `_bucket`.
    pub name: &'static str,
    /// Base unit, a suffix of the name; empty for none.
    pub unit: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// Type.
    pub kind: ListedKind,
    /// Label names in order, `le` not included. Of an info only those that all of its series share.
    pub labels: Vec<&'static str>,
    /// What it is part of.
    pub group: &'static str,
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

/// Every family that some configuration declares, in order of exposition.
///
/// ```
/// let coverage = netmon::metrics::families().find(|family| family.name == "netmon_capture_coverage_ratio").unwrap();
/// assert_eq!((coverage.unit, coverage.labels), ("ratio", vec!["interface", "window"]));
/// ```
pub fn families() -> impl Iterator<Item = Listed> {
    GROUPS.iter().flat_map(|(group, families)| families.iter().map(|family| listed(group, family)))
}

fn listed(group: &'static str, family: &Family) -> Listed {
    let labels = family.dimensions.iter().flat_map(|dimension| dimension.names()).copied();
    Listed {
        name: family.name,
        unit: family.unit,
        help: family.help,
        kind: kind(family.kind),
        labels: labels.collect(),
        group,
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
