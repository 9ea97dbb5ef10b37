//! The counters of one interface: one set of plain integers that serves as tick, as window and as total.

use crate::flow::{EndReason, Failure, Phase};
use crate::packet::{IcmpMessage, Layer, Network, Reason, Transport};

/// Frames and their wire bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// Frames.
    pub packets: u64,
    /// Wire bytes.
    pub bytes: u64,
}

impl Volume {
    /// Counts one frame.
    pub(super) fn count(&mut self, wire_len: u32) {
        self.packets += 1;
        self.bytes += u64::from(wire_len);
    }
}

/// The (network, transport) pairs that exist, in the order of [`Counters::protocols`].
pub const CONVERSATIONS: [(Network, Transport); 12] = [
    (Network::Ipv4, Transport::Tcp),
    (Network::Ipv4, Transport::Udp),
    (Network::Ipv4, Transport::Icmp),
    (Network::Ipv4, Transport::Sctp),
    (Network::Ipv4, Transport::Other),
    (Network::Ipv6, Transport::Tcp),
    (Network::Ipv6, Transport::Udp),
    (Network::Ipv6, Transport::Icmp),
    (Network::Ipv6, Transport::Sctp),
    (Network::Ipv6, Transport::Other),
    (Network::Arp, Transport::Other),
    (Network::Other, Transport::Other),
];

/// Index into [`CONVERSATIONS`].
pub const fn conversation(network: Network, transport: Transport) -> usize {
    match network {
        Network::Ipv4 => transport as usize,
        Network::Ipv6 => 5 + transport as usize,
        Network::Arp => 10,
        Network::Other => 11,
    }
}

/// The flags that are counted, in the order of [`TcpCounters::flags`]: `syn` is SYN without ACK, `synack` both.
pub const TCP_FLAGS: [&str; 7] = ["syn", "synack", "fin", "rst", "ece", "cwr", "urg"];

/// Where a frame was lost before it was parsed, as the `stage` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropStage {
    /// The kernel's capture buffer was full (`ps_drop`).
    Kernel,
    /// The interface lost it (`ps_ifdrop`, missed and fifo counts).
    Interface,
    /// Our own bounded queue was full.
    Queue,
}

impl DropStage {
    /// All, in the order of every array indexed by stage.
    pub const ALL: [Self; 3] = [Self::Kernel, Self::Interface, Self::Queue];

    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Interface => "interface",
            Self::Queue => "queue",
        }
    }
}

/// A set of plain integers that can be added up and walked through in a fixed order.
pub(crate) trait Integers {
    /// Adds field by field.
    fn add(&mut self, other: &Self);
    /// Shows every integer to `each`.
    fn visit(&self, each: &mut impl FnMut(u64));
    /// Lends every integer to `each`, in the order of [`Integers::visit`].
    fn visit_mut(&mut self, each: &mut impl FnMut(&mut u64));
}

impl Integers for u64 {
    fn add(&mut self, other: &Self) {
        *self += other;
    }

    fn visit(&self, each: &mut impl FnMut(u64)) {
        each(*self);
    }

    fn visit_mut(&mut self, each: &mut impl FnMut(&mut u64)) {
        each(self);
    }
}

impl<T: Integers, const N: usize> Integers for [T; N] {
    fn add(&mut self, other: &Self) {
        self.iter_mut().zip(other).for_each(|(mine, theirs)| mine.add(theirs));
    }

    fn visit(&self, each: &mut impl FnMut(u64)) {
        self.iter().for_each(|field| field.visit(each));
    }

    fn visit_mut(&mut self, each: &mut impl FnMut(&mut u64)) {
        self.iter_mut().for_each(|field| field.visit_mut(each));
    }
}

/// Implements [`Integers`] for a struct; naming every field makes a forgotten one a compile error.
macro_rules! integers {
    ($type:ty { $($field:ident),* $(,)? }) => {
        impl Integers for $type {
            fn add(&mut self, other: &Self) {
                let Self { $($field),* } = self;
                $($field.add(&other.$field);)*
            }

            fn visit(&self, each: &mut impl FnMut(u64)) {
                let Self { $($field),* } = self;
                $($field.visit(each);)*
            }

            fn visit_mut(&mut self, each: &mut impl FnMut(&mut u64)) {
                let Self { $($field),* } = self;
                $($field.visit_mut(each);)*
            }
        }
    };
}

/// TCP health; arrays of two are indexed by direction of the packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpCounters {
    /// Segments with a good header.
    pub segments: [u64; 2],
    /// Segments whose sequence numbers were already seen.
    pub retransmitted_segments: [u64; 2],
    /// Payload bytes of them.
    pub retransmitted_bytes: [u64; 2],
    /// Segments that filled a gap inside the reorder limit.
    pub out_of_order_segments: [u64; 2],
    /// Pure ACKs repeated.
    pub duplicate_acks: [u64; 2],
    /// Times the window went to zero.
    pub zero_window: [u64; 2],
    /// By direction, then by [`TCP_FLAGS`].
    pub flags: [[u64; TCP_FLAGS.len()]; 2],
    /// Handshakes completed.
    pub connections_opened: u64,
    /// By [`Failure`].
    pub connection_failures: [u64; Failure::ALL.len()],
    /// By [`Phase`].
    pub resets: [u64; Phase::ALL.len()],
}

integers!(TcpCounters {
    segments,
    retransmitted_segments,
    retransmitted_bytes,
    out_of_order_segments,
    duplicate_acks,
    zero_window,
    flags,
    connections_opened,
    connection_failures,
    resets,
});

integers!(Volume { packets, bytes });

/// Everything that is counted for one interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// All frames, by direction.
    pub volume: [Volume; 2],
    /// By direction, then by [`CONVERSATIONS`].
    pub protocols: [[Volume; CONVERSATIONS.len()]; 2],
    /// Captured bytes (at most the snapshot length for each frame).
    pub captured_bytes: u64,
    /// Header bytes that the interface moved and the capture did not see, because segmentation offload shows several
    /// segments as one frame. Where the capture does not tell the segment size it is an estimate for TCP frames above
    /// 1522 bytes, as if each segment filled 1500 bytes of IP.
    pub offloaded_header_bytes: u64,
    /// Frames that stand for several segments.
    pub superframes: u64,
    /// The segments they stand for, found or estimated as above.
    pub superframe_segments: u64,
    /// Frames to the broadcast address.
    pub broadcast_packets: u64,
    /// Frames to a group address.
    pub multicast_packets: u64,
    /// Frames with at least one VLAN tag.
    pub vlan_packets: u64,
    /// Frames captured shorter than they were.
    pub cut_packets: u64,
    /// Frames of which a needed header was cut by the snapshot length.
    pub truncated_packets: u64,
    /// By [`Layer`], then [`Reason`].
    pub parse_errors: [[u64; Reason::ALL.len()]; Layer::ALL.len()],
    /// By IPv4 and IPv6, then first and later.
    pub fragments: [[u64; 2]; 2],
    /// By IPv4 and IPv6, then [`IcmpMessage`].
    pub icmp: [[u64; IcmpMessage::ALL.len()]; 2],
    /// TCP health.
    pub tcp: TcpCounters,
    /// Flows made, by [`Transport`].
    pub flows_opened: [u64; Transport::ALL.len()],
    /// Flows ended, by [`Transport`], then [`EndReason`].
    pub flows_closed: [[u64; EndReason::ALL.len()]; Transport::ALL.len()],
    /// Flows ended with packets in one direction only.
    pub flows_one_sided: u64,
    /// Frames lost before parsing, by [`DropStage`].
    pub dropped_packets: [u64; DropStage::ALL.len()],
}

integers!(Counters {
    volume,
    protocols,
    captured_bytes,
    offloaded_header_bytes,
    superframes,
    superframe_segments,
    broadcast_packets,
    multicast_packets,
    vlan_packets,
    cut_packets,
    truncated_packets,
    parse_errors,
    fragments,
    icmp,
    tcp,
    flows_opened,
    flows_closed,
    flows_one_sided,
    dropped_packets,
});
