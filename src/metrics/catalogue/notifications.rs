//! What becomes of notifications; absent where nobody is told of alerts.

use super::{count, real};
use crate::metrics::family::Dimension::{self, Receiver};
use crate::metrics::family::{Family, Value};
use crate::metrics::notifications::{NotificationState, ReceiverState};
use crate::metrics::view::View;
use crate::stats::Buckets;

pub(super) const FAMILIES: &[Family] = &[
    Family::counter(
        "netmon_notifications_total",
        "Attempts to deliver a notification.",
        &[Receiver],
        |view, [r, ..]| count(receiver(view, r)?.attempts),
    )
    .of_process()
    .of_alerts(),
    Family::counter(
        "netmon_notification_failures_total",
        "Attempts to deliver a notification that failed.",
        &[Receiver, Dimension::DELIVERY_FAILURE],
        |view, [r, reason, ..]| count(receiver(view, r)?.failures[reason]),
    )
    .of_process()
    .of_alerts(),
    Family::gauge(
        "netmon_notification_queue_length",
        "Changes of alerts that wait for a receiver.",
        &[Receiver],
        |view, [r, ..]| count(receiver(view, r)?.queue_length),
    )
    .of_process()
    .of_alerts(),
    Family::gauge(
        "netmon_notification_queue_limit",
        "The most changes of alerts that may wait for a receiver.",
        &[Receiver],
        |view, [r, ..]| count(receiver(view, r)?.queue_limit),
    )
    .of_process()
    .of_alerts(),
    Family::counter(
        "netmon_notifications_dropped_total",
        "Changes of alerts that a receiver was not told, which is reported to it later.",
        &[Receiver, Dimension::GIVEN_UP],
        |view, [r, reason, ..]| count(receiver(view, r)?.dropped[reason]),
    )
    .of_process()
    .of_alerts(),
    Family::seconds_histogram(
        "netmon_notification_latency_seconds",
        "From a change of an alert to the acceptance of a notification with it.",
        Buckets::DELIVERY,
        &[Receiver],
        |view, [r, ..]| Some(Value::Histogram(&receiver(view, r)?.latency)),
    )
    .of_process()
    .of_alerts(),
    Family::gauge(
        "netmon_notification_last_success_timestamp_seconds",
        "When a receiver last accepted a notification, Unix time.",
        &[Receiver],
        |view, [r, ..]| real(receiver(view, r)?.last_success?),
    )
    .unit("seconds")
    .of_process()
    .of_alerts(),
    Family::counter(
        "netmon_notifications_undurable_total",
        "Notifications that were sent although they could not be stored first.",
        &[],
        |view, _| count(of(view)?.undurable),
    )
    .of_process()
    .of_alerts(),
    Family::counter(
        "netmon_notifications_overrun_total",
        "Changes of alerts that nobody was told because they came faster than they could be stored.",
        &[],
        |view, _| count(of(view)?.overrun),
    )
    .of_process()
    .of_alerts(),
];

fn of(view: &View) -> Option<&NotificationState> {
    view.own.notifications.as_ref()
}

fn receiver(view: &View, place: usize) -> Option<&ReceiverState> {
    of(view)?.receivers.get(place)
}
