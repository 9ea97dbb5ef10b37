//! What one shard adds up on one interface.

use super::counters::Integers;
use super::groups::PortBytes;
use super::histogram::FrameLengths;
use super::quantiles::Samples;
use super::{Buckets, CONVERSATIONS, Config, Counters, TCP_FLAGS, TcpCounters, Volume, conversation};
use crate::flow::State;
use crate::packet::{
    Attribution, Cast, Direction, Ethertype, Fragment, Header, Network, ParsedPacket, TcpSegment, Transport, flag,
};
use crate::time::Timestamp;
use hashbrown::HashMap;

/// Flows by transport, then state.
pub(super) type FlowGauge<T> = [[T; State::ALL.len()]; Transport::ALL.len()];

/// Counts of one interface since it was cleared.
///
/// What can be derived is not counted: the sum of frame lengths, the usual ethertype of a network, the protocol number
/// of a named transport, untagged frames.
///
/// Bounds: about 4 KiB, and a map entry for each unusual ethertype (65 536 exist), IP protocol (2 × 256) and VLAN id
/// (4 096) that occurred.
#[derive(Clone, Debug)]
pub(super) struct InterfaceTally {
    pub(super) counters: Counters,
    pub(super) lengths: FrameLengths,
    first_seen: u64,
    last_seen: u64,
    /// Whether anything was counted.
    pub(super) touched: bool,
    count_vlans: bool,
    /// Types other than the usual one of their network.
    unusual_ethertypes: HashMap<(Network, Ethertype), Volume>,
    /// Protocols under [`Transport::Other`], by IP version and number.
    unnamed_protocols: HashMap<(bool, u8), Volume>,
    pub(super) vlans: HashMap<u16, Volume>,
    pub(super) ports: Option<PortBytes>,
    pub(super) flows: FlowGauge<i64>,
    pub(super) handshake_rtt: [Buckets; 2],
    pub(super) handshake_samples: [Samples; 2],
    pub(super) rtt: Option<Buckets>,
}

impl InterfaceTally {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            counters: Counters::default(),
            lengths: FrameLengths::default(),
            first_seen: u64::MAX,
            last_seen: 0,
            touched: false,
            count_vlans: config.vlans.is_some(),
            unusual_ethertypes: HashMap::new(),
            unnamed_protocols: HashMap::new(),
            vlans: HashMap::new(),
            ports: PortBytes::new(config),
            flows: FlowGauge::default(),
            handshake_rtt: [Buckets::new(Buckets::RTT), Buckets::new(Buckets::RTT)],
            handshake_samples: [Samples::default(), Samples::default()],
            rtt: config.continuous_rtt.then(|| Buckets::new(Buckets::RTT)),
        }
    }

    /// Counts frames. Of those that are plain, sums are kept on the way and spread when all are counted.
    pub(super) fn packets(&mut self, packets: &[ParsedPacket]) {
        let (mut captured_bytes, mut cut_packets) = (0, 0);
        // By direction; TCP, then UDP.
        let mut plain = [[Volume::default(); 2]; Direction::ALL.len()];
        let (mut first_seen, mut last_seen) = (Timestamp::MAX, Timestamp::MIN);
        for packet in packets {
            captured_bytes += u64::from(packet.caplen);
            cut_packets += u64::from(packet.caplen < packet.wire_len);
            first_seen = first_seen.min(packet.timestamp);
            last_seen = last_seen.max(packet.timestamp);
            self.lengths.count(packet.wire_len);
            if packet.is_plain && !may_be_superframe(packet) {
                let is_datagram = packet.transport == Transport::Udp;
                plain[packet.direction as usize][usize::from(is_datagram)].count(packet.wire_len);
            } else {
                self.packet(packet);
            }
        }
        for (direction, [segments, datagrams]) in plain.iter().enumerate() {
            let counters = &mut self.counters;
            counters.volume[direction].add(segments);
            counters.volume[direction].add(datagrams);
            counters.protocols[direction][conversation(Network::Ipv4, Transport::Tcp)].add(segments);
            counters.protocols[direction][conversation(Network::Ipv4, Transport::Udp)].add(datagrams);
            counters.tcp.segments[direction] += segments.packets;
        }
        if let Some(ports) = &mut self.ports {
            packets.iter().for_each(|packet| ports.count(packet));
        }
        self.counters.captured_bytes += captured_bytes;
        self.counters.cut_packets += cut_packets;
        self.first_seen = self.first_seen.min(first_seen.as_nanos());
        self.last_seen = self.last_seen.max(last_seen.as_nanos());
    }

    /// Counts all that a frame of any kind has in its headers.
    #[inline(never)]
    fn packet(&mut self, packet: &ParsedPacket) {
        let counters = &mut self.counters;
        let direction = packet.direction as usize;
        counters.volume[direction].count(packet.wire_len);
        counters.protocols[direction][conversation(packet.network, packet.transport)].count(packet.wire_len);
        match packet.header {
            Header::Tcp(segment) if packet.attribution == Attribution::Ports => {
                counters.tcp.count_segment(direction, &segment);
                if may_be_superframe(packet) {
                    counters.count_superframe(packet);
                }
            }
            Header::Ports if packet.gso_size != 0 => counters.count_superframe(packet),
            Header::Icmp(message) => counters.icmp[ip_index(packet.network)][message as usize] += 1,
            _ => {}
        }
        if is_unusual(packet) {
            self.unusual_packet(packet);
        }
    }

    #[inline(never)]
    fn unusual_packet(&mut self, packet: &ParsedPacket) {
        let counters = &mut self.counters;
        match packet.cast {
            Cast::Unicast => {}
            Cast::Multicast => counters.multicast_packets += 1,
            Cast::Broadcast => counters.broadcast_packets += 1,
        }
        match packet.fragment {
            Fragment::Whole => {}
            Fragment::First => counters.fragments[ip_index(packet.network)][0] += 1,
            Fragment::Later => counters.fragments[ip_index(packet.network)][1] += 1,
        }
        counters.truncated_packets += u64::from(packet.truncated);
        if let Some(reject) = packet.reject {
            counters.parse_errors[reject.layer as usize][reject.reason as usize] += 1;
        }
        if let Some(id) = packet.vlan.outer() {
            counters.vlan_packets += 1;
            if self.count_vlans {
                self.vlans.entry(id).or_default().count(packet.wire_len);
            }
        }
        if packet.ethertype != usual_ethertype(packet.network) {
            self.unusual_ethertypes.entry((packet.network, packet.ethertype)).or_default().count(packet.wire_len);
        }
        if packet.transport == Transport::Other && packet.network.is_ip() {
            let key = (packet.network == Network::Ipv6, packet.protocol);
            self.unnamed_protocols.entry(key).or_default().count(packet.wire_len);
        }
    }

    /// Volume by type behind the tags.
    pub(super) fn each_ethertype(&self, mut visit: impl FnMut(Ethertype, Volume)) {
        let mut usual: [(Network, Volume); 4] =
            [Network::Ipv4, Network::Ipv6, Network::Arp, Network::Other].map(|network| (network, self.volume(network)));
        for ((of, ethertype), volume) in &self.unusual_ethertypes {
            for (_, rest) in usual.iter_mut().filter(|(network, _)| network == of) {
                rest.packets -= volume.packets;
                rest.bytes -= volume.bytes;
            }
            visit(*ethertype, *volume);
        }
        for (network, volume) in usual.into_iter().filter(|(_, volume)| volume.packets > 0) {
            visit(usual_ethertype(network), volume);
        }
    }

    fn volume(&self, of: Network) -> Volume {
        let mut sum = Volume::default();
        for direction in &self.counters.protocols {
            for (_, volume) in CONVERSATIONS.iter().zip(direction).filter(|((network, _), _)| *network == of) {
                sum.add(volume);
            }
        }
        sum
    }

    /// Volume by IP version (`true` is 6) and protocol number.
    pub(super) fn each_ip_protocol(&self, mut visit: impl FnMut((bool, u8), Volume)) {
        let [receive, transmit] = &self.counters.protocols;
        for (index, (network, transport)) in CONVERSATIONS.into_iter().enumerate() {
            let Some(number) = protocol_number(network, transport) else { continue };
            let mut sum = receive[index];
            sum.add(&transmit[index]);
            if sum.packets > 0 {
                visit((network == Network::Ipv6, number), sum);
            }
        }
        self.unnamed_protocols.iter().for_each(|(key, volume)| visit(*key, *volume));
    }

    /// Least and greatest record time.
    pub(super) fn seen(&self) -> Option<(Timestamp, Timestamp)> {
        let seen = (Timestamp::from_nanos(self.first_seen), Timestamp::from_nanos(self.last_seen));
        (self.first_seen <= self.last_seen).then_some(seen)
    }

    pub(super) fn absorb(&mut self, other: &Self) {
        self.touched |= other.touched;
        self.counters.add(&other.counters);
        self.lengths.add(&other.lengths);
        self.first_seen = self.first_seen.min(other.first_seen);
        self.last_seen = self.last_seen.max(other.last_seen);
        merge_volumes(&mut self.unusual_ethertypes, &other.unusual_ethertypes);
        merge_volumes(&mut self.unnamed_protocols, &other.unnamed_protocols);
        merge_volumes(&mut self.vlans, &other.vlans);
        add_optional(&mut self.ports, &other.ports, PortBytes::add);
        add_optional(&mut self.rtt, &other.rtt, Buckets::merge);
        add_gauge(&mut self.flows, &other.flows);
        for side in 0..2 {
            self.handshake_rtt[side].merge(&other.handshake_rtt[side]);
            self.handshake_samples[side].merge(&other.handshake_samples[side]);
        }
    }

    pub(super) fn clear(&mut self) {
        if !self.touched {
            return;
        }
        self.touched = false;
        self.counters = Counters::default();
        self.lengths = FrameLengths::default();
        (self.first_seen, self.last_seen) = (u64::MAX, 0);
        self.unusual_ethertypes.clear();
        self.unnamed_protocols.clear();
        self.vlans.clear();
        self.flows = FlowGauge::default();
        self.handshake_rtt.iter_mut().for_each(Buckets::clear);
        self.handshake_samples.iter_mut().for_each(Samples::clear);
        if let Some(ports) = &mut self.ports {
            ports.clear();
        }
        if let Some(rtt) = &mut self.rtt {
            rtt.clear();
        }
    }
}

impl TcpCounters {
    fn count_segment(&mut self, direction: usize, segment: &TcpSegment) {
        self.segments[direction] += 1;
        if segment.is_plain() {
            return;
        }
        let has = |flag: u8| u64::from(segment.flags & flag != 0);
        let (syn, ack) = (has(flag::SYN), has(flag::ACK));
        let seen: [u64; TCP_FLAGS.len()] =
            [syn & !ack, syn & ack, has(flag::FIN), has(flag::RST), has(flag::ECE), has(flag::CWR), has(flag::URG)];
        self.flags[direction].add(&seen);
    }
}

/// Whether a frame needs more than the counts that every frame has.
fn is_unusual(packet: &ParsedPacket) -> bool {
    packet.ethertype != usual_ethertype(packet.network)
        || packet.cast != Cast::Unicast
        || (packet.transport == Transport::Other && packet.network.is_ip())
        || !packet.vlan.is_empty()
        || packet.fragment != Fragment::Whole
        || packet.truncated
        || packet.reject.is_some()
}

fn usual_ethertype(network: Network) -> Ethertype {
    /// By [`Network`]; looked up, since for every packet a table beats a jump.
    const USUAL: [Ethertype; 4] = [Ethertype::IPV4, Ethertype::IPV6, Ethertype::ARP, Ethertype::NONE];
    USUAL[network as usize]
}

/// The number that a transport other than [`Transport::Other`] stands for.
fn protocol_number(network: Network, transport: Transport) -> Option<u8> {
    match (transport, network) {
        (Transport::Tcp, _) => Some(6),
        (Transport::Udp, _) => Some(17),
        (Transport::Icmp, Network::Ipv6) => Some(58),
        (Transport::Icmp, _) => Some(1),
        (Transport::Sctp, _) => Some(132),
        (Transport::Other, _) => None,
    }
}

/// Index of arrays by IPv4 and IPv6.
fn ip_index(network: Network) -> usize {
    usize::from(network == Network::Ipv6)
}

/// TCP frames above this are what segmentation offload made of several, where the capture does not say.
const LONGEST_PLAIN_FRAME: u32 = 1522;

/// Whether a frame of TCP or UDP can be one that stands for several segments.
#[inline]
fn may_be_superframe(packet: &ParsedPacket) -> bool {
    packet.gso_size != 0 || packet.wire_len > LONGEST_PLAIN_FRAME
}

impl Counters {
    /// Counts a frame that stands for several segments, and the headers of all but the first.
    #[inline(never)]
    fn count_superframe(&mut self, packet: &ParsedPacket) {
        let segments = packet.payload_len.div_ceil(segment_bytes(packet));
        if segments > 1 {
            self.superframes += 1;
            self.superframe_segments += u64::from(segments);
            let header_bytes = packet.wire_len.saturating_sub(packet.payload_len);
            self.offloaded_header_bytes += u64::from(segments - 1) * u64::from(header_bytes);
        }
    }
}

/// Payload of each segment of a super-frame: as the capture says, else as if each filled 1500 bytes of IP.
fn segment_bytes(packet: &ParsedPacket) -> u32 {
    const MTU: u32 = 1500;
    if packet.gso_size != 0 {
        return packet.gso_size.into();
    }
    MTU.saturating_sub(packet.ip_octets.saturating_sub(packet.payload_len)).max(1)
}

/// Adds a gauge state by state.
pub(super) fn add_gauge(sum: &mut FlowGauge<i64>, other: &FlowGauge<i64>) {
    sum.as_flattened_mut().iter_mut().zip(other.as_flattened()).for_each(|(mine, theirs)| *mine += theirs);
}

/// Adds `other` by `add` where both are there; they come from the same config.
pub(super) fn add_optional<T>(sum: &mut Option<T>, other: &Option<T>, add: fn(&mut T, &T)) {
    if let (Some(sum), Some(other)) = (sum, other) {
        add(sum, other);
    }
}

fn merge_volumes<K: Copy + Eq + std::hash::Hash>(sums: &mut HashMap<K, Volume>, other: &HashMap<K, Volume>) {
    for (key, volume) in other {
        sums.entry(*key).or_default().add(volume);
    }
}
