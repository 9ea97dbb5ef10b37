//! Flows: who talks to whom, since when, how much, in which state, and how healthy TCP is.
//!
//! Both directions of a conversation are one biflow (RFC 5103). [`ConnectionTracker`] folds packets into records of a
//! fixed size and reports what happened to a [`Listener`]. It reads no clock: packet time comes with the packets.

mod expiry;
mod hash;
mod health;
mod index;
mod key;
mod prefetch;
mod query;
mod record;
mod report;
mod rtt;
mod rules;
mod slots;
mod stats;
mod table;
mod tcp;
#[cfg(test)]
mod tests;
mod tracker;

pub use hash::HashKey;
pub use key::{FlowKey, PARTITIONS};
pub use query::{Best, By, FlowFilter, FlowQuery, FlowView, Protocol};
pub use record::FlowDelta;
pub use stats::{Config, EndReason, FlowRecord, FlowStats, State, Timeouts};
pub use table::LiveFlow;
pub use tcp::{Failure, Phase};
pub use tracker::{ConnectionTracker, Place};

use crate::packet::{Direction, InterfaceId, Transport};

/// Which end of a handshake a round trip was measured to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// SYN-ACK to ACK: between the capture point and the client.
    Client,
    /// SYN to SYN-ACK: between the capture point and the server.
    Server,
}

impl Side {
    /// Both, in the order of every array indexed by side.
    pub const ALL: [Self; 2] = [Self::Client, Self::Server];

    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// Which record had to make room when the table was full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Victim {
    /// TCP that never completed its handshake, or another flow seen in one direction only.
    HalfOpen,
    /// A flow that had been silent for at least a quarter of its idle timeout.
    Idle,
    /// The flow silent for longest among those looked at.
    Oldest,
}

impl Victim {
    /// All, in the order of every array indexed by victim.
    pub const ALL: [Self; 3] = [Self::HalfOpen, Self::Idle, Self::Oldest];

    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HalfOpen => "half_open",
            Self::Idle => "idle",
            Self::Oldest => "oldest",
        }
    }
}

/// Why a packet joined no flow, beyond rejects and truncation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Untracked {
    /// The table was full and nothing could be evicted.
    TableFull,
    /// A later fragment.
    Fragment,
    /// No good IP header.
    NotIp,
}

impl Untracked {
    /// All, in the order of every array indexed by it.
    pub const ALL: [Self; 3] = [Self::TableFull, Self::Fragment, Self::NotIp];

    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TableFull => "table_full",
            Self::Fragment => "fragment",
            Self::NotIp => "not_ip",
        }
    }
}

/// What a packet or the passing of time did to a flow. Interfaces and directions are those of the packet.
#[expect(missing_docs, reason = "each field is said at its variant or named by its type")]
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A record was made.
    Opened { interface: InterfaceId, transport: Transport },
    /// A record's state changed; `from` is `None` when it was made, `to` is `None` when it ended.
    StateChanged { interface: InterfaceId, transport: Transport, from: Option<State>, to: Option<State> },
    /// A TCP handshake completed.
    Established { interface: InterfaceId },
    /// A handshake round trip, in nanoseconds; only from segments sent once (Karn's rule). `flow` is the flow's id.
    HandshakeRtt { interface: InterfaceId, side: Side, nanos: u64, flow: u64 },
    /// A data to acknowledgement round trip (only with [`Config::continuous_rtt`]).
    Rtt { interface: InterfaceId, nanos: u64 },
    /// A TCP connection attempt failed.
    Failed { interface: InterfaceId, reason: Failure },
    /// An acceptable RST.
    Reset { interface: InterfaceId, phase: Phase },
    /// A segment whose sequence numbers were already seen.
    Retransmitted { interface: InterfaceId, direction: Direction, bytes: u32 },
    /// A segment that filled a gap inside the reorder limit.
    OutOfOrder { interface: InterfaceId, direction: Direction },
    /// A pure ACK repeated while data is outstanding (RFC 5681 section 2).
    DuplicateAck { interface: InterfaceId, direction: Direction },
    /// The advertised window went from open to zero.
    ZeroWindow { interface: InterfaceId, direction: Direction },
    /// A record ended; `record.end_reason` says why.
    Closed { record: &'a FlowRecord },
    /// A record had to make room (its `Closed` follows with reason `evicted`).
    Evicted { victim: Victim },
    /// A packet joined no flow.
    Untracked { reason: Untracked },
    /// Bytes a flow moved since they were last drained, because its record ends or they no longer fit its field.
    Moved { partition: usize, delta: &'a FlowDelta },
}

/// Receives what the tracker reports, in order. Implemented by the tally, and by collectors in tests.
pub trait Listener {
    /// Takes one event.
    fn on(&mut self, event: Event<'_>);
}
