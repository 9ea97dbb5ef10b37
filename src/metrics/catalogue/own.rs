//! netmon itself: build, configuration, privileges, size of the exposition, the process.

use super::{count, real, yes};
use crate::metrics::family::{Dimension, Family, Labels, Value};
use crate::metrics::process::{Process, RENDER_BOUNDS};
use crate::metrics::view::View;
use crate::time::Timestamp;

pub(super) const FAMILIES: &[Family] = &[
    Family::info("netmon_build_info", "What was built.", &[], |view, _| {
        let build = &view.own.build;
        let labels = Labels::default().with("version", build.version).with("revision", build.revision);
        Some(Value::Info(labels.with("target", build.target).with("features", build.features)))
    })
    .carrying(&["version", "revision", "target", "features"])
    .of_process(),
    Family::gauge("netmon_start_time_seconds", "Start of the process, Unix time.", &[], |view, _| at(view.own.started))
        .unit("seconds")
        .of_process(),
    Family::gauge("netmon_config_generation", "Number of the configuration in force, 1 at the start.", &[], |v, _| {
        count(v.own.reloads.generation)
    })
    .of_process(),
    Family::gauge(
        "netmon_config_last_reload_successful",
        "Whether the last load of the configuration was accepted.",
        &[],
        |view, _| yes(view.own.reloads.last_successful),
    )
    .of_process(),
    Family::gauge(
        "netmon_config_last_reload_success_timestamp_seconds",
        "Time of the last accepted load of the configuration, Unix time.",
        &[],
        |view, _| at(view.own.reloads.last_success),
    )
    .unit("seconds")
    .of_process(),
    Family::counter("netmon_config_reloads_total", "Attempts to reload the configuration.", &[], |view, _| {
        count(view.own.reloads.attempts)
    })
    .of_process(),
    Family::counter("netmon_config_reload_failures_total", "Rejected reloads of the configuration.", &[], |view, _| {
        count(view.own.reloads.failures)
    })
    .of_process(),
    Family::gauge(
        "netmon_privilege_state",
        "How confined the process is now; 1 for each state that holds.",
        &[Dimension::PRIVILEGE],
        |view, [state, ..]| {
            let held = view.own.privileges?;
            yes([held.root, held.capability, held.dropped, held.sandboxed][state])
        },
    )
    .of_process(),
    Family::gauge(
        "netmon_sandbox_layer",
        "Whether a layer confines the process; absent where nothing was given up on purpose.",
        &[Dimension::LAYER],
        |view, [layer, ..]| yes(view.own.layers?[layer]),
    )
    .of_process(),
    Family::gauge("netmon_series", "Sample lines of this exposition.", &[], |view, _| count(view.series)).of_process(),
    Family::gauge(
        "netmon_series_limit",
        "The most sample lines an exposition can have under the current configuration.",
        &[],
        |view, _| count(view.settings.series_limit()),
    )
    .of_process(),
    Family::counter(
        "netmon_label_overflow_total",
        "Events attributed to other because a cap on label values was reached.",
        &[Dimension::CAPPED_LABEL],
        |view, [label, ..]| count(view.snapshot.own.label_overflow[label]),
    ),
    Family::counter(
        "netmon_time_steps_total",
        "Jumps of the packet clock by more than silence or lateness explains.",
        &[Dimension::STEP],
        |view, [direction, ..]| count(view.snapshot.own.time_steps[direction]),
    ),
    Family::counter(
        "netmon_late_packets_total",
        "Frames older than the packet clock by at most 1 s.",
        &[],
        |view, _| count(view.snapshot.own.late_packets),
    ),
    Family::counter(
        "netmon_http_requests_total",
        "HTTP requests answered; a refused connection is one of other with 5xx.",
        &[Dimension::HANDLER, Dimension::STATUS_CLASS],
        |view, [handler, class, ..]| count(view.own.http_requests?[handler][class]),
    )
    .of_process(),
    Family::seconds_histogram(
        "netmon_scrape_duration_seconds",
        "Time to render an exposition, of those before this one.",
        RENDER_BOUNDS,
        &[],
        |view, _| view.own.scrapes.as_ref().map(Value::Histogram),
    )
    .of_process(),
    Family::counter("process_cpu_seconds_total", "User and system CPU time spent.", &[], |view, _| {
        process(view)?.cpu_seconds.and_then(real)
    })
    .unit("seconds")
    .of_process(),
    Family::gauge("process_open_fds", "Open file descriptors.", &[], |view, _| process(view)?.open_fds.and_then(count))
        .of_process(),
    Family::gauge("process_max_fds", "The most file descriptors the process may open.", &[], |view, _| {
        process(view)?.max_fds.and_then(count)
    })
    .of_process(),
    Family::gauge("process_resident_memory_bytes", "Resident memory.", &[], |view, _| {
        process(view)?.resident_bytes.and_then(count)
    })
    .unit("bytes")
    .of_process(),
    Family::gauge("process_virtual_memory_bytes", "Address space in use.", &[], |view, _| {
        process(view)?.virtual_bytes.and_then(count)
    })
    .unit("bytes")
    .of_process(),
    Family::gauge(
        "process_virtual_memory_max_bytes",
        "The most address space the process may use; absent without a limit.",
        &[],
        |view, _| process(view)?.virtual_max_bytes.and_then(count),
    )
    .unit("bytes")
    .of_process(),
    Family::gauge("process_threads", "Threads of the process.", &[], |view, _| process(view)?.threads.and_then(count))
        .of_process(),
    Family::gauge("process_start_time_seconds", "Start of the process, Unix time.", &[], |view, _| {
        at(view.own.started)
    })
    .unit("seconds")
    .of_process(),
];

fn process(view: &View) -> Option<&Process> {
    view.own.process.as_ref()
}

fn at<'v>(time: Option<Timestamp>) -> Option<Value<'v>> {
    real(time?.as_secs_f64())
}
