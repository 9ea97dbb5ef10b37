//! That names come back as they are.

use super::*;
use crate::metrics::catalogue::GROUPS;

/// As collectors and Prometheus name what they are pushed, when they add suffixes (specification, "Prometheus and
/// OpenMetrics Compatibility", Metric Metadata).
fn named_by_a_collector(family: &Family) -> String {
    let mut tokens: Vec<&str> =
        family.name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|t| !t.is_empty()).collect();
    let (unit, per) = match ucum(family).split_once('/') {
        Some((unit, per)) => (unit, Some(per)),
        None => (ucum(family), None),
    };
    let word = |unit| match unit {
        "By" => Some("bytes"),
        "s" => Some("seconds"),
        _ => None,
    };
    tokens.extend(word(unit).filter(|word| !family.name.contains(word)));
    if per == Some("s") && !tokens.contains(&"second") {
        tokens.extend(["per", "second"]);
    }
    if family.kind == Kind::Counter {
        tokens.retain(|token| *token != "total");
        tokens.push("total");
    }
    if unit == "1" && family.kind == Kind::Gauge {
        tokens.retain(|token| *token != "ratio");
        tokens.push("ratio");
    }
    tokens.join("_")
}

#[test]
fn a_collector_gives_back_the_names_of_the_page() {
    for family in GROUPS.iter().flat_map(|(_, families)| *families) {
        assert_eq!(named_by_a_collector(family), family.name);
        assert!(family.unit.is_empty() || !ucum(family).is_empty(), "{} has no unit in UCUM", family.name);
    }
}
