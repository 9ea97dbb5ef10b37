//! Where frames come from: the [`Adapter`] seam, live handles, savefiles, and what can be captured.
//!
//! Live there are two, both a [`LiveAdapter`]: [`PcapAdapter`] through libpcap everywhere, and on Linux
//! `RawSocketAdapter` over a packet socket of our own.

mod bpf;
mod error;
pub mod filter;
pub mod interfaces;
mod pcap;
#[cfg(target_os = "linux")]
mod raw;
mod savefile;

pub use error::{CaptureError, FileFault, Missing};
pub use filter::{Filter, FilterError};
pub use pcap::PcapAdapter;
#[cfg(target_os = "linux")]
pub use raw::{Compiler, KernelFilter, RawSocketAdapter, Spares};
pub use savefile::{Damage, Incomplete, Input, Options, Progress, Savefiles};

use crate::packet::{Frame, InterfaceId, Linktype, Perspective};
use std::time::Duration;

/// What captures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// libpcap.
    #[default]
    Pcap,
    /// AF_PACKET rings (Linux).
    Raw,
}

/// How live interfaces are captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What captures.
    pub backend: Backend,
    /// A BPF expression in tcpdump syntax.
    pub bpf: Option<String>,
    /// Ask the interface for frames that are not addressed to it.
    pub promiscuous: bool,
    /// The most bytes captured of a frame; headers only need a few hundred.
    pub snaplen: u32,
    /// Kernel buffer of each interface, in bytes.
    pub buffer_bytes: u32,
    /// Rings of each interface (raw backend), which share its buffer.
    pub rings: usize,
    /// Packet sockets opened at the start for interfaces that come later (Linux).
    pub spares: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            backend: Backend::Pcap,
            bpf: None,
            promiscuous: true,
            snaplen: 512,
            buffer_bytes: 16 << 20,
            rings: 1,
            spares: 32,
        }
    }
}

/// Receives frames in batches; they are borrowed only for the call.
pub trait FrameSink {
    /// A capture point: before its first frame, and again whenever the source learns more of it.
    fn interface(&mut self, info: &InterfaceInfo);

    /// Takes frames in the order of capture.
    fn frames(&mut self, frames: &[Frame<'_>]);
}

/// What one call of [`Adapter::poll`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poll {
    /// Frames were handed out, or there were some and the filter passed none of them.
    Frames,
    /// Nothing came within the wait.
    Idle,
    /// The source is at its end (files only).
    End,
}

/// A capture point that an adapter feeds. Adapters may learn of more while reading (pcapng).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceInfo {
    /// The id that its frames carry.
    pub id: InterfaceId,
    /// Its name.
    pub name: String,
    /// Link types of its frames, in order of appearance.
    pub linktypes: Vec<Linktype>,
    /// What the source says of its addresses; `local_networks` are the configuration's to add.
    pub perspective: Perspective,
}

/// Losses and receipts of a source since it was opened, in 64 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Handed over by the kernel, drops not included.
    pub received: u64,
    /// The capture buffer was full.
    pub kernel_dropped: u64,
    /// The interface lost them.
    pub interface_dropped: u64,
    /// Times the capture buffer was full, each with one or more drops; 0 where that is not told (libpcap).
    pub freezes: u64,
}

/// A source of frames: libpcap or a packet socket live, or a savefile.
///
/// A handle is touched by its own thread only.
pub trait Adapter: Send {
    /// Hands out the frames that are there, waiting at most `wait` for the first one.
    ///
    /// # Errors
    /// [`CaptureError`] when the source can give no more.
    fn poll(&mut self, wait: Duration, sink: &mut dyn FrameSink) -> Result<Poll, CaptureError>;

    /// The capture points known so far, by id; the list only grows, and an entry may learn link types and addresses.
    fn interfaces(&self) -> &[InterfaceInfo];

    /// Counts since open; `None` where the source has none.
    ///
    /// # Errors
    /// [`CaptureError`] when the handle is gone.
    fn statistics(&mut self) -> Result<Option<Statistics>, CaptureError>;
}

/// An adapter on an interface of this machine.
pub trait LiveAdapter: Adapter {
    /// Replaces the filter; `None` passes everything. Frames that wait to be read had passed the one before, and count.
    ///
    /// # Errors
    /// [`CaptureError::Filter`] when it does not compile, or what else refuses it; the old filter stays.
    fn set_filter(&mut self, expression: Option<&str>) -> Result<(), CaptureError>;

    /// What captures: `libpcap` or `af_packet`.
    fn backend(&self) -> &'static str;
}
