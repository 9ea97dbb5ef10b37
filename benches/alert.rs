//! One round of alert rules: every tick of 100 ms evaluates all of them on the picture of all interfaces.
//!
//! The item counts are label sets, so the last column reads as label sets per second.

use divan::Bencher;
use divan::counter::ItemsCount;
use netmon::alert::Evaluator;
use netmon::packet::{InterfaceId, ParsedPacket};
use netmon::stats::{Snapshot, StatsAggregator, Tally};
use netmon::time::Tick;

fn main() {
    divan::main();
}

/// Rules that are quiet, as nearly always: 50 of them, on so many interfaces.
#[divan::bench(args = [1, 8, 32])]
fn quiet(bencher: Bencher<'_, '_>, interfaces: u16) {
    round(bencher, interfaces, "1TB");
}

/// All of them fire.
#[divan::bench(args = [1, 8, 32])]
fn firing(bencher: Bencher<'_, '_>, interfaces: u16) {
    round(bencher, interfaces, "0");
}

/// Compared with the mean of the last hour.
#[divan::bench(args = [1, 8, 32])]
fn relative(bencher: Bencher<'_, '_>, interfaces: u16) {
    round(bencher, interfaces, "3x");
}

fn round(bencher: Bencher<'_, '_>, interfaces: u16, limit: &str) {
    const METRICS: [&str; 5] = [
        "receive_bytes_per_second",
        "bytes_per_second",
        "transmit_peak_bytes_per_second",
        "protocol_bytes_per_second, where: {protocol: tcp}",
        "protocol_bytes_per_second, where: {protocol: udp}",
    ];
    let rule = |n: usize| format!("  - {{ name: R{n}, window: 10s, above: {limit}, metric: {} }}\n", METRICS[n % 5]);
    let yaml = format!("aggregation: {{max_interfaces: 64}}\nalerts:\n{}", (0..50).map(rule).collect::<String>());
    let config = netmon::config::from_yaml("bench", yaml.as_bytes()).expect("the rules are good").config;
    let snapshot = snapshot(&config.aggregation, interfaces);
    let mut evaluator = Evaluator::new(&config.alerts, None);
    let mut tick = 1_000_000;
    let mut next = || {
        tick += 1;
        Snapshot { tick: Some(Tick(tick)), ..snapshot.clone() }
    };
    evaluator.picture(&next());
    let label_sets = 51 * usize::from(interfaces);
    bencher
        .counter(ItemsCount::new(label_sets))
        .with_inputs(next)
        .bench_local_refs(|snapshot| evaluator.picture(snapshot));
}

fn snapshot(config: &netmon::stats::Config, interfaces: u16) -> Snapshot {
    let mut aggregator = StatsAggregator::new(config.clone());
    let mut tally = Tally::new(config);
    for n in 0..interfaces {
        aggregator.add_interface(InterfaceId(n), &format!("veth{n:02}"));
        let frame = ParsedPacket { interface: InterfaceId(n), wire_len: 1500, caplen: 1500, ..ParsedPacket::default() };
        tally.packets(&[frame; 10]);
    }
    aggregator.fold(Tick(999_000), &tally);
    (*aggregator.snapshot()).clone()
}
