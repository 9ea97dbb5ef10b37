//! Everything that is kept of one interface: totals, windows, histograms.

use super::counters::Integers;
use super::coverage::Coverage;
use super::groups::PortBytes;
use super::interface::{FlowGauge, InterfaceTally, add_gauge, add_optional};
use super::quantiles::QuantileWindow;
use super::window::Windows;
use super::{Buckets, Capture, Config, InterfaceSnapshot, Volume, WindowSnapshot};
use crate::packet::Ethertype;
use crate::time::{Tick, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The numbers of one interface since the start, and its windows.
///
/// Bounds: see [`Windows`], [`super::peak::Peaks`], [`QuantileWindow`], [`Coverage`] for what grows with the windows;
/// besides, one entry for each ethertype, IP protocol and VLAN id with its own series that occurred.
#[derive(Clone, Debug)]
pub(super) struct Series {
    name: Arc<str>,
    windows: Windows,
    /// By window, then side of the handshake.
    quantiles: Vec<(Duration, [QuantileWindow; 2])>,
    packet_size: Buckets,
    handshake_rtt: [Buckets; 2],
    rtt: Option<Buckets>,
    ethertypes: BTreeMap<Ethertype, Volume>,
    ip_protocols: BTreeMap<(bool, u8), Volume>,
    vlans: Option<Vlans>,
    ports: Option<PortBytes>,
    flows: FlowGauge<i64>,
    seen: Option<(Timestamp, Timestamp)>,
    capture: Capture,
    coverage: Coverage,
    /// The last picture, while it is still true.
    picture: Option<Arc<InterfaceSnapshot>>,
}

impl Series {
    pub(super) fn new(name: Arc<str>, config: &Config, now: Tick) -> Self {
        let ticks: Vec<u64> = config.windows.iter().map(|length| ticks(*length)).collect();
        let blank = InterfaceTally::new(config);
        let quantiles = |length: &Duration| {
            let window = QuantileWindow::new(*length);
            (*length, [window.clone(), window])
        };
        Self {
            name,
            windows: Windows::new(now, &ticks),
            quantiles: config.windows.iter().map(quantiles).collect(),
            packet_size: Buckets::new(Buckets::PACKET_SIZE),
            handshake_rtt: blank.handshake_rtt,
            rtt: blank.rtt,
            ethertypes: BTreeMap::new(),
            ip_protocols: BTreeMap::new(),
            vlans: config.vlans.map(|vlans| Vlans::new(vlans.max)),
            ports: blank.ports,
            flows: FlowGauge::default(),
            seen: None,
            capture: Capture::default(),
            coverage: Coverage::new(config, now),
            picture: None,
        }
    }

    /// Adds a shard's counts to the open tick, which is `now`.
    pub(super) fn fold(&mut self, now: Tick, tally: &InterfaceTally) {
        self.picture = None;
        self.windows.add(&tally.counters);
        let [receive, transmit] = tally.counters.volume;
        self.packet_size.add_lengths(&tally.lengths, receive.bytes + transmit.bytes);
        tally.each_ethertype(|ethertype, volume| self.ethertypes.entry(ethertype).or_default().add(&volume));
        tally.each_ip_protocol(|protocol, volume| self.ip_protocols.entry(protocol).or_default().add(&volume));
        if let Some(vlans) = &mut self.vlans {
            tally.vlans.iter().for_each(|(id, volume)| vlans.open.entry(*id).or_default().add(volume));
        }
        add_optional(&mut self.ports, &tally.ports, PortBytes::add);
        add_optional(&mut self.rtt, &tally.rtt, Buckets::merge);
        add_gauge(&mut self.flows, &tally.flows);
        for side in 0..2 {
            self.handshake_rtt[side].merge(&tally.handshake_rtt[side]);
            for (_, window) in &mut self.quantiles {
                window[side].add(now, &tally.handshake_samples[side]);
            }
        }
        if let Some((first, last)) = tally.seen() {
            let (earliest, latest) = self.seen.unwrap_or((first, last));
            self.seen = Some((earliest.min(first), latest.max(last)));
        }
    }

    /// Moves the windows to `now`; an interface without traffic in any of them costs next to nothing.
    pub(super) fn advance(&mut self, now: Tick) {
        let mut changed = !self.windows.are_empty();
        changed |= self.coverage.advance(now, self.seen_bytes());
        self.windows.advance(now);
        for window in self.quantiles.iter_mut().flat_map(|(_, sides)| sides) {
            changed |= window.advance(now);
        }
        if changed {
            self.picture = None;
        }
        self.settle();
    }

    /// Gives the open tick's VLANs their series.
    fn settle(&mut self) {
        if let Some(vlans) = &mut self.vlans {
            vlans.settle();
        }
    }

    /// Starts the windows empty at `now`; totals stay.
    pub(super) fn restart(&mut self, now: Tick) {
        self.settle();
        self.windows.restart(now);
        self.quantiles.iter_mut().flat_map(|(_, sides)| sides).for_each(QuantileWindow::restart);
        self.coverage.restart(now, self.seen_bytes());
        self.picture = None;
    }

    /// What the kernel should have counted, if nothing was missed.
    fn seen_bytes(&self) -> u64 {
        let totals = self.windows.totals();
        let [receive, transmit] = totals.volume;
        // A device that is only software counts a super-frame as the one frame that it is.
        let header_bytes = if self.capture.software { 0 } else { totals.offloaded_header_bytes };
        receive.bytes + transmit.bytes + header_bytes
    }

    /// Takes what the capture edge says.
    pub(super) fn capture(&mut self, mut capture: Capture) {
        self.coverage.reading(&capture);
        capture.gaps.drain(..capture.gaps.len().saturating_sub(Capture::MAX_GAPS));
        self.capture = capture;
        self.picture = None;
    }

    /// Goes on under another name.
    pub(super) fn rename(&mut self, name: Arc<str>) {
        self.name = name;
        self.picture = None;
    }

    /// Nobody captures it any more; returns its open flows, which end where its packets are counted now.
    pub(super) fn gone(&mut self) -> FlowGauge<i64> {
        self.capture = std::mem::take(&mut self.capture).gone();
        self.coverage.forget();
        self.picture = None;
        std::mem::take(&mut self.flows)
    }

    /// Takes over open flows.
    pub(super) fn add_flows(&mut self, flows: &FlowGauge<i64>) {
        add_gauge(&mut self.flows, flows);
        self.picture = None;
    }

    /// Frames in VLANs beyond those with their own series.
    pub(super) fn vlan_overflow(&self) -> u64 {
        self.vlans.as_ref().map_or(0, |vlans| vlans.other.packets)
    }

    /// The picture of this interface has to be made again.
    pub(super) fn touch(&mut self) {
        self.picture = None;
    }

    /// The picture now; `full` says of each window whether it has passed.
    pub(super) fn snapshot(&mut self, full: &[bool]) -> Arc<InterfaceSnapshot> {
        self.settle();
        if let Some(picture) = &self.picture {
            return Arc::clone(picture);
        }
        let picture = Arc::new(self.picture(full));
        self.picture = Some(Arc::clone(&picture));
        picture
    }

    fn picture(&self, full: &[bool]) -> InterfaceSnapshot {
        let totals = self.windows.totals();
        let mut windows = Vec::with_capacity(full.len());
        for (((sums, peak), (length, sides)), full) in self.windows.each().zip(&self.quantiles).zip(full) {
            let handshake_rtt = [sides[0].quantiles(), sides[1].quantiles()];
            windows.push(WindowSnapshot { length: *length, sums, peak, full: *full, handshake_rtt });
        }
        let gauge = self.flows.map(|states| states.map(|count| u64::try_from(count).unwrap_or(0)));
        InterfaceSnapshot {
            name: Arc::clone(&self.name),
            totals,
            windows,
            peak: self.windows.peak(),
            packet_size: self.packet_size.clone(),
            handshake_rtt: self.handshake_rtt.clone(),
            rtt: self.rtt.clone(),
            ethertypes: self.ethertypes.clone(),
            ip_protocols: self.ip_protocols.clone(),
            vlans: self.vlans.as_ref().map_or_else(BTreeMap::new, |vlans| vlans.shown(&totals.volume)),
            vlans_other: self.vlans.as_ref().map_or_else(Volume::default, |vlans| vlans.other),
            ports: self.ports.as_ref().map_or_else(Vec::new, PortBytes::rows),
            flows: gauge,
            first_seen: self.seen.map(|(first, _)| first),
            last_seen: self.seen.map(|(_, last)| last),
            capture: Capture { coverage: self.coverage.ratios(), ..self.capture.clone() },
        }
    }
}

/// Length of a window in ticks, at least a second.
pub(super) fn ticks(length: Duration) -> u64 {
    let ticks = length.as_nanos() / u128::from(Tick::NANOS);
    u64::try_from(ticks).unwrap_or(u64::MAX).max(Tick::PER_SECOND)
}

/// Volume by outermost VLAN id, for at most `max` ids: those that come first, the smaller of two that come in the same
/// tick. So the ids with a series do not depend on the order in which shards report.
#[derive(Clone, Debug)]
struct Vlans {
    max: usize,
    listed: BTreeMap<u16, Volume>,
    other: Volume,
    open: BTreeMap<u16, Volume>,
}

impl Vlans {
    fn new(max: usize) -> Self {
        Self { max, listed: BTreeMap::new(), other: Volume::default(), open: BTreeMap::new() }
    }

    fn settle(&mut self) {
        while let Some((id, volume)) = self.open.pop_first() {
            if self.listed.len() < self.max || self.listed.contains_key(&id) {
                self.listed.entry(id).or_default().add(&volume);
            } else {
                self.other.add(&volume);
            }
        }
    }

    /// With the rest of `total` as untagged; empty if nothing was tagged.
    fn shown(&self, total: &[Volume; 2]) -> BTreeMap<Option<u16>, Volume> {
        let mut untagged = Volume::default();
        total.iter().for_each(|volume| untagged.add(volume));
        for tagged in self.listed.values().chain([&self.other]) {
            untagged.packets -= tagged.packets;
            untagged.bytes -= tagged.bytes;
        }
        let mut shown: BTreeMap<_, _> = self.listed.iter().map(|(id, volume)| (Some(*id), *volume)).collect();
        if !shown.is_empty() || self.other.packets > 0 {
            shown.insert(None, untagged);
        }
        shown
    }
}
