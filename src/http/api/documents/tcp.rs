//! How healthy TCP is.

use super::{Counts, Named, named};
use crate::flow::{Failure, Phase};
use crate::stats::{self, Quantiles, TCP_FLAGS, TcpCounters};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// TCP counts, by direction of the packet.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct Tcp {
    /// Segments with a good header.
    pub segments: Counts,
    /// Segments whose sequence numbers were already seen.
    pub retransmitted_segments: Counts,
    /// Payload bytes of them.
    pub retransmitted_bytes: Counts,
    /// Segments that filled a gap in time.
    pub out_of_order_segments: Counts,
    pub duplicate_acks: Counts,
    /// Times a window went to zero.
    pub zero_window: Counts,
    /// Segments with a flag; `syn` is SYN without ACK, `synack` both.
    #[schema(value_type = BTreeMap<String, Counts>)]
    pub flags: BTreeMap<&'static str, Counts>,
    /// Handshakes completed.
    pub connections_opened: u64,
    #[schema(value_type = BTreeMap<String, u64>)]
    pub connection_failures: Named,
    #[schema(value_type = BTreeMap<String, u64>)]
    pub resets: Named,
    /// Retransmitted segments of all segments, both directions; null without segments.
    pub retransmit_ratio: Option<f64>,
}

impl From<&TcpCounters> for Tcp {
    fn from(tcp: &TcpCounters) -> Self {
        let flags = TCP_FLAGS.into_iter().enumerate();
        let both = |counts: [u64; 2]| counts[0] + counts[1];
        let segments = both(tcp.segments);
        Self {
            segments: tcp.segments.into(),
            retransmitted_segments: tcp.retransmitted_segments.into(),
            retransmitted_bytes: tcp.retransmitted_bytes.into(),
            out_of_order_segments: tcp.out_of_order_segments.into(),
            duplicate_acks: tcp.duplicate_acks.into(),
            zero_window: tcp.zero_window.into(),
            flags: flags.map(|(n, flag)| (flag, [tcp.flags[0][n], tcp.flags[1][n]].into())).collect(),
            connections_opened: tcp.connections_opened,
            connection_failures: named(Failure::ALL.map(Failure::name), tcp.connection_failures),
            resets: named(Phase::ALL.map(Phase::name), tcp.resets),
            retransmit_ratio: (segments > 0).then(|| both(tcp.retransmitted_segments) as f64 / segments as f64),
        }
    }
}

/// Handshake round trips by side: the capture point to the client, and to the server.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(in crate::http) struct HandshakeRtt {
    pub client: RoundTrips,
    pub server: RoundTrips,
}

/// Quantiles in seconds to two significant digits; null without values.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(in crate::http) struct RoundTrips {
    pub count: u64,
    pub p50_seconds: Option<f64>,
    pub p95_seconds: Option<f64>,
    pub p99_seconds: Option<f64>,
    pub max_seconds: Option<f64>,
}

impl From<[Quantiles; 2]> for HandshakeRtt {
    fn from([client, server]: [Quantiles; 2]) -> Self {
        Self { client: client.into(), server: server.into() }
    }
}

impl From<Quantiles> for RoundTrips {
    fn from(of: Quantiles) -> Self {
        let seconds = |nanos: u64| (of.count > 0).then(|| nanos as f64 / 1e9);
        Self {
            count: of.count,
            p50_seconds: seconds(of.p50),
            p95_seconds: seconds(of.p95),
            p99_seconds: seconds(of.p99),
            max_seconds: seconds(of.max),
        }
    }
}

/// Counts of values since the start.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct Histogram {
    pub count: u64,
    pub sum: f64,
    /// Those that hold something, in order.
    pub buckets: Vec<Bucket>,
}

/// Values up to a bound that are above the one before.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct Bucket {
    /// Null: beyond the last bound.
    pub le: Option<f64>,
    pub count: u64,
}

impl Histogram {
    pub(in crate::http) fn new(buckets: &stats::Buckets, unit: f64) -> Self {
        let bounds = buckets.bounds().iter().map(|bound| Some(*bound as f64 * unit)).chain([None]);
        let filled = bounds.zip(buckets.counts()).filter(|(_, count)| **count > 0);
        Self {
            count: buckets.count(),
            sum: buckets.sum() as f64 * unit,
            buckets: filled.map(|(le, count)| Bucket { le, count: *count }).collect(),
        }
    }
}
