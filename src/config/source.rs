//! Which file is read, and its bytes.

use super::document::MAX_BYTES;
use super::mistake::{Mistake, Place};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

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

/// How long a file has to stay unchanged to count as written; longer than the grain of its times.
const QUIET: Duration = Duration::from_millis(20);
/// How often that is tried.
const ATTEMPTS: u32 = 50;

/// The bytes of a file that may be being written: it was neither changed nor empty for a moment. A file that is
/// replaced by another one needs no waiting for, since the one that was opened stays as it is.
pub(super) fn read_settled(path: &Path) -> Result<Vec<u8>, Mistake> {
    let mut empty = false;
    for _ in 0..ATTEMPTS {
        let settled = try_settled(path).map_err(|error| unreadable(path, &error))?;
        empty = settled.as_ref().is_some_and(Vec::is_empty);
        if let Some(bytes) = settled.filter(|bytes| !bytes.is_empty()) {
            return Ok(bytes);
        }
    }
    Err(whole(
        path,
        if empty { "is empty, which a reload takes for a file that is being written" } else { "changes all the time" },
    ))
}

/// `None` if it was changed meanwhile.
fn try_settled(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = open_regular(path)?;
    let before = file.metadata()?;
    let bytes = contents(&file)?;
    std::thread::sleep(QUIET);
    let after = file.metadata()?;
    let is_settled = before.len() == after.len() && before.modified()? == after.modified()?;
    Ok(is_settled.then_some(bytes))
}

fn whole(path: &Path, message: &str) -> Mistake {
    Mistake::new(Place::File(path.to_string_lossy().into()), message)
}

/// At most one byte more than the limit.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    contents(&open_regular(path)?)
}

fn contents(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn open_regular(path: &Path) -> io::Result<File> {
    let irregular = || io::Error::other("not a regular file");
    // Windows opens no directory, and says that access is denied.
    if cfg!(windows) && path.is_dir() {
        return Err(irregular());
    }
    let file = open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(irregular()) }
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
