//! Frames made to order, for tests, benchmarks and fuzzing.
//!
//! Headers are named from the outside in; each one's type, length and checksum fields follow from what is inside it.
//!
//! ```
//! use netmon::packet::build::{self, Builder};
//! use netmon::packet::{Linktype, Perspective, TcpSegment, flag, parse};
//!
//! let syn = TcpSegment { sequence: 1000, flags: flag::SYN, window: 64240, ..TcpSegment::default() };
//! let bytes = Builder::ethernet().vlan(7).ipv4([192, 0, 2, 1], [192, 0, 2, 2]).tcp(40000, 443, syn).build();
//! let packet = parse(&build::frame(Linktype::Ethernet, &bytes), &Perspective::default());
//! assert_eq!((packet.vlan.outer(), packet.destination_port), (Some(7), 443));
//! ```
//!
//! A body that is too long for a length field leaves 0 there, as segmentation offload and jumbograms do. The CRC of SCTP
//! stays 0. Whatever must be wrong, cut or contradictory is made so by changing the finished bytes.

use super::{Ethertype, Frame, InterfaceId, Linktype, PacketMeta, TcpSegment};
use crate::time::Timestamp;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The bytes as a frame that was captured whole, at time 0 on interface 0.
pub fn frame(linktype: Linktype, bytes: &[u8]) -> Frame<'_> {
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let meta = PacketMeta {
        timestamp: Timestamp::MIN,
        timed: true,
        interface: InterfaceId(0),
        linktype,
        caplen: len,
        wire_len: len,
        direction: None,
        gso_size: 0,
    };
    Frame { meta, bytes }
}

/// A frame in the making.
#[derive(Clone, Debug)]
pub struct Builder {
    source_mac: [u8; 6],
    destination_mac: [u8; 6],
    layers: Vec<Layer>,
    payload: Vec<u8>,
    min_len: usize,
}

#[derive(Clone, Debug)]
enum Layer {
    Ethernet,
    Cooked { packet_type: u8 },
    CookedV2 { packet_type: u8 },
    Loopback { family: [u8; 4] },
    Vlan { tpid: u16, id: u16 },
    Snap,
    Mpls { label: u32 },
    Pppoe,
    Ethertype(u16),
    Ipv4 { source: Ipv4Addr, destination: Ipv4Addr, options: Vec<u8>, fragment: u16 },
    Ipv6 { source: Ipv6Addr, destination: Ipv6Addr },
    Extension { number: u8, body: Vec<u8> },
    Tcp { source_port: u16, destination_port: u16, segment: TcpSegment, options: Vec<u8> },
    Udp { source_port: u16, destination_port: u16 },
    Icmp { kind: u8, code: u8, rest: u32 },
    Sctp { source_port: u16, destination_port: u16 },
    Protocol(u8),
}

/// Link header.
impl Builder {
    /// Ethernet II between two locally administered addresses; 802.3 where [`Builder::snap`] follows.
    pub fn ethernet() -> Self {
        Self::with(vec![Layer::Ethernet])
    }

    /// LINKTYPE_LINUX_SLL with this packet type (0 to us, 1 broadcast, 2 multicast, 3 to others, 4 sent by us).
    pub fn cooked(packet_type: u8) -> Self {
        Self::with(vec![Layer::Cooked { packet_type }])
    }

    /// LINKTYPE_LINUX_SLL2 with this packet type.
    pub fn cooked_v2(packet_type: u8) -> Self {
        Self::with(vec![Layer::CookedV2 { packet_type }])
    }

    /// LINKTYPE_NULL and LINKTYPE_LOOP with these bytes as address family.
    pub fn loopback(family: [u8; 4]) -> Self {
        Self::with(vec![Layer::Loopback { family }])
    }

    /// No link header: raw IP.
    pub fn raw() -> Self {
        Self::with(Vec::new())
    }

    /// Ethernet addresses instead of the default ones.
    #[must_use]
    pub fn macs(self, source: [u8; 6], destination: [u8; 6]) -> Self {
        Self { source_mac: source, destination_mac: destination, ..self }
    }

    fn with(layers: Vec<Layer>) -> Self {
        Self {
            source_mac: [2, 0, 0, 0, 0, 1],
            destination_mac: [2, 0, 0, 0, 0, 2],
            layers,
            payload: Vec::new(),
            min_len: 0,
        }
    }

    fn push(mut self, layer: Layer) -> Self {
        self.layers.push(layer);
        self
    }
}

/// What lies between the link header and IP.
impl Builder {
    /// An 802.1Q tag with this id.
    #[must_use]
    pub fn vlan(self, id: u16) -> Self {
        self.tag(0x8100, id)
    }

    /// A VLAN tag of any protocol identifier.
    #[must_use]
    pub fn tag(self, tpid: u16, id: u16) -> Self {
        self.push(Layer::Vlan { tpid, id })
    }

    /// LLC and SNAP with the next header's Ethertype (RFC 1042).
    #[must_use]
    pub fn snap(self) -> Self {
        self.push(Layer::Snap)
    }

    /// An MPLS label, the bottom of the stack when no other follows. Only the low 20 bits count.
    #[must_use]
    pub fn mpls(self, label: u32) -> Self {
        self.push(Layer::Mpls { label })
    }

    /// A PPPoE session header with the PPP protocol of the next header.
    #[must_use]
    pub fn pppoe(self) -> Self {
        self.push(Layer::Pppoe)
    }

    /// Nothing netmon reads: the payload is of this Ethertype.
    #[must_use]
    pub fn ethertype(self, number: u16) -> Self {
        self.push(Layer::Ethertype(number))
    }
}

/// IP headers.
impl Builder {
    /// An IPv4 header.
    #[must_use]
    pub fn ipv4(self, source: impl Into<Ipv4Addr>, destination: impl Into<Ipv4Addr>) -> Self {
        let (source, destination) = (source.into(), destination.into());
        self.push(Layer::Ipv4 { source, destination, options: Vec::new(), fragment: 0 })
    }

    /// Options of the IPv4 header just named: at most 40 bytes, filled up with end-of-list.
    #[must_use]
    pub fn ipv4_options(mut self, bytes: &[u8]) -> Self {
        if let Some(Layer::Ipv4 { options, .. }) = self.layers.last_mut() {
            *options = padded(bytes, 4, 40);
        }
        self
    }

    /// An IPv6 header.
    #[must_use]
    pub fn ipv6(self, source: impl Into<Ipv6Addr>, destination: impl Into<Ipv6Addr>) -> Self {
        self.push(Layer::Ipv6 { source: source.into(), destination: destination.into() })
    }

    /// An IPv6 extension header with these bytes behind its length field, filled up to a multiple of 8.
    #[must_use]
    pub fn extension(self, number: u8, body: &[u8]) -> Self {
        let whole = padded(&[&[0, 0], body].concat(), 8, 2048);
        self.push(Layer::Extension { number, body: whole.get(2..).unwrap_or_default().to_vec() })
    }

    /// Makes the packet a fragment at `offset` (in units of 8 bytes): in the IPv4 header just named, else by an IPv6
    /// fragment header.
    #[must_use]
    pub fn fragment(mut self, offset: u16, more: bool) -> Self {
        if let Some(Layer::Ipv4 { fragment, .. }) = self.layers.last_mut() {
            *fragment = (offset & 0x1fff) | u16::from(more) << 13;
            return self;
        }
        let [high, low] = (offset << 3 | u16::from(more)).to_be_bytes();
        self.extension(FRAGMENT, &[high, low, 0, 0, 0, 1])
    }
}

/// Transport header and payload.
impl Builder {
    /// A TCP header; `segment.window_scale` becomes an option.
    #[must_use]
    pub fn tcp(self, source_port: u16, destination_port: u16, segment: TcpSegment) -> Self {
        let options = segment.window_scale.map_or_else(Vec::new, |shift| vec![1, 3, 3, shift]);
        self.push(Layer::Tcp { source_port, destination_port, segment, options })
    }

    /// Options of the TCP header just named, instead of its own: at most 40 bytes, filled up with end-of-list.
    #[must_use]
    pub fn tcp_options(mut self, bytes: &[u8]) -> Self {
        if let Some(Layer::Tcp { options, .. }) = self.layers.last_mut() {
            *options = padded(bytes, 4, 40);
        }
        self
    }

    /// A UDP header.
    #[must_use]
    pub fn udp(self, source_port: u16, destination_port: u16) -> Self {
        self.push(Layer::Udp { source_port, destination_port })
    }

    /// An ICMP header, ICMPv6 behind IPv6; `rest` is the second word: identifier and sequence number of an echo.
    #[must_use]
    pub fn icmp(self, kind: u8, code: u8, rest: u32) -> Self {
        self.push(Layer::Icmp { kind, code, rest })
    }

    /// An SCTP common header.
    #[must_use]
    pub fn sctp(self, source_port: u16, destination_port: u16) -> Self {
        self.push(Layer::Sctp { source_port, destination_port })
    }

    /// No transport header that netmon reads: the payload is of this IP protocol.
    #[must_use]
    pub fn protocol(self, number: u8) -> Self {
        self.push(Layer::Protocol(number))
    }

    /// What is behind the headers.
    #[must_use]
    pub fn payload(self, bytes: &[u8]) -> Self {
        Self { payload: bytes.to_vec(), ..self }
    }

    /// Zeros behind the packet up to this length of the frame, as Ethernet pads to 60.
    #[must_use]
    pub fn pad_to(self, min_len: usize) -> Self {
        Self { min_len, ..self }
    }

    /// The bytes of the frame.
    pub fn build(&self) -> Vec<u8> {
        let mut body = self.payload.clone();
        let mut inner = Next { ethertype: 0, protocol: NO_NEXT_HEADER };
        for (at, layer) in self.layers.iter().enumerate().rev() {
            let mut header = self.header(layer, inner, &body);
            header.append(&mut body);
            body = header;
            self.fill_checksum(at, &mut body);
            inner = self.next(at);
        }
        body.resize(body.len().max(self.min_len), 0);
        body
    }
}

/// How a header names the one inside it.
#[derive(Clone, Copy)]
struct Next {
    ethertype: u16,
    protocol: u8,
}

/// Making the headers.
impl Builder {
    fn header(&self, layer: &Layer, inner: Next, body: &[u8]) -> Vec<u8> {
        let ethertype = inner.ethertype.to_be_bytes();
        let type_or_length = if inner.ethertype == Ethertype::LLC.0 { length(body.len()) } else { ethertype };
        match layer {
            Layer::Ethernet => [&self.destination_mac[..], &self.source_mac, &type_or_length].concat(),
            Layer::Cooked { packet_type } => {
                let protocol = if inner.ethertype == Ethertype::LLC.0 { [0, 4] } else { ethertype };
                [&[0, *packet_type, 0, 1, 0, 6][..], &self.source_mac, &[0, 0], &protocol].concat()
            }
            Layer::CookedV2 { packet_type } => {
                let protocol = if inner.ethertype == Ethertype::LLC.0 { [0, 4] } else { ethertype };
                [&protocol[..], &[0, 0, 0, 0, 0, 1, 0, 1, *packet_type, 6], &self.source_mac, &[0, 0]].concat()
            }
            Layer::Loopback { family } => family.to_vec(),
            Layer::Vlan { id, .. } => [id.to_be_bytes(), type_or_length].concat(),
            Layer::Snap => [&[0xaa, 0xaa, 0x03, 0, 0, 0][..], &ethertype].concat(),
            Layer::Mpls { label } => {
                let bottom = u32::from(inner.ethertype != MPLS);
                (label << 12 | bottom << 8 | 64).to_be_bytes().to_vec()
            }
            Layer::Pppoe => {
                let protocol = if inner.ethertype == Ethertype::IPV6.0 { [0x00, 0x57] } else { [0x00, 0x21] };
                [&[0x11, 0, 0, 1][..], &length(body.len() + 2), &protocol].concat()
            }
            Layer::Ipv4 { source, destination, options, fragment } => {
                let words = u8::try_from(5 + options.len() / 4).unwrap_or(15);
                let total = length(20 + options.len() + body.len());
                let fixed = [0x40 | words, 0, total[0], total[1], 0, 1];
                let route = [&[64, inner.protocol, 0, 0][..], &source.octets(), &destination.octets()].concat();
                [&fixed[..], &fragment.to_be_bytes(), &route, options].concat()
            }
            Layer::Ipv6 { source, destination } => {
                let [high, low] = length(body.len());
                let fixed = [0x60, 0, 0, 0, high, low, inner.protocol, 64];
                [&fixed[..], &source.octets(), &destination.octets()].concat()
            }
            Layer::Extension { number, body } => {
                let units = match *number {
                    FRAGMENT => 0,
                    AUTHENTICATION => (body.len() + 2) / 4 - 2,
                    _ => (body.len() + 2) / 8 - 1,
                };
                [&[inner.protocol, u8::try_from(units).unwrap_or(u8::MAX)], &body[..]].concat()
            }
            Layer::Ethertype(_) | Layer::Protocol(_) => Vec::new(),
            transport => transport_header(transport, body.len()),
        }
    }

    /// What the header outside of the one at `at` has to write.
    fn next(&self, at: usize) -> Next {
        let behind_ipv6 = self.layers[..at].iter().any(|layer| matches!(layer, Layer::Ipv6 { .. }));
        let (ethertype, protocol) = match &self.layers[at] {
            Layer::Ethernet | Layer::Cooked { .. } | Layer::CookedV2 { .. } | Layer::Loopback { .. } => (0, 0),
            Layer::Vlan { tpid, .. } => (*tpid, 0),
            Layer::Snap => (Ethertype::LLC.0, 0),
            Layer::Mpls { .. } => (MPLS, 0),
            Layer::Pppoe => (0x8864, 0),
            Layer::Ethertype(number) => (*number, 0),
            Layer::Ipv4 { .. } => (Ethertype::IPV4.0, 4),
            Layer::Ipv6 { .. } => (Ethertype::IPV6.0, 41),
            Layer::Extension { number, .. } | Layer::Protocol(number) => (0, *number),
            Layer::Tcp { .. } => (0, 6),
            Layer::Udp { .. } => (0, 17),
            Layer::Icmp { .. } => (0, if behind_ipv6 { 58 } else { 1 }),
            Layer::Sctp { .. } => (0, 132),
        };
        Next { ethertype, protocol }
    }

    /// Writes the Internet checksum of the header at the front of `bytes`, where it has one.
    fn fill_checksum(&self, at: usize, bytes: &mut [u8]) {
        let pseudo = || self.pseudo_header(at, bytes.len());
        let (sum, field) = match &self.layers[at] {
            Layer::Ipv4 { options, .. } => (checksum(&[&bytes[..20 + options.len()]]), 10),
            Layer::Tcp { .. } => (checksum(&[&pseudo(), bytes]), 16),
            Layer::Udp { .. } => (not_zero(checksum(&[&pseudo(), bytes])), 6),
            Layer::Icmp { .. } if self.next(at).protocol == 1 => (checksum(&[bytes]), 2),
            Layer::Icmp { .. } => (checksum(&[&pseudo(), bytes]), 2),
            _ => return,
        };
        bytes[field..field + 2].copy_from_slice(&sum.to_be_bytes());
    }

    /// The pseudo header of the IP header next outside (RFC 9293 section 3.1, RFC 8200 section 8.1).
    fn pseudo_header(&self, at: usize, len: usize) -> Vec<u8> {
        let len = u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
        let tail = [&len[..], &[0, 0, 0, self.next(at).protocol]].concat();
        let outside = self.layers[..at].iter().rev().find_map(|layer| match layer {
            Layer::Ipv4 { source, destination, .. } => Some([source.octets(), destination.octets()].concat()),
            Layer::Ipv6 { source, destination } => Some([source.octets(), destination.octets()].concat()),
            _ => None,
        });
        [outside.unwrap_or_default(), tail].concat()
    }
}

fn transport_header(layer: &Layer, body_len: usize) -> Vec<u8> {
    let ports = |source: &u16, destination: &u16| [source.to_be_bytes(), destination.to_be_bytes()].concat();
    match layer {
        Layer::Tcp { source_port, destination_port, segment, options } => {
            let words = u8::try_from(5 + options.len() / 4).unwrap_or(15);
            let numbers = [segment.sequence.to_be_bytes(), segment.acknowledgement.to_be_bytes()].concat();
            let control = [&[words << 4, segment.flags][..], &segment.window.to_be_bytes(), &[0; 4]].concat();
            [ports(source_port, destination_port), numbers, control, options.clone()].concat()
        }
        Layer::Udp { source_port, destination_port } => {
            [&ports(source_port, destination_port)[..], &length(8 + body_len), &[0, 0]].concat()
        }
        Layer::Sctp { source_port, destination_port } => [&ports(source_port, destination_port)[..], &[0; 8]].concat(),
        Layer::Icmp { kind, code, rest } => [&[*kind, *code, 0, 0][..], &rest.to_be_bytes()].concat(),
        _ => Vec::new(),
    }
}

/// A 16-bit length field; 0 for what does not fit.
fn length(len: usize) -> [u8; 2] {
    u16::try_from(len).unwrap_or(0).to_be_bytes()
}

/// `bytes` filled with zeros to a multiple of `unit`, at most `max`.
fn padded(bytes: &[u8], unit: usize, max: usize) -> Vec<u8> {
    let mut whole = bytes.get(..max).unwrap_or(bytes).to_vec();
    whole.resize(whole.len().next_multiple_of(unit), 0);
    whole
}

/// The Internet checksum over the parts (RFC 1071); every part but the last has an even length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let mut sum: u64 = words.map(|word| u64::from(word[0]) << 8 | word.get(1).map_or(0, |low| u64::from(*low))).sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

/// UDP writes a sum of 0 as all ones, because 0 means that there is none (RFC 768).
const fn not_zero(sum: u16) -> u16 {
    if sum == 0 { u16::MAX } else { sum }
}

const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const NO_NEXT_HEADER: u8 = 59;
const MPLS: u16 = 0x8847;
