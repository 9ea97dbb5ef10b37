//! From which side an interface saw a frame.

use super::{Address, Direction, Frame, Linktype, ParsedPacket};
use ipnet::IpNet;
use std::net::IpAddr;

/// What is known of an interface that tells transmit from receive.
///
/// In this order: the packet type of the record; `lo` is receive; the source MAC is the interface's own; the source is
/// one of its addresses or in a local network and the destination is not; else receive, as on a mirror port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Perspective {
    /// Hardware address of the interface (live).
    pub mac: Option<[u8; 6]>,
    /// Addresses of the interface (live, or pcapng options).
    pub addresses: Vec<IpAddr>,
    /// Networks on this side of the interface.
    pub local_networks: Vec<IpNet>,
    /// The interface is the loopback: everything is receive.
    pub loopback: bool,
}

impl Perspective {
    /// Direction of a frame whose record says nothing of it, and which was read into `packet`.
    ///
    /// Bounds: both lists are searched from the front, so the cost grows with what is configured; nothing configured
    /// costs nothing.
    #[inline]
    pub(super) fn direction(&self, frame: &Frame<'_>, packet: &ParsedPacket) -> Direction {
        if self.loopback || self.knows_nothing() {
            return Direction::Receive;
        }
        let is_outbound = self.is_own_mac(frame) || (self.knows_networks() && self.is_outbound(packet));
        if is_outbound { Direction::Transmit } else { Direction::Receive }
    }

    fn knows_nothing(&self) -> bool {
        self.mac.is_none() && !self.knows_networks()
    }

    fn knows_networks(&self) -> bool {
        !self.addresses.is_empty() || !self.local_networks.is_empty()
    }

    fn is_own_mac(&self, frame: &Frame<'_>) -> bool {
        match (frame.meta.linktype, self.mac) {
            (Linktype::Ethernet, Some(own)) => frame.bytes.get(6..12) == Some(&own),
            _ => false,
        }
    }

    #[inline(never)]
    fn is_outbound(&self, packet: &ParsedPacket) -> bool {
        let is_local = |address: Address| self.is_local(address.to_ip(packet.network));
        packet.network.is_ip() && is_local(packet.source) && !is_local(packet.destination)
    }

    fn is_local(&self, address: IpAddr) -> bool {
        self.addresses.contains(&address) || self.local_networks.iter().any(|local| local.contains(&address))
    }
}
