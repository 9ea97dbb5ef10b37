//! One rule at work: its label sets, and where each of them stands.

use super::baseline::{Mean, Past, Remembered, ticks};
use super::growth::Growth;
use super::judge::{Circumstances, Seen, judge};
use super::look::{self, Condition as CaptureCondition};
use super::machine::{Change, Delays, Phase, Verdict};
use super::metric::Read;
use super::rule::{Baseline, Condition, Level, MAX_LABEL_SETS, Point, Rule};
use super::{Alert, State, Transition};
use crate::stats::Snapshot;
use crate::time::{NANOS_PER_SECOND, Tick, Timestamp};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// What all rules of one tick share.
pub(super) struct Round<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) now: Tick,
    /// The first tick, or that of the last time step.
    pub(super) since: Tick,
    /// Of each interface of the snapshot.
    pub(super) captures: &'a [CaptureCondition],
    pub(super) past: Option<&'a dyn Past>,
    /// The interfaces are not those of the round before.
    pub(super) rearranged: bool,
}

/// A rule and its label sets.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) rule: Arc<Rule>,
    points: Vec<Point>,
    delays: Delays,
    /// In order of interface, then point; hosts in order of address.
    pub(super) instances: Vec<Instance>,
    pub(super) counts: Counts,
}

/// What became of a rule, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Changes to pending, firing and resolved.
    pub transitions: [u64; 3],
    /// Times it could not be evaluated: the history did not answer.
    pub failures: u64,
    /// Label sets that are not watched because there are too many, counted when they come.
    pub dropped_label_sets: u64,
    /// Times an alert was held back though its condition held: for low coverage, at the start.
    pub suppressed: [u64; 2],
}

const HOUR: u64 = 3600;
/// How long after a restart an interface of which something was said before may take to be there: the first picture can
/// be earlier than the first interface.
const AWAITED: Duration = Duration::from_secs(10);
/// Index of [`Counts::suppressed`].
const LOW_COVERAGE: usize = 0;
/// Index of [`Counts::suppressed`].
const STARTUP: usize = 1;

/// One label set.
#[derive(Clone, Debug)]
pub(super) struct Instance {
    pub(super) interface: Option<Arc<str>>,
    host: Option<IpAddr>,
    point: usize,
    /// Index of the interface in the snapshot; `None` while it is not there.
    source: Option<usize>,
    labels: Arc<BTreeMap<String, String>>,
    pub(super) phase: Phase,
    active_since: Timestamp,
    fired_at: Option<Timestamp>,
    value: f64,
    threshold: Option<f64>,
    pub(super) blind: bool,
    pub(super) suppressed: bool,
    /// Taken up from before a restart, and its interface has not been there since.
    awaited: bool,
    mean: Option<Mean>,
    recollection: Option<Recollection>,
    growth: Option<Growth>,
}

/// What the history said of a span of the past.
#[derive(Clone, Copy, Debug)]
struct Recollection {
    /// The end of the span, in seconds.
    of: u64,
    asked: Tick,
    /// It was not known yet; until then, the mean is that of the span before.
    is_open: bool,
    mean: Option<f64>,
}

impl Watch {
    pub(super) fn new(rule: Arc<Rule>) -> Self {
        let delays = Delays { hold: ticks(rule.hold), keep_firing: ticks(rule.keep_firing) };
        let points = rule.points();
        let mut watch = Self { rule, points, delays, instances: Vec::new(), counts: Counts::default() };
        if !watch.rule.metric.by_interface() && !watch.rule.metric.comes_and_goes() {
            watch.instances = (0..watch.points.len()).map(|point| watch.instance(None, None, point)).collect();
        }
        if watch.rule.condition == Condition::Absent {
            let named: Vec<Arc<str>> = watch.rule.named_interfaces().map(Arc::from).collect();
            named.iter().for_each(|interface| watch.add_interface(interface));
        }
        watch
    }

    /// Takes over the label sets of the same rule under the configuration before.
    pub(super) fn continue_from(&mut self, before: Self) {
        (self.instances, self.counts) = (before.instances, before.counts);
    }

    /// Looks at every label set.
    pub(super) fn round(&mut self, round: &Round<'_>, out: &mut Vec<Transition>) {
        if self.rule.metric.by_interface() && round.rearranged {
            self.arrange(round.snapshot);
        }
        let window = self.window_index(round.snapshot);
        if let Read::Host { share } = self.rule.metric.read {
            self.round_of_hosts(round, share, out);
        } else {
            for n in 0..self.instances.len() {
                let (seen, condition) = self.look(n, round, window);
                self.take(n, seen, condition, round, out);
            }
        }
    }

    fn window_index(&self, snapshot: &Snapshot) -> Option<usize> {
        let windows = &snapshot.interfaces.first()?.windows;
        windows.iter().position(|window| window.length == self.rule.window)
    }

    fn look(&mut self, n: usize, round: &Round<'_>, window: Option<usize>) -> (Seen, CaptureCondition) {
        let (read, instance) = (self.rule.metric.read, &mut self.instances[n]);
        let sets = self.points[instance.point].sets;
        if let Some(growth) = &mut instance.growth {
            let grown = growth.observe(round.now, look::class_total(read, sets, round.snapshot));
            let seen = Seen::Value(grown as f64 / self.rule.window.as_secs_f64());
            return (seen, any_blind(round.captures));
        }
        if instance.interface.is_none() {
            return (look::own(read, round.snapshot), CaptureCondition::default());
        }
        let Some(source) = instance.source else {
            let is_awaited = instance.awaited && round.now.0.saturating_sub(round.since.0) < ticks(AWAITED);
            return (if is_awaited { Seen::Down } else { Seen::Gone }, CaptureCondition::default());
        };
        let (interface, condition) = (&round.snapshot.interfaces[source], round.captures[source]);
        let window = window.and_then(|window| interface.windows.get(window));
        (look::interface(&self.rule, sets, interface, window, condition, round.now), condition)
    }

    /// Hosts are watched while they are on top, and as long as they are not inactive.
    fn round_of_hosts(&mut self, round: &Round<'_>, share: bool, out: &mut Vec<Transition>) {
        let listed: BTreeMap<IpAddr, f64> = match look::talkers(round.snapshot, self.rule.window) {
            Some(table) => look::hosts(table, share, self.rule.min_samples).collect(),
            None => BTreeMap::new(),
        };
        let condition = any_blind(round.captures);
        let limit = match self.rule.condition {
            Condition::Above { limit: Level::Absolute(limit), .. } => limit,
            _ => f64::INFINITY,
        };
        for (host, _) in listed.iter().filter(|(_, value)| **value > limit) {
            self.add_host(*host);
        }
        for n in 0..self.instances.len() {
            let value = self.instances[n].host.and_then(|host| listed.get(&host)).copied().unwrap_or(0.0);
            self.take(n, Seen::Value(value), condition, round, out);
        }
        self.instances.retain(|instance| !instance.phase.is_inactive());
    }

    fn add_host(&mut self, host: IpAddr) {
        let selector = self.rule.selectors.get("host");
        let Err(place) = self.instances.binary_search_by_key(&Some(host), |instance| instance.host) else { return };
        if selector.is_some_and(|selector| !selector.matches(&host.to_string())) {
            return;
        }
        if self.instances.len() >= MAX_LABEL_SETS {
            self.counts.dropped_label_sets += 1;
            return;
        }
        let instance = self.instance(None, Some(host), 0);
        self.instances.insert(place, instance);
    }

    /// Judges what was seen of a label set, and says what changed.
    fn take(&mut self, n: usize, seen: Seen, capture: CaptureCondition, round: &Round<'_>, out: &mut Vec<Transition>) {
        let full = self.is_full(round, &self.instances[n]);
        let (rule, instance) = (&self.rule, &mut self.instances[n]);
        let mean = instance.mean_of(rule, round, seen, &mut self.counts);
        let judged = judge(rule, seen, Circumstances { full, firing: instance.phase.is_firing(), mean });
        let held_back = judged.suppressed && instance.phase.is_inactive();
        if held_back && !instance.suppressed {
            self.counts.suppressed[if seen == Seen::Down { LOW_COVERAGE } else { STARTUP }] += 1;
        }
        instance.suppressed = held_back;
        if judged.verdict == Verdict::Clear && instance.phase.is_inactive() {
            if rule.condition == Condition::Absent {
                instance.measured(seen, rule, None);
            }
            return;
        }
        instance.blind = capture.blind && rule.metric.needs_capture();
        instance.measured(seen, rule, judged.threshold);
        let was_inactive = instance.phase.is_inactive();
        let change = instance.phase.judge(judged.verdict, round.now, self.delays);
        if was_inactive && change.is_some() {
            instance.active_since = round.now.end();
        }
        if let Some(change) = change {
            let transition = instance.changed(rule, change, round.now.end());
            self.counts.count(change);
            out.push(transition);
        }
    }

    /// Whether the window has passed. A value of the moment is whole at once, but that nothing is there is known only
    /// after a second.
    fn is_full(&self, round: &Round<'_>, instance: &Instance) -> bool {
        let passed = round.now.0.saturating_sub(round.since.0);
        let is_of_moment = !self.rule.metric.takes_window();
        let waits = match (is_of_moment, instance.interface.is_some() && instance.source.is_none()) {
            (true, false) => 0,
            (true, true) => Tick::PER_SECOND,
            (false, _) => ticks(self.rule.window),
        };
        passed >= waits
    }

    /// Brings the label sets in line with the interfaces there are.
    fn arrange(&mut self, snapshot: &Snapshot) {
        for interface in &snapshot.interfaces {
            let is_known = self.instances.iter().any(|instance| instance.interface.as_ref() == Some(&interface.name));
            if !is_known && self.rule.watches(&interface.name) {
                self.add_interface(&interface.name);
            }
        }
        for instance in &mut self.instances {
            let is_it =
                |interface: &Arc<crate::stats::InterfaceSnapshot>| Some(&interface.name) == instance.interface.as_ref();
            instance.source = snapshot.interfaces.iter().position(is_it);
            instance.awaited &= instance.source.is_none();
        }
        // What is not there any more is only of interest while something is said of it.
        let is_absent = self.rule.condition == Condition::Absent;
        self.instances.retain(|instance| instance.source.is_some() || is_absent || !instance.phase.is_inactive());
    }

    fn add_interface(&mut self, interface: &Arc<str>) {
        if self.instances.len() + self.points.len() > MAX_LABEL_SETS {
            self.counts.dropped_label_sets += self.points.len() as u64;
            return;
        }
        let place = self.instances.partition_point(|instance| instance.interface.as_ref() < Some(interface));
        let added: Vec<_> =
            (0..self.points.len()).map(|point| self.instance(Some(Arc::clone(interface)), None, point)).collect();
        self.instances.splice(place..place, added);
    }

    fn instance(&self, interface: Option<Arc<str>>, host: Option<IpAddr>, point: usize) -> Instance {
        let mut labels = self.rule.labels.clone();
        labels.extend(self.points[point].labels.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        labels.extend(interface.iter().map(|interface| ("interface".to_owned(), interface.to_string())));
        labels.extend(host.iter().map(|host| ("host".to_owned(), host.to_string())));
        let mean = match self.rule.baseline() {
            Some(Baseline::Last(span)) => Some(Mean::new(span)),
            _ => None,
        };
        let is_class = matches!(self.rule.metric.read, Read::Class(_));
        Instance {
            interface,
            host,
            point,
            source: None,
            labels: Arc::new(labels),
            phase: Phase::default(),
            active_since: Timestamp::default(),
            fired_at: None,
            value: 0.0,
            threshold: None,
            blind: false,
            suppressed: false,
            awaited: false,
            mean,
            recollection: None,
            growth: is_class.then(|| Growth::new(ticks(self.rule.window))),
        }
    }

    /// Time stepped.
    pub(super) fn step(&mut self, to: Tick) {
        for instance in &mut self.instances {
            instance.begin_anew(to);
            instance.mean.iter_mut().for_each(|mean| mean.restart(to));
            instance.growth.iter_mut().for_each(Growth::restart);
        }
    }

    /// Takes up an alert from before a restart; whether it is one of this rule. What it waits for is waited for anew.
    pub(super) fn restore(&mut self, alert: &Alert, now: Tick) -> bool {
        let Some(n) = self.place_of(alert) else { return false };
        let instance = &mut self.instances[n];
        instance.phase = if alert.state == State::Firing { Phase::Firing(None) } else { Phase::Pending(now) };
        instance.active_since = if alert.state == State::Firing { alert.active_since } else { now.end() };
        (instance.fired_at, instance.value, instance.threshold) = (alert.fired_at, alert.value, alert.threshold);
        instance.blind = alert.blind;
        instance.awaited = instance.interface.is_some() && instance.source.is_none();
        true
    }

    /// The label set of an alert, made if its interface or host is not there yet.
    fn place_of(&mut self, alert: &Alert) -> Option<usize> {
        if let Some(interface) = alert.labels.get("interface").filter(|_| self.rule.metric.by_interface()) {
            let is_known = self.instances.iter().any(|instance| instance.interface.as_deref() == Some(interface));
            if !is_known && self.rule.watches(interface) {
                self.add_interface(&Arc::from(interface.as_str()));
            }
        }
        if let Some(Ok(host)) = alert.labels.get("host").map(|host| host.parse())
            && self.rule.metric.comes_and_goes()
        {
            self.add_host(host);
        }
        self.instances.iter().position(|instance| *instance.labels == alert.labels)
    }

    /// The rule is no more: what fires resolves, and what is pending is dropped.
    pub(super) fn end(&mut self, at: Timestamp, out: &mut Vec<Transition>) {
        for instance in &mut self.instances {
            let change = if instance.phase.is_firing() { Change::Resolved } else { Change::Dropped };
            if !instance.phase.is_inactive() {
                instance.phase = Phase::Inactive;
                out.push(instance.changed(&self.rule, change, at));
            }
        }
    }

    /// The last tick that may bring a change even if nothing happens.
    pub(super) fn deadline(&self, now: Tick, snapshot: &Snapshot) -> Option<Tick> {
        self.instances.iter().filter_map(|instance| self.deadline_of(instance, now, snapshot)).max()
    }

    fn deadline_of(&self, instance: &Instance, now: Tick, snapshot: &Snapshot) -> Option<Tick> {
        let waiting = instance.phase.deadline(self.delays);
        let is_settling = !instance.phase.is_inactive()
            && (instance.growth.is_some() || instance.host.is_some() || instance.mean.is_some())
            && (instance.value > 0.0
                || instance.mean.as_ref().and_then(|mean| mean.mean(now)).is_some_and(|m| m > 0.0));
        let settling = is_settling.then_some(Tick(now.0 + 1));
        waiting.max(settling).max(self.growing(instance, snapshot))
    }

    /// When a value that grows with time alone crosses its limit.
    fn growing(&self, instance: &Instance, snapshot: &Snapshot) -> Option<Tick> {
        let Condition::Above { limit: Level::Absolute(limit), .. } = self.rule.condition else { return None };
        if !self.rule.metric.grows_with_time() || !instance.phase.is_inactive() {
            return None;
        }
        let last = snapshot.interfaces.get(instance.source?)?.last_seen?;
        let after = Duration::try_from_secs_f64(limit).unwrap_or(Duration::MAX);
        Some(Tick(Tick::of(last.saturating_add(after)).0 + 1))
    }

    /// Its alerts that are not inactive.
    pub(super) fn alerts(&self) -> impl Iterator<Item = Alert> + '_ {
        let active = self.instances.iter().filter(|instance| !instance.phase.is_inactive());
        active.map(|instance| instance.alert(&self.rule))
    }
}

impl Instance {
    /// The mean of the past as far as the rule needs it.
    fn mean_of(&mut self, rule: &Rule, round: &Round<'_>, seen: Seen, counts: &mut Counts) -> Option<f64> {
        match rule.baseline()? {
            Baseline::Last(span) => {
                let mean = self.mean.as_mut()?;
                let before = mean.mean(round.now);
                mean.observe(round.now, seen.for_mean());
                before.or_else(|| self.before_start(rule, span, round))
            }
            Baseline::SameHourYesterday => self.yesterday(rule, round, counts),
        }
    }

    /// Asked of the history once an hour. A failure is an hour of which it knows nothing, or did not answer in time.
    fn yesterday(&mut self, rule: &Rule, round: &Round<'_>, counts: &mut Counts) -> Option<f64> {
        let to = (round.now.second() / HOUR).saturating_sub(23) * HOUR;
        let before = self.recollection;
        let now = self.recall(rule, round, to.saturating_sub(HOUR), to);
        let is_new = before.is_none_or(|before| before.of != now.of || before.is_open);
        let was_open = before.is_some_and(|before| before.of != now.of && before.is_open);
        counts.failures += u64::from(is_new && !now.is_open && now.mean.is_none()) + u64::from(was_open);
        now.mean
    }

    /// The time before now from the history, until it was looked at for long enough here: in whole minutes, a long time
    /// in whole hours.
    fn before_start(&mut self, rule: &Rule, span: Duration, round: &Round<'_>) -> Option<f64> {
        if round.past.is_none() || !rule.metric.is_remembered() {
            return None;
        }
        let unit = if span.as_secs() < 2 * HOUR { 60 } else { HOUR };
        let to = round.now.second() / unit * unit;
        self.recall(rule, round, to.saturating_sub(span.as_secs().div_ceil(unit) * unit), to).mean
    }

    fn recall(&mut self, rule: &Rule, round: &Round<'_>, from: u64, to: u64) -> Recollection {
        let before = self.recollection.filter(|before| {
            let waited = round.now.0.saturating_sub(before.asked.0);
            before.of == to && !(before.is_open && waited >= Tick::PER_SECOND)
        });
        *self.recollection.insert(before.unwrap_or_else(|| {
            let at = |second: u64| Timestamp::from_nanos(second * NANOS_PER_SECOND);
            let past = |past: &dyn Past| past.mean(rule.metric, &self.labels, at(from), at(to));
            let answer = round.past.map_or(Remembered::Nothing, past);
            let mean = match answer {
                Remembered::Mean(mean) => Some(mean),
                Remembered::Nothing => None,
                Remembered::NotYet => self.recollection.and_then(|before| before.mean),
            };
            Recollection { of: to, asked: round.now, is_open: answer == Remembered::NotYet, mean }
        }))
    }

    /// Keeps the value to tell; for `absent` the last one that was something.
    fn measured(&mut self, seen: Seen, rule: &Rule, threshold: Option<f64>) {
        let keeps = |value: &f64| rule.condition != Condition::Absent || *value != 0.0;
        self.value = seen.value().filter(keeps).unwrap_or(self.value);
        self.threshold = threshold.or(self.threshold);
    }

    fn begin_anew(&mut self, now: Tick) {
        self.phase.begin_anew(now);
        if matches!(self.phase, Phase::Pending(_)) {
            self.active_since = now.end();
        }
    }

    fn changed(&mut self, rule: &Rule, change: Change, at: Timestamp) -> Transition {
        match change {
            Change::Pended => self.fired_at = None,
            Change::Fired => self.fired_at = Some(at),
            Change::Dropped | Change::Resolved => {}
        }
        let mut alert = self.alert(rule);
        (alert.state, alert.resolved_at) = match change {
            Change::Pended => (State::Pending, None),
            Change::Dropped => (State::Inactive, None),
            Change::Fired => (State::Firing, None),
            Change::Resolved => (State::Resolved, Some(at)),
        };
        Transition { alert, at }
    }

    fn alert(&self, rule: &Rule) -> Alert {
        Alert {
            rule: Arc::clone(&rule.name),
            labels: BTreeMap::clone(&self.labels),
            severity: rule.severity,
            state: if self.phase.is_firing() { State::Firing } else { State::Pending },
            value: self.value,
            threshold: self.threshold,
            metric: rule.metric.name.into(),
            unit: rule.metric.unit.name(),
            window: rule.window,
            active_since: self.active_since,
            fired_at: self.fired_at,
            resolved_at: None,
            blind: self.blind,
            summary: Arc::clone(&rule.summary),
            runbook_url: rule.runbook_url.clone(),
            notify: Arc::clone(&rule.notify),
        }
    }
}

impl Counts {
    fn count(&mut self, change: Change) {
        match change {
            Change::Pended => self.transitions[0] += 1,
            Change::Fired => self.transitions[1] += 1,
            Change::Resolved => self.transitions[2] += 1,
            Change::Dropped => {}
        }
    }
}

fn any_blind(captures: &[CaptureCondition]) -> CaptureCondition {
    CaptureCondition { blind: captures.iter().any(|capture| capture.blind), ..CaptureCondition::default() }
}
