use super::*;

const IP: usize = 14;

fn changed(builder: &Builder, change: impl Fn(&mut [u8])) -> ParsedPacket {
    let mut bytes = builder.build();
    change(&mut bytes[IP..]);
    parsed(Linktype::Ethernet, &bytes)
}

fn udp_v4() -> Builder {
    over_ipv4(Builder::ethernet()).udp(1, 2).payload(b"hello")
}

#[test]
fn addresses_and_lengths_are_those_of_the_header() {
    let v4 = ethernet(&udp_v4().pad_to(60));
    assert_eq!(v4.source.to_ip(v4.network), IpAddr::from(V4[0]));
    assert_eq!(v4.destination.to_ip(v4.network), IpAddr::from(V4[1]));
    assert_eq!((v4.wire_len, v4.ip_octets, v4.payload_len), (60, 33, 5));
    let v6 = ethernet(&over_ipv6(Builder::ethernet()).udp(1, 2).payload(b"hello").pad_to(90));
    assert_eq!(v6.source.to_ip(v6.network), IpAddr::from(V6[0]));
    assert_eq!(v6.destination.to_ip(v6.network), IpAddr::from(V6[1]));
    assert_eq!((v6.wire_len, v6.ip_octets, v6.payload_len), (90, 53, 5));
}

#[test]
fn a_bad_header_is_a_reject_and_no_ip() {
    let v6 = over_ipv6(Builder::ethernet()).udp(1, 2);
    for (packet, expected) in [
        (changed(&udp_v4(), |ip| ip[0] = 0x65), reject(Layer::Ipv4, Reason::Version)),
        (changed(&udp_v4(), |ip| ip[0] = 0x44), reject(Layer::Ipv4, Reason::Length)),
        (changed(&udp_v4(), |ip| ip[3] = 19), reject(Layer::Ipv4, Reason::Length)),
        (changed(&udp_v4(), |ip| (ip[0], ip[3]) = (0x46, 23)), reject(Layer::Ipv4, Reason::Length)),
        (changed(&udp_v4(), |ip| (ip[0], ip[3]) = (0x4f, 60)), reject(Layer::Ipv4, Reason::Short)),
        (changed(&v6, |ip| ip[0] = 0x45), reject(Layer::Ipv6, Reason::Version)),
    ] {
        assert_eq!(packet.reject, expected);
        assert_eq!((packet.network, packet.attribution), (Network::Other, Attribution::NotIp));
        assert!(packet.ethertype == Ethertype::IPV4 || packet.ethertype == Ethertype::IPV6);
    }
}

#[test]
fn ipv4_options_are_skipped() {
    for len in 1..=40 {
        let packet = ethernet(&over_ipv4(Builder::ethernet()).ipv4_options(&vec![1; len]).udp(3, 4).payload(b"x"));
        assert_eq!((packet.source_port, packet.payload_len), (3, 1), "{len}");
    }
}

#[test]
fn a_length_of_zero_reaches_to_the_end_of_the_frame() {
    let v4 = changed(&udp_v4(), |ip| ip[2..4].fill(0));
    assert_eq!((v4.ip_octets, v4.payload_len), (33, 5));
    let v6 = changed(&over_ipv6(Builder::ethernet()).udp(1, 2).payload(b"hello"), |ip| ip[4..6].fill(0));
    assert_eq!((v6.ip_octets, v6.payload_len), (53, 5));
    let nothing = changed(&over_ipv6(Builder::ethernet()).protocol(59).pad_to(90), |ip| ip[4..6].fill(0));
    assert_eq!((nothing.ip_octets, nothing.payload_len, nothing.protocol), (40, 0, 59));
}

#[test]
fn a_length_past_the_frame_ends_with_the_frame() {
    let v4 = changed(&udp_v4(), |ip| ip[2..4].fill(0xff));
    assert_eq!((v4.ip_octets, v4.payload_len, v4.attribution), (33, 5, Attribution::Ports));
    let v6 = changed(&over_ipv6(Builder::ethernet()).udp(1, 2).payload(b"hello"), |ip| ip[4..6].fill(0xff));
    assert_eq!((v6.ip_octets, v6.payload_len, v6.attribution), (53, 5, Attribution::Ports));
}

#[test]
fn only_the_first_fragment_has_ports() {
    let fragment = |offset, more| {
        let v4 = ethernet(&over_ipv4(Builder::ethernet()).fragment(offset, more).udp(7, 8).payload(b"hello"));
        let v6 = ethernet(&over_ipv6(Builder::ethernet()).fragment(offset, more).udp(7, 8).payload(b"hello"));
        assert_eq!((v4.fragment, v4.attribution), (v6.fragment, v6.attribution));
        assert_eq!((v4.protocol, v6.protocol), (17, 17));
        (v4.fragment, v4.attribution, v4.source_port, v6.payload_len)
    };
    assert_eq!(fragment(0, false), (Fragment::Whole, Attribution::Ports, 7, 5));
    assert_eq!(fragment(0, true), (Fragment::First, Attribution::Ports, 7, 5));
    assert_eq!(fragment(185, true), (Fragment::Later, Attribution::LaterFragment, 0, 13));
    assert_eq!(fragment(0x1fff, false), (Fragment::Later, Attribution::LaterFragment, 0, 13));
}

#[test]
fn extension_headers_are_walked_in_any_order() {
    let headers: [(u8, usize); 4] = [(0, 6), (43, 14), (60, 30), (51, 22)];
    for rotation in 0..4 {
        for skip in 0..4 {
            let chain = headers.iter().cycle().skip(rotation).step_by(skip + 1).take(4);
            let with = chain.fold(over_ipv6(Builder::ethernet()), |builder, (number, len)| {
                builder.extension(*number, &vec![0; *len])
            });
            let packet = ethernet(&with.tcp(1, 2, syn()).payload(b"hello"));
            assert_eq!((packet.protocol, packet.attribution), (6, Attribution::Ports));
            assert_eq!((packet.payload_len, packet.reject), (5, None));
        }
    }
}

#[test]
fn mobility_esp_and_no_next_header_end_the_walk() {
    for protocol in [135, 50, 59] {
        let builder =
            over_ipv6(Builder::ethernet()).extension(60, &[]).protocol(protocol).payload(&[6, 0, 0, 0, 0, 0, 0, 0]);
        let packet = ethernet(&builder);
        assert_eq!((packet.protocol, packet.transport), (protocol, Transport::Other));
        assert_eq!((packet.attribution, packet.payload_len), (Attribution::Portless, 8));
    }
}

#[test]
fn an_authentication_header_in_ipv4_is_a_protocol() {
    let packet = ethernet(&over_ipv4(Builder::ethernet()).protocol(51).payload(&[6, 4, 0, 0, 0, 0, 0, 0]));
    assert_eq!((packet.protocol, packet.attribution), (51, Attribution::Portless));
}

#[test]
fn the_walk_stops_at_an_extension_header_outside_of_the_packet() {
    let ends_inside = changed(&over_ipv6(Builder::ethernet()).extension(60, &[]).udp(1, 2), |ip| ip[5] = 7);
    assert_eq!((ends_inside.protocol, ends_inside.reject), (60, reject(Layer::Ipv6, Reason::Short)));
    let runs_past = changed(&over_ipv6(Builder::ethernet()).extension(60, &[]).udp(1, 2), |ip| ip[41] = 9);
    assert_eq!((runs_past.protocol, runs_past.reject), (17, reject(Layer::Ipv6, Reason::Length)));
    for packet in [ends_inside, runs_past] {
        assert_eq!((packet.network, packet.attribution), (Network::Ipv6, Attribution::Unreadable));
    }
}

#[test]
fn a_chain_without_end_is_unsupported() {
    let deep = (0..100).fold(over_ipv6(Builder::ethernet()), |builder, _| builder.extension(60, &[]));
    let packet = ethernet(&deep.udp(1, 2));
    assert_eq!(packet.reject, reject(Layer::Ipv6, Reason::Unsupported));
    assert_eq!((packet.network, packet.protocol), (Network::Ipv6, 60));
}

#[test]
fn what_a_tunnel_carries_is_payload() {
    let packet = ethernet(&over_ipv4(over_ipv6(Builder::ethernet())).udp(1, 2).payload(b"hello"));
    assert_eq!((packet.network, packet.protocol), (Network::Ipv6, 4));
    assert_eq!((packet.attribution, packet.payload_len), (Attribution::Portless, 33));
}
