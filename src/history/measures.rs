//! What is kept of one interface for one span of time.

use crate::flow::{Failure, Phase};
use crate::packet::{Direction, Transport};
use crate::stats::{CONVERSATIONS, Counters, DropStage, TcpCounters, Volume};
use std::sync::Arc;

/// One second of one interface, already differenced: what happened in it, not what was counted since the start.
///
/// A second without traffic is a record of zeros; a second without a record is a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Second {
    /// The interface's name, at most 255 bytes.
    pub interface: Arc<str>,
    /// Its start: seconds since the epoch, `Tick::second() − 1`.
    pub start: u64,
    /// What happened. `seconds` and `peak` are set by the writer.
    pub measures: Measures,
}

/// Sums over a span of time. Arrays of two are indexed by [`Direction`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measures {
    /// Seconds that were recorded in the span; rates are sums divided by this.
    pub seconds: u64,
    /// Frames and wire bytes by direction, then by [`CONVERSATIONS`]. Every frame is in exactly one.
    pub protocols: [[Volume; CONVERSATIONS.len()]; 2],
    /// The greatest packets and the greatest bytes of one recorded second.
    pub peak: [Volume; 2],
    /// TCP health.
    pub tcp: Tcp,
    /// Flows made, by [`Transport`].
    pub flows_opened: [u64; Transport::ALL.len()],
    /// Flows ended, by [`Transport`].
    pub flows_closed: [u64; Transport::ALL.len()],
    /// Flows in the table at the end of the span.
    pub flows_active: u64,
    /// Frames lost before they were parsed, by [`DropStage`].
    pub dropped: [u64; DropStage::ALL.len()],
    /// Frames that could not be parsed to the end.
    pub rejected: u64,
    /// Captured wire bytes of the seconds of which the kernel's count is known and comparable (no capture filter).
    pub covered_bytes: u64,
    /// What the kernel counted in the same seconds.
    pub kernel_bytes: u64,
}

/// TCP health of a span; arrays of two are indexed by [`Direction`] of the segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tcp {
    /// Segments with a good header.
    pub segments: [u64; 2],
    /// Segments whose sequence numbers were already seen.
    pub retransmitted_segments: [u64; 2],
    /// Payload bytes of them.
    pub retransmitted_bytes: [u64; 2],
    /// Segments that filled a gap inside the reorder limit.
    pub out_of_order_segments: [u64; 2],
    /// Times the window went to zero.
    pub zero_window: [u64; 2],
    /// By [`Phase`].
    pub resets: [u64; Phase::ALL.len()],
    /// Handshakes completed.
    pub connections_opened: u64,
    /// By [`Failure`].
    pub connection_failures: [u64; Failure::ALL.len()],
    /// Handshake round trips measured, by [`Side`](crate::flow::Side).
    pub handshakes: [u64; 2],
    /// Their sum in nanoseconds, by side.
    pub handshake_ns: [u64; 2],
}

impl Measures {
    /// All frames of one direction.
    pub fn volume(&self, direction: Direction) -> Volume {
        self.protocols[direction as usize].iter().fold(Volume::default(), |sum, protocol| Volume {
            packets: sum.packets.saturating_add(protocol.packets),
            bytes: sum.bytes.saturating_add(protocol.bytes),
        })
    }

    /// Captured bytes / kernel bytes; `None` where it is not known.
    pub fn coverage(&self) -> Option<f64> {
        (self.kernel_bytes > 0).then(|| self.covered_bytes as f64 / self.kernel_bytes as f64)
    }

    /// The mean handshake round trip in seconds, by side.
    pub fn handshake_rtt(&self) -> [Option<f64>; 2] {
        let mean = |side: usize| {
            let (sum, count) = (self.tcp.handshake_ns[side], self.tcp.handshakes[side]);
            (count > 0).then(|| sum as f64 / count as f64 / 1e9)
        };
        [mean(0), mean(1)]
    }

    /// As counters; what is not kept is 0 there.
    pub fn counters(&self) -> Counters {
        let tcp = &self.tcp;
        Counters {
            volume: Direction::ALL.map(|direction| self.volume(direction)),
            protocols: self.protocols,
            tcp: TcpCounters {
                segments: tcp.segments,
                retransmitted_segments: tcp.retransmitted_segments,
                retransmitted_bytes: tcp.retransmitted_bytes,
                out_of_order_segments: tcp.out_of_order_segments,
                zero_window: tcp.zero_window,
                resets: tcp.resets,
                connections_opened: tcp.connections_opened,
                connection_failures: tcp.connection_failures,
                ..TcpCounters::default()
            },
            flows_opened: self.flows_opened,
            dropped_packets: self.dropped,
            ..Counters::default()
        }
    }

    /// Adds a later span: sums are added (saturating), peaks are the greater, `flows_active` is the later one's.
    pub fn merge(&mut self, later: &Self) {
        let mut theirs = later.numbers().into_iter().enumerate();
        self.visit_mut(|mine| match theirs.next() {
            Some((..LAST, sum)) => *mine = mine.saturating_add(sum),
            Some((LAST, last)) => *mine = last,
            Some((_, peak)) => *mine = peak.max(*mine),
            None => {}
        });
    }

    /// Every number in the order of the stored layout.
    pub(super) fn numbers(&self) -> [u64; FIELDS] {
        let (mut numbers, mut copy, mut at) = ([0; FIELDS], *self, 0);
        copy.visit_mut(|number| {
            numbers[at] = *number;
            at += 1;
        });
        numbers
    }

    /// Lends every number in the order of the stored layout; naming every field makes a forgotten one a compile error.
    #[inline]
    pub(super) fn visit_mut(&mut self, mut each: impl FnMut(&mut u64)) {
        let Self {
            seconds,
            protocols,
            peak,
            tcp,
            flows_opened,
            flows_closed,
            flows_active,
            dropped,
            rejected,
            covered_bytes,
            kernel_bytes,
        } = self;
        let mut sums = |numbers: &mut [u64]| numbers.iter_mut().for_each(&mut each);
        sums(std::slice::from_mut(seconds));
        for Volume { packets, bytes } in protocols.iter_mut().flatten() {
            sums(std::slice::from_mut(packets));
            sums(std::slice::from_mut(bytes));
        }
        tcp.each(&mut sums);
        sums(flows_opened);
        sums(flows_closed);
        sums(dropped);
        [rejected, covered_bytes, kernel_bytes].into_iter().for_each(|number| sums(std::slice::from_mut(number)));
        each(flows_active);
        for Volume { packets, bytes } in peak {
            each(packets);
            each(bytes);
        }
    }
}

impl Tcp {
    #[inline]
    fn each(&mut self, sums: &mut impl FnMut(&mut [u64])) {
        let Self {
            segments,
            retransmitted_segments,
            retransmitted_bytes,
            out_of_order_segments,
            zero_window,
            resets,
            connections_opened,
            connection_failures,
            handshakes,
            handshake_ns,
        } = self;
        sums(segments);
        sums(retransmitted_segments);
        sums(retransmitted_bytes);
        sums(out_of_order_segments);
        sums(zero_window);
        sums(resets);
        sums(std::slice::from_mut(connections_opened));
        sums(connection_failures);
        sums(handshakes);
        sums(handshake_ns);
    }
}

/// Numbers of [`Measures`].
pub(super) const FIELDS: usize = 91;
/// The place of `flows_active`: before it are sums, behind it peaks.
const LAST: usize = 86;
