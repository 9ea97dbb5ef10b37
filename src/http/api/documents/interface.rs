//! Everything about one interface.

use super::capture::Losses;
use super::tcp::{HandshakeRtt, Histogram, Tcp};
use super::{Capture, Named, Volume, named, text, window_name};
use crate::flow::{EndReason, State};
use crate::packet::{Network, Transport, names};
use crate::stats::{self, CONVERSATIONS, Counters, InterfaceSnapshot, Snapshot, WindowSnapshot, conversation};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// One interface at one tick. `receive` and `transmit` at the top are totals since the start.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct Interface {
    /// Its name, or `other` for those beyond the cap.
    pub interface: String,
    /// The end of the tick that the numbers are of; null before the first.
    pub time: Option<String>,
    pub receive: Volume,
    pub transmit: Volume,
    pub captured_bytes: u64,
    pub broadcast_packets: u64,
    pub multicast_packets: u64,
    pub vlan_packets: u64,
    pub fragments: Fragments,
    pub first_seen: Option<String>,
    pub last_seen: Option<String>,
    /// Greatest one-second values since the start.
    pub peak: Peak,
    /// By length, ascending.
    pub windows: Vec<Window>,
    /// Since the start: one row for each IP version and protocol number, then ARP and the rest.
    pub protocols: Vec<Protocol>,
    /// Since the start, by the type behind the tags.
    pub ethertypes: Vec<Ethertype>,
    /// Since the start, by outermost tag; empty unless configured or never tagged.
    pub vlans: Vec<Vlan>,
    pub packet_size_bytes: Histogram,
    pub tcp: Tcp,
    /// Round trips of handshakes since the start.
    pub handshake_rtt_seconds: HandshakeHistograms,
    pub flows: FlowCounts,
    /// Since the start.
    pub losses: Losses,
    /// Null for interfaces that are counted together.
    pub capture: Option<Capture>,
}

/// First and later fragments.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(in crate::http) struct Fragments {
    pub first: u64,
    pub later: u64,
}

/// Greatest one-second values; packets and bytes each have their own second.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(in crate::http) struct Peak {
    pub receive_bytes_per_second: u64,
    pub receive_packets_per_second: u64,
    pub transmit_bytes_per_second: u64,
    pub transmit_packets_per_second: u64,
}

/// A rolling window: sums over it, and what they are in a second.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct Window {
    /// `1s`, `10s`, ...
    pub window: String,
    pub seconds: f64,
    /// Whether so much time has passed since the start or a jump of the clock.
    pub full: bool,
    pub receive: Rates,
    pub transmit: Rates,
    /// Pairs of network and transport that moved something.
    pub protocols: Vec<WindowProtocol>,
    pub tcp: Tcp,
    pub handshake_rtt: HandshakeRtt,
    pub losses: Losses,
}

/// One direction of a window.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(in crate::http) struct Rates {
    pub packets: u64,
    pub bytes: u64,
    pub packets_per_second: f64,
    pub bytes_per_second: f64,
    /// Greatest sum of ten consecutive ticks in the window.
    pub peak_packets_per_second: u64,
    pub peak_bytes_per_second: u64,
}

/// A network and a transport in a window.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(in crate::http) struct WindowProtocol {
    pub network: &'static str,
    pub transport: &'static str,
    pub receive: Volume,
    pub transmit: Volume,
}

/// A protocol since the start, both directions.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct Protocol {
    pub network: &'static str,
    pub transport: &'static str,
    /// IANA number; null where there is no IP.
    pub protocol: Option<u8>,
    pub name: Option<String>,
    pub packets: u64,
    pub bytes: u64,
}

/// A type behind the tags since the start, both directions.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct Ethertype {
    pub ethertype: String,
    pub name: Option<&'static str>,
    pub packets: u64,
    pub bytes: u64,
}

/// A VLAN since the start, both directions.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct Vlan {
    /// The outermost id, `untagged`, or `other` beyond the cap.
    pub vlan: String,
    pub packets: u64,
    pub bytes: u64,
}

/// Handshake round trips by side.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct HandshakeHistograms {
    pub client: Histogram,
    pub server: Histogram,
}

/// Flow records.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct FlowCounts {
    /// In the table now, by transport and state; those that exist.
    #[schema(value_type = BTreeMap<String, BTreeMap<String, u64>>)]
    pub table: BTreeMap<&'static str, Named>,
    /// Opened since the start, by transport.
    #[schema(value_type = BTreeMap<String, u64>)]
    pub opened: Named,
    /// Ended since the start, by transport and reason; those that happened.
    #[schema(value_type = BTreeMap<String, BTreeMap<String, u64>>)]
    pub closed: BTreeMap<&'static str, Named>,
    /// Ended with packets in one direction only.
    pub one_sided: u64,
}

impl Interface {
    pub(in crate::http) fn new(of: &InterfaceSnapshot, snapshot: &Snapshot) -> Self {
        let totals = &of.totals;
        let [ipv4, ipv6] = totals.fragments;
        let [client, server] = &of.handshake_rtt;
        Self {
            interface: of.name.to_string(),
            time: snapshot.tick.map(|tick| text(tick.end())),
            receive: totals.volume[0].into(),
            transmit: totals.volume[1].into(),
            captured_bytes: totals.captured_bytes,
            broadcast_packets: totals.broadcast_packets,
            multicast_packets: totals.multicast_packets,
            vlan_packets: totals.vlan_packets,
            fragments: Fragments { first: ipv4[0] + ipv6[0], later: ipv4[1] + ipv6[1] },
            first_seen: of.first_seen.map(text),
            last_seen: of.last_seen.map(text),
            peak: Peak::new(&of.peak),
            windows: of.windows.iter().map(Window::new).collect(),
            protocols: protocols(of),
            ethertypes: ethertypes(of),
            vlans: vlans(of),
            packet_size_bytes: Histogram::new(&of.packet_size, 1.0),
            tcp: Tcp::from(&totals.tcp),
            handshake_rtt_seconds: HandshakeHistograms {
                client: Histogram::new(client, 1e-9),
                server: Histogram::new(server, 1e-9),
            },
            flows: FlowCounts::new(of),
            losses: Losses::new(totals),
            capture: Capture::new(&of.capture),
        }
    }
}

impl Peak {
    fn new(peak: &stats::Peak) -> Self {
        let [receive, transmit] = peak.volume;
        Self {
            receive_bytes_per_second: receive.bytes,
            receive_packets_per_second: receive.packets,
            transmit_bytes_per_second: transmit.bytes,
            transmit_packets_per_second: transmit.packets,
        }
    }
}

impl Window {
    fn new(window: &WindowSnapshot) -> Self {
        let sums = &window.sums;
        let rates = |direction: usize| {
            let (volume, peak) = (sums.volume[direction], window.peak.volume[direction]);
            Rates {
                packets: volume.packets,
                bytes: volume.bytes,
                packets_per_second: window.per_second(volume.packets),
                bytes_per_second: window.per_second(volume.bytes),
                peak_packets_per_second: peak.packets,
                peak_bytes_per_second: peak.bytes,
            }
        };
        Self {
            window: window_name(window.length),
            seconds: window.length.as_secs_f64(),
            full: window.full,
            receive: rates(0),
            transmit: rates(1),
            protocols: window_protocols(sums),
            tcp: Tcp::from(&sums.tcp),
            handshake_rtt: window.handshake_rtt.into(),
            losses: Losses::new(sums),
        }
    }
}

fn window_protocols(sums: &Counters) -> Vec<WindowProtocol> {
    let [receive, transmit] = &sums.protocols;
    let rows = CONVERSATIONS.iter().zip(receive.iter().zip(transmit));
    rows.filter(|(_, (receive, transmit))| receive.packets + transmit.packets > 0)
        .map(|((network, transport), (receive, transmit))| WindowProtocol {
            network: network.name(),
            transport: transport.name(),
            receive: (*receive).into(),
            transmit: (*transmit).into(),
        })
        .collect()
}

fn protocols(of: &InterfaceSnapshot) -> Vec<Protocol> {
    let ip = of.ip_protocols.iter().map(|((is_v6, number), volume)| {
        let network = if *is_v6 { Network::Ipv6 } else { Network::Ipv4 };
        Protocol {
            network: network.name(),
            transport: Transport::of(network, *number).name(),
            protocol: Some(*number),
            name: Some(names::protocol(network, *number)),
            packets: volume.packets,
            bytes: volume.bytes,
        }
    });
    let without_ip = [Network::Arp, Network::Other].into_iter().filter_map(|network| {
        let index = conversation(network, Transport::Other);
        let [receive, transmit] = [of.totals.protocols[0][index], of.totals.protocols[1][index]];
        let packets = receive.packets + transmit.packets;
        (packets > 0).then(|| Protocol {
            network: network.name(),
            transport: Transport::Other.name(),
            protocol: None,
            name: None,
            packets,
            bytes: receive.bytes + transmit.bytes,
        })
    });
    ip.chain(without_ip).collect()
}

fn ethertypes(of: &InterfaceSnapshot) -> Vec<Ethertype> {
    let rows = of.ethertypes.iter();
    rows.map(|(ethertype, volume)| Ethertype {
        ethertype: ethertype.to_string(),
        name: names::ethertype(*ethertype),
        packets: volume.packets,
        bytes: volume.bytes,
    })
    .collect()
}

fn vlans(of: &InterfaceSnapshot) -> Vec<Vlan> {
    let row = |vlan: String, volume: &stats::Volume| Vlan { vlan, packets: volume.packets, bytes: volume.bytes };
    let name = |id: &Option<u16>| id.map_or_else(|| "untagged".to_owned(), |id| id.to_string());
    let other = (of.vlans_other.packets > 0).then(|| row("other".into(), &of.vlans_other));
    of.vlans.iter().map(|(id, volume)| row(name(id), volume)).chain(other).collect()
}

impl FlowCounts {
    fn new(of: &InterfaceSnapshot) -> Self {
        Self {
            table: by_transport(|n| some(State::ALL.map(State::name), of.flows[n])),
            opened: named(Transport::ALL.map(Transport::name), of.totals.flows_opened),
            closed: by_transport(|n| some(EndReason::ALL.map(EndReason::name), of.totals.flows_closed[n])),
            one_sided: of.totals.flows_one_sided,
        }
    }
}

fn by_transport(counts: impl Fn(usize) -> Named) -> BTreeMap<&'static str, Named> {
    let rows = Transport::ALL.into_iter().enumerate();
    rows.map(|(n, transport)| (transport.name(), counts(n))).filter(|(_, counts)| !counts.is_empty()).collect()
}

fn some<const N: usize>(names: [&'static str; N], counts: [u64; N]) -> Named {
    names.into_iter().zip(counts).filter(|(_, count)| *count > 0).collect()
}
