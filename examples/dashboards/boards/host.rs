//! One host: its interfaces, what they carry, and the flows behind it.

use super::board::Board;
use super::fleet::{bytes, firing, lost_in_range};
use super::panel::Panel;
use super::query::series;

pub const UID: &str = "netmon-host";

const BY_LINK: &[&str] = &["interface"];

pub fn board() -> Board {
    let about = "One host: throughput with its peaks, protocols, flows, and the state of its links.";
    Board::new(UID, "netmon / Host", about)
        .of_one_host()
        .row("", numbers())
        .row("Throughput", throughput())
        .row("What it is made of", protocols())
        .row("Flows", flows())
        .row("Links", links())
        .row("Where switched on: talkers, ports, VLANs, classes of addresses", optional())
}

fn numbers() -> Vec<Panel> {
    let now = |direction: &str| series(&format!("netmon_interface_{direction}_bytes_per_second")).with("window", "10s");
    let active = series("netmon_flows").sum(&[]);
    vec![
        Panel::stat("Receive").note("Mean of 10 s.").ask(now("receive").sum(&[]).bits(), "receive").plain(),
        Panel::stat("Transmit").note("Mean of 10 s.").ask(now("transmit").sum(&[]).bits(), "transmit").plain(),
        Panel::stat("Flows").ask(active, "flows").plain(),
        Panel::stat("Frames lost").note("In the time shown.").ask(lost_in_range(), "lost").bad_from(0.001, 0.01),
        Panel::stat("Alerts firing").ask(firing(&[]).or_zero(), "alerts").red_from(1.0),
        Panel::stat("Since the last packet")
            .note("Of the interface that has been silent for longest.")
            .ask(series("netmon_interface_last_packet_timestamp_seconds").min(&[]).age(), "silent")
            .bad_from(30.0, 60.0),
    ]
}

fn throughput() -> Vec<Panel> {
    let peak =
        |direction: &str| series(&format!("netmon_interface_{direction}_peak_bytes_per_second")).with("window", "60s");
    let mean =
        |direction: &str| series(&format!("netmon_interface_{direction}_bytes_per_second")).with("window", "60s");
    let peak_packets = |direction: &str| {
        series(&format!("netmon_interface_{direction}_peak_packets_per_second")).with("window", "60s").max(BY_LINK)
    };
    let utilization = |direction| {
        series("netmon_interface_utilization_ratio").with("window", "10s").with("direction", direction).max(BY_LINK)
    };
    vec![
        Panel::lines("Throughput")
            .note("From counters, so that nothing between two scrapes is missed. Transmitted goes downwards.")
            .ask(bytes("receive", BY_LINK).bits(), "{{interface}} receive")
            .ask(bytes("transmit", BY_LINK).bits(), "{{interface}} transmit")
            .mirrored("transmit"),
        Panel::lines("Greatest second of each minute")
            .note("What a mean hides: the best second of the last 60. Transmitted goes downwards.")
            .ask(peak("receive").max(BY_LINK).bits(), "{{interface}} receive")
            .ask(peak("transmit").max(BY_LINK).bits(), "{{interface}} transmit")
            .mirrored("transmit"),
        Panel::lines("Packets")
            .note("Transmitted goes downwards.")
            .ask(series("netmon_interface_receive_packets_total").rate(BY_LINK), "{{interface}} receive")
            .ask(series("netmon_interface_transmit_packets_total").rate(BY_LINK), "{{interface}} transmit")
            .mirrored("transmit"),
        Panel::lines("Greatest second of each minute, packets")
            .note("What a mean hides: the best second of the last 60. Transmitted goes downwards.")
            .ask(peak_packets("receive"), "{{interface}} receive")
            .ask(peak_packets("transmit"), "{{interface}} transmit")
            .mirrored("transmit"),
        Panel::lines("Burst factor")
            .note("The greatest second of a minute by the minute's mean: 1 is even, 60 is all in one second.")
            .ask(peak("receive").max(BY_LINK).times(mean("receive").max(BY_LINK)), "{{interface}} receive")
            .ask(peak("transmit").max(BY_LINK).times(mean("transmit").max(BY_LINK)), "{{interface}} transmit"),
        Panel::lines("Link use")
            .note("Mean of 10 s by the speed of the link; nothing where the speed is not known.")
            .ask(utilization("receive"), "{{interface}} receive")
            .ask(utilization("transmit"), "{{interface}} transmit")
            .bad_from(0.7, 0.9),
    ]
}

fn protocols() -> Vec<Panel> {
    let by: &[&str] = &["network", "transport"];
    let volume = |direction: &str| series(&format!("netmon_protocol_{direction}_bytes_total")).rate(by);
    let packets = |direction: &str| series(&format!("netmon_protocol_{direction}_packets_total")).rate(by);
    vec![
        Panel::lines("Throughput by protocol")
            .note("Both directions.")
            .ask(volume("receive").plus(volume("transmit")).bits().if_any(), "{{network}} {{transport}}")
            .stacked(),
        Panel::lines("Packets by protocol")
            .note("Both directions.")
            .ask(packets("receive").plus(packets("transmit")).if_any(), "{{network}} {{transport}}")
            .stacked(),
        Panel::bars("Protocols of the last minute").note("Both directions.").ask(
            series("netmon_protocol_bytes_per_second").with("window", "60s").sum(by).bits().if_any(),
            "{{network}} {{transport}}",
        ),
        Panel::heat("Lengths of frames")
            .note("Above the link's MTU: what the kernel merged, or has not yet split.")
            .ask(series("netmon_interface_packet_size_bytes").buckets(), "{{le}}"),
        Panel::lines("ICMP messages").ask(
            series("netmon_icmp_messages_total").rate(&["network", "message"]).if_any(),
            "{{network}} {{message}}",
        ),
        Panel::lines("Broadcast and multicast")
            .ask(series("netmon_interface_broadcast_packets_total").rate(BY_LINK), "{{interface}} broadcast")
            .ask(series("netmon_interface_multicast_packets_total").rate(BY_LINK), "{{interface}} multicast"),
    ]
}

fn flows() -> Vec<Panel> {
    let duration = |quantile| series("netmon_flow_duration_seconds").quantile(quantile, &["transport"]);
    let size = |quantile| series("netmon_flow_size_bytes").quantile(quantile, &["transport"]);
    vec![
        Panel::lines("Flows by state")
            .ask(series("netmon_flows").sum(&["transport", "state"]).if_any(), "{{transport}} {{state}}")
            .stacked(),
        Panel::lines("Flows that begin and end")
            .note("Ended goes downwards.")
            .ask(series("netmon_flows_opened_total").rate(&["transport"]).if_any(), "{{transport}} opened")
            .ask(series("netmon_flows_closed_total").rate(&["transport"]).if_any(), "{{transport}} ended")
            .mirrored("ended"),
        Panel::lines("How long flows lasted")
            .ask(duration(0.5), "{{transport}} median")
            .ask(duration(0.95), "{{transport}} 95 of 100 at most"),
        Panel::lines("How large flows were")
            .ask(size(0.5), "{{transport}} median")
            .ask(size(0.95), "{{transport}} 95 of 100 at most"),
        Panel::lines("Why flows ended")
            .ask(
                series("netmon_flows_closed_total").rate(&["transport", "reason"]).if_any(),
                "{{transport}} {{reason}}",
            )
            .stacked(),
        Panel::lines("Flows with one direction only")
            .note("Many of them: scans, asymmetric routes, or a mirror port that shows one half.")
            .ask(
                series("netmon_flow_one_sided_total")
                    .rate(BY_LINK)
                    .over(series("netmon_flows_closed_total").rate(BY_LINK)),
                "{{interface}}",
            ),
    ]
}

fn links() -> Vec<Panel> {
    vec![
        Panel::timeline("Link")
            .ask(series("netmon_interface_up").min(BY_LINK), "{{interface}}")
            .states(&[(1.0, "up", "green"), (0.0, "down", "red")]),
        Panel::table("Interfaces")
            .size(12, 8)
            .ask(series("netmon_capture_backend_info").max(&["interface", "backend", "link"]), "")
            .ask(series("netmon_interface_speed_bytes_per_second").max(BY_LINK).bits(), "Speed")
            .ask(series("netmon_interface_mtu_bytes").max(BY_LINK).bare(), "MTU")
            .ask(series("netmon_interface_last_packet_timestamp_seconds").max(BY_LINK).age(), "Last packet"),
    ]
}

fn optional() -> Vec<Panel> {
    let talkers = |direction| series("netmon_talker_bytes_per_second").with("direction", direction).sum(&["host"]);
    let other = |direction| series("netmon_talker_other_bytes_per_second").with("direction", direction).sum(&[]);
    let classes = series("netmon_class_bytes_total").rate(&["source_class", "destination_class"]);
    let class_packets = series("netmon_class_packets_total").rate(&["source_class", "destination_class"]);
    vec![
        Panel::bars("Hosts that send most")
            .note("`aggregation.talkers.export`; the last minute.")
            .ask(talkers("transmit").top(20).bits(), "{{host}}")
            .size(8, 8),
        Panel::bars("Hosts that receive most")
            .note("`aggregation.talkers.export`; the last minute.")
            .ask(talkers("receive").top(20).bits(), "{{host}}")
            .size(8, 8),
        Panel::lines("Hosts that are not listed")
            .note("`aggregation.talkers.export`; with the most by which a listed rate may be wrong.")
            .ask(other("transmit").bits(), "sent by others")
            .ask(other("receive").bits(), "received by others")
            .ask(series("netmon_talker_error_bound_bytes_per_second").max(&[]).bits(), "error at most")
            .size(8, 8),
        Panel::lines("Throughput by port")
            .note("`aggregation.ports`; either end, both directions.")
            .ask(
                series("netmon_port_bytes_total").rate(&["transport", "port"]).bits().if_any(),
                "{{transport}} {{port}}",
            )
            .stacked()
            .size(8, 8),
        Panel::lines("Throughput by VLAN")
            .note("`aggregation.vlans`; outermost id.")
            .ask(series("netmon_vlan_bytes_total").rate(&["interface", "vlan"]).bits(), "{{interface}} {{vlan}}")
            .stacked()
            .size(8, 8),
        Panel::lines("Packets by VLAN")
            .note("`aggregation.vlans`; outermost id.")
            .ask(series("netmon_vlan_packets_total").rate(&["interface", "vlan"]), "{{interface}} {{vlan}}")
            .stacked()
            .size(8, 8),
        Panel::lines("Throughput between classes of addresses")
            .note("`address_classes`.")
            .ask(classes.bits().if_any(), "{{source_class}} to {{destination_class}}")
            .stacked(),
        Panel::lines("Packets between classes of addresses")
            .note("`address_classes`.")
            .ask(class_packets.if_any(), "{{source_class}} to {{destination_class}}")
            .stacked(),
    ]
}
