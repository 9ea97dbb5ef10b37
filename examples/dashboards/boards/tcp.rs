//! How TCP connections fare.

use super::board::Board;
use super::fleet::failed;
use super::panel::Panel;
use super::query::{Query, series};

const BY_LINK: &[&str] = &["instance", "interface"];
const BY_WAY: &[&str] = &["instance", "interface", "direction"];

pub fn board() -> Board {
    let about =
        "Connections that do not come about, and connections that suffer; seen in the packets, not asked of hosts.";
    Board::new("netmon-tcp", "netmon / TCP health", about)
        .row("", numbers())
        .row("Connections", connections())
        .row("Loss and congestion", loss())
        .row("Round trips", round_trips())
        .row("Segments", segments())
}

fn numbers() -> Vec<Panel> {
    let opened = series("netmon_tcp_connections_opened_total").rate(&[]);
    vec![
        Panel::stat("Connections opened").ask(opened, "opened").plain(),
        Panel::stat("Attempts that fail").ask(failed(&[]), "failed").bad_from(0.1, 0.5),
        Panel::stat("Retransmitted")
            .ask(of_segments("netmon_tcp_retransmitted_segments_total", &[]), "segments")
            .bad_from(0.01, 0.05),
        Panel::stat("Handshake to servers, p95").ask(handshake("server", 0.95, &[]), "p95").bad_from(0.1, 0.5),
        Panel::stat("Resets").ask(series("netmon_tcp_resets_total").rate(&[]), "resets").plain(),
        Panel::stat("Half-open")
            .ask(series("netmon_flows").with("transport", "tcp").with("state", "opening").sum(&[]), "flows")
            .plain(),
    ]
}

fn connections() -> Vec<Panel> {
    vec![
        Panel::lines("Opened")
            .ask(series("netmon_tcp_connections_opened_total").rate(BY_LINK), "{{instance}} {{interface}}"),
        Panel::lines("Failed, by why")
            .note(
                "Rejected: a reset in answer. Unanswered: nothing came until the opening timeout, half a minute after \
                 the attempt.",
            )
            .ask(
                series("netmon_tcp_connection_failures_total").rate(&["instance", "reason"]),
                "{{instance}} {{reason}}",
            ),
        Panel::lines("Failed, of all attempts")
            .ask(failed(BY_LINK), "{{instance}} {{interface}}")
            .bad_from(0.1, 0.5)
            .max(1.0),
        Panel::lines("Resets, by when they came")
            .ask(series("netmon_tcp_resets_total").rate(&["instance", "phase"]), "{{instance}} {{phase}}"),
        Panel::lines("SYNs and connections")
            .note("A flood shows as SYNs without connections.")
            .unit("cps")
            .ask(series("netmon_tcp_flag_packets_total").with("flag", "syn").rate(&["instance"]), "{{instance}} SYN")
            .ask(
                series("netmon_tcp_flag_packets_total").with("flag", "synack").rate(&["instance"]),
                "{{instance}} SYN-ACK",
            )
            .ask(series("netmon_tcp_connections_opened_total").rate(&["instance"]), "{{instance}} opened"),
        Panel::lines("TCP flows by state")
            .ask(series("netmon_flows").with("transport", "tcp").sum(&["instance", "state"]), "{{instance}} {{state}}")
            .stacked(),
    ]
}

fn loss() -> Vec<Panel> {
    let legend = "{{instance}} {{interface}} {{direction}}";
    vec![
        Panel::lines("Retransmitted segments")
            .note("Of all segments in that direction.")
            .ask(of_segments("netmon_tcp_retransmitted_segments_total", BY_WAY), legend)
            .bad_from(0.01, 0.05),
        Panel::lines("Out of order")
            .note("Of all segments in that direction: gaps that filled too soon to be retransmissions.")
            .ask(of_segments("netmon_tcp_out_of_order_segments_total", BY_WAY), legend)
            .bad_from(0.01, 0.05),
        Panel::lines("Duplicate acknowledgements")
            .note("Of all segments in that direction: the other side misses something.")
            .ask(of_segments("netmon_tcp_duplicate_acks_total", BY_WAY), legend),
        Panel::lines("Zero windows")
            .note("A receiver that cannot keep up.")
            .ask(series("netmon_tcp_zero_window_total").rate(BY_WAY), legend),
        Panel::lines("Bytes sent again")
            .ask(series("netmon_tcp_retransmitted_bytes_total").rate(BY_WAY).bits(), legend),
        Panel::lines("Congestion marks")
            .note("ECE and CWR of explicit congestion notification; both are also set in SYNs that offer it.")
            .ask(
                series("netmon_tcp_flag_packets_total").like("flag", "ece|cwr").rate(&["instance", "flag"]),
                "{{instance}} {{flag}}",
            ),
    ]
}

fn round_trips() -> Vec<Panel> {
    let data = |quantile| series("netmon_tcp_rtt_seconds").quantile(quantile, &["instance"]);
    let mut handshakes = Panel::lines("Handshake round trips").note(
        "Server: from SYN to SYN-ACK. Client: from SYN-ACK to ACK. Marks are exemplars: flows to look up in the \
             API.",
    );
    for side in ["server", "client"] {
        for (quantile, named) in [(0.5, "p50"), (0.95, "p95"), (0.99, "p99")] {
            handshakes =
                handshakes.ask(handshake(side, quantile, &["instance"]), &format!("{{{{instance}}}} {side} {named}"));
        }
    }
    vec![
        handshakes,
        Panel::heat("Handshakes to servers")
            .ask(series("netmon_tcp_handshake_rtt_seconds").with("side", "server").buckets(), "{{le}}"),
        Panel::lines("Round trips of data")
            .note("`aggregation.continuous_rtt`.")
            .ask(data(0.5), "{{instance}} p50")
            .ask(data(0.95), "{{instance}} p95")
            .ask(data(0.99), "{{instance}} p99"),
        Panel::heat("Round trips of data")
            .note("`aggregation.continuous_rtt`.")
            .ask(series("netmon_tcp_rtt_seconds").buckets(), "{{le}}"),
    ]
}

fn segments() -> Vec<Panel> {
    vec![
        Panel::lines("Segments")
            .ask(series("netmon_tcp_segments_total").rate(BY_WAY), "{{instance}} {{interface}} {{direction}}"),
        Panel::lines("Flags")
            .ask(series("netmon_tcp_flag_packets_total").rate(&["instance", "flag"]).if_any(), "{{instance}} {{flag}}"),
    ]
}

/// How many of all segments count in `family`.
fn of_segments(family: &str, by: &[&'static str]) -> Query {
    series(family).rate(by).over(series("netmon_tcp_segments_total").rate(by))
}

fn handshake(side: &str, quantile: f64, by: &[&'static str]) -> Query {
    series("netmon_tcp_handshake_rtt_seconds").with("side", side).quantile(quantile, by)
}
