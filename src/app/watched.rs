//! One interface that is captured, or will be again: its rings, and what happened to it.

use super::live::{Order, Ring};
use super::opener::Adapters;
use super::wall_clock;
use crate::capture::InterfaceInfo;
use crate::capture::interfaces::Interface;
use crate::packet::{InterfaceId, Perspective};
use crate::stats::{Capture, Gap, KernelCounters};
use crate::time::Timestamp;
use ipnet::IpNet;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// One interface.
pub(super) struct Watched {
    /// As it was seen last.
    pub interface: Interface,
    pub id: InterfaceId,
    pub rings: Vec<Ring>,
    /// Whether the kernel has it.
    pub present: bool,
    /// Whether its rings have something to read from.
    pub attached: bool,
    /// Since when it is gone.
    pub since: Instant,
    /// When opening may be tried again.
    pub retry: Instant,
    /// The complaint that was logged last, so that it is logged once.
    pub complaint: Option<String>,
    /// Whether somebody asked for no capture until further notice.
    pub paused: bool,
    /// A filter that somebody set in place of the configured one.
    pub filter: Option<String>,
    attachments: u64,
    gaps: VecDeque<Gap>,
    gaps_total: u64,
    missed: u64,
}

impl Watched {
    #[expect(clippy::disallowed_methods, reason = "how long it is gone is a matter of the machine's clock")]
    pub(super) fn new(interface: &Interface, id: InterfaceId) -> Self {
        let now = Instant::now();
        Self {
            interface: interface.clone(),
            id,
            rings: Vec::new(),
            present: true,
            attached: false,
            since: now,
            retry: now,
            complaint: None,
            paused: false,
            filter: None,
            attachments: 0,
            gaps: VecDeque::new(),
            gaps_total: 0,
            missed: interface.kernel.map_or(0, |kernel| kernel.missed),
        }
    }

    /// Gives each ring what it reads from.
    pub(super) fn attach(&mut self, adapters: Adapters, local_networks: &[IpNet]) {
        for (ring, adapter) in self.rings.iter().zip(adapters) {
            ring.order(Order::Attach(adapter));
        }
        self.set_perspective(local_networks);
        self.attached = true;
        self.attachments += 1;
        self.complaint = None;
        self.note_state();
    }

    /// Takes away what the rings read from.
    pub(super) fn detach(&mut self, reason: &'static str) {
        self.attached = false;
        self.rings.iter().for_each(|ring| ring.order(Order::Detach));
        self.begin_gap(reason);
    }

    /// Down is a gap that ends when it is up.
    pub(super) fn note_state(&mut self) {
        if self.paused {
            self.begin_gap("paused");
        } else if self.interface.up {
            self.end_gap();
        } else {
            self.begin_gap("interface down");
        }
    }

    pub(super) fn begin_gap(&mut self, reason: &'static str) {
        if self.gaps.back().is_some_and(|gap| gap.to.is_none()) {
            return;
        }
        self.gaps_total += 1;
        self.gaps.push_back(Gap { from: wall_clock(), to: None, reason });
        if self.gaps.len() > Capture::MAX_GAPS {
            self.gaps.pop_front();
        }
    }

    fn end_gap(&mut self) {
        if let Some(gap) = self.gaps.back_mut().filter(|gap| gap.to.is_none()) {
            gap.to = Some(wall_clock());
        }
    }

    /// Tells the rings which addresses are on this side.
    pub(super) fn set_perspective(&self, local_networks: &[IpNet]) {
        for ring in &self.rings {
            ring.order(Order::Perspective(local_networks.to_vec(), self.info().perspective));
        }
    }

    /// As it is announced to a dealer; its adapters know its link type.
    pub(super) fn info(&self) -> InterfaceInfo {
        let Interface { name, mac, addresses, loopback, .. } = &self.interface;
        let perspective = Perspective {
            mac: *mac,
            addresses: addresses.iter().map(|network| network.addr()).collect(),
            local_networks: Vec::new(),
            loopback: *loopback,
        };
        InterfaceInfo { id: self.id, name: name.clone(), linktypes: Vec::new(), perspective }
    }

    /// Takes the kernel's counters as they were read at `at`, and tells what the interface itself lost since the last
    /// reading. They begin anew when the interface does.
    pub(super) fn set_kernel(&mut self, kernel: Option<KernelCounters>, at: Timestamp) {
        self.interface.kernel = kernel.map(|kernel| KernelCounters { at, ..kernel });
        let Some(kernel) = kernel else { return };
        let missed = kernel.missed.checked_sub(self.missed).unwrap_or(kernel.missed);
        self.missed = kernel.missed;
        if let Some(ring) = self.rings.first().filter(|_| missed > 0) {
            ring.order(Order::Missed(missed));
        }
    }

    /// Its state, as the rings report it; `configured` is what captures where nothing does at the moment.
    pub(super) fn capture(&self, configured: &'static str) -> Capture {
        let interface = &self.interface;
        let mut capture = Capture {
            up: self.attached && self.present,
            backend: configured,
            restarts: self.attachments.saturating_sub(1),
            paused: self.paused,
            loopback: interface.loopback,
            software: interface.loopback || interface.kind.is_some(),
            // Nothing handled since the last report is nothing waiting.
            lag: Some(Duration::ZERO),
            link_up: self.present.then(|| interface.link.up.unwrap_or(interface.up)),
            speed: interface.link.speed,
            mtu: interface.link.mtu,
            // Of an interface that is gone the kernel counts nothing.
            kernel: interface.kernel.filter(|_| self.present),
            rings: u32::try_from(self.rings.len()).unwrap_or(u32::MAX),
            gaps: self.gaps.iter().cloned().collect(),
            gaps_total: self.gaps_total,
            ..Capture::default()
        };
        let mut freezes = None;
        for ring in &self.rings {
            let mut status = ring.status();
            capture.backend = status.backend.unwrap_or(capture.backend);
            capture.linktype = status.linktype.or(capture.linktype);
            capture.lag = capture.lag.max(status.lag.take());
            freezes = freezes.max(Some(0)).map(|sum: u64| sum + status.freezes);
        }
        capture.ring_freezes = freezes.filter(|freezes| capture.backend == "af_packet" || *freezes > 0);
        capture
    }
}
