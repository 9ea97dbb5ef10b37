//! `netmon replay` from the outside: captures in, documents, messages and exit codes out.

mod support;

use nix::sys::signal::Signal;
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use support::facts::{Facts, add_interface, flow_volumes, list, number, volume};
use support::program::{Ended, netmon, replay, replay_bytes, replay_json, run, run_with_input, without_files};
use support::running::{Running, wait_until};
use support::savefile::{ETHERNET, FILE_HEADER, RECORD_HEADER, Savefile, TOKEN_RING, flood, tcp_frame};
use support::{fixture, text};

// Against tshark.

#[test]
fn every_fixture_agrees_with_tshark() {
    let captures = fixtures();
    assert!(captures.len() >= 30, "only {} fixtures were found", captures.len());
    let mut wrong = Vec::new();
    for capture in captures {
        let expected =
            std::fs::read(format!("{}.expected.json", text(&capture))).expect("a fixture has expected counts");
        let expected: Value = serde_json::from_slice(&expected).expect("expected counts are JSON");
        let found = replay_json(&[&capture], &[]);
        for line in facts_of_tshark(&expected).differences(&facts_of_netmon(&found)) {
            wrong.push(format!("{}: {line}", capture.file_name().expect("a file").display()));
        }
    }
    assert!(wrong.is_empty(), "netmon and tshark disagree:\n{}", wrong.join("\n"));
}

/// The captures of `fixtures/`, in order.
fn fixtures() -> Vec<PathBuf> {
    let is_capture = |path: &PathBuf| path.extension().is_some_and(|end| end == "pcap" || end == "pcapng");
    let entries = std::fs::read_dir(fixture("")).expect("fixtures/ can be read");
    let mut captures: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).filter(is_capture).collect();
    captures.sort();
    captures
}

fn facts_of_tshark(expected: &Value) -> Facts {
    let mut facts = Facts::default();
    facts.add("capture", &["/packets", "/captured_bytes", "/wire_bytes"].map(|pointer| number(expected, pointer)));
    for entry in list(expected, "/ethertypes") {
        facts.add(format_args!("ethertype {}", entry["ethertype"]), &volume(entry));
    }
    for entry in list(expected, "/protocols") {
        facts.add(format_args!("{} protocol {}", entry["network"], entry["protocol"]), &volume(entry));
    }
    facts.add("tagged packets", &[number(expected, "/vlan_packets")]);
    facts.add("fragments", &[number(expected, "/fragments/first"), number(expected, "/fragments/later")]);
    for flag in ["syn", "synack", "fin", "rst"] {
        facts.add(format_args!("tcp {flag}"), &[number(expected, &format!("/tcp_flags/{flag}"))]);
    }
    list(expected, "/flows").iter().for_each(|flow| add_flow(&mut facts, flow));
    facts
}

fn facts_of_netmon(document: &Value) -> Facts {
    let mut facts = Facts::default();
    let capture = ["packets", "captured_bytes", "wire_bytes"];
    facts.add("capture", &capture.map(|name| number(document, &format!("/capture/{name}"))));
    list(document, "/interfaces").iter().for_each(|interface| add_interface(&mut facts, interface));
    list(document, "/flows").iter().for_each(|flow| add_flow(&mut facts, flow));
    facts
}

/// Adds a flow with ports or an ICMP identifier; records of one key are added up, for a key may be used again.
fn add_flow(facts: &mut Facts, flow: &Value) {
    if flow["src_port"].is_null() && flow["icmp_id"].is_null() {
        return;
    }
    let ends = ["src_ip", "src_port", "dst_ip", "dst_port"].map(|name| flow[name].to_string()).join(" ");
    let name = format!("flow {} vlan {} id {}: {ends}", flow["protocol"], flow["vlan"], flow["icmp_id"]);
    facts.add(name, &flow_volumes(flow));
}

#[test]
fn every_direction_adds_up_to_the_packets_of_the_capture() {
    for capture in fixtures() {
        let document = replay_json(&[&capture], &[]);
        let mut sum = [0, 0];
        for interface in list(&document, "/interfaces") {
            let ways = [volume(&interface["receive"]), volume(&interface["transmit"])];
            sum = [sum[0] + ways[0][0] + ways[1][0], sum[1] + ways[0][1] + ways[1][1]];
        }
        let total = [number(&document, "/capture/packets"), number(&document, "/capture/wire_bytes")];
        assert_eq!(sum, total, "{}", capture.display());
    }
}

// How flows end.

#[test]
fn each_way_to_end_a_connection_has_its_own_reason() {
    for (capture, port, reason) in [
        ("http.pcap", 80, "fin"),
        ("tcp-half-close.pcap", 7009, "fin"),
        ("tcp-abort.pcap", 7008, "rst"),
        ("tcp-refused.pcap", 7099, "rejected"),
    ] {
        let document = replay_json(&[&fixture(capture)], &[]);
        let reasons: Vec<&Value> = tcp_flows(&document, port).iter().map(|flow| &flow["end_reason"]).collect();
        assert!(!reasons.is_empty() && reasons.iter().all(|found| *found == reason), "{capture}: {reasons:?}");
    }
}

#[test]
fn a_connection_that_never_opened_is_still_opening_at_the_end_of_the_file() {
    let document = replay_json(&[&fixture("tcp-unanswered.pcap")], &[]);
    let flows = tcp_flows(&document, 7007);
    assert_eq!(flows.len(), 1);
    assert_eq!((&flows[0]["state"], &flows[0]["end_reason"]), (&Value::from("opening"), &Value::Null));
}

#[test]
fn a_second_connection_of_the_same_tuple_is_a_second_record() {
    let document = replay_json(&[&fixture("tcp-reuse.pcap")], &[]);
    let flows = tcp_flows(&document, 7008);
    assert_eq!(flows.len(), 2, "{flows:?}");
    assert_ne!(flows[0]["id"], flows[1]["id"]);
}

fn tcp_flows(document: &Value, server_port: u64) -> Vec<&Value> {
    let wanted = |flow: &&Value| flow["protocol"] == "tcp" && flow["dst_port"] == server_port;
    list(document, "/flows").iter().filter(wanted).collect()
}

// Determinism.

#[test]
fn ten_runs_give_the_same_bytes() {
    let captures = fixtures();
    let captures: Vec<&Path> = captures.iter().map(PathBuf::as_path).collect();
    let first = replay_bytes(&captures, &[]);
    for _ in 1..10 {
        assert!(replay_bytes(&captures, &[]) == first, "two runs over the same files differ");
    }
}

#[test]
fn the_number_of_shards_does_not_show_even_when_the_table_overflows() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("flood.pcap");
    flood(6000).write(&path);
    let with_shards = |shards: &str| {
        let arguments = ["replay", text(&path), "--format", "json", "--flows", "all", "--shards", shards];
        run(netmon().args(arguments).env("NETMON_FLOWS__MAX", "1024")).success()
    };
    let one = with_shards("1");
    let document: Value = serde_json::from_slice(&one).expect("stdout is JSON");
    let evicted = list(&document, "/flows").iter().filter(|flow| flow["end_reason"] == "evicted").count();
    assert!(evicted > 4000, "only {evicted} flows had to go from a table of 1024");
    assert_eq!(number(&document, "/interfaces/0/tcp/flags/syn"), 6016);
    for shards in ["2", "4"] {
        assert!(with_shards(shards) == one, "{shards} shards give another document than one");
    }
}

#[test]
fn a_flood_does_not_evict_established_connections() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("flood.pcap");
    flood(6000).write(&path);
    let arguments = ["replay", text(&path), "--format", "json", "--flows", "all"];
    let document = run(netmon().args(arguments).env("NETMON_FLOWS__MAX", "1024")).document();
    let from_friend = |flow: &&Value| flow["src_ip"].as_str().is_some_and(|ip| ip.starts_with("192.0.2.1"));
    let friends: Vec<&Value> = list(&document, "/flows").iter().filter(from_friend).collect();
    assert_eq!(friends.len(), 16);
    assert!(friends.iter().all(|flow| flow["end_reason"].is_null()), "{friends:?}");
}

#[test]
fn the_pace_does_not_show() {
    let capture = fixture("ping.pcap");
    assert!(replay_bytes(&[&capture], &["--pace", "4x"]) == replay_bytes(&[&capture], &["--pace", "max"]));
}

#[test]
fn the_order_of_the_files_does_not_show_in_what_is_counted() {
    let (a, b) = (fixture("http.pcap"), fixture("ping.pcap"));
    let there = replay_json(&[&a, &b], &[]);
    let back = replay_json(&[&b, &a], &[]);
    assert_eq!(there["interfaces"], back["interfaces"]);
    // Ids are left out: interfaces are numbered in the order of the files, and the number is part of what is hashed.
    let without_ids = |document: &Value| {
        let mut flows = document["flows"].clone();
        flows.as_array_mut().expect("a list").iter_mut().for_each(|flow| drop(flow["id"].take()));
        flows
    };
    assert_eq!(without_ids(&there), without_ids(&back));
}

// Where frames come from.

#[test]
fn stdin_compressed_files_and_pcapng_are_the_same_capture() {
    let plain = fixture("http.pcap");
    let named = ["--interface", "x"];
    let expected = without_files(replay_json(&[&plain], &named));
    let bytes = std::fs::read(&plain).expect("the fixture is there");

    let arguments = ["replay", "-", "--format", "json", "--flows", "all", "--interface", "x"];
    let piped = run_with_input(netmon().args(arguments), &bytes);
    assert_eq!(piped.code, Some(0), "{}", piped.stderr);
    assert_eq!(without_files(piped.document()), expected, "stdin");

    let directory = tempfile::tempdir().expect("a directory");
    for (name, content) in [("http.pcap.gz", gzip(&bytes)), ("http.pcap.zst", zstd(&bytes))] {
        let path = directory.path().join(name);
        std::fs::write(&path, content).expect("the directory can be written to");
        assert_eq!(without_files(replay_json(&[&path], &named)), expected, "{name}");
    }
    assert_eq!(without_files(replay_json(&[&fixture("http.pcapng")], &named)), expected, "pcapng");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 0).expect("memory takes it")
}

#[test]
fn an_interface_is_named_after_its_file_or_by_its_capture_or_by_the_user() {
    assert_eq!(interface_names(&replay_json(&[&fixture("ping.pcap")], &[])), ["ping"]);
    assert_eq!(interface_names(&replay_json(&[&fixture("two-interfaces.pcapng")], &[])), ["tun0", "wan0"]);
    assert_eq!(interface_names(&replay_json(&[&fixture("ping.pcap")], &["--interface", "uplink"])), ["uplink"]);
}

fn interface_names(document: &Value) -> Vec<&str> {
    list(document, "/interfaces").iter().map(|entry| entry["interface"].as_str().expect("a name")).collect()
}

#[test]
fn the_direction_flags_of_pcapng_tell_receive_from_transmit() {
    let document = replay_json(&[&fixture("two-interfaces.pcapng")], &[]);
    let of = |interface: usize, way: &str| volume(&document["interfaces"][interface][way]);
    assert_eq!((of(1, "transmit"), of(1, "receive")), ([2, 124], [1, 72]));
    assert_eq!((of(0, "transmit"), of(0, "receive")), ([0, 0], [2, 136]));
}

#[test]
fn several_files_are_merged_and_equal_interface_names_are_one_interface() {
    let (http, ping) = (fixture("http.pcap"), fixture("ping.pcap"));
    let apart = replay_json(&[&http, &ping], &[]);
    assert_eq!(interface_names(&apart), ["http", "ping"]);
    assert_eq!(list(&apart, "/capture/files").len(), 2);

    let together = replay_json(&[&http, &ping], &["--interface", "x"]);
    assert_eq!(interface_names(&together), ["x"]);
    assert_eq!(facts_of_netmon(&together), facts_of_netmon(&apart));
    let sum = |name: &str| {
        let of = |file: &Path| number(&replay_json(&[file], &[]), &format!("/capture/{name}"));
        of(&http) + of(&ping)
    };
    for name in ["packets", "captured_bytes", "wire_bytes"] {
        assert_eq!(number(&together, &format!("/capture/{name}")), sum(name), "{name}");
    }
}

// Options that change what is counted.

#[test]
fn local_networks_tell_receive_from_transmit() {
    let capture = fixture("tcp-echo.pcap");
    let document = replay_json(&[&capture], &["--local-network", "192.0.2.1/32", "--local-network", "2001:db8::1/128"]);
    let mut ways = [[0, 0], [0, 0]];
    for flow in list(&document, "/flows").iter().filter(|flow| flow["protocol"] == "tcp") {
        let [c2s_packets, c2s_bytes, s2c_packets, s2c_bytes] = flow_volumes(flow);
        ways = [[ways[0][0] + c2s_packets, ways[0][1] + c2s_bytes], [ways[1][0] + s2c_packets, ways[1][1] + s2c_bytes]];
    }
    let interface = &document["interfaces"][0];
    assert_eq!([volume(&interface["transmit"]), volume(&interface["receive"])], ways);
    assert_ne!(ways[0], [0, 0]);

    let without = replay_json(&[&capture], &[]);
    assert_eq!(volume(&without["interfaces"][0]["transmit"]), [0, 0], "nothing tells the direction");
}

#[test]
fn a_filter_keeps_what_it_matches() {
    let document = replay_json(&[&fixture("ping.pcap")], &["--bpf", "icmp6"]);
    let interface = &document["interfaces"][0];
    let whole = replay_json(&[&fixture("ping.pcap")], &[]);
    let icmp6 = |entry: &&Value| entry["network"] == "ipv6" && entry["protocol"] == 58;
    let expected = list(&whole, "/interfaces/0/protocols").iter().find(icmp6).map(volume).expect("there is ICMPv6");
    assert_eq!(volume(&interface["receive"]), expected);
    assert_eq!(list(interface, "/ethertypes").len(), 1);
}

#[test]
fn a_number_of_flows_gives_the_greatest_by_bytes() {
    let capture = fixture("http.pcap");
    let all = replay_json(&[&capture], &[]);
    let sizes: Vec<u64> = list(&all, "/flows").iter().map(bytes_of).collect();
    assert!(sizes.len() > 2 && sizes.is_sorted_by(|a, b| a >= b), "{sizes:?}");
    let two = replay(&[text(&capture), "--format", "json", "--flows", "2"]).document();
    assert_eq!(list(&two, "/flows"), &list(&all, "/flows")[..2]);
    assert_eq!(two["interfaces"], all["interfaces"]);
}

fn bytes_of(flow: &Value) -> u64 {
    let [_, c2s, _, s2c] = flow_volumes(flow);
    c2s + s2c
}

// Other forms of output.

#[test]
fn openmetrics_has_the_counts_and_nothing_of_the_process() {
    let capture = fixture("http.pcap");
    let once = replay(&[text(&capture), "--format", "openmetrics"]).success();
    let page = String::from_utf8(once.clone()).expect("UTF-8");
    let packets = number(&replay_json(&[&capture], &[]), "/capture/packets");
    let sample = format!("netmon_interface_receive_packets_total{{interface=\"http\"}} {packets}");
    assert!(page.lines().any(|line| line == sample), "no `{sample}` in\n{page}");
    assert!(page.ends_with("# EOF\n"));
    for name in ["process_", "netmon_start_time", "netmon_http_", "netmon_scrape_duration"] {
        assert!(!page.lines().any(|line| line.starts_with(name)), "{name} depends on the process");
    }
    assert!(replay(&[text(&capture), "--format", "openmetrics"]).success() == once);
}

#[test]
fn a_pipe_gets_no_colours_and_no_progress() {
    let ended = replay(&[text(&fixture("http.pcap"))]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let table = String::from_utf8(ended.stdout).expect("UTF-8");
    assert!(table.contains("192.0.2.1") && table.contains("192.0.2.2"), "{table}");
    assert!(!table.contains('\u{1b}') && !ended.stderr.contains('\u{1b}') && !ended.stderr.contains('\r'));
}

#[cfg(target_os = "linux")]
#[test]
fn an_interrupt_gives_the_results_so_far_and_exit_0() {
    const LIMIT: Duration = Duration::from_secs(10);
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("slow.pcap");
    let mut file = Savefile::new(ETHERNET);
    for n in 0..60 {
        file.push(n * 1_000_000, &syn(n));
    }
    file.write(&path);
    let mut command = netmon();
    command.args(["replay", text(&path), "--format", "json", "--pace", "realtime"]);
    let running = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    wait_until("the program to catch SIGINT and open the file", LIMIT, || {
        (catches(running.id(), Signal::SIGINT) && has_open(running.id(), &path)).then_some(())
    });
    running.signal(Signal::SIGINT);
    let ended = Ended::of(running.output_within(LIMIT));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let packets = number(&ended.document(), "/capture/packets");
    assert!(packets < 60, "all {packets} packets of a minute were replayed at once");
}

/// Whether a process has a handler for a signal.
#[cfg(target_os = "linux")]
fn catches(process: u32, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = mask.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal as u32 - 1) & 1 == 1
}

#[cfg(target_os = "linux")]
fn has_open(process: u32, path: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{process}/fd")) else { return false };
    entries.flatten().any(|entry| std::fs::read_link(entry.path()).is_ok_and(|target| target == path))
}

// Files that are not as they should be.

#[test]
fn a_file_cut_in_a_record_gives_all_before_it_and_exit_1() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("office.pcap");
    let mut file = Savefile::new(ETHERNET);
    for n in 0..3 {
        file.push(n, &syn(n));
    }
    file.push_header(3, 512, 512);
    file.push_raw(&[0; 96]);
    file.write(&path);

    let ended = replay(&[text(&path), "--format", "json"]);
    assert_eq!(ended.code, Some(1));
    let document = ended.document();
    assert_eq!(number(&document, "/capture/packets"), 3);
    assert!(!document["capture"]["incomplete"].is_null());
    let expected = format!(
        "netmon: replay of `{0}` stopped after 3 frames: at byte 252 record cut short (528 bytes needed, 112 present)\n  \
         hint: results up to that frame are complete; compare with `capinfos {0}`\n",
        text(&path)
    );
    assert_eq!(ended.stderr, expected);
}

#[test]
fn a_file_cut_anywhere_never_panics_and_counts_the_whole_records() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("cut.pcap");
    let mut file = Savefile::new(ETHERNET);
    file.push(0, &syn(0));
    file.push(1, &syn(1));
    let record = RECORD_HEADER + syn(0).len();
    for end in 0..=file.bytes().len() {
        std::fs::write(&path, &file.bytes()[..end]).expect("the directory can be written to");
        let ended = replay(&[text(&path), "--format", "json"]);
        let Some(rest) = end.checked_sub(FILE_HEADER) else {
            assert_eq!((ended.code, ended.stdout.len()), (Some(2), 0), "cut after {end} bytes: no capture yet");
            continue;
        };
        let whole = rest / record;
        assert_eq!(number(&ended.document(), "/capture/packets"), whole as u64, "cut after {end} bytes");
        assert_eq!(ended.code, Some(i32::from(rest % record != 0)), "cut after {end} bytes");
    }
}

#[test]
fn a_record_that_cannot_be_right_ends_the_reading_with_exit_1() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("damaged.pcap");
    let mut file = Savefile::new(ETHERNET);
    file.push(0, &syn(0));
    file.push_header(1, 262_145, 262_145);
    file.push_raw(&vec![0; 262_145]);
    file.write(&path);
    let ended = replay(&[text(&path), "--format", "json"]);
    assert_eq!(ended.code, Some(1));
    let document = ended.document();
    assert_eq!(number(&document, "/capture/packets"), 1);
    assert!(!document["capture"]["incomplete"].is_null());
}

#[test]
fn a_capture_without_packets_is_a_result() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("empty.pcap");
    Savefile::new(ETHERNET).write(&path);
    let document = replay_json(&[&path], &[]);
    assert_eq!(number(&document, "/capture/packets"), 0);
    assert_eq!((&document["capture"]["first_seen"], &document["capture"]["last_seen"]), (&Value::Null, &Value::Null));
    assert!(list(&document, "/flows").is_empty());
}

#[test]
fn what_is_no_capture_is_refused_with_exit_2_and_one_line_that_names_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let words = directory.path().join("words.txt");
    std::fs::write(&words, "these are just words, and enough of them for a header").expect("a file");
    let empty = directory.path().join("empty");
    std::fs::write(&empty, "").expect("a file");
    let ring = directory.path().join("token-ring.pcap");
    let mut file = Savefile::new(TOKEN_RING);
    file.push(0, &[0; 64]);
    file.write(&ring);
    let missing = directory.path().join("missing.pcap");
    for path in [&words, &empty, &ring, &missing, &directory.path().to_path_buf()] {
        let ended = replay(&[text(path), "--format", "json"]);
        assert_eq!(ended.code, Some(2), "{}: {}", path.display(), ended.stderr);
        assert!(ended.stdout.is_empty(), "{}", path.display());
        let first = ended.stderr.lines().next().unwrap_or_default();
        assert!(first.starts_with("netmon: ") && first.contains(text(path)), "{}", ended.stderr);
    }
}

#[test]
fn an_unknown_linktype_beside_a_known_one_is_a_counted_reject() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("mixed.pcapng");
    let known = std::fs::read(fixture("two-interfaces.pcapng")).expect("the fixture is there");
    let mut mixed = known.clone();
    let second_interface = find(&known, &229_u16.to_le_bytes());
    mixed[second_interface..second_interface + 2].copy_from_slice(&147_u16.to_le_bytes());
    std::fs::write(&path, mixed).expect("a file");
    let document = replay_json(&[&path], &[]);
    let errors = list(&document, "/interfaces/0/parse_errors");
    let unsupported = |entry: &&Value| entry["layer"] == "link" && entry["reason"] == "unsupported";
    let count = errors.iter().find(unsupported).map(|entry| number(entry, "/packets"));
    assert_eq!(count, Some(2), "{errors:?}");
    assert_eq!(number(&document, "/capture/packets"), 5);
}

/// Offset of the interface description block whose linktype is `linktype`.
fn find(bytes: &[u8], linktype: &[u8]) -> usize {
    let block = |at: &usize| bytes[*at..*at + 4] == 1_u32.to_le_bytes() && &bytes[at + 8..at + 10] == linktype;
    (0..bytes.len() - 10).step_by(4).find(block).expect("there is such a block") + 8
}

#[test]
fn a_filter_that_does_not_compile_is_refused_with_the_words_of_libpcap() {
    let ended = replay(&[text(&fixture("http.pcap")), "--bpf", "tcp prot 443"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stdout.is_empty());
    let expected = "netmon: filter `tcp prot 443` does not compile for linktype EN10MB: libpcap: syntax error\n  \
                    hint: the grammar is in pcap-filter(7); `tcpdump -d` compiles an expression without capturing\n";
    assert_eq!(ended.stderr, expected);
}

#[test]
fn wrong_arguments_are_exit_2_with_nothing_on_stdout() {
    let capture = fixture("ping.pcap");
    for arguments in [
        &["--format", "xml"][..],
        &["--flows", "many"],
        &["--pace", "0x"],
        &["--shards", "0"],
        &["--local-network", "192.0.2.0/33"],
        &["--no-such-option"],
    ] {
        let ended = replay(&[&[text(&capture)], arguments].concat());
        assert_eq!((ended.code, ended.stdout.len()), (Some(2), 0), "{arguments:?}: {}", ended.stderr);
        assert!(!ended.stderr.is_empty());
    }
    assert_eq!(replay(&[]).code, Some(2));
}

#[test]
fn an_unknown_variable_of_the_environment_is_refused() {
    let ended = run(netmon().args(["replay", text(&fixture("ping.pcap"))]).env("NETMON_FLOWS__MAXX", "1024"));
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("max"), "the nearest known key is named: {}", ended.stderr);
}

fn syn(n: u32) -> Vec<u8> {
    tcp_frame(([192, 0, 2, 1], 4000 + (n % 1000) as u16), ([192, 0, 2, 2], 80), n, 0x02)
}
