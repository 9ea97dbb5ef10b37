//! Link layer: from the first byte of a frame to its IP header.
//!
//! Read are Ethernet II, 802.3 with LLC and SNAP, Linux cooked (version 1 and 2), BSD loopback (NULL, LOOP) and raw IP.
//! VLAN tags, MPLS labels, PPPoE sessions and SNAP are walked through on the way to IP; everything else is not IP.

use super::unread::{Stop, Unread};
use super::{Cast, Direction, Ethertype, Frame, Layer, Linktype, Network, ParsedPacket, Reason, network};
use pnet_packet::ethernet::EthernetPacket;
use pnet_packet::vlan::VlanPacket;

/// Reads a frame: its cast, its tags, the type behind them, and the network layer that is announced.
///
/// # Errors
/// Why reading ended early.
#[inline]
pub(super) fn read(frame: &Frame<'_>, packet: &mut ParsedPacket) -> Result<(), Stop> {
    // Most frames are IP right behind Ethernet; with nothing to walk through, all of them is read in registers.
    if matches!(frame.meta.linktype, Linktype::Ethernet) {
        let (ethertype, rest) = ethernet(Unread::of(frame), packet)?;
        if ethertype == Ethertype::IPV4 {
            packet.ethertype = ethertype;
            return network::ipv4(rest, packet);
        }
        if ethertype == Ethertype::IPV6 {
            packet.ethertype = ethertype;
            return network::ipv6(rest, packet);
        }
    }
    walk(frame, packet)
}

/// Reads a frame of any kind.
#[inline(never)]
fn walk(frame: &Frame<'_>, packet: &mut ParsedPacket) -> Result<(), Stop> {
    let unread = Unread::of(frame);
    let (outer, behind) = match frame.meta.linktype {
        Linktype::Ethernet => ethernet(unread, packet)?,
        Linktype::LinuxSll | Linktype::LinuxSll2 => any_cooked(frame.meta.linktype, unread, packet)?,
        Linktype::Null | Linktype::Loop => loopback(unread)?,
        Linktype::Raw => raw(unread, &[4, 6])?,
        Linktype::Ipv4 => raw(unread, &[4])?,
        Linktype::Ipv6 => raw(unread, &[6])?,
        Linktype::Other(_) => return Err(Stop::bad(Layer::Link, Reason::Unsupported)),
    };
    let (ethertype, rest) = tags(outer, behind, packet)?;
    packet.ethertype = ethertype;
    match encapsulated(ethertype, rest)? {
        (Network::Ipv4, rest) => network::ipv4(rest, packet),
        (Network::Ipv6, rest) => network::ipv6(rest, packet),
        (not_ip, _) => {
            packet.network = not_ip;
            Ok(())
        }
    }
}

/// Direction by the packet type of a cooked header.
#[inline]
pub(super) fn direction(frame: &Frame<'_>) -> Option<Direction> {
    let packet_type = match frame.meta.linktype {
        Linktype::LinuxSll => cooked(frame.bytes.first_chunk()?).0,
        Linktype::LinuxSll2 => cooked_v2(frame.bytes.first_chunk()?).0,
        _ => return None,
    };
    Some(if packet_type == SENT_BY_US { Direction::Transmit } else { Direction::Receive })
}

/// The type field of a link header, and what is behind it.
type Typed<'a> = (Ethertype, Unread<'a>);

/// Ethernet II and 802.3 (IEEE 802.3 clause 3.2.6 tells them apart).
#[inline]
fn ethernet<'a>(unread: Unread<'a>, packet: &mut ParsedPacket) -> Result<Typed<'a>, Stop> {
    let (ethernet, rest) = unread.view::<14, _>(EthernetPacket::new, Layer::Link)?;
    packet.cast = match ethernet.get_destination().octets() {
        [first, ..] if first & 1 == 0 => Cast::Unicast,
        [0xff, 0xff, 0xff, 0xff, 0xff, 0xff] => Cast::Broadcast,
        _ => Cast::Multicast,
    };
    Ok((type_or_length(ethernet.get_ethertype().0), rest))
}

/// Linux cooked headers of both versions.
fn any_cooked<'a>(linktype: Linktype, unread: Unread<'a>, packet: &mut ParsedPacket) -> Result<Typed<'a>, Stop> {
    let ((packet_type, ethertype), rest) = if linktype == Linktype::LinuxSll {
        unread.chunk(Layer::Link).map(|(header, rest)| (cooked(header), rest))?
    } else {
        unread.chunk(Layer::Link).map(|(header, rest)| (cooked_v2(header), rest))?
    };
    packet.cast = match packet_type {
        1 => Cast::Broadcast,
        2 => Cast::Multicast,
        _ => Cast::Unicast,
    };
    Ok((ethertype, rest))
}

/// LINKTYPE_LINUX_SLL: packet type, hardware type, address length, address, protocol. The first and the last of them.
fn cooked(header: &[u8; 16]) -> (u16, Ethertype) {
    let packet_type = u16::from_be_bytes([header[0], header[1]]);
    let hardware = u16::from_be_bytes([header[2], header[3]]);
    (packet_type, cooked_type(hardware, u16::from_be_bytes([header[14], header[15]])))
}

/// LINKTYPE_LINUX_SLL2: protocol, interface index, hardware type, packet type, address length, address. The packet
/// type and the protocol.
fn cooked_v2(header: &[u8; 20]) -> (u16, Ethertype) {
    let hardware = u16::from_be_bytes([header[8], header[9]]);
    (header[10].into(), cooked_type(hardware, u16::from_be_bytes([header[0], header[1]])))
}

/// The packet type of a cooked header for what left this host; others are to us (0), broadcast (1), multicast (2) and
/// to others (3).
const SENT_BY_US: u16 = 4;

/// The protocol field of a cooked header: an Ethertype, or a number of Linux's own of which only 802.2 is known here.
///
/// On a netlink device (hardware type 824) it is a netlink family.
fn cooked_type(hardware: u16, protocol: u16) -> Ethertype {
    const NETLINK: u16 = 824;
    const P_802_2: u16 = 4;
    match protocol {
        _ if hardware == NETLINK => Ethertype::NONE,
        P_802_2 => Ethertype::LLC,
        ETHERTYPE_MIN.. => Ethertype(protocol),
        _ => Ethertype::NONE,
    }
}

/// LINKTYPE_NULL and LINKTYPE_LOOP: an address family, in the byte order of whoever wrote it.
///
/// AF_INET is 2 everywhere; AF_INET6 is 24 on NetBSD and OpenBSD, 28 on FreeBSD, 30 on Darwin.
fn loopback(unread: Unread<'_>) -> Result<Typed<'_>, Stop> {
    let (family, rest) = unread.chunk::<4>(Layer::Link)?;
    let ethertype = match family {
        [0, 0, 0, 2] | [2, 0, 0, 0] => Ethertype::IPV4,
        [0, 0, 0, 24 | 28 | 30] | [24 | 28 | 30, 0, 0, 0] => Ethertype::IPV6,
        _ => Ethertype::NONE,
    };
    Ok((ethertype, rest))
}

/// Raw IP: the version nibble tells which, among the `versions` that the link type allows.
fn raw<'a>(unread: Unread<'a>, versions: &[u8]) -> Result<Typed<'a>, Stop> {
    let version = unread.bytes.first().ok_or_else(|| unread.missing(1, Layer::Link))? >> 4;
    match version {
        4 if versions.contains(&4) => Ok((Ethertype::IPV4, unread)),
        6 if versions.contains(&6) => Ok((Ethertype::IPV6, unread)),
        _ => Err(Stop::bad(Layer::Link, Reason::Version)),
    }
}

/// Collects the VLAN tags from the outside in.
///
/// A tag whose type field is missing still counts as a tag when its id is there.
fn tags<'a>(outer: Ethertype, unread: Unread<'a>, packet: &mut ParsedPacket) -> Result<Typed<'a>, Stop> {
    let (mut ethertype, mut rest) = (outer, unread);
    while is_tag(ethertype) {
        let (tag, behind) = match rest.view::<4, _>(VlanPacket::new, Layer::Vlan) {
            Ok(read) => read,
            Err(stop) => {
                let id = rest.bytes.first_chunk().map(|control| u16::from_be_bytes(*control));
                packet.vlan = id.and_then(|id| packet.vlan.push(id)).unwrap_or(packet.vlan);
                return Err(stop);
            }
        };
        let deeper = packet.vlan.push(tag.get_vlan_identifier());
        packet.vlan = deeper.ok_or_else(|| Stop::bad(Layer::Vlan, Reason::Unsupported))?;
        (ethertype, rest) = (type_or_length(tag.get_ethertype().0), behind);
    }
    Ok((ethertype, rest))
}

/// Walks through whatever lies between the tags and the network layer.
fn encapsulated(behind_tags: Ethertype, unread: Unread<'_>) -> Result<(Network, Unread<'_>), Stop> {
    let (mut ethertype, mut rest) = (behind_tags, unread);
    loop {
        (ethertype, rest) = match ethertype {
            Ethertype::IPV4 => return Ok((Network::Ipv4, rest)),
            Ethertype::IPV6 => return Ok((Network::Ipv6, rest)),
            Ethertype::ARP => return Ok((Network::Arp, rest)),
            Ethertype::LLC => llc(rest)?,
            MPLS | MPLS_UPSTREAM => mpls(rest)?,
            PPPOE_SESSION => pppoe(rest)?,
            inner if is_tag(inner) => {
                let (tag, behind) = rest.view::<4, _>(VlanPacket::new, Layer::Vlan)?;
                (type_or_length(tag.get_ethertype().0), behind)
            }
            _ => return Ok((Network::Other, rest)),
        };
        rest.check_depth(Layer::Link)?;
    }
}

/// LLC (IEEE 802.2): unnumbered information of SNAP with an Ethertype (RFC 1042), or of IP's own service access point.
fn llc(unread: Unread<'_>) -> Result<Typed<'_>, Stop> {
    let (header, rest) = unread.chunk::<3>(Layer::Link)?;
    match header {
        [0xaa, 0xaa, 0x03] => {
            let ([oui @ .., high, low], behind) = rest.chunk::<5>(Layer::Link)?;
            let ethertype = u16::from_be_bytes([*high, *low]);
            let known = *oui == [0, 0, 0] && ethertype >= ETHERTYPE_MIN;
            Ok((if known { Ethertype(ethertype) } else { Ethertype::NONE }, behind))
        }
        [0x06, 0x06, 0x03] => Ok((Ethertype::IPV4, rest)),
        _ => Ok((Ethertype::NONE, rest)),
    }
}

/// One MPLS label (RFC 3032 section 2.1). Behind the bottom of the stack nothing but the first nibble tells what
/// follows; RFC 4928 keeps 4 and 6 for IP.
fn mpls(unread: Unread<'_>) -> Result<Typed<'_>, Stop> {
    let ([_, _, low, _], rest) = unread.chunk::<4>(Layer::Link)?;
    if low & 1 == 0 {
        return Ok((MPLS, rest));
    }
    let ethertype = match rest.bytes.first().ok_or_else(|| rest.missing(1, Layer::Link))? >> 4 {
        4 => Ethertype::IPV4,
        6 => Ethertype::IPV6,
        _ => Ethertype::NONE,
    };
    Ok((ethertype, rest))
}

/// A PPPoE session header (RFC 2516 section 4) and the PPP protocol behind it.
fn pppoe(unread: Unread<'_>) -> Result<Typed<'_>, Stop> {
    let ([version_and_type, code, _, _, _, _, high, low], rest) = unread.chunk::<8>(Layer::Link)?;
    if *version_and_type != 0x11 {
        return Err(Stop::bad(Layer::Link, Reason::Version));
    }
    let ethertype = match (*code, u16::from_be_bytes([*high, *low])) {
        (0, 0x0021) => Ethertype::IPV4,
        (0, 0x0057) => Ethertype::IPV6,
        _ => Ethertype::NONE,
    };
    Ok((ethertype, rest))
}

/// The meaning of an Ethernet type field: a length up to 1500, a type from 1536, nothing between.
#[inline]
const fn type_or_length(field: u16) -> Ethertype {
    match field {
        ..=LENGTH_MAX => Ethertype::LLC,
        ETHERTYPE_MIN.. => Ethertype(field),
        _ => Ethertype::NONE,
    }
}

/// 802.1Q, 802.1ad, and the number that Q-in-Q had before the standard.
#[inline]
const fn is_tag(ethertype: Ethertype) -> bool {
    matches!(ethertype.0, 0x8100 | 0x88a8 | 0x9100)
}

const LENGTH_MAX: u16 = 1500;
const ETHERTYPE_MIN: u16 = 0x0600;
const MPLS: Ethertype = Ethertype(0x8847);
/// Multicast by RFC 3032, upstream-assigned labels since RFC 5332; the stack is the same.
const MPLS_UPSTREAM: Ethertype = Ethertype(0x8848);
const PPPOE_SESSION: Ethertype = Ethertype(0x8864);
