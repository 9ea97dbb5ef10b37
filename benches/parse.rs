//! Parsing of frames in memory: nanoseconds for each packet, caches warm.
//!
//! `cargo bench --bench parse`. Every line parses the same number of packets, so that the item rate is packets a second.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use ipnet::IpNet;
use netmon::packet::build::{self, Builder};
use netmon::packet::{Linktype, ParsedPacket, Perspective, TcpSegment, flag, parse};

/// Frames in one run; together they fit into the second-level cache.
const FRAMES: usize = 2048;
/// Packets that are handed on together, as the pipeline does.
const BATCH: usize = 64;

fn main() {
    divan::main();
}

/// The kinds of traffic, each with what it costs extra over plain TCP and UDP.
#[derive(Clone, Copy, Debug)]
enum Traffic {
    /// TCP and UDP over IPv4, 64-byte frames.
    Min64,
    /// The same behind one VLAN tag.
    Tagged,
    /// TCP over IPv6.
    Ipv6,
    /// UDP behind hop-by-hop, routing and destination options.
    Ipv6Extensions,
    /// SYNs with the options of a common stack.
    Syn,
    /// Behind two MPLS labels.
    Mpls,
    /// ARP.
    Arp,
}

const TRAFFIC: [Traffic; 7] = [
    Traffic::Min64,
    Traffic::Tagged,
    Traffic::Ipv6,
    Traffic::Ipv6Extensions,
    Traffic::Syn,
    Traffic::Mpls,
    Traffic::Arp,
];

#[divan::bench(args = TRAFFIC)]
fn nothing_configured(bencher: Bencher<'_, '_>, traffic: Traffic) {
    run(bencher, traffic, &Perspective::default());
}

#[divan::bench(args = [Traffic::Min64, Traffic::Ipv6])]
fn own_addresses_known(bencher: Bencher<'_, '_>, traffic: Traffic) {
    let networks = ["10.0.0.0/8", "2001:db8::/32"].map(|text| text.parse::<IpNet>());
    let perspective = Perspective {
        mac: Some([2, 0, 0, 0, 0, 9]),
        addresses: vec![[192, 0, 2, 1].into()],
        local_networks: networks.into_iter().flatten().collect(),
        loopback: false,
    };
    run(bencher, traffic, &perspective);
}

fn run(bencher: Bencher<'_, '_>, traffic: Traffic, perspective: &Perspective) {
    let frames: Vec<Vec<u8>> = (0..FRAMES).map(|n| frame(traffic, u16::try_from(n).unwrap_or(0))).collect();
    let mut batch: Vec<ParsedPacket> = Vec::with_capacity(BATCH);
    bencher.counter(ItemsCount::new(FRAMES)).bench_local(|| {
        for chunk in frames.chunks(BATCH) {
            batch.clear();
            batch.extend(chunk.iter().map(|bytes| parse(&build::frame(Linktype::Ethernet, bytes), perspective)));
            black_box(&batch);
        }
    });
}

fn frame(traffic: Traffic, n: u16) -> Vec<u8> {
    let [high, low] = n.to_be_bytes();
    let ack = TcpSegment { sequence: u32::from(n), flags: flag::ACK, window: 512, ..TcpSegment::default() };
    let v4 = |builder: Builder| builder.ipv4([10, 0, high, low], [192, 0, 2, 1]);
    let v6 = |builder: Builder| builder.ipv6([0x2001, 0xdb8, 0, 0, 0, 0, 0, n], [0x2001, 0xdb8, 0, 0, 0, 0, 1, 1]);
    let either = |builder: Builder| if n.is_multiple_of(2) { builder.tcp(n, 443, ack) } else { builder.udp(n, 53) };
    let options = [2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7];
    let builder = match traffic {
        Traffic::Min64 => either(v4(Builder::ethernet())),
        Traffic::Tagged => either(v4(Builder::ethernet().vlan(7))),
        Traffic::Ipv6 => v6(Builder::ethernet()).tcp(n, 443, ack),
        Traffic::Ipv6Extensions => {
            v6(Builder::ethernet()).extension(0, &[]).extension(43, &[]).extension(60, &[]).udp(n, 53)
        }
        Traffic::Syn => {
            let syn = TcpSegment { flags: flag::SYN, ..ack };
            v4(Builder::ethernet()).tcp(n, 443, syn).tcp_options(&options)
        }
        Traffic::Mpls => either(v4(Builder::ethernet().mpls(16).mpls(17))),
        Traffic::Arp => Builder::ethernet().ethertype(0x0806).payload(&[0; 28]),
    };
    builder.pad_to(60).build()
}
