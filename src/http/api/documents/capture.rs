//! How well an interface is seen.

use super::{Named, Volume, named, text};
use crate::packet::Reject;
use crate::stats::{self, Counters, DropStage, Gap};
use serde::Serialize;
use utoipa::ToSchema;

/// State of a capture, with everything that it does not show.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct Capture {
    /// Open and reading.
    pub up: bool,
    /// `libpcap`, `af_packet` or `replay`.
    pub backend: &'static str,
    /// Link type.
    pub link: Option<String>,
    pub link_up: Option<bool>,
    pub speed_bytes_per_second: Option<u64>,
    pub mtu_bytes: Option<u32>,
    pub rings: u32,
    /// Times a ring was full.
    pub ring_freezes: Option<u64>,
    /// Times it was opened again.
    pub restarts: u64,
    /// Somebody asked for no capture until further notice.
    pub paused: bool,
    /// A filter is in force: kernel counters and ours are of different frames.
    pub filtered: bool,
    pub filter: Option<String>,
    /// Newest intervals without capture, oldest first.
    pub gaps: Vec<CaptureGap>,
    pub gaps_total: u64,
    /// Other monitored interfaces on which the same packets are seen.
    pub overlaps: Vec<String>,
    pub lag_seconds: Option<f64>,
    pub kernel: Option<Kernel>,
    pub coverage: Vec<Coverage>,
}

/// An interval without capture, by the wall clock.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct CaptureGap {
    pub from: String,
    /// Null while it lasts.
    pub to: Option<String>,
    pub reason: &'static str,
}

/// The kernel's own counters.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct Kernel {
    pub receive: KernelCounts,
    pub transmit: KernelCounts,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct KernelCounts {
    pub packets: u64,
    pub bytes: u64,
    pub dropped: u64,
    pub errors: u64,
}

/// Captured bytes of the kernel's bytes.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct Coverage {
    pub window_seconds: f64,
    pub ratio: f64,
}

/// Frames that could not be read, at a layer and for a reason.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct ParseError {
    pub layer: &'static str,
    pub reason: &'static str,
    pub packets: u64,
}

/// What is lost before or in parsing.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct Losses {
    /// By stage: `kernel` (buffer full), `interface` (device), `queue` (ours).
    #[schema(value_type = std::collections::BTreeMap<String, u64>)]
    pub dropped_packets: Named,
    /// Lost of lost and seen; null when there was neither.
    pub drop_ratio: Option<f64>,
    /// Frames captured shorter than they were.
    pub cut_packets: u64,
    /// Frames of which a needed header was cut.
    pub truncated_packets: u64,
    pub parse_errors: Vec<ParseError>,
}

impl Capture {
    /// Null for interfaces nobody reports on: those counted together, and those not opened yet.
    pub(in crate::http) fn new(capture: &stats::Capture) -> Option<Self> {
        let coverage = capture.coverage.iter();
        (!capture.backend.is_empty()).then(|| Self {
            up: capture.up,
            backend: capture.backend,
            link: capture.linktype.map(|link| link.to_string()),
            link_up: capture.link_up,
            speed_bytes_per_second: capture.speed,
            mtu_bytes: capture.mtu,
            rings: capture.rings,
            ring_freezes: capture.ring_freezes,
            restarts: capture.restarts,
            paused: capture.paused,
            filtered: capture.filtered(),
            filter: capture.filter.clone(),
            gaps: capture.gaps.iter().map(CaptureGap::new).collect(),
            gaps_total: capture.gaps_total,
            overlaps: capture.overlaps.clone(),
            lag_seconds: capture.lag.map(|lag| lag.as_secs_f64()),
            kernel: capture.kernel.map(Kernel::new),
            coverage: coverage
                .map(|(window, ratio)| Coverage { window_seconds: window.as_secs_f64(), ratio: *ratio })
                .collect(),
        })
    }
}

impl CaptureGap {
    /// Newest last; the end is null while it lasts.
    fn new(gap: &Gap) -> Self {
        Self { from: text(gap.from), to: gap.to.map(text), reason: gap.reason }
    }
}

impl Kernel {
    fn new(kernel: stats::KernelCounters) -> Self {
        let counts = |n: usize| KernelCounts {
            packets: kernel.packets[n],
            bytes: kernel.bytes[n],
            dropped: kernel.dropped[n],
            errors: kernel.errors[n],
        };
        Self { receive: counts(0), transmit: counts(1) }
    }
}

impl Losses {
    pub(in crate::http) fn new(counters: &Counters) -> Self {
        let dropped: u64 = counters.dropped_packets.iter().sum();
        let seen: u64 = counters.volume.iter().map(|volume| Volume::from(*volume).packets).sum();
        let all = dropped + seen;
        Self {
            dropped_packets: named(DropStage::ALL.map(DropStage::name), counters.dropped_packets),
            drop_ratio: (all > 0).then(|| dropped as f64 / all as f64),
            cut_packets: counters.cut_packets,
            truncated_packets: counters.truncated_packets,
            parse_errors: parse_errors(counters),
        }
    }
}

/// The rejects that happened, in the order of [`Reject::REAL`].
pub(in crate::http) fn parse_errors(counters: &Counters) -> Vec<ParseError> {
    let count = |reject: &Reject| counters.parse_errors[reject.layer as usize][reject.reason as usize];
    let seen = Reject::REAL.iter().filter(|reject| count(reject) > 0);
    seen.map(|reject| ParseError { layer: reject.layer.name(), reason: reject.reason.name(), packets: count(reject) })
        .collect()
}
