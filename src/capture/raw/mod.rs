//! Live capture of one interface through a TPACKET_V3 ring of our own (Linux).
//!
//! What it has over libpcap: it needs no privilege once its sockets are open ([`Spares`]), it can be opened on an
//! interface that is down, it tells the direction of each frame and the segments of a super-frame, it deals an interface
//! to several rings, and its counters have 64 bits. What it refuses: interfaces whose frames begin with neither an
//! Ethernet nor an IP header.
//!
//! The kernel writes frames into blocks of shared memory; [`ring`] owns that memory, [`block`] reads it. A block is
//! handed over when it is full or [`RETIRE_MS`] old.
//!
//! With the virtio header, which tells the segment size, the kernel drops what that header cannot describe: super-frames
//! of SCTP. They are counted as dropped.

mod block;
mod fanout;
mod filter;
mod open;
mod ring;
mod spares;
#[cfg(test)]
mod tests;
mod watch;

pub(super) use filter::replace;
pub use filter::{Compiler, KernelFilter};
pub use spares::Spares;

use super::{Adapter, CaptureError, FrameSink, InterfaceInfo, LiveAdapter, Poll, Statistics};
use crate::packet::{Direction, Frame, InterfaceId, Linktype, PacketMeta};
use block::{Layout, Record, Records};
use ring::Ring;
use spares::Lease;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;
use watch::{Watch, Woken};

/// How long the kernel may keep frames back to fill a block, in milliseconds: below the 100 ms tick.
const RETIRE_MS: u32 = 50;
/// Frames that a sink gets at once.
const BATCH: usize = 64;

/// A packet socket with a mapped ring on one interface.
///
/// It is touched by its own thread only; filter changes and statistics happen between two polls. Dropping it gives the
/// socket back to its [`Spares`].
///
/// An interface that is down is a state, not an error: nothing comes until it is up. One that is gone ends the capture
/// with [`CaptureError::InterfaceGone`], after the frames that it still had.
pub struct RawSocketAdapter {
    // The ring is unmapped before the lease, which frees it, is dropped: fields go in this order.
    ring: Ring,
    lease: Lease,
    interface: [InterfaceInfo; 1],
    layout: Layout,
    snaplen: u32,
    promiscuous: bool,
    announced: bool,
    compiler: Arc<Compiler>,
    counted: Statistics,
    watch: Watch,
}

impl RawSocketAdapter {
    /// Whether the interface was asked for all frames: as configured, unless it has no such mode.
    pub fn is_promiscuous(&self) -> bool {
        self.promiscuous
    }

    fn name(&self) -> &str {
        let [interface] = &self.interface;
        &interface.name
    }

    fn linktype(&self) -> Linktype {
        let [interface] = &self.interface;
        interface.linktypes.first().copied().unwrap_or(Linktype::Ethernet)
    }

    /// Hands out the next block, if there is one.
    fn take_block(&mut self, sink: &mut dyn FrameSink) -> Result<Option<Poll>, CaptureError> {
        let [interface] = &self.interface;
        let linktype = interface.linktypes.first().copied().unwrap_or(Linktype::Ethernet);
        let point =
            Point { id: interface.id, linktype, loopback: interface.perspective.loopback, snaplen: self.snaplen };
        let layout = self.layout;
        let is_whole = self.ring.take(|memory| {
            let mut records = Records::new(memory, layout);
            point.hand_out(records.by_ref(), sink);
            records.is_whole()
        });
        match is_whole {
            Some(false) => Err(CaptureError::BadBlock { interface: self.name().into() }),
            Some(true) => Ok(Some(Poll::Frames)),
            None => Ok(None),
        }
    }

    /// Waits for a block, at most `wait`.
    fn wait(&mut self, wait: Duration) -> Result<(), CaptureError> {
        match self.watch.wait(self.lease.as_fd(), wait) {
            Ok(Woken::Waited) => Ok(()),
            Ok(Woken::Gone) => Err(CaptureError::InterfaceGone { interface: self.name().into() }),
            Err(source) => Err(self.failed("cannot wait for frames", source)),
        }
    }

    fn failed(&self, doing: &'static str, source: std::io::Error) -> CaptureError {
        CaptureError::PacketSocket { interface: self.name().into(), doing, source }
    }
}

impl std::fmt::Debug for RawSocketAdapter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawSocketAdapter").field("interface", &self.interface).finish_non_exhaustive()
    }
}

impl Adapter for RawSocketAdapter {
    /// Takes one block of the ring, in batches; poll(2) is called only when no block is ready.
    fn poll(&mut self, wait: Duration, sink: &mut dyn FrameSink) -> Result<Poll, CaptureError> {
        if !std::mem::replace(&mut self.announced, true) {
            sink.interface(&self.interface[0]);
        }
        if let Some(taken) = self.take_block(sink)? {
            return Ok(taken);
        }
        self.wait(wait)?;
        let taken = self.take_block(sink)?;
        self.watch.woke_for_nothing(taken.is_none(), wait);
        Ok(taken.unwrap_or(Poll::Idle))
    }

    fn interfaces(&self) -> &[InterfaceInfo] {
        &self.interface
    }

    fn statistics(&mut self) -> Result<Option<Statistics>, CaptureError> {
        let since = ring::take_statistics(self.lease.as_fd());
        let since = since.map_err(|source| self.failed("cannot read its statistics", source))?;
        add(&mut self.counted, &since);
        Ok(Some(self.counted))
    }
}

impl LiveAdapter for RawSocketAdapter {
    /// Replaces the filter in one step: no frame is lost for it.
    fn set_filter(&mut self, expression: Option<&str>) -> Result<(), CaptureError> {
        let loopback = self.interface[0].perspective.loopback;
        let filter = open::program(expression, self.linktype(), self.snaplen, loopback, &self.compiler)?;
        open::attach(self.lease.as_fd(), &filter).map_err(|source| self.failed("cannot set its filter", source))
    }

    fn backend(&self) -> &'static str {
        "af_packet"
    }
}

/// Adds what was counted since the last reading; the kernel counts drops among the frames it saw.
fn add(sum: &mut Statistics, since: &libc::tpacket_stats_v3) {
    sum.received += u64::from(since.tp_packets.saturating_sub(since.tp_drops));
    sum.kernel_dropped += u64::from(since.tp_drops);
    sum.freezes += u64::from(since.tp_freeze_q_cnt);
}

/// What all frames of an adapter have in common.
#[derive(Clone, Copy)]
struct Point {
    id: InterfaceId,
    linktype: Linktype,
    loopback: bool,
    snaplen: u32,
}

impl Point {
    /// Passes records on as frames, [`BATCH`] at a time.
    fn hand_out<'a>(&self, records: impl Iterator<Item = Record<'a>>, sink: &mut dyn FrameSink) {
        let mut frames: [Frame<'a>; BATCH] = [self.frame(Record::NONE); BATCH];
        let mut count = 0;
        for record in records {
            frames[count] = self.frame(record);
            count += 1;
            if count == BATCH {
                sink.frames(&frames);
                count = 0;
            }
        }
        if count > 0 {
            sink.frames(&frames[..count]);
        }
    }

    #[inline]
    fn frame<'a>(&self, record: Record<'a>) -> Frame<'a> {
        // A tag that was put back may make the frame longer than asked for, as it would have been cut on the wire.
        let bytes = record.bytes.get(..self.snaplen as usize).unwrap_or(record.bytes);
        let meta = PacketMeta {
            timestamp: record.timestamp,
            timed: true,
            interface: self.id,
            linktype: self.linktype,
            caplen: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            wire_len: record.wire_len,
            direction: self.direction(record.packet_type),
            gso_size: record.gso_size,
        };
        Frame { meta, bytes }
    }

    /// On the loopback a frame has none.
    fn direction(&self, packet_type: u8) -> Option<Direction> {
        let outgoing = packet_type == libc::PACKET_OUTGOING;
        (!self.loopback).then_some(if outgoing { Direction::Transmit } else { Direction::Receive })
    }
}
