//! Why a header could not be used: the `layer` and `reason` labels of `netmon_parse_errors_total`.

/// The layer whose header was bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// Ethernet, cooked, null and what lies between them and IP (MPLS, PPPoE, LLC).
    Link,
    /// VLAN tags.
    Vlan,
    /// IPv4 header, and an SCTP header that does not fit into the packet.
    Ipv4,
    /// IPv6 header and extension headers, and an SCTP header that does not fit into the packet.
    Ipv6,
    /// TCP header and options.
    Tcp,
    /// UDP header.
    Udp,
    /// ICMP and ICMPv6 header.
    Icmp,
}

impl Layer {
    /// All, in the order of every array indexed by layer.
    pub const ALL: [Self; 7] = [Self::Link, Self::Vlan, Self::Ipv4, Self::Ipv6, Self::Tcp, Self::Udp, Self::Icmp];

    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Vlan => "vlan",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
        }
    }
}

/// What was wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The packet ends before the header does (not because of the snapshot length).
    Short,
    /// A length field that cannot be right.
    Length,
    /// A version or family that contradicts the layer below.
    Version,
    /// An option whose length makes no progress or runs past the header.
    OptionLoop,
    /// Deeper or other than netmon reads.
    Unsupported,
}

impl Reason {
    /// All, in the order of every array indexed by reason.
    pub const ALL: [Self; 5] = [Self::Short, Self::Length, Self::Version, Self::OptionLoop, Self::Unsupported];

    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Length => "length",
            Self::Version => "version",
            Self::OptionLoop => "option_loop",
            Self::Unsupported => "unsupported",
        }
    }
}

/// A counted reject: the frame still counts for its interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reject {
    /// Whose header.
    pub layer: Layer,
    /// What about it.
    pub reason: Reason,
}

impl Reject {
    /// The pairs that the parser can produce; the only ones that become series.
    pub const REAL: &[Self] = &[
        Self::new(Layer::Link, Reason::Short),
        Self::new(Layer::Link, Reason::Version),
        Self::new(Layer::Link, Reason::Unsupported),
        Self::new(Layer::Vlan, Reason::Short),
        Self::new(Layer::Vlan, Reason::Unsupported),
        Self::new(Layer::Ipv4, Reason::Short),
        Self::new(Layer::Ipv4, Reason::Length),
        Self::new(Layer::Ipv4, Reason::Version),
        Self::new(Layer::Ipv6, Reason::Short),
        Self::new(Layer::Ipv6, Reason::Length),
        Self::new(Layer::Ipv6, Reason::Version),
        Self::new(Layer::Ipv6, Reason::Unsupported),
        Self::new(Layer::Tcp, Reason::Short),
        Self::new(Layer::Tcp, Reason::Length),
        Self::new(Layer::Tcp, Reason::OptionLoop),
        Self::new(Layer::Udp, Reason::Short),
        Self::new(Layer::Udp, Reason::Length),
        Self::new(Layer::Icmp, Reason::Short),
    ];

    /// The pair of `layer` and `reason`.
    pub const fn new(layer: Layer, reason: Reason) -> Self {
        Self { layer, reason }
    }
}
