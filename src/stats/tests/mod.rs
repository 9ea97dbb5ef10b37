//! The numbers against a recomputation from the list of everything that happened.

mod interfaces;
mod packets;
mod properties;

use super::*;
use crate::flow::{
    EndReason, Event, Failure, FlowKey, FlowRecord, FlowStats, Listener, Phase, Side, State, Untracked, Victim,
};
use crate::packet::{Address, Direction, Ethertype, InterfaceId, Network, ParsedPacket, Transport, VlanStack};
use crate::time::{NANOS_PER_SECOND, Step, Tick, Timestamp};

fn frame(interface: u16, wire_len: u32) -> ParsedPacket {
    ParsedPacket { interface: InterfaceId(interface), wire_len, caplen: wire_len, ..ParsedPacket::default() }
}

fn tally_of<'a>(config: &Config, packets: impl IntoIterator<Item = &'a ParsedPacket>) -> Tally {
    let mut tally = Tally::new(config);
    packets.into_iter().for_each(|packet| tally.packets(std::slice::from_ref(packet)));
    tally
}

fn aggregator(config: &Config, names: &[&str]) -> StatsAggregator {
    let mut aggregator = StatsAggregator::new(config.clone());
    for (id, name) in (0..).zip(names) {
        aggregator.add_interface(InterfaceId(id), name);
    }
    aggregator
}

#[test]
fn interfaces_beyond_the_cap_are_counted_together_and_as_overflow() {
    let config = Config { max_interfaces: 2, ..Config::default() };
    let mut aggregator = aggregator(&config, &["eth1", "eth0", "eth2", "eth0", "eth3"]);
    let frames: Vec<_> = (0..5).chain([9, 2000]).map(|id| frame(id, 100 + u32::from(id % 10))).collect();
    aggregator.fold(Tick(5), &tally_of(&config, &frames));
    let snapshot = aggregator.snapshot();
    let shown: Vec<_> = snapshot.interfaces.iter().map(|i| (&*i.name, i.totals.volume[0])).collect();
    let volume = |packets, bytes| Volume { packets, bytes };
    // Ids 2 and 4 are beyond the cap, 9 was never made known, 2000 is beyond what a tally tells apart.
    let expected = [("eth0", volume(2, 204)), ("eth1", volume(1, 100)), ("other", volume(4, 415))];
    assert_eq!(shown, expected);
    assert_eq!(snapshot.own.label_overflow, [4, 0, 0, 0, 0]);
}

#[test]
fn vlans_beyond_the_cap_are_counted_together_whatever_the_order_of_shards() {
    let config = Config { vlans: Some(VlanConfig { max: 2 }), ..Config::default() };
    let tagged = |id: u16| {
        let vlan = VlanStack::default().push(id).and_then(|stack| stack.push(77)).unwrap();
        ParsedPacket { vlan, ..frame(0, u32::from(id)) }
    };
    let (one, other) = ([tagged(30), tagged(20), frame(0, 1000)], [tagged(10), tagged(10)]);
    for order in [[&one[..], &other[..]], [&other[..], &one[..]]] {
        let mut aggregator = aggregator(&config, &["eth0"]);
        order.iter().for_each(|packets| aggregator.fold(Tick(1), &tally_of(&config, *packets)));
        aggregator.fold(Tick(2), &tally_of(&config, &[tagged(5), tagged(20)]));
        let snapshot = aggregator.snapshot();
        let shown: Vec<_> = snapshot.interfaces[0].vlans.iter().map(|(id, volume)| (*id, volume.bytes)).collect();
        assert_eq!(shown, [(None, 1000), (Some(10), 20), (Some(20), 40)]);
        assert_eq!(snapshot.interfaces[0].vlans_other, Volume { packets: 2, bytes: 35 });
        assert_eq!(snapshot.own.label_overflow, [0, 2, 0, 0, 0]);
    }
}

#[test]
fn an_interface_without_tags_has_no_vlan_series() {
    let config = Config { vlans: Some(VlanConfig { max: 2 }), ..Config::default() };
    let mut aggregator = aggregator(&config, &["eth0"]);
    aggregator.fold(Tick(1), &tally_of(&config, &[frame(0, 60)]));
    assert!(aggregator.snapshot().interfaces[0].vlans.is_empty());
}

#[test]
fn a_window_is_full_when_its_length_has_passed_since_the_first_tick_or_a_step() {
    let mut aggregator = aggregator(&Config::default(), &["eth0"]);
    let full_at = |aggregator: &mut StatsAggregator, tick| {
        aggregator.advance(Tick(tick));
        aggregator.snapshot().interfaces[0].windows.iter().map(|window| window.full).collect::<Vec<_>>()
    };
    assert_eq!(full_at(&mut aggregator, 1_000), [false, false, false]);
    assert_eq!(full_at(&mut aggregator, 1_009), [false, false, false]);
    assert_eq!(full_at(&mut aggregator, 1_010), [true, false, false]);
    assert_eq!(full_at(&mut aggregator, 1_600), [true, true, true]);
    let at = |seconds| Timestamp::from_nanos(seconds * NANOS_PER_SECOND);
    aggregator.step(Step { from: at(160), to: at(50) });
    assert_eq!(full_at(&mut aggregator, 501), [false, false, false]);
    assert_eq!(full_at(&mut aggregator, 600), [true, true, false]);
    assert_eq!(aggregator.snapshot().own.time_steps, [0, 1]);
}

#[test]
fn an_interface_that_nothing_happened_to_keeps_its_picture() {
    let config = Config { windows: vec![std::time::Duration::from_secs(1)], ..Config::default() };
    let mut aggregator = aggregator(&config, &["busy", "quiet"]);
    aggregator.fold(Tick(1), &tally_of(&config, &[frame(0, 60), frame(1, 60)]));
    aggregator.advance(Tick(30));
    let before = aggregator.snapshot();
    aggregator.fold(Tick(31), &tally_of(&config, &[frame(0, 60)]));
    let after = aggregator.snapshot();
    assert!(!std::sync::Arc::ptr_eq(&before.interfaces[0], &after.interfaces[0]));
    assert!(std::sync::Arc::ptr_eq(&before.interfaces[1], &after.interfaces[1]));
}

#[test]
fn an_hour_of_traffic_leaves_the_window_of_an_hour_tick_by_tick() {
    let config = Config { windows: vec![std::time::Duration::from_secs(3600)], ..Config::default() };
    let mut aggregator = aggregator(&config, &["eth0"]);
    let packets =
        |aggregator: &mut StatsAggregator| aggregator.snapshot().interfaces[0].windows[0].sums.volume[0].packets;
    let tally = tally_of(&config, &[frame(0, 60)]);
    (1..=36_000).for_each(|tick| aggregator.fold(Tick(tick), &tally));
    assert_eq!(packets(&mut aggregator), 36_000);
    aggregator.advance(Tick(36_001));
    assert_eq!(packets(&mut aggregator), 35_999);
    aggregator.advance(Tick(71_999));
    assert_eq!(packets(&mut aggregator), 1);
    aggregator.advance(Tick(72_000));
    assert_eq!(packets(&mut aggregator), 0);
}

#[test]
fn flow_states_durations_and_sizes_follow_the_events() {
    let config = Config::default();
    let (interface, transport) = (InterfaceId(0), Transport::Udp);
    let key = FlowKey {
        low: Address::v4([10, 0, 0, 1]),
        high: Address::v4([10, 0, 0, 2]),
        vlan: VlanStack::default(),
        low_port: 1,
        high_port: 2,
        interface,
        protocol: 17,
        kind: 2,
    };
    let record = FlowRecord {
        key,
        low_is_initiator: true,
        stats: FlowStats {
            first_seen: Timestamp::from_nanos(1_000),
            last_seen: Timestamp::from_nanos(20_001_000),
            packets_c2s: 3,
            bytes_c2s: 300,
            packets_s2c: 0,
            bytes_s2c: 0,
            state: State::Active,
        },
        end_reason: Some(EndReason::Idle),
        tcp_flags: [0; 2],
    };
    let mut tally = Tally::new(&config);
    for _ in 0..3 {
        tally.on(Event::Opened { interface, transport });
        tally.on(Event::StateChanged { interface, transport, from: None, to: Some(State::Active) });
    }
    for _ in 0..2 {
        tally.on(Event::StateChanged { interface, transport, from: Some(State::Active), to: None });
        tally.on(Event::Closed { record: &record });
    }

    let mut aggregator = aggregator(&config, &["eth0"]);
    aggregator.fold(Tick(3), &tally);
    let snapshot = aggregator.snapshot();
    let shown = &snapshot.interfaces[0];
    assert_eq!(shown.flows[transport as usize][State::Active as usize], 1);
    assert_eq!(shown.totals.flows_opened[transport as usize], 3);
    assert_eq!(shown.totals.flows_closed[transport as usize][EndReason::Idle as usize], 2);
    assert_eq!(shown.totals.flows_one_sided, 2);
    let [_, duration] = snapshot.flow_duration.as_ref().unwrap();
    let [_, size] = snapshot.flow_size.as_ref().unwrap();
    assert_eq!((duration.counts()[1], duration.sum()), (2, 40_000_000));
    assert_eq!((size.counts()[1], size.sum()), (2, 600));
    assert_eq!(size.exemplars()[1], Some(Exemplar { value: 300, flow: record.id() }));
}

#[test]
fn every_event_of_tcp_health_has_its_own_counter() {
    let (interface, direction) = (InterfaceId(0), Direction::Transmit);
    let mut tally = Tally::new(&Config::default());
    tally.on(Event::Established { interface });
    tally.on(Event::Failed { interface, reason: Failure::Unanswered });
    tally.on(Event::Reset { interface, phase: Phase::Closing });
    tally.on(Event::Retransmitted { interface, direction, bytes: 7 });
    tally.on(Event::OutOfOrder { interface, direction });
    tally.on(Event::DuplicateAck { interface, direction });
    tally.on(Event::ZeroWindow { interface, direction });
    let expected = TcpCounters {
        retransmitted_segments: [0, 1],
        retransmitted_bytes: [0, 7],
        out_of_order_segments: [0, 1],
        duplicate_acks: [0, 1],
        zero_window: [0, 1],
        connections_opened: 1,
        connection_failures: [0, 1, 0],
        resets: [0, 0, 1],
        ..TcpCounters::default()
    };
    let mut aggregator = aggregator(&Config::default(), &["eth0"]);
    aggregator.fold(Tick(1), &tally);
    assert_eq!(aggregator.snapshot().interfaces[0].totals.tcp, expected);
}

#[test]
fn dropped_frames_count_by_stage_and_pass_through_the_windows() {
    let config = Config::default();
    let mut tally = Tally::new(&config);
    tally.dropped(InterfaceId(0), DropStage::Kernel, 5);
    tally.dropped(InterfaceId(0), DropStage::Queue, 2);
    let mut aggregator = aggregator(&config, &["eth0"]);
    aggregator.fold(Tick(1), &tally);
    aggregator.advance(Tick(11));
    let snapshot = aggregator.snapshot();
    let shown = &snapshot.interfaces[0];
    assert_eq!(shown.totals.dropped_packets, [5, 0, 2]);
    let in_windows: Vec<_> = shown.windows.iter().map(|window| window.sums.dropped_packets).collect();
    assert_eq!(in_windows, [[0, 0, 0], [5, 0, 2], [5, 0, 2]]);
}

#[test]
fn the_flow_table_is_the_sum_of_what_each_shard_said_last() {
    let config = Config::default();
    let mut aggregator = aggregator(&config, &[]);
    let mut tally = Tally::new(&config);
    let state = |entries, probe_length_max| TableState { entries, limit: 100, probe_length_max };
    tally.table(0, state(7, 3));
    tally.table(1, state(5, 9));
    aggregator.fold(Tick(1), &tally);
    tally.clear();
    tally.table(1, state(1, 9));
    aggregator.fold(Tick(2), &tally);
    let own = &aggregator.snapshot().own;
    assert_eq!((own.flow_table_entries, own.flow_table_limit, own.flow_probe_length_max), (8, 200, 9));
}

#[test]
fn super_frames_count_the_headers_that_the_capture_did_not_see() {
    let mut packet = frame(0, 54 + 4 * 1448);
    packet.network = Network::Ipv4;
    packet.transport = Transport::Tcp;
    packet.attribution = crate::packet::Attribution::Ports;
    packet.header = crate::packet::Header::Tcp(crate::packet::TcpSegment::default());
    // 20 bytes of IP and 32 of TCP behind 14 of Ethernet, so 1448 bytes of payload fit a segment.
    (packet.wire_len, packet.ip_octets, packet.payload_len) = (66 + 4 * 1448, 52 + 4 * 1448, 4 * 1448);
    let config = Config::default();
    let mut aggregator = aggregator(&config, &["eth0"]);
    aggregator.fold(Tick(1), &tally_of(&config, &[packet, frame(0, 1514)]));
    let totals = aggregator.snapshot().interfaces[0].totals;
    assert_eq!((totals.superframes, totals.superframe_segments, totals.offloaded_header_bytes), (1, 4, 3 * 66));
    // The capture tells the segment size: the same frame is six segments, and one of an ordinary length is two.
    packet.gso_size = 1000;
    let mut datagrams = ParsedPacket { header: crate::packet::Header::Ports, payload_len: 1001, ..packet };
    datagrams.wire_len = 1001 + 42;
    aggregator.fold(Tick(2), &tally_of(&config, &[packet, datagrams]));
    let totals = aggregator.snapshot().interfaces[0].totals;
    assert_eq!((totals.superframes, totals.superframe_segments), (3, 12));
    assert_eq!(totals.offloaded_header_bytes, 3 * 66 + 5 * 66 + 42);
}

#[test]
fn a_frame_of_one_segment_is_no_super_frame_however_long() {
    let mut packet = frame(0, 9014);
    packet.attribution = crate::packet::Attribution::Ports;
    packet.header = crate::packet::Header::Tcp(crate::packet::TcpSegment::default());
    (packet.ip_octets, packet.payload_len, packet.gso_size) = (9000, 8948, 8948);
    let config = Config::default();
    let mut aggregator = aggregator(&config, &["eth0"]);
    aggregator.fold(Tick(1), &tally_of(&config, &[packet]));
    let totals = aggregator.snapshot().interfaces[0].totals;
    assert_eq!((totals.superframes, totals.superframe_segments, totals.offloaded_header_bytes), (0, 0, 0));
}
