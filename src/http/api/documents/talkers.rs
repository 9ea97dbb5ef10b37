//! Who moves most.

use crate::stats::{self, TalkerKey, TalkerTable};
use serde::Serialize;
use std::net::IpAddr;
use std::time::Duration;
use utoipa::ToSchema;

/// One list of top talkers over one window.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct TalkerList {
    /// `10s`, ...
    pub window: String,
    /// `hosts`, `pairs` or `ports`.
    pub kind: &'static str,
    pub rows: Vec<Talker>,
    /// Bytes of everything that the lists do not keep. Rows and this are all flows.
    pub other: Moved,
    /// The most bytes that a row may be short of.
    pub error_bound_bytes: u64,
    /// Rows before and behind those of this page.
    pub total: usize,
}

/// One row. A host has `host`; a pair has `hosts`; a port has `transport` and `port`.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub(in crate::http) struct Talker {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub host: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>, nullable = false)]
    pub hosts: Option<[IpAddr; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub transport: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub port: Option<u16>,
    /// Sent by the host, by the first of the pair, or by the side that has the port.
    pub from_bytes: u64,
    /// Received by it.
    pub to_bytes: u64,
    /// Of both, over the length of the window.
    pub bytes_per_second: f64,
}

/// Bytes from and to.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(in crate::http) struct Moved {
    pub from_bytes: u64,
    pub to_bytes: u64,
}

/// The kinds of lists, in the order of [`TalkerTable::other`].
pub(in crate::http) const KINDS: [&str; 3] = ["hosts", "pairs", "ports"];

impl TalkerList {
    /// The whole list of a kind (index into [`KINDS`]), largest first.
    pub(in crate::http) fn new(table: &TalkerTable, kind: usize) -> Self {
        let rows = [&table.hosts, &table.pairs, &table.ports][kind];
        let [from_bytes, to_bytes] = table.other[kind];
        Self {
            window: window_name(table.length),
            kind: KINDS[kind],
            rows: rows.iter().map(|talker| Talker::new(talker, table.length)).collect(),
            other: Moved { from_bytes, to_bytes },
            error_bound_bytes: table.error_bound[kind],
            total: rows.len(),
        }
    }
}

impl Talker {
    fn new(of: &stats::Talker, length: Duration) -> Self {
        let (from_bytes, to_bytes) = (of.from_bytes, of.to_bytes);
        let bytes_per_second = (from_bytes + to_bytes) as f64 / length.as_secs_f64();
        let row = Self { from_bytes, to_bytes, bytes_per_second, ..Self::default() };
        match of.key {
            TalkerKey::Host(host) => Self { host: Some(host), ..row },
            TalkerKey::Pair(one, other) => Self { hosts: Some([one, other]), ..row },
            TalkerKey::Port(transport, port) => Self { transport: Some(transport.name()), port: Some(port), ..row },
        }
    }
}

/// `10s`; windows are whole seconds.
pub(in crate::http) fn window_name(length: Duration) -> String {
    format!("{}s", length.as_secs())
}
