//! `GET /api/v1/status`: what netmon is, what it may, and for every interface how well it sees.

use crate::flow::{Untracked, Victim};
use crate::packet::Reject;
use crate::stats::{Capture, DropStage, Gap, InterfaceSnapshot, Snapshot};
use crate::time::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::time::Duration;

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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LayerStatus {
    /// Its name, as in metrics.
    pub layer: &'static str,
    /// `active`, `missing` or `off`.
    pub state: &'static str,
    /// Why it is missing.
    pub reason: Option<String>,
}

/// The whole document. What is not available is null.
pub(super) fn document(process: &ProcessStatus, snapshot: &Snapshot) -> Value {
    let own = &snapshot.own;
    let overlapping = snapshot.interfaces.iter().any(|interface| !interface.capture.overlaps.is_empty());
    json!({
        "version": process.version,
        "revision": process.revision,
        "started": process.started.to_string(),
        "uptime_seconds": process.uptime.as_secs_f64(),
        "config_generation": if own.config_generation > 0 { own.config_generation } else { process.config_generation },
        "privileges": process.privileges,
        "snapshot_time": snapshot.tick.map(|tick| tick.end().to_string()),
        "overlapping": overlapping,
        "overlapping_note": overlapping.then_some(OVERLAPPING),
        "interfaces": snapshot.interfaces.iter().map(|interface| of_interface(interface)).collect::<Vec<_>>(),
        "flow_table": {
            "entries": own.flow_table_entries,
            "limit": own.flow_table_limit,
            "evictions": named(Victim::ALL.map(Victim::name), own.evictions),
            "untracked_packets": named(Untracked::ALL.map(Untracked::name), own.untracked),
        },
        "late_packets": own.late_packets,
        "time_steps": named(["forward", "backward"], own.time_steps),
    })
}

/// What overlapping interfaces mean for whoever adds numbers up.
const OVERLAPPING: &str = "some packets are seen on more than one monitored interface (`overlaps` names them): the \
     numbers of each interface are right, but sums over interfaces, talkers, address classes and flows count such \
     packets more than once";

fn of_interface(interface: &InterfaceSnapshot) -> Value {
    let totals = &interface.totals;
    json!({
        "interface": &*interface.name,
        "capture": of_capture(&interface.capture),
        "received_packets": totals.volume[0].packets,
        "transmitted_packets": totals.volume[1].packets,
        "dropped_packets": named(DropStage::ALL.map(DropStage::name), totals.dropped_packets),
        "truncated_packets": totals.truncated_packets,
        "parse_errors": rejects(interface),
        "first_seen": interface.first_seen.map(|time| time.to_string()),
        "last_seen": interface.last_seen.map(|time| time.to_string()),
    })
}

/// Null for interfaces nobody reports on: those counted together, and those not opened yet.
fn of_capture(capture: &Capture) -> Value {
    if capture.backend.is_empty() {
        return Value::Null;
    }
    let kernel = capture.kernel.map(|kernel| {
        json!({
            "receive": { "packets": kernel.packets[0], "bytes": kernel.bytes[0],
                         "dropped": kernel.dropped[0], "errors": kernel.errors[0] },
            "transmit": { "packets": kernel.packets[1], "bytes": kernel.bytes[1],
                          "dropped": kernel.dropped[1], "errors": kernel.errors[1] },
        })
    });
    let coverage = capture.coverage.iter();
    let coverage = coverage.map(|(window, ratio)| json!({ "window_seconds": window.as_secs_f64(), "ratio": ratio }));
    json!({
        "up": capture.up,
        "backend": capture.backend,
        "link": capture.linktype.map(|link| link.to_string()),
        "link_up": capture.link_up,
        "speed_bytes_per_second": capture.speed,
        "mtu_bytes": capture.mtu,
        "rings": capture.rings,
        "ring_freezes": capture.ring_freezes,
        "restarts": capture.restarts,
        "filtered": capture.filtered(),
        "filter": capture.filter,
        "gaps": capture.gaps.iter().map(of_gap).collect::<Vec<_>>(),
        "gaps_total": capture.gaps_total,
        "overlaps": capture.overlaps,
        "lag_seconds": capture.lag.map(|lag| lag.as_secs_f64()),
        "kernel": kernel,
        "coverage": coverage.collect::<Vec<_>>(),
    })
}

/// Newest last; the end is null while it lasts.
fn of_gap(gap: &Gap) -> Value {
    json!({ "from": gap.from.to_string(), "to": gap.to.map(|to| to.to_string()), "reason": gap.reason })
}

/// The rejects that happened, in the order of [`Reject::REAL`].
fn rejects(interface: &InterfaceSnapshot) -> Vec<Value> {
    let count = |reject: &Reject| interface.totals.parse_errors[reject.layer as usize][reject.reason as usize];
    let seen = Reject::REAL.iter().filter(|reject| count(reject) > 0);
    seen.map(|reject| json!({ "layer": reject.layer.name(), "reason": reject.reason.name(), "packets": count(reject) }))
        .collect()
}

fn named<const N: usize>(names: [&str; N], counts: [u64; N]) -> Map<String, Value> {
    names.into_iter().zip(counts).map(|(name, count)| (name.into(), count.into())).collect()
}
