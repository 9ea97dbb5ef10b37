//! What a rule says of a value.

use super::machine::Verdict;
use super::rule::{Baseline, Condition, Level, Rule};

/// What was found of one label set at one tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Seen {
    Value(f64),
    /// A ratio without a whole, a quantile of nothing, a fact that the machine does not tell.
    NoData,
    /// A value that is made of fewer samples than the rule asks for: no data now, but a part of what is usual.
    Few(f64),
    /// The interface is not there.
    Gone,
    /// Nothing is captured of an interface that is there: its numbers are of nothing.
    Down,
}

impl Seen {
    pub(super) const fn value(self) -> Option<f64> {
        match self {
            Self::Value(value) => Some(value),
            _ => None,
        }
    }

    /// What counts for the mean of the past, which is one of many samples.
    pub(super) const fn for_mean(self) -> Option<f64> {
        match self {
            Self::Value(value) | Self::Few(value) => Some(value),
            _ => None,
        }
    }
}

/// Under which circumstances.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circumstances {
    /// The window has passed since the start or a time step.
    pub(super) full: bool,
    /// The alert fires already, so it takes `clear` to end it.
    pub(super) firing: bool,
    /// The mean of the past, for limits that need it.
    pub(super) mean: Option<f64>,
}

/// A verdict, with what the value was compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Judged {
    pub(super) verdict: Verdict,
    pub(super) threshold: Option<f64>,
    /// It is held, and would hold if it were not.
    pub(super) suppressed: bool,
}

/// Judges by these rules:
///
/// - Sums of a window that is not full are too small, never too large. So `above` may hold at once, and nothing but a
///   full window clears it; `below` and `absent` wait for a full window, and shares do in any case.
/// - No data is no reason to fire `above` or `below`, and clears them; it is what `absent` waits for.
/// - A gone interface is the end of `above` and `below`, and fires `absent`.
/// - While nothing is captured nothing is said at all.
pub(super) fn judge(rule: &Rule, seen: Seen, now: Circumstances) -> Judged {
    let (limit, clear) = match rule.condition {
        Condition::Absent => return absent(seen, now),
        Condition::Above { limit, clear } | Condition::Below { limit, clear } => (limit, clear),
    };
    let Some((limit, clear)) = absolute(limit, now.mean).zip(absolute(clear, now.mean)) else {
        return Judged { verdict: Verdict::Held, threshold: None, suppressed: false };
    };
    let is_above = matches!(rule.condition, Condition::Above { .. });
    let edge = if now.firing { clear } else { limit };
    let holds = |value: f64| if is_above { value > edge } else { value < edge };
    let is_held = !now.full && (!is_above || rule.metric.needs_full_window());
    let verdict = match seen {
        Seen::Down => Verdict::Held,
        Seen::Gone => Verdict::Clear,
        Seen::NoData | Seen::Few(_) if now.full => Verdict::Clear,
        Seen::NoData | Seen::Few(_) => Verdict::Held,
        Seen::Value(value) if holds(value) => {
            if is_held {
                Verdict::Held
            } else {
                Verdict::Holds
            }
        }
        // A sum that has come so far only grows until the window is full.
        Seen::Value(_) if !is_above && !rule.metric.needs_full_window() => Verdict::Clear,
        Seen::Value(_) => {
            if now.full {
                Verdict::Clear
            } else {
                Verdict::Held
            }
        }
    };
    let suppressed = verdict == Verdict::Held
        && match seen {
            Seen::Value(value) => holds(value),
            Seen::Down => !is_above,
            _ => false,
        };
    Judged { verdict, threshold: Some(limit), suppressed }
}

fn absent(seen: Seen, now: Circumstances) -> Judged {
    let is_there = seen.value().is_some_and(|value| value != 0.0);
    let verdict = match seen {
        _ if is_there => Verdict::Clear,
        Seen::Down => Verdict::Held,
        _ if now.full => Verdict::Holds,
        _ => Verdict::Held,
    };
    Judged { verdict, threshold: None, suppressed: verdict == Verdict::Held }
}

fn absolute(level: Level, mean: Option<f64>) -> Option<f64> {
    match level {
        Level::Absolute(value) => Some(value),
        Level::Times(times, Baseline::Last(_) | Baseline::SameHourYesterday) => mean.map(|mean| times * mean),
    }
}
