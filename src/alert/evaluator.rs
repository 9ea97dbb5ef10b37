//! All rules at work, tick by tick.

use super::baseline::Past;
use super::look::Condition;
use super::rule::{self, Config, Level, Rule};
use super::saved::Saved;
use super::watch::{Counts, Round, Watch};
use super::{Alert, Metric, State, Transition};
use crate::stats::{Buckets, Snapshot};
use crate::time::{Step, Tick};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Evaluates the rules of a [`Config`] on the picture of every tick.
///
/// ```
/// use netmon::alert::{Config, Evaluator};
/// use netmon::stats::Snapshot;
///
/// let mut evaluator = Evaluator::new(&Config::default(), None);
/// assert_eq!(evaluator.picture(&Snapshot::default()), []);
/// ```
///
/// Looks at each label set once a tick; `benches/alert.rs` measures it. Bounds: [`MAX_RULES`](rule::MAX_RULES) rules of
/// [`MAX_LABEL_SETS`](rule::MAX_LABEL_SETS) label sets, under 1 KiB each; 2 KiB more where the limit is relative or the
/// metric is of address classes.
#[derive(Debug)]
pub struct Evaluator {
    watches: Vec<Watch>,
    blind: rule::Blind,
    past: Option<Arc<dyn Past>>,
    now: Option<Tick>,
    /// The first tick, or that of the last time step.
    since: Tick,
    /// The interfaces of the last picture.
    interfaces: Vec<Arc<str>>,
    /// They are not those that the watches know.
    rearranged: bool,
    deadline: Option<Tick>,
    /// From before a restart, until the first tick.
    saved: Vec<Alert>,
}

/// Rules and alerts at one tick, as readers see them.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// Every rule, [`CAPTURE_BLIND`] first; empty without rules.
    pub rules: Vec<RuleState>,
    /// What is pending or fires.
    pub alerts: Vec<Alert>,
    /// What resolved a short while ago and is not active again, the latest first; empty where nobody keeps it.
    pub resolved: Vec<Alert>,
    /// How long evaluations took, in nanoseconds; `None` where nobody measures them.
    pub durations: Option<Buckets>,
    /// Transitions that wait because nobody takes them.
    pub waiting: u64,
    /// Transitions that were lost because too many waited, since the start.
    pub lost: u64,
}

/// A rule at one tick, for lists and metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleState {
    /// The rule.
    pub rule: Arc<Rule>,
    /// By interface (`None` where the metric has none) the worst state of its label sets.
    pub states: BTreeMap<Option<Arc<str>>, Standing>,
    /// What became of it.
    pub counts: Counts,
}

/// The state of a rule's instance, the better first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// The condition does not hold.
    #[default]
    Inactive,
    /// It would hold, but is held back: nothing is captured, or the window is not full yet.
    Suppressed,
    /// It holds, but not for long enough.
    Pending,
    /// It fires.
    Firing,
}

impl Standing {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Inactive, Self::Suppressed, Self::Pending, Self::Firing];

    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Suppressed => "suppressed",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

impl Evaluator {
    /// All rules inactive. `past` answers for `same hour yesterday`, and for the time before the
    /// start.
    pub fn new(config: &Config, past: Option<Arc<dyn Past>>) -> Self {
        Self {
            watches: watches(config),
            blind: config.blind.clone(),
            past,
            now: None,
            since: Tick::default(),
            interfaces: Vec::new(),
            rearranged: true,
            deadline: None,
            saved: Vec::new(),
        }
    }

    /// Takes up the alerts from before a restart. A firing one goes on firing until it is seen to have cleared, over a
    /// full window; a pending one waits anew; one whose rule is gone ends with the first picture.
    #[must_use]
    pub fn restored(mut self, saved: &Saved) -> Self {
        self.saved = saved.alerts();
        self
    }

    /// The picture at the end of a tick; what changed, in the order of the rules. A tick counts once.
    pub fn picture(&mut self, snapshot: &Snapshot) -> Vec<Transition> {
        let mut out = Vec::new();
        let Some(now) = snapshot.tick.filter(|tick| self.now.is_none_or(|now| *tick > now)) else { return out };
        if self.now.is_none() {
            self.since = now;
            self.restore(now, &mut out);
        }
        self.now = Some(now);
        if self.watches.is_empty() {
            self.deadline = None;
            return out;
        }
        self.notice_interfaces(snapshot);
        let captures: Vec<Condition> =
            snapshot.interfaces.iter().map(|interface| Condition::of(interface, &self.blind)).collect();
        let round = Round {
            snapshot,
            now,
            since: self.since,
            captures: &captures,
            past: self.past.as_deref(),
            rearranged: std::mem::take(&mut self.rearranged),
        };
        self.watches.iter_mut().for_each(|watch| watch.round(&round, &mut out));
        self.deadline = self.watches.iter().filter_map(|watch| watch.deadline(now, snapshot)).max();
        out
    }

    /// Time stepped: windows start empty at `step.to`, and what is waited for is waited for anew from there.
    pub fn step(&mut self, step: Step) {
        let to = Tick::of(step.to);
        self.since = to;
        // The first picture behind the step may be of this very tick.
        self.now = self.now.map(|_| Tick(to.0.saturating_sub(1)));
        self.deadline = None;
        self.watches.iter_mut().for_each(|watch| watch.step(to));
    }

    /// The last tick whose picture it needs even if nothing happens until then.
    pub const fn deadline(&self) -> Option<Tick> {
        self.deadline
    }

    /// Other rules from here on. Rules of the same name that watch the same go on as they are; alerts of the others end.
    pub fn reload(&mut self, config: &Config) -> Vec<Transition> {
        let mut before: BTreeMap<Arc<str>, Watch> =
            std::mem::take(&mut self.watches).into_iter().map(|watch| (Arc::clone(&watch.rule.name), watch)).collect();
        self.watches = watches(config);
        for watch in &mut self.watches {
            if before.get(&watch.rule.name).is_some_and(|old| old.rule.is_same_watch(&watch.rule))
                && let Some(old) = before.remove(&watch.rule.name)
            {
                watch.continue_from(old);
            }
        }
        self.blind = config.blind.clone();
        self.rearranged = true;
        let mut out = Vec::new();
        let at = self.now.unwrap_or_default().end();
        before.into_values().for_each(|mut watch| watch.end(at, &mut out));
        out
    }

    /// Whether there is anything to watch.
    pub fn has_rules(&self) -> bool {
        !self.watches.is_empty()
    }

    /// The alerts that are pending or firing, in the order of the rules.
    pub fn alerts(&self) -> Vec<Alert> {
        self.watches.iter().flat_map(Watch::alerts).collect()
    }

    /// What a restart needs to go on.
    pub fn save(&self) -> Saved {
        Saved::of(&self.alerts())
    }

    /// Where every rule stands.
    pub fn rules(&self) -> Vec<RuleState> {
        self.watches.iter().map(rule_state).collect()
    }

    /// Everything that readers are shown.
    pub fn show(&self) -> Picture {
        Picture { rules: self.rules(), alerts: self.alerts(), ..Picture::default() }
    }

    fn restore(&mut self, now: Tick, out: &mut Vec<Transition>) {
        for alert in std::mem::take(&mut self.saved) {
            let mut of_rule = self.watches.iter_mut().filter(|watch| watch.rule.name == alert.rule);
            if !of_rule.any(|watch| watch.restore(&alert, now)) {
                out.push(ended(alert, now));
            }
        }
    }

    fn notice_interfaces(&mut self, snapshot: &Snapshot) {
        let is_same = self.interfaces.len() == snapshot.interfaces.len()
            && self.interfaces.iter().zip(&snapshot.interfaces).all(|(known, found)| **known == *found.name);
        if !is_same {
            self.interfaces = snapshot.interfaces.iter().map(|interface| Arc::clone(&interface.name)).collect();
            self.rearranged = true;
        }
    }
}

/// The name of the alert for interfaces whose numbers are not to be relied on.
pub const CAPTURE_BLIND: &str = "CaptureBlind";

/// With any rule, blindness is watched first.
fn watches(config: &Config) -> Vec<Watch> {
    if config.rules.is_empty() {
        return Vec::new();
    }
    let blind = capture_blind(&config.blind).map(Arc::new);
    blind.into_iter().chain(config.rules.iter().cloned()).map(Watch::new).collect()
}

fn capture_blind(blind: &rule::Blind) -> Option<Rule> {
    let limit = Level::Absolute(0.0);
    Some(Rule {
        name: CAPTURE_BLIND.into(),
        metric: Metric::find("capture_blind")?,
        selectors: BTreeMap::new(),
        window: Duration::ZERO,
        condition: rule::Condition::Above { limit, clear: limit },
        min_samples: 0,
        hold: Duration::ZERO,
        keep_firing: Duration::ZERO,
        severity: blind.severity,
        labels: BTreeMap::new(),
        summary: "the numbers of {{ interface }} are not to be relied on: frames are lost or not captured".into(),
        runbook_url: None,
        notify: Arc::clone(&blind.notify),
        classes: Arc::default(),
    })
}

/// An alert whose rule, or whose label set, is no more.
fn ended(alert: Alert, now: Tick) -> Transition {
    let (state, resolved_at) = match alert.state {
        State::Firing => (State::Resolved, Some(now.end())),
        _ => (State::Inactive, None),
    };
    Transition { alert: Alert { state, resolved_at, ..alert }, at: now.end() }
}

fn rule_state(watch: &Watch) -> RuleState {
    let mut states = BTreeMap::new();
    for instance in &watch.instances {
        let standing = match instance.phase {
            phase if phase.is_firing() => Standing::Firing,
            phase if !phase.is_inactive() => Standing::Pending,
            _ if instance.suppressed => Standing::Suppressed,
            _ => Standing::Inactive,
        };
        let worst: &mut Standing = states.entry(instance.interface.clone()).or_default();
        *worst = standing.max(*worst);
    }
    RuleState { rule: Arc::clone(&watch.rule), states, counts: watch.counts }
}
