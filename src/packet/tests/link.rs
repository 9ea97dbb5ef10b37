use super::*;

#[test]
fn every_link_type_leads_to_ip() {
    let families = [[2, 0, 0, 0], [0, 0, 0, 2]].map(|family| over_ipv4(Builder::loopback(family)));
    let v6_families = [24, 28, 30]
        .map(|family| [[0, 0, 0, family], [family, 0, 0, 0]].map(|family| over_ipv6(Builder::loopback(family))));
    for builder in families.iter().chain(v6_families.as_flattened()) {
        let bytes = builder.clone().udp(1, 2).build();
        for linktype in [Linktype::Null, Linktype::Loop] {
            let packet = parsed(linktype, &bytes);
            assert_eq!(packet.attribution, Attribution::Ports);
            assert_eq!(
                packet.ethertype,
                if packet.network == Network::Ipv4 { Ethertype::IPV4 } else { Ethertype::IPV6 }
            );
            assert_eq!(packet.wire_len - packet.ip_octets, 4);
        }
    }
    for (linktype, builder) in [
        (Linktype::Raw, over_ipv4(Builder::raw())),
        (Linktype::Raw, over_ipv6(Builder::raw())),
        (Linktype::Ipv4, over_ipv4(Builder::raw())),
        (Linktype::Ipv6, over_ipv6(Builder::raw())),
    ] {
        let packet = parsed(linktype, &builder.udp(1, 2).build());
        assert_eq!((packet.attribution, packet.ip_octets), (Attribution::Ports, packet.wire_len));
    }
}

#[test]
fn a_raw_link_carries_only_its_own_versions() {
    let v4 = over_ipv4(Builder::raw()).udp(1, 2).build();
    let v6 = over_ipv6(Builder::raw()).udp(1, 2).build();
    for (linktype, bytes) in [(Linktype::Ipv4, &v6), (Linktype::Ipv6, &v4), (Linktype::Raw, &vec![0x50; 40])] {
        let packet = parsed(linktype, bytes);
        assert_eq!(packet.reject, reject(Layer::Link, Reason::Version));
        assert_eq!((packet.ethertype, packet.network), (Ethertype::NONE, Network::Other));
    }
}

#[test]
fn an_unknown_address_family_is_no_ip_and_no_reject() {
    let packet = parsed(Linktype::Null, &[0x08, 0x00, 0, 0, 0x45, 0, 0, 20]);
    assert_eq!((packet.ethertype, packet.network, packet.reject), (Ethertype::NONE, Network::Other, None));
}

#[test]
fn an_unknown_link_type_is_rejected() {
    let packet = parsed(Linktype::Other(105), &[0; 60]);
    assert_eq!(packet.reject, reject(Layer::Link, Reason::Unsupported));
}

#[test]
fn vlan_ids_are_kept_from_the_outside_in() {
    let builder = over_ipv4(Builder::ethernet().tag(0x88a8, 100).tag(0x9100, 7).vlan(4095)).udp(1, 2);
    let packet = ethernet(&builder);
    assert_eq!(packet.vlan.ids().collect::<Vec<_>>(), [100, 7, 4095]);
    assert_eq!((packet.ethertype, packet.attribution), (Ethertype::IPV4, Attribution::Ports));
    assert_eq!(packet.wire_len - packet.ip_octets, 14 + 3 * 4);
}

#[test]
fn a_priority_tag_is_a_tag() {
    let packet = ethernet(&over_ipv4(Builder::ethernet().vlan(0)).udp(1, 2));
    assert_eq!((packet.vlan.len(), packet.vlan.outer()), (1, Some(0)));
}

#[test]
fn priority_bits_are_no_part_of_the_id() {
    let packet = ethernet(&over_ipv4(Builder::ethernet().vlan(0xe007)).udp(1, 2));
    assert_eq!(packet.vlan.outer(), Some(7));
}

#[test]
fn five_tags_are_read_and_six_are_unsupported() {
    let deep = |tags| (0..tags).fold(Builder::ethernet(), Builder::vlan);
    assert_eq!(ethernet(&over_ipv4(deep(5)).udp(1, 2)).attribution, Attribution::Ports);
    let packet = ethernet(&over_ipv4(deep(6)).udp(1, 2));
    assert_eq!(packet.reject, reject(Layer::Vlan, Reason::Unsupported));
    assert_eq!((packet.vlan.len(), packet.ethertype), (5, Ethertype::NONE));
}

#[test]
fn a_tag_without_its_type_counts_by_its_id() {
    let bytes = over_ipv4(Builder::ethernet().vlan(9)).udp(1, 2).build();
    let packet = parsed(Linktype::Ethernet, &bytes[..17]);
    assert_eq!(packet.reject, reject(Layer::Vlan, Reason::Short));
    assert_eq!((packet.vlan.outer(), packet.ethertype), (Some(9), Ethertype::NONE));
    assert!(snapped(Linktype::Ethernet, &bytes, 15).vlan.is_empty());
}

#[test]
fn the_type_is_the_one_behind_the_tags_whatever_is_walked_through_next() {
    for (linktype, builder, ethertype) in [
        (Linktype::Ethernet, Builder::ethernet().vlan(7).mpls(16), Ethertype(0x8847)),
        (Linktype::Ethernet, Builder::ethernet().vlan(7).pppoe(), Ethertype(0x8864)),
        (Linktype::Ethernet, Builder::ethernet().vlan(7).snap(), Ethertype::LLC),
        (Linktype::LinuxSll, Builder::cooked(0).snap(), Ethertype::LLC),
    ] {
        let packet = parsed(linktype, &over_ipv4(builder).udp(1, 2).build());
        assert_eq!((packet.ethertype, packet.network), (ethertype, Network::Ipv4));
    }
}

#[test]
fn a_tag_behind_another_header_is_walked_through_but_not_kept() {
    let packet = ethernet(&over_ipv4(Builder::ethernet().snap().vlan(7)).udp(1, 2));
    assert_eq!((packet.vlan.is_empty(), packet.attribution), (true, Attribution::Ports));
}

#[test]
fn mpls_carries_ip_by_its_first_nibble_only() {
    assert_eq!(ethernet(&over_ipv6(Builder::ethernet().mpls(2)).udp(1, 2)).network, Network::Ipv6);
    let pseudowire = ethernet(&Builder::ethernet().mpls(16).ethertype(0).payload(&[0; 40]));
    assert_eq!((pseudowire.network, pseudowire.reject), (Network::Other, None));
    let empty = ethernet(&Builder::ethernet().mpls(16));
    assert_eq!(empty.reject, reject(Layer::Link, Reason::Short));
}

#[test]
fn a_label_stack_without_end_is_unsupported() {
    let deep = (0..40).fold(Builder::ethernet(), |builder, _| builder.mpls(16));
    assert_eq!(ethernet(&over_ipv4(deep).udp(1, 2)).reject, reject(Layer::Link, Reason::Unsupported));
}

#[test]
fn pppoe_of_another_version_is_rejected_and_its_control_protocols_are_no_ip() {
    let mut bytes = over_ipv4(Builder::ethernet().pppoe()).udp(1, 2).build();
    bytes[20..22].copy_from_slice(&[0xc0, 0x21]);
    let control = parsed(Linktype::Ethernet, &bytes);
    assert_eq!((control.network, control.reject), (Network::Other, None));
    bytes[14] = 0x21;
    assert_eq!(parsed(Linktype::Ethernet, &bytes).reject, reject(Layer::Link, Reason::Version));
}

#[test]
fn llc_is_ip_only_by_snap_with_an_ethertype_or_by_its_own_access_point() {
    let snap = over_ipv4(Builder::ethernet().snap()).udp(1, 2).build();
    assert_eq!(parsed(Linktype::Ethernet, &snap).network, Network::Ipv4);
    let mut vendor = snap.clone();
    vendor[17..20].copy_from_slice(&[0x00, 0x00, 0x0c]);
    assert_eq!(parsed(Linktype::Ethernet, &vendor).network, Network::Other);
    let spanning_tree = [&snap[..14], &[0x42, 0x42, 0x03], &[0; 35]].concat();
    let packet = parsed(Linktype::Ethernet, &spanning_tree);
    assert_eq!((packet.ethertype, packet.network, packet.reject), (Ethertype::LLC, Network::Other, None));
    let own = [&snap[..14], &[0x06, 0x06, 0x03], &snap[22..]].concat();
    assert_eq!(parsed(Linktype::Ethernet, &own).attribution, Attribution::Ports);
}

#[test]
fn between_length_and_type_there_is_no_usable_type() {
    for (field, ethertype) in
        [(1500, Ethertype::LLC), (1501, Ethertype::NONE), (1535, Ethertype::NONE), (1536, Ethertype(1536))]
    {
        assert_eq!(ethernet(&Builder::ethernet().ethertype(field).payload(&[0; 46])).ethertype, ethertype);
    }
}

#[test]
fn a_netlink_protocol_is_no_ethertype() {
    let mut bytes = over_ipv4(Builder::cooked(0)).udp(1, 2).build();
    bytes[2..4].copy_from_slice(&824_u16.to_be_bytes());
    let packet = parsed(Linktype::LinuxSll, &bytes);
    assert_eq!((packet.ethertype, packet.network, packet.reject), (Ethertype::NONE, Network::Other, None));
}

#[test]
fn arp_is_arp() {
    let packet = ethernet(&Builder::ethernet().vlan(7).ethertype(0x0806).payload(&[0; 28]));
    assert_eq!((packet.network, packet.ethertype, packet.ip_octets), (Network::Arp, Ethertype::ARP, 0));
}

#[test]
fn the_destination_address_tells_who_is_meant() {
    for (destination, cast) in [
        ([0xff; 6], Cast::Broadcast),
        ([0x33, 0x33, 0, 0, 0, 1], Cast::Multicast),
        ([0x01, 0x00, 0x5e, 0, 0, 1], Cast::Multicast),
        ([0x02, 0, 0, 0, 0, 1], Cast::Unicast),
        ([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff], Cast::Unicast),
    ] {
        assert_eq!(ethernet(&Builder::ethernet().macs([2; 6], destination).ethertype(0x0806)).cast, cast);
    }
    for (packet_type, cast) in [(0, Cast::Unicast), (1, Cast::Broadcast), (2, Cast::Multicast), (3, Cast::Unicast)] {
        let v1 = over_ipv4(Builder::cooked(packet_type)).udp(1, 2).build();
        let v2 = over_ipv4(Builder::cooked_v2(packet_type)).udp(1, 2).build();
        assert_eq!(parsed(Linktype::LinuxSll, &v1).cast, cast);
        assert_eq!(parsed(Linktype::LinuxSll2, &v2).cast, cast);
    }
}
