//! Inputs by name: files, FIFOs and standard input, and what is refused.

use crate::capture::error::{CaptureError, FileFault};
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

/// Where a capture is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A file, or a named FIFO (process substitution gives one). Directories, sockets and block devices are refused.
    Path(PathBuf),
    /// Standard input.
    Stdin,
}

impl Input {
    /// From a command-line argument: `-` is standard input.
    pub fn from_argument(argument: &OsStr) -> Self {
        if argument == "-" { Self::Stdin } else { Self::Path(argument.into()) }
    }

    /// As messages name it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Path(path) => path.display().to_string(),
            Self::Stdin => "-".into(),
        }
    }

    /// The name without folders, compression and format endings: what its interface is called by default.
    pub(super) fn stem(&self) -> String {
        match self {
            Self::Path(path) => stem(path),
            Self::Stdin => "stdin".into(),
        }
    }

    /// Opens it, without waiting for a writer; its size, where it is a regular file.
    pub(super) fn open(&self) -> Result<(File, Option<u64>), CaptureError> {
        let opened = match self {
            Self::Path(path) => open_path(path),
            Self::Stdin => stdin(),
        };
        let (file, metadata) = opened.map_err(|source| CaptureError::OpenFile { file: self.name(), source })?;
        if let Some(fault) = unreadable(&file, metadata.as_ref()) {
            return Err(CaptureError::NotACapture { file: self.name(), fault });
        }
        Ok((file, metadata.filter(Metadata::is_file).map(|metadata| metadata.len())))
    }
}

fn stem(path: &Path) -> String {
    let compressed = path.extension().is_some_and(|e| ["gz", "zst", "zstd"].iter().any(|c| e.eq_ignore_ascii_case(c)));
    let without = if compressed { path.file_stem().map(Path::new) } else { Some(path) };
    let stem = without.and_then(Path::file_stem).unwrap_or(path.as_os_str());
    stem.to_string_lossy().into_owned()
}

/// Opens without waiting for the writer of a FIFO; reading waits for it, in steps.
#[cfg(unix)]
fn open_path(path: &Path) -> io::Result<(File, Option<Metadata>)> {
    use nix::fcntl::OFlag;
    use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

    let mut options = File::options();
    options.read(true);
    if std::fs::metadata(path)?.file_type().is_fifo() {
        options.custom_flags(OFlag::O_NONBLOCK.bits());
    }
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    Ok((file, Some(metadata)))
}

/// Windows opens a folder only when told that it is one.
#[cfg(windows)]
fn open_path(path: &Path) -> io::Result<(File, Option<Metadata>)> {
    use std::os::windows::fs::OpenOptionsExt;
    const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;

    let file = File::options().read(true).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(path)?;
    let metadata = file.metadata().ok();
    Ok((file, metadata))
}

#[cfg(unix)]
fn stdin() -> io::Result<(File, Option<Metadata>)> {
    use std::os::fd::AsFd;
    let file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let metadata = file.metadata()?;
    Ok((file, Some(metadata)))
}

/// A pipe has no metadata there.
#[cfg(windows)]
fn stdin() -> io::Result<(File, Option<Metadata>)> {
    use std::os::windows::io::AsHandle;
    let file = File::from(io::stdin().as_handle().try_clone_to_owned()?);
    let metadata = file.metadata().ok();
    Ok((file, metadata))
}

/// What kind of thing it is, if none that holds a capture.
fn unreadable(file: &File, metadata: Option<&Metadata>) -> Option<FileFault> {
    if metadata.is_some_and(Metadata::is_dir) {
        return Some(FileFault::Kind("a directory"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if metadata.is_some_and(|metadata| metadata.file_type().is_block_device()) {
            return Some(FileFault::Kind("a block device"));
        }
    }
    file.is_terminal().then_some(FileFault::Terminal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stem_loses_folder_compression_and_format() {
        for (path, expected) in [
            ("a/office.pcap", "office"),
            ("office.pcapng.GZ", "office"),
            ("x.zst", "x"),
            ("day.1.pcap", "day.1"),
            ("x", "x"),
        ] {
            assert_eq!(stem(Path::new(path)), expected);
        }
    }

    #[test]
    fn a_dash_is_standard_input() {
        assert_eq!(Input::from_argument(OsStr::new("-")), Input::Stdin);
        assert_eq!(Input::from_argument(OsStr::new("./-")), Input::Path("./-".into()));
    }
}
