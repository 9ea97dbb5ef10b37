//! What is read of the API's documents: the part that is shown. What is missing is as if it were null.

use serde::Deserialize;
use std::collections::BTreeMap;

/// `GET /api/v1/interfaces`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Interfaces {
    /// The end of the tick that the numbers are of; null before the first.
    pub(super) time: Option<String>,
    pub(super) interfaces: Vec<Interface>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Interface {
    pub(super) interface: String,
    /// By length, ascending.
    pub(super) windows: Vec<Window>,
    /// Since the start.
    pub(super) losses: Losses,
    pub(super) capture: Option<Capture>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Window {
    pub(super) window: String,
    pub(super) seconds: f64,
    /// Whether so much time has passed since the start.
    pub(super) full: bool,
    pub(super) receive: Rates,
    pub(super) transmit: Rates,
    pub(super) protocols: Vec<Protocol>,
    pub(super) tcp: Tcp,
    pub(super) handshake_rtt: Handshakes,
    pub(super) losses: Losses,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Rates {
    pub(super) packets_per_second: f64,
    pub(super) bytes_per_second: f64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Protocol {
    pub(super) network: String,
    pub(super) transport: String,
    pub(super) receive: Volume,
    pub(super) transmit: Volume,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Volume {
    pub(super) packets: u64,
    pub(super) bytes: u64,
}

/// A count for each direction.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Counts {
    pub(super) receive: u64,
    pub(super) transmit: u64,
}

impl Counts {
    /// Both directions.
    pub(super) fn sum(self) -> u64 {
        self.receive + self.transmit
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Tcp {
    pub(super) segments: Counts,
    pub(super) out_of_order_segments: Counts,
    pub(super) zero_window: Counts,
    pub(super) connections_opened: u64,
    pub(super) connection_failures: BTreeMap<String, u64>,
    pub(super) resets: BTreeMap<String, u64>,
    pub(super) retransmit_ratio: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Handshakes {
    pub(super) client: RoundTrips,
    pub(super) server: RoundTrips,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RoundTrips {
    pub(super) p50_seconds: Option<f64>,
    pub(super) p95_seconds: Option<f64>,
    pub(super) p99_seconds: Option<f64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Losses {
    /// By stage.
    pub(super) dropped_packets: BTreeMap<String, u64>,
    pub(super) parse_errors: Vec<ParseError>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ParseError {
    pub(super) packets: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Capture {
    pub(super) up: bool,
    pub(super) backend: String,
    pub(super) link_up: Option<bool>,
    pub(super) speed_bytes_per_second: Option<f64>,
    pub(super) paused: bool,
    pub(super) filter: Option<String>,
    pub(super) gaps_total: u64,
    pub(super) overlaps: Vec<String>,
    pub(super) lag_seconds: Option<f64>,
    pub(super) coverage: Vec<Coverage>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Coverage {
    pub(super) ratio: f64,
}

/// `GET /api/v1/talkers`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Talkers {
    pub(super) window: String,
    pub(super) rows: Vec<Talker>,
    pub(super) other: Moved,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Talker {
    pub(super) host: Option<String>,
    pub(super) hosts: Option<[String; 2]>,
    pub(super) transport: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) from_bytes: u64,
    pub(super) to_bytes: u64,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Moved {
    pub(super) from_bytes: u64,
    pub(super) to_bytes: u64,
}

/// `GET /api/v1/flows`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Flows {
    pub(super) flows: Vec<Flow>,
    /// Flows in the table that match.
    pub(super) matched: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Flow {
    pub(super) interface: Option<String>,
    pub(super) protocol: String,
    pub(super) src_ip: String,
    pub(super) src_port: Option<u16>,
    pub(super) dst_ip: String,
    pub(super) dst_port: Option<u16>,
    pub(super) icmp_id: Option<u16>,
    pub(super) state: String,
    pub(super) first_seen: String,
    pub(super) last_seen: String,
    pub(super) packets_c2s: u64,
    pub(super) bytes_c2s: u64,
    pub(super) packets_s2c: u64,
    pub(super) bytes_s2c: u64,
}

/// `GET /api/v1/alerts`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Alerts {
    pub(super) alerts: Vec<Alert>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Alert {
    pub(super) alert: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) severity: String,
    pub(super) state: String,
    pub(super) value: Option<f64>,
    pub(super) threshold: Option<f64>,
    pub(super) unit: String,
    pub(super) active_since: String,
    pub(super) blind: bool,
    pub(super) silenced_until: Option<String>,
}

/// A problem document of a refusal.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Problem {
    pub(super) title: Option<String>,
    pub(super) detail: Option<String>,
    /// What may be there.
    pub(super) allowed: serde_json::Value,
}

impl Interface {
    /// The shortest window: what moves now.
    pub(super) fn second(&self) -> Option<&Window> {
        self.windows.first()
    }

    /// The first window above one second, over which shares and health are shown.
    pub(super) fn window(&self) -> Option<&Window> {
        self.windows.iter().find(|window| window.seconds > 1.0).or(self.windows.first())
    }
}
