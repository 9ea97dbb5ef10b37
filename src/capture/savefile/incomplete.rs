//! A capture that stops before its end: everything before counts, and this says what is missing and where.

use super::record::MAX_CAPLEN;
use super::registry::{MAX_INTERFACES, MAX_LINKTYPES};
use std::fmt;

/// Where and why the reading of one file stopped.
///
/// Display is one line, `replay of ... stopped after ... frames: ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incomplete {
    /// The file as the user named it.
    pub file: String,
    /// Packet records before; all of them count.
    pub frames: u64,
    /// Byte at which the record or block begins that cannot be read, in the uncompressed file.
    pub offset: u64,
    /// What is wrong with it.
    pub damage: Damage,
}

impl Incomplete {
    /// What to do about it, for a line of its own.
    pub fn hint(&self) -> String {
        format!("results up to that frame are complete; compare with `capinfos {}`", self.file)
    }
}

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, frames, offset, damage } = self;
        let plural = if *frames == 1 { "" } else { "s" };
        write!(f, "replay of `{file}` stopped after {frames} frame{plural}: at byte {offset} {damage}")
    }
}

/// What cannot be read at a place of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// The file ends inside a record or block.
    CutShort {
        /// Bytes of it, as far as they are announced.
        needed: u64,
        /// Bytes of it that are there.
        found: u64,
    },
    /// The compressed data end early or are damaged.
    Compression(String),
    /// More captured bytes than a record can have.
    Caplen(u32),
    /// A block length that is below 12, above 16 MiB or no multiple of 4.
    BlockLength(u32),
    /// The two length fields of a block differ.
    BlockTrailer {
        /// Length in front.
        front: u32,
        /// Length behind.
        behind: u32,
    },
    /// A block too short for its own fields.
    BlockShort {
        /// Name of the block.
        block: &'static str,
        /// Its length.
        length: u32,
    },
    /// More captured bytes than the block holds.
    BlockCaplen {
        /// Captured bytes announced.
        caplen: u32,
        /// Length of the block.
        length: u32,
    },
    /// A packet of an interface that the section does not describe.
    Interface {
        /// Its number.
        number: u32,
        /// Interfaces described.
        described: usize,
    },
    /// An option that runs past its block or has a length of its own that cannot be right.
    BlockOption {
        /// Option code.
        code: u16,
        /// Its length.
        length: u16,
    },
    /// A section without a byte-order magic.
    ByteOrder(u32),
    /// A section of an unknown version.
    Version {
        /// Major version.
        major: u16,
        /// Minor version.
        minor: u16,
    },
    /// More interfaces, or link types of one, than are kept.
    TooManyInterfaces,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CutShort { needed, found } => write!(f, "record cut short ({needed} bytes needed, {found} present)"),
            Self::Compression(what) => write!(f, "compressed data {what}"),
            Self::Caplen(caplen) => write!(f, "a record of {caplen} captured bytes, allowed {MAX_CAPLEN}"),
            Self::BlockLength(length) => {
                write!(f, "a block of {length} bytes, allowed 12 to 16777216 in steps of 4")
            }
            Self::BlockTrailer { front, behind } => write!(f, "a block of {front} bytes that ends as one of {behind}"),
            Self::BlockShort { block, length } => {
                write!(f, "{block} block of {length} bytes, too short for its fields")
            }
            Self::BlockCaplen { caplen, length } => {
                write!(f, "a packet of {caplen} captured bytes in a block of {length}")
            }
            Self::Interface { number, described } => {
                write!(f, "a packet of interface {number}, the section describes {described}")
            }
            Self::BlockOption { code, length } => write!(f, "option {code} with a bad length of {length} bytes"),
            Self::ByteOrder(magic) => write!(f, "a section with byte-order magic {magic:08x}, allowed 1a2b3c4d"),
            Self::Version { major, minor } => write!(f, "a section of version {major}.{minor}, allowed 1.0 and 1.2"),
            Self::TooManyInterfaces => {
                write!(f, "more interfaces than are kept ({} of {} link types)", MAX_INTERFACES, MAX_LINKTYPES)
            }
        }
    }
}
