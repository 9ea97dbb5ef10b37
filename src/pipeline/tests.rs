//! The whole way from frames to a snapshot, against a recomputation from the list of frames.

use super::{Collector, Dealer, Keep, Mode, Selection, Shard, Shards, partitions};
use crate::capture::{FrameSink, InterfaceInfo};
use crate::flow::{self, FlowRecord, HashKey};
use crate::packet::build::{Builder, frame};
use crate::packet::{Frame, InterfaceId, Linktype, PacketMeta, Perspective};
use crate::stats::{self, Snapshot, StatsAggregator};
use crate::time::{NANOS_PER_SECOND, PacketClock, Tick, Timestamp};
use proptest::prelude::*;
use std::sync::Arc;

/// A frame as generated: how the record time moves, which host sends, how long it was on the wire.
#[derive(Clone, Copy, Debug)]
struct Sent {
    at: Timestamp,
    host: u8,
    wire_len: u32,
}

/// Record times that mostly go on in milliseconds, with silence, late frames, and steps in both directions.
fn traffic() -> impl Strategy<Value = Vec<Sent>> {
    let second = NANOS_PER_SECOND.cast_signed();
    let change = prop_oneof![
        12 => 0..50_000_000_i64,
        4 => 0..5 * second,
        3 => -second..0_i64,
        1 => 60 * second..3_000 * second,
        1 => 3_601 * second..100_000 * second,
        1 => -100_000 * second..-2 * second,
    ];
    let frames = prop::collection::vec((change, any::<u8>(), 60..1514_u32), 1..200);
    frames.prop_map(move |frames| {
        let mut at = 1_700_000_000 * second;
        let sent = |(change, host, wire_len)| {
            at += change;
            Sent { at: Timestamp::from_nanos(at.cast_unsigned()), host, wire_len }
        };
        frames.into_iter().map(sent).collect()
    })
}

fn play(sent: &[Sent], shards: usize) -> (Arc<Snapshot>, Vec<FlowRecord>) {
    let config = stats::Config::default();
    let (shards, receivers): (Vec<_>, Vec<_>) = (0..shards)
        .map(|n| {
            let partitions = partitions(n, shards);
            Shard::new(n, flow::Config::default(), &config, HashKey::FIXED, partitions, Mode::Replay, Some(Keep::All))
        })
        .unzip();
    let (collector, publisher) = Collector::new(StatsAggregator::new(config), receivers, None, Some("replay"));
    let collector = std::thread::spawn(move || collector.replay());
    let mut dealer = Dealer::new(Shards::start(shards).unwrap(), HashKey::FIXED, publisher, Vec::new());
    dealer.interface(&InterfaceInfo {
        id: InterfaceId(0),
        name: "eth0".into(),
        linktypes: vec![Linktype::Ethernet],
        perspective: Perspective::default(),
    });
    for sent in sent {
        let bytes = Builder::ethernet().ipv4([10, 0, 0, sent.host], [10, 0, 1, 1]).udp(1000, 53).build();
        let meta = frame(Linktype::Ethernet, &bytes).meta;
        let meta = PacketMeta { timestamp: sent.at, wire_len: sent.wire_len, ..meta };
        dealer.frames(&[Frame { meta, bytes: &bytes }]);
    }
    let flows = Selection::into_report(dealer.finish(), Keep::All);
    (collector.join().unwrap(), flows)
}

/// Bytes by tick since the last time step, by the rules of the packet clock; and the last tick.
fn ticks(sent: &[Sent]) -> (Vec<(u64, u64)>, u64) {
    let (mut clock, mut ticks, mut open) = (PacketClock::default(), Vec::new(), 0);
    for sent in sent {
        match clock.advance(sent.at) {
            crate::time::Advance::Stepped(_) => {
                ticks.clear();
                open = Tick::of(sent.at).0;
            }
            crate::time::Advance::Ticked => open = Tick::of(sent.at).0,
            crate::time::Advance::Same | crate::time::Advance::Late => {}
        }
        ticks.push((open, u64::from(sent.wire_len)));
    }
    (ticks, open)
}

fn between(ticks: &[(u64, u64)], after: u64, up_to: u64) -> u64 {
    ticks.iter().filter(|(tick, _)| *tick > after && *tick <= up_to).map(|(_, bytes)| bytes).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn windows_peaks_and_totals_are_those_of_the_packet_list(sent in traffic()) {
        let (snapshot, flows) = play(&sent, 1);
        let interface = &snapshot.interfaces[0];
        let bytes: u64 = sent.iter().map(|sent| u64::from(sent.wire_len)).sum();
        prop_assert_eq!(interface.totals.volume[0].bytes, bytes);
        prop_assert_eq!(flows.iter().map(FlowRecord::bytes).sum::<u64>(), bytes);
        prop_assert_eq!(interface.packet_size.count(), sent.len() as u64);
        prop_assert_eq!(interface.first_seen, sent.iter().map(|sent| sent.at).min());

        let (ticks, now) = ticks(&sent);
        for window in &interface.windows {
            let length = window.length.as_secs() * Tick::PER_SECOND;
            let start = now.saturating_sub(length);
            prop_assert_eq!(window.sums.volume[0].bytes, between(&ticks, start, now), "{:?}", window.length);
            // Ten consecutive ticks inside the window: they end at its eleventh tick at the earliest.
            let seconds = (start + Tick::PER_SECOND..=now).map(|end| between(&ticks, end - Tick::PER_SECOND, end));
            prop_assert_eq!(window.peak.volume[0].bytes, seconds.max().unwrap_or(0), "{:?}", window.length);
        }
    }

    #[test]
    fn the_number_of_shards_does_not_show(sent in traffic(), shards in 2..5_usize) {
        let (one, flows_of_one) = play(&sent, 1);
        let (several, flows_of_several) = play(&sent, shards);
        prop_assert_eq!(flows_of_one, flows_of_several);
        prop_assert_eq!(&one.own, &several.own);
        prop_assert_eq!(&one.talkers, &several.talkers);
        for (one, several) in one.interfaces.iter().zip(&several.interfaces) {
            prop_assert_eq!(&one.totals, &several.totals);
            prop_assert_eq!(&one.peak, &several.peak);
            for (one, several) in one.windows.iter().zip(&several.windows) {
                prop_assert_eq!((&one.sums, &one.peak, one.full), (&several.sums, &several.peak, several.full));
            }
        }
    }
}
