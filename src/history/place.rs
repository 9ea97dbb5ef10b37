//! The file's place: who may touch it, who has it, and where a damaged one goes.

use super::{Config, Error};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Held while a process has the store; it names that process.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "the lock lasts as long as the file is open")] File);

/// Makes sure that the directory is there and, if it is netmon's own, that only netmon's user can write to it.
pub(super) fn directory(config: &Config) -> Result<(), Error> {
    let directory = parent(&config.path);
    if !config.private_directory {
        return Ok(());
    }
    make_private(directory).map_err(|source| failed("make the directory of", directory, source))?;
    let found = fs::metadata(directory).map_err(|source| failed("look at the directory of", directory, source))?;
    refuse_shared(&found).map_err(|reason| Error::Unsafe { path: directory.to_owned(), reason })
}

/// Takes the store for this process.
pub(super) fn lock(store: &Path) -> Result<Lock, Error> {
    let path = suffixed(store, ".lock");
    let mut file = private(&path).map_err(|source| failed("lock", store, source))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(Error::Held { path: store.to_owned(), pid: holder(&mut file) }),
        Err(TryLockError::Error(source)) => return Err(failed("lock", store, source)),
    }
    // Only a courtesy to whom comes second: a full disk must not keep netmon from starting.
    let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(Lock(file))
}

/// Who has the store, if its lock says so.
pub(super) fn held_by(store: &Path) -> Option<u32> {
    holder(&mut File::open(suffixed(store, ".lock")).ok()?)
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Opens or makes a file that only its owner can read: no link, no other user's, nothing that is no file.
pub(super) fn open(store: &Path) -> Result<File, Error> {
    if fs::symlink_metadata(store).is_ok_and(|found| found.is_symlink()) {
        return Err(Error::Unsafe { path: store.to_owned(), reason: "it is a symbolic link" });
    }
    let file = private(store).map_err(|source| failed("open", store, source))?;
    let found = file.metadata().map_err(|source| failed("look at", store, source))?;
    refuse_shared_file(&found).map_err(|reason| Error::Unsafe { path: store.to_owned(), reason })?;
    Ok(file)
}

/// Moves a damaged store out of the way, under a name that says when.
pub(super) fn set_aside(store: &Path) -> Result<PathBuf, Error> {
    let stamp = utc_stamp();
    let free = (0..1000).map(|number| {
        let more = if number == 0 { String::new() } else { format!("-{number}") };
        suffixed(store, &format!(".damaged-{stamp}{more}"))
    });
    let aside = free.into_iter().find(|path| !path.exists()).unwrap_or_else(|| suffixed(store, ".damaged"));
    fs::rename(store, &aside).map_err(|source| failed("set aside", store, source))?;
    Ok(aside)
}

#[expect(clippy::disallowed_methods, reason = "the name of a file says when it was set aside")]
fn utc_stamp() -> String {
    jiff::Timestamp::try_from(std::time::SystemTime::now())
        .map(|now| now.strftime("%Y%m%dT%H%M%SZ").to_string())
        .unwrap_or_default()
}

pub(super) fn failed(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Io { action, path: path.to_owned(), source }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(unix)]
mod owner {
    use nix::fcntl::OFlag;
    use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
    use std::io;
    use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
    use std::path::Path;

    pub(super) fn make_private(directory: &Path) -> io::Result<()> {
        if directory.is_dir() {
            return Ok(());
        }
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        // The umask may have taken bits away.
        std::fs::set_permissions(directory, Permissions::from_mode(0o700))
    }

    /// Opens for reading and writing, or makes with mode 0600. A FIFO is not waited for.
    pub(super) fn private(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
        let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits();
        let mut made = options.clone();
        match made.create_new(true).mode(0o600).custom_flags(flags).open(path) {
            Ok(file) => file.set_permissions(Permissions::from_mode(0o600)).map(|()| file),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => options.custom_flags(flags).open(path),
            Err(error) => Err(error),
        }
    }

    pub(super) fn refuse_shared(directory: &Metadata) -> Result<(), &'static str> {
        refuse_owner(directory)?;
        if directory.mode() & 0o022 != 0 { Err("its directory can be written to by others") } else { Ok(()) }
    }

    pub(super) fn refuse_shared_file(file: &Metadata) -> Result<(), &'static str> {
        if !file.is_file() {
            return Err("it is not a regular file");
        }
        if file.nlink() > 1 {
            return Err("it has a second name (hard link)");
        }
        refuse_owner(file)?;
        if file.mode() & 0o077 != 0 { Err("others may read or write it (mode 0600 is right)") } else { Ok(()) }
    }

    fn refuse_owner(found: &Metadata) -> Result<(), &'static str> {
        let me = nix::unistd::geteuid().as_raw();
        if found.uid() == me || found.uid() == 0 { Ok(()) } else { Err("it belongs to another user") }
    }
}

#[cfg(not(unix))]
mod owner {
    use std::fs::{File, Metadata, OpenOptions};
    use std::io;
    use std::path::Path;

    pub(super) fn make_private(directory: &Path) -> io::Result<()> {
        std::fs::create_dir_all(directory)
    }

    pub(super) fn private(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
        options.create(true).open(path)
    }

    /// Who may write where is a matter of access control lists here, which are the directory's own.
    pub(super) fn refuse_shared(_directory: &Metadata) -> Result<(), &'static str> {
        Ok(())
    }

    pub(super) fn refuse_shared_file(file: &Metadata) -> Result<(), &'static str> {
        if file.is_file() { Ok(()) } else { Err("it is not a regular file") }
    }
}

use owner::{make_private, refuse_shared, refuse_shared_file};

fn private(path: &Path) -> io::Result<File> {
    owner::private(path, OpenOptions::new().read(true).write(true))
}
