//! What alert rules do.

use super::{count, yes};
use crate::alert::Standing;
use crate::metrics::EVALUATION_BOUNDS;
use crate::metrics::family::Dimension::{self, AlertInstance, Rule};
use crate::metrics::family::{Family, Value};

pub(super) const FAMILIES: &[Family] = &[
    Family::gauge(
        "netmon_alert_state",
        "Where an alert rule stands, the worst of its label sets; 1 for the state that holds.",
        &[AlertInstance, Dimension::STANDING],
        |view, [alert, state, ..]| yes(view.standing(alert) == Standing::ALL[state]),
    )
    .of_alerts(),
    Family::counter(
        "netmon_alert_transitions_total",
        "Changes of state of alerts.",
        &[Rule, Dimension::TRANSITION],
        |view, [rule, to, ..]| count(view.rule(rule)?.counts.transitions[to]),
    )
    .of_alerts(),
    Family::counter(
        "netmon_alert_evaluation_failures_total",
        "Times the past that a rule compares with was not known to the history.",
        &[Rule],
        |view, [rule, ..]| count(view.rule(rule)?.counts.failures),
    )
    .of_alerts(),
    Family::counter(
        "netmon_alert_dropped_label_sets_total",
        "Label sets that are not watched because their rule has too many.",
        &[Rule],
        |view, [rule, ..]| count(view.rule(rule)?.counts.dropped_label_sets),
    )
    .of_alerts(),
    Family::counter(
        "netmon_alert_suppressed_total",
        "Times an alert was held back though its condition held.",
        &[Dimension::SUPPRESSION],
        |view, [reason, ..]| {
            if reason == SILENCE {
                return count(view.own.notifications.as_ref()?.silenced);
            }
            let rules = &view.own.alerts.as_ref()?.rules;
            count(rules.iter().map(|state| state.counts.suppressed[reason]).sum())
        },
    )
    .of_alerts(),
    Family::seconds_histogram(
        "netmon_alert_evaluation_duration_seconds",
        "Time to evaluate all rules on the picture of one tick.",
        EVALUATION_BOUNDS,
        &[],
        |view, _| view.own.alerts.as_ref()?.durations.as_ref().map(Value::Histogram),
    )
    .of_process()
    .of_alerts(),
    Family::gauge(
        "netmon_alert_waiting_transitions",
        "Changes of state that wait because nobody takes them.",
        &[],
        |view, _| count(view.own.alerts.as_ref()?.waiting),
    )
    .of_process()
    .of_alerts(),
    Family::counter(
        "netmon_alert_lost_transitions_total",
        "Changes of state that nobody was told of because too many waited.",
        &[],
        |view, _| count(view.own.alerts.as_ref()?.lost),
    )
    .of_process()
    .of_alerts(),
];

/// The last reason, which is the receivers' and not the rules'.
const SILENCE: usize = 2;
