//! The one place where windows, totals and histograms are written.

use super::counters::Integers;
use super::grid::second;
use super::groups::ClassMatrix;
use super::interface::add_optional;
use super::series::{Series, ticks};
use super::talkers::TalkerWindows;
use super::tally::TableState;
use super::{Buckets, Capture, Config, OwnCounters, Snapshot, Tally};
use crate::packet::InterfaceId;
use crate::time::{Step, Tick};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The only writer of windows, totals and histograms.
///
/// Each tick it is given the tallies of all shards ([`StatsAggregator::fold`], in any order), then told that the tick is
/// over ([`StatsAggregator::advance`]); a [`Snapshot`] may be taken at any time and is complete after that.
///
/// Bounds: `max_interfaces` series and one more named `other`, each as large as its windows need (0.3 MiB with the
/// default windows while it is busy); talkers as [`super::TalkerConfig::keys`] says.
#[derive(Debug)]
pub struct StatsAggregator {
    config: Config,
    /// The series of each interface id; `None` is `other`.
    names: Vec<Option<Arc<str>>>,
    /// In the order of names.
    series: BTreeMap<Arc<str>, Series>,
    /// Series that were given a name by [`StatsAggregator::add_interface`].
    named: usize,
    talkers: TalkerWindows,
    flow_duration: [Buckets; 2],
    flow_size: [Buckets; 2],
    classes: Option<ClassMatrix>,
    own: OwnCounters,
    tables: Vec<(usize, TableState)>,
    now: Option<Tick>,
    /// When the windows began: the first tick, or that of the last time step.
    since: Tick,
    /// Of each window, whether it was full in the last picture.
    full: Vec<bool>,
}

/// Name of the series of interfaces beyond the cap.
const OTHER: &str = "other";
/// Indices into [`super::CAPPED_LABELS`].
const INTERFACE: usize = 0;
const VLAN: usize = 1;
const TALKER: usize = 3;

impl StatsAggregator {
    /// An empty aggregator.
    pub fn new(config: Config) -> Self {
        let blank = Tally::new(&config);
        Self {
            names: Vec::new(),
            series: BTreeMap::new(),
            named: 0,
            talkers: TalkerWindows::new(&config.windows, config.talkers),
            flow_duration: blank.flow_duration,
            flow_size: blank.flow_size,
            classes: blank.classes,
            own: OwnCounters::default(),
            tables: Vec::new(),
            now: None,
            since: Tick(0),
            full: vec![false; config.windows.len()],
            config,
        }
    }

    /// Makes an interface known before its first packets are folded; ids are given in order from 0. The same name
    /// twice is one interface. Names beyond the cap, and ids from [`Tally::MAX_INTERFACES`] on, are counted together
    /// as `other`.
    pub fn add_interface(&mut self, id: InterfaceId, name: &str) {
        let index = usize::from(id.0);
        if index >= Tally::MAX_INTERFACES {
            return;
        }
        if index >= self.names.len() {
            self.names.resize(index + 1, None);
        }
        if let Some((known, _)) = self.series.get_key_value(name) {
            self.names[index] = Some(Arc::clone(known));
        } else if self.named < self.config.max_interfaces {
            let name: Arc<str> = name.into();
            self.series_named(&name);
            self.names[index] = Some(name);
            self.named += 1;
        }
    }

    fn series_named(&mut self, name: &Arc<str>) -> &mut Series {
        let (config, now) = (&self.config, self.now.unwrap_or_default());
        self.series.entry(Arc::clone(name)).or_insert_with_key(|name| Series::new(Arc::clone(name), config, now))
    }

    /// Adds a shard's tally to `tick`; one that is before the newest tick counts there.
    pub fn fold(&mut self, tick: Tick, tally: &Tally) {
        self.advance(tick);
        let now = self.now.unwrap_or(tick);
        for (index, interface) in tally.interfaces.iter().enumerate().filter(|(_, interface)| interface.touched) {
            let name = self.names.get(index).cloned().flatten();
            if name.is_none() {
                let [receive, transmit] = interface.counters.volume;
                self.own.label_overflow[INTERFACE] += receive.packets + transmit.packets;
            }
            self.series_named(&name.unwrap_or_else(|| OTHER.into())).fold(now, interface);
        }
        self.talkers.fold(now, &tally.talkers);
        for class in 0..2 {
            self.flow_duration[class].merge(&tally.flow_duration[class]);
            self.flow_size[class].merge(&tally.flow_size[class]);
        }
        add_optional(&mut self.classes, &tally.classes, ClassMatrix::add);
        self.own.evictions.add(&tally.evictions);
        self.own.untracked.add(&tally.untracked);
        self.own.late_packets += tally.late_packets;
        for (shard, state) in &tally.tables {
            match self.tables.iter_mut().find(|(of, _)| of == shard) {
                Some((_, last)) => *last = *state,
                None => self.tables.push((*shard, *state)),
            }
        }
    }

    /// Moves all windows to `tick`. The ticks between are empty and cost nothing, however many they are; a tick that
    /// is not after the newest one changes nothing.
    pub fn advance(&mut self, tick: Tick) {
        match self.now {
            None => self.restart(tick),
            Some(now) if tick > now => {
                self.now = Some(tick);
                self.series.values_mut().for_each(|series| series.advance(tick));
                self.talkers.advance(tick);
            }
            Some(_) => {}
        }
    }

    /// Takes a time step: windows start empty at `step.to`, totals and peaks since the start stay. What belongs before
    /// the step must have been folded.
    pub fn step(&mut self, step: Step) {
        self.own.time_steps[usize::from(!step.is_forward())] += 1;
        self.restart(Tick::of(step.to));
    }

    fn restart(&mut self, tick: Tick) {
        self.now = Some(tick);
        self.since = tick;
        self.series.values_mut().for_each(|series| series.restart(tick));
        self.talkers.restart(tick);
    }

    /// What the capture edge says of an interface. Kernel counters given about once a second make the coverage.
    /// Interfaces that are counted as `other` have no capture state.
    pub fn capture(&mut self, id: InterfaceId, capture: Capture) {
        let name = self.names.get(usize::from(id.0)).and_then(Option::as_ref);
        if let Some(series) = name.and_then(|name| self.series.get_mut(name)) {
            series.capture(second(self.now.unwrap_or_default()), capture);
        }
    }

    /// The picture now. Costs a few microseconds for each interface that changed since the last one.
    pub fn snapshot(&mut self) -> Arc<Snapshot> {
        let full = self.full_windows();
        if full != self.full {
            self.series.values_mut().for_each(Series::touch);
            self.full = full;
        }
        let interfaces = self.series.values_mut().map(|series| series.snapshot(&self.full)).collect();
        let talkers = self.talkers.tables().to_vec();
        Arc::new(Snapshot {
            tick: self.now,
            interfaces,
            talkers,
            flow_duration: Some(self.flow_duration.clone()),
            flow_size: Some(self.flow_size.clone()),
            own: self.own(),
            classes: self.classes.as_ref().map_or_else(Vec::new, ClassMatrix::rows),
        })
    }

    fn full_windows(&self) -> Vec<bool> {
        let passed = self.now.map_or(0, |now| now.0 - self.since.0);
        self.config.windows.iter().map(|length| passed >= ticks(*length)).collect()
    }

    fn own(&self) -> OwnCounters {
        let mut own = self.own.clone();
        own.flow_table_entries = self.tables.iter().map(|(_, table)| table.entries).sum();
        own.flow_table_limit = self.tables.iter().map(|(_, table)| table.limit).sum();
        own.flow_probe_length_max = self.tables.iter().map(|(_, table)| table.probe_length_max).max().unwrap_or(0);
        own.label_overflow[VLAN] = self.series.values().map(Series::vlan_overflow).sum();
        own.label_overflow[TALKER] = self.talkers.purged();
        own
    }
}
