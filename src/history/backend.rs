//! The file below redb, which it may not grow beyond the limit.

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};
use std::fs::File;
use std::io;
use std::ops::Bound;

/// A file with a wall, a tenth above the limit.
///
/// redb doubles a file that is full, and sometimes gives a part back. What would be beyond the wall is refused, which costs
/// the commit and opening the file again. The writer prunes before it comes to that; this holds when its estimate was wrong.
#[derive(Debug)]
pub(super) struct Bounded {
    file: FileBackend,
    limit: u64,
}

impl Bounded {
    pub(super) fn new(file: File, limit: u64) -> Result<Self, redb::DatabaseError> {
        Ok(Self { file: FileBackend::new(file)?, limit })
    }

    /// Whether a full file of `len` bytes has room to grow.
    pub(super) const fn may_grow(len: u64, limit: u64) -> bool {
        len.saturating_mul(2) <= wall(limit)
    }
}

const fn wall(limit: u64) -> u64 {
    limit.saturating_add(limit / 10)
}

impl StorageBackend for Bounded {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if len > wall(self.limit) && len > self.file.len()? {
            let text = format!("{len} bytes are needed, the limit is {}", self.limit);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
        }
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}
