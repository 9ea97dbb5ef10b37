//! What rtnetlink messages say of interfaces: requests to bytes, links and addresses from bytes.
//!
//! Only the attributes that netmon uses are looked at, each for itself: one that is too short or of an unknown form is as
//! if absent, so that a driver's odd attribute never hides its interface.

use crate::capture::interfaces::{Interface, Link};
use crate::stats::KernelCounters;
use ipnet::IpNet;
use netlink_packet_core::{
    DefaultNla, Emitable, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NlaBuffer, NlasIterator, parse_ip, parse_mac,
    parse_string, parse_u32, parse_u64,
};
use nix::libc;

/// struct ifinfomsg: family, padding, device type, index, flags, change mask.
const LINK_HEADER: usize = 16;
/// struct ifaddrmsg: family, prefix length, flags, scope, index.
const ADDRESS_HEADER: usize = 8;
const HEADER: usize = 16;

/// A question to the kernel.
pub(super) enum Request<'a> {
    /// All links.
    Links,
    /// The link of this name.
    LinkOf(&'a str),
    /// All addresses.
    Addresses,
}

impl Request<'_> {
    pub(super) fn bytes(&self, sequence: u32) -> Vec<u8> {
        let (message_type, flags, family_header) = match self {
            Self::Links => (libc::RTM_GETLINK, NLM_F_DUMP, LINK_HEADER),
            Self::LinkOf(_) => (libc::RTM_GETLINK, 0, LINK_HEADER),
            Self::Addresses => (libc::RTM_GETADDR, NLM_F_DUMP, ADDRESS_HEADER),
        };
        let mut bytes = vec![0; HEADER + family_header];
        if let Self::LinkOf(name) = self {
            let name = DefaultNla::new(libc::IFLA_IFNAME, name.bytes().chain([0]).collect());
            let start = bytes.len();
            bytes.resize(start + name.buffer_len(), 0);
            name.emit(&mut bytes[start..]);
        }
        let mut header = NetlinkHeader::default();
        header.length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        (header.message_type, header.flags, header.sequence_number) = (message_type, NLM_F_REQUEST | flags, sequence);
        header.emit(&mut bytes[..HEADER]);
        bytes
    }
}

/// The interface that an RTM_NEWLINK message describes, without its addresses; `None` where index or name are unusable.
pub(super) fn link(payload: &[u8]) -> Option<Interface> {
    let (header, rest) = payload.split_at_checked(LINK_HEADER)?;
    let flags = parse_u32(&header[8..12]).ok()?;
    let has = |flag: i32| flags & flag.cast_unsigned() != 0;
    let mut interface = Interface {
        index: parse_u32(&header[4..8]).ok().filter(|index| *index != 0),
        up: has(libc::IFF_UP),
        running: has(libc::IFF_RUNNING),
        loopback: has(libc::IFF_LOOPBACK),
        ..Interface::default()
    };
    let mut parent_is_elsewhere = false;
    for attribute in attributes(rest) {
        parent_is_elsewhere |= attribute.kind() == libc::IFLA_LINK_NETNSID;
        describe(&mut interface, attribute.kind(), attribute.value());
    }
    // Links that stand on nothing name themselves or 0; an index of another namespace is no index here.
    interface.parent = interface.parent.filter(|parent| Some(*parent) != interface.index && !parent_is_elsewhere);
    (interface.index.is_some() && !interface.name.is_empty()).then_some(interface)
}

fn describe(interface: &mut Interface, kind: u16, value: &[u8]) {
    let number = || parse_u32(value).ok().filter(|number| *number != 0);
    match kind {
        libc::IFLA_IFNAME => interface.name = parse_string(value).unwrap_or_default(),
        libc::IFLA_ADDRESS => interface.mac = parse_mac(value).ok().filter(|mac| value.len() == 6 && *mac != [0; 6]),
        libc::IFLA_MTU => interface.link.mtu = number(),
        libc::IFLA_LINK => interface.parent = number(),
        libc::IFLA_MASTER => interface.master = number(),
        libc::IFLA_OPERSTATE => interface.link = Link { up: operational(value), ..interface.link },
        libc::IFLA_LINKINFO => interface.kind = link_kind(value),
        libc::IFLA_STATS64 => interface.kernel = counters(value),
        _ => {}
    }
}

/// Operational states of RFC 2863; `unknown` is what drivers without carrier detection say.
fn operational(value: &[u8]) -> Option<bool> {
    match i32::from(*value.first()?) {
        libc::IF_OPER_UP => Some(true),
        libc::IF_OPER_UNKNOWN => None,
        _ => Some(false),
    }
}

fn link_kind(value: &[u8]) -> Option<String> {
    let kind = attributes(value).find(|attribute| attribute.kind() == libc::IFLA_INFO_KIND)?;
    parse_string(kind.value()).ok().filter(|kind| !kind.is_empty())
}

/// struct rtnl_link_stats64, which only ever grew at its end.
fn counters(value: &[u8]) -> Option<KernelCounters> {
    let at = |place: usize| parse_u64(value.get(8 * place..8 * place + 8)?).ok();
    let both = |receive| Some([at(receive)?, at(receive + 1)?]);
    let (fifo_errors, missed_errors) = (at(14)?, at(15)?);
    Some(KernelCounters {
        packets: both(0)?,
        bytes: both(2)?,
        errors: both(4)?,
        dropped: both(6)?,
        missed: fifo_errors.saturating_add(missed_errors),
        ..KernelCounters::default()
    })
}

/// The address that an RTM_NEWADDR message describes, and the index of its interface.
pub(super) fn address(payload: &[u8]) -> Option<(u32, IpNet)> {
    let (header, rest) = payload.split_at_checked(ADDRESS_HEADER)?;
    let find = |kind| attributes(rest).find(|attribute| attribute.kind() == kind);
    // On a link to one other host, IFA_ADDRESS is that host's.
    let own = find(libc::IFA_LOCAL).or_else(|| find(libc::IFA_ADDRESS))?;
    let network = IpNet::new(parse_ip(own.value()).ok()?, header[1]).ok()?;
    Some((parse_u32(&header[4..8]).ok()?, network))
}

/// Ends at the first attribute that is cut short.
fn attributes(bytes: &[u8]) -> impl Iterator<Item = NlaBuffer<&[u8]>> {
    NlasIterator::new(bytes).map_while(Result::ok)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let attribute = DefaultNla::new(kind, value.to_vec());
        let mut bytes = vec![0; attribute.buffer_len()];
        attribute.emit(&mut bytes);
        bytes
    }

    fn link_message(index: u32, flags: i32, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let header = [[0; 4], index.to_ne_bytes(), flags.to_ne_bytes(), [0; 4]].concat();
        header.into_iter().chain(attributes.iter().flat_map(|(kind, value)| attribute(*kind, value))).collect()
    }

    /// A VLAN on interface 2 with every attribute that is used; counter n has the value n.
    fn vlan() -> Vec<u8> {
        let stats: Vec<u8> = (0u64..25).flat_map(u64::to_ne_bytes).collect();
        let info = attribute(libc::IFLA_INFO_KIND, b"vlan\0");
        let attributes: [(u16, &[u8]); 9] = [
            (libc::IFLA_IFNAME, b"eth0.5\0"),
            (libc::IFLA_ADDRESS, &[2, 0, 0, 0, 0, 9]),
            (libc::IFLA_MTU, &1400u32.to_ne_bytes()),
            (libc::IFLA_LINK, &2u32.to_ne_bytes()),
            (libc::IFLA_MASTER, &7u32.to_ne_bytes()),
            (libc::IFLA_OPERSTATE, &[6]),
            (libc::IFLA_LINKINFO, &info),
            (libc::IFLA_STATS64, &stats),
            (999, b"what later kernels say"),
        ];
        link_message(5, libc::IFF_UP | libc::IFF_RUNNING, &attributes)
    }

    #[test]
    fn a_link_message_is_read_in_full() {
        let expected = Interface {
            name: "eth0.5".into(),
            index: Some(5),
            up: true,
            running: true,
            mac: Some([2, 0, 0, 0, 0, 9]),
            link: Link { up: Some(true), speed: None, mtu: Some(1400) },
            master: Some(7),
            parent: Some(2),
            kind: Some("vlan".into()),
            kernel: Some(KernelCounters {
                packets: [0, 1],
                bytes: [2, 3],
                errors: [4, 5],
                dropped: [6, 7],
                missed: 14 + 15,
                ..KernelCounters::default()
            }),
            ..Interface::default()
        };
        assert_eq!(link(&vlan()), Some(expected));
    }

    #[test]
    fn an_attribute_that_cannot_be_read_is_absent_and_the_link_is_not() {
        let short: [(u16, &[u8]); 6] = [
            (libc::IFLA_IFNAME, b"eth0\0"),
            (libc::IFLA_MTU, &[1, 2]),
            (libc::IFLA_STATS64, &[0; 100]),
            (libc::IFLA_ADDRESS, &[10, 0, 0, 1]),
            (libc::IFLA_OPERSTATE, &[]),
            (libc::IFLA_LINKINFO, &[9, 9, 9]),
        ];
        let expected = Interface { name: "eth0".into(), index: Some(3), ..Interface::default() };
        assert_eq!(link(&link_message(3, 0, &short)), Some(expected));
        assert_eq!(link(&link_message(3, 0, &[(libc::IFLA_IFNAME, &[0xff, 0])])), None, "a name that is not UTF-8");
        assert_eq!(link(&link_message(0, 0, &[(libc::IFLA_IFNAME, b"eth0\0")])), None, "index 0 is none");
    }

    #[test]
    fn a_parent_is_of_this_namespace_and_never_the_link_itself() {
        let parent = |others: &[(u16, &[u8])], parent: u32| {
            let number = parent.to_ne_bytes();
            let attributes = [&[(libc::IFLA_IFNAME, &b"x\0"[..]), (libc::IFLA_LINK, &number)], others].concat();
            link(&link_message(3, 0, &attributes)).unwrap().parent
        };
        assert_eq!((parent(&[], 2), parent(&[], 3), parent(&[], 0)), (Some(2), None, None));
        assert_eq!(parent(&[(libc::IFLA_LINK_NETNSID, &0u32.to_ne_bytes())], 2), None);
    }

    #[test]
    fn an_unknown_operational_state_is_not_available() {
        assert_eq!(
            [&[0][..], &[2], &[3], &[6], &[]].map(operational),
            [None, Some(false), Some(false), Some(true), None]
        );
    }

    #[test]
    fn the_address_of_a_point_to_point_link_is_the_own_one() {
        let message = |attributes: &[(u16, &[u8])]| {
            let header = vec![2, 32, 0, 0, 4, 0, 0, 0];
            header.into_iter().chain(attributes.iter().flat_map(|(kind, value)| attribute(*kind, value))).collect()
        };
        let (peer, own) = ((libc::IFA_ADDRESS, &[10u8, 0, 0, 2][..]), (libc::IFA_LOCAL, &[10u8, 0, 0, 1][..]));
        let read = |bytes: Vec<u8>| address(&bytes).map(|(_, network)| network.to_string());
        assert_eq!(read(message(&[peer, own])).as_deref(), Some("10.0.0.1/32"));
        assert_eq!(read(message(&[peer])).as_deref(), Some("10.0.0.2/32"));
        assert_eq!(read(message(&[])), None);
    }

    #[test]
    fn a_message_cut_at_every_length_is_read_as_far_as_it_goes() {
        let whole = vlan();
        for length in 0..whole.len() {
            let named = link(&whole[..length]).map(|interface| interface.name);
            assert!(named.is_none_or(|name| name == "eth0.5"), "{length}");
            let _ = address(&whole[..length]);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), places in prop::collection::vec((0usize..400, any::<u8>()), 0..8)) {
            let _ = (link(&bytes), address(&bytes));
            let mut damaged = vlan();
            for (place, byte) in places {
                if let Some(at) = damaged.get_mut(place) { *at = byte; }
            }
            let _ = (link(&damaged), address(&damaged));
        }
    }
}
