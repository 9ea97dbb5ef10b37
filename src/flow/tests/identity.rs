//! Which packets are one flow.

use super::*;
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
