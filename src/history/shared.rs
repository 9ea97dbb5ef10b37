//! What the writer, its feeds and its readers have in common.

use super::fault::{Fault, guarded};
use super::{Config, Error, GapReason, Health, LeftOut, Status};
use arc_swap::ArcSwapOption;
use redb::{Database, ReadTransaction, ReadableDatabase};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: Config,
    /// `None` while it is opened again after a failure.
    pub(super) database: ArcSwapOption<Database>,
    status: Mutex<Status>,
    /// A reader found something wrong: the file is to be verified.
    pub(super) is_suspect: AtomicBool,
    /// Messages that found the queue full.
    pub(super) dropped: AtomicU64,
    gate: Mutex<Gate>,
}

/// Which flows pass; nothing is done under its lock but counting.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// Flows that passed since the last second.
    pub(super) passed: u32,
    /// The newest second that was handed over.
    pub(super) second: u64,
    /// By minute.
    pub(super) left_out: BTreeMap<u64, LeftOut>,
    /// All of them.
    pub(super) total: u64,
}

impl Shared {
    pub(super) fn new(config: Config, database: Option<Database>) -> Self {
        let status = Status::new(config.limit_bytes);
        Self {
            config,
            database: ArcSwapOption::new(database.map(Arc::new)),
            status: Mutex::new(status),
            is_suspect: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
            gate: Mutex::default(),
        }
    }

    pub(super) fn gate(&self) -> MutexGuard<'_, Gate> {
        // A count that a panic cut short is still a count.
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn status(&self) -> Status {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner).clone();
        status.dropped_records = status.dropped_records.saturating_add(self.dropped.load(Ordering::Relaxed));
        status.flows_left_out = self.gate().total;
        status
    }

    pub(super) fn degraded(&self, fault: &Fault) {
        let reason = match fault {
            Fault::Full(_) | Fault::Limit(_) => GapReason::DiskFull,
            Fault::Damaged(_) | Fault::Schema(_) => GapReason::Damaged,
            Fault::Held | Fault::Failed(_) => GapReason::Io,
        };
        let health = Health::Degraded { reason, detail: fault.detail() };
        self.change(|status| status.health = health);
    }

    /// Asks the store as of the last commit.
    pub(super) fn read<T>(&self, ask: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>) -> Result<T, Error> {
        let database = self.database.load_full();
        let Some(database) = database else { return Err(Error::Closed { path: self.config.path.clone() }) };
        let answer = guarded(|| ask(&database.begin_read()?));
        if matches!(answer, Err(Fault::Damaged(_))) {
            self.is_suspect.store(true, Ordering::Relaxed);
        }
        answer.map_err(|fault| error(&self.config.path, fault))
    }
}

/// What a fault is to whoever asked.
pub(super) fn error(path: &Path, fault: Fault) -> Error {
    let path = path.to_owned();
    match fault {
        Fault::Damaged(reason) => Error::Damaged { path, reason },
        Fault::Held => Error::Held { pid: super::place::held_by(&path), path },
        Fault::Schema(found) => Error::Schema { path, found, supported: super::layout::SCHEMA },
        Fault::Full(detail) | Fault::Limit(detail) => {
            let source = std::io::Error::new(std::io::ErrorKind::StorageFull, detail);
            Error::Io { action: "write", path, source }
        }
        Fault::Failed(source) => Error::Io { action: "use", path, source },
    }
}
