//! A private file with one line.
//!
//! What is judged is the file that was opened, not a name that may mean another one a moment later: links are followed,
//! and mode, owner and kind are asked of the descriptor. The directories, of the name and of the file behind it, are
//! judged too, since who can write them can put another file there.

use super::Secret;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Why there is no secret. Names the file or variable and never shows what is in it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// No such variable.
    #[error("environment variable `{name}` is not set")]
    Absent {
        /// Its name.
        name: String,
    },
    /// The file cannot be opened or read.
    #[error("cannot read secret file `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// A directory, a pipe, a device.
    #[error("secret file `{}` is no regular file", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
    },
    /// Others may read or change it.
    #[error("secret file `{}` has mode {mode:04o}, allowed none for others and no writing for the group", path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It belongs to somebody else, who can change it.
    #[error("secret file `{}` belongs to user {owner}, allowed root and the user that netmon runs as", path.display())]
    Owner {
        /// The file.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// Others can put another file in its place.
    #[error("directory `{}` of secret file `{}` has mode {mode:04o}, allowed no writing for others", directory.display(), path.display())]
    Directory {
        /// The file.
        path: PathBuf,
        /// Where it is.
        directory: PathBuf,
        /// The permissions of the directory.
        mode: u32,
    },
    /// Not one line of text.
    #[error("{of} {}, allowed one line of text", if *found == "empty" { "is empty".to_owned() } else { format!("has {found}") })]
    Malformed {
        /// The file or the variable.
        of: String,
        /// What is wrong.
        found: &'static str,
    },
}

impl SecretError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Mode { path, .. } => {
                Some(format!("`chmod 600 {0}`, or `chmod 640 {0}` with a group of netmon's own", path.display()))
            }
            Self::Owner { path, .. } => {
                Some(format!("`chown root {}`, or the user that netmon runs as", path.display()))
            }
            Self::Directory { directory, .. } => Some(format!("`chmod o-w {}`", directory.display())),
            Self::Read { path, error } if error.kind() == io::ErrorKind::PermissionDenied => Some(format!(
                "it is read as the user that netmon runs as: `chown` {} to it, or give its group `chmod 640`",
                path.display()
            )),
            _ => None,
        }
    }
}

/// Reads the secret in a file; `user` may own it, beside root and who runs this.
pub(super) fn read(path: &Path, user: Option<u32>) -> Result<Secret, SecretError> {
    let failed = |error| SecretError::Read { path: path.into(), error };
    let mut file = open(path).map_err(failed)?;
    judge(path, &file, user)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(1024));
    Read::by_ref(&mut file).take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    let of = format!("secret file `{}`", path.display());
    if bytes.len() as u64 > MAX_BYTES {
        return Err(SecretError::Malformed { of, found: "more than 64 KiB" });
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => one_line(text, of),
        Err(_) => Err(SecretError::Malformed { of, found: "no UTF-8" }),
    }
}

/// The text without the space around it.
pub(super) fn one_line(text: &str, of: String) -> Result<Secret, SecretError> {
    match text.trim() {
        "" => Err(SecretError::Malformed { of, found: "empty" }),
        line if line.contains(char::is_control) => {
            Err(SecretError::Malformed { of, found: "more than one line, or control characters" })
        }
        line => Ok(Secret::new(line.to_owned())),
    }
}

/// Without waiting for the other end of a pipe.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options().read(true).custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits()).open(path)
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

#[cfg(unix)]
fn judge(path: &Path, file: &File, user: Option<u32>) -> Result<(), SecretError> {
    use std::os::unix::fs::MetadataExt;
    let metadata = file.metadata().map_err(|error| SecretError::Read { path: path.into(), error })?;
    let (mode, owner) = (metadata.mode() & 0o7777, metadata.uid());
    if !metadata.is_file() {
        return Err(SecretError::Kind { path: path.into() });
    }
    if mode & (OTHERS | GROUP_WRITES) != 0 {
        return Err(SecretError::Mode { path: path.into(), mode });
    }
    if !is_trusted(owner, user) {
        return Err(SecretError::Owner { path: path.into(), owner });
    }
    directories(path).into_iter().try_for_each(|directory| judge_directory(path, directory, user))
}

/// Whether others can put another file in the place of this one. In a sticky directory only its owner can.
#[cfg(unix)]
fn judge_directory(path: &Path, directory: PathBuf, user: Option<u32>) -> Result<(), SecretError> {
    use std::os::unix::fs::MetadataExt;
    let metadata = directory.metadata().map_err(|error| SecretError::Read { path: path.into(), error })?;
    let mode = metadata.mode() & 0o7777;
    if mode & OTHERS_WRITE != 0 && mode & STICKY == 0 {
        return Err(SecretError::Directory { path: path.into(), directory, mode });
    }
    // A link in a sticky directory is its maker's.
    let link = path.symlink_metadata().map_err(|error| SecretError::Read { path: path.into(), error })?;
    if link.is_symlink() && !is_trusted(link.uid(), user) {
        return Err(SecretError::Owner { path: path.into(), owner: link.uid() });
    }
    Ok(())
}

/// Of the name, and of the file that it leads to.
#[cfg(unix)]
fn directories(path: &Path) -> Vec<PathBuf> {
    let named = std::path::absolute(path).ok();
    let real = path.canonicalize().ok();
    let mut directories: Vec<PathBuf> =
        [named, real].into_iter().flatten().filter_map(|path| path.parent().map(Path::to_owned)).collect();
    directories.dedup();
    directories
}

#[cfg(unix)]
fn is_trusted(owner: u32, user: Option<u32>) -> bool {
    owner == 0 || owner == nix::unistd::geteuid().as_raw() || Some(owner) == user
}

/// Access lists of such systems are not looked at.
#[cfg(not(unix))]
fn judge(path: &Path, file: &File, _: Option<u32>) -> Result<(), SecretError> {
    let metadata = file.metadata().map_err(|error| SecretError::Read { path: path.into(), error })?;
    if metadata.is_file() { Ok(()) } else { Err(SecretError::Kind { path: path.into() }) }
}

/// A URL or a token is far smaller; a wrong path may lead anywhere.
const MAX_BYTES: u64 = 64 << 10;
#[cfg(unix)]
const OTHERS: u32 = 0o007;
#[cfg(unix)]
const OTHERS_WRITE: u32 = 0o002;
#[cfg(unix)]
const GROUP_WRITES: u32 = 0o020;
#[cfg(unix)]
const STICKY: u32 = 0o1000;
