//! Names that the documents give to numbers.

use super::{Ethertype, Network, Transport};

/// The usual name of an Ethertype (IEEE 802 Numbers); `None` where there is no short one.
pub(crate) fn ethertype(ethertype: Ethertype) -> Option<&'static str> {
    Some(match ethertype.0 {
        0x0800 => "ipv4",
        0x0806 => "arp",
        0x8035 => "rarp",
        0x809b => "appletalk",
        0x86dd => "ipv6",
        0x8808 => "flow-control",
        0x8809 => "lacp",
        0x8847 => "mpls",
        0x8848 => "mpls-multicast",
        0x8863 => "pppoe-discovery",
        0x8864 => "pppoe-session",
        0x888e => "eapol",
        0x8892 => "profinet",
        0x88a4 => "ethercat",
        0x88b8 => "goose",
        0x88ba => "sampled-values",
        0x88ca => "tipc",
        0x88cc => "lldp",
        0x88e5 => "macsec",
        0x88f7 => "ptp",
        0x8903 => "fabricpath",
        0x8906 => "fcoe",
        0x9000 => "loopback-test",
        1 => "llc",
        _ => return None,
    })
}

/// The keyword of an IP protocol number in lower case (IANA Assigned Internet Protocol Numbers), or the number.
pub(crate) fn protocol(network: Network, number: u8) -> String {
    if Transport::of(network, number) == Transport::Icmp {
        return "icmp".to_owned();
    }
    let keyword = match number {
        0 => "hopopt",
        2 => "igmp",
        4 => "ipv4",
        6 => "tcp",
        8 => "egp",
        17 => "udp",
        27 => "rdp",
        33 => "dccp",
        41 => "ipv6",
        43 => "ipv6-route",
        44 => "ipv6-frag",
        46 => "rsvp",
        47 => "gre",
        50 => "esp",
        51 => "ah",
        59 => "ipv6-nonxt",
        60 => "ipv6-opts",
        88 => "eigrp",
        89 => "ospf",
        94 => "ipip",
        97 => "etherip",
        103 => "pim",
        108 => "ipcomp",
        112 => "vrrp",
        115 => "l2tp",
        132 => "sctp",
        135 => "mobility",
        136 => "udplite",
        137 => "mpls-in-ip",
        other => return other.to_string(),
    };
    keyword.to_owned()
}
