//! Alerts of netmon's own rules and of those in Prometheus, and how they reach people.

use super::board::Board;
use super::panel::Panel;
use super::query::{Query, Series, series};

const BY_RULE: &[&str] = &["instance", "rule", "interface"];

pub fn board() -> Board {
    let about = "Alerts that fire in netmon and in Prometheus, what the rules did, and whether people were told.";
    Board::new("netmon-alerts", "netmon / Alerts", about)
        .row("", numbers())
        .row("States", states())
        .row("Rules", rules())
        .row("Notifications", notifications())
}

fn numbers() -> Vec<Panel> {
    let attempts = series("netmon_notifications_total").increase(&[]);
    let failures = series("netmon_notification_failures_total").increase(&[]);
    vec![
        Panel::stat("Firing").ask(in_state("firing", &[]), "firing").red_from(1.0),
        Panel::stat("Pending").ask(in_state("pending", &[]), "pending").orange_from(1.0),
        Panel::stat("Suppressed").ask(in_state("suppressed", &[]), "suppressed").orange_from(1.0),
        Panel::stat("Firing in Prometheus")
            .note("Rules of alerts/prometheus.")
            .ask(prometheus("firing").sum(&[]).or_zero(), "firing")
            .red_from(1.0),
        Panel::stat("Deliveries that failed")
            .note("In the time shown.")
            .ask(failures.over(attempts), "failed")
            .bad_from(0.1, 0.5),
        Panel::stat("Given up in the time shown")
            .ask(series("netmon_notifications_dropped_total").increase(&[]), "given up")
            .red_from(1.0),
    ]
}

fn states() -> Vec<Panel> {
    let state = |name: &str| series("netmon_alert_state").with("state", name).max(BY_RULE);
    let state_of = state("pending").plus_times(2, state("firing")).plus_times(3, state("suppressed"));
    let by: &[&str] = &["alertname", "instance", "interface"];
    let pending = prometheus("pending").max(by);
    vec![
        Panel::timeline("Rules of netmon")
            .note("Only what is pending, fires or is suppressed.")
            .ask(state_of.if_any(), "{{instance}} {{rule}} {{interface}}")
            .states(&[(1.0, "pending", "orange"), (2.0, "firing", "red"), (3.0, "suppressed", "blue")])
            .size(12, 12),
        Panel::timeline("Rules of Prometheus")
            .note("Only what is pending or fires.")
            .ask(prometheus("firing").max(by).doubled().or(pending), "{{alertname}} {{instance}} {{interface}}")
            .states(&[(1.0, "pending", "orange"), (2.0, "firing", "red")])
            .size(12, 12),
    ]
}

fn rules() -> Vec<Panel> {
    let duration = |quantile| series("netmon_alert_evaluation_duration_seconds").quantile(quantile, &["instance"]);
    vec![
        Panel::bars("Changes of state").note("In the time shown.").ask(
            series("netmon_alert_transitions_total").increase(&["instance", "rule", "to"]).if_any().top(20),
            "{{instance}} {{rule}} {{to}}",
        ),
        Panel::lines("Held back")
            .note(
                "Low coverage: the numbers cannot be believed. Startup: the window is not full yet. Silence: somebody \
                 asked for quiet.",
            )
            .ask(series("netmon_alert_suppressed_total").rate(&["instance", "reason"]), "{{instance}} {{reason}}"),
        Panel::lines("Rules that cannot be evaluated")
            .ask(series("netmon_alert_evaluation_failures_total").rate(&["instance", "rule"]), "{{instance}} {{rule}}")
            .red_from(0.001),
        Panel::lines("Label sets that are not watched")
            .ask(series("netmon_alert_dropped_label_sets_total").rate(&["instance", "rule"]), "{{instance}} {{rule}}")
            .red_from(0.001),
        Panel::lines("Time to evaluate all rules")
            .note("Every 100 ms of packet time.")
            .ask(duration(0.5), "{{instance}} median")
            .ask(duration(0.99), "{{instance}} 99 of 100 at most")
            .bad_from(0.02, 0.1),
        Panel::lines("Changes that wait or were lost")
            .ask(series("netmon_alert_waiting_transitions").max(&["instance"]), "{{instance}} waiting")
            .ask(
                series("netmon_alert_lost_transitions_total").increase(&["instance"]),
                "{{instance}} lost in the time shown",
            ),
    ]
}

fn notifications() -> Vec<Panel> {
    let by: &[&str] = &["instance", "receiver"];
    let legend = "{{instance}} {{receiver}}";
    let latency = |quantile| series("netmon_notification_latency_seconds").quantile(quantile, by);
    vec![
        Panel::lines("Attempts").ask(series("netmon_notifications_total").rate(by), legend),
        Panel::lines("Attempts that failed")
            .ask(
                series("netmon_notification_failures_total").rate(&["instance", "receiver", "reason"]).if_any(),
                "{{instance}} {{receiver}} {{reason}}",
            )
            .red_from(0.001),
        Panel::lines("From a change to its acceptance")
            .ask(latency(0.5), "{{instance}} {{receiver}} median")
            .ask(latency(0.95), "{{instance}} {{receiver}} 95 of 100 at most"),
        Panel::lines("Queue, share in use")
            .ask(
                series("netmon_notification_queue_length")
                    .max(by)
                    .over(series("netmon_notification_queue_limit").max(by)),
                legend,
            )
            .bad_from(0.5, 0.8)
            .max(1.0),
        Panel::table("Receivers")
            .size(12, 8)
            .ask(series("netmon_notification_last_success_timestamp_seconds").max(by).date(), "Last success")
            .ask(series("netmon_notification_queue_length").max(by), "Waiting")
            .ask(series("netmon_notifications_total").increase(by), "Attempts")
            .ask(series("netmon_notification_failures_total").increase(by), "Failures"),
        Panel::lines("Given up, undurable, overrun")
            .note(
                "Undurable: sent without having been stored first. Overrun: changes came faster than they could be \
                 stored.",
            )
            .ask(series("netmon_notifications_dropped_total").increase(by), "{{instance}} {{receiver}} given up")
            .ask(series("netmon_notifications_undurable_total").increase(&["instance"]), "{{instance}} undurable")
            .ask(series("netmon_notifications_overrun_total").increase(&["instance"]), "{{instance}} overrun")
            .red_from(1.0),
    ]
}

fn in_state(state: &str, by: &[&'static str]) -> Query {
    series("netmon_alert_state").with("state", state).sum(by).or_zero()
}

fn prometheus(state: &str) -> Series {
    series("ALERTS").like("alertname", "Netmon.+").with("alertstate", state)
}
