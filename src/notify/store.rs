//! `state.redb`: what must outlive the process. Small, and durable after every commit.
//!
//! Five tables of texts to bytes; what the bytes mean is for the owner of the table. Each value begins with a checksum
//! of its key and itself, because redb does not look at what it reads: a value that was changed on disk is never
//! served. A file that cannot be read is set aside under a name with the time, whatever can still be read is taken over
//! into a new one, and nothing is deleted. redb may panic on a damaged file, so it runs behind a barrier.

use super::backend::Reserved;
use crate::time::Timestamp;
use redb::{Builder, Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Where a value belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// What the store says of itself.
    Meta,
    /// Where alerts stand, as the evaluator wants them back.
    Alerts,
    /// By receiver and group: what was last said, and when.
    Groups,
    /// By receiver, group and alert: what the receiver knows of it, and what it is yet to be told.
    Members,
    /// By receiver and group: the message that is on its way.
    Outbox,
    /// By id.
    Silences,
}

impl Table {
    /// All.
    pub const ALL: [Self; 6] = [Self::Meta, Self::Alerts, Self::Groups, Self::Members, Self::Outbox, Self::Silences];

    const fn definition(self) -> TableDefinition<'static, &'static str, &'static [u8]> {
        TableDefinition::new(match self {
            Self::Meta => "meta_v1",
            Self::Alerts => "alerts_v1",
            Self::Groups => "groups_v1",
            Self::Members => "members_v1",
            Self::Outbox => "outbox_v1",
            Self::Silences => "silences_v1",
        })
    }
}

/// Values to be written; `None` removes.
pub type Writes = BTreeMap<(Table, String), Option<Vec<u8>>>;

/// Everything that is in a store.
pub type Contents = BTreeMap<(Table, String), Vec<u8>>;

/// Why a store cannot be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it.
    #[error("the store `{}` is in use by another netmon", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The system refuses the file or its directory.
    #[error("cannot open the store `{}`", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A commit failed; the store must be opened again before the next.
    #[error("cannot write to the store `{}`: {reason}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What redb says.
        reason: String,
    },
    /// It cannot be read.
    #[error("the store `{}` is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl StoreError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::InUse { .. } => Some("stop the other one, or set `state.directory` to a directory of its own".into()),
            Self::Open { path, .. } => {
                let directory = path.parent().unwrap_or(path).display();
                Some(format!("`{directory}` must belong to the user that netmon runs as, and be writable"))
            }
            Self::Write { .. } => Some("notifications are sent all the same; the store is opened again".into()),
            Self::Damaged { .. } => None,
        }
    }
}

/// An open store; no other process can open it meanwhile.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    database: Option<Database>,
}

/// A store that was opened, and what became of what was there.
#[derive(Debug)]
pub struct OpenedStore {
    /// Ready to be written.
    pub store: Store,
    /// What it holds.
    pub contents: Contents,
    /// Where a damaged file was set aside, and what was wrong with it.
    pub set_aside: Option<(PathBuf, String)>,
    /// Whether room is reserved on the disk.
    pub reserved: bool,
}

impl Store {
    /// The file's name in the state directory.
    pub const FILE: &'static str = "state.redb";

    /// Opens or makes the store in `directory`, which must exist, and reads all of it. `now` is for the name of a
    /// damaged file.
    ///
    /// # Errors
    /// [`StoreError::InUse`] and [`StoreError::Open`]; a damaged store is no error.
    pub fn open(directory: &Path, now: Timestamp) -> Result<OpenedStore, StoreError> {
        let path = directory.join(Self::FILE);
        let (reason, salvaged) = match Self::open_file(&path) {
            Ok((store, contents, None, reserved)) => {
                return Ok(OpenedStore { store, contents, set_aside: None, reserved });
            }
            Ok((_, contents, Some(fault), _)) => (fault, contents),
            Err(StoreError::Damaged { reason, .. }) => (reason, Contents::new()),
            Err(error) => return Err(error),
        };
        let aside = set_aside(&path, now).map_err(|source| StoreError::Open { path: path.clone(), source })?;
        let (mut store, _, _, reserved) = Self::open_file(&path)?;
        store.commit(&salvaged.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect())?;
        Ok(OpenedStore { store, contents: salvaged, set_aside: Some((aside, reason)), reserved })
    }

    /// The store as it is, what can be read of it, and what is wrong with the rest.
    fn open_file(path: &Path) -> Result<(Self, Contents, Option<String>, bool), StoreError> {
        let backend = Reserved::open(path).map_err(|source| match source.kind() {
            io::ErrorKind::WouldBlock => StoreError::InUse { path: path.to_owned() },
            _ => StoreError::Open { path: path.to_owned(), source },
        })?;
        let reserved = backend.kept;
        let damaged = |reason: String| StoreError::Damaged { path: path.to_owned(), reason };
        let opened = barrier(|| {
            let mut database = Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(backend)?;
            // What is never read can be damaged too, and would fail the first write that comes across it.
            let is_whole = database.check_integrity()?;
            let (contents, bad) = read(&database)?;
            let values = (!bad.is_empty()).then(|| format!("{} values have a wrong checksum", bad.len()));
            let fault = values.or_else(|| (!is_whole).then(|| "its pages are not all as they were written".into()));
            Ok::<_, redb::Error>((database, contents, fault))
        });
        match opened {
            Ok(Ok((database, contents, fault))) => {
                Ok((Self { path: path.to_owned(), database: Some(database) }, contents, fault, reserved))
            }
            Ok(Err(redb::Error::Io(source)))
                if source.kind() != io::ErrorKind::InvalidData && is_of_system(&source) =>
            {
                Err(StoreError::Open { path: path.to_owned(), source })
            }
            Ok(Err(error)) => Err(damaged(error.to_string())),
            Err(panic) => Err(damaged(panic)),
        }
    }

    /// Writes all or nothing; on return it is on the disk.
    ///
    /// # Errors
    /// [`StoreError::Write`]; nothing can be written to this store any more, it must be dropped and opened again.
    pub fn commit(&mut self, writes: &Writes) -> Result<(), StoreError> {
        let Some(database) = self.database.take() else {
            return Err(self.refused("a write before failed".into()));
        };
        let committed = barrier(|| write(&database, writes));
        match committed {
            Ok(Ok(())) => {
                self.database = Some(database);
                Ok(())
            }
            Ok(Err(error)) => {
                close(database);
                Err(self.refused(error.to_string()))
            }
            Err(panic) => {
                close(database);
                Err(self.refused(panic))
            }
        }
    }

    fn refused(&self, reason: String) -> StoreError {
        StoreError::Write { path: self.path.clone(), reason }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Some(database) = self.database.take() {
            close(database);
        }
    }
}

/// Room for pages in memory; the whole store fits nearly always.
const CACHE_BYTES: usize = 4 << 20;

/// Closing writes, so it may panic where writing does.
fn close(database: Database) {
    drop(barrier(move || drop(database)));
}

/// Runs redb; a panic of it is its text.
fn barrier<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        text.unwrap_or("redb panicked").to_owned()
    })
}

/// Whether an error is the system's (no space, not permitted), not a file that is too short.
fn is_of_system(error: &io::Error) -> bool {
    error.raw_os_error().is_some() && error.kind() != io::ErrorKind::UnexpectedEof
}

fn write(database: &Database, writes: &Writes) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    transaction.set_quick_repair(true);
    for table in Table::ALL {
        let of_table: Vec<_> = writes.iter().filter(|((of, _), _)| *of == table).collect();
        if of_table.is_empty() {
            continue;
        }
        let mut open = transaction.open_table(table.definition())?;
        for ((_, key), value) in of_table {
            match value {
                Some(value) => open.insert(key.as_str(), sealed(key, value).as_slice()).map(drop)?,
                None => open.remove(key.as_str()).map(drop)?,
            }
        }
    }
    Ok(transaction.commit()?)
}

fn read(database: &Database) -> Result<(Contents, Vec<String>), redb::Error> {
    let transaction = database.begin_read()?;
    let (mut contents, mut bad) = (Contents::new(), Vec::new());
    for table in Table::ALL {
        let open = match transaction.open_table(table.definition()) {
            Ok(open) => open,
            Err(redb::TableError::TableDoesNotExist(_)) => continue,
            Err(error) => return Err(error.into()),
        };
        for row in open.iter()? {
            let (key, value) = row?;
            match unsealed(key.value(), value.value()) {
                Some(value) => drop(contents.insert((table, key.value().to_owned()), value.to_vec())),
                None => bad.push(key.value().to_owned()),
            }
        }
    }
    Ok((contents, bad))
}

/// The checksum, then the value.
fn sealed(key: &str, value: &[u8]) -> Vec<u8> {
    [&checksum(key, value).to_le_bytes()[..], value].concat()
}

fn unsealed<'a>(key: &str, sealed: &'a [u8]) -> Option<&'a [u8]> {
    let (sum, value) = sealed.split_first_chunk::<8>()?;
    (u64::from_le_bytes(*sum) == checksum(key, value)).then_some(value)
}

/// FNV-1a: any one changed byte changes it; made against accidents, not against forgers.
fn checksum(key: &str, value: &[u8]) -> u64 {
    let bytes = key.bytes().chain([0xff]).chain(value.iter().copied());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Gives the file a name that says since when it is out of use.
fn set_aside(path: &Path, now: Timestamp) -> io::Result<PathBuf> {
    let stamp: String = now.to_string().chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    let names = (0..1000).map(|n| if n == 0 { stamp.clone() } else { format!("{stamp}-{n}") });
    let mut free = names.map(|name| path.with_extension(format!("redb.damaged-{name}"))).filter(|to| !to.exists());
    let to = free.next().ok_or(io::ErrorKind::AlreadyExists)?;
    fs::rename(path, &to)?;
    Ok(to)
}
