//! Capture files as a source: classic pcap and pcapng, plain or compressed, from files and streams, merged by time.
//!
//! The bytes are read in blocks and walked in place; frames are borrowed from the block and handed out in batches of
//! up to [`BATCH`]. Memory: one block per file (256 KiB, 64 KiB each when there are several), more only while a record
//! is longer, at most 16 MiB. A file that stops before its end is no error: everything before counts, and
//! [`Savefiles::incomplete`] says what is missing.

mod classic;
mod clock;
mod file;
mod incomplete;
mod input;
mod merge;
mod pcapng;
mod record;
mod registry;
mod source;
mod stream;

pub use incomplete::{Damage, Incomplete};
pub use input::Input;

use super::filter::FilterSet;
use super::{Adapter, CaptureError, FilterError, FrameSink, InterfaceInfo, Poll, Statistics};
use crate::packet::{Frame, InterfaceId, Linktype, PacketMeta};
use crate::time::Timestamp;
use file::{File, Progressed};
use merge::Merge;
pub(super) use registry::MAX_INTERFACES;
use registry::Registry;
use source::Source;
use std::io::Read;
use std::time::Duration;

/// The most frames of one batch.
pub(crate) const BATCH: usize = 64;
/// The most files that are merged.
pub(crate) const MAX_FILES: usize = 512;

/// How capture files are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The name of all interfaces; without, pcapng interfaces keep their own and others are called as the file.
    pub interface: Option<String>,
    /// A BPF expression in tcpdump syntax; only frames that it passes are handed out.
    pub bpf: Option<String>,
    /// Bytes read at once from each file; without, 256 KiB for one file and 64 KiB for each of several.
    pub block_bytes: Option<usize>,
}

/// How far reading is, in bytes as they are stored (compressed where they are).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read.
    pub read: u64,
    /// Of how many; `None` where one of the inputs is a stream.
    pub total: Option<u64>,
}

/// One or more capture files as one source.
///
/// Several files are merged by record time; within a file the order stays, and records without a usable time keep their
/// place. Interfaces of equal names are one.
#[derive(Debug)]
pub struct Savefiles {
    /// By file; `files` has what is known of each.
    sources: Vec<Source>,
    files: Vec<File>,
    registry: Registry,
    filters: Option<FilterSet>,
    merge: Merge,
}

impl Savefiles {
    /// Opens all inputs and reads the headers of regular files; streams are first read by [`Adapter::poll`].
    ///
    /// # Errors
    /// A file that cannot be opened or is no capture, a filter that compiles for no link type, or too many files.
    pub fn open(inputs: &[Input], options: &Options) -> Result<Self, CaptureError> {
        if inputs.is_empty() || inputs.len() > MAX_FILES {
            return Err(CaptureError::FileCount { count: inputs.len() });
        }
        let block_bytes = options.block_bytes.unwrap_or(if inputs.len() == 1 { 256 << 10 } else { 64 << 10 });
        let mut savefiles = Self::empty(options)?;
        for input in inputs {
            let file = File::new(input.name(), input.stem(), options.interface.clone());
            savefiles.add(Source::open(input, block_bytes)?, file)?;
        }
        Ok(savefiles)
    }

    /// Reads a capture from any reader; `name` stands for its file name.
    ///
    /// # Errors
    /// A filter that compiles for no link type. What the reader gives is first read by [`Adapter::poll`].
    pub fn from_reader(
        name: &str,
        reader: impl Read + Send + 'static,
        options: &Options,
    ) -> Result<Self, CaptureError> {
        let mut savefiles = Self::empty(options)?;
        let input = Input::Path(name.into());
        let file = File::new(input.name(), input.stem(), options.interface.clone());
        savefiles.add(Source::from_reader(Box::new(reader), options.block_bytes.unwrap_or(256 << 10)), file)?;
        Ok(savefiles)
    }

    fn empty(options: &Options) -> Result<Self, CaptureError> {
        let filters = options.bpf.as_deref().map(FilterSet::new).transpose()?;
        Ok(Self {
            sources: Vec::new(),
            files: Vec::new(),
            registry: Registry::default(),
            filters,
            merge: Merge::default(),
        })
    }

    fn add(&mut self, mut source: Source, mut file: File) -> Result<(), CaptureError> {
        if source.is_regular() {
            file.read_header(&mut source, &mut self.registry, Duration::ZERO)?;
        }
        self.sources.push(source);
        self.files.push(file);
        Ok(())
    }

    /// The files as the user named them.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(File::name)
    }

    /// The link types of all interfaces so far, in order of appearance.
    pub fn linktypes(&self) -> Vec<Linktype> {
        let mut seen = Vec::new();
        for linktype in self.registry.interfaces().iter().flat_map(|interface| &interface.linktypes) {
            if !seen.contains(linktype) {
                seen.push(*linktype);
            }
        }
        seen
    }

    /// How far reading is.
    pub fn progress(&self) -> Progress {
        Progress {
            read: self.sources.iter().map(Source::stored_read).sum(),
            total: self.sources.iter().map(Source::stored_total).sum(),
        }
    }

    /// Record times that were out of range and clamped.
    pub fn bad_timestamps(&self) -> u64 {
        self.files.iter().map(File::bad_timestamps).sum()
    }

    /// Frames that the filter did not pass.
    pub fn filtered(&self) -> u64 {
        self.filters.as_ref().map_or(0, FilterSet::discarded)
    }

    /// Where and why the files stopped that could not be read to their end, in the order they were named.
    pub fn incomplete(&self) -> impl Iterator<Item = &Incomplete> {
        self.files.iter().filter_map(File::incomplete)
    }

    /// One block of a single file.
    fn poll_one(&mut self, wait: Duration, sink: &mut dyn FrameSink) -> Result<Poll, CaptureError> {
        let Self { sources, files, registry, filters, .. } = self;
        let (Some(source), Some(file)) = (sources.first_mut(), files.first_mut()) else { return Ok(Poll::End) };
        loop {
            match file.advance(source, registry, wait)? {
                Progressed::Idle => return Ok(Poll::Idle),
                Progressed::End => return Ok(Poll::End),
                Progressed::Ready if file.hand_out(source, registry, filters.as_mut(), sink)? => {
                    return Ok(Poll::Frames);
                }
                Progressed::Ready => {}
            }
        }
    }
}

impl Adapter for Savefiles {
    /// Hands out what is in the block, reading a new one before when needed; `wait` is for streams.
    fn poll(&mut self, wait: Duration, sink: &mut dyn FrameSink) -> Result<Poll, CaptureError> {
        if self.files.len() == 1 {
            return self.poll_one(wait, sink);
        }
        let Self { sources, files, registry, filters, merge } = self;
        merge.poll(sources, files, registry, filters.as_mut(), wait, sink)
    }

    fn interfaces(&self) -> &[InterfaceInfo] {
        self.registry.interfaces()
    }

    fn statistics(&mut self) -> Result<Option<Statistics>, CaptureError> {
        Ok(None)
    }
}

/// Frames on their way to the sink.
struct Batch<'a> {
    frames: [Frame<'a>; BATCH],
    count: usize,
}

impl<'a> Batch<'a> {
    fn new() -> Self {
        const NONE: Frame<'static> = Frame {
            meta: PacketMeta {
                timestamp: Timestamp::MIN,
                timed: false,
                interface: InterfaceId(0),
                linktype: Linktype::Ethernet,
                caplen: 0,
                wire_len: 0,
                direction: None,
                gso_size: 0,
            },
            bytes: &[],
        };
        Self { frames: [NONE; BATCH], count: 0 }
    }

    /// Adds a frame, and hands all over when the batch is full.
    #[inline]
    fn push(&mut self, frame: Frame<'a>, sink: &mut dyn FrameSink) {
        if let Some(slot) = self.frames.get_mut(self.count) {
            *slot = frame;
            self.count += 1;
        }
        if self.count == BATCH {
            self.flush(sink);
        }
    }

    fn flush(&mut self, sink: &mut dyn FrameSink) {
        if self.count > 0 {
            sink.frames(&self.frames[..self.count]);
            self.count = 0;
        }
    }
}

/// Whether the filter, if there is one, passes a frame. Takes the frame by value: an address would keep it in memory.
#[inline]
fn passes(filters: Option<&mut FilterSet>, frame: Frame<'_>) -> Result<bool, FilterError> {
    match filters {
        None => Ok(true),
        Some(filters) => filters.passes(frame.meta.linktype, frame.bytes, frame.meta.wire_len),
    }
}

#[cfg(test)]
mod tests;
