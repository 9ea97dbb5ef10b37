//! Claims about the parser as a whole. Frames come from [`build`]; what they must read as is written beside them.

mod direction;
mod generated;
mod hostile;
mod link;
mod network;
mod transport;
mod usual;

use super::build::{self, Builder};
use super::*;

/// The frame parsed as captured whole, with nothing configured.
fn parsed(linktype: Linktype, bytes: &[u8]) -> ParsedPacket {
    parse(&build::frame(linktype, bytes), &Perspective::default())
}

fn ethernet(builder: &Builder) -> ParsedPacket {
    parsed(Linktype::Ethernet, &builder.build())
}

/// The frame parsed as if the snapshot length had been `caplen`.
fn snapped(linktype: Linktype, bytes: &[u8], caplen: usize) -> ParsedPacket {
    let mut frame = build::frame(linktype, bytes);
    frame.bytes = &bytes[..caplen];
    frame.meta.caplen = u32::try_from(caplen).unwrap();
    parse(&frame, &Perspective::default())
}

const fn reject(layer: Layer, reason: Reason) -> Option<Reject> {
    Some(Reject::new(layer, reason))
}

const V4: [[u8; 4]; 2] = [[192, 0, 2, 1], [198, 51, 100, 2]];
const V6: [[u16; 8]; 2] = [[0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], [0x2001, 0xdb8, 0, 0, 0, 0, 0, 2]];

fn over_ipv4(builder: Builder) -> Builder {
    builder.ipv4(V4[0], V4[1])
}

fn over_ipv6(builder: Builder) -> Builder {
    builder.ipv6(V6[0], V6[1])
}

fn syn() -> TcpSegment {
    TcpSegment { sequence: 0x0102_0304, acknowledgement: 0, window: 64240, flags: flag::SYN, window_scale: Some(7) }
}

/// One good frame of every shape that is read, each with a payload of five bytes where it can have one.
fn fixtures() -> Vec<(&'static str, Linktype, Vec<u8>)> {
    let tcp = |builder: Builder| over_ipv4(builder).tcp(40000, 443, syn()).payload(b"hello");
    let udp = |builder: Builder| over_ipv6(builder).udp(5353, 53).payload(b"hello");
    let chain = |builder: Builder| {
        let headers = over_ipv6(builder).extension(60, &[]).extension(0, &[0; 20]).extension(51, &[0; 20]);
        headers.extension(43, &[0; 6]).fragment(0, true).tcp(1, 2, syn()).payload(b"hello")
    };
    let all_options = [2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 14];
    let frames = [
        ("tcp", Linktype::Ethernet, tcp(Builder::ethernet())),
        ("udp over ipv6", Linktype::Ethernet, udp(Builder::ethernet())),
        ("syn options", Linktype::Ethernet, over_ipv4(Builder::ethernet()).tcp(1, 2, syn()).tcp_options(&all_options)),
        ("ipv4 options", Linktype::Ethernet, over_ipv4(Builder::ethernet()).ipv4_options(&[7; 9]).udp(1, 2)),
        ("one tag", Linktype::Ethernet, tcp(Builder::ethernet().vlan(7))),
        ("three tags", Linktype::Ethernet, tcp(Builder::ethernet().tag(0x9100, 1).tag(0x88a8, 0).vlan(4095))),
        ("mpls", Linktype::Ethernet, udp(Builder::ethernet().vlan(7).mpls(16).mpls(17).mpls(18))),
        ("pppoe", Linktype::Ethernet, tcp(Builder::ethernet().vlan(7).vlan(8).pppoe())),
        ("pppoe ipv6", Linktype::Ethernet, udp(Builder::ethernet().pppoe())),
        ("snap", Linktype::Ethernet, tcp(Builder::ethernet().snap())),
        ("snap in vlan", Linktype::Ethernet, udp(Builder::ethernet().vlan(7).snap())),
        ("extension headers", Linktype::Ethernet, chain(Builder::ethernet())),
        ("later fragment", Linktype::Ethernet, over_ipv4(Builder::ethernet()).fragment(3, false).protocol(17)),
        ("icmp", Linktype::Ethernet, over_ipv4(Builder::ethernet()).icmp(8, 0, 0x0007_0001).payload(b"hello")),
        ("icmpv6", Linktype::Ethernet, over_ipv6(Builder::ethernet()).icmp(135, 0, 0).payload(&[0; 16])),
        ("sctp", Linktype::Ethernet, over_ipv6(Builder::ethernet()).sctp(2905, 2906).payload(b"hello")),
        ("esp", Linktype::Ethernet, over_ipv4(Builder::ethernet()).protocol(50).payload(b"hello")),
        ("arp", Linktype::Ethernet, Builder::ethernet().ethertype(0x0806).payload(&[0; 28])),
        ("padded", Linktype::Ethernet, tcp(Builder::ethernet()).pad_to(80)),
        ("sll", Linktype::LinuxSll, tcp(Builder::cooked(0).vlan(7))),
        ("sll with llc", Linktype::LinuxSll, tcp(Builder::cooked(0).snap())),
        ("sll2", Linktype::LinuxSll2, udp(Builder::cooked_v2(4))),
        ("null", Linktype::Null, tcp(Builder::loopback([2, 0, 0, 0]))),
        ("loop", Linktype::Loop, udp(Builder::loopback([0, 0, 0, 24]))),
        ("raw", Linktype::Raw, tcp(Builder::raw())),
        ("raw ipv6", Linktype::Ipv6, udp(Builder::raw())),
    ];
    frames.into_iter().map(|(name, linktype, builder)| (name, linktype, builder.build())).collect()
}

/// What holds of every packet, whatever the bytes were.
fn assert_consistent(frame: &Frame<'_>, packet: &ParsedPacket) {
    assert!(packet.payload_len <= packet.ip_octets && packet.ip_octets <= packet.wire_len, "{packet:?}");
    assert_eq!((packet.wire_len, packet.caplen), (frame.meta.wire_len, frame.meta.caplen));
    assert!(packet.reject.is_none_or(|reject| Reject::REAL.contains(&reject)), "{packet:?}");
    assert_eq!(packet.network.is_ip(), packet.attribution != Attribution::NotIp, "{packet:?}");
    assert_eq!(packet.transport, Transport::of(packet.network, packet.protocol));
    assert_eq!(packet.attribution == Attribution::LaterFragment, packet.fragment == Fragment::Later);
    if packet.attribution != Attribution::Ports {
        assert_eq!((packet.source_port, packet.destination_port), (0, 0), "{packet:?}");
        assert!(matches!(packet.header, Header::None | Header::Icmp(_)), "{packet:?}");
    }
    if packet.attribution == Attribution::Unreadable {
        assert!(packet.truncated || packet.reject.is_some(), "{packet:?}");
    }
    if !packet.network.is_ip() {
        assert_eq!((packet.protocol, packet.ip_octets, packet.payload_len), (0, 0, 0));
        assert_eq!((packet.source, packet.destination), (Address::default(), Address::default()));
    }
    assert!(!(packet.truncated && packet.reject.is_some()), "one thing stops reading: {packet:?}");
}

#[test]
fn a_packet_fits_into_two_cache_lines() {
    assert!(size_of::<ParsedPacket>() <= 104, "{}", size_of::<ParsedPacket>());
}

#[test]
fn every_fixture_is_read_to_its_end() {
    for (name, linktype, bytes) in fixtures() {
        let packet = parsed(linktype, &bytes);
        assert_eq!((packet.reject, packet.truncated), (None, false), "{name}");
        assert_consistent(&build::frame(linktype, &bytes), &packet);
        assert!(packet.network.is_ip() || name == "arp", "{name}");
    }
}

#[test]
fn a_frame_cut_by_the_snapshot_length_is_truncated_or_reads_as_if_whole() {
    for (name, linktype, bytes) in fixtures() {
        let whole = parsed(linktype, &bytes);
        for caplen in 0..bytes.len() {
            let cut = snapped(linktype, &bytes, caplen);
            assert_eq!(cut.reject, None, "{name} at {caplen}");
            if !cut.truncated {
                assert_eq!(ParsedPacket { caplen: whole.caplen, ..cut }, whole, "{name} at {caplen}");
            }
        }
    }
}

#[test]
fn a_frame_that_ends_early_on_the_wire_is_never_called_truncated() {
    for (name, linktype, bytes) in fixtures() {
        for len in 0..bytes.len() {
            let packet = parsed(linktype, &bytes[..len]);
            assert!(!packet.truncated, "{name} at {len}");
            assert_consistent(&build::frame(linktype, &bytes[..len]), &packet);
        }
    }
}

#[test]
fn a_snapped_packet_has_its_full_payload() {
    let bytes = over_ipv4(Builder::ethernet()).tcp(1, 2, TcpSegment::default()).payload(&[0; 1000]).build();
    let packet = snapped(Linktype::Ethernet, &bytes, 54);
    assert_eq!((packet.payload_len, packet.ip_octets, packet.truncated), (1000, 1040, false));
}

#[test]
fn a_captured_length_above_the_wire_length_is_survived() {
    for (_, linktype, bytes) in fixtures() {
        for wire_len in 0..=u32::try_from(bytes.len()).unwrap() {
            let mut frame = build::frame(linktype, &bytes);
            frame.meta.wire_len = wire_len;
            assert_consistent(&frame, &parse(&frame, &Perspective::default()));
        }
    }
}
