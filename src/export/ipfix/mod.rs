//! IPFIX, the protocol that flows are sent to collectors with (RFC 7011), over UDP, TCP and TLS.
//!
//! What is sent to whom:
//!
//! | template | what it describes |
//! |---|---|
//! | 256, 257 | flows of IPv4, of IPv6 |
//! | 258, 259 | flows of ICMP, of ICMPv6 |
//! | 260 | names of interfaces, by the number that flows give (options) |
//! | 261 | sampling: every packet was looked at (options, RFC 5477) |
//!
//! A flow is one record for each direction that had packets, or with [`Collector::biflow`] one record with reverse
//! elements (RFC 5103). Counts are deltas. Templates open every session; over UDP they are sent again.

mod collector;
mod message;
mod record;
mod sender;
mod template;
mod wire;

pub use collector::{Collector, Target, TargetError, Transport};
pub(super) use sender::Sender;
