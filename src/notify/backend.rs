//! The file of a [`Store`](super::store::Store) as redb sees it: locked, and with room that nobody else can take.

use redb::StorageBackend;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

/// A file of which the first bytes are allocated, whether they are in use or not.
///
/// redb gives space back at the end of the file and asks for it again later. What it gives back of the first
/// [`Reserved::BYTES`] is allocated anew at once, beyond the end of the file, so that a disk that others fill does not
/// keep it from growing that far again. Where the system or the file system cannot do so there is no such room.
#[derive(Debug)]
pub(super) struct Reserved {
    file: File,
    /// Whether room is kept; said once where it is not.
    pub kept: bool,
}

impl Reserved {
    /// About 4,000 alerts on the way; the file rarely needs a tenth of it.
    pub const BYTES: u64 = 8 << 20;

    /// Opens or makes the file for this process alone, readable for its user only.
    ///
    /// # Errors
    /// `WouldBlock` when another process has it; else what the system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = private(OpenOptions::new().read(true).write(true).create(true).truncate(false)).open(path)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::ErrorKind::WouldBlock.into(),
            TryLockError::Error(error) => error,
        })?;
        let kept = reserve(&file).is_ok();
        Ok(Self { file, kept })
    }
}

impl StorageBackend for Reserved {
    fn len(&self) -> io::Result<u64> {
        self.file.metadata().map(|metadata| metadata.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        positioned::read_exact_at(&self.file, out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        if self.kept && len < Self::BYTES {
            // What was free a moment ago is free now, or somebody was quicker: that room is lost, the file is not.
            drop(reserve(&self.file));
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        positioned::write_all_at(&self.file, data, offset)
    }

    fn close(&self) -> io::Result<()> {
        self.file.unlock()
    }
}

/// Allocates without changing the length, which redb reads.
#[cfg(target_os = "linux")]
fn reserve(file: &File) -> io::Result<()> {
    use nix::fcntl::{FallocateFlags, fallocate};
    let bytes = i64::try_from(Reserved::BYTES).unwrap_or(i64::MAX);
    Ok(fallocate(file, FallocateFlags::FALLOC_FL_KEEP_SIZE, 0, bytes)?)
}

#[cfg(not(target_os = "linux"))]
fn reserve(_: &File) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A link in its place is not followed: whoever made it may not choose what is written to.
#[cfg(unix)]
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600).custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits())
}

#[cfg(not(unix))]
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

#[cfg(unix)]
mod positioned {
    use std::fs::File;
    use std::io;
    use std::os::unix::fs::FileExt;

    pub fn read_exact_at(file: &File, out: &mut [u8], offset: u64) -> io::Result<()> {
        file.read_exact_at(out, offset)
    }

    pub fn write_all_at(file: &File, data: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(data, offset)
    }
}

#[cfg(windows)]
mod positioned {
    use std::fs::File;
    use std::io;
    use std::os::windows::fs::FileExt;

    pub fn read_exact_at(file: &File, mut out: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !out.is_empty() {
            let read = file.seek_read(out, offset)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            out = &mut out[read..];
            offset += read as u64;
        }
        Ok(())
    }

    pub fn write_all_at(file: &File, mut data: &[u8], mut offset: u64) -> io::Result<()> {
        while !data.is_empty() {
            let written = file.seek_write(data, offset)?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            data = &data[written..];
            offset += written as u64;
        }
        Ok(())
    }
}
