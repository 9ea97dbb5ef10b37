//! Which packets are one flow.

use super::*;
use crate::flow::key::{Narrow, Wide};
use crate::packet::InterfaceId;
use proptest::prelude::*;

/// Packets whose every part of the key is one of few values.
fn any_packet() -> impl Strategy<Value = ParsedPacket> {
    let ends = (0u8..3, 0u16..3, 0u8..3, 0u16..3);
    let protocol = prop::sample::select(vec![6u8, 17, 1, 58, 132, 47]);
    let vlan = prop::collection::vec(0u16..2, 0..3);
    (ends, protocol, any::<bool>(), vlan, 0u16..2).prop_map(|((a, p, b, q), protocol, is_v6, vlan, interface)| {
        let network = if is_v6 { Network::Ipv6 } else { Network::Ipv4 };
        ParsedPacket {
            network,
            transport: Transport::of(network, protocol),
            interface: InterfaceId(interface),
            vlan: vlan.into_iter().fold(VlanStack::default(), |stack, id| stack.push(id).unwrap()),
            ..packet(protocol, (a, p), (b, q))
        }
    })
}

/// What the header says, the two ends in a fixed order.
fn canonical(packet: &ParsedPacket) -> impl PartialEq + std::fmt::Debug + use<> {
    let mut ends = [(packet.source, packet.source_port), (packet.destination, packet.destination_port)];
    ends.sort();
    (packet.network, packet.protocol, packet.attribution, ends, packet.vlan, packet.interface)
}

proptest! {
    #[test]
    fn two_packets_have_one_key_if_and_only_if_their_headers_name_one_flow(a in any_packet(), b in any_packet()) {
        let (key_a, key_b) = (FlowKey::of(&a).unwrap().0, FlowKey::of(&b).unwrap().0);
        prop_assert_eq!(key_a == key_b, canonical(&a) == canonical(&b));
        prop_assert_eq!(key_a == key_b, key_a.words() == key_b.words());
    }

    #[test]
    fn a_key_is_its_two_parts_and_the_short_way_for_ipv4_makes_the_same_of_a_packet(
        packet in any_packet(),
        ends in any::<[[u8; 16]; 2]>(),
        ports in any::<[u16; 2]>(),
    ) {
        let address = |end: [u8; 16]| match packet.network {
            Network::Ipv4 => Address::v4([end[0], end[1], end[2], end[3]]),
            _ => Address(end),
        };
        let (source, destination) = (address(ends[0]), address(ends[1]));
        let packet = ParsedPacket { source, destination, source_port: ports[0], destination_port: ports[1], ..packet };
        let (key, sender) = FlowKey::of(&packet).unwrap();
        let narrow = Narrow::of(&key);
        prop_assert_eq!(narrow.with(&Wide::of(&key)), key);
        prop_assert_eq!(narrow.transport(), key.transport());
        if !key.is_wide() {
            prop_assert_eq!(narrow.words(), key.words());
        }
        let is_tcp = packet.transport == Transport::Tcp;
        let header = if is_tcp { Header::Tcp(ack(0, 0)) } else { packet.header };
        let packet = as_parsed(ParsedPacket { header, ..packet });
        if packet.is_plain {
            prop_assert_eq!(Narrow::of_plain(&packet), (narrow, sender));
        }
    }

    #[test]
    fn the_reply_has_the_key_of_the_request_and_the_other_sender(packet in any_packet()) {
        let reply = ParsedPacket {
            source: packet.destination,
            destination: packet.source,
            source_port: packet.destination_port,
            destination_port: packet.source_port,
            ..packet
        };
        let ((key, sender), (reply_key, reply_sender)) = (FlowKey::of(&packet).unwrap(), FlowKey::of(&reply).unwrap());
        prop_assert_eq!(key, reply_key);
        let same_ends = (packet.source, packet.source_port) == (packet.destination, packet.destination_port);
        prop_assert_eq!(sender == reply_sender, same_ends);
    }
}

#[test]
fn a_flow_between_equal_ends_is_all_from_the_initiator() {
    let mut tracker = tracker(Config::default());
    tracker.observe(tick(1), &[packet(17, (1, 5), (1, 5)); 3], &mut Log::default());
    let record = tracker.records().next().unwrap();
    assert_eq!((record.stats.packets_c2s, record.stats.packets_s2c), (3, 0));
    assert_eq!(record.initiator(), record.responder());
}

#[test]
fn the_sender_of_the_first_packet_is_the_initiator() {
    for (source, destination) in [((1, 53), (2, 4000)), ((2, 4000), (1, 53))] {
        let mut tracker = tracker(Config::default());
        let packets = [packet(17, source, destination), packet(17, destination, source)];
        tracker.observe(tick(1), &packets, &mut Log::default());
        let record = tracker.records().next().unwrap();
        assert_eq!(record.initiator(), (Address::v4([10, 0, 0, source.0]), source.1));
        assert_eq!((record.stats.packets_c2s, record.stats.packets_s2c), (1, 1));
    }
}

#[test]
fn packets_without_a_flow_are_counted_by_reason() {
    let with = |attribution| ParsedPacket { attribution, ..packet(17, (1, 1), (2, 2)) };
    let packets = [Attribution::LaterFragment, Attribution::NotIp, Attribution::Unreadable].map(with);
    let (mut tracker, mut log) = (tracker(Config::default()), Log::default());
    tracker.observe(tick(1), &packets, &mut log);
    // What is unreadable is counted as truncated or rejected.
    assert_eq!(log.untracked, [Untracked::Fragment, Untracked::NotIp]);
    assert!(tracker.is_empty());
}

#[test]
fn flows_that_differ_in_a_prefix_or_a_tag_only_have_their_own_records() {
    let plain = packet(17, (1, 53), (2, 4000));
    let tagged = |id| ParsedPacket { vlan: VlanStack::default().push(id).unwrap(), ..plain };
    let prefixed = |first: u8| {
        let address = |last| Address([first, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, last]);
        ParsedPacket { network: Network::Ipv6, source: address(1), destination: address(2), ..plain }
    };
    let packets = [plain, tagged(1), tagged(2), prefixed(0), prefixed(0x20), prefixed(0xfd)];
    let mut tracker = tracker(Config::default());
    (0..3).for_each(|_| tracker.observe(tick(1), &packets, &mut Log::default()));
    let mut keys: Vec<_> = tracker.records().map(|record| record.key).collect();
    let mut expected: Vec<_> = packets.iter().map(|packet| FlowKey::of(packet).unwrap().0).collect();
    keys.sort();
    expected.sort();
    assert_eq!(keys, expected);
    assert!(tracker.records().all(|record| record.stats.packets_c2s == 3));
    tracker.check();
}

#[test]
fn no_packet_is_forgotten_when_a_small_count_is_full() {
    let ends = ((1, 53), (2, 4000));
    for parsed in [as_parsed, |packet| packet] {
        let (request, reply) = (parsed(packet(17, ends.0, ends.1)), parsed(packet(17, ends.1, ends.0)));
        let mut tracker = tracker(Config::default());
        for round in 0..5 {
            tracker.observe(tick(round), &[request; 200], &mut Log::default());
            tracker.observe(tick(round), &[reply; 77], &mut Log::default());
            if round == 2 {
                tracker.drain_deltas(|_, _| ());
            }
            let stats = tracker.records().next().unwrap().stats;
            let count = round + 1;
            assert_eq!((stats.packets_c2s, stats.packets_s2c), (200 * count, 77 * count));
            assert_eq!((stats.bytes_c2s, stats.bytes_s2c), (20_000 * count, 7_700 * count));
        }
    }
}
