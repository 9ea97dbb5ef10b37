//! A rule, checked: what it watches, when it fires, whom it tells.

use super::Severity;
use super::label::{Dimension, Selector};
use super::metric::{Metric, Sets};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The rules and what goes with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// At most [`MAX_RULES`], each with its own name.
    pub rules: Vec<Arc<Rule>>,
    /// When the numbers of an interface are not to be relied on.
    pub blind: Blind,
}

/// The most rules.
pub const MAX_RULES: usize = 50;

/// The most label sets of one rule that are watched at a time.
pub const MAX_LABEL_SETS: usize = 256;

/// One named threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name.
    pub name: Arc<str>,
    /// What it watches.
    pub metric: &'static Metric,
    /// Which values of labels it is about, by name of the label.
    pub selectors: BTreeMap<&'static str, Selector>,
    /// The window it looks at; zero for metrics of the moment.
    pub window: Duration,
    /// When it holds.
    pub condition: Condition,
    /// The fewest samples ([`Metric::samples`]) that a value is made of; one of fewer is no data, but counts
    /// for the mean of the past. 0: any number will do.
    pub min_samples: u64,
    /// How long it has to hold before it fires.
    pub hold: Duration,
    /// How long it has to be over before it resolves.
    pub keep_firing: Duration,
    /// How bad it is.
    pub severity: Severity,
    /// Labels that it adds.
    pub labels: BTreeMap<String, String>,
    /// Its text, a template.
    pub summary: Arc<str>,
    /// What to do about it.
    pub runbook_url: Option<Arc<str>>,
    /// Names of receivers.
    pub notify: Arc<[String]>,
    /// Names of the address classes it was read with, without `other`.
    pub classes: Arc<[String]>,
}

/// No number of a rule is undefined, so equality is what it should be.
impl Eq for Rule {}

impl PartialEq for Metric {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// When a rule holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Condition {
    /// The value is above the limit; once firing, until it is at most `clear`.
    Above {
        /// Where it begins.
        limit: Level,
        /// Where it ends, at most the limit.
        clear: Level,
    },
    /// The value is below the limit; once firing, until it is at least `clear`.
    Below {
        /// Where it begins.
        limit: Level,
        /// Where it ends, at least the limit.
        clear: Level,
    },
    /// Nothing was there for a whole window, or the interface is gone.
    Absent,
}

/// A limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Level {
    /// In the unit of the metric.
    Absolute(f64),
    /// So many times the mean of the past.
    Times(f64, Baseline),
}

/// The past that a value is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Baseline {
    /// The time just before now, as long as this; kept by the evaluator itself, and until it has looked for that long
    /// taken from the history where there is one.
    Last(Duration),
    /// The hour around the same time yesterday, from the history.
    SameHourYesterday,
}

/// When an interface is blind, and who hears of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Blind {
    /// More frames lost before they were parsed than this share of all.
    pub loss: f64,
    /// Fewer bytes captured than this share of what the kernel counted.
    pub coverage: f64,
    /// How bad that is.
    pub severity: Severity,
    /// Names of receivers of the alert of it.
    pub notify: Arc<[String]>,
}

/// As [`Rule`].
impl Eq for Blind {}

impl Default for Blind {
    fn default() -> Self {
        Self { loss: 0.01, coverage: 0.9, severity: Severity::Warning, notify: Arc::default() }
    }
}

/// One combination of label values beside the interface, with the values that are added up for it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) labels: Vec<(&'static str, String)>,
    pub(super) sets: Sets,
}

impl Rule {
    /// The label sets of one interface, or of all where the metric has none.
    pub(super) fn points(&self) -> Vec<Point> {
        let mut points = vec![Point { labels: Vec::new(), sets: [u32::MAX; 2] }];
        for (place, dimension) in self.metric.dimensions.iter().enumerate() {
            points = self.split(points, place, *dimension);
        }
        points
    }

    fn split(&self, points: Vec<Point>, place: usize, dimension: Dimension) -> Vec<Point> {
        let selector = self.selectors.get(dimension.name());
        let is_split = dimension.is_split() || selector.is_some();
        let Some(values) = dimension.values(&self.classes).filter(|_| is_split) else { return points };
        let selected = |value: &String| selector.is_none_or(|selector| selector.matches(value));
        let with = |point: &Point, bit: usize, value: &str| {
            let mut point = point.clone();
            point.labels.push((dimension.name(), value.to_owned()));
            point.sets[place] = 1 << bit;
            point
        };
        let each = |point: Point| {
            let chosen = values.iter().enumerate().filter(|(_, value)| selected(value));
            chosen.map(|(bit, value)| with(&point, bit, value)).collect::<Vec<_>>()
        };
        points.into_iter().flat_map(each).collect()
    }

    /// How many label sets it has, for each interface where there are such.
    pub fn label_sets(&self) -> usize {
        self.points().len()
    }

    /// Whether it is about this interface.
    pub fn watches(&self, interface: &str) -> bool {
        self.selectors.get("interface").is_none_or(|selector| selector.matches(interface))
    }

    /// The interfaces that it names in full; if such a one is not there, that is known to be so.
    pub(super) fn named_interfaces(&self) -> impl Iterator<Item = &str> {
        self.selectors.get("interface").into_iter().flat_map(Selector::names)
    }

    /// How many interfaces it has alerts for though they may not be there.
    pub fn named_absent_interfaces(&self) -> usize {
        if self.condition == Condition::Absent { self.named_interfaces().count() } else { 0 }
    }

    /// The past it needs.
    pub fn baseline(&self) -> Option<Baseline> {
        match self.condition {
            Condition::Above { limit: Level::Times(_, baseline), .. }
            | Condition::Below { limit: Level::Times(_, baseline), .. } => Some(baseline),
            _ => None,
        }
    }

    /// What is watched is the same, so that the state of its alerts goes on when the rest changes.
    pub(super) fn is_same_watch(&self, other: &Self) -> bool {
        self.metric == other.metric
            && self.selectors == other.selectors
            && self.window == other.window
            && self.condition == other.condition
            && self.min_samples == other.min_samples
            && self.labels == other.labels
            && self.classes == other.classes
    }
}
