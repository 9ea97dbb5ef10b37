//! netmon itself: what it costs, how it is confined, how its API, its history and what leaves it fare.

use super::board::Board;
use super::panel::Panel;
use super::query::series;

const BY_HOST: &[&str] = &["instance"];
const HOST: &str = "{{instance}}";

pub fn board() -> Board {
    let about = "netmon itself: versions, configuration, confinement, its cost, the API, the history.";
    Board::new("netmon-self", "netmon / Itself", about)
        .row("", numbers())
        .row("Process", process())
        .row("Confinement", confinement())
        .row("Configuration and the page", configuration())
        .row("API", api())
        .row("History", history())
        .row("What is pushed, and flows that leave", exports())
}

fn numbers() -> Vec<Panel> {
    vec![
        Panel::stat("Up for").ask(series("netmon_start_time_seconds").max(&[]).age(), "newest").plain(),
        Panel::stat("Processor").ask(series("process_cpu_seconds_total").rate(&[]), "cores").bad_from(0.8, 2.0),
        Panel::stat("Memory").ask(series("process_resident_memory_bytes").sum(&[]), "resident").plain(),
        Panel::stat("Flow table").ask(series("netmon_flow_table_entries").sum(&[]), "flows").plain(),
        Panel::stat("Series").ask(series("netmon_series").sum(&[]), "series").plain(),
        Panel::stat("Refused configurations")
            .ask(series("netmon_config_last_reload_successful").count("== 0"), "hosts")
            .red_from(1.0),
    ]
}

fn process() -> Vec<Panel> {
    vec![
        Panel::lines("Processor")
            .note("100 % is one core.")
            .ask(series("process_cpu_seconds_total").rate(BY_HOST), HOST),
        Panel::lines("Memory").ask(series("process_resident_memory_bytes").max(BY_HOST), HOST),
        Panel::lines("Flow table, share in use")
            .ask(
                series("netmon_flow_table_entries").max(BY_HOST).over(series("netmon_flow_table_limit").max(BY_HOST)),
                HOST,
            )
            .bad_from(0.8, 0.9),
        Panel::lines("Descriptors and threads")
            .ask(series("process_open_fds").max(BY_HOST), "{{instance}} descriptors")
            .ask(series("process_threads").max(BY_HOST), "{{instance}} threads"),
    ]
}

fn confinement() -> Vec<Panel> {
    let layer = series("netmon_sandbox_layer").max(&["instance", "layer"]);
    let held = series("netmon_privilege_state").max(&["instance", "state"]);
    vec![
        Panel::timeline("Layers")
            .note("Where privileges were given up on purpose.")
            .ask(layer, "{{instance}} {{layer}}")
            .states(&[(1.0, "active", "green"), (0.0, "not active", "orange")]),
        Panel::timeline("Privileges")
            .note("`dropped` and `sandboxed` are good; `root` and `capability` are what a takeover would have.")
            .ask(held, "{{instance}} {{state}}")
            .states(&[(1.0, "holds", "blue"), (0.0, "no", "text")]),
    ]
}

fn configuration() -> Vec<Panel> {
    let render = |quantile| series("netmon_scrape_duration_seconds").quantile(quantile, BY_HOST);
    vec![
        Panel::table("Versions and configuration")
            .size(24, 6)
            .ask(series("netmon_build_info").max(&["instance", "version", "revision", "target"]), "")
            .ask(series("netmon_start_time_seconds").max(BY_HOST).date(), "Started")
            .ask(series("netmon_config_generation").max(BY_HOST), "Configuration")
            .ask(series("netmon_config_last_reload_success_timestamp_seconds").max(BY_HOST).date(), "Accepted")
            .ask(series("process_virtual_memory_bytes").max(BY_HOST), "Address space")
            .ask(series("process_max_fds").max(BY_HOST), "Descriptors allowed"),
        Panel::timeline("Last load of the configuration")
            .ask(series("netmon_config_last_reload_successful").min(BY_HOST), HOST)
            .states(&[(1.0, "accepted", "green"), (0.0, "refused", "red")]),
        Panel::lines("Reloads in the time shown")
            .ask(series("netmon_config_reloads_total").increase(BY_HOST), "{{instance}} asked for")
            .ask(series("netmon_config_reload_failures_total").increase(BY_HOST), "{{instance}} refused"),
        Panel::lines("Series of the page, of the most it can have")
            .ask(series("netmon_series").max(BY_HOST).over(series("netmon_series_limit").max(BY_HOST)), HOST)
            .max(1.0),
        Panel::lines("Time to render the page")
            .ask(render(0.5), "{{instance}} median")
            .ask(render(0.99), "{{instance}} 99 of 100 at most"),
    ]
}

fn api() -> Vec<Panel> {
    let time = |quantile| series("netmon_http_request_duration_seconds").quantile(quantile, &["instance", "handler"]);
    vec![
        Panel::lines("Requests")
            .ask(
                series("netmon_http_requests_total").rate(&["instance", "handler", "code"]).if_any(),
                "{{instance}} {{handler}} {{code}}",
            )
            .unit("reqps"),
        Panel::lines("Time to answer")
            .ask(time(0.5), "{{instance}} {{handler}} median")
            .ask(time(0.99), "{{instance}} {{handler}} 99 of 100 at most"),
        Panel::lines("Streams").ask(series("netmon_websocket_clients").max(BY_HOST), HOST),
        Panel::lines("Messages that slow clients missed")
            .ask(series("netmon_websocket_dropped_messages_total").rate(BY_HOST), HOST)
            .orange_from(1.0),
    ]
}

fn history() -> Vec<Panel> {
    let commit = |quantile| series("netmon_history_write_duration_seconds").quantile(quantile, BY_HOST);
    vec![
        Panel::lines("Size of the store").ask(series("netmon_history_size_bytes").max(BY_HOST), HOST),
        Panel::lines("Size of the store, of what it may take")
            .ask(
                series("netmon_history_size_bytes")
                    .max(BY_HOST)
                    .over(series("netmon_history_limit_bytes").max(BY_HOST)),
                HOST,
            )
            .max(1.0),
        Panel::lines("How far back it reaches").ask(
            series("netmon_history_oldest_timestamp_seconds").max(&["instance", "tier"]).age(),
            "{{instance}} {{tier}}",
        ),
        Panel::lines("Time of a commit")
            .ask(commit(0.5), "{{instance}} median")
            .ask(commit(0.99), "{{instance}} 99 of 100 at most")
            .bad_from(0.5, 2.0),
        Panel::lines("Failures in the time shown")
            .size(8, 8)
            .ask(series("netmon_history_write_failures_total").increase(BY_HOST), "{{instance}} commits that failed")
            .ask(series("netmon_history_dropped_records_total").increase(BY_HOST), "{{instance}} records lost")
            .ask(series("netmon_history_quarantined_total").increase(BY_HOST), "{{instance}} stores set aside")
            .red_from(1.0),
        Panel::lines("Records removed").size(8, 8).ask(
            series("netmon_history_pruned_records_total").rate(&["instance", "tier", "reason"]),
            "{{instance}} {{tier}} {{reason}}",
        ),
        Panel::lines("Flows that were only counted")
            .size(8, 8)
            .note("Smaller than `history.flows.floor`, or beyond `history.flows.rate`.")
            .ask(series("netmon_history_left_out_flows_total").rate(BY_HOST), HOST),
    ]
}

fn exports() -> Vec<Panel> {
    let by_signal = &["instance", "signal"];
    vec![
        Panel::lines("Exports to the collector of OpenTelemetry")
            .size(8, 8)
            .ask(series("netmon_otlp_exports_total").rate(by_signal), "{{instance}} {{signal}}")
            .ask(series("netmon_otlp_export_failures_total").rate(by_signal), "{{instance}} {{signal}} failed"),
        Panel::lines("Since the collector last took something")
            .size(8, 8)
            .ask(series("netmon_otlp_last_success_timestamp_seconds").max(by_signal).age(), "{{instance}} {{signal}}")
            .bad_from(180.0, 900.0),
        Panel::lines("Spans that were not sent")
            .size(8, 8)
            .ask(series("netmon_otlp_dropped_spans_total").rate(BY_HOST), HOST)
            .orange_from(1.0),
        Panel::lines("Flows that leave")
            .ask(series("netmon_ipfix_records_total").rate(BY_HOST), "{{instance}} IPFIX records")
            .ask(series("netmon_flow_log_records_total").rate(BY_HOST), "{{instance}} lines of the log"),
        Panel::lines("Flows that did not arrive")
            .ask(
                series("netmon_ipfix_records_lost_total").rate(&["instance", "reason"]),
                "{{instance}} IPFIX: {{reason}}",
            )
            .ask(
                series("netmon_flow_log_records_lost_total").rate(&["instance", "reason"]),
                "{{instance}} log: {{reason}}",
            )
            .orange_from(1.0),
    ]
}
