//! Opening a redb database as a store, and what the writer knows of it.

use super::fault::{Fault, damaged, guarded};
use super::layout::{self, SCHEMA, Series, Tag, opened, sealed, take};
use super::{Tier, fault};
use redb::{Builder, Database, Durability, ReadableDatabase, ReadableTable, StorageBackend, WriteTransaction};
use std::collections::HashMap;
use std::sync::Arc;

/// Up to this length the whole file is verified when it is opened (about 1 s for each GiB of it); a longer one when
/// something was found wrong with it.
pub(super) const VERIFIED_BYTES: u64 = 256 << 20;

/// What the writer knows of the store, as of its last commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// Commits.
    pub(super) batch: u64,
    /// What retention takes for now, in seconds.
    pub(super) clock: u64,
    /// Newest second of the last commit that had one.
    pub(super) newest: u64,
    /// Seconds recorded since time last jumped.
    pub(super) steady: u64,
    /// By tier: records before this second are pruned, whether they are removed yet or not.
    pub(super) pruned: [u64; Tier::ALL.len()],
    /// Series by name.
    pub(super) series: HashMap<Arc<str>, Series>,
    /// Records without a place because there are too many interface names; not stored.
    pub(super) unnamed: u64,
    /// By tier: the last key.
    pub(super) tails: [Option<u64>; Tier::ALL.len()],
}

/// What does not change in a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Birth {
    pub(super) identity: [u8; 16],
    pub(super) created: u64,
}

/// Opens what is behind `backend`, verified if asked for; an empty one becomes a new store.
pub(super) fn open(
    backend: impl StorageBackend,
    cache_bytes: usize,
    is_verified: bool,
    birth: Birth,
) -> Result<(Database, State), Fault> {
    let database = guarded(|| {
        let mut builder = Builder::new();
        builder.set_cache_size(cache_bytes).set_check_integrity_on_open(is_verified);
        Ok(builder.create_with_backend(backend)?)
    })?;
    match guarded(|| begin(&database, birth)).and_then(|found| found) {
        Ok(state) => Ok((database, state)),
        Err(fault) => {
            fault::let_go(database);
            Err(fault)
        }
    }
}

/// The state of a store; a new one gets its tables first.
fn begin(database: &Database, birth: Birth) -> Result<Result<State, Fault>, redb::Error> {
    if !has_schema(database)? {
        make(database, birth)?;
    }
    let read = database.begin_read()?;
    Ok(match load(&read)? {
        Loaded::Store(state) => Ok(state),
        Loaded::Schema(found) => Err(Fault::Schema(found)),
    })
}

/// Whether it is a store, and not a database without tables.
fn has_schema(database: &Database) -> Result<bool, redb::Error> {
    let tables = database.begin_read()?.list_tables()?.count();
    Ok(tables > 0)
}

fn make(database: &Database, birth: Birth) -> Result<(), redb::Error> {
    let transaction = begin_write(database)?;
    for tier in Tier::ALL {
        transaction.open_table(layout::table(tier))?;
    }
    transaction.open_table(layout::FLOWS)?;
    transaction.open_table(layout::ALERTS)?;
    transaction.open_table(layout::GAPS)?;
    transaction.open_table(layout::LEFT_OUT)?;
    transaction.open_table(layout::SERIES)?;
    set_meta(&transaction, "schema", SCHEMA.to_le_bytes().to_vec())?;
    set_meta(&transaction, "identity", birth.identity.to_vec())?;
    set_meta(&transaction, "created", birth.created.to_le_bytes().to_vec())?;
    State::default().save(&transaction)?;
    Ok(transaction.commit()?)
}

/// A write transaction that is durable once committed and needs no repair after a crash.
pub(super) fn begin_write(database: &Database) -> Result<WriteTransaction, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    transaction.set_quick_repair(true);
    Ok(transaction)
}

fn set_meta(transaction: &WriteTransaction, name: &str, value: Vec<u8>) -> Result<(), redb::Error> {
    let value = sealed(Tag::Meta, name.as_bytes(), value);
    transaction.open_table(layout::META)?.insert(name, value.as_slice())?;
    Ok(())
}

/// What a transaction found.
pub(super) enum Loaded {
    Store(State),
    Schema(u32),
}

fn meta(read: &redb::ReadTransaction, name: &str) -> Result<Vec<u8>, redb::Error> {
    let table = read.open_table(layout::META)?;
    let stored = table.get(name)?.ok_or_else(|| damaged(format!("`{name}` is missing")))?;
    let value = opened(Tag::Meta, name.as_bytes(), stored.value());
    Ok(value.ok_or_else(|| damaged(format!("`{name}` has a wrong checksum")))?.to_vec())
}

/// Reads the state.
pub(super) fn load(read: &redb::ReadTransaction) -> Result<Loaded, redb::Error> {
    let schema = <[u8; 4]>::try_from(meta(read, "schema")?).map_err(|_| damaged("`schema` is not a number"))?;
    if u32::from_le_bytes(schema) != SCHEMA {
        return Ok(Loaded::Schema(u32::from_le_bytes(schema)));
    }
    let mut state = State::parse(&meta(read, "state")?).ok_or_else(|| damaged("`state` is cut short"))?;
    state.series = names(read)?.into_iter().map(|(series, name)| (name, series)).collect();
    for tier in Tier::ALL {
        let last = read.open_table(layout::table(tier))?.last()?.map(|(key, _)| key.value());
        state.tails[tier as usize] = last;
    }
    Ok(Loaded::Store(state))
}

/// Names of the series.
pub(super) fn names(read: &redb::ReadTransaction) -> Result<HashMap<Series, Arc<str>>, redb::Error> {
    let mut names = HashMap::new();
    for row in read.open_table(layout::SERIES)?.iter()? {
        let (series, stored) = row?;
        let series = series.value();
        let name = opened(Tag::Series, &series.to_be_bytes(), stored.value()).and_then(|n| std::str::from_utf8(n).ok());
        names.insert(series, Arc::from(name.ok_or_else(|| damaged(format!("the name of series {series}")))?));
    }
    Ok(names)
}

/// Who it is and when it was made.
pub(super) fn birth(read: &redb::ReadTransaction) -> Result<Birth, redb::Error> {
    let identity = meta(read, "identity")?.try_into().map_err(|_| damaged("`identity` is not 16 bytes"))?;
    let created = meta(read, "created")?.try_into().map_err(|_| damaged("`created` is not a number"))?;
    Ok(Birth { identity, created: u64::from_le_bytes(created) })
}

impl State {
    fn parse(mut value: &[u8]) -> Option<Self> {
        let mut next = || Some(u64::from_le_bytes(take(&mut value)?));
        let (batch, clock, newest, steady) = (next()?, next()?, next()?, next()?);
        let pruned = [next()?, next()?, next()?, next()?];
        Some(Self { batch, clock, newest, steady, pruned, ..Self::default() })
    }

    pub(super) fn save(&self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        let numbers = [self.batch, self.clock, self.newest, self.steady].into_iter().chain(self.pruned);
        set_meta(transaction, "state", numbers.flat_map(u64::to_le_bytes).collect())
    }

    /// The series of an interface; a new name gets the next number.
    pub(super) fn series(&mut self, name: &Arc<str>, to: &WriteTransaction) -> Result<Option<Series>, redb::Error> {
        if let Some(series) = self.series.get(name) {
            return Ok(Some(*series));
        }
        // 65,536 names in one store: whatever makes that many does not need more of them.
        let Ok(series) = Series::try_from(self.series.len()) else {
            self.unnamed += 1;
            return Ok(None);
        };
        let value = sealed(Tag::Series, &series.to_be_bytes(), name.as_bytes().to_vec());
        to.open_table(layout::SERIES)?.insert(series, value.as_slice())?;
        self.series.insert(Arc::clone(name), series);
        Ok(Some(series))
    }
}
