//! Transport layer: TCP, UDP, ICMP, ICMPv6 and SCTP headers behind the IP header.

use super::unread::{Stop, Unread};
use super::{
    Attribution, Fragment, Header, IcmpMessage, Layer, Network, ParsedPacket, Reason, TcpSegment, Transport, flag,
};
use pnet_packet::icmp::IcmpPacket;
use pnet_packet::icmpv6::Icmpv6Packet;
use pnet_packet::tcp::TcpPacket;
use pnet_packet::udp::UdpPacket;

/// Reads the transport header behind the IP header of `packet`.
///
/// # Errors
/// What was wrong or cut; of a TCP header with bad options, the rest holds all the same.
#[inline(always)] // As `network::ipv4`.
pub(super) fn read(unread: Unread<'_>, packet: &mut ParsedPacket) -> Result<(), Stop> {
    if packet.fragment == Fragment::Later {
        without_header(unread, Attribution::LaterFragment, packet);
        return Ok(());
    }
    match (packet.transport, packet.network) {
        (Transport::Tcp, _) => tcp(unread, packet),
        (Transport::Udp, _) => udp(unread, packet),
        (Transport::Icmp, Network::Ipv4) => icmp(unread, packet),
        (Transport::Icmp, _) => icmpv6(unread, packet),
        (Transport::Sctp, Network::Ipv4) => sctp(unread, Layer::Ipv4, packet),
        (Transport::Sctp, _) => sctp(unread, Layer::Ipv6, packet),
        (Transport::Other, _) => {
            without_header(unread, Attribution::Portless, packet);
            Ok(())
        }
    }
}

#[inline]
fn without_header(unread: Unread<'_>, attribution: Attribution, packet: &mut ParsedPacket) {
    packet.payload_len = unread.wire_len;
    packet.attribution = attribution;
}

#[inline]
fn with_ports(header: Header, source: u16, destination: u16, payload: Unread<'_>, packet: &mut ParsedPacket) {
    packet.header = header;
    packet.source_port = source;
    packet.destination_port = destination;
    packet.payload_len = payload.wire_len;
    packet.attribution = Attribution::Ports;
}

/// TCP (RFC 9293 section 3.1). Options are read where one matters to netmon: on a SYN, for the window scale.
#[inline(always)] // As `network::ipv4`.
fn tcp(unread: Unread<'_>, packet: &mut ParsedPacket) -> Result<(), Stop> {
    let (header, rest) = unread.view::<20, _>(TcpPacket::new, Layer::Tcp)?;
    let header_len = usize::from(header.get_data_offset()) * 4;
    if header_len < 20 || header_len > unread.wire_len as usize {
        return Err(Stop::bad(Layer::Tcp, Reason::Length));
    }
    let flags = header.get_flags();
    let (window_scale, stop) = if flags & flag::SYN != 0 && header_len > 20 {
        window_scale(rest.limit(u32::from(header.get_data_offset()) * 4 - 20))
    } else {
        (None, None)
    };
    let segment = TcpSegment {
        sequence: header.get_sequence(),
        acknowledgement: header.get_acknowledgement(),
        window: header.get_window(),
        flags,
        window_scale,
    };
    let payload = unread.skip(header_len);
    with_ports(Header::Tcp(segment), header.get_source(), header.get_destination(), payload, packet);
    stop.map_or(Ok(()), Err)
}

/// The window scale among the options of a SYN, and what ended the search early.
///
/// A shift above 14 counts as 14 (RFC 7323 section 2.3).
#[inline(never)]
fn window_scale(options: Unread<'_>) -> (Option<u8>, Option<Stop>) {
    const END: u8 = 0;
    const NO_OPERATION: u8 = 1;
    const WINDOW_SCALE: u8 = 3;
    let option_loop = const { Some(Stop::bad(Layer::Tcp, Reason::OptionLoop)) };
    let mut rest = options;
    loop {
        let len = match *rest.bytes {
            [] if rest.wire_len == 0 => return (None, None),
            [END, ..] => return (None, None),
            [NO_OPERATION, ..] => 1,
            [_] if rest.wire_len == 1 => return (None, option_loop),
            [_, len, ..] if len < 2 || u32::from(len) > rest.wire_len => return (None, option_loop),
            [WINDOW_SCALE, 3, shift, ..] => return (Some(shift.min(14)), None),
            [] | [_] | [WINDOW_SCALE, 3] => return (None, Some(Stop::Cut)),
            [_, len, ..] => usize::from(len),
        };
        rest = rest.skip(len);
    }
}

/// UDP (RFC 768). A length of 0 is a jumbogram's or an offload's (RFC 2675 section 4); any other below 8 is wrong.
#[inline(always)] // As `network::ipv4`.
fn udp(unread: Unread<'_>, packet: &mut ParsedPacket) -> Result<(), Stop> {
    let (header, payload) = unread.view::<8, _>(UdpPacket::new, Layer::Udp)?;
    if matches!(header.get_length(), 1..=7) {
        return Err(Stop::bad(Layer::Udp, Reason::Length));
    }
    with_ports(Header::Ports, header.get_source(), header.get_destination(), payload, packet);
    Ok(())
}

/// SCTP's common header (RFC 9260 section 3.1). One that does not fit counts against `ip`, whose packet is too short
/// for its protocol.
#[inline]
fn sctp(unread: Unread<'_>, ip: Layer, packet: &mut ParsedPacket) -> Result<(), Stop> {
    let (header, payload) = unread.chunk::<12>(ip)?;
    let source = u16::from_be_bytes([header[0], header[1]]);
    let destination = u16::from_be_bytes([header[2], header[3]]);
    with_ports(Header::Ports, source, destination, payload, packet);
    Ok(())
}

/// ICMP (RFC 792): every message has 8 bytes of header.
#[inline]
fn icmp(unread: Unread<'_>, packet: &mut ParsedPacket) -> Result<(), Stop> {
    let (header, payload) = unread.view::<8, _>(IcmpPacket::new, Layer::Icmp)?;
    let message = match (header.get_icmp_type().0, header.get_icmp_code().0) {
        (8, _) => IcmpMessage::Echo,
        (0, _) => IcmpMessage::EchoReply,
        (3, 4) => IcmpMessage::PacketTooBig,
        (3, _) => IcmpMessage::Unreachable,
        (5, _) => IcmpMessage::Redirect,
        (11, _) => IcmpMessage::TimeExceeded,
        _ => IcmpMessage::Other,
    };
    of_message(message, unread, payload, packet);
    Ok(())
}

/// ICMPv6 (RFC 4443, RFC 4861): every message in use has at least 8 bytes.
#[inline]
fn icmpv6(unread: Unread<'_>, packet: &mut ParsedPacket) -> Result<(), Stop> {
    let (header, payload) = unread.view::<8, _>(Icmpv6Packet::new, Layer::Icmp)?;
    let message = match header.get_icmpv6_type().0 {
        128 => IcmpMessage::Echo,
        129 => IcmpMessage::EchoReply,
        1 => IcmpMessage::Unreachable,
        2 => IcmpMessage::PacketTooBig,
        3 => IcmpMessage::TimeExceeded,
        133..=136 => IcmpMessage::Ndp,
        137 => IcmpMessage::Redirect,
        _ => IcmpMessage::Other,
    };
    of_message(message, unread, payload, packet);
    Ok(())
}

/// Echo messages are told apart by their identifier, as flows of NATs are (RFC 6146 section 2); others by nothing.
#[inline]
fn of_message(message: IcmpMessage, unread: Unread<'_>, payload: Unread<'_>, packet: &mut ParsedPacket) {
    let header = Header::Icmp(message);
    match (message, unread.bytes) {
        (IcmpMessage::Echo | IcmpMessage::EchoReply, &[_, _, _, _, high, low, ..]) => {
            let identifier = u16::from_be_bytes([high, low]);
            with_ports(header, identifier, identifier, payload, packet);
        }
        _ => {
            packet.header = header;
            without_header(payload, Attribution::Portless, packet);
        }
    }
}
