//! The books of the wire: what the kernel at the far end moved, against what netmon says became of it.
//!
//! The identity that has to hold, to the frame, once the wire is quiet:
//!
//! ```text
//! frames on the wire = seen + dropped,   seen = parsed + rejected
//! ```
//!
//! - on the wire: transmitted plus received packets of `g0`, from the kernel; what `g0` sends `m0` receives and the other
//!   way round;
//! - seen: `netmon_interface_receive_packets_total` + `netmon_interface_transmit_packets_total` (the same as
//!   `netmon_capture_packets_total`). A frame that cannot be parsed still counts for its interface;
//! - rejected: `netmon_parse_errors_total`, one reason for each such frame;
//! - dropped: `netmon_capture_dropped_packets_total` over all stages, each lost frame at one of them.
//!
//! With a filter the kernel hides what does not match from the capture: then seen + dropped is what matches.

use super::Wire;
use crate::support::running::poll;
use std::time::Duration;

/// Counts of frames; from the start of the namespace and of netmon, or between two readings.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ledger {
    /// By the kernel at the far end.
    pub on_wire: f64,
    /// Handed over to netmon, parsed or not.
    pub seen: f64,
    /// Seen and not decodable.
    pub rejected: f64,
    /// Lost before netmon.
    pub dropped: f64,
}

impl Ledger {
    /// The present counts of `m0`.
    pub fn now(wire: &Wire) -> Self {
        let [[received, _], [transmitted, _]] = wire.generator.kernel_counters("g0");
        Self { on_wire: received + transmitted, ..Self::of_netmon(wire) }
    }

    /// Without the kernel's count, for when the pair is cut.
    pub fn of_netmon(wire: &Wire) -> Self {
        let page = wire.metrics();
        let sum = |name: &str| page.sum(name, &[("interface", "m0")]);
        Self {
            on_wire: 0.0,
            seen: sum("netmon_interface_receive_packets_total") + sum("netmon_interface_transmit_packets_total"),
            rejected: page.find("netmon_parse_errors_total", &[("interface", "m0")]).unwrap_or(0.0),
            dropped: sum("netmon_capture_dropped_packets_total"),
        }
    }

    /// What was added after `before`.
    pub fn since(self, before: &Self) -> Self {
        Self {
            on_wire: self.on_wire - before.on_wire,
            seen: self.seen - before.seen,
            rejected: self.rejected - before.rejected,
            dropped: self.dropped - before.dropped,
        }
    }

    /// Frames that the kernel moved and netmon does not account for.
    pub fn missing(&self) -> f64 {
        self.on_wire - self.seen - self.dropped
    }

    /// What was added after `before`, read once nothing is missing, or the wait is over.
    ///
    /// Losses are read once a second and counts go out every 100 ms, so this takes a moment on a quiet wire.
    pub fn settled(wire: &Wire, before: &Self) -> Self {
        const SETTLE: Duration = Duration::from_secs(5);
        poll(SETTLE, || Self::now(wire).since(before), |now| now.missing() == 0.0)
    }

    /// What was added after `before`, once netmon's counts stand still: some may be missing.
    pub fn at_rest(wire: &Wire, before: &Self) -> Self {
        const REST: Duration = Duration::from_millis(400);
        let mut last = Self::now(wire);
        loop {
            std::thread::sleep(REST);
            let now = Self::now(wire);
            if now == last {
                return now.since(before);
            }
            last = now;
        }
    }
}
