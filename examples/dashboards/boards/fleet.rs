//! All hosts beside each other.

use super::board::Board;
use super::host;
use super::panel::Panel;
use super::query::{Query, series};

const BY_HOST: &[&str] = &["instance"];
const BY_LINK: &[&str] = &["instance", "interface"];

pub fn board() -> Board {
    let about = "Every host that netmon runs on: what it carries, what it does not see, how its connections fare.";
    Board::new("netmon-fleet", "netmon / Fleet", about)
        .row("", numbers())
        .row("", vec![hosts()])
        .row("Traffic", traffic())
        .row("What is not seen", unseen())
        .row("Connections", connections())
        .row("netmon", vec![answers(), table_fill()])
}

fn numbers() -> Vec<Panel> {
    vec![
        Panel::stat("Hosts that answer").ask(series("up").sum(&[]), "hosts").plain(),
        Panel::stat("Hosts that do not answer").ask(series("up").count("== 0"), "hosts").red_from(1.0),
        Panel::stat("Interfaces not captured")
            .ask(series("netmon_capture_up").count("== 0"), "interfaces")
            .red_from(1.0),
        Panel::stat("Throughput")
            .note("Both directions of all interfaces. What two of them carry (a bridge and its port) counts twice.")
            .ask(bytes("receive", &[]).plus(bytes("transmit", &[])).bits(), "throughput")
            .plain(),
        Panel::stat("Frames lost").note("In the time shown.").ask(lost_in_range(), "lost").bad_from(0.001, 0.01),
        Panel::stat("Alerts firing")
            .note("Rules of netmon's own engine.")
            .ask(firing(&[]).or_zero(), "alerts")
            .red_from(1.0),
    ]
}

fn hosts() -> Panel {
    let retransmitted = series("netmon_tcp_retransmitted_segments_total").rate(BY_HOST);
    Panel::table("Hosts")
        .note("Each row leads to the host.")
        .size(24, 8)
        .ask(series("netmon_build_info").max(&["instance", "version"]), "")
        .ask(series("netmon_start_time_seconds").max(BY_HOST).age(), "Up for")
        .ask(bytes("receive", BY_HOST).bits(), "Receive")
        .ask(bytes("transmit", BY_HOST).bits(), "Transmit")
        .ask(loss(BY_HOST), "Lost")
        .ask(coverage(), "Coverage")
        .ask(retransmitted.over(series("netmon_tcp_segments_total").rate(BY_HOST)), "Retransmitted")
        .ask(failed(BY_HOST), "Failed")
        .ask(series("netmon_flow_table_entries").max(BY_HOST), "Flows")
        .ask(firing(BY_HOST), "Firing")
        .ask(series("process_resident_memory_bytes").max(BY_HOST), "Memory")
        .leading_to("This host", host::UID)
}

fn traffic() -> Vec<Panel> {
    vec![
        Panel::lines("Throughput by host")
            .note("Transmitted goes downwards.")
            .ask(bytes("receive", BY_HOST).bits(), "{{instance}} receive")
            .ask(bytes("transmit", BY_HOST).bits(), "{{instance}} transmit")
            .mirrored("transmit"),
        Panel::lines("Packets by host")
            .note("Transmitted goes downwards.")
            .ask(series("netmon_interface_receive_packets_total").rate(BY_HOST), "{{instance}} receive")
            .ask(series("netmon_interface_transmit_packets_total").rate(BY_HOST), "{{instance}} transmit")
            .mirrored("transmit"),
        Panel::bars("Busiest interfaces")
            .note("Both directions.")
            .ask(
                bytes("receive", BY_LINK).plus(bytes("transmit", BY_LINK)).top(10).bits(),
                "{{instance}} {{interface}}",
            )
            .leading_to("This host", host::UID),
        Panel::bars("Fullest links")
            .note("The fuller direction, mean of a minute.")
            .ask(
                series("netmon_interface_utilization_ratio").with("window", "60s").max(BY_LINK).top(10),
                "{{instance}} {{interface}}",
            )
            .bad_from(0.7, 0.9)
            .max(1.0)
            .leading_to("This host", host::UID),
    ]
}

fn unseen() -> Vec<Panel> {
    vec![
        Panel::lines("Frames lost").ask(loss(BY_HOST), "{{instance}}").bad_from(0.001, 0.01),
        Panel::lines("Lowest coverage")
            .note("Of the worst interface; 100 % is all that the kernel counted.")
            .ask(coverage(), "{{instance}}")
            .bad_below(0.9, 0.98),
    ]
}

fn connections() -> Vec<Panel> {
    let retransmitted = series("netmon_tcp_retransmitted_segments_total").rate(BY_HOST);
    vec![
        Panel::lines("Retransmitted segments")
            .ask(retransmitted.over(series("netmon_tcp_segments_total").rate(BY_HOST)), "{{instance}}")
            .bad_from(0.01, 0.05),
        Panel::lines("Failed connections")
            .note("Of all attempts whose end is known.")
            .ask(failed(BY_HOST), "{{instance}}")
            .bad_from(0.1, 0.5),
        Panel::lines("Handshakes to servers, 95 of 100 are faster")
            .ask(handshake(BY_HOST), "{{instance}}")
            .bad_from(0.1, 0.5),
        Panel::lines("Flows in the table").ask(series("netmon_flow_table_entries").max(BY_HOST), "{{instance}}"),
    ]
}

fn answers() -> Panel {
    Panel::timeline("Answers to Prometheus")
        .ask(series("up").min(BY_HOST), "{{instance}}")
        .states(&[(1.0, "answers", "green"), (0.0, "silent", "red")])
}

fn table_fill() -> Panel {
    let limit = series("netmon_flow_table_limit").max(BY_HOST);
    Panel::lines("Flow table, share in use")
        .ask(series("netmon_flow_table_entries").max(BY_HOST).over(limit), "{{instance}}")
        .bad_from(0.8, 0.9)
        .max(1.0)
}

/// Bytes a second in one direction.
pub fn bytes(direction: &str, by: &[&'static str]) -> Query {
    series(&format!("netmon_interface_{direction}_bytes_total")).rate(by)
}

/// Frames lost before the parser, of all that came.
pub fn loss(by: &[&'static str]) -> Query {
    let lost = series("netmon_capture_dropped_packets_total").rate(by);
    let seen = series("netmon_capture_packets_total").rate(by);
    lost.clone().over(seen.plus(lost))
}

/// Frames lost before the parser in the time shown, of all that came.
pub fn lost_in_range() -> Query {
    let lost = series("netmon_capture_dropped_packets_total").increase(&[]);
    let seen = series("netmon_capture_packets_total").increase(&[]);
    lost.clone().over(seen.plus(lost))
}

/// Attempts to connect that failed, of all whose end is known.
pub fn failed(by: &[&'static str]) -> Query {
    let failed = series("netmon_tcp_connection_failures_total").rate(by);
    let opened = series("netmon_tcp_connections_opened_total").rate(by);
    failed.clone().over(opened.plus(failed))
}

/// Alerts of netmon's own rules that fire.
pub fn firing(by: &[&'static str]) -> Query {
    series("netmon_alert_state").with("state", "firing").sum(by)
}

fn coverage() -> Query {
    series("netmon_capture_coverage_ratio").with("window", "60s").min(BY_HOST)
}

fn handshake(by: &[&'static str]) -> Query {
    series("netmon_tcp_handshake_rtt_seconds").with("side", "server").quantile(0.95, by)
}
