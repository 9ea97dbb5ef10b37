//! The identity of a flow.

use crate::packet::{Address, Attribution, InterfaceId, Network, ParsedPacket, Transport, VlanStack};

/// Number of partitions that flows are dealt to by the top bits of their hash.
///
/// Whatever may lose information (the table's cap, eviction order, talker summaries) belongs to one partition, and a
/// shard owns whole partitions, so results do not depend on the number of shards.
pub const PARTITIONS: usize = 64;

/// Interface, VLAN tags, protocol, addresses and ports, independent of direction: the end with the smaller
/// (address, port) is `low`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowKey {
    /// Smaller end's address.
    pub low: Address,
    /// Greater end's address.
    pub high: Address,
    /// VLAN tags.
    pub vlan: VlanStack,
    /// Smaller end's port, or the ICMP echo identifier; 0 without ports.
    pub low_port: u16,
    /// Greater end's port, or the ICMP echo identifier; 0 without ports.
    pub high_port: u16,
    /// Where the flow was seen.
    pub interface: InterfaceId,
    /// IP protocol number.
    pub protocol: u8,
    /// Bit 0: IPv6. Bit 1: the flow has ports (or an echo identifier).
    pub kind: u8,
}

/// Which end of a [`FlowKey`] sent a packet; also the index of per-direction state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sender {
    #[default]
    Low,
    High,
}

impl Sender {
    /// The end that the packet goes to.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Low => Self::High,
            Self::High => Self::Low,
        }
    }
}

impl FlowKey {
    const IPV6: u8 = 1;
    const PORTS: u8 = 2;
    /// Words of [`FlowKey::words`].
    pub(super) const WORDS: usize = 6;

    /// The key of a packet and which end sent it; `None` for packets that make no flow.
    #[inline]
    pub(crate) fn of(packet: &ParsedPacket) -> Option<(Self, Sender)> {
        let ports = match packet.attribution {
            Attribution::Ports => Self::PORTS,
            Attribution::Portless => 0,
            Attribution::LaterFragment | Attribution::Unreadable | Attribution::NotIp => return None,
        };
        let family = if packet.network == Network::Ipv6 { Self::IPV6 } else { 0 };
        // As numbers, which have the order of the bytes and compare without a call.
        let end = |address: Address, port| (u128::from_be_bytes(address.0), port);
        let is_high = end(packet.source, packet.source_port) > end(packet.destination, packet.destination_port);
        let sender = if is_high { Sender::High } else { Sender::Low };
        // Exchanged without a branch, since which end sends next cannot be foretold.
        let number = |address: Address| u128::from_ne_bytes(address.0);
        let address = |number: u128| Address(number.to_ne_bytes());
        let (source, destination) = (number(packet.source), number(packet.destination));
        let mask = u64::from(is_high).wrapping_neg();
        let exchange = (source ^ destination) & (u128::from(mask) << 64 | u128::from(mask));
        let (low, high) = (address(source ^ exchange), address(destination ^ exchange));
        let exchange = (packet.source_port ^ packet.destination_port) & u16::from(is_high).wrapping_neg();
        let (low_port, high_port) = (packet.source_port ^ exchange, packet.destination_port ^ exchange);
        let key = Self {
            low,
            high,
            vlan: packet.vlan,
            low_port,
            high_port,
            interface: packet.interface,
            protocol: packet.protocol,
            kind: family | ports,
        };
        Some((key, sender))
    }

    /// The whole key as words; two keys are equal if and only if their words are.
    #[expect(clippy::cast_possible_truncation, reason = "an address is cut into two words")]
    #[inline]
    pub(super) fn words(&self) -> [u64; Self::WORDS] {
        let halves = |address: Address| {
            let number = u128::from_le_bytes(address.0);
            (number as u64, (number >> 64) as u64)
        };
        let ((a, b), (c, d)) = (halves(self.low), halves(self.high));
        let rest = u64::from(self.low_port)
            | u64::from(self.high_port) << 16
            | u64::from(self.interface.0) << 32
            | u64::from(self.protocol) << 48
            | u64::from(self.kind) << 56;
        [a, b, c, d, self.vlan.as_u64(), rest]
    }

    /// Whether a [`Narrow`] is not all of it.
    #[inline]
    pub(super) fn is_wide(&self) -> bool {
        self.kind & Self::IPV6 != 0 || !self.vlan.is_empty()
    }

    /// IP version of the flow.
    pub fn network(&self) -> Network {
        if self.kind & Self::IPV6 != 0 { Network::Ipv6 } else { Network::Ipv4 }
    }

    /// Whether the flow is told apart by ports (or by an ICMP echo identifier).
    pub fn has_ports(&self) -> bool {
        self.kind & Self::PORTS != 0
    }

    /// Transport of the flow.
    pub fn transport(&self) -> Transport {
        Transport::of(self.network(), self.protocol)
    }
}

/// A quarter of a key, which is all of it for IPv4 without tags: so small that it lies in the line of the record.
///
/// The last four bytes of the lower address and of the greater one; then the last word of [`FlowKey::words`], which has
/// all but the addresses and the tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Narrow([u64; 2]);

/// The rest of a key: the other bytes of both addresses, and the tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wide {
    prefixes: [[u8; 12]; 2],
    vlan: VlanStack,
}

#[expect(clippy::cast_possible_truncation, reason = "words are cut into their fields")]
impl Narrow {
    const INTERFACE_SHIFT: u32 = 32;
    const PROTOCOL_SHIFT: u32 = 48;
    const KIND_SHIFT: u32 = 56;

    /// Of any key.
    #[inline]
    pub(super) fn of(key: &FlowKey) -> Self {
        let [_, low, _, high, _, rest] = key.words();
        Self([low >> 32 | (high >> 32) << 32, rest])
    }

    /// What [`FlowKey::of`] and [`Narrow::of`] make of a plain packet, on a shorter way: it is of IPv4 without tags, so
    /// address and port of an end are one number.
    #[inline]
    pub(super) fn of_plain(packet: &ParsedPacket) -> (Self, Sender) {
        debug_assert!(packet.is_plain);
        let end = |Address([.., a, b, c, d]): Address, port: u16| {
            u64::from(u32::from_be_bytes([a, b, c, d])) << 16 | u64::from(port)
        };
        let source = end(packet.source, packet.source_port);
        let destination = end(packet.destination, packet.destination_port);
        let sender = if source > destination { Sender::High } else { Sender::Low };
        let (low, high) = (source.min(destination), source.max(destination));
        let address = |end: u64| u64::from(((end >> 16) as u32).swap_bytes());
        let rest = u64::from(low as u16)
            | u64::from(high as u16) << 16
            | u64::from(packet.interface.0) << Self::INTERFACE_SHIFT
            | u64::from(packet.protocol) << Self::PROTOCOL_SHIFT
            | u64::from(FlowKey::PORTS) << Self::KIND_SHIFT;
        (Self([address(low) | address(high) << 32, rest]), sender)
    }

    /// [`FlowKey::words`] of a key that is no wider.
    #[inline]
    pub(super) fn words(self) -> [u64; FlowKey::WORDS] {
        let Self([addresses, rest]) = self;
        [0, addresses << 32, 0, addresses >> 32 << 32, 0, rest]
    }

    /// The whole key.
    pub(super) fn with(self, wide: &Wide) -> FlowKey {
        let Self([addresses, rest]) = self;
        let address = |[a, b, c, d, e, f, g, h, i, j, k, l]: [u8; 12], last: u32| {
            let [m, n, o, p] = last.to_le_bytes();
            Address([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p])
        };
        let [low, high] = wide.prefixes;
        FlowKey {
            low: address(low, addresses as u32),
            high: address(high, (addresses >> 32) as u32),
            vlan: wide.vlan,
            low_port: rest as u16,
            high_port: (rest >> 16) as u16,
            interface: InterfaceId((rest >> Self::INTERFACE_SHIFT) as u16),
            protocol: (rest >> Self::PROTOCOL_SHIFT) as u8,
            kind: (rest >> Self::KIND_SHIFT) as u8,
        }
    }

    /// Transport of the flow.
    pub(super) fn transport(self) -> Transport {
        self.with(&Wide::default()).transport()
    }
}

impl Wide {
    /// Of any key.
    pub(super) fn of(key: &FlowKey) -> Self {
        let prefix = |Address([prefix @ .., _, _, _, _]): Address| prefix;
        Self { prefixes: [prefix(key.low), prefix(key.high)], vlan: key.vlan }
    }
}
