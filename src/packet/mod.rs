//! What a frame is to netmon: its record header, and what could be read of its layers.
//!
//! [`parse`] turns the captured bytes of one frame into a [`ParsedPacket`]: fixed size, no allocation, no borrow, so
//! that it can be handed to another shard. It never fails; it keeps what was readable and says why it stopped.
//! Flows are of the outermost IP header; VLAN, QinQ, MPLS and PPPoE are walked through, tunnels are not.

pub mod build;
mod direction;
mod link;
pub(crate) mod names;
mod network;
mod parse;
mod reject;
#[cfg(test)]
mod tests;
mod transport;
mod unread;
mod usual;

pub use direction::Perspective;
#[cfg(test)]
pub(crate) use parse::is_plain;
pub use parse::{parse, parse_into};
pub use reject::{Layer, Reason, Reject};

use crate::time::Timestamp;
use std::cmp::Ordering;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Number of a capture point within one run, an index into the list of interfaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceId(pub u16);

/// Link-layer header type (the LINKTYPE_ values of pcap) that netmon reads; others are kept by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Linktype {
    /// LINKTYPE_NULL (0): BSD loopback, address family in the host order of the writer.
    Null,
    /// LINKTYPE_ETHERNET (1).
    Ethernet,
    /// LINKTYPE_RAW (101) and its platform values 12 and 14: IPv4 or IPv6 by the version nibble.
    Raw,
    /// LINKTYPE_LOOP (108): BSD loopback, address family in network order.
    Loop,
    /// LINKTYPE_LINUX_SLL (113).
    LinuxSll,
    /// LINKTYPE_IPV4 (228): IPv4 only.
    Ipv4,
    /// LINKTYPE_IPV6 (229): IPv6 only.
    Ipv6,
    /// LINKTYPE_LINUX_SLL2 (276).
    LinuxSll2,
    /// A link type whose frames are counted but not parsed.
    Other(u16),
}

impl Linktype {
    /// The type with this LINKTYPE_ number.
    pub const fn from_number(number: u16) -> Self {
        match number {
            0 => Self::Null,
            1 => Self::Ethernet,
            12 | 14 | 101 => Self::Raw,
            108 => Self::Loop,
            113 => Self::LinuxSll,
            228 => Self::Ipv4,
            229 => Self::Ipv6,
            276 => Self::LinuxSll2,
            other => Self::Other(other),
        }
    }

    /// The LINKTYPE_ number (101 for every raw value).
    pub const fn number(self) -> u16 {
        match self {
            Self::Null => 0,
            Self::Ethernet => 1,
            Self::Raw => 101,
            Self::Loop => 108,
            Self::LinuxSll => 113,
            Self::Ipv4 => 228,
            Self::Ipv6 => 229,
            Self::LinuxSll2 => 276,
            Self::Other(number) => number,
        }
    }

    /// Whether frames of this type are parsed.
    pub const fn is_supported(self) -> bool {
        !matches!(self, Self::Other(_))
    }
}

/// The names libpcap gives (`EN10MB`, `LINUX_SLL`, `RAW`, ...); a bare number for what netmon does not read.
impl fmt::Display for Linktype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "NULL",
            Self::Ethernet => "EN10MB",
            Self::Raw => "RAW",
            Self::Loop => "LOOP",
            Self::LinuxSll => "LINUX_SLL",
            Self::Ipv4 => "IPV4",
            Self::Ipv6 => "IPV6",
            Self::LinuxSll2 => "LINUX_SLL2",
            Self::Other(number) => return write!(f, "{number}"),
        })
    }
}

/// Direction of a frame as its interface saw it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Came in, or could not be told (a mirror port, `lo`).
    #[default]
    Receive,
    /// Went out.
    Transmit,
}

impl Direction {
    /// Both, in the order of every array indexed by direction.
    pub const ALL: [Self; 2] = [Self::Receive, Self::Transmit];

    /// The label value of this direction.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Transmit => "transmit",
        }
    }
}

/// The record header of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketMeta {
    /// Record time.
    pub timestamp: Timestamp,
    /// The record has a time of its own and it is in range. Without, `timestamp` is the nearest that is known; the
    /// packet clock and `first_seen`/`last_seen` leave it out.
    pub timed: bool,
    /// Where it was seen.
    pub interface: InterfaceId,
    /// Link type of that interface.
    pub linktype: Linktype,
    /// Bytes captured.
    pub caplen: u32,
    /// Length of the frame on the link, without FCS.
    pub wire_len: u32,
    /// Direction by packet type (kernel, pcapng flags) where the source knows it.
    pub direction: Option<Direction>,
    /// Payload bytes of each segment of a super-frame, which segmentation offload shows as one frame; 0 where it is
    /// none or the source does not say (savefiles, libpcap).
    pub gso_size: u16,
}

/// One captured frame, borrowed from the block or ring it was read into.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Its record header.
    pub meta: PacketMeta,
    /// The captured bytes; `meta.caplen` of them.
    pub bytes: &'a [u8],
}

/// An IP address as 16 bytes plus family, so that records have a fixed size; IPv4 sits in the last four bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Address(pub [u8; 16]);

/// The order of the bytes, compared as one number each: a call to compare memory costs more than the comparison.
impl Ord for Address {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        u128::from_be_bytes(self.0).cmp(&u128::from_be_bytes(other.0))
    }
}

impl PartialOrd for Address {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Address {
    /// From the four bytes of an IPv4 header field.
    pub const fn v4(octets: [u8; 4]) -> Self {
        let [a, b, c, d] = octets;
        Self([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d])
    }

    /// The address in the family of `network`.
    pub fn to_ip(self, network: Network) -> IpAddr {
        if network == Network::Ipv4 {
            let [.., a, b, c, d] = self.0;
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        } else {
            IpAddr::V6(Ipv6Addr::from(self.0))
        }
    }
}

/// The VLAN ids of a frame, outermost first: up to five tags of 12 bits and their count in one word.
///
/// A deeper stack is a reject (`vlan`, `unsupported`). A priority tag is a tag with id 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VlanStack(u64);

impl VlanStack {
    /// The most tags a stack holds.
    pub const MAX_TAGS: usize = 5;
    const COUNT_SHIFT: u32 = 60;

    /// This stack with one more tag inside; `None` when it is full. Only the low 12 bits of `id` count.
    #[must_use]
    pub const fn push(self, id: u16) -> Option<Self> {
        let count = self.len();
        if count == Self::MAX_TAGS {
            return None;
        }
        let ids = self.0 & ((1 << Self::COUNT_SHIFT) - 1);
        let with = ids | ((id as u64 & 0xfff) << (12 * count));
        Some(Self(with | ((count as u64 + 1) << Self::COUNT_SHIFT)))
    }

    /// Number of tags.
    pub const fn len(self) -> usize {
        (self.0 >> Self::COUNT_SHIFT) as usize
    }

    /// Whether the frame is untagged.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The ids from the outside in.
    pub fn ids(self) -> impl Iterator<Item = u16> {
        (0..self.len()).map(move |n| (self.0 >> (12 * n) & 0xfff) as u16)
    }

    /// The outermost id.
    pub fn outer(self) -> Option<u16> {
        self.ids().next()
    }

    /// The word itself, for hashing and ordering.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

/// The type field behind the VLAN tags. Values below 0x0600 cannot be types; two of them stand for frames without one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ethertype(pub u16);

impl Ethertype {
    /// No usable type.
    pub const NONE: Self = Self(0);
    /// An 802.3 frame: a length in place of the type.
    pub const LLC: Self = Self(1);
    /// IPv4.
    pub const IPV4: Self = Self(0x0800);
    /// ARP.
    pub const ARP: Self = Self(0x0806);
    /// IPv6.
    pub const IPV6: Self = Self(0x86dd);
}

/// `0x0800`, `llc` or `none`.
impl fmt::Display for Ethertype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NONE => f.write_str("none"),
            Self::LLC => f.write_str("llc"),
            Self(number) => write!(f, "0x{number:04x}"),
        }
    }
}

/// Network layer of a frame, as the `network` label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Network {
    /// A good IPv4 header.
    Ipv4,
    /// A good IPv6 header.
    Ipv6,
    /// ARP.
    Arp,
    /// Anything else, frames with a bad IP header included.
    #[default]
    Other,
}

impl Network {
    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Arp => "arp",
            Self::Other => "other",
        }
    }

    /// Whether a flow can be made of it.
    pub const fn is_ip(self) -> bool {
        matches!(self, Self::Ipv4 | Self::Ipv6)
    }
}

/// Transport layer of a frame, as the `transport` label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// IP protocol 6.
    Tcp,
    /// IP protocol 17.
    Udp,
    /// 1 in IPv4, 58 in IPv6.
    Icmp,
    /// IP protocol 132.
    Sctp,
    /// Every other protocol, and frames without IP.
    #[default]
    Other,
}

impl Transport {
    /// All, in the order of every array indexed by transport.
    pub const ALL: [Self; 5] = [Self::Tcp, Self::Udp, Self::Icmp, Self::Sctp, Self::Other];

    /// The transport that an IP protocol number means under `network`.
    pub const fn of(network: Network, protocol: u8) -> Self {
        match (network, protocol) {
            (_, 6) => Self::Tcp,
            (_, 17) => Self::Udp,
            (Network::Ipv4, 1) | (Network::Ipv6, 58) => Self::Icmp,
            (_, 132) => Self::Sctp,
            _ => Self::Other,
        }
    }

    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
            Self::Sctp => "sctp",
            Self::Other => "other",
        }
    }
}

/// Place of a packet in its datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fragment {
    /// A whole datagram (an IPv6 atomic fragment included).
    #[default]
    Whole,
    /// The first fragment: carries the ports and belongs to its flow.
    First,
    /// A later one: portless, joins no flow.
    Later,
}

/// Destination of a frame by its MAC address; [`Cast::Unicast`] where the link has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cast {
    /// To one station.
    #[default]
    Unicast,
    /// To a group.
    Multicast,
    /// To all.
    Broadcast,
}

/// TCP flag bits as in the header (RFC 9293 section 3.1).
pub mod flag {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement field is significant.
    pub const ACK: u8 = 0x10;
    /// The urgent pointer is significant.
    pub const URG: u8 = 0x20;
    /// ECN echo.
    pub const ECE: u8 = 0x40;
    /// Congestion window reduced.
    pub const CWR: u8 = 0x80;
}

/// The parts of a TCP header that tracking needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpSegment {
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgement number; meaningless without [`flag::ACK`].
    pub acknowledgement: u32,
    /// Window as in the header, not scaled.
    pub window: u16,
    /// Flag bits, see [`flag`].
    pub flags: u8,
    /// Window scale option of a SYN, at most 14 (RFC 7323 section 2.3).
    pub window_scale: Option<u8>,
}

impl TcpSegment {
    /// Whether it has no flags but ACK and PSH.
    #[inline]
    pub(crate) const fn is_plain(&self) -> bool {
        self.flags & !(flag::ACK | flag::PSH) == 0
    }
}

/// What an ICMP or ICMPv6 message is about, as the `message` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IcmpMessage {
    /// Echo request (8, 128).
    Echo,
    /// Echo reply (0, 129).
    EchoReply,
    /// Destination unreachable (3 except code 4, 1).
    Unreachable,
    /// Time exceeded (11, 3).
    TimeExceeded,
    /// Redirect (5, 137).
    Redirect,
    /// Packet too big (ICMPv6 2), or fragmentation needed (ICMP 3 code 4).
    PacketTooBig,
    /// Neighbour and router discovery (ICMPv6 133 to 136).
    Ndp,
    /// Every other type.
    Other,
}

impl IcmpMessage {
    /// All, in the order of every array indexed by message.
    pub const ALL: [Self; 8] = [
        Self::Echo,
        Self::EchoReply,
        Self::Unreachable,
        Self::TimeExceeded,
        Self::Redirect,
        Self::PacketTooBig,
        Self::Ndp,
        Self::Other,
    ];

    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::EchoReply => "echo_reply",
            Self::Unreachable => "unreachable",
            Self::TimeExceeded => "time_exceeded",
            Self::Redirect => "redirect",
            Self::PacketTooBig => "packet_too_big",
            Self::Ndp => "ndp",
            Self::Other => "other",
        }
    }
}

/// What was read of the transport header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Header {
    /// None: not IP, a later fragment, a protocol without one netmon reads, or one that is cut or bad.
    #[default]
    None,
    /// A TCP header with a good data offset.
    Tcp(TcpSegment),
    /// A UDP or SCTP header: ports only.
    Ports,
    /// An ICMP header; for echo messages the identifier is in both port fields.
    Icmp(IcmpMessage),
}

/// How a packet takes part in flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Attribution {
    /// Belongs to the flow of its 5-tuple (TCP, UDP, SCTP, ICMP echo by identifier).
    Ports,
    /// Belongs to the flow of its addresses and protocol (ICMP other than echo, protocols without ports).
    Portless,
    /// A later fragment: no flow.
    LaterFragment,
    /// IP, but the transport header is cut or bad: no flow.
    Unreadable,
    /// No good IP header: no flow.
    #[default]
    NotIp,
}

/// What could be read of one frame.
///
/// Lengths: `wire_len` is the frame on the link; `ip_octets` the IP header and payload by the header's own length
/// field, never more than the frame holds; `payload_len` what is behind the transport header, from `ip_octets`, so
/// Ethernet padding is no payload and a snapped packet has its full payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParsedPacket {
    /// Record time.
    pub timestamp: Timestamp,
    /// Sender of the outermost IP header.
    pub source: Address,
    /// Receiver of the outermost IP header.
    pub destination: Address,
    /// Tags in front of the first header that is not a tag.
    pub vlan: VlanStack,
    /// Length of the frame on the link.
    pub wire_len: u32,
    /// Bytes captured of it.
    pub caplen: u32,
    /// IP header and payload.
    pub ip_octets: u32,
    /// Bytes behind the transport header; behind the IP headers where netmon reads none; 0 where it is unreadable.
    pub payload_len: u32,
    /// What was read of the transport header.
    pub header: Header,
    /// Source port, or ICMP echo identifier; 0 where there is none.
    pub source_port: u16,
    /// Destination port, or ICMP echo identifier; 0 where there is none.
    pub destination_port: u16,
    /// Where it was seen.
    pub interface: InterfaceId,
    /// The type behind the tags.
    pub ethertype: Ethertype,
    /// As [`PacketMeta::gso_size`].
    pub gso_size: u16,
    /// Network layer.
    pub network: Network,
    /// IP protocol number behind the extension headers; 0 without IP.
    pub protocol: u8,
    /// Transport layer.
    pub transport: Transport,
    /// Fragment or whole.
    pub fragment: Fragment,
    /// How it takes part in flows.
    pub attribution: Attribution,
    /// Destination by MAC address.
    pub cast: Cast,
    /// Direction on its interface.
    pub direction: Direction,
    /// The snapshot length cut a header that was needed.
    pub truncated: bool,
    /// An IPv4 segment with no flags but ACK and PSH, or an IPv4 datagram: whole, unicast, untagged and readable, so
    /// that there is nothing in its headers to count but its length. Most frames are.
    pub is_plain: bool,
    /// A header that cannot be right.
    pub reject: Option<Reject>,
}
