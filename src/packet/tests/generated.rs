//! Generated packets read as they were made, and as etherparse reads them.

use super::*;
use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};
use proptest::prelude::*;

/// What a generated frame is made of.
#[derive(Clone, Debug)]
struct Recipe {
    tags: Vec<(u16, u16)>,
    ip: Ip,
    fragment: Option<(u16, bool)>,
    upper: Upper,
    payload_len: usize,
    padding: usize,
}

#[derive(Clone, Debug)]
enum Ip {
    V4 { source: [u8; 4], destination: [u8; 4], options_len: usize },
    V6 { source: [u8; 16], destination: [u8; 16], extensions: Vec<(u8, usize)> },
}

#[derive(Clone, Debug)]
enum Upper {
    Tcp(u16, u16, TcpSegment),
    Udp(u16, u16),
    Echo(u16),
    Other(u8),
}

fn recipes(max_tags: usize) -> impl Strategy<Value = Recipe> {
    let tag = (prop::sample::select(vec![0x8100, 0x88a8, 0x9100]), 0..4096_u16);
    let tags = prop::collection::vec(tag, 0..=max_tags);
    let fragment = prop::option::weighted(0.3, (0..0x2000_u16, any::<bool>()));
    // An empty IPv6 packet would claim the padding: a payload length of 0 means up to the end of the frame.
    (tags, ip(), fragment, upper(), 1..1400_usize, 0..60_usize).prop_map(
        |(tags, ip, fragment, upper, payload_len, padding)| Recipe { tags, ip, fragment, upper, payload_len, padding },
    )
}

fn ip() -> impl Strategy<Value = Ip> {
    // Hop-by-hop options first and the others at most once: etherparse stops at any other order.
    let extensions = prop::sample::subsequence(vec![(0, 6), (60, 14), (43, 6), (51, 22)], 0..=4);
    prop_oneof![
        (any::<[u8; 4]>(), any::<[u8; 4]>(), 0..=10_usize).prop_map(|(source, destination, words)| Ip::V4 {
            source,
            destination,
            options_len: words * 4
        }),
        (any::<[u8; 16]>(), any::<[u8; 16]>(), extensions).prop_map(|(source, destination, extensions)| Ip::V6 {
            source,
            destination,
            extensions
        }),
    ]
}

fn upper() -> impl Strategy<Value = Upper> {
    let segment = (any::<[u32; 2]>(), any::<u16>(), any::<u8>(), prop::option::of(0..15_u8)).prop_map(
        |([sequence, acknowledgement], window, flags, scale)| TcpSegment {
            sequence,
            acknowledgement,
            window,
            flags,
            window_scale: scale.filter(|_| flags & flag::SYN != 0),
        },
    );
    prop_oneof![
        3 => (any::<[u16; 2]>(), segment).prop_map(|([source, destination], segment)| {
            Upper::Tcp(source, destination, segment)
        }),
        3 => any::<[u16; 2]>().prop_map(|[source, destination]| Upper::Udp(source, destination)),
        1 => any::<u16>().prop_map(Upper::Echo),
        1 => (100..130_u8).prop_map(Upper::Other),
    ]
}

impl Recipe {
    fn bytes(&self) -> Vec<u8> {
        let tagged = self.tags.iter().fold(Builder::ethernet(), |builder, (tpid, id)| builder.tag(*tpid, *id));
        let mut builder = match &self.ip {
            Ip::V4 { source, destination, options_len } => {
                tagged.ipv4(*source, *destination).ipv4_options(&vec![1; *options_len])
            }
            Ip::V6 { source, destination, extensions } => {
                extensions.iter().fold(tagged.ipv6(*source, *destination), |builder, (number, len)| {
                    builder.extension(*number, &vec![0; *len])
                })
            }
        };
        if let Some((offset, more)) = self.fragment {
            builder = builder.fragment(offset, more);
        }
        let headers = match self.upper {
            Upper::Tcp(source, destination, segment) => builder.tcp(source, destination, segment),
            Upper::Udp(source, destination) => builder.udp(source, destination),
            Upper::Echo(identifier) => {
                let kind = if matches!(self.ip, Ip::V4 { .. }) { 8 } else { 128 };
                builder.icmp(kind, 0, u32::from(identifier) << 16)
            }
            Upper::Other(protocol) => builder.protocol(protocol),
        };
        let whole = headers.payload(&vec![0xa5; self.payload_len]);
        let len = whole.build().len();
        whole.pad_to(len + self.padding).build()
    }

    fn place(&self) -> Fragment {
        match self.fragment {
            None | Some((0, false)) => Fragment::Whole,
            Some((0, true)) => Fragment::First,
            Some(_) => Fragment::Later,
        }
    }

    fn protocol(&self) -> u8 {
        match (&self.upper, &self.ip) {
            (Upper::Tcp(..), _) => 6,
            (Upper::Udp(..), _) => 17,
            (Upper::Echo(_), Ip::V4 { .. }) => 1,
            (Upper::Echo(_), Ip::V6 { .. }) => 58,
            (Upper::Other(protocol), _) => *protocol,
        }
    }

    fn addresses(&self) -> (IpAddr, IpAddr) {
        match self.ip {
            Ip::V4 { source, destination, .. } => (source.into(), destination.into()),
            Ip::V6 { source, destination, .. } => (source.into(), destination.into()),
        }
    }
}

proptest! {
    #[test]
    fn a_generated_packet_reads_as_it_was_made(recipe in recipes(VlanStack::MAX_TAGS)) {
        let bytes = recipe.bytes();
        let packet = parsed(Linktype::Ethernet, &bytes);
        assert_consistent(&build::frame(Linktype::Ethernet, &bytes), &packet);
        prop_assert_eq!((packet.reject, packet.truncated), (None, false));
        prop_assert!(packet.vlan.ids().eq(recipe.tags.iter().map(|(_, id)| *id)));
        let addresses = (packet.source.to_ip(packet.network), packet.destination.to_ip(packet.network));
        prop_assert_eq!(addresses, recipe.addresses());
        prop_assert_eq!((packet.protocol, packet.fragment), (recipe.protocol(), recipe.place()));
        let link_len = 14 + 4 * recipe.tags.len();
        prop_assert_eq!(packet.ip_octets as usize, bytes.len() - link_len - recipe.padding);
        if recipe.place() == Fragment::Later {
            prop_assert_eq!(packet.header, Header::None);
            return Ok(());
        }
        prop_assert_eq!(packet.payload_len as usize, recipe.payload_len);
        let (ports, header) = match recipe.upper {
            Upper::Tcp(source, destination, segment) => ((source, destination), Header::Tcp(segment)),
            Upper::Udp(source, destination) => ((source, destination), Header::Ports),
            Upper::Echo(identifier) => ((identifier, identifier), Header::Icmp(IcmpMessage::Echo)),
            Upper::Other(_) => ((0, 0), Header::None),
        };
        prop_assert_eq!(((packet.source_port, packet.destination_port), packet.header), (ports, header));
    }

    #[test]
    fn the_other_link_types_read_the_same_packet(recipe in recipes(0)) {
        let bytes = recipe.bytes();
        let over_ethernet = parsed(Linktype::Ethernet, &bytes);
        let v4 = over_ethernet.network == Network::Ipv4;
        let ethertype = &bytes[12..14];
        for (linktype, header) in [
            (Linktype::Raw, vec![]),
            (if v4 { Linktype::Ipv4 } else { Linktype::Ipv6 }, vec![]),
            (Linktype::Null, vec![if v4 { 2 } else { 30 }, 0, 0, 0]),
            (Linktype::Loop, vec![0, 0, 0, if v4 { 2 } else { 28 }]),
            (Linktype::LinuxSll, [&[0; 14][..], ethertype].concat()),
            (Linktype::LinuxSll2, [ethertype, &[0; 18]].concat()),
        ] {
            let packet = parsed(linktype, &[&header, &bytes[14..]].concat());
            let (wire_len, caplen) = (over_ethernet.wire_len, over_ethernet.caplen);
            prop_assert_eq!(ParsedPacket { wire_len, caplen, ..packet }, over_ethernet, "{}", linktype);
        }
    }

    #[test]
    fn etherparse_reads_the_same(recipe in recipes(LaxSlicedPacket::LINK_EXTS_CAP)) {
        let bytes = recipe.bytes();
        let packet = parsed(Linktype::Ethernet, &bytes);
        let witness = LaxSlicedPacket::from_ethernet(&bytes).unwrap();
        prop_assert!(witness.vlan_ids().iter().map(|id| id.value()).eq(packet.vlan.ids()));
        let (source, destination, payload) = match witness.net.as_ref().unwrap() {
            LaxNetSlice::Ipv4(ip) => {
                (ip.header().source_addr().into(), ip.header().destination_addr().into(), ip.payload())
            }
            LaxNetSlice::Ipv6(ip) => {
                (ip.header().source_addr().into(), ip.header().destination_addr().into(), ip.payload())
            }
            LaxNetSlice::Arp(_) => panic!("no ARP was made"),
        };
        let addresses: (IpAddr, IpAddr) = (source, destination);
        prop_assert_eq!((packet.source.to_ip(packet.network), packet.destination.to_ip(packet.network)), addresses);
        prop_assert_eq!(packet.protocol, payload.ip_number.0);
        prop_assert_eq!(packet.fragment != Fragment::Whole, payload.fragmented);
        match witness.transport {
            Some(TransportSlice::Tcp(tcp)) => {
                prop_assert_eq!((packet.source_port, packet.destination_port), (tcp.source_port(), tcp.destination_port()));
                prop_assert_eq!(packet.payload_len as usize, tcp.payload().len());
                prop_assert!(matches!(packet.header, Header::Tcp(segment) if segment.window == tcp.window_size()
                    && segment.sequence == tcp.sequence_number()
                    && segment.acknowledgement == tcp.acknowledgment_number()
                    && (segment.flags & flag::SYN != 0) == tcp.syn()));
            }
            Some(TransportSlice::Udp(udp)) => {
                prop_assert_eq!((packet.source_port, packet.destination_port), (udp.source_port(), udp.destination_port()));
                prop_assert_eq!(packet.payload_len as usize, udp.payload().len());
            }
            _ => prop_assert!(!matches!(packet.header, Header::Tcp(_) | Header::Ports) || payload.fragmented),
        }
    }
}
