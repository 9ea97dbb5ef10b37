//! The usual frame, read in one go: a TCP segment without SYN or a UDP datagram, in IPv4 without options, right behind
//! Ethernet, to one station.
//!
//! All that the layers' own modules would check is checked here by the same numbers, and whatever is not as it should be
//! is left to them; a test holds both to the same packet.

use super::parse::unread;
use super::{
    Address, Attribution, Ethertype, Frame, Header, Linktype, Network, ParsedPacket, TcpSegment, Transport, flag,
};

/// Headers of Ethernet, IPv4 and TCP without options. What is shorter is not usual: Ethernet pads to 60 bytes.
const HEADERS: usize = 54;
const ETHERNET: u32 = 14;
const IPV4: u32 = 20;
const UDP: u32 = 8;
/// Where the header behind IPv4's begins.
const TRANSPORT: usize = 34;
/// The first byte of an IPv4 header without options.
const VERSION_AND_LENGTH: u8 = 0x45;
/// More fragments, and the fragment offset.
const FRAGMENTED: u16 = 0x3fff;

/// Reads a usual frame; of any other nothing is read, and `packet` stays as it was. The direction is left open.
#[inline]
pub(super) fn read(frame: &Frame<'_>, packet: &mut ParsedPacket) -> bool {
    let Some(headers) = frame.bytes.first_chunk::<HEADERS>() else { return false };
    let to_group = headers[0] & 1 != 0;
    let is_ipv4 = u16_at(headers, 12) == Ethertype::IPV4.0 && headers[14] == VERSION_AND_LENGTH;
    let is_fragment = u16_at(headers, 20) & FRAGMENTED != 0;
    if frame.meta.linktype != Linktype::Ethernet || to_group || !is_ipv4 || is_fragment {
        return false;
    }
    let ip_octets = u32::from(u16_at(headers, 16)).min(frame.meta.wire_len.saturating_sub(ETHERNET));
    let protocol = headers[23];
    let Some((transport, header, header_len)) = transport(protocol, headers) else { return false };
    let is_plain = if let Header::Tcp(segment) = &header { segment.is_plain() } else { true };
    let Some(payload_len) = ip_octets.checked_sub(IPV4 + header_len) else { return false };
    *packet = ParsedPacket {
        source: address(headers, 26),
        destination: address(headers, 30),
        ip_octets,
        payload_len,
        header,
        source_port: u16_at(headers, TRANSPORT),
        destination_port: u16_at(headers, TRANSPORT + 2),
        ethertype: Ethertype::IPV4,
        network: Network::Ipv4,
        protocol,
        transport,
        attribution: Attribution::Ports,
        is_plain,
        ..unread(frame)
    };
    true
}

/// The header behind that of IPv4 and its length in bytes.
#[inline]
fn transport(protocol: u8, headers: &[u8; HEADERS]) -> Option<(Transport, Header, u32)> {
    match protocol {
        6 => {
            let header_len = u32::from(headers[TRANSPORT + 12] >> 4) * 4;
            let segment = TcpSegment {
                sequence: u32_at(headers, TRANSPORT + 4),
                acknowledgement: u32_at(headers, TRANSPORT + 8),
                window: u16_at(headers, TRANSPORT + 14),
                flags: headers[TRANSPORT + 13],
                window_scale: None,
            };
            // The options of a SYN are read.
            let is_usual = header_len >= 20 && segment.flags & flag::SYN == 0;
            is_usual.then_some((Transport::Tcp, Header::Tcp(segment), header_len))
        }
        17 => {
            let is_usual = !matches!(u16_at(headers, TRANSPORT + 4), 1..=7);
            is_usual.then_some((Transport::Udp, Header::Ports, UDP))
        }
        _ => None,
    }
}

#[inline]
fn address(headers: &[u8; HEADERS], at: usize) -> Address {
    Address::v4([headers[at], headers[at + 1], headers[at + 2], headers[at + 3]])
}

#[inline]
fn u16_at(headers: &[u8; HEADERS], at: usize) -> u16 {
    u16::from_be_bytes([headers[at], headers[at + 1]])
}

#[inline]
fn u32_at(headers: &[u8; HEADERS], at: usize) -> u32 {
    u32::from_be_bytes([headers[at], headers[at + 1], headers[at + 2], headers[at + 3]])
}
