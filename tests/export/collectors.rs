//! Datagrams to nfcapd and to tshark.

use crate::decoder::{Decoder, Direction};
use crate::rig::{START, can_run, tool};
use crate::support::program::{replay_bytes, replay_json};
use crate::support::running::{Running, wait_until};
use crate::support::text;
use crate::{captures, directions, free_port};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::net::{IpAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Captures of others that are looked at, at most this long.
const MOST: usize = 60;
const LONGEST: u64 = 2_000_000;

#[test]
fn nfdump_has_the_flows_and_totals_of_every_capture() {
    if !can_run(&["nfcapd", "nfdump"]) {
        return;
    }
    let (mut compared, mut flows) = (0, 0);
    for (n, capture) in captures().into_iter().chain(of_others()).enumerate() {
        // A biflow has both directions in one record there, as out_bytes and out_packets.
        let biflow = n % 4 == 3;
        let (document, found) = through_nfcapd(&capture, biflow, 1);
        let expected = directions(&document);
        let mut got: Vec<_> = found.iter().flat_map(of_nfdump).collect();
        got.sort_unstable();
        assert_eq!(expected, got, "{} (biflow: {biflow})", capture.display());
        let whole = if biflow { document["flows"].as_array().unwrap().len() } else { expected.len() };
        assert_eq!(found.len(), whole, "{} (biflow: {biflow})", capture.display());
        (compared, flows) = (compared + 1, flows + found.len());
    }
    eprintln!("{compared} captures with {flows} records are the same in nfdump");
    assert!(compared >= 20);
}

#[test]
fn an_exporter_that_is_started_again_goes_on_where_it_was() {
    if !can_run(&["nfcapd", "nfdump"]) {
        return;
    }
    let (document, found) = through_nfcapd(&crate::support::fixture("http.pcap"), false, 3);
    let once = directions(&document);
    let mut expected = [&once[..]; 3].concat();
    expected.sort_unstable();
    let mut got: Vec<_> = found.iter().flat_map(of_nfdump).collect();
    got.sort_unstable();
    assert_eq!(got, expected);
    let flags: Vec<_> = found.iter().map(|flow| flow["tcp_flags"].as_str().unwrap()).collect();
    assert!(flags.iter().all(|flags| *flags == "...A..SF"), "{flags:?}");
}

/// Those of `PCAP_TRUTH_DIR` that are read to their end.
fn of_others() -> Vec<PathBuf> {
    let Some(directory) = std::env::var_os("PCAP_TRUTH_DIR").map(PathBuf::from) else { return Vec::new() };
    let mut found = Vec::new();
    let mut open = vec![directory];
    while let Some(directory) = open.pop() {
        for path in std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()) {
            let is_capture = path.extension().is_some_and(|end| end == "pcap" || end == "pcapng" || end == "cap");
            if path.is_dir() {
                open.push(path);
            } else if is_capture && path.metadata().unwrap().len() <= LONGEST {
                found.push(path);
            }
        }
    }
    found.sort();
    let step = (found.len() / (3 * MOST)).max(1);
    let mut readable: Vec<_> = found.into_iter().step_by(step).filter(|path| has_flows(path)).collect();
    readable.truncate(MOST);
    readable
}

/// Whether netmon reads it to its end and finds something.
fn has_flows(capture: &Path) -> bool {
    let ended = crate::support::program::replay(&[text(capture), "--format", "json", "--flows", "all"]);
    ended.code == Some(0) && !ended.document()["flows"].as_array().unwrap().is_empty()
}

/// The document of a replay, which is run so many times, and what nfdump reads in what nfcapd wrote meanwhile.
fn through_nfcapd(capture: &Path, biflow: bool, times: usize) -> (Value, Vec<Value>) {
    let directory = tempfile::tempdir().unwrap();
    let (port, log) = (free_port(), directory.path().join("log"));
    let files = directory.path().join("files");
    std::fs::create_dir(&files).unwrap();
    let mut nfcapd = Command::new(tool("nfcapd").unwrap());
    nfcapd.args(["-b", "127.0.0.1", "-p", &port.to_string(), "-t", "3600", "-w", text(&files)]);
    let out = std::fs::File::create(&log).unwrap();
    let mut nfcapd = Running::start(nfcapd.stdout(out.try_clone().unwrap()).stderr(out));
    wait_until("nfcapd to listen", START, || queue(port));
    let config = directory.path().join("netmon.yaml");
    // In one piece, also where a capture is longer than the active timeout.
    let to = format!("{{to: 'udp://127.0.0.1:{port}', biflow: {biflow}}}");
    std::fs::write(&config, format!("export: {{active_timeout: off, ipfix: [{to}]}}\n")).unwrap();
    let replay = || replay_json(&[capture], &["--config", text(&config), "--export"]);
    let document = (1..times).fold(replay(), |_, _| replay());
    wait_until("nfcapd to take everything", START, || (queue(port) == Some([0, 0])).then_some(()));
    std::thread::sleep(Duration::from_millis(50));
    nfcapd.signal(Signal::SIGTERM);
    nfcapd.end_within(START);
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(said.contains("Bad Packets: 0"), "{}: {said}", capture.display());
    // nfcapd leaves records of options out where it counts records (RFC 7011 section 3.1 has them in), so it misses
    // one for each interface that is named between flows.
    if document["interfaces"].as_array().unwrap().len() == 1 && times == 1 {
        assert!(said.contains("Sequence Errors: 0,"), "{}: {said}", capture.display());
    }
    let nfdump =
        Command::new(tool("nfdump").unwrap()).args(["-R", text(&files), "-o", "json"]).stdin(Stdio::null()).output();
    let output = nfdump.unwrap().stdout;
    // Without flows it prints no list.
    (document, serde_json::from_slice(&output).unwrap_or_default())
}

/// Bytes that wait in the socket of a port, and datagrams that it dropped.
fn queue(port: u16) -> Option<[u64; 2]> {
    let sockets = std::fs::read_to_string("/proc/net/udp").unwrap();
    let line = sockets.lines().find(|line| line.contains(&format!("0100007F:{port:04X} ")))?;
    let fields: Vec<_> = line.split_whitespace().collect();
    let waiting = u64::from_str_radix(fields[4].split_once(':')?.1, 16).unwrap();
    Some([waiting, fields.last()?.parse().unwrap()])
}

fn of_nfdump(flow: &Value) -> Vec<Direction> {
    let address = |end: &str| -> IpAddr {
        let value = [format!("{end}4_addr"), format!("{end}6_addr")].into_iter().find_map(|key| flow.get(key));
        value.unwrap().as_str().unwrap().parse().unwrap()
    };
    let value = |key: &str| flow.get(key).and_then(Value::as_u64).unwrap_or(0);
    let (source, destination, from, to) = (address("src"), address("dst"), value("src_port"), value("dst_port"));
    let forth = (source, from, destination, to, value("in_packets"), value("in_bytes"));
    let back = (destination, to, source, from, value("out_packets"), value("out_bytes"));
    [forth, back].into_iter().filter(|(.., packets, _)| *packets > 0).collect()
}

#[test]
fn tshark_reads_every_message_and_finds_the_same_numbers() {
    if !can_run(&["tshark"]) {
        return;
    }
    for name in ["http.pcap", "http-ipv6.pcap", "ping.pcap", "tags.pcap", "ipv6-extensions.pcap"] {
        for biflow in [false, true] {
            let (document, messages) = messages(name, biflow);
            let directory = tempfile::tempdir().unwrap();
            let file = directory.path().join("export.pcap");
            std::fs::write(&file, savefile(&messages)).unwrap();
            let fields = ["cflow.version", "cflow.octets", "cflow.packets", "_ws.malformed", "_ws.expert"];
            let mut tshark = Command::new(tool("tshark").unwrap());
            tshark.args(["-n", "-r", text(&file), "-T", "fields", "-E", "separator=;"]);
            tshark.args(fields.iter().flat_map(|field| ["-e", *field]));
            let output = String::from_utf8(tshark.output().unwrap().stdout).unwrap();
            let (mut bytes, mut packets) = (0, 0);
            for line in output.lines() {
                let [version, octets, counts, malformed, expert] = line.split(';').collect::<Vec<_>>()[..] else {
                    panic!("{line}")
                };
                assert_eq!((version, malformed, expert), ("10", "", ""), "{name}: {line}");
                let sum = |list: &str| list.split(',').filter_map(|n| n.parse::<u64>().ok()).sum::<u64>();
                (bytes, packets) = (bytes + sum(octets), packets + sum(counts));
            }
            assert_eq!(output.lines().count(), messages.len());
            let expected = directions(&document);
            let sum = expected.iter().fold([0; 2], |[p, b], (.., packets, bytes)| [p + packets, b + bytes]);
            if !biflow {
                assert_eq!([packets, bytes], sum, "{name}");
            }
            let mut decoder = Decoder::default();
            messages.iter().for_each(|message| decoder.message(message));
            assert_eq!(decoder.directions(), expected, "{name} (biflow: {biflow})");
            assert_eq!(decoder.sampling, Some((1, 0)));
            assert!(decoder.longest <= 1400 && decoder.names.contains_key(&1), "{:?}", decoder.names);
        }
    }
}

/// What a replay sends over UDP.
fn messages(name: &str, biflow: bool) -> (Value, Vec<Vec<u8>>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("netmon.yaml");
    let to = socket.local_addr().unwrap();
    std::fs::write(&config, format!("export: {{ipfix: [{{to: '{to}', biflow: {biflow}}}]}}\n")).unwrap();
    let capture = crate::support::fixture(name);
    let document = replay_bytes(&[&capture], &["--config", text(&config), "--export"]);
    socket.set_nonblocking(true).unwrap();
    let mut buffer = [0; 65_536];
    let received = std::iter::from_fn(|| socket.recv(&mut buffer).ok().map(|length| buffer[..length].to_vec()));
    (serde_json::from_slice(&document).unwrap(), received.collect())
}

/// A capture of datagrams to the port of IPFIX (LINKTYPE_IPV4).
fn savefile(messages: &[Vec<u8>]) -> Vec<u8> {
    let mut file = crate::support::savefile::Savefile::new(228);
    for message in messages {
        let length = |more: usize| u16::try_from(message.len() + more).unwrap().to_be_bytes();
        let mut packet = vec![0x45, 0];
        packet.extend(length(28));
        packet.extend([0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1]);
        packet.extend([0xc0, 0, 0x12, 0x83]);
        packet.extend(length(8));
        packet.extend([0, 0]);
        packet.extend(message);
        file.push(0, &packet);
    }
    file.bytes().to_vec()
}
