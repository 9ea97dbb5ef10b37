//! One capture file: its header, its records one after the other, and how it ended.

use super::classic::{self, Classic};
use super::incomplete::{Damage, Incomplete};
use super::pcapng::{self, Naming, Pcapng};
use super::record::{ByteOrder, Record, Step};
use super::registry::{Description, Registry};
use super::source::{Fill, FillError, Source};
use super::{Batch, passes};
use crate::capture::FrameSink;
use crate::capture::error::{CaptureError, FileFault, KnownFormat};
use crate::capture::filter::FilterSet;
use crate::packet::Frame;
use std::time::Duration;

/// What is known of one file while it is read.
#[derive(Debug)]
pub(super) struct File {
    name: String,
    stem: String,
    /// The name that all its interfaces are given.
    interface: Option<String>,
    format: Format,
    /// Packet records read.
    records: u64,
    /// Bytes that the next record needs, once it is known that they are not all there.
    needed: usize,
    ended: bool,
    incomplete: Option<Incomplete>,
}

#[derive(Debug)]
enum Format {
    /// The header was not read.
    Unknown,
    Classic(Classic),
    Pcapng(Box<Pcapng>),
}

/// Whether there is something to walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progressed {
    /// The format is known and there may be records in the block.
    Ready,
    /// Nothing came within the wait.
    Idle,
    /// Nothing more comes.
    End,
}

impl File {
    pub(super) fn new(name: String, stem: String, interface: Option<String>) -> Self {
        Self { name, stem, interface, format: Format::Unknown, records: 0, needed: 0, ended: false, incomplete: None }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn incomplete(&self) -> Option<&Incomplete> {
        self.incomplete.as_ref()
    }

    pub(super) fn bad_timestamps(&self) -> u64 {
        match &self.format {
            Format::Unknown => 0,
            Format::Classic(classic) => classic.bad_timestamps(),
            Format::Pcapng(pcapng) => pcapng.bad_timestamps(),
        }
    }

    /// Reads the file header: of classic pcap all of it, of pcapng the whole first section header.
    pub(super) fn read_header(
        &mut self,
        source: &mut Source,
        registry: &mut Registry,
        wait: Duration,
    ) -> Result<Progressed, CaptureError> {
        let mut needed = 4;
        loop {
            if source.bytes().len() >= needed {
                match self.identify(source, registry).map_err(|fault| self.not_a_capture(fault))? {
                    None => return Ok(Progressed::Ready),
                    Some(more) => needed = more,
                }
                continue;
            }
            match source.fill(needed, wait) {
                Ok(Fill::More) => {}
                Ok(Fill::Idle) => return Ok(Progressed::Idle),
                Ok(Fill::End) => return Err(self.not_a_capture(header_cut(source.bytes(), needed))),
                Err(FillError::Compression(what)) => return Err(self.not_a_capture(FileFault::Compression(what))),
                Err(FillError::Read(error)) => return Err(self.read_failed(source, error)),
            }
        }
    }

    /// Looks at the header; the bytes that it takes when there are too few.
    fn identify(&mut self, source: &mut Source, registry: &mut Registry) -> Result<Option<usize>, FileFault> {
        let Some(magic) = source.bytes().first_chunk::<4>() else { return Ok(Some(4)) };
        if let Some(order) = Classic::order(*magic) {
            return self.identify_classic(order, source, registry);
        }
        if *magic == pcapng::MAGIC {
            return self.identify_pcapng(source, registry);
        }
        Err(FileFault::Magic { start: magic.to_vec(), known_as: known_format(magic) })
    }

    fn identify_classic(
        &mut self,
        order: ByteOrder,
        source: &mut Source,
        registry: &mut Registry,
    ) -> Result<Option<usize>, FileFault> {
        let Some(header) = source.bytes().first_chunk() else { return Ok(Some(classic::HEADER)) };
        let mut classic = Classic::open(order, header)?;
        let name = self.interface.clone().unwrap_or_else(|| self.stem.clone());
        let description = Description { name, linktype: classic.linktype(), addresses: Vec::new(), mac: None };
        classic.set_interface(registry.register(description).ok_or(FileFault::TooManyInterfaces)?);
        source.consume(classic::HEADER);
        self.format = Format::Classic(classic);
        Ok(None)
    }

    fn identify_pcapng(&mut self, source: &mut Source, registry: &mut Registry) -> Result<Option<usize>, FileFault> {
        let naming = Naming { fixed: self.interface.clone(), stem: self.stem.clone() };
        let mut pcapng = Box::new(Pcapng::new(naming));
        match pcapng.step(source.bytes(), registry) {
            Step::More(needed) => return Ok(Some(needed)),
            Step::Damaged(Damage::Version { major, minor }) => {
                return Err(FileFault::Version { format: "pcapng", major, minor });
            }
            Step::Damaged(damage) => return Err(FileFault::Section(damage.to_string())),
            Step::Skip(size) | Step::Packet(Record { size, .. }) => source.consume(size),
        }
        self.format = Format::Pcapng(pcapng);
        Ok(None)
    }

    /// Makes sure that there is something to walk: reads the header, or more bytes after the last walk.
    pub(super) fn advance(
        &mut self,
        source: &mut Source,
        registry: &mut Registry,
        wait: Duration,
    ) -> Result<Progressed, CaptureError> {
        if self.ended {
            return Ok(Progressed::End);
        }
        if matches!(self.format, Format::Unknown) {
            return self.read_header(source, registry, wait);
        }
        if source.bytes().len() >= self.needed.max(1) {
            return Ok(Progressed::Ready);
        }
        match source.fill(self.needed, wait) {
            Ok(Fill::More) => Ok(Progressed::Ready),
            Ok(Fill::Idle) => Ok(Progressed::Idle),
            Ok(Fill::End) => {
                let found = source.bytes().len();
                let cut = Damage::CutShort { needed: self.needed as u64, found: found as u64 };
                self.end(source, (found > 0).then_some(cut))
            }
            Err(FillError::Compression(what)) => self.end(source, Some(Damage::Compression(what))),
            Err(FillError::Read(error)) => Err(self.read_failed(source, error)),
        }
    }

    fn end(&mut self, source: &Source, damage: Option<Damage>) -> Result<Progressed, CaptureError> {
        self.ended = true;
        self.incomplete = damage.map(|damage| Incomplete {
            file: self.name.clone(),
            frames: self.records,
            offset: source.offset(),
            damage,
        });
        if let Format::Pcapng(pcapng) = &self.format
            && let Some(unknown) = pcapng.only_unknown_linktypes()
        {
            return Err(self.not_a_capture(FileFault::Linktypes(unknown.to_vec())));
        }
        Ok(Progressed::End)
    }

    /// Hands out all whole records of the block; whether there was anything to walk.
    pub(super) fn hand_out(
        &mut self,
        source: &mut Source,
        registry: &mut Registry,
        filters: Option<&mut FilterSet>,
        sink: &mut dyn FrameSink,
    ) -> Result<bool, CaptureError> {
        let bytes = source.bytes();
        let walked = match &mut self.format {
            Format::Unknown => return Ok(false),
            Format::Classic(classic) => walk(bytes, registry, |bytes, _| classic.step(bytes), filters, sink)?,
            Format::Pcapng(pcapng) => {
                walk(bytes, registry, |bytes, registry| pcapng.step(bytes, registry), filters, sink)?
            }
        };
        self.records += walked.records;
        source.consume(walked.bytes);
        self.settle(source, walked.stop)?;
        Ok(walked.bytes > 0)
    }

    /// The first record at or behind `from`, skipping blocks without packets.
    ///
    /// Used when files are merged, with frames still borrowed from `bytes`; [`File::settle`] takes the reason afterwards
    /// why there was none.
    pub(super) fn next_record(&mut self, bytes: &[u8], from: usize, registry: &mut Registry) -> Next {
        let mut at = from;
        let found = loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let step = match &mut self.format {
                Format::Unknown => Step::More(1),
                Format::Classic(classic) => classic.step(rest),
                Format::Pcapng(pcapng) => pcapng.step(rest, registry),
            };
            match step {
                Step::Packet(record) => break Ok(record),
                Step::Skip(size) => at += size,
                Step::More(needed) => break Err(Stop::More(needed)),
                Step::Damaged(damage) => break Err(Stop::Damaged(damage)),
            }
        };
        self.records += u64::from(found.is_ok());
        Next { at, found }
    }

    /// Takes note of why a walk stopped, once what was walked is consumed.
    pub(super) fn settle(&mut self, source: &Source, stop: Stop) -> Result<(), CaptureError> {
        match stop {
            Stop::More(needed) => self.needed = needed,
            Stop::Damaged(damage) => {
                self.end(source, Some(damage))?;
            }
        }
        Ok(())
    }

    fn not_a_capture(&self, fault: FileFault) -> CaptureError {
        CaptureError::NotACapture { file: self.name.clone(), fault }
    }

    fn read_failed(&self, source: &Source, error: std::io::Error) -> CaptureError {
        let offset = source.offset() + source.bytes().len() as u64;
        CaptureError::ReadFile { file: self.name.clone(), offset, source: error }
    }
}

/// Why a walk stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// The next record is not whole; it needs this many bytes.
    More(usize),
    /// The next record cannot be right.
    Damaged(Damage),
}

/// What [`File::next_record`] found, and where it begins.
#[derive(Debug)]
pub(super) struct Next {
    pub(super) at: usize,
    pub(super) found: Result<Record, Stop>,
}

struct Walked {
    records: u64,
    bytes: usize,
    stop: Stop,
}

/// Hands out all whole records of `bytes` that the filter passes, and interfaces before their first frame.
#[inline]
fn walk(
    bytes: &[u8],
    registry: &mut Registry,
    mut step: impl FnMut(&[u8], &mut Registry) -> Step,
    mut filters: Option<&mut FilterSet>,
    sink: &mut dyn FrameSink,
) -> Result<Walked, CaptureError> {
    let mut batch = Batch::new();
    let (mut at, mut records) = (0, 0);
    registry.announce(&mut batch, sink);
    let stop = loop {
        let rest = &bytes[at..];
        match step(rest, registry) {
            Step::Packet(record) => {
                let frame = frame(&record, rest);
                records += 1;
                at += record.size;
                match passes(filters.as_deref_mut(), frame) {
                    Ok(true) => batch.push(frame, sink),
                    Ok(false) => {}
                    Err(error) => {
                        batch.flush(sink);
                        return Err(error.into());
                    }
                }
            }
            Step::Skip(size) => {
                at += size;
                registry.announce(&mut batch, sink);
            }
            Step::More(needed) => break Stop::More(needed),
            Step::Damaged(damage) => break Stop::Damaged(damage),
        }
    };
    batch.flush(sink);
    Ok(Walked { records, bytes: at, stop })
}

/// The frame of a record that begins at the start of `bytes`.
#[inline]
pub(super) fn frame<'a>(record: &Record, bytes: &'a [u8]) -> Frame<'a> {
    let end = record.data + record.meta.caplen as usize;
    Frame { meta: record.meta, bytes: bytes.get(record.data..end).unwrap_or_default() }
}

/// What a file is that ends before its header does.
fn header_cut(bytes: &[u8], needed: usize) -> FileFault {
    match bytes.first_chunk::<4>() {
        None if bytes.is_empty() => FileFault::Empty,
        None => FileFault::Magic { start: bytes.to_vec(), known_as: None },
        Some(magic) => FileFault::HeaderCut {
            format: if *magic == pcapng::MAGIC { "pcapng" } else { "pcap" },
            needed: needed as u64,
            found: bytes.len() as u64,
        },
    }
}

/// Formats that people try, by their first bytes.
fn known_format(magic: &[u8; 4]) -> Option<KnownFormat> {
    let decompress = |name, convert| Some(KnownFormat { name, convert });
    match magic {
        [0xfd, b'7', b'z', b'X'] => decompress("xz", "decompress it: `xz -dc FILE | netmon replay -`"),
        [b'B', b'Z', b'h', _] => decompress("bzip2", "decompress it: `bzip2 -dc FILE | netmon replay -`"),
        [0x04, 0x22, 0x4d, 0x18] => decompress("lz4", "decompress it: `lz4 -dc FILE | netmon replay -`"),
        [b'P', b'K', 3, 4] => decompress("zip", "decompress it: `unzip -p FILE | netmon replay -`"),
        b"snoo" => decompress("snoop", "convert it: `editcap -F pcapng FILE out.pcapng`"),
        b"GMBU" => decompress("Microsoft Network Monitor", "convert it: `editcap -F pcapng FILE out.pcapng`"),
        _ => None,
    }
}
