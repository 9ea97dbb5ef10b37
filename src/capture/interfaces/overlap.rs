//! Which interfaces show the same packets.

use super::Interface;
use std::collections::{HashMap, HashSet};

/// Pairs of `names` on which one packet is seen twice: a port and its bridge or bond, a VLAN or tunnel and the interface
/// it stands on, the two ends of a veth pair, also with others between them. Sums over both count such a packet twice.
///
/// The upper one comes first where there is one: the VLAN before its parent, the port before its master.
pub fn overlaps(list: &[Interface], names: &[String]) -> Vec<(String, String)> {
    let by_index: HashMap<u32, &Interface> = list.iter().filter_map(|one| Some((one.index?, one))).collect();
    let mut pairs: Vec<(String, String)> = Vec::new();
    for interface in list.iter().filter(|interface| names.contains(&interface.name)) {
        for nearest in nearest(interface, &by_index, names) {
            let pair = (interface.name.clone(), nearest.name.clone());
            if !pairs.iter().any(|(one, other)| (one, other) == (&pair.1, &pair.0)) {
                pairs.push(pair);
            }
        }
    }
    pairs
}

/// The first of `names` on each way from `interface` over parents and masters.
fn nearest<'a>(
    interface: &'a Interface,
    by_index: &HashMap<u32, &'a Interface>,
    names: &[String],
) -> Vec<&'a Interface> {
    let mut seen = HashSet::from([interface.index]);
    let mut found = Vec::new();
    let mut ways = vec![interface];
    while let Some(at) = ways.pop() {
        for next in [at.parent, at.master].into_iter().flatten().filter_map(|index| by_index.get(&index).copied()) {
            if !seen.insert(next.index) {
                continue;
            }
            if names.contains(&next.name) {
                found.push(next);
            } else {
                ways.push(next);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(index: u32, name: &str, parent: Option<u32>, master: Option<u32>) -> Interface {
        Interface { name: name.into(), index: Some(index), parent, master, ..Interface::default() }
    }

    /// `eth0` with the VLAN `eth0.5`, which is a port of `br0`, as is `tap0`; and a veth pair.
    fn machine() -> Vec<Interface> {
        vec![
            interface(1, "lo", None, None),
            interface(2, "eth0", None, None),
            interface(3, "eth0.5", Some(2), Some(5)),
            interface(4, "tap0", None, Some(5)),
            interface(5, "br0", None, None),
            interface(6, "veth0", Some(7), None),
            interface(7, "veth1", Some(6), None),
            interface(8, "gre0", Some(99), Some(98)),
        ]
    }

    fn pairs(names: &[&str]) -> Vec<String> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        overlaps(&machine(), &names).into_iter().map(|(one, other)| format!("{one} {other}")).collect()
    }

    #[test]
    fn a_port_and_its_bridge_and_a_vlan_and_its_parent_overlap() {
        assert_eq!(pairs(&["tap0", "br0"]), ["tap0 br0"]);
        assert_eq!(pairs(&["lo", "eth0.5", "eth0"]), ["eth0.5 eth0"]);
        let mut all = pairs(&["eth0", "eth0.5", "br0"]);
        all.sort_unstable();
        assert_eq!(all, ["eth0.5 br0", "eth0.5 eth0"]);
    }

    #[test]
    fn two_ends_of_a_pair_overlap_once() {
        assert_eq!(pairs(&["veth0", "veth1"]), ["veth0 veth1"]);
    }

    #[test]
    fn interfaces_that_share_only_what_is_not_monitored_do_not_overlap() {
        assert_eq!(pairs(&["eth0.5", "tap0"]), [""; 0]);
        assert_eq!(pairs(&["lo", "eth0", "gre0", "veth0"]), [""; 0]);
    }

    #[test]
    fn an_interface_between_two_need_not_be_monitored() {
        let mut list = machine();
        list.push(interface(9, "eth0.5.7", Some(3), None));
        let pairs = overlaps(&list, &["eth0.5.7".into(), "eth0".into()]);
        assert_eq!(pairs, [("eth0.5.7".to_owned(), "eth0".to_owned())]);
    }
}
