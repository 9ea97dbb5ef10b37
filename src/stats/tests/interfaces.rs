//! Interfaces that come, go and change their names.

use super::*;

/// Names and received packets, in the order of the snapshot.
fn shown(aggregator: &mut StatsAggregator) -> Vec<(String, u64)> {
    let snapshot = aggregator.snapshot();
    snapshot.interfaces.iter().map(|i| (i.name.to_string(), i.totals.volume[0].packets)).collect()
}

fn count(aggregator: &mut StatsAggregator, tick: u64, interface: u16) {
    let tally = tally_of(&Config::default(), &[frame(interface, 100)]);
    aggregator.fold(Tick(tick), &tally);
}

fn names(shown: &[(&str, u64)]) -> Vec<(String, u64)> {
    shown.iter().map(|(name, packets)| ((*name).to_owned(), *packets)).collect()
}

fn is_up(aggregator: &mut StatsAggregator, name: &str) -> bool {
    let snapshot = aggregator.snapshot();
    snapshot.interfaces.iter().find(|interface| *interface.name == *name).unwrap().capture.up
}

#[test]
fn a_thousand_names_that_come_and_go_never_reach_other() {
    let steady: Vec<String> = (0..20).map(|n| format!("eth{n}")).collect();
    let mut aggregator = aggregator(&Config::default(), &steady.iter().map(String::as_str).collect::<Vec<_>>());
    for n in 0..1000_u16 {
        let id = 20 + n % 4;
        if n >= 4 {
            aggregator.remove_interface(InterfaceId(id));
            // What was still under way goes with it.
            count(&mut aggregator, u64::from(n), id);
        }
        aggregator.add_interface(InterfaceId(id), &format!("veth{n}"));
        count(&mut aggregator, u64::from(n), id);
        count(&mut aggregator, u64::from(n), n % 20);
        assert!(aggregator.snapshot().interfaces.len() <= 24);
    }
    let (shown, own) = (shown(&mut aggregator), aggregator.snapshot().own.clone());
    let still: Vec<_> = shown.iter().filter(|(name, _)| name.starts_with("veth")).collect();
    assert_eq!(still.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["veth996", "veth997", "veth998", "veth999"]);
    assert!(still.iter().all(|(_, packets)| *packets == 1));
    let steady: Vec<_> =
        shown.iter().filter(|(name, _)| name.starts_with("eth")).map(|(_, packets)| *packets).collect();
    assert_eq!((steady, own.label_overflow[0]), (vec![50; 20], 0));
}

#[test]
fn a_renamed_interface_keeps_its_totals_windows_and_open_flows() {
    let mut aggregator = aggregator(&Config::default(), &["eth0", "eth1", "eth2"]);
    (0..3).for_each(|id| count(&mut aggregator, 5, id));
    count(&mut aggregator, 6, 0);
    aggregator.capture(InterfaceId(0), Capture { up: true, ..Capture::default() });
    let before = aggregator.snapshot();
    aggregator.rename_interface(InterfaceId(0), "wan");
    count(&mut aggregator, 6, 0);
    assert_eq!(shown(&mut aggregator), names(&[("eth1", 1), ("eth2", 1), ("wan", 3)]));
    let after = aggregator.snapshot();
    let (eth0, wan) = (&before.interfaces[0], &after.interfaces[2]);
    assert_eq!((wan.capture.up, wan.windows[0].sums.volume[0].packets), (true, 3));
    assert_eq!((wan.peak.volume[0].packets, wan.packet_size.sum()), (3, eth0.packet_size.sum() + 100));
}

#[test]
fn an_interface_whose_new_name_has_a_series_joins_it_and_the_old_one_is_gone() {
    let (interface, transport) = (InterfaceId(1), Transport::Udp);
    let mut aggregator = aggregator(&Config::default(), &["eth0", "tmp7"]);
    let mut tally = tally_of(&Config::default(), &[frame(0, 100), frame(1, 100)]);
    tally.on(Event::StateChanged { interface, transport, from: None, to: Some(State::Active) });
    aggregator.fold(Tick(5), &tally);
    let filter = Some("udp".to_owned());
    aggregator.capture(interface, Capture { up: true, restarts: 3, filter, mtu: Some(9000), ..Capture::default() });
    aggregator.rename_interface(interface, "eth0");
    count(&mut aggregator, 6, 1);
    let snapshot = aggregator.snapshot();
    assert_eq!(shown(&mut aggregator), names(&[("eth0", 2), ("tmp7", 1)]));
    assert_eq!(snapshot.interfaces[1].capture, Capture { restarts: 3, ..Capture::default() });
    let flows = |n: usize| snapshot.interfaces[n].flows[transport as usize][State::Active as usize];
    assert_eq!((flows(0), flows(1)), (1, 0));
    // Named as before, it goes on where it was.
    aggregator.add_interface(InterfaceId(2), "tmp7");
    count(&mut aggregator, 7, 2);
    assert_eq!(shown(&mut aggregator), names(&[("eth0", 2), ("tmp7", 2)]));
}

#[test]
fn at_the_cap_the_series_of_a_gone_interface_makes_room() {
    let config = Config { max_interfaces: 2, ..Config::default() };
    let mut aggregator = aggregator(&config, &["eth0", "eth1"]);
    aggregator.rename_interface(InterfaceId(1), "eth0");
    aggregator.add_interface(InterfaceId(2), "eth2");
    (0..3).for_each(|id| count(&mut aggregator, 5, id));
    assert_eq!(shown(&mut aggregator), names(&[("eth0", 2), ("eth2", 1)]));
}

#[test]
fn a_series_that_two_ids_share_outlives_either_of_them() {
    let mut aggregator = aggregator(&Config::default(), &["eth0", "eth0", "eth1"]);
    (0..3).for_each(|id| count(&mut aggregator, 5, id));
    aggregator.capture(InterfaceId(0), Capture { up: true, ..Capture::default() });
    aggregator.rename_interface(InterfaceId(1), "wan");
    count(&mut aggregator, 6, 1);
    assert_eq!(shown(&mut aggregator), names(&[("eth0", 2), ("eth1", 1), ("wan", 1)]));
    assert!(is_up(&mut aggregator, "eth0"));
    aggregator.rename_interface(InterfaceId(1), "eth0");
    aggregator.remove_interface(InterfaceId(0));
    count(&mut aggregator, 7, 1);
    assert_eq!(shown(&mut aggregator), names(&[("eth0", 3), ("eth1", 1), ("wan", 1)]));
    aggregator.remove_interface(InterfaceId(1));
    assert_eq!(shown(&mut aggregator), names(&[("eth1", 1), ("wan", 1)]));
}

#[test]
fn an_id_that_is_used_again_starts_at_zero() {
    let mut aggregator = aggregator(&Config::default(), &["eth0"]);
    count(&mut aggregator, 5, 0);
    aggregator.remove_interface(InterfaceId(0));
    aggregator.remove_interface(InterfaceId(7));
    aggregator.capture(InterfaceId(0), Capture { up: true, ..Capture::default() });
    assert_eq!(shown(&mut aggregator), []);
    aggregator.add_interface(InterfaceId(0), "eth0");
    assert_eq!((shown(&mut aggregator), is_up(&mut aggregator, "eth0")), (names(&[("eth0", 0)]), false));
}

#[test]
fn an_interface_of_other_gets_a_series_when_it_is_renamed_and_there_is_room() {
    let config = Config { max_interfaces: 1, ..Config::default() };
    let mut aggregator = aggregator(&config, &["eth0", "eth1"]);
    count(&mut aggregator, 5, 1);
    aggregator.rename_interface(InterfaceId(1), "eth2");
    count(&mut aggregator, 5, 1);
    assert_eq!(shown(&mut aggregator), names(&[("eth0", 0), ("other", 2)]));
    aggregator.remove_interface(InterfaceId(0));
    aggregator.rename_interface(InterfaceId(1), "eth3");
    count(&mut aggregator, 5, 1);
    assert_eq!(shown(&mut aggregator), names(&[("eth3", 1), ("other", 2)]));
    assert_eq!(aggregator.snapshot().own.label_overflow[0], 2);
}

#[test]
fn what_an_interface_called_other_shares_with_the_rest_is_never_taken_away() {
    let mut aggregator = aggregator(&Config { max_interfaces: 1, ..Config::default() }, &["other", "eth0", "eth1"]);
    (0..3).for_each(|id| count(&mut aggregator, 5, id));
    aggregator.rename_interface(InterfaceId(0), "eth2");
    aggregator.remove_interface(InterfaceId(0));
    assert_eq!(shown(&mut aggregator), names(&[("eth0", 1), ("other", 2)]));
}

#[test]
fn counters_of_netmon_itself_do_not_go_back_when_an_interface_is_removed() {
    let config = Config { vlans: Some(VlanConfig { max: 0 }), ..Config::default() };
    let mut aggregator = aggregator(&config, &["eth0"]);
    let vlan = VlanStack::default().push(5).unwrap();
    aggregator.fold(Tick(1), &tally_of(&config, &[ParsedPacket { vlan, ..frame(0, 60) }]));
    aggregator.advance(Tick(2));
    let overflow = |aggregator: &mut StatsAggregator| aggregator.snapshot().own.label_overflow;
    assert_eq!(overflow(&mut aggregator), [0, 1, 0, 0, 0]);
    aggregator.remove_interface(InterfaceId(0));
    assert_eq!(overflow(&mut aggregator), [0, 1, 0, 0, 0]);
}

#[test]
fn only_the_newest_gaps_are_listed() {
    let mut aggregator = aggregator(&Config::default(), &["eth0"]);
    let at = |second: u64| Timestamp::from_nanos(second * NANOS_PER_SECOND);
    let gaps: Vec<_> = (0..20).map(|n| Gap { from: at(2 * n), to: Some(at(2 * n + 1)), reason: "link down" }).collect();
    aggregator.capture(InterfaceId(0), Capture { gaps: gaps.clone(), gaps_total: 20, ..Capture::default() });
    let capture = &aggregator.snapshot().interfaces[0].capture;
    assert_eq!((&capture.gaps[..], capture.gaps_total), (&gaps[4..], 20));
}

#[test]
fn the_table_of_a_shard_that_ended_counts_no_more() {
    let mut aggregator = aggregator(&Config::default(), &[]);
    let mut tally = Tally::new(&Config::default());
    tally.table(0, TableState { entries: 7, limit: 100, probe_length_max: 3 });
    tally.table(1, TableState { entries: 5, limit: 100, probe_length_max: 9 });
    aggregator.fold(Tick(1), &tally);
    tally.clear();
    tally.table(1, TableState::default());
    aggregator.fold(Tick(2), &tally);
    let own = &aggregator.snapshot().own;
    assert_eq!((own.flow_table_entries, own.flow_table_limit, own.flow_probe_length_max), (7, 100, 3));
}
