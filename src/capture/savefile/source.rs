//! One block of uncompressed bytes, filled at its end and walked in place from its start.

use super::input::Input;
use super::stream::Stream;
use crate::capture::CaptureError;
use std::io::{self, Read};
use std::time::Duration;

/// What a call of [`Source::fill`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fill {
    /// More bytes are in the block.
    More,
    /// Nothing came within the wait (streams only).
    Idle,
    /// The input is at its end.
    End,
}

/// Why a call of [`Source::fill`] failed.
#[derive(Debug)]
pub(super) enum FillError {
    /// Reading failed.
    Read(io::Error),
    /// The compressed data end early or are not what the format allows.
    Compression(String),
}

/// A window over the uncompressed bytes: filled at its end, consumed at its start.
///
/// The block is as large as the most that was asked of [`Source::fill`], at least the size given at open.
#[derive(Debug)]
pub(super) struct Source {
    stream: Stream,
    block: Vec<u8>,
    start: usize,
    end: usize,
    offset: u64,
    total: Option<u64>,
}

impl Source {
    /// Opens the input; nothing is read yet.
    pub(super) fn open(input: &Input, block_bytes: usize) -> Result<Self, CaptureError> {
        let (file, total) = input.open()?;
        Ok(Self::new(Stream::of_file(file, total.is_some()), total, block_bytes))
    }

    /// Over any reader, whose reads may block.
    pub(super) fn from_reader(reader: Box<dyn Read + Send>, block_bytes: usize) -> Self {
        Self::new(Stream::of_reader(reader), None, block_bytes)
    }

    fn new(stream: Stream, total: Option<u64>, block_bytes: usize) -> Self {
        Self { stream, block: vec![0; block_bytes.max(1)], start: 0, end: 0, offset: 0, total }
    }

    /// Whether the input is a regular file, which never keeps a reader waiting.
    pub(super) fn is_regular(&self) -> bool {
        self.total.is_some()
    }

    /// Bytes read of the input as it is stored (compressed or not).
    pub(super) fn stored_read(&self) -> u64 {
        self.stream.stored_read()
    }

    /// Stored size of the input at open; `None` for streams.
    pub(super) fn stored_total(&self) -> Option<u64> {
        self.total
    }

    /// The bytes that are there and not consumed.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.block[self.start..self.end]
    }

    /// Uncompressed offset of the first of [`Source::bytes`].
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Moves the start of the window forward by at most what is there.
    pub(super) fn consume(&mut self, count: usize) {
        let count = count.min(self.end - self.start);
        self.start += count;
        self.offset += count as u64;
    }

    /// Reads once, so that more bytes follow those that are there; `needed` of them must fit.
    pub(super) fn fill(&mut self, needed: usize, wait: Duration) -> Result<Fill, FillError> {
        self.block.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.block.len() < needed.max(self.end + 1) {
            self.block.resize(needed.max(self.end + 1), 0);
        }
        match self.stream.read(&mut self.block[self.end..], wait) {
            Ok(0) => Ok(Fill::End),
            Ok(count) => {
                self.end += count;
                Ok(Fill::More)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Fill::Idle),
            Err(error) if self.stream.input_failed() => Err(FillError::Read(error)),
            Err(error) => Err(FillError::Compression(compression_fault(&error))),
        }
    }
}

fn compression_fault(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::UnexpectedEof { "cut short".into() } else { error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consumed_bytes_leave_the_window_and_the_offset_counts_them() {
        let mut source = Source::from_reader(Box::new(&b"abcdefgh"[..]), 4);
        assert_eq!(source.fill(1, Duration::ZERO).unwrap(), Fill::More);
        assert_eq!(source.bytes(), b"abcd");
        source.consume(3);
        assert_eq!(source.fill(5, Duration::ZERO).unwrap(), Fill::More);
        assert_eq!((source.bytes(), source.offset()), (&b"defgh"[..], 3));
        assert_eq!(source.fill(9, Duration::ZERO).unwrap(), Fill::End);
        assert_eq!(source.stored_read(), 8);
    }

    #[test]
    fn an_unreadable_input_is_told_from_bad_compression() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::PermissionDenied.into())
            }
        }
        let mut source = Source::from_reader(Box::new(Failing), 4);
        assert!(matches!(source.fill(1, Duration::ZERO), Err(FillError::Read(_))));
        let mut source = Source::from_reader(Box::new(&[0x1f, 0x8b, 8, 0][..]), 4);
        assert!(matches!(source.fill(1, Duration::ZERO), Err(FillError::Compression(why)) if why == "cut short"));
    }
}
