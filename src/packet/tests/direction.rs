use super::*;

fn seen_by(perspective: &Perspective, linktype: Linktype, builder: Builder) -> Direction {
    parse(&build::frame(linktype, &builder.udp(1, 2).build()), perspective).direction
}

const OWN: [u8; 6] = [2, 0, 0, 0, 0, 1];

#[test]
fn with_nothing_known_everything_is_received() {
    assert_eq!(
        seen_by(&Perspective::default(), Linktype::Ethernet, over_ipv4(Builder::ethernet())),
        Direction::Receive
    );
}

#[test]
fn the_packet_type_of_a_cooked_header_comes_first() {
    let own = Perspective { addresses: vec![V4[0].into()], loopback: true, ..Perspective::default() };
    for (packet_type, direction) in [(0, Direction::Receive), (3, Direction::Receive), (4, Direction::Transmit)] {
        assert_eq!(seen_by(&own, Linktype::LinuxSll, over_ipv4(Builder::cooked(packet_type))), direction);
        assert_eq!(seen_by(&own, Linktype::LinuxSll2, over_ipv4(Builder::cooked_v2(packet_type))), direction);
    }
}

#[test]
fn the_direction_of_the_record_comes_before_the_header() {
    let bytes = over_ipv4(Builder::cooked(4)).udp(1, 2).build();
    let mut frame = build::frame(Linktype::LinuxSll, &bytes);
    frame.meta.direction = Some(Direction::Receive);
    assert_eq!(parse(&frame, &Perspective::default()).direction, Direction::Receive);
}

#[test]
fn loopback_is_received_whatever_the_addresses_say() {
    let own = Perspective { mac: Some(OWN), addresses: vec![V4[0].into()], loopback: true, ..Perspective::default() };
    assert_eq!(seen_by(&own, Linktype::Ethernet, over_ipv4(Builder::ethernet())), Direction::Receive);
}

#[test]
fn a_frame_from_the_own_mac_is_sent_even_without_ip() {
    let own = Perspective { mac: Some(OWN), ..Perspective::default() };
    let arp = |source| Builder::ethernet().macs(source, [0xff; 6]).ethertype(0x0806);
    assert_eq!(seen_by(&own, Linktype::Ethernet, arp(OWN)), Direction::Transmit);
    assert_eq!(seen_by(&own, Linktype::Ethernet, arp([2; 6])), Direction::Receive);
}

#[test]
fn only_from_local_to_elsewhere_is_sent() {
    let local = |text: &str| Perspective { local_networks: vec![text.parse().unwrap()], ..Perspective::default() };
    let v4 = || over_ipv4(Builder::ethernet());
    assert_eq!(seen_by(&local("192.0.2.0/24"), Linktype::Ethernet, v4()), Direction::Transmit);
    assert_eq!(seen_by(&local("198.51.100.0/24"), Linktype::Ethernet, v4()), Direction::Receive);
    assert_eq!(seen_by(&local("0.0.0.0/0"), Linktype::Ethernet, v4()), Direction::Receive);
    assert_eq!(seen_by(&local("2001:db8::1/128"), Linktype::Raw, over_ipv6(Builder::raw())), Direction::Transmit);
    let own = Perspective { addresses: vec![V4[0].into()], ..Perspective::default() };
    assert_eq!(seen_by(&own, Linktype::Ethernet, v4()), Direction::Transmit);
    let both = Perspective { addresses: vec![V4[0].into(), V4[1].into()], ..Perspective::default() };
    assert_eq!(seen_by(&both, Linktype::Ethernet, v4()), Direction::Receive);
}
