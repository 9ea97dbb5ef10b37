//! What redb can answer with, by what has to be done about it; panics included.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why an access failed.
#[derive(Debug)]
pub(super) enum Fault {
    /// The file is not what redb or this layout wrote.
    Damaged(String),
    /// The disk is full.
    Full(String),
    /// The file is at its limit.
    Limit(String),
    /// Somebody has it open.
    Held,
    /// Another layout.
    Schema(u32),
    /// Anything else; opening it again may help.
    Failed(io::Error),
}

impl Fault {
    /// In a few words.
    pub(super) fn detail(&self) -> String {
        match self {
            Self::Damaged(detail) | Self::Full(detail) | Self::Limit(detail) => detail.clone(),
            Self::Held => "it is open elsewhere".to_owned(),
            Self::Schema(found) => format!("layout {found}"),
            Self::Failed(error) => error.to_string(),
        }
    }
}

/// Calls into redb. It promises no errors instead of panics for a file that something else wrote to.
pub(super) fn guarded<T>(call: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, Fault> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(Fault::from),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref().copied());
            Err(Fault::Damaged(format!("redb stopped at it: {}", text.unwrap_or("no reason given"))))
        }
    }
}

/// Drops what is redb's.
pub(super) fn let_go<T>(value: T) {
    // A panic while dropping has nothing left to say: the file is judged when it is opened again.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(value)));
}

/// Says that the store is not whole.
pub(super) fn damaged(what: impl Into<String>) -> redb::Error {
    redb::Error::Corrupted(what.into())
}

impl From<redb::Error> for Fault {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Io(error) => Self::from(error),
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => Self::Held,
            redb::Error::PreviousIo
            | redb::Error::LockPoisoned(_)
            | redb::Error::DatabaseClosed
            | redb::Error::TransactionInProgress
            | redb::Error::RepairAborted
            | redb::Error::Unsupported => Self::Failed(io::Error::other(error.to_string())),
            _ => Self::Damaged(error.to_string()),
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // Of the wall in `backend`, or of a limit that the process has.
            io::ErrorKind::FileTooLarge => Self::Limit(error.to_string()),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(error.to_string()),
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput => {
                Self::Damaged(error.to_string())
            }
            _ => Self::Failed(error),
        }
    }
}
