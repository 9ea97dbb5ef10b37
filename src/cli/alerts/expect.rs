//! What alerts are expected to do, and how what they did differs.

use super::show;
use super::test::Beginning;
use crate::alert::{State, Transition};
use crate::config::units::Span;
use crate::time::{Tick, Timestamp};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// One expected transition.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Expected {
    pub(super) alert: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) state: State,
    pub(super) at: At,
    pub(super) value: Option<f64>,
}

/// When.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    Time(Timestamp),
    /// After the first frame.
    After(Duration),
}

pub(super) const STATES: &str = "pending, firing, resolved or inactive";
pub(super) const TIMES: &str = "a time such as 2023-11-14T22:13:31Z, or a duration after the first frame such as 5.2s";

pub(super) fn state(text: &str) -> Option<State> {
    [State::Pending, State::Firing, State::Resolved, State::Inactive].into_iter().find(|state| state.name() == text)
}

pub(super) fn time(text: &str) -> Option<At> {
    if let Ok(span) = text.trim_start_matches('+').parse::<Span>() {
        return Some(At::After(span.into()));
    }
    let nanos = text.parse::<jiff::Timestamp>().ok()?.as_nanosecond();
    u64::try_from(nanos).ok().map(|nanos| At::Time(Timestamp::from_nanos(nanos)))
}

/// A line of the comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Same(String),
    Missing(String),
    Unexpected(String),
}

impl Line {
    pub(super) const fn is_good(&self) -> bool {
        matches!(self, Self::Same(_))
    }
}

/// Lays both timelines side by side, each in order of time. Times are compared by their tick of 100 ms, values to six digits.
pub(super) fn compare(expected: &[Expected], seen: &[Transition], beginning: Beginning) -> Vec<Line> {
    let is_quiet = |state: State| matches!(state, State::Pending | State::Inactive);
    let wants_quiet = expected.iter().any(|row| is_quiet(row.state));
    let mut seen: Vec<&Transition> =
        seen.iter().filter(|transition| wants_quiet || !is_quiet(transition.alert.state)).collect();
    let mut lines: Vec<(Timestamp, Line)> = Vec::new();
    for row in expected {
        let at = row.time(beginning);
        let is_it = |transition: &&Transition| row.is(transition, at);
        lines.push(match seen.iter().position(is_it) {
            Some(place) => (at, Line::Same(told(seen.remove(place), beginning))),
            None => (at, Line::Missing(row.told(at, beginning))),
        });
    }
    lines.extend(seen.into_iter().map(|transition| (transition.at, Line::Unexpected(told(transition, beginning)))));
    lines.sort_by_key(|(at, _)| Tick::of(*at));
    lines.into_iter().map(|(_, line)| line).collect()
}

/// `  ` as expected, `- ` expected and not seen, `+ ` seen and not expected.
pub(super) fn print(lines: &[Line], out: &mut String) {
    out.push_str("            - expected, + seen\n");
    for line in lines {
        let (sign, text) = match line {
            Line::Same(text) => (' ', text),
            Line::Missing(text) => ('-', text),
            Line::Unexpected(text) => ('+', text),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(out, "          {sign} {text}");
    }
}

impl Expected {
    fn time(&self, beginning: Timestamp) -> Timestamp {
        match self.at {
            At::Time(at) => at,
            At::After(span) => beginning.saturating_add(span),
        }
    }

    fn is(&self, transition: &Transition, at: Timestamp) -> bool {
        let alert = &transition.alert;
        *alert.rule == *self.alert
            && alert.labels == self.labels
            && alert.state == self.state
            && Tick::of(transition.at) == Tick::of(at)
            && self.value.is_none_or(|value| (value - alert.value).abs() <= 1e-6 * value.abs().max(alert.value.abs()))
    }

    fn told(&self, at: Timestamp, beginning: Timestamp) -> String {
        let value = self.value.map(|value| format!(" value {value}")).unwrap_or_default();
        row(&self.alert, &self.labels, self.state, at, beginning) + &value
    }
}

fn told(transition: &Transition, beginning: Timestamp) -> String {
    let alert = &transition.alert;
    row(&alert.rule, &alert.labels, alert.state, transition.at, beginning) + &format!(" value {}", alert.value)
}

fn row(alert: &str, labels: &BTreeMap<String, String>, state: State, at: Timestamp, beginning: Timestamp) -> String {
    let after = Duration::from_nanos(at.nanos_since(beginning)).as_secs_f64();
    format!("{at} (+{after:.3}s) {alert} {{{}}} {}", show::labels(labels), state.name())
}
