//! Questions to a store.

use super::fault::{Fault, guarded};
use super::scan::View;
use super::shared::{self, Shared};
use super::{
    AlertEvent, Calendar, Error, Flow, FlowAnswer, FlowQuery, Gap, HostAnswer, Info, Measures, Range, SeriesAnswer,
    SeriesQuery, Status, Tier, TierInfo, Total, Usage, Zone, calendar, database, flows, layout, points, usage,
};
use redb::backends::FileBackend;
use redb::{
    Builder, Database, ReadOnlyDatabase, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata,
};
use std::fs::{File, OpenOptions};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Answers from a store: that of the running writer, or a file at rest. Cheap to clone; calls block on the disk.
#[derive(Clone, Debug)]
pub struct Reader(Source);

#[derive(Clone, Debug)]
enum Source {
    Live(Arc<Shared>),
    Rest(Arc<Rest>),
}

/// A file that no process writes to.
struct Rest {
    path: PathBuf,
    database: AtRest,
}

enum AtRest {
    /// As it was left.
    Left(ReadOnlyDatabase),
    /// Repaired after a crash of its writer.
    Repaired(Database),
}

impl std::fmt::Debug for Rest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rest").field("path", &self.path).finish_non_exhaustive()
    }
}

/// One stored record, for exports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The interface.
    pub interface: Arc<str>,
    /// Its start in seconds since the epoch.
    pub start: u64,
    /// Sums over it.
    pub measures: Measures,
}

/// Memory that a file at rest is read with.
const CACHE: usize = 16 << 20;

impl Reader {
    /// Opens a file that no process writes to. It is not pruned; after a crash of its writer it is repaired first.
    ///
    /// # Errors
    /// As [`Store::open`](super::Store::open), and a damaged file, which is left as it is.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let opened = at_rest(path).and_then(|database| {
            let rest = Rest { path: path.to_owned(), database };
            rest.read(database::load).and_then(|loaded| match loaded {
                database::Loaded::Store(_) => Ok(rest),
                database::Loaded::Schema(found) => Err(Fault::Schema(found)),
            })
        });
        let rest = opened.map_err(|fault| shared::error(path, fault))?;
        Ok(Self(Source::Rest(Arc::new(rest))))
    }

    pub(super) fn live(shared: Arc<Shared>) -> Self {
        Self(Source::Live(shared))
    }

    /// Asks one view of the store; what was bad in it makes the writer look at the file.
    fn view<T>(&self, ask: impl FnOnce(&mut View<'_>) -> Result<T, redb::Error>) -> Result<T, Error> {
        let ask = |read: &ReadTransaction| {
            let mut view = View::new(read)?;
            let answer = ask(&mut view)?;
            Ok((answer, view.bad))
        };
        let (answer, bad) = match &self.0 {
            Source::Live(shared) => shared.read(ask)?,
            Source::Rest(rest) => rest.read(ask).map_err(|fault| shared::error(&rest.path, fault))?,
        };
        if let (Source::Live(shared), true) = (&self.0, bad > 0) {
            shared.is_suspect.store(true, Ordering::Relaxed);
        }
        Ok(answer)
    }

    /// Points over time: volume, protocols, TCP health, flows, losses, coverage.
    ///
    /// # Errors
    /// The store cannot be read now; a range that ends before it begins.
    pub fn series(&self, query: &SeriesQuery) -> Result<SeriesAnswer, Error> {
        forward(query.range)?;
        self.view(|view| points::series(view, query))
    }

    /// Sums for each hour, day or month that `range` touches (whole units), by interface, then time. A unit of which
    /// nothing was recorded is left out.
    ///
    /// # Errors
    /// The store cannot be read now; a range that ends before it begins.
    pub fn totals(
        &self,
        range: Range,
        unit: Calendar,
        zone: &Zone,
        interface: Option<&str>,
    ) -> Result<Vec<Total>, Error> {
        forward(range)?;
        self.view(|view| calendar::totals(view, range, unit, zone, interface))
    }

    /// The percentile (`share` 0 to 1, 0.95 as billing has it) of mean rates over `interval` seconds (300 is usual), and
    /// the seconds over `rate` bytes per second, by interface.
    ///
    /// # Errors
    /// The store cannot be read now; a range, a share or an interval that means nothing.
    pub fn usage(
        &self,
        range: Range,
        interval: u64,
        share: f64,
        rate: u64,
        interface: Option<&str>,
    ) -> Result<Vec<Usage>, Error> {
        forward(range)?;
        if !(0.0..=1.0).contains(&share) || interval == 0 {
            let text = format!("percentile {share} of {interval} s: 0 to 1 of at least 1 s is allowed");
            return Err(Error::Question(text));
        }
        self.view(|view| usage::usage(view, range, &usage::Terms { interval, share, rate }, interface))
    }

    /// The largest flows that fit a question.
    ///
    /// # Errors
    /// The store cannot be read now; a range that ends before it begins.
    pub fn flows(&self, query: &FlowQuery) -> Result<FlowAnswer, Error> {
        forward(query.range)?;
        self.view(|view| flows::largest(view, query))
    }

    /// The addresses with most bytes among the flows that fit a question.
    ///
    /// # Errors
    /// The store cannot be read now; a range that ends before it begins.
    pub fn hosts(&self, query: &FlowQuery) -> Result<HostAnswer, Error> {
        forward(query.range)?;
        self.view(|view| flows::hosts(view, query))
    }

    /// Alert events of the range, oldest first; only of `rule`, if given; the newest `limit`.
    ///
    /// # Errors
    /// The store cannot be read now; a range that ends before it begins.
    pub fn alerts(&self, range: Range, rule: Option<&str>, limit: usize) -> Result<Vec<AlertEvent>, Error> {
        forward(range)?;
        self.view(|view| flows::alerts(view, range, rule, limit))
    }

    /// Shows every record of a tier in order of time, then series, until `each` breaks; how many were skipped as bad.
    ///
    /// # Errors
    /// The store cannot be read now; a range that ends before it begins.
    pub fn records(
        &self,
        tier: Tier,
        range: Range,
        mut each: impl FnMut(Record) -> ControlFlow<()>,
    ) -> Result<u64, Error> {
        forward(range)?;
        self.view(|view| {
            let (parts, names) = (view.parts(range, tier, true), view.names.clone());
            view.scan(&parts, None, |row| match names.get(&row.series) {
                Some(interface) => {
                    let (interface, start, measures) = (Arc::clone(interface), row.start, row.measures);
                    each(Record { interface, start, measures })
                }
                None => ControlFlow::Continue(()),
            })?;
            Ok(view.bad)
        })
    }

    /// Shows every flow whose last packet is in the range, in order of that, until `each` breaks; how many were skipped
    /// as bad.
    ///
    /// # Errors
    /// The store cannot be read now; a range that ends before it begins.
    pub fn each_flow(&self, range: Range, each: impl FnMut(Flow) -> ControlFlow<()>) -> Result<u64, Error> {
        forward(range)?;
        self.view(|view| {
            flows::walk(view, range, each)?;
            Ok(view.bad)
        })
    }

    /// What the store holds.
    ///
    /// # Errors
    /// The store cannot be read now.
    pub fn info(&self) -> Result<Info, Error> {
        let path = match &self.0 {
            Source::Live(shared) => &shared.config.path,
            Source::Rest(rest) => &rest.path,
        };
        let size_bytes = std::fs::metadata(path).map_or(0, |found| found.len());
        self.view(|view| {
            let birth = database::birth(view.read)?;
            let mut interfaces: Vec<_> = view.names.values().cloned().collect();
            interfaces.sort();
            Ok(Info {
                schema: layout::SCHEMA,
                identity: birth.identity,
                created: birth.created,
                size_bytes,
                tiers: tiers(view)?,
                flows: view.read.open_table(layout::FLOWS)?.len()?,
                alerts: view.read.open_table(layout::ALERTS)?.len()?,
                interfaces,
                gaps: gaps(view, Range::ALL)?,
                left_out: flows::left_out(view, Range::ALL)?,
            })
        })
    }

    /// How its writer fares; `None` for a file at rest.
    pub fn status(&self) -> Option<Status> {
        match &self.0 {
            Source::Live(shared) => Some(shared.status()),
            Source::Rest(_) => None,
        }
    }
}

fn forward(range: Range) -> Result<(), Error> {
    let is_forward = range.from <= range.to;
    is_forward
        .then_some(())
        .ok_or_else(|| Error::Question(format!("from {} to {}: ends before it begins", range.from, range.to)))
}

fn tiers(view: &View<'_>) -> Result<[TierInfo; Tier::ALL.len()], redb::Error> {
    let mut tiers = [TierInfo::default(); Tier::ALL.len()];
    for tier in Tier::ALL {
        let table = view.read.open_table(layout::table(tier))?;
        tiers[tier as usize] = TierInfo {
            records: table.len()?,
            oldest: table.first()?.map(|(key, _)| layout::parts(key.value()).0),
            newest: table.last()?.map(|(key, _)| layout::parts(key.value()).0),
        };
    }
    Ok(tiers)
}

/// Gaps that touch a range.
pub(super) fn gaps(view: &mut View<'_>, range: Range) -> Result<Vec<Gap>, redb::Error> {
    let mut gaps = Vec::new();
    for row in view.read.open_table(layout::GAPS)?.range(..range.to)? {
        let (from, stored) = row?;
        match layout::read_gap(from.value(), stored.value()) {
            Some(gap) if gap.to > range.from => gaps.push(gap),
            Some(_) => {}
            None => view.bad += 1,
        }
    }
    Ok(gaps)
}

impl Rest {
    fn read<T>(&self, ask: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>) -> Result<T, Fault> {
        guarded(|| match &self.database {
            AtRest::Left(database) => ask(&database.begin_read()?),
            AtRest::Repaired(database) => ask(&database.begin_read()?),
        })
    }
}

fn at_rest(path: &Path) -> Result<AtRest, Fault> {
    let file = File::open(path).map_err(Fault::Failed)?;
    let left = guarded(|| {
        let backend = FileBackend::new(file)?;
        match Builder::new().set_cache_size(CACHE).open_read_only_with_backend(backend) {
            Ok(database) => Ok(Some(AtRest::Left(database))),
            Err(redb::DatabaseError::RepairAborted) => Ok(None),
            Err(error) => Err(error.into()),
        }
    })?;
    match left {
        Some(database) => Ok(database),
        None => repaired(path),
    }
}

fn repaired(path: &Path) -> Result<AtRest, Fault> {
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(Fault::Failed)?;
    guarded(|| {
        let backend = FileBackend::new(file)?;
        Ok(AtRest::Repaired(Builder::new().set_cache_size(CACHE).create_with_backend(backend)?))
    })
}
