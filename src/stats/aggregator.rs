//! The one place where windows, totals and histograms are written.

use super::counters::Integers;
use super::groups::ClassMatrix;
use super::interface::add_optional;
use super::series::{Series, ticks};
use super::talkers::TalkerWindows;
use super::tally::TableState;
use super::{Buckets, Capture, Config, HistoryHealth, OwnCounters, Snapshot, Tally};
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
    /// Where each interface id is counted.
    places: Vec<Place>,
    /// In the order of names.
    series: BTreeMap<Arc<str>, Series>,
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

/// Where an interface is counted.
#[derive(Clone, Debug, Default)]
enum Place {
    /// In the series of this name.
    Series(Arc<str>),
    /// In `other`.
    #[default]
    Other,
    /// Nowhere: it was removed, and what its shard still reports goes the way of its series.
    Removed,
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
            places: Vec::new(),
            series: BTreeMap::new(),
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

    /// Makes an interface known before its first packets are folded. The same name twice is one interface. A series that
    /// its last id left for another name stays, as that of an interface that is gone.
    ///
    /// Names beyond the cap, and ids from [`Tally::MAX_INTERFACES`] on, are counted together as `other`; but at the cap
    /// a series of an interface that is gone makes room first.
    pub fn add_interface(&mut self, id: InterfaceId, name: &str) {
        let (index, old) = (usize::from(id.0), self.series_of(id));
        if index >= Tally::MAX_INTERFACES || old.as_ref().is_some_and(|old| **old == *name) {
            return;
        }
        if index >= self.places.len() {
            self.places.resize(index + 1, Place::default());
        }
        self.places[index] = Place::Other;
        let left = old.filter(|old| self.ids_of(old) == 0).and_then(|old| self.series.get_mut(&old));
        let open_flows = left.map(Series::gone);
        if let Some((known, _)) = self.series.get_key_value(name) {
            self.places[index] = Place::Series(Arc::clone(known));
        } else if self.has_room() {
            self.places[index] = Place::Series(name.into());
            self.series_at(index);
        }
        if let Some(flows) = open_flows
            && let Some(series) = self.series_at(index)
        {
            series.add_flows(&flows);
        }
    }

    /// Goes on under another name: totals and windows stay with the interface, the order of series follows the names.
    ///
    /// Where the new name already has a series the id joins that one, and where another id shares the old name it leaves
    /// alone, both as [`StatsAggregator::add_interface`] does it. An interface counted as `other` gets a series if there
    /// is room.
    pub fn rename_interface(&mut self, id: InterfaceId, new_name: &str) {
        let Some(old) = self.series_of(id).filter(|old| **old != *new_name) else {
            return self.add_interface(id, new_name);
        };
        let is_its_own = self.ids_of(&old) == 1 && *old != *OTHER && !self.series.contains_key(new_name);
        let Some(mut series) = is_its_own.then(|| self.series.remove(&old)).flatten() else {
            return self.add_interface(id, new_name);
        };
        let name: Arc<str> = new_name.into();
        series.rename(Arc::clone(&name));
        self.series.insert(Arc::clone(&name), series);
        self.places[usize::from(id.0)] = Place::Series(name);
    }

    /// Forgets an interface: its series vanishes, unless another id shares it, and its room below the cap is free. What
    /// is folded for the id from now on counts for no interface; the id may then be given to another one, once
    /// everything that belongs to this one has been folded.
    ///
    /// Talkers, address classes and the histograms of ended flows are not by interface and keep what it moved.
    pub fn remove_interface(&mut self, id: InterfaceId) {
        let old = self.series_of(id);
        if let Some(place) = self.places.get_mut(usize::from(id.0)) {
            *place = Place::Removed;
        }
        if let Some(old) = old.filter(|old| **old != *OTHER && self.ids_of(old) == 0) {
            self.forget(&old);
        }
    }

    /// The name of the series that an id is counted in.
    fn series_of(&self, id: InterfaceId) -> Option<Arc<str>> {
        match self.places.get(usize::from(id.0)) {
            Some(Place::Series(name)) => Some(Arc::clone(name)),
            _ => None,
        }
    }

    /// How many ids are counted in the series of this name.
    fn ids_of(&self, name: &str) -> usize {
        self.places.iter().filter(|place| matches!(place, Place::Series(of) if **of == *name)).count()
    }

    /// Whether one more name may have a series; at the cap the first one that no id has makes room.
    fn has_room(&mut self) -> bool {
        let named = self.series.keys().filter(|name| ***name != *OTHER);
        if named.clone().count() < self.config.max_interfaces {
            return true;
        }
        let Some(unused) = named.clone().find(|name| self.ids_of(name) == 0).cloned() else { return false };
        self.forget(&unused);
        true
    }

    /// Drops a series; what it added to a counter of netmon itself stays.
    fn forget(&mut self, name: &str) {
        if let Some(series) = self.series.remove(name) {
            self.own.label_overflow[VLAN] += series.vlan_overflow();
        }
    }

    /// The series that the id of this index is counted in, made if it is the first time; `None` once it was removed.
    fn series_at(&mut self, index: usize) -> Option<&mut Series> {
        let name = match self.places.get(index) {
            Some(Place::Series(name)) => Arc::clone(name),
            Some(Place::Other) | None => OTHER.into(),
            Some(Place::Removed) => return None,
        };
        let (config, now) = (&self.config, self.now.unwrap_or_default());
        Some(self.series.entry(name).or_insert_with_key(|name| Series::new(Arc::clone(name), config, now)))
    }

    /// Adds a shard's tally to `tick`; one that is before the newest tick counts there.
    pub fn fold(&mut self, tick: Tick, tally: &Tally) {
        self.advance(tick);
        let now = self.now.unwrap_or(tick);
        for (index, interface) in tally.interfaces.iter().enumerate().filter(|(_, interface)| interface.touched) {
            if matches!(self.places.get(index), Some(Place::Other) | None) {
                let [receive, transmit] = interface.counters.volume;
                self.own.label_overflow[INTERFACE] += receive.packets + transmit.packets;
            }
            if let Some(series) = self.series_at(index) {
                series.fold(now, interface);
            }
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
            self.tables.retain(|(of, _)| of != shard);
            self.tables.extend((state.limit > 0).then_some((*shard, *state)));
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
    /// Interfaces that are counted as `other` have no capture state. Of the gaps only the newest [`Capture::MAX_GAPS`]
    /// are kept.
    pub fn capture(&mut self, id: InterfaceId, capture: Capture) {
        if let Some(series) = self.series_of(id).and_then(|name| self.series.get_mut(&name)) {
            series.capture(capture);
        }
    }

    /// Another configuration holds from now on.
    pub fn set_generation(&mut self, generation: u64) {
        self.own.config_generation = generation;
    }

    /// How the history fares from now on.
    pub fn set_history(&mut self, health: HistoryHealth) {
        self.own.history = Some(health);
    }

    /// The newest tick; `None` before the first one.
    pub fn now(&self) -> Option<Tick> {
        self.now
    }

    /// The number of ticks after which all windows are empty if nothing happens.
    pub fn longest_window(&self) -> u64 {
        self.config.windows.iter().map(|length| ticks(*length)).max().unwrap_or(0)
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
        own.label_overflow[VLAN] += self.series.values().map(Series::vlan_overflow).sum::<u64>();
        own.label_overflow[TALKER] = self.talkers.purged();
        own
    }
}
