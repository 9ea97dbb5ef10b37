//! Seconds that are a function of their time, and stores in memory.

use crate::history::batch::{self, Batch};
use crate::history::database::{self, Birth, State};
use crate::history::shared::Shared;
use crate::history::{Config, Measures, Reader, Second, Tier};
use crate::packet::Direction;
use redb::backends::InMemoryBackend;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A second whose numbers follow from `start` and the interface alone.
pub(super) fn second(interface: &str, start: u64) -> Second {
    let mut state = start ^ interface.bytes().fold(7, |sum: u64, byte| sum.wrapping_mul(31) + u64::from(byte)) << 40;
    let mut measures = Measures::default();
    measures.visit_mut(|field| {
        state = mix(state);
        // Most numbers of a real second are 0.
        *field = if state.is_multiple_of(3) { state >> 8 & 0xff_ffff } else { 0 };
    });
    let peak = Direction::ALL.map(|direction| measures.volume(direction));
    Second { interface: Arc::from(interface), start, measures: Measures { seconds: 1, peak, ..measures } }
}

/// splitmix64.
pub(super) fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// Sums of seconds by interface and start of the record they belong to: what a tier must say.
pub(super) fn summed(seconds: &[Second], length: u64) -> BTreeMap<(u64, Arc<str>), Measures> {
    let mut sums = BTreeMap::new();
    for second in seconds {
        let key = (second.start - second.start % length, Arc::clone(&second.interface));
        let sum: &mut Measures = sums.entry(key).or_default();
        plainly_add(sum, &second.measures);
    }
    sums
}

/// Adds a later span by the words of the documentation, not by [`Measures::merge`].
fn plainly_add(sum: &mut Measures, later: &Measures) {
    let add = |a: &mut u64, b: u64| *a += b;
    add(&mut sum.seconds, later.seconds);
    for direction in 0..2 {
        for (mine, theirs) in sum.protocols[direction].iter_mut().zip(later.protocols[direction]) {
            add(&mut mine.packets, theirs.packets);
            add(&mut mine.bytes, theirs.bytes);
        }
        sum.peak[direction].packets = sum.peak[direction].packets.max(later.peak[direction].packets);
        sum.peak[direction].bytes = sum.peak[direction].bytes.max(later.peak[direction].bytes);
        let (mine, theirs) = (&mut sum.tcp, &later.tcp);
        add(&mut mine.segments[direction], theirs.segments[direction]);
        add(&mut mine.retransmitted_segments[direction], theirs.retransmitted_segments[direction]);
        add(&mut mine.retransmitted_bytes[direction], theirs.retransmitted_bytes[direction]);
        add(&mut mine.out_of_order_segments[direction], theirs.out_of_order_segments[direction]);
        add(&mut mine.zero_window[direction], theirs.zero_window[direction]);
        add(&mut mine.handshakes[direction], theirs.handshakes[direction]);
        add(&mut mine.handshake_ns[direction], theirs.handshake_ns[direction]);
    }
    for reason in 0..3 {
        add(&mut sum.tcp.resets[reason], later.tcp.resets[reason]);
        add(&mut sum.tcp.connection_failures[reason], later.tcp.connection_failures[reason]);
        add(&mut sum.dropped[reason], later.dropped[reason]);
    }
    add(&mut sum.tcp.connections_opened, later.tcp.connections_opened);
    for transport in 0..5 {
        add(&mut sum.flows_opened[transport], later.flows_opened[transport]);
        add(&mut sum.flows_closed[transport], later.flows_closed[transport]);
    }
    sum.flows_active = later.flows_active;
    add(&mut sum.rejected, later.rejected);
    add(&mut sum.covered_bytes, later.covered_bytes);
    add(&mut sum.kernel_bytes, later.kernel_bytes);
}

pub(super) const BIRTH: Birth = Birth { identity: [7; 16], created: 1_000_000_000 };

/// A store in memory.
pub(super) struct Memory {
    pub(super) shared: Arc<Shared>,
    pub(super) state: State,
}

impl Memory {
    pub(super) fn new(config: Config) -> Self {
        let (database, state) = database::open(InMemoryBackend::new(), 4 << 20, false, BIRTH).unwrap();
        Self { shared: Arc::new(Shared::new(config, Some(database))), state }
    }

    pub(super) fn commit(&mut self, batch: &Batch) {
        let database = self.shared.database.load_full().unwrap();
        batch::commit(&database, &mut self.state, batch, &self.shared.config).unwrap();
    }

    pub(super) fn seconds(&mut self, seconds: &[Second]) {
        self.commit(&Batch { seconds: seconds.to_vec(), ..Batch::default() });
    }

    pub(super) fn reader(&self) -> Reader {
        Reader::live(Arc::clone(&self.shared))
    }
}

/// Every record of a tier.
pub(super) fn records(reader: &Reader, tier: Tier) -> BTreeMap<(u64, Arc<str>), Measures> {
    let mut records = BTreeMap::new();
    let bad = reader.records(tier, crate::history::Range::ALL, |record| {
        records.insert((record.start, record.interface), record.measures);
        std::ops::ControlFlow::Continue(())
    });
    assert_eq!(bad.unwrap(), 0);
    records
}

/// A configuration that prunes nothing.
pub(super) fn keeping_all() -> Config {
    use std::time::Duration;
    let mut config = Config::at("unused");
    config.retention = [Duration::from_secs(u64::MAX >> 20); Tier::ALL.len()];
    config.flows.retention = config.retention[0];
    config.alert_retention = config.retention[0];
    config
}
