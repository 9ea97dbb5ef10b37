//! Network layer: the outermost IPv4 or IPv6 header and the extension headers behind it.

use super::unread::{Stop, Unread};
use super::{Address, Attribution, Fragment, Layer, Network, ParsedPacket, Reason, Transport, transport};
use pnet_packet::Packet;
use pnet_packet::ipv4::Ipv4Packet;
use pnet_packet::ipv6::Ipv6Packet;

/// Reads an IPv4 header (RFC 791 section 3.1) and what is behind it, without the padding of the frame.
///
/// A total length of 0 is what segmentation offload leaves there: it means up to the end of the frame. One that is past
/// the end of the frame counts as the end of the frame.
///
/// # Errors
/// When the header with its options is not wholly captured, is of another version, or has a header length below 5 words
/// or above the total length; those of the transport header.
#[inline(always)] // On the way of most frames: a call would take `unread` through memory.
pub(super) fn ipv4(unread: Unread<'_>, packet: &mut ParsedPacket) -> Result<(), Stop> {
    let (header, _) = unread.view::<20, _>(Ipv4Packet::new, Layer::Ipv4)?;
    if header.get_version() != 4 {
        return Err(Stop::bad(Layer::Ipv4, Reason::Version));
    }
    let header_len = usize::from(header.get_header_length()) * 4;
    let total_len = match header.get_total_length() {
        0 => unread.wire_len,
        length => u32::from(length),
    };
    if header_len < 20 || (total_len as usize) < header_len {
        return Err(Stop::bad(Layer::Ipv4, Reason::Length));
    }
    if unread.bytes.len() < header_len {
        return Err(unread.missing(header_len, Layer::Ipv4));
    }
    packet.network = Network::Ipv4;
    packet.source = Address::v4(header.get_source().octets());
    packet.destination = Address::v4(header.get_destination().octets());
    packet.ip_octets = total_len.min(unread.wire_len);
    packet.fragment = place(header.get_fragment_offset(), header.get_flags() & MORE_FRAGMENTS != 0);
    announce(packet, header.get_next_level_protocol().0);
    transport::read(unread.limit(packet.ip_octets).skip(header_len), packet)
}

/// Reads an IPv6 header (RFC 8200 section 3), its extension headers and what is behind them, without the padding of the
/// frame.
///
/// A payload length of 0 means up to the end of the frame (a jumbogram, or segmentation offload), except in front of
/// "no next header".
///
/// # Errors
/// When the fixed header is not wholly captured or of another version, and where the walk stopped; then the packet has
/// its addresses, and the protocol is the header at which it stopped; those of the transport header.
#[inline]
pub(super) fn ipv6(unread: Unread<'_>, packet: &mut ParsedPacket) -> Result<(), Stop> {
    let (header, rest) = unread.view::<40, _>(Ipv6Packet::new, Layer::Ipv6)?;
    if header.get_version() != 6 {
        return Err(Stop::bad(Layer::Ipv6, Reason::Version));
    }
    let first = header.get_next_header().0;
    packet.network = Network::Ipv6;
    packet.source = address(header.packet(), 8);
    packet.destination = address(header.packet(), 24);
    packet.ip_octets = match header.get_payload_length() {
        0 if first != NO_NEXT_HEADER => unread.wire_len,
        length => unread.wire_len.min(40 + u32::from(length)),
    };
    let payload = rest.limit(packet.ip_octets.saturating_sub(40));
    announce(packet, first);
    if is_extension(first) {
        return transport::read(extensions(first, payload, packet)?, packet);
    }
    transport::read(payload, packet)
}

/// Sets the protocol. Until its header is read, that header is unreadable.
#[inline]
fn announce(packet: &mut ParsedPacket, protocol: u8) {
    packet.protocol = protocol;
    packet.transport = Transport::of(packet.network, protocol);
    packet.attribution = Attribution::Unreadable;
}

/// Walks the extension headers from `first` on: the protocol behind them, the place in the datagram, the payload.
///
/// Headers may come in any order and number up to the depth limit. The walk ends behind the header of a later fragment,
/// and where fewer than 8 bytes of the next one are captured or inside the packet.
#[inline(never)]
fn extensions<'a>(first: u8, unread: Unread<'a>, packet: &mut ParsedPacket) -> Result<Unread<'a>, Stop> {
    let (mut protocol, mut rest) = (first, unread);
    while is_extension(protocol) {
        rest.check_depth(Layer::Ipv6)?;
        let (&[next, len, offset_high, offset_low, ..], _) = rest.chunk::<8>(Layer::Ipv6)?;
        let size = match protocol {
            FRAGMENT => 8,
            AUTHENTICATION => (usize::from(len) + 2) * 4,
            _ => (usize::from(len) + 1) * 8,
        };
        announce(packet, next);
        if protocol == FRAGMENT {
            let field = u16::from_be_bytes([offset_high, offset_low]);
            match place(field >> 3, field & 1 != 0) {
                Fragment::Later => {
                    packet.fragment = Fragment::Later;
                    return Ok(rest.skip(size));
                }
                Fragment::First => packet.fragment = Fragment::First,
                Fragment::Whole => {}
            }
        }
        if size > rest.wire_len as usize {
            return Err(Stop::bad(Layer::Ipv6, Reason::Length));
        }
        (protocol, rest) = (next, rest.skip(size));
    }
    Ok(rest)
}

/// The IPv6 address at this place of a header, read at once: the view's accessor makes it of eight words.
#[inline]
fn address(header: &[u8], at: usize) -> Address {
    header.get(at..).and_then(<[u8]>::first_chunk).map_or_else(Address::default, |octets| Address(*octets))
}

#[inline]
const fn place(offset: u16, more: bool) -> Fragment {
    match (offset, more) {
        (0, false) => Fragment::Whole,
        (0, true) => Fragment::First,
        _ => Fragment::Later,
    }
}

/// Hop-by-hop options, routing, fragment, destination options and AH: what has a next header in its first byte.
#[inline]
const fn is_extension(protocol: u8) -> bool {
    matches!(protocol, 0 | 43 | FRAGMENT | AUTHENTICATION | 60)
}

const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const NO_NEXT_HEADER: u8 = 59;
/// In the three flag bits of an IPv4 header.
const MORE_FRAGMENTS: u8 = 1;
