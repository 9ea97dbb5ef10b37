//! What counting costs: a packet in a tally, a tick in the windows, a snapshot.
//!
//! `cargo bench --bench window`. The yardstick of the packet is a bare sum of the same lengths; that of the tick is
//! the 100 ms it stands for.

use divan::{Bencher, black_box};
use netmon::flow::{Event, FlowDelta, FlowKey, Listener, Side};
use netmon::packet::{
    Address, Attribution, Direction, Ethertype, Header, InterfaceId, Network, ParsedPacket, TcpSegment, Transport,
    VlanStack, flag,
};
use netmon::stats::{Config, StatsAggregator, TalkerConfig, TalkerSketches, Tally};
use netmon::time::{Tick, Timestamp};

fn main() {
    divan::main();
}

/// Packets of a batch.
const BATCH: u32 = 4096;

/// A fixed mixture: nine TCP or UDP packets of ten, some ARP, lengths from 60 to 1514, both directions.
fn packets() -> Vec<ParsedPacket> {
    (0..BATCH).map(packet).collect()
}

fn packet(n: u32) -> ParsedPacket {
    let noise = n.wrapping_mul(2_654_435_761) >> 8;
    let mut packet = ParsedPacket {
        timestamp: Timestamp::from_nanos(1_000_000_000 + u64::from(n) * 1_000),
        wire_len: 60 + noise % 1455,
        caplen: 60 + noise % 196,
        direction: if noise & 0x100 == 0 { Direction::Receive } else { Direction::Transmit },
        ..ParsedPacket::default()
    };
    if noise % 10 == 9 {
        (packet.network, packet.ethertype) = (Network::Arp, Ethertype::ARP);
        return packet;
    }
    let flags = if noise.is_multiple_of(40) { flag::SYN } else { flag::ACK | flag::PSH };
    let (protocol, header) = match noise % 3 {
        0 => (17, Header::Ports),
        _ => (6, Header::Tcp(TcpSegment { flags, ..TcpSegment::default() })),
    };
    (packet.network, packet.ethertype) = (Network::Ipv4, Ethertype::IPV4);
    (packet.protocol, packet.transport) = (protocol, Transport::of(Network::Ipv4, protocol));
    (packet.header, packet.attribution) = (header, Attribution::Ports);
    packet
}

#[divan::bench]
fn bare_sum(bencher: Bencher<'_, '_>) {
    let packets = packets();
    let sum = || packets.iter().map(|packet| u64::from(black_box(packet).wire_len)).sum::<u64>();
    bencher.counter(divan::counter::ItemsCount::new(BATCH as usize)).bench_local(sum);
}

#[divan::bench]
fn tally_packet(bencher: Bencher<'_, '_>) {
    let packets = packets();
    let mut tally = Tally::new(&Config::default());
    bencher.counter(divan::counter::ItemsCount::new(BATCH as usize)).bench_local(|| tally.packets(black_box(&packets)));
}

/// A tally with the packets of a tick on each of `interfaces` and some handshakes.
fn tally(interfaces: u16) -> Tally {
    let mut tally = Tally::new(&Config::default());
    for interface in (0..interfaces).map(InterfaceId) {
        packets().iter().for_each(|packet| tally.packets(&[ParsedPacket { interface, ..*packet }]));
        for n in 0..20_u64 {
            let nanos = 50_000 + n * n * 170_000;
            tally.on(Event::HandshakeRtt { interface, side: Side::Server, nanos, flow: n });
        }
    }
    tally
}

/// An aggregator whose 60 s window is full, and its newest tick.
fn running(interfaces: u16, tally: &Tally) -> (StatsAggregator, u64) {
    let mut aggregator = StatsAggregator::new(Config::default());
    for id in 0..interfaces {
        aggregator.add_interface(InterfaceId(id), &format!("eth{id}"));
    }
    (1..=700).for_each(|tick| aggregator.fold(Tick(tick), tally));
    (aggregator, 700)
}

#[divan::bench(args = [1, 4, 24])]
fn fold_and_advance_one_tick(bencher: Bencher<'_, '_>, interfaces: u16) {
    let tally = tally(interfaces);
    let (mut aggregator, mut tick) = running(interfaces, &tally);
    bencher.bench_local(|| {
        tick += 1;
        aggregator.fold(Tick(tick), black_box(&tally));
        aggregator.advance(Tick(tick + 1));
    });
}

#[divan::bench(args = [1, 4, 24])]
fn tick_with_snapshot(bencher: Bencher<'_, '_>, interfaces: u16) {
    let tally = tally(interfaces);
    let (mut aggregator, mut tick) = running(interfaces, &tally);
    bencher.bench_local(|| {
        tick += 1;
        aggregator.fold(Tick(tick), black_box(&tally));
        aggregator.snapshot()
    });
}

#[divan::bench]
fn snapshot_of_24_idle_interfaces(bencher: Bencher<'_, '_>) {
    let (mut aggregator, tick) = running(24, &tally(24));
    aggregator.advance(Tick(tick + 1_000));
    bencher.bench_local(|| aggregator.snapshot());
}

/// What `flows` flows of a host moved in one second, dealt to 64 partitions.
fn deltas(flows: u32) -> Vec<(usize, FlowDelta)> {
    let delta = |n: u32| {
        let noise = n.wrapping_mul(2_654_435_761);
        let key = FlowKey {
            low: Address::v4((0x0a00_0000 | (noise >> 16)).to_be_bytes()),
            high: Address::v4((0xc0a8_0000 | (noise & 0xff)).to_be_bytes()),
            vlan: VlanStack::default(),
            low_port: 40_000,
            high_port: 443 + (noise % 7) as u16,
            interface: InterfaceId(0),
            protocol: 6,
            kind: 2,
        };
        let bytes_from_low = u64::from(noise % 3_000);
        ((noise >> 26) as usize, FlowDelta { key, low_is_initiator: true, bytes_from_low, bytes_from_high: 60 })
    };
    let mut deltas: Vec<_> = (0..flows).map(delta).collect();
    deltas.sort_by_key(|(partition, _)| *partition);
    deltas
}

#[divan::bench(args = [1_000, 10_000, 100_000])]
fn talkers_of_one_second(bencher: Bencher<'_, '_>, flows: u32) {
    let deltas = deltas(flows);
    let mut sketches = TalkerSketches::new(TalkerConfig::default());
    let mut tally = Tally::new(&Config::default());
    bencher.counter(divan::counter::ItemsCount::new(flows as usize)).bench_local(|| {
        tally.clear();
        deltas.iter().for_each(|(partition, delta)| sketches.add(*partition, delta));
        tally.talkers(&mut sketches);
    });
}

#[divan::bench(args = [1_000, 10_000, 100_000])]
fn talker_tables_of_one_second(bencher: Bencher<'_, '_>, flows: u32) {
    let mut tally = Tally::new(&Config::default());
    let mut sketches = TalkerSketches::new(TalkerConfig::default());
    deltas(flows).iter().for_each(|(partition, delta)| sketches.add(*partition, delta));
    tally.talkers(&mut sketches);
    let (mut aggregator, mut tick) = running(1, &tally);
    bencher.bench_local(|| {
        tick += 10;
        aggregator.fold(Tick(tick), black_box(&tally));
        aggregator.snapshot()
    });
}
