//! Which file is read, and its bytes.

use super::document::MAX_BYTES;
use super::mistake::{Mistake, Place};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Where a config is looked for when none is named, in this order.
pub const DEFAULT_FILES: [&str; 2] = ["netmon.yaml", "/etc/netmon/netmon.yaml"];

/// The bytes of `named`, else of the first default file there is. At most one byte more than the limit is read.
pub(super) fn find(named: Option<&Path>) -> Result<Option<(PathBuf, Vec<u8>)>, Mistake> {
    if let Some(path) = named {
        return read(path).map(|bytes| Some((path.into(), bytes))).map_err(|error| unreadable(path, &error));
    }
    for path in DEFAULT_FILES.map(Path::new) {
        match read(path) {
            Ok(bytes) => return Ok(Some((path.into(), bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // A file that is there but cannot be read is not passed over for another one.
            Err(error) => return Err(unreadable(path, &error)),
        }
    }
    Ok(None)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens without waiting: a FIFO without a writer would hold the start up for ever.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits());
    }
    options.open(path)
}

fn unreadable(path: &Path, error: &io::Error) -> Mistake {
    let mistake = Mistake::new(Place::File(path.to_string_lossy().into()), format!("cannot be read: {error}"));
    if error.kind() == io::ErrorKind::PermissionDenied {
        return mistake.with_hint("it is read as the user that netmon runs as; chown or chmod it for that user");
    }
    mistake
}
