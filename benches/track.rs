//! Tracking of packets already parsed: nanoseconds for each packet at three sizes of the flow table.
//!
//! `cargo bench --bench track`. Half of the flows are TCP and half UDP; the packets of a run are of random flows, in
//! batches of 64 as the pipeline hands them on. The packets of a run fit into the second-level cache, so what is left of
//! the memory's cost is the table's.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use netmon::flow::{Config, ConnectionTracker, Event, HashKey, Listener, PARTITIONS};
use netmon::packet::{Address, Attribution, Header, Network, ParsedPacket, TcpSegment, Transport, flag};
use netmon::time::{Tick, Timestamp};

/// Packets of one run.
const PACKETS: u32 = 1 << 12;
/// All packets are of one tick; what passing time costs is the ends of flows.
const NOW: Tick = Tick(17_000_000_000);
/// Packets that are handed on together.
const BATCH: usize = 64;
const FLOWS: [u32; 3] = [10_000, 100_000, 1_000_000];

fn main() {
    divan::main();
}

/// Counts events, as the cheapest listener that the compiler cannot remove.
#[derive(Default)]
struct Count(u64);

impl Listener for Count {
    fn on(&mut self, event: Event<'_>) {
        self.0 += u64::from(matches!(event, Event::Opened { .. } | Event::Closed { .. } | Event::Retransmitted { .. }));
    }
}

/// Packets of flows that all exist.
#[divan::bench(args = FLOWS, sample_count = 1000, sample_size = 1)]
fn known_flows(bencher: Bencher<'_, '_>, flows: u32) {
    let mut tracker = ConnectionTracker::new(Config::default(), HashKey::FIXED, 0..PARTITIONS);
    let mut count = Count::default();
    let first: Vec<_> = (0..flows).map(|flow| packet(flow, flow)).collect();
    first.chunks(BATCH).for_each(|batch| tracker.observe(NOW, batch, &mut count));
    let mut random = Random(1);
    bencher
        .counter(ItemsCount::new(PACKETS))
        .with_inputs(|| (0..PACKETS).map(|n| packet(random.below(flows), n)).collect::<Vec<_>>())
        .bench_local_refs(|packets| {
            packets.chunks(BATCH).for_each(|batch| tracker.observe(NOW, batch, &mut count));
            black_box(count.0);
        });
}

/// Every packet opens a flow in a full table and another one ends for it.
#[divan::bench(sample_count = 500, sample_size = 1)]
fn flood_of_a_full_table(bencher: Bencher<'_, '_>) {
    let mut tracker = ConnectionTracker::new(Config::default(), HashKey::FIXED, 0..PARTITIONS);
    let (mut count, mut next) = (Count::default(), 0);
    let mut syns = |count| {
        next += count;
        (next - count..next).map(|flow| packet(flow * 2, flow)).collect::<Vec<_>>()
    };
    syns(3 << 20).chunks(BATCH).for_each(|batch| tracker.observe(NOW, batch, &mut count));
    bencher.counter(ItemsCount::new(PACKETS)).with_inputs(|| syns(PACKETS)).bench_local_refs(|packets| {
        packets.chunks(BATCH).for_each(|batch| tracker.observe(NOW, batch, &mut count));
        black_box(count.0);
    });
}

/// Even flows are TCP, odd ones UDP; 64-byte frames.
fn packet(flow: u32, n: u32) -> ParsedPacket {
    let [a, b, c, d] = flow.to_be_bytes();
    let segment = TcpSegment { sequence: n, acknowledgement: n, window: 512, flags: flag::ACK, window_scale: None };
    let (protocol, header) = if flow.is_multiple_of(2) { (6, Header::Tcp(segment)) } else { (17, Header::Ports) };
    ParsedPacket {
        timestamp: Timestamp::from_nanos(1_700_000_000_000_000_000 + u64::from(n)),
        source: Address::v4([10 + a, b, c, d]),
        destination: Address::v4([192, 0, 2, 1]),
        source_port: 1024,
        destination_port: 443,
        wire_len: 64,
        caplen: 64,
        network: Network::Ipv4,
        protocol,
        transport: Transport::of(Network::Ipv4, protocol),
        header,
        attribution: Attribution::Ports,
        ..ParsedPacket::default()
    }
}

/// A generator of Marsaglia's xorshift family; the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (((self.0 >> 32) * u64::from(limit)) >> 32) as u32
    }
}
