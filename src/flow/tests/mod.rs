//! Claims about the tracker as a whole, each through its public door.

mod clock;
mod eviction;
mod health;
mod identity;
mod lifecycle;
mod limits;
mod model;

use super::{
    Config, ConnectionTracker, EndReason, Event, Failure, FlowKey, FlowRecord, HashKey, Listener, PARTITIONS, Phase,
    Side, State, Timeouts, Untracked, Victim,
};
use crate::packet::{
    Address, Attribution, Ethertype, Header, Network, ParsedPacket, TcpSegment, Transport, VlanStack, flag, is_plain,
};
use crate::time::{Tick, Timestamp};

/// Everything that was reported.
#[derive(Debug, Default)]
struct Log {
    opened: usize,
    states: Vec<(Option<State>, Option<State>)>,
    established: usize,
    handshake_rtt: Vec<(Side, u64)>,
    rtt: Vec<u64>,
    failed: Vec<Failure>,
    resets: Vec<Phase>,
    retransmitted: Vec<u32>,
    out_of_order: usize,
    duplicate_acks: usize,
    zero_windows: usize,
    closed: Vec<FlowRecord>,
    evicted: Vec<Victim>,
    untracked: Vec<Untracked>,
    moved: u64,
}

impl Listener for Log {
    fn on(&mut self, event: Event<'_>) {
        match event {
            Event::Opened { .. } => self.opened += 1,
            Event::StateChanged { from, to, .. } => self.states.push((from, to)),
            Event::Established { .. } => self.established += 1,
            Event::HandshakeRtt { side, nanos, .. } => self.handshake_rtt.push((side, nanos)),
            Event::Rtt { nanos, .. } => self.rtt.push(nanos),
            Event::Failed { reason, .. } => self.failed.push(reason),
            Event::Reset { phase, .. } => self.resets.push(phase),
            Event::Retransmitted { bytes, .. } => self.retransmitted.push(bytes),
            Event::OutOfOrder { .. } => self.out_of_order += 1,
            Event::DuplicateAck { .. } => self.duplicate_acks += 1,
            Event::ZeroWindow { .. } => self.zero_windows += 1,
            Event::Closed { record } => self.closed.push(*record),
            Event::Evicted { victim } => self.evicted.push(victim),
            Event::Untracked { reason } => self.untracked.push(reason),
            Event::Moved { delta, .. } => self.moved += delta.bytes_from_low + delta.bytes_from_high,
        }
    }
}

impl Log {
    fn ends(&self) -> Vec<EndReason> {
        self.closed.iter().filter_map(|record| record.end_reason).collect()
    }

    /// Whether nothing was said about the health of a connection.
    fn is_healthy(&self) -> bool {
        self.retransmitted.is_empty() && self.out_of_order + self.duplicate_acks + self.zero_windows == 0
    }
}

const MILLISECOND: u64 = 1_000_000;
/// Where the tests' time begins, on a boundary of ticks.
const START: u64 = 1_700_000_000_000 * MILLISECOND;

/// The instant this many milliseconds after the start.
fn at(milliseconds: u64) -> Timestamp {
    Timestamp::from_nanos(START + milliseconds * MILLISECOND)
}

fn tick(milliseconds: u64) -> Tick {
    Tick::of(at(milliseconds))
}

fn tracker(config: Config) -> ConnectionTracker {
    ConnectionTracker::new(config, HashKey::FIXED, 0..PARTITIONS)
}

/// A packet between two IPv4 hosts, numbered by the last byte of their addresses.
fn packet(protocol: u8, source: (u8, u16), destination: (u8, u16)) -> ParsedPacket {
    let transport = Transport::of(Network::Ipv4, protocol);
    let has_ports = matches!(transport, Transport::Tcp | Transport::Udp | Transport::Sctp);
    ParsedPacket {
        timestamp: at(1),
        source: Address::v4([10, 0, 0, source.0]),
        destination: Address::v4([10, 0, 0, destination.0]),
        source_port: if has_ports { source.1 } else { 0 },
        destination_port: if has_ports { destination.1 } else { 0 },
        wire_len: 100,
        network: Network::Ipv4,
        protocol,
        transport,
        attribution: if has_ports { Attribution::Ports } else { Attribution::Portless },
        ethertype: Ethertype::IPV4,
        header: if transport == Transport::Udp { Header::Ports } else { Header::None },
        ..ParsedPacket::default()
    }
}

/// The packet as the parser marks it; without the mark it goes the longer way, to the same end.
fn as_parsed(packet: ParsedPacket) -> ParsedPacket {
    ParsedPacket { is_plain: is_plain(&packet), ..packet }
}

/// A conversation played to a tracker: client 10.0.0.2:40000, server 10.0.0.1:443, 1 ms between segments unless told.
struct Play {
    tracker: ConnectionTracker,
    log: Log,
    now: u64,
}

/// Initial sequence numbers of the two ends.
const CLIENT: u32 = 1000;
const SERVER: u32 = 9000;

impl Play {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        Self { tracker: tracker(config), log: Log::default(), now: 0 }
    }

    /// Lets this many milliseconds pass without packets.
    fn wait(mut self, milliseconds: u64) -> Self {
        self.now += milliseconds;
        self.tracker.advance(tick(self.now), &mut self.log);
        self
    }

    fn client(self, segment: TcpSegment, payload: u32) -> Self {
        self.send(packet(6, (2, 40_000), (1, 443)), segment, payload)
    }

    fn server(self, segment: TcpSegment, payload: u32) -> Self {
        self.send(packet(6, (1, 443), (2, 40_000)), segment, payload)
    }

    fn send(mut self, packet: ParsedPacket, segment: TcpSegment, payload: u32) -> Self {
        self.now += 1;
        let (timestamp, header) = (at(self.now), Header::Tcp(segment));
        let packet = ParsedPacket { timestamp, header, payload_len: payload, wire_len: 54 + payload, ..packet };
        self.tracker.observe(tick(self.now), &[as_parsed(packet)], &mut self.log);
        self
    }

    /// SYN, SYN-ACK, ACK.
    fn handshake(self) -> Self {
        self.client(syn(CLIENT), 0).server(syn_ack(SERVER, CLIENT + 1), 0).client(ack(CLIENT + 1, SERVER + 1), 0)
    }

    fn record(&self) -> FlowRecord {
        let records: Vec<_> = self.tracker.records().collect();
        assert_eq!(records.len(), 1, "{records:?}");
        records[0]
    }

    fn state(&self) -> State {
        self.record().stats.state
    }

    /// Ends everything and returns what was reported.
    fn finish(mut self) -> Log {
        self.tracker.shutdown(&mut self.log);
        assert!(self.tracker.is_empty());
        self.log
    }
}

fn segment(flags: u8, sequence: u32, acknowledgement: u32) -> TcpSegment {
    TcpSegment { sequence, acknowledgement, window: 512, flags, window_scale: None }
}

fn syn(sequence: u32) -> TcpSegment {
    TcpSegment { window_scale: Some(7), ..segment(flag::SYN, sequence, 0) }
}

fn syn_ack(sequence: u32, acknowledgement: u32) -> TcpSegment {
    TcpSegment { window_scale: Some(7), ..segment(flag::SYN | flag::ACK, sequence, acknowledgement) }
}

fn ack(sequence: u32, acknowledgement: u32) -> TcpSegment {
    segment(flag::ACK, sequence, acknowledgement)
}

fn fin(sequence: u32, acknowledgement: u32) -> TcpSegment {
    segment(flag::FIN | flag::ACK, sequence, acknowledgement)
}

fn rst(sequence: u32) -> TcpSegment {
    segment(flag::RST, sequence, 0)
}
