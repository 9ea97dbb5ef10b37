//! What is known of a flow.

use super::FlowKey;
use crate::packet::{Address, InterfaceId, Network, Transport, VlanStack};
use crate::time::Timestamp;
use std::time::Duration;

/// Where a flow stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// TCP: the handshake has begun.
    Opening,
    /// TCP: data may flow in both directions (or the capture began in mid-connection).
    Open,
    /// TCP: a FIN was seen.
    Closing,
    /// TCP: both FINs were acknowledged, or a RST ended it.
    Closed,
    /// Any other transport.
    Active,
}

impl State {
    /// All, in the order of every array indexed by state.
    pub const ALL: [Self; 5] = [Self::Opening, Self::Open, Self::Closing, Self::Closed, Self::Active];

    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Open => "open",
            Self::Closing => "closing",
            Self::Closed => "closed",
            Self::Active => "active",
        }
    }
}

/// Why a record ended (IPFIX flowEndReason, element 136, made finer).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndReason {
    /// TCP closed in both directions.
    Fin,
    /// TCP reset after the handshake.
    Rst,
    /// TCP: a RST answered the SYN.
    Rejected,
    /// TCP: the SYN was never answered.
    Unanswered,
    /// No packet for the idle timeout.
    Idle,
    /// Cut by the active timeout; the flow may go on in a new record.
    ActiveTimeout,
    /// Made room in a full table.
    Evicted,
    /// netmon stopped.
    Shutdown,
}

impl EndReason {
    /// All, in the order of every array indexed by reason.
    pub const ALL: [Self; 8] = [
        Self::Fin,
        Self::Rst,
        Self::Rejected,
        Self::Unanswered,
        Self::Idle,
        Self::ActiveTimeout,
        Self::Evicted,
        Self::Shutdown,
    ];

    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fin => "fin",
            Self::Rst => "rst",
            Self::Rejected => "rejected",
            Self::Unanswered => "unanswered",
            Self::Idle => "idle",
            Self::ActiveTimeout => "active_timeout",
            Self::Evicted => "evicted",
            Self::Shutdown => "shutdown",
        }
    }
}

/// Volume, times and state of a flow. `c2s` is from the initiator, `s2c` towards it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowStats {
    /// Least record time of its packets.
    pub first_seen: Timestamp,
    /// Greatest record time of its packets.
    pub last_seen: Timestamp,
    /// Frames from the initiator.
    pub packets_c2s: u64,
    /// Wire bytes from the initiator.
    pub bytes_c2s: u64,
    /// Frames towards the initiator.
    pub packets_s2c: u64,
    /// Wire bytes towards the initiator.
    pub bytes_s2c: u64,
    /// Where it stands.
    pub state: State,
}

/// A flow as readers see it: ended, or still open with `end_reason` `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowRecord {
    /// Its identity.
    pub key: FlowKey,
    /// Whether the low end of the key is the initiator.
    pub low_is_initiator: bool,
    /// Volume, times, state.
    pub stats: FlowStats,
    /// Why it ended.
    pub end_reason: Option<EndReason>,
    /// TCP: SYN, ACK, FIN and RST as each direction was seen to send them, `c2s` first. The others are not followed.
    pub tcp_flags: [u8; 2],
}

impl FlowRecord {
    /// Address and port of the initiator; the port is the ICMP identifier for echo flows, 0 without ports.
    pub fn initiator(&self) -> (Address, u16) {
        if self.low_is_initiator { (self.key.low, self.key.low_port) } else { (self.key.high, self.key.high_port) }
    }

    /// Address and port of the other end.
    pub fn responder(&self) -> (Address, u16) {
        if self.low_is_initiator { (self.key.high, self.key.high_port) } else { (self.key.low, self.key.low_port) }
    }

    /// Ports of the initiator and of the responder; `None` of what has none, ICMP among it.
    pub fn ports(&self) -> Option<[u16; 2]> {
        let has_ports = self.key.has_ports() && self.transport() != Transport::Icmp;
        has_ports.then(|| [self.initiator().1, self.responder().1])
    }

    /// The identifier that ICMP echoes are told apart by; `None` of all else.
    pub fn icmp_id(&self) -> Option<u16> {
        let is_echo = self.key.has_ports() && self.transport() == Transport::Icmp;
        is_echo.then(|| self.initiator().1)
    }

    /// Wire bytes in both directions.
    pub fn bytes(&self) -> u64 {
        self.stats.bytes_c2s + self.stats.bytes_s2c
    }

    /// Time between its first and last packet.
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(self.stats.last_seen.nanos_since(self.stats.first_seen))
    }

    /// Whether packets were seen in one direction only.
    pub fn is_one_sided(&self) -> bool {
        self.stats.packets_c2s == 0 || self.stats.packets_s2c == 0
    }

    /// Where it was seen.
    pub fn interface(&self) -> InterfaceId {
        self.key.interface
    }

    /// IP version.
    pub fn network(&self) -> Network {
        self.key.network()
    }

    /// Transport.
    pub fn transport(&self) -> Transport {
        self.key.transport()
    }

    /// VLAN tags.
    pub fn vlan(&self) -> VlanStack {
        self.key.vlan
    }

    /// The flow's id: a hash of key and first time with a fixed key, the same on every machine and run.
    pub fn id(&self) -> u64 {
        super::hash::flow_id(&self.key, self.stats.first_seen)
    }
}

/// Idle timeouts (RFC 5382 and RFC 4787 set the floors of NATs; these are a monitor's) and the active timeout.
///
/// Rounded up to 100 ms. Flows end at tick boundaries: no earlier than the timeout after their last packet, at most
/// 100 ms later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP before the handshake is complete.
    pub tcp_opening: Duration,
    /// TCP after it.
    pub tcp_established: Duration,
    /// TCP after the first FIN.
    pub tcp_closing: Duration,
    /// TCP after both FINs or a RST: how long stray segments still join the record.
    pub tcp_closed: Duration,
    /// UDP seen in both directions.
    pub udp: Duration,
    /// UDP seen in one direction.
    pub udp_one_way: Duration,
    /// ICMP and ICMPv6.
    pub icmp: Duration,
    /// Every other protocol.
    pub other: Duration,
    /// The longest a record may live; `None` for no limit.
    pub active: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            tcp_opening: Duration::from_secs(30),
            tcp_established: Duration::from_secs(3600),
            tcp_closing: Duration::from_secs(30),
            tcp_closed: Duration::from_secs(10),
            udp: Duration::from_secs(60),
            udp_one_way: Duration::from_secs(30),
            icmp: Duration::from_secs(30),
            other: Duration::from_secs(60),
            active: None,
        }
    }
}

/// How flows are tracked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The most records in all partitions together; each partition holds a 64th of it, one at least.
    pub max: usize,
    /// When silence ends a flow.
    pub timeouts: Timeouts,
    /// How late a segment may fill a gap and still count as out of order rather than retransmitted.
    pub reorder_limit: Duration,
    /// Measure round trips on data segments too; costs 32 bytes for each flow.
    pub continuous_rtt: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max: 1 << 21,
            timeouts: Timeouts::default(),
            reorder_limit: Duration::from_millis(3),
            continuous_rtt: false,
        }
    }
}
