//! Counts by name, so that two readings of one capture can be laid side by side.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Display;

/// Counts by what they count. What was never added counts as zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts(BTreeMap<String, Vec<u64>>);

impl Facts {
    /// Adds `values` to those known under this name.
    pub fn add(&mut self, what: impl Display, values: &[u64]) {
        let sums = self.0.entry(what.to_string()).or_default();
        sums.resize(values.len().max(sums.len()), 0);
        sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
    }

    /// One line for each name under which `found` has other counts.
    pub fn differences(&self, found: &Self) -> Vec<String> {
        let mut names: Vec<&String> = self.0.keys().chain(found.0.keys()).collect();
        names.sort();
        names.dedup();
        let differs = |name: &&String| significant(self.0.get(*name)) != significant(found.0.get(*name));
        let line = |name: &String| format!("{name}: expected {:?}, found {:?}", self.0.get(name), found.0.get(name));
        names.into_iter().filter(differs).map(line).collect()
    }
}

/// The values without zeros at the end.
fn significant(values: Option<&Vec<u64>>) -> &[u64] {
    let values = values.map_or(&[][..], Vec::as_slice);
    let end = values.iter().rposition(|&value| value != 0).map_or(0, |last| last + 1);
    &values[..end]
}

/// The number at a JSON pointer.
pub fn number(document: &Value, pointer: &str) -> u64 {
    let value = document.pointer(pointer).unwrap_or_else(|| panic!("there is no {pointer} in {document}"));
    value.as_u64().unwrap_or_else(|| panic!("{pointer} is {value}, not a count"))
}

/// The list at a JSON pointer.
pub fn list<'a>(document: &'a Value, pointer: &str) -> &'a [Value] {
    let value = document.pointer(pointer).unwrap_or_else(|| panic!("there is no {pointer} in {document}"));
    value.as_array().unwrap_or_else(|| panic!("{pointer} is {value}, not a list"))
}

/// Packets and bytes of an entry.
pub fn volume(entry: &Value) -> [u64; 2] {
    [number(entry, "/packets"), number(entry, "/bytes")]
}

/// Packets and bytes of a flow: from its initiator, then to it.
pub fn flow_volumes(flow: &Value) -> [u64; 4] {
    ["/packets_c2s", "/bytes_c2s", "/packets_s2c", "/bytes_s2c"].map(|pointer| number(flow, pointer))
}

/// What one interface of a document of `netmon replay` counts: types, protocols, tags, fragments, TCP flags.
pub fn add_interface(facts: &mut Facts, interface: &Value) {
    for entry in list(interface, "/ethertypes") {
        facts.add(format_args!("ethertype {}", entry["ethertype"]), &volume(entry));
    }
    for entry in list(interface, "/protocols").iter().filter(|entry| !entry["protocol"].is_null()) {
        facts.add(format_args!("{} protocol {}", entry["network"], entry["protocol"]), &volume(entry));
    }
    facts.add("tagged packets", &[number(interface, "/vlan_packets")]);
    facts.add("fragments", &[number(interface, "/fragments/first"), number(interface, "/fragments/later")]);
    for flag in ["syn", "synack", "fin", "rst"] {
        facts.add(format_args!("tcp {flag}"), &[number(interface, &format!("/tcp/flags/{flag}"))]);
    }
}
