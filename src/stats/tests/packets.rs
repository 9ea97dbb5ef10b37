//! Generated packets, and what a tally must make of them, recomputed field by field.

use super::*;
use crate::packet::{Attribution, Cast, Fragment, Header, IcmpMessage, Layer, Reason, Reject, TcpSegment, is_plain};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Any packet that the parser could produce, at time 0 on one of three interfaces.
pub(super) fn packet() -> impl Strategy<Value = ParsedPacket> {
    let record = (0..3_u16, 1..10_000_u32, any::<bool>(), any::<bool>());
    let layers = (0..9_u8, any::<u8>(), 0..4_u8, 0..3_u8);
    let ends = (0..4_u8, 0..4_u8, 0..5_u16, 0..5_u16);
    let tags = prop::collection::vec(0..4_u16, 0..3);
    (record, layers, ends, tags, any::<bool>()).prop_map(|(record, layers, ends, tags, ipv6)| {
        let (interface, wire_len, transmit, cut) = record;
        let mut packet = frame(interface, wire_len);
        packet.caplen = if cut { wire_len / 2 } else { wire_len };
        packet.direction = if transmit { Direction::Transmit } else { Direction::Receive };
        packet.vlan = tags.iter().fold(VlanStack::default(), |stack, id| stack.push(*id).unwrap());
        set_layers(&mut packet, layers, ipv6);
        if packet.network.is_ip() {
            let (from, to, source_port, destination_port) = ends;
            packet.source = Address::v4([10, 0, from, 1]);
            packet.destination = Address::v4([10, 0, to, 1]);
            (packet.source_port, packet.destination_port) = (source_port, destination_port);
        }
        packet.is_plain = is_plain(&packet);
        packet
    })
}

fn set_layers(packet: &mut ParsedPacket, (kind, byte, fragment, cast): (u8, u8, u8, u8), ipv6: bool) {
    packet.cast = [Cast::Unicast, Cast::Multicast, Cast::Broadcast][usize::from(cast)];
    let ip = if ipv6 { Network::Ipv6 } else { Network::Ipv4 };
    packet.ethertype = if ipv6 { Ethertype::IPV6 } else { Ethertype::IPV4 };
    let mut of_ip = |protocol, header, attribution| {
        (packet.network, packet.protocol, packet.header, packet.attribution) = (ip, protocol, header, attribution);
        packet.transport = Transport::of(ip, protocol);
    };
    let segment = TcpSegment { flags: byte, ..TcpSegment::default() };
    match kind {
        0 | 1 => of_ip(6, Header::Tcp(segment), Attribution::Ports),
        2 => of_ip(17, Header::Ports, Attribution::Ports),
        3 => {
            let message = IcmpMessage::ALL[usize::from(byte) % IcmpMessage::ALL.len()];
            of_ip(if ipv6 { 58 } else { 1 }, Header::Icmp(message), Attribution::Portless);
        }
        4 => of_ip(byte, Header::None, Attribution::Unreadable),
        5 => {
            packet.reject = Some(Reject::REAL[usize::from(byte) % Reject::REAL.len()]);
            packet.truncated = byte > 100;
        }
        6 => (packet.network, packet.ethertype) = (Network::Arp, Ethertype::ARP),
        7 => packet.ethertype = Ethertype(u16::from(byte)),
        _ => {
            // Reached through PPPoE, whose type is not that of IP.
            of_ip(6, Header::None, Attribution::LaterFragment);
            packet.ethertype = Ethertype(0x8864);
        }
    }
    if packet.network.is_ip() {
        packet.fragment = [Fragment::Whole, Fragment::Whole, Fragment::First, Fragment::Later][usize::from(fragment)];
    }
}

/// What the packets of one interface amount to, by filtering the list anew for every number.
pub(super) fn counters(packets: &[&ParsedPacket]) -> Counters {
    let count = |matches: &dyn Fn(&ParsedPacket) -> bool| packets.iter().filter(|p| matches(p)).count() as u64;
    let mut counters = Counters {
        captured_bytes: packets.iter().map(|p| u64::from(p.caplen)).sum(),
        offloaded_header_bytes: packets.iter().map(|p| offloaded(p)).sum(),
        broadcast_packets: count(&|p| p.cast == Cast::Broadcast),
        multicast_packets: count(&|p| p.cast == Cast::Multicast),
        vlan_packets: count(&|p| !p.vlan.is_empty()),
        cut_packets: count(&|p| p.caplen != p.wire_len),
        truncated_packets: count(&|p| p.truncated),
        ..Counters::default()
    };
    for direction in Direction::ALL {
        let of = |p: &ParsedPacket| p.direction == direction;
        counters.volume[direction as usize] = volume(packets, &of);
        for (index, (network, transport)) in CONVERSATIONS.into_iter().enumerate() {
            counters.protocols[direction as usize][index] =
                volume(packets, &|p| of(p) && p.network == network && p.transport == transport);
        }
        let segment = |p: &ParsedPacket| match p.header {
            Header::Tcp(segment) if of(p) => Some(segment.flags),
            _ => None,
        };
        counters.tcp.segments[direction as usize] = count(&|p| segment(p).is_some());
        let with = |mask: u8, value: u8| count(&|p| segment(p).is_some_and(|flags| flags & mask == value));
        counters.tcp.flags[direction as usize] = [
            with(0x12, 0x02),
            with(0x12, 0x12),
            with(0x01, 0x01),
            with(0x04, 0x04),
            with(0x40, 0x40),
            with(0x80, 0x80),
            with(0x20, 0x20),
        ];
    }
    for (index, network) in [Network::Ipv4, Network::Ipv6].into_iter().enumerate() {
        let fragment = |which| count(&|p| p.network == network && p.fragment == which);
        counters.fragments[index] = [fragment(Fragment::First), fragment(Fragment::Later)];
        counters.icmp[index] =
            IcmpMessage::ALL.map(|message| count(&|p| p.network == network && p.header == Header::Icmp(message)));
    }
    counters.parse_errors =
        Layer::ALL.map(|layer| Reason::ALL.map(|reason| count(&|p| p.reject == Some(Reject { layer, reason }))));
    counters
}

pub(super) fn volume(packets: &[&ParsedPacket], matches: &dyn Fn(&ParsedPacket) -> bool) -> Volume {
    let matching = || packets.iter().filter(|p| matches(p));
    Volume { packets: matching().count() as u64, bytes: matching().map(|p| u64::from(p.wire_len)).sum() }
}

/// Generated packets have no lengths of IP, so all of a super-frame is header and none of it further segments.
fn offloaded(packet: &ParsedPacket) -> u64 {
    assert_eq!(packet.payload_len, 0);
    0
}

fn by<K: Ord>(packets: &[&ParsedPacket], key: impl Fn(&ParsedPacket) -> Option<K>) -> BTreeMap<K, Volume> {
    let mut sums = BTreeMap::<K, Volume>::new();
    for packet in packets {
        if let Some(key) = key(packet) {
            sums.entry(key).or_default().count(packet.wire_len);
        }
    }
    sums
}

/// Holds one interface of a snapshot against the packets that were folded into it.
pub(super) fn check_totals(shown: &InterfaceSnapshot, packets: &[&ParsedPacket]) {
    assert_eq!(shown.totals, counters(packets));
    assert_eq!(shown.ethertypes, by(packets, |p| Some(p.ethertype)));
    let protocol = |p: &ParsedPacket| p.network.is_ip().then_some((p.network == Network::Ipv6, p.protocol));
    assert_eq!(shown.ip_protocols, by(packets, protocol));
    let mut vlans = by(packets, |p| Some(p.vlan.outer()));
    vlans.entry(None).or_default();
    assert_eq!(shown.vlans, if vlans.len() > 1 { vlans } else { BTreeMap::new() });
    for (row, transport) in [Transport::Tcp, Transport::Udp].into_iter().enumerate() {
        // Port 3 is listed first, and a frame with both ports belongs to the smaller one.
        let by_port = |p: &ParsedPacket| match (p.attribution, p.source_port, p.destination_port) {
            (Attribution::Ports, 1, _) | (Attribution::Ports, _, 1) => 1,
            (Attribution::Ports, 3, _) | (Attribution::Ports, _, 3) => 0,
            _ => 2,
        };
        let expected = [0, 1, 2].map(|column| volume(packets, &|p| p.transport == transport && by_port(p) == column));
        assert_eq!(shown.ports[row], expected.map(|volume| volume.bytes));
    }
    assert_eq!(shown.first_seen, packets.iter().map(|p| p.timestamp).min());
    assert_eq!(shown.last_seen, packets.iter().map(|p| p.timestamp).max());
    let mut lengths = Buckets::new(Buckets::PACKET_SIZE);
    packets.iter().for_each(|p| lengths.observe(u64::from(p.wire_len), None));
    assert_eq!(shown.packet_size, lengths);
}
