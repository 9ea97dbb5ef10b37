//! What the configuration means to a partition.

use super::key::Sender;
use super::record::Record;
use super::tcp::Seen;
use super::{Config, PARTITIONS, State};
use crate::packet::{ParsedPacket, TcpSegment, Transport};
use crate::time::Tick;
use std::time::Duration;

/// A partition's share of the limit, and timeouts in ticks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) cap: usize,
    opening: u32,
    established: u32,
    closing: u32,
    closed: u32,
    udp: u32,
    udp_one_way: u32,
    icmp: u32,
    other: u32,
    pub(super) active: Option<u32>,
    /// In nanoseconds.
    reorder_limit: u64,
    pub(super) continuous_rtt: bool,
}

impl Rules {
    /// Timeouts are rounded up to whole ticks: no record ends early.
    pub(super) fn new(config: &Config) -> Self {
        let ticks = |timeout: Duration| {
            let ticks = timeout.as_nanos().div_ceil(u128::from(Tick::NANOS)).max(1);
            u32::try_from(ticks).unwrap_or(u32::MAX).min(u32::MAX / 4)
        };
        let timeouts = &config.timeouts;
        Self {
            cap: share(config.max),
            opening: ticks(timeouts.tcp_opening),
            established: ticks(timeouts.tcp_established),
            closing: ticks(timeouts.tcp_closing),
            closed: ticks(timeouts.tcp_closed),
            udp: ticks(timeouts.udp),
            udp_one_way: ticks(timeouts.udp_one_way),
            icmp: ticks(timeouts.icmp),
            other: ticks(timeouts.other),
            active: timeouts.active.map(ticks),
            reorder_limit: u64::try_from(config.reorder_limit.as_nanos()).unwrap_or(u64::MAX),
            continuous_rtt: config.continuous_rtt,
        }
    }

    /// A packet's segment as its connection sees it.
    #[inline]
    pub(super) fn seen<'a>(
        &self,
        sender: Sender,
        initiator: Sender,
        segment: &'a TcpSegment,
        packet: &ParsedPacket,
    ) -> Seen<'a> {
        let (payload, now, reorder_limit) = (packet.payload_len, packet.timestamp, self.reorder_limit);
        Seen { sender, initiator, segment, payload, now, reorder_limit }
    }

    /// How long a record lives without a packet.
    pub(super) fn idle_timeout(&self, record: &Record) -> u32 {
        self.idle_timeout_in(record.state, record.is_half_open(), record.narrow.transport())
    }

    /// How long a record in this state lives without a packet.
    pub(super) fn idle_timeout_in(&self, state: State, is_half_open: bool, transport: Transport) -> u32 {
        match state {
            State::Opening => self.opening,
            State::Open => self.established,
            State::Closing => self.closing,
            State::Closed => self.closed,
            State::Active => match transport {
                Transport::Udp if is_half_open => self.udp_one_way,
                Transport::Udp => self.udp,
                Transport::Icmp => self.icmp,
                Transport::Tcp | Transport::Sctp | Transport::Other => self.other,
            },
        }
    }
}

/// A partition's share of a limit.
pub(super) fn share(max: usize) -> usize {
    (max / PARTITIONS).clamp(1, MOST_RECORDS)
}

/// The most records of one partition: slots are numbered in 31 bits.
const MOST_RECORDS: usize = (1 << 31) - 1;
