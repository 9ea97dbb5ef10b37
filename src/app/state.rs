//! The state directory: where it is, and making it while there is privilege to do so.

use crate::config::{self, Config};
use crate::privilege::Identity;
use std::path::{Path, PathBuf};

/// Where state is kept; `None` without a home directory and without `state.directory`.
pub(super) fn directory(config: &Config) -> Option<PathBuf> {
    config::state_directory(config.state_directory.clone(), is_root(), |name| std::env::var_os(name))
}

#[cfg(unix)]
fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}

/// Makes the directory with mode 0700 and hands it over. One that is there and has something in it belongs to whoever
/// it belongs to: handing over a directory that was named by mistake would be worse than no state.
#[cfg(unix)]
pub(super) fn make_private(directory: &Path, identity: &Identity) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt, lchown};
    if let Some(parent) = directory.parent() {
        std::fs::create_dir_all(parent)?;
    }
    match std::fs::DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let (uid, gid) = identity.ids();
    let found = std::fs::symlink_metadata(directory)?;
    let is_ours_to_give = found.is_dir() && found.uid() != uid && is_root() && found.uid() == 0;
    if is_ours_to_give && std::fs::read_dir(directory)?.next().is_none() {
        lchown(directory, Some(uid), Some(gid))?;
    }
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn make_private(directory: &Path, _: &Identity) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)
}
