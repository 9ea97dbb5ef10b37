//! Any history of a few flows: nothing panics, no byte is lost, no bound is passed.
//!
//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz tracker`. The first byte chooses the configuration, then each eight bytes
//! are a packet or something that happens to the tracker. Keys are few and sequence numbers near each other, so that
//! histories run into each other.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netmon::flow::{Config, ConnectionTracker, Event, HashKey, Listener, PARTITIONS};
use netmon::packet::{Address, Attribution, Header, Network, ParsedPacket, TcpSegment, Transport};
use netmon::time::{Step, Tick, Timestamp};
use std::time::Duration;

fuzz_target!(|data: &[u8]| {
    let [configuration, actions @ ..] = data else { return };
    let mut history = History::new(*configuration);
    for action in actions.as_chunks().0 {
        history.act(*action);
        history.tracker.check();
        assert!(history.tracker.len() <= history.limit);
        assert_eq!(history.books.opened, history.books.closed + history.tracker.len());
    }
    history.tracker.shutdown(&mut history.books);
    history.drain();
    assert!(history.tracker.is_empty());
    assert_eq!(history.books.moved, history.sent);
    assert_eq!(history.books.bytes, history.sent);
});

/// What was reported.
#[derive(Default)]
struct Books {
    opened: usize,
    closed: usize,
    moved: u64,
    bytes: u64,
}

impl Listener for Books {
    fn on(&mut self, event: Event<'_>) {
        match event {
            Event::Opened { .. } => self.opened += 1,
            Event::Closed { record } => {
                assert!(record.end_reason.is_some() && record.stats.first_seen <= record.stats.last_seen);
                assert!(record.stats.packets_c2s + record.stats.packets_s2c > 0);
                self.closed += 1;
                self.bytes += record.bytes();
            }
            Event::Moved { delta, .. } => self.moved += delta.bytes_from_low + delta.bytes_from_high,
            _ => {}
        }
    }
}

struct History {
    tracker: ConnectionTracker,
    limit: usize,
    books: Books,
    sent: u64,
    now: Timestamp,
}

impl History {
    fn new(configuration: u8) -> Self {
        let each = [1, 2, 3, 64][usize::from(configuration & 3)];
        let mut config = Config { max: each * PARTITIONS, ..Config::default() };
        config.continuous_rtt = configuration & 4 != 0;
        config.timeouts.active = (configuration & 8 != 0).then_some(Duration::from_secs(7));
        config.timeouts.udp = Duration::from_secs(u64::from(configuration >> 4));
        Self {
            tracker: ConnectionTracker::new(config, HashKey::FIXED, 0..PARTITIONS),
            limit: config.max,
            books: Books::default(),
            sent: 0,
            now: Timestamp::from_nanos(1_700_000_000_000_000_000),
        }
    }

    fn act(&mut self, action: [u8; 8]) {
        let [what, rest @ ..] = action;
        let [a, b, c, d, ..] = rest;
        let number = u64::from(u32::from_le_bytes([a, b, c, d]));
        match what {
            0..=199 => self.send(what, rest),
            200..=219 => {
                self.now = self.now.saturating_add(Duration::from_millis(number));
                self.tracker.advance(Tick::of(self.now), &mut self.books);
            }
            220..=229 => {
                let to = Timestamp::from_nanos(number << 31);
                self.tracker.step(Step { from: self.now, to });
                self.now = to;
            }
            230..=239 => self.drain(),
            240..=247 => {
                if let Some(due) = self.tracker.next_due().filter(|due| *due > Tick::of(self.now)) {
                    self.now = due.end();
                    self.tracker.advance(due, &mut self.books);
                }
            }
            248..=255 => assert_eq!(self.tracker.records().count(), self.tracker.len()),
        }
    }

    /// One packet, late by up to 25 ms, after up to 40 ms.
    fn send(&mut self, kind: u8, [ends, flags, sequence, acknowledgement, payload, window, time]: [u8; 7]) {
        self.now = self.now.saturating_add(Duration::from_millis(u64::from(time % 40)));
        let protocol = [6, 6, 6, 17, 1, 132, 47][usize::from(kind % 7)];
        let near = |number: u8| (u32::from(number) << (kind / 50 * 8)).wrapping_sub(128);
        let segment = TcpSegment {
            sequence: near(sequence),
            acknowledgement: near(acknowledgement),
            window: u16::from(window) << (window & 8),
            flags,
            window_scale: (window & 1 != 0).then_some(window >> 4),
        };
        let end = |bits: u8| (Address::v4([10, 0, 0, bits & 3]), u16::from(bits >> 2 & 3));
        let ((source, source_port), (destination, destination_port)) = (end(ends), end(ends >> 4));
        let transport = Transport::of(Network::Ipv4, protocol);
        let payload_len = u32::from(payload) << (payload & 24);
        let packet = ParsedPacket {
            timestamp: Timestamp::from_nanos(self.now.as_nanos().saturating_sub(u64::from(time / 40) * 5_000_000)),
            source,
            destination,
            source_port,
            destination_port,
            payload_len,
            wire_len: payload_len.saturating_add(54),
            network: Network::Ipv4,
            protocol,
            transport,
            header: if transport == Transport::Tcp { Header::Tcp(segment) } else { Header::None },
            attribution: Attribution::Ports,
            ..ParsedPacket::default()
        };
        self.sent += u64::from(packet.wire_len);
        self.tracker.observe(Tick::of(self.now), &[packet], &mut self.books);
    }

    fn drain(&mut self) {
        let moved = &mut self.books.moved;
        self.tracker.drain_deltas(|_, delta| *moved += delta.bytes_from_low + delta.bytes_from_high);
    }
}
