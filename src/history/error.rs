//! What can go wrong with a store.

use std::io;
use std::path::PathBuf;

/// Why a store cannot be opened or asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another process has it.
    #[error("history store `{}` is in use by {}", path.display(), holder(*.pid))]
    Held {
        /// The file.
        path: PathBuf,
        /// Who has it, as far as it can be told.
        pid: Option<u32>,
    },
    /// Its layout is of another version.
    #[error("history store `{}` has layout {found}, this netmon reads {supported}", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: u32,
        /// What is read.
        supported: u32,
    },
    /// It is not, or no longer, a store; what was found.
    #[error("history store `{}` is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The file or its directory is not private.
    #[error("history store `{}`: {reason}", path.display())]
    Unsafe {
        /// The file or the directory.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The operating system refused.
    #[error("cannot {action} history store `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or the directory.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file of an export cannot be written.
    #[error("cannot {action} `{}`", path.display())]
    Export {
        /// What was tried.
        action: &'static str,
        /// The file or its directory.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It was closed after a failure and is not open again yet.
    #[error("history store `{}` is closed after a failure and will be opened again", path.display())]
    Closed {
        /// The file.
        path: PathBuf,
    },
    /// A question that cannot be answered.
    #[error("{0}")]
    Question(String),
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

impl Error {
    /// What can be done about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Held { .. } => Some("ask the running netmon by --url, or stop it first"),
            Self::Schema { found, supported, .. } if found > supported => {
                Some("a newer netmon wrote it: use that one, or move the file away to begin a new history")
            }
            Self::Schema { .. } => Some("move the file away to begin a new history; nothing was changed"),
            Self::Damaged { .. } => Some("nothing was deleted; move the file away to begin a new history"),
            Self::Unsafe { .. } => {
                Some("the store holds who talked to whom: keep it where only netmon's user can write")
            }
            Self::Io { .. } | Self::Export { .. } | Self::Closed { .. } | Self::Question(_) => None,
        }
    }
}
