//! The stored bytes of an input, and the uncompressed ones behind them.

use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::time::Duration;

/// The input behind its compression, known by its first four bytes.
pub(super) enum Stream {
    /// Fewer than four bytes were seen.
    Unknown(Raw),
    Plain(Raw),
    Gzip(Box<MultiGzDecoder<BufReader<Raw>>>),
    Zstd(Box<zstd::Decoder<'static, BufReader<Raw>>>),
    /// Between two of the above.
    Closed,
}

impl Stream {
    const GZIP: [u8; 2] = [0x1f, 0x8b];
    const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
    /// Compressed bytes read at once.
    const BUFFER: usize = 64 << 10;

    /// Over a file; reads of one that is not regular are waited for.
    pub(super) fn of_file(file: File, regular: bool) -> Self {
        Self::Unknown(Raw { waits: !regular, ..Raw::new(Bytes::File(file)) })
    }

    /// Over any reader, whose reads may block.
    pub(super) fn of_reader(reader: Box<dyn Read + Send>) -> Self {
        Self::Unknown(Raw::new(Bytes::Reader(reader)))
    }

    /// Reads uncompressed bytes; `WouldBlock` where nothing came within the wait.
    pub(super) fn read(&mut self, into: &mut [u8], wait: Duration) -> io::Result<usize> {
        if let Some(raw) = self.raw_mut() {
            raw.wait = wait;
        }
        if let Self::Unknown(raw) = self {
            raw.peek()?;
            *self = std::mem::replace(self, Self::Closed).identified()?;
        }
        match self {
            Self::Plain(raw) => raw.read(into),
            Self::Gzip(decoder) => decoder.read(into),
            Self::Zstd(decoder) => decoder.read(into),
            Self::Unknown(_) | Self::Closed => Ok(0),
        }
    }

    fn identified(self) -> io::Result<Self> {
        let Self::Unknown(raw) = self else { return Ok(self) };
        Ok(if raw.ahead.starts_with(&Self::GZIP) {
            Self::Gzip(Box::new(MultiGzDecoder::new(BufReader::with_capacity(Self::BUFFER, raw))))
        } else if raw.ahead.starts_with(&Self::ZSTD) {
            let buffer = BufReader::with_capacity(Self::BUFFER, raw);
            Self::Zstd(Box::new(zstd::Decoder::with_buffer(buffer)?))
        } else {
            Self::Plain(raw)
        })
    }

    /// Stored bytes read so far.
    pub(super) fn stored_read(&self) -> u64 {
        self.raw().map_or(0, |raw| raw.count)
    }

    /// Whether the last error was of the input itself, not of what is compressed in it.
    pub(super) fn input_failed(&self) -> bool {
        self.raw().is_some_and(|raw| raw.failed)
    }

    fn raw(&self) -> Option<&Raw> {
        match self {
            Self::Unknown(raw) | Self::Plain(raw) => Some(raw),
            Self::Gzip(decoder) => Some(decoder.get_ref().get_ref()),
            Self::Zstd(decoder) => Some(decoder.get_ref().get_ref()),
            Self::Closed => None,
        }
    }

    fn raw_mut(&mut self) -> Option<&mut Raw> {
        match self {
            Self::Unknown(raw) | Self::Plain(raw) => Some(raw),
            Self::Gzip(decoder) => Some(decoder.get_mut().get_mut()),
            Self::Zstd(decoder) => Some(decoder.get_mut().get_mut()),
            Self::Closed => None,
        }
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unknown(_) => "Unknown",
            Self::Plain(_) => "Plain",
            Self::Gzip(_) => "Gzip",
            Self::Zstd(_) => "Zstd",
            Self::Closed => "Closed",
        })
    }
}

enum Bytes {
    File(File),
    Reader(Box<dyn Read + Send>),
}

/// The stored bytes: counted, with the first few put back after a look, and waited for where they may not come.
pub(super) struct Raw {
    bytes: Bytes,
    /// Bytes that [`Raw::peek`] took and [`Raw::read`] has not given yet.
    ahead: Vec<u8>,
    count: u64,
    /// Reading may block: poll first.
    waits: bool,
    wait: Duration,
    /// The input itself failed, as opposed to what is compressed in it.
    failed: bool,
}

impl Raw {
    fn new(bytes: Bytes) -> Self {
        Self { bytes, ahead: Vec::new(), count: 0, waits: false, wait: Duration::ZERO, failed: false }
    }

    /// Makes the first four bytes known, or as many as there are.
    fn peek(&mut self) -> io::Result<()> {
        let mut start = [0; 4];
        while self.ahead.len() < start.len() {
            let count = self.read_bytes(&mut start[self.ahead.len()..])?;
            if count == 0 {
                break;
            }
            let known = self.ahead.len();
            self.ahead.extend_from_slice(&start[known..known + count]);
        }
        Ok(())
    }

    fn read_bytes(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let result = match &mut self.bytes {
                Bytes::File(file) if self.waits && !readable_within(file, self.wait)? => {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                Bytes::File(file) => file.read(into),
                Bytes::Reader(reader) => reader.read(into),
            };
            match result {
                Ok(count) => {
                    self.count += count as u64;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failed = error.kind() != io::ErrorKind::WouldBlock;
                    return Err(error);
                }
            }
        }
    }
}

impl Read for Raw {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.ahead.is_empty() {
            return self.read_bytes(into);
        }
        let count = self.ahead.len().min(into.len());
        into[..count].copy_from_slice(&self.ahead[..count]);
        self.ahead.drain(..count);
        Ok(count)
    }
}

/// Whether a read would give something (the end included); a signal ends the wait early.
#[cfg(unix)]
fn readable_within(file: &File, wait: Duration) -> io::Result<bool> {
    use nix::errno::Errno;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd;

    let mut fds = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
    match poll(&mut fds, PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::EINTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Reads of streams block until something comes.
#[cfg(not(unix))]
fn readable_within(_: &File, _: Duration) -> io::Result<bool> {
    Ok(true)
}
