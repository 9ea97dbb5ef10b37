//! What netmon sees, and what it knows that it did not see.

use super::board::Board;
use super::fleet::{loss, lost_in_range};
use super::panel::Panel;
use super::query::{Query, series};

const BY_LINK: &[&str] = &["instance", "interface"];
const LINK: &str = "{{instance}} {{interface}}";

pub fn board() -> Board {
    let about = "Whether the other numbers can be believed: frames lost and where, coverage of what the kernel counted, \
                 frames that could not be read, caps that were reached.";
    Board::new("netmon-capture", "netmon / Capture truth", about)
        .row("", numbers())
        .row("Lost before the parser", lost())
        .row("Held against the kernel", kernel())
        .row("Read by the parser", parsed())
        .row("Held in tables", tables())
}

fn numbers() -> Vec<Panel> {
    let coverage = series("netmon_capture_coverage_ratio").with("window", "60s").min(BY_LINK).least();
    vec![
        Panel::stat("Interfaces captured").ask(series("netmon_capture_up").sum(&[]), "captured").plain(),
        Panel::stat("Interfaces not captured").ask(series("netmon_capture_up").count("== 0"), "blind").red_from(1.0),
        Panel::stat("Frames lost").note("In the time shown.").ask(lost_in_range(), "lost").bad_from(0.001, 0.01),
        Panel::stat("Lowest coverage").ask(coverage, "coverage").bad_below(0.9, 0.98),
        Panel::stat("Longest lag").ask(series("netmon_processing_lag_seconds").max(&[]), "lag").bad_from(0.5, 1.0),
        Panel::stat("Gaps in the time shown")
            .ask(series("netmon_capture_gaps_total").increase(&[]), "gaps")
            .orange_from(1.0),
    ]
}

fn lost() -> Vec<Panel> {
    vec![
        Panel::lines("Frames lost").note("Of all that came.").ask(loss(BY_LINK), LINK).bad_from(0.001, 0.01),
        Panel::lines("Where they were lost")
            .note("Interface: by the card. Kernel: the capture buffer was full. Queue: the parser was behind.")
            .ask(series("netmon_capture_dropped_packets_total").rate(&["instance", "stage"]), "{{instance}} {{stage}}"),
        Panel::timeline("Captured")
            .ask(series("netmon_capture_up").min(BY_LINK), LINK)
            .states(&[(1.0, "captured", "green"), (0.0, "not captured", "red")]),
        Panel::lines("Gaps, restarts and frozen rings")
            .ask(series("netmon_capture_gaps_total").rate(BY_LINK), "{{instance}} {{interface}} gaps")
            .ask(series("netmon_capture_restarts_total").rate(BY_LINK), "{{instance}} {{interface}} restarts")
            .ask(series("netmon_capture_ring_freezes_total").rate(BY_LINK), "{{instance}} {{interface}} freezes"),
        Panel::lines("Lag of the parser")
            .ask(series("netmon_processing_lag_seconds").max(BY_LINK), LINK)
            .bad_from(0.5, 1.0),
        Panel::table("How it is captured")
            .size(12, 8)
            .ask(series("netmon_capture_backend_info").max(&["instance", "interface", "backend", "link"]), ""),
    ]
}

fn kernel() -> Vec<Panel> {
    let way = |direction: &str, what: &str| {
        (series(&format!("netmon_kernel_interface_{direction}_{what}_total")), format!("{LINK} {direction}"))
    };
    let both = |title, what: &str| {
        let ((receive, receive_legend), (transmit, transmit_legend)) = (way("receive", what), way("transmit", what));
        let panel = Panel::lines(title).ask(receive.rate(BY_LINK), &receive_legend);
        panel.ask(transmit.rate(BY_LINK), &transmit_legend)
    };
    vec![
        Panel::lines("Coverage")
            .note("Above 100 % the capture saw bytes in one window that the kernel counted in the next.")
            .ask(series("netmon_capture_coverage_ratio").with("window", "60s").min(BY_LINK), LINK)
            .bad_below(0.9, 0.98),
        Panel::lines("Captured and counted by the kernel")
            .note(
                "The lines lie on each other while nothing is lost and no filter is set; the kernel counts merged \
                 segments one by one.",
            )
            .ask(seen_bytes().bits(), "{{instance}} {{interface}} captured")
            .ask(kernel_bytes().bits(), "{{instance}} {{interface}} kernel"),
        both("Packets that the kernel counted", "packets").note("Transmitted goes downwards.").mirrored("transmit"),
        both("Dropped by the kernel", "dropped").orange_from(1.0),
        both("Errors that the kernel counted", "errors").orange_from(1.0),
        Panel::lines("Frames longer than the link allows")
            .note("One such frame is several segments on the wire.")
            .ask(series("netmon_capture_superframes_total").rate(BY_LINK), "{{instance}} {{interface}} frames")
            .ask(
                series("netmon_capture_superframe_segments_total").rate(BY_LINK),
                "{{instance}} {{interface}} segments",
            ),
    ]
}

fn parsed() -> Vec<Panel> {
    vec![
        Panel::lines("Frames that reached the parser").ask(series("netmon_capture_packets_total").rate(BY_LINK), LINK),
        Panel::lines("Headers that cannot be right").ask(
            series("netmon_parse_errors_total").rate(&["instance", "layer", "reason"]).if_any(),
            "{{instance}} {{layer}} {{reason}}",
        ),
        Panel::lines("Fragments").note("A later fragment carries no ports and joins no flow.").ask(
            series("netmon_ip_fragments_total").rate(&["instance", "network", "position"]),
            "{{instance}} {{network}} {{position}}",
        ),
        Panel::lines("Headers cut off")
            .note("`capture.snaplen` is too short.")
            .ask(series("netmon_capture_truncated_packets_total").rate(BY_LINK), LINK)
            .orange_from(1.0),
        Panel::lines("Late frames").ask(series("netmon_late_packets_total").rate(&["instance"]), "{{instance}}"),
        Panel::lines("Steps of the clock")
            .note("Windows begin anew with each.")
            .ask(series("netmon_time_steps_total").rate(&["instance", "direction"]), "{{instance}} {{direction}}"),
    ]
}

fn tables() -> Vec<Panel> {
    vec![
        Panel::lines("Frames of no flow").ask(
            series("netmon_flow_untracked_packets_total").rate(&["instance", "reason"]),
            "{{instance}} {{reason}}",
        ),
        Panel::lines("Flows ended early")
            .note("The table was full.")
            .ask(series("netmon_flow_table_evictions_total").rate(&["instance", "victim"]), "{{instance}} {{victim}}")
            .orange_from(1.0),
        Panel::lines("Folded into `other`")
            .note("A cap on label values was reached; totals stay right.")
            .ask(series("netmon_label_overflow_total").rate(&["instance", "label"]), "{{instance}} {{label}}"),
        Panel::lines("Longest probe of the flow table")
            .ask(series("netmon_flow_probe_length_max").max(&["instance"]), "{{instance}}"),
    ]
}

fn seen_bytes() -> Query {
    let seen = |direction: &str| series(&format!("netmon_interface_{direction}_bytes_total")).rate(BY_LINK);
    seen("receive").plus(seen("transmit"))
}

fn kernel_bytes() -> Query {
    let counted = |direction: &str| series(&format!("netmon_kernel_interface_{direction}_bytes_total")).rate(BY_LINK);
    counted("receive").plus(counted("transmit"))
}
