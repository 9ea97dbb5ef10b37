//! Exposed histograms: exact integer counts per bucket, and the exemplar of each.

/// The largest value that fell into a bucket (then the smallest flow id), so that it does not depend on order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exemplar {
    /// The value, in the histogram's integer unit.
    pub value: u64,
    /// Flow id.
    pub flow: u64,
}

/// Counts of values by upper bound (inclusive, Prometheus `le`), in integer units (bytes or nanoseconds).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buckets {
    bounds: &'static [u64],
    counts: Vec<u64>,
    exemplars: Vec<Option<Exemplar>>,
    sum: u128,
}

impl Buckets {
    /// Frame lengths: 64 B to 9216 B.
    pub const PACKET_SIZE: &'static [u64] = &[64, 128, 256, 512, 1024, 1518, 2048, 4096, 9216];
    /// Handshake round trips: 100 µs to 10 s.
    pub const RTT: &'static [u64] = &[
        100_000,
        250_000,
        500_000,
        1_000_000,
        2_500_000,
        5_000_000,
        10_000_000,
        25_000_000,
        50_000_000,
        100_000_000,
        250_000_000,
        500_000_000,
        1_000_000_000,
        10_000_000_000,
    ];
    /// Flow lifetimes: 10 ms to 1 day, in nanoseconds.
    pub const DURATION: &'static [u64] = &[
        10_000_000,
        50_000_000,
        100_000_000,
        500_000_000,
        1_000_000_000,
        5_000_000_000,
        10_000_000_000,
        30_000_000_000,
        60_000_000_000,
        300_000_000_000,
        600_000_000_000,
        3_600_000_000_000,
        21_600_000_000_000,
        86_400_000_000_000,
    ];
    /// Answers to HTTP requests: 1 ms to 10 s.
    pub const ANSWER: &'static [u64] = &[
        1_000_000,
        2_500_000,
        5_000_000,
        10_000_000,
        25_000_000,
        50_000_000,
        100_000_000,
        250_000_000,
        500_000_000,
        1_000_000_000,
        10_000_000_000,
    ];
    /// Commits of the history: 500 µs to 5 s.
    pub const COMMIT: &'static [u64] = &[
        500_000,
        1_000_000,
        2_500_000,
        5_000_000,
        10_000_000,
        25_000_000,
        50_000_000,
        100_000_000,
        250_000_000,
        1_000_000_000,
        5_000_000_000,
    ];
    /// Notifications on their way: 10 ms to an hour.
    pub const DELIVERY: &'static [u64] = &[
        10_000_000,
        50_000_000,
        100_000_000,
        250_000_000,
        500_000_000,
        1_000_000_000,
        2_500_000_000,
        5_000_000_000,
        15_000_000_000,
        60_000_000_000,
        300_000_000_000,
        3_600_000_000_000,
    ];
    /// Flow sizes: 128 B to 16 GiB.
    pub const FLOW_SIZE: &'static [u64] = &[
        128,
        512,
        1 << 10,
        4 << 10,
        16 << 10,
        64 << 10,
        256 << 10,
        1 << 20,
        4 << 20,
        16 << 20,
        64 << 20,
        256 << 20,
        1 << 30,
        16 << 30,
    ];

    /// An empty histogram.
    pub fn new(bounds: &'static [u64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1], exemplars: vec![None; bounds.len() + 1], sum: 0 }
    }

    /// Adds one value.
    pub fn observe(&mut self, value: u64, flow: Option<u64>) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket] += 1;
        self.sum += u128::from(value);
        self.offer(bucket, flow.map(|flow| Exemplar { value, flow }));
    }

    /// Adds all of another histogram with the same bounds.
    pub fn merge(&mut self, other: &Self) {
        debug_assert_eq!(self.bounds, other.bounds);
        self.sum += other.sum;
        for bucket in 0..self.counts.len() {
            self.counts[bucket] += other.counts[bucket];
            self.offer(bucket, other.exemplars[bucket]);
        }
    }

    /// Adds frame lengths that were counted without their sum.
    pub(super) fn add_lengths(&mut self, lengths: &FrameLengths, bytes: u64) {
        self.sum += u128::from(bytes);
        self.counts.iter_mut().zip(&lengths.0).for_each(|(mine, theirs)| *mine += theirs);
    }

    fn offer(&mut self, bucket: usize, candidate: Option<Exemplar>) {
        let rank = |e: &Exemplar| (e.value, std::cmp::Reverse(e.flow));
        if candidate.as_ref().map(rank) > self.exemplars[bucket].as_ref().map(rank) {
            self.exemplars[bucket] = candidate;
        }
    }

    /// Forgets all values.
    pub fn clear(&mut self) {
        self.counts.fill(0);
        self.exemplars.fill(None);
        self.sum = 0;
    }

    /// Upper bounds without infinity.
    pub fn bounds(&self) -> &'static [u64] {
        self.bounds
    }

    /// Counts per bucket (not cumulative); one more than there are bounds.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Exemplars per bucket.
    pub fn exemplars(&self) -> &[Option<Exemplar>] {
        &self.exemplars
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Sum of all values.
    pub fn sum(&self) -> u128 {
        self.sum
    }
}

/// Counts of frame lengths by the bounds of [`Buckets::PACKET_SIZE`]: the form that is cheap for each packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FrameLengths([u64; Buckets::PACKET_SIZE.len() + 1]);

impl FrameLengths {
    pub(super) fn count(&mut self, wire_len: u32) {
        self.0[length_bucket(wire_len)] += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(mine, theirs)| *mine += theirs);
    }
}

/// The bucket of a length, found by the number of bits of `length − 1`: lengths with equally many share a bucket, or
/// two with one bound between them.
fn length_bucket(wire_len: u32) -> usize {
    let (first, bound) = BY_BITS[(u32::BITS - wire_len.saturating_sub(1).leading_zeros()) as usize];
    usize::from(first) + usize::from(wire_len > bound)
}

/// For n bits, that is lengths in (2^(n−1), 2^n]: the first bucket, and the bound that lies within.
const BY_BITS: [(u8, u32); 33] = {
    let mut table = [(0, u32::MAX); 33];
    let mut bits = 1;
    while bits < table.len() {
        let (below, most) = ((1_u64 << bits) >> 1, 1_u64 << bits);
        let mut bucket = 0;
        while bucket < Buckets::PACKET_SIZE.len() {
            let bound = Buckets::PACKET_SIZE[bucket];
            if bound <= below {
                table[bits].0 += 1;
            } else if bound < most {
                assert!(table[bits].1 == u32::MAX && bound <= u32::MAX as u64, "two bounds between powers of two");
                #[expect(clippy::cast_possible_truncation, reason = "asserted just above")]
                let bound = bound as u32;
                table[bits].1 = bound;
            }
            bucket += 1;
        }
        bits += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by_search(bounds: &[u64], value: u64) -> usize {
        bounds.iter().position(|bound| value <= *bound).unwrap_or(bounds.len())
    }

    #[test]
    fn every_length_to_64_kib_and_the_extremes_fall_into_the_bucket_of_their_bound() {
        for length in (0..=65_536).chain([u32::MAX - 1, u32::MAX, 1 << 31]) {
            let expected = by_search(Buckets::PACKET_SIZE, u64::from(length));
            assert_eq!(length_bucket(length), expected, "length {length}");
        }
    }

    proptest! {
        #[test]
        fn merging_in_any_order_equals_observing_all(
            values in prop::collection::vec((0..20_000_000_000_u64, prop::option::of(0..9_u64)), 0..60),
            split in 0..60_usize,
        ) {
            let (left, right) = values.split_at(split.min(values.len()));
            let of = |values: &[(u64, Option<u64>)]| {
                let mut buckets = Buckets::new(Buckets::RTT);
                values.iter().for_each(|(value, flow)| buckets.observe(*value, *flow));
                buckets
            };
            let (mut one, mut other) = (of(left), of(right));
            let all = of(&values);
            one.merge(&of(right));
            other.merge(&of(left));
            prop_assert_eq!(&one, &all);
            prop_assert_eq!(&other, &all);
            for bucket in 0..=Buckets::RTT.len() {
                let within = || values.iter().filter(|(value, _)| by_search(Buckets::RTT, *value) == bucket);
                prop_assert_eq!(all.counts()[bucket], within().count() as u64);
                let exemplar = within()
                    .filter_map(|(value, flow)| flow.map(|flow| (*value, flow)))
                    .max_by_key(|(value, flow)| (*value, std::cmp::Reverse(*flow)));
                prop_assert_eq!(all.exemplars()[bucket].map(|e| (e.value, e.flow)), exemplar);
            }
            prop_assert_eq!(all.sum(), values.iter().map(|(value, _)| u128::from(*value)).sum::<u128>());
        }
    }
}
