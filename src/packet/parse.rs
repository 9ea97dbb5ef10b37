//! One frame in, one [`ParsedPacket`] out.

use super::unread::Stop;
use super::{Address, Frame, ParsedPacket, Perspective, VlanStack, link, usual};
use super::{Attribution, Cast, Direction, Ethertype, Fragment, Header, Network, Transport};

/// Reads one frame as far as it can be read.
///
/// Never fails and never panics: a header that cannot be right is in [`ParsedPacket::reject`], one that the snapshot
/// length cut is [`ParsedPacket::truncated`], and in both cases what was read before it stands. `perspective` is only
/// asked where neither the record nor a cooked header tells the direction.
///
/// Bounds: no allocation; at most 16 headers of one frame are walked.
///
/// The usual frame is read in one go. Of any other, each layer writes what it learns straight into the packet and goes on
/// to the next, so nothing is carried up through results and copied, and what was read before a stop stands by itself.
#[inline]
pub fn parse(frame: &Frame<'_>, perspective: &Perspective) -> ParsedPacket {
    let mut packet = ParsedPacket::default();
    parse_into(frame, perspective, &mut packet);
    packet
}

/// As [`parse`], over whatever `packet` was. For loops: a packet that is returned and put in its place is copied twice.
#[inline]
pub fn parse_into(frame: &Frame<'_>, perspective: &Perspective, packet: &mut ParsedPacket) {
    if !usual::read(frame, packet) {
        read_layers(frame, packet);
    }
    packet.direction = match frame.meta.direction.or_else(|| link::direction(frame)) {
        Some(known) => known,
        None => perspective.direction(frame, packet),
    };
}

/// Reads a frame of any kind layer by layer; the direction is left open.
#[inline(never)]
pub(super) fn read_layers(frame: &Frame<'_>, packet: &mut ParsedPacket) {
    *packet = unread(frame);
    if let Err(stop) = link::read(frame, packet) {
        packet.truncated = stop == Stop::Cut;
        packet.reject = stop.reject();
    }
    packet.is_plain = is_plain(packet);
}

/// As [`ParsedPacket::is_plain`] has it.
pub(crate) fn is_plain(packet: &ParsedPacket) -> bool {
    let is_of_ports = match packet.header {
        Header::Tcp(segment) => segment.is_plain(),
        Header::Ports => packet.transport == Transport::Udp,
        Header::None | Header::Icmp(_) => false,
    };
    let is_whole = packet.attribution == Attribution::Ports && packet.fragment == Fragment::Whole;
    let is_ipv4 = packet.network == Network::Ipv4 && packet.ethertype == Ethertype::IPV4;
    let is_alone = packet.vlan.is_empty() && packet.cast == Cast::Unicast;
    is_of_ports && is_whole && is_ipv4 && is_alone && !packet.truncated && packet.reject.is_none()
}

/// What the record header alone says of a frame.
#[inline]
pub(super) fn unread(frame: &Frame<'_>) -> ParsedPacket {
    let meta = &frame.meta;
    ParsedPacket {
        timestamp: meta.timestamp,
        wire_len: meta.wire_len,
        caplen: meta.caplen,
        interface: meta.interface,
        gso_size: meta.gso_size,
        source: Address([0; 16]),
        destination: Address([0; 16]),
        vlan: VlanStack::default(),
        ip_octets: 0,
        payload_len: 0,
        header: Header::None,
        source_port: 0,
        destination_port: 0,
        ethertype: Ethertype::NONE,
        network: Network::Other,
        protocol: 0,
        transport: Transport::Other,
        fragment: Fragment::Whole,
        attribution: Attribution::NotIp,
        cast: Cast::Unicast,
        direction: Direction::Receive,
        truncated: false,
        is_plain: false,
        reject: None,
    }
}
