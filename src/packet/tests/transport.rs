use super::*;

fn segment(packet: &ParsedPacket) -> TcpSegment {
    match packet.header {
        Header::Tcp(segment) => segment,
        other => panic!("no TCP header but {other:?}"),
    }
}

/// A SYN over IPv4 with these options.
fn with_options(options: &[u8]) -> ParsedPacket {
    ethernet(&over_ipv4(Builder::ethernet()).tcp(1, 2, syn()).tcp_options(options).payload(b"hello"))
}

#[test]
fn tcp_fields_are_those_of_the_header() {
    let sent = TcpSegment {
        sequence: u32::MAX,
        acknowledgement: 0x8000_0001,
        window: 501,
        flags: flag::ACK | flag::PSH | flag::CWR,
        window_scale: None,
    };
    let packet = ethernet(&over_ipv6(Builder::ethernet()).tcp(65535, 1, sent).payload(b"hello"));
    assert_eq!(segment(&packet), sent);
    assert_eq!((packet.source_port, packet.destination_port, packet.payload_len), (65535, 1, 5));
}

#[test]
fn the_window_scale_of_a_syn_is_at_most_14() {
    assert_eq!(segment(&with_options(&[1, 1, 3, 3, 8])).window_scale, Some(8));
    assert_eq!(segment(&with_options(&[2, 4, 5, 180, 3, 3, 255])).window_scale, Some(14));
    assert_eq!(segment(&with_options(&[2, 4, 5, 180, 0, 3, 3, 7])).window_scale, None);
    assert_eq!(segment(&with_options(&[3, 4, 7, 7])).window_scale, None);
}

#[test]
fn options_are_read_on_a_syn_only() {
    let ack = TcpSegment { flags: flag::ACK, ..syn() };
    let packet = ethernet(&over_ipv4(Builder::ethernet()).tcp(1, 2, ack).tcp_options(&[3, 3, 7, 8, 0]));
    assert_eq!((segment(&packet).window_scale, packet.reject), (None, None));
}

#[test]
fn an_option_that_makes_no_progress_or_runs_past_the_header_is_rejected_but_keeps_its_flow() {
    for options in [&[8, 0, 0, 0][..], &[8, 1, 0, 0], &[8, 10, 0, 0], &[1, 1, 1, 8], &[1, 1, 3, 3]] {
        let packet = with_options(options);
        assert_eq!(packet.reject, reject(Layer::Tcp, Reason::OptionLoop), "{options:?}");
        assert_eq!((packet.attribution, packet.payload_len), (Attribution::Ports, 5));
        assert_eq!(segment(&packet).flags, flag::SYN);
    }
}

#[test]
fn cut_options_leave_the_segment_in_its_flow() {
    let bytes = over_ipv4(Builder::ethernet()).tcp(1, 2, syn()).tcp_options(&[2, 4, 5, 180, 1, 3, 3, 7]).build();
    for caplen in 54..61 {
        let packet = snapped(Linktype::Ethernet, &bytes, caplen);
        assert_eq!((packet.attribution, packet.truncated), (Attribution::Ports, true), "{caplen}");
        assert_eq!(segment(&packet).window_scale, None);
    }
    let behind = snapped(Linktype::Ethernet, &bytes, 61);
    assert_eq!((segment(&behind).window_scale, behind.truncated), (None, true));
    assert_eq!(segment(&parsed(Linktype::Ethernet, &bytes)).window_scale, Some(7));
}

#[test]
fn a_data_offset_that_cannot_be_right_is_rejected() {
    let mut bytes = over_ipv4(Builder::ethernet()).tcp(1, 2, TcpSegment::default()).payload(&[0; 7]).build();
    for (offset, good) in [(0, false), (4, false), (5, true), (6, true), (7, false), (15, false)] {
        bytes[14 + 20 + 12] = offset << 4;
        let packet = parsed(Linktype::Ethernet, &bytes);
        let expected = if good { None } else { reject(Layer::Tcp, Reason::Length) };
        assert_eq!((packet.reject, packet.attribution == Attribution::Ports), (expected, good), "{offset}");
    }
}

#[test]
fn a_transport_header_that_ends_at_any_length_is_rejected() {
    for (protocol, header_len, over_v4, over_v6) in
        [(6, 20, Layer::Tcp, Layer::Tcp), (17, 8, Layer::Udp, Layer::Udp), (132, 12, Layer::Ipv4, Layer::Ipv6)]
    {
        // From 1 on: an IPv6 payload length of 0 would mean up to the end of the frame.
        for len in 1..header_len {
            let short = |builder: Builder| ethernet(&builder.protocol(protocol).payload(&vec![0; len]).pad_to(120));
            let (v4, v6) = (short(over_ipv4(Builder::ethernet())), short(over_ipv6(Builder::ethernet())));
            assert_eq!((v4.reject, v6.reject), (reject(over_v4, Reason::Short), reject(over_v6, Reason::Short)));
            assert_eq!((v4.attribution, v6.attribution), (Attribution::Unreadable, Attribution::Unreadable));
            assert_eq!((v4.protocol, v6.protocol), (protocol, protocol));
        }
    }
}

#[test]
fn an_icmp_header_that_ends_at_any_length_is_rejected() {
    for len in 1..8 {
        let v4 = ethernet(&over_ipv4(Builder::ethernet()).protocol(1).payload(&[8; 8][..len]).pad_to(80));
        let v6 = ethernet(&over_ipv6(Builder::ethernet()).protocol(58).payload(&[128; 8][..len]).pad_to(80));
        assert_eq!((v4.reject, v6.reject), (reject(Layer::Icmp, Reason::Short), v4.reject), "{len}");
    }
}

#[test]
fn a_udp_length_of_one_to_seven_is_rejected_and_any_other_believed_from_ip() {
    for length in 0..=20_u8 {
        let mut bytes = over_ipv4(Builder::ethernet()).udp(1, 2).payload(b"hello").build();
        bytes[14 + 20 + 5] = length;
        let packet = parsed(Linktype::Ethernet, &bytes);
        if (1..8).contains(&length) {
            assert_eq!(packet.reject, reject(Layer::Udp, Reason::Length));
            assert_eq!(packet.attribution, Attribution::Unreadable);
        } else {
            assert_eq!((packet.attribution, packet.payload_len), (Attribution::Ports, 5), "{length}");
        }
    }
}

#[test]
fn an_echo_is_told_apart_by_its_identifier() {
    for (packet, message) in [
        (ethernet(&over_ipv4(Builder::ethernet()).icmp(8, 0, 0x1234_0001)), IcmpMessage::Echo),
        (ethernet(&over_ipv4(Builder::ethernet()).icmp(0, 0, 0x1234_0001)), IcmpMessage::EchoReply),
        (ethernet(&over_ipv6(Builder::ethernet()).icmp(128, 0, 0x1234_0001)), IcmpMessage::Echo),
        (ethernet(&over_ipv6(Builder::ethernet()).icmp(129, 0, 0x1234_0001)), IcmpMessage::EchoReply),
    ] {
        assert_eq!((packet.header, packet.attribution), (Header::Icmp(message), Attribution::Ports));
        assert_eq!((packet.source_port, packet.destination_port), (0x1234, 0x1234));
        assert_eq!(packet.transport, Transport::Icmp);
    }
}

#[test]
fn other_icmp_messages_are_classed_and_portless() {
    let v4 = |kind, code| ethernet(&over_ipv4(Builder::ethernet()).icmp(kind, code, 1500).payload(&[0x45; 28]));
    let v6 = |kind| ethernet(&over_ipv6(Builder::ethernet()).icmp(kind, 0, 1500).payload(&[0x60; 48]));
    for (packet, message) in [
        (v4(3, 3), IcmpMessage::Unreachable),
        (v4(3, 4), IcmpMessage::PacketTooBig),
        (v4(5, 1), IcmpMessage::Redirect),
        (v4(11, 0), IcmpMessage::TimeExceeded),
        (v4(13, 0), IcmpMessage::Other),
        (v6(1), IcmpMessage::Unreachable),
        (v6(2), IcmpMessage::PacketTooBig),
        (v6(3), IcmpMessage::TimeExceeded),
        (v6(133), IcmpMessage::Ndp),
        (v6(136), IcmpMessage::Ndp),
        (v6(137), IcmpMessage::Redirect),
        (v6(143), IcmpMessage::Other),
    ] {
        assert_eq!((packet.header, packet.attribution), (Header::Icmp(message), Attribution::Portless));
        assert_eq!(packet.payload_len + 8 + if packet.network == Network::Ipv4 { 20 } else { 40 }, packet.ip_octets);
    }
}

#[test]
fn icmp_of_the_other_version_is_just_a_protocol() {
    let swapped = [
        ethernet(&over_ipv4(Builder::ethernet()).protocol(58).payload(&[128, 0, 0, 0, 0, 1, 0, 1])),
        ethernet(&over_ipv6(Builder::ethernet()).protocol(1).payload(&[8, 0, 0, 0, 0, 1, 0, 1])),
    ];
    for packet in swapped {
        assert_eq!((packet.transport, packet.attribution), (Transport::Other, Attribution::Portless));
    }
}

#[test]
fn sctp_has_ports_and_udp_lite_has_none() {
    let sctp = ethernet(&over_ipv4(Builder::ethernet()).sctp(2905, 2906).payload(b"hello"));
    assert_eq!((sctp.header, sctp.attribution, sctp.payload_len), (Header::Ports, Attribution::Ports, 5));
    assert_eq!((sctp.source_port, sctp.destination_port), (2905, 2906));
    let lite = ethernet(&over_ipv4(Builder::ethernet()).protocol(136).payload(&[0; 12]));
    assert_eq!((lite.attribution, lite.source_port), (Attribution::Portless, 0));
}
