//! `GET /api/v1/status`: what netmon is, what it may, and for every interface how well it sees.

use super::api::documents::{Capture, Named, ParseError, named, parse_errors, text};
use crate::flow::{Untracked, Victim};
use crate::stats::{DropStage, InterfaceSnapshot, Snapshot};
use crate::time::Timestamp;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

/// Facts about the process, given by the wiring.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessStatus {
    /// Version of the package.
    pub version: &'static str,
    /// Source revision.
    pub revision: &'static str,
    /// Wall-clock time of the start.
    pub started: Timestamp,
    /// Time since the start, by the monotonic clock.
    pub uptime: Duration,
    /// Number of the configuration in force.
    pub config_generation: u64,
    /// Privileges held; `None` where the system does not say.
    pub privileges: Option<PrivilegeStatus>,
}

/// How confined the process is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct PrivilegeStatus {
    /// Effective user id 0.
    pub root: bool,
    /// CAP_NET_RAW is effective without being root.
    pub capability: bool,
    /// Privileges were held and given up.
    pub dropped: bool,
    /// A sandbox is in force.
    pub sandboxed: bool,
    /// The user netmon runs as; `None` where nothing was given up on purpose.
    pub user: Option<String>,
    /// Every layer, in the order in which they were applied.
    pub layers: Vec<LayerStatus>,
}

/// One way in which the process is confined.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct LayerStatus {
    /// Its name, as in metrics.
    pub layer: &'static str,
    /// `active`, `missing` or `off`.
    pub state: &'static str,
    /// Why it is missing.
    pub reason: Option<String>,
}

/// The whole document. What is not available is null.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Status {
    version: &'static str,
    revision: &'static str,
    started: String,
    uptime_seconds: f64,
    config_generation: u64,
    privileges: Option<PrivilegeStatus>,
    /// The end of the tick that the numbers are of.
    snapshot_time: Option<String>,
    /// Some interfaces see the same packets.
    overlapping: bool,
    /// What that means for sums.
    overlapping_note: Option<&'static str>,
    interfaces: Vec<InterfaceStatus>,
    flow_table: FlowTable,
    late_packets: u64,
    #[schema(value_type = std::collections::BTreeMap<String, u64>)]
    time_steps: Named,
}

/// What is seen and lost on an interface.
#[derive(Debug, Serialize, ToSchema)]
struct InterfaceStatus {
    interface: String,
    /// Null for interfaces nobody reports on: those counted together, and those not opened yet.
    capture: Option<Capture>,
    received_packets: u64,
    transmitted_packets: u64,
    #[schema(value_type = std::collections::BTreeMap<String, u64>)]
    dropped_packets: Named,
    truncated_packets: u64,
    parse_errors: Vec<ParseError>,
    first_seen: Option<String>,
    last_seen: Option<String>,
}

/// The table of flows.
#[derive(Debug, Serialize, ToSchema)]
struct FlowTable {
    entries: u64,
    limit: u64,
    #[schema(value_type = std::collections::BTreeMap<String, u64>)]
    evictions: Named,
    #[schema(value_type = std::collections::BTreeMap<String, u64>)]
    untracked_packets: Named,
}

impl Status {
    pub(super) fn new(process: &ProcessStatus, snapshot: &Snapshot) -> Self {
        let own = &snapshot.own;
        let overlapping = snapshot.interfaces.iter().any(|interface| !interface.capture.overlaps.is_empty());
        Self {
            version: process.version,
            revision: process.revision,
            started: text(process.started),
            uptime_seconds: process.uptime.as_secs_f64(),
            config_generation: match own.config_generation {
                0 => process.config_generation,
                generation => generation,
            },
            privileges: process.privileges.clone(),
            snapshot_time: snapshot.tick.map(|tick| text(tick.end())),
            overlapping,
            overlapping_note: overlapping.then_some(OVERLAPPING),
            interfaces: snapshot.interfaces.iter().map(|interface| InterfaceStatus::new(interface)).collect(),
            flow_table: FlowTable {
                entries: own.flow_table_entries,
                limit: own.flow_table_limit,
                evictions: named(Victim::ALL.map(Victim::name), own.evictions),
                untracked_packets: named(Untracked::ALL.map(Untracked::name), own.untracked),
            },
            late_packets: own.late_packets,
            time_steps: named(["forward", "backward"], own.time_steps),
        }
    }
}

impl InterfaceStatus {
    fn new(interface: &InterfaceSnapshot) -> Self {
        let totals = &interface.totals;
        Self {
            interface: interface.name.to_string(),
            capture: Capture::new(&interface.capture),
            received_packets: totals.volume[0].packets,
            transmitted_packets: totals.volume[1].packets,
            dropped_packets: named(DropStage::ALL.map(DropStage::name), totals.dropped_packets),
            truncated_packets: totals.truncated_packets,
            parse_errors: parse_errors(totals),
            first_seen: interface.first_seen.map(text),
            last_seen: interface.last_seen.map(text),
        }
    }
}

/// What overlapping interfaces mean for whoever adds numbers up.
const OVERLAPPING: &str = "some packets are seen on more than one monitored interface (`overlaps` names them): the \
     numbers of each interface are right, but sums over interfaces, talkers, address classes and flows count such \
     packets more than once";
