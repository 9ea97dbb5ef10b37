use super::catalogue::GROUPS;
use super::family::{Dimension, Family, Kind, flow_end, flow_state};
use super::view::label_texts;
use crate::flow::EndReason;
use crate::packet::Transport;
use std::collections::HashSet;

fn families() -> impl Iterator<Item = &'static Family> {
    GROUPS.iter().flat_map(|(_, families)| *families)
}

#[test]
fn every_name_is_declared_once_and_carries_its_type_and_unit() {
    let mut names = HashSet::new();
    for family in families() {
        let Family { name, unit, .. } = *family;
        assert!(names.insert(name), "{name} is declared twice");
        assert!(name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_'), "{name}");
        assert!(name.starts_with("netmon_") || name.starts_with("process_"), "{name}");
        assert_eq!(name.ends_with("_total"), family.kind == Kind::Counter, "{name}");
        assert_eq!(name.ends_with("_info"), family.kind == Kind::Info, "{name}");
        let base = name.strip_suffix("_total").unwrap_or(name);
        assert!(unit.is_empty() || base.ends_with(&format!("_{unit}")), "{name} has unit {unit}");
        for known in ["_bytes", "_seconds", "_ratio", "_bytes_per_second"] {
            assert!(!base.ends_with(known) || unit == &known[1..], "{name} ends in {known} without having the unit");
        }
    }
}

#[test]
fn every_help_is_one_plain_sentence() {
    for family in families() {
        let help = family.help;
        assert!(help.ends_with('.') && !help.contains(['\n', '\\', '"']), "{}: {help}", family.name);
    }
}

#[test]
fn label_names_are_legal_and_not_in_the_metric_name_twice() {
    for family in families() {
        let names: Vec<_> = family.dimensions.iter().flat_map(|dimension| dimension.names()).collect();
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "{}", family.name);
        for reserved in ["le", "quantile", "instance", "job", "type"] {
            assert!(!names.contains(&&reserved), "{}", family.name);
        }
    }
}

#[test]
fn closed_sets_have_no_value_twice() {
    for family in families() {
        for dimension in family.dimensions {
            if let Dimension::Closed(set) = dimension {
                let values: HashSet<_> = (0..set.size).map(set.values).collect();
                assert_eq!(values.len(), set.size, "{:?}", set.names);
            }
        }
    }
}

#[test]
fn flow_pairs_cover_what_can_happen() {
    let ends: HashSet<_> = (0..24).map(flow_end).collect();
    for transport in Transport::ALL {
        let tcp = transport == Transport::Tcp;
        assert!(ends.contains(&(transport, EndReason::Idle)) && ends.contains(&(transport, EndReason::Shutdown)));
        assert_eq!(ends.contains(&(transport, EndReason::Fin)), tcp);
        assert_eq!((0..8).filter(|n| flow_state(*n).0 == transport).count(), if tcp { 4 } else { 1 });
    }
}

#[test]
fn names_that_become_one_are_told_apart() {
    let texts = label_texts(["eth0", "eth0\r", "eth0\n", "eth0"].into_iter());
    assert_eq!(texts, ["eth0", "eth0\u{fffd}", "eth0\u{fffd}~2", "eth0~2"]);
}

#[test]
fn a_long_name_is_cut() {
    let texts = label_texts(["ü".repeat(300).as_str(), "ü".repeat(301).as_str()].into_iter());
    assert_eq!(texts[0], "ü".repeat(128));
    assert_eq!(texts[1], format!("{}~2", "ü".repeat(128)));
}
