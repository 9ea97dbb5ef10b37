//! Alert rules as written, and the step to rules that cannot be wrong.
//!
//! What a key of a rule may be depends on the others: the unit of `above` on the metric, `clear` on the limit. So keys
//! are read as texts, and checked together here, all mistakes at once.

mod limits;

pub(super) use limits::share;

use super::mistake::{nearest, quoted};
use super::setting::{Given, Texts};
use super::units::Span;
use crate::alert::{Baseline, CAPTURE_BLIND, Condition, Level, MAX_LABEL_SETS, Metric, Rule, Selector, Severity};
use crate::telemetry::is_unsafe;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A named threshold.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct AlertRule {
    /// Its name, of which there is one; `alertname` where alerts are sent.
    #[serde(skip_serializing_if = "Given::is_none")]
    pub name: Given,
    /// What it watches, of `netmon alerts metrics`.
    #[serde(skip_serializing_if = "Given::is_none")]
    pub metric: Given,
    /// By label, the values it is about: texts, with `*` and `?`, and behind `!` those it is not about.
    #[serde(rename = "where", skip_serializing_if = "BTreeMap::is_empty")]
    pub selectors: BTreeMap<String, Texts>,
    /// The window it looks at, one of `aggregation.windows`.
    #[serde(skip_serializing_if = "Given::is_none")]
    pub window: Given,
    /// It holds while the value is above this, in the unit of the metric; `3x` is three times the mean of the past.
    #[serde(skip_serializing_if = "Given::is_none")]
    pub above: Given,
    /// It holds while the value is below this.
    #[serde(skip_serializing_if = "Given::is_none")]
    pub below: Given,
    /// It holds while there is nothing, or the interface is gone.
    #[serde(skip_serializing_if = "Given::is_none")]
    pub absent: Given,
    /// The past of a limit such as `3x`: a duration that ends now (default 1 h), or `same hour yesterday`.
    #[serde(skip_serializing_if = "Given::is_none")]
    pub baseline: Given,
    /// The fewest samples that a ratio or a quantile is made of, such as `100` TCP segments in the window; a value of fewer
    /// is no data (default: any number will do).
    #[serde(skip_serializing_if = "Given::is_none")]
    pub min_samples: Given,
    /// The level at which it resolves, on the good side of the limit (default: the limit).
    #[serde(skip_serializing_if = "Given::is_none")]
    pub clear: Given,
    /// How long it has to hold before it fires (default 0 s).
    #[serde(rename = "for", skip_serializing_if = "Given::is_none")]
    pub hold: Given,
    /// How long it has to be over before it resolves (default 0 s).
    #[serde(skip_serializing_if = "Given::is_none")]
    pub keep_firing_for: Given,
    /// `info`, `warning` (default) or `critical`.
    #[serde(skip_serializing_if = "Given::is_none")]
    pub severity: Given,
    /// Labels that its alerts have beside those of the metric.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, Given>,
    /// What to say about it: a template over the fields of the alert.
    #[serde(skip_serializing_if = "Given::is_none")]
    pub summary: Given,
    /// Where to read what to do about it.
    #[serde(skip_serializing_if = "Given::is_none")]
    pub runbook_url: Given,
    /// Names of the receivers that are told.
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub notify: Texts,
}

impl AlertRule {
    /// Its keys, with an empty map where names are free.
    pub(super) fn known() -> serde_json::Value {
        serde_json::json!({
            "name": null, "metric": null, "where": {}, "window": null, "above": null, "below": null, "absent": null,
            "baseline": null, "min_samples": null, "clear": null, "for": null, "keep_firing_for": null, "severity": null, "labels": {},
            "summary": null, "runbook_url": null, "notify": [],
        })
    }
}

/// What rules may name.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// Ascending.
    pub(super) windows: Vec<Duration>,
    /// Address classes, without `other`.
    pub(super) classes: Vec<String>,
    /// Receivers; `None` where nothing is delivered, so that any name will do.
    pub(super) receivers: Option<Vec<String>>,
    /// Whether there is a history to compare with.
    pub(super) has_history: bool,
}

/// Everything wrong with the rules, as key path and message.
pub(super) fn mistakes(written: &[AlertRule], known: &Known) -> Vec<(String, String)> {
    let mut mistakes = Vec::new();
    for (n, rule) in written.iter().enumerate() {
        let place = format!("alerts[{n}]");
        // What could not be read at all was reported, and left an empty rule.
        if *rule != AlertRule::default() {
            let found = Reading { written: rule, known, mistakes: Vec::new() }.finish().err().unwrap_or_default();
            let at = |(key, message): (String, String)| {
                (if key.is_empty() { place.clone() } else { format!("{place}.{key}") }, message)
            };
            mistakes.extend(found.into_iter().map(at));
        }
        let same = |other: &AlertRule| !rule.name.is_none() && other.name == rule.name;
        if let Some(first) = written[..n].iter().position(same) {
            let name = quoted(rule.name.0.as_deref().unwrap_or_default());
            mistakes
                .push((format!("{place}.name"), format!("is {name}, which is the name of `alerts[{first}]` already")));
        }
    }
    mistakes
}

/// The rules that are not wrong.
pub(super) fn rules(written: &[AlertRule], known: &Known) -> Vec<Arc<Rule>> {
    let read = |rule| Reading { written: rule, known, mistakes: Vec::new() }.finish().ok().map(Arc::new);
    written.iter().filter_map(read).collect()
}

/// One rule on its way from texts.
struct Reading<'a> {
    written: &'a AlertRule,
    known: &'a Known,
    mistakes: Vec<(String, String)>,
}

impl Reading<'_> {
    fn finish(mut self) -> Result<Rule, Vec<(String, String)>> {
        let name = self.name();
        let hold = self.duration("for", &self.written.hold);
        let keep_firing = self.duration("keep_firing_for", &self.written.keep_firing_for);
        let severity = self.severity();
        let labels = self.labels();
        let runbook_url = self.runbook_url();
        let summary = self.text("summary", &self.written.summary, 4096);
        self.receivers();
        let of_metric = self.metric().map(|metric| {
            let window = self.window(metric);
            (metric, self.selectors(metric), window, self.condition(metric), self.min_samples(metric))
        });
        if let (Some((metric, selectors, window, Some(condition), min_samples)), []) = (of_metric, &self.mistakes[..]) {
            let rule = Rule {
                name: name.into(),
                metric,
                selectors,
                window: window.unwrap_or_default(),
                condition,
                min_samples,
                hold,
                keep_firing,
                severity,
                labels,
                summary: summary.into(),
                runbook_url,
                notify: self.written.notify.0.clone().into(),
                classes: self.known.classes.clone().into(),
            };
            self.check_label_sets(&rule);
            if self.mistakes.is_empty() {
                return Ok(rule);
            }
        }
        Err(self.mistakes)
    }

    fn wrong(&mut self, key: impl Into<String>, message: impl Into<String>) {
        self.mistakes.push((key.into(), message.into()));
    }

    fn name(&mut self) -> String {
        if self.written.name.is_none() {
            self.wrong("name", "is missing: each rule has a name of its own");
        }
        let name = self.text("name", &self.written.name, 100);
        if name == CAPTURE_BLIND {
            self.wrong("name", format!("is `{name}`, which is the name of the alert that `alerting.blind` is about"));
        }
        name
    }

    /// A text that can be shown.
    fn text(&mut self, key: &str, given: &Given, most: usize) -> String {
        let Some(text) = &given.0 else { return String::new() };
        if text.is_empty() || text.len() > most || text.chars().any(|c| is_unsafe(c) && c != '\n') {
            let allowed = format!("is {}, allowed 1 to {most} bytes without control characters", quoted(text));
            self.wrong(key, allowed);
        }
        text.clone()
    }

    fn metric(&mut self) -> Option<&'static Metric> {
        let Some(name) = &self.written.metric.0 else {
            self.wrong("metric", "is missing: `netmon alerts metrics` lists what can be watched");
            return None;
        };
        let metric = Metric::find(name);
        if metric.is_none() {
            let names = Metric::all().iter().map(|metric| metric.name);
            let advice = nearest(name, names).map_or_else(
                || "`netmon alerts metrics` lists what can be watched".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            self.wrong("metric", format!("is {}, which is no metric, {advice}", quoted(name)));
        }
        if metric.is_some_and(Metric::needs_classes) && self.known.classes.is_empty() {
            self.wrong("metric", format!("is {}, which needs `address_classes`, and there are none", quoted(name)));
        }
        metric
    }

    fn window(&mut self, metric: &Metric) -> Option<Duration> {
        let least = if metric.takes_long_window() { Duration::from_millis(1001) } else { Duration::ZERO };
        let windows: Vec<Duration> = self.known.windows.iter().copied().filter(|window| *window >= least).collect();
        let listed: Vec<String> = windows.iter().map(|window| Span::from(*window).to_string()).collect();
        let allowed = match listed.is_empty() {
            true => "allowed is a window above 1 s, and `aggregation.windows` has none".to_owned(),
            false => format!("allowed {} (`aggregation.windows`)", one_of(&listed)),
        };
        match &self.written.window.0 {
            Some(_) if !metric.takes_window() => {
                let message = format!("is given, and `{}` is a value of the moment, which has no window", metric.name);
                self.wrong("window", message);
                None
            }
            None if !metric.takes_window() => None,
            None => {
                self.wrong("window", format!("is missing, {allowed}"));
                None
            }
            Some(text) => {
                let span = text.parse::<Span>();
                let window = span.ok().map(Duration::from).filter(|window| windows.contains(window));
                if window.is_none() {
                    let found =
                        span.map_or_else(|error| format!("{} ({error})", quoted(text)), |span| span.to_string());
                    self.wrong("window", format!("is {found}, {allowed}"));
                }
                window
            }
        }
    }

    fn selectors(&mut self, metric: &'static Metric) -> BTreeMap<&'static str, Selector> {
        let mut selectors = BTreeMap::new();
        for (key, values) in &self.written.selectors {
            let place = format!("where.{key}");
            let Some(label) = metric.labels().find(|label| label == key) else {
                let labels: Vec<String> = metric.labels().map(|label| format!("`{label}`")).collect();
                let allowed =
                    if labels.is_empty() { "which has none".into() } else { format!("allowed {}", one_of(&labels)) };
                self.wrong(place, format!("is no label of `{}`, {allowed}", metric.name));
                continue;
            };
            self.selected_values(metric, label, &place, values);
            selectors.insert(label, Selector(values.0.clone()));
        }
        selectors
    }

    /// Each pattern selects something, where the values are known.
    fn selected_values(&mut self, metric: &Metric, label: &'static str, place: &str, patterns: &Texts) {
        if patterns.0.is_empty() || patterns.0.len() > 32 {
            self.wrong(place, format!("has {} values, allowed 1 to 32", patterns.0.len()));
        }
        let values = metric.label_values(label, &self.known.classes);
        for pattern in &patterns.0 {
            let plain = pattern.trim_start_matches('!');
            if plain.is_empty() || plain.len() > 255 || plain.contains(is_unsafe) {
                self.wrong(
                    place,
                    format!("is {}, allowed names with `*` and `?`, behind `!` to leave them out", quoted(pattern)),
                );
            } else if let Some(values) = &values
                && !values.iter().any(|value| Selector(vec![plain.to_owned()]).matches(value))
            {
                self.wrong(place, format!("is {}, allowed {}", quoted(pattern), one_of(values)));
            }
        }
    }

    fn condition(&mut self, metric: &Metric) -> Option<Condition> {
        let absent = self.absent();
        let given: Vec<&str> =
            [("above", !self.written.above.is_none()), ("below", !self.written.below.is_none()), ("absent", absent)]
                .into_iter()
                .filter_map(|(key, is_given)| is_given.then_some(key))
                .collect();
        let [key] = given[..] else {
            let found = if given.is_empty() { "none".into() } else { given.join(" and ") };
            self.wrong("", format!("has {found} of `above`, `below` and `absent`, allowed exactly one"));
            return None;
        };
        if metric.comes_and_goes() && key != "above" {
            let message =
                format!("is given, allowed `above`: hosts are known by `{}` while they are on top", metric.name);
            self.wrong(key, message);
            return None;
        }
        match key {
            "above" => self
                .limits(metric, "above", &self.written.above)
                .map(|(limit, clear)| Condition::Above { limit, clear }),
            "below" => self
                .limits(metric, "below", &self.written.below)
                .map(|(limit, clear)| Condition::Below { limit, clear }),
            _ => {
                let of_limits = [
                    ("clear", &self.written.clear),
                    ("baseline", &self.written.baseline),
                    ("min_samples", &self.written.min_samples),
                ];
                for (key, given) in of_limits {
                    if !given.is_none() {
                        self.wrong(key, "is given, and `absent` has no limit");
                    }
                }
                Some(Condition::Absent)
            }
        }
    }

    fn min_samples(&mut self, metric: &Metric) -> u64 {
        let Some(text) = &self.written.min_samples.0 else { return 0 };
        let Some(samples) = metric.samples() else {
            let message = format!(
                "is given, and `{}` is made of no samples: it is for ratios of counts and for quantiles",
                metric.name
            );
            self.wrong("min_samples", message);
            return 0;
        };
        let is_of_bytes = samples == "bytes";
        limits::samples(text, is_of_bytes).unwrap_or_else(|| {
            let example = if is_of_bytes {
                "bytes in the window such as `1MiB`".to_owned()
            } else {
                format!("a number of {samples} in the window such as `100`")
            };
            self.wrong("min_samples", format!("is {}, allowed {example} (`{}`)", quoted(text), metric.name));
            0
        })
    }

    fn absent(&mut self) -> bool {
        match self.written.absent.0.as_deref() {
            None => false,
            Some("true") => true,
            Some(text) => {
                self.wrong("absent", format!("is {}, allowed true", quoted(text)));
                true
            }
        }
    }

    fn limits(&mut self, metric: &Metric, key: &str, given: &Given) -> Option<(Level, Level)> {
        let baseline = self.baseline(metric);
        let limit = self.level(metric, key, given, baseline);
        let is_relative = matches!(limit, Some(Level::Times(..)));
        if limit.is_some() && !is_relative && !self.written.baseline.is_none() {
            self.wrong("baseline", format!("is given, and `{key}` is no multiple of the past such as `3x`"));
        }
        let clear = if self.written.clear.is_none() {
            limit
        } else {
            self.level(metric, "clear", &self.written.clear, baseline)
        };
        let (limit, clear) = (limit?, clear?);
        let (found, written) =
            (quoted(self.written.clear.0.as_deref().unwrap_or_default()), quoted(given.0.as_deref()?));
        let (l, c) = match (limit, clear) {
            (Level::Absolute(l), Level::Absolute(c)) | (Level::Times(l, _), Level::Times(c, _)) => (l, c),
            _ => {
                let form = if is_relative { "a multiple of the past too" } else { "no multiple of the past either" };
                self.wrong("clear", format!("is {found} and `{key}` is {written}, allowed {form}"));
                return None;
            }
        };
        if (key == "above" && c > l) || (key == "below" && c < l) {
            let side = if key == "above" { "at most" } else { "at least" };
            self.wrong("clear", format!("is {found}, allowed {side} {written}, where `{key}` begins"));
        }
        Some((limit, clear))
    }

    fn level(&mut self, metric: &Metric, key: &str, given: &Given, baseline: Option<Baseline>) -> Option<Level> {
        let text = given.0.as_deref()?;
        match limits::level(metric.unit, text) {
            Ok(limits::Written::Absolute(value)) => Some(Level::Absolute(value)),
            Ok(limits::Written::Times(_)) if metric.comes_and_goes() => {
                let message = format!("is {}, and hosts come and go: `{}` has no past", quoted(text), metric.name);
                self.wrong(key, message);
                None
            }
            Ok(limits::Written::Times(times)) => baseline.map(|baseline| Level::Times(times, baseline)),
            Err(found) => {
                let allowed = format!("allowed {}, or a multiple of the past such as `3x`", metric.unit.allowed());
                self.wrong(key, format!("is {found}, {allowed} (`{}`)", metric.name));
                None
            }
        }
    }

    fn baseline(&mut self, metric: &Metric) -> Option<Baseline> {
        const HOUR: Duration = Duration::from_secs(3600);
        const ALLOWED: &str = "allowed 60 s to 24 h (default 1 h), or `same hour yesterday`";
        match self.written.baseline.0.as_deref() {
            None => Some(Baseline::Last(HOUR)),
            Some("same hour yesterday") if !metric.is_remembered() => {
                let message = format!("is `same hour yesterday`, and the history does not keep `{}`", metric.name);
                self.wrong("baseline", message);
                None
            }
            Some("same hour yesterday") if self.known.has_history => Some(Baseline::SameHourYesterday),
            Some("same hour yesterday") => {
                self.wrong("baseline", "is `same hour yesterday`, which needs the history, and there is none");
                None
            }
            Some(text) => {
                let span = text.parse::<Span>().map(Duration::from);
                match span {
                    Ok(span) if (HOUR / 60..=HOUR * 24).contains(&span) => Some(Baseline::Last(span)),
                    _ => {
                        self.wrong("baseline", format!("is {}, {ALLOWED}", quoted(text)));
                        None
                    }
                }
            }
        }
    }

    fn duration(&mut self, key: &str, given: &Given) -> Duration {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        let Some(text) = &given.0 else { return Duration::ZERO };
        let span = text.parse::<Span>();
        match span.map(Duration::from) {
            Ok(duration) if duration <= DAY => duration,
            Ok(_) => {
                let found = span.map(|span| span.to_string()).unwrap_or_default();
                self.wrong(key, format!("is {found}, allowed 0 s to 24 h (default 0 s)"));
                Duration::ZERO
            }
            Err(error) => {
                self.wrong(key, format!("is {} ({error}), allowed 0 s to 24 h (default 0 s)", quoted(text)));
                Duration::ZERO
            }
        }
    }

    fn severity(&mut self) -> Severity {
        let Some(text) = &self.written.severity.0 else { return Severity::default() };
        let found = Severity::ALL.into_iter().find(|severity| severity.name() == text);
        if found.is_none() {
            let allowed = one_of(&Severity::ALL.map(|severity| severity.name().to_owned()));
            self.wrong("severity", format!("is {}, allowed {allowed} (default warning)", quoted(text)));
        }
        found.unwrap_or_default()
    }

    fn labels(&mut self) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::new();
        if self.written.labels.len() > 16 {
            self.wrong("labels", format!("has {} labels, allowed 0 to 16", self.written.labels.len()));
        }
        for (name, value) in &self.written.labels {
            let key = format!("labels.{name}");
            let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            if !begins || name.len() > 64 || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                self.wrong(
                    key.as_str(),
                    "is no name of a label, allowed 1 to 64 letters, digits and _, no digit first",
                );
            }
            let of_metric = self.written.metric.0.as_deref().and_then(Metric::find);
            let is_own = of_metric.is_some_and(|metric| metric.labels().any(|label| label == name));
            if is_own || ["alertname", "severity"].contains(&name.as_str()) {
                self.wrong(key.as_str(), "is a label that the alert has already");
            }
            let value = self.text(&key, value, 256);
            labels.insert(name.clone(), value);
        }
        labels
    }

    fn runbook_url(&mut self) -> Option<Arc<str>> {
        let text = self.text("runbook_url", &self.written.runbook_url, 2048);
        let is_url = ["http://", "https://"].iter().any(|scheme| text.len() > scheme.len() && text.starts_with(scheme));
        if !text.is_empty() && (!is_url || text.contains(char::is_whitespace)) {
            self.wrong(
                "runbook_url",
                format!("is {}, allowed an address that begins with https:// or http://", quoted(&text)),
            );
        }
        (!text.is_empty()).then(|| text.into())
    }

    fn receivers(&mut self) {
        let Some(receivers) = &self.known.receivers else { return };
        for (n, name) in self.written.notify.0.iter().enumerate().filter(|(_, name)| !receivers.contains(name)) {
            let advice = match nearest(name, receivers.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None if receivers.is_empty() => "`receivers` has none".into(),
                None => format!("allowed {}", one_of(receivers)),
            };
            self.mistakes
                .push((format!("notify[{n}]"), format!("is {}, which is no receiver, {advice}", quoted(name))));
        }
    }

    fn check_label_sets(&mut self, rule: &Rule) {
        let sets = rule.label_sets();
        if sets > MAX_LABEL_SETS {
            let message = format!("selects {sets} label sets, allowed {MAX_LABEL_SETS}: narrow it down with `where`");
            self.wrong("", message);
        }
    }
}

/// `a`, `a or b`, `a, b or c`.
fn one_of(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests;
