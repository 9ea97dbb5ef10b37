//! Capture through packet sockets of our own, on a veth pair between two network namespaces, frame by frame.
//!
//! Needs root, `ip` and `python3`; without, a line says that the test is skipped. The test makes two namespaces of its
//! own, runs this program again inside one of them (the tests marked ignored are what runs there), and removes them at
//! the end.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod capture_rig;

use capture_rig::{
    Collected, Namespaces, PATIENCE, WAIT, bring_up, can_make_namespaces, collect, ip, is_inside, monitor, send,
    send_frames, sender,
};
use netmon::capture::interfaces::{self, Interface};
use netmon::capture::{
    Adapter, CaptureError, Compiler, Config, FrameSink, Input, InterfaceInfo, LiveAdapter, Options, PcapAdapter, Poll,
    RawSocketAdapter, Savefiles, Spares, Statistics,
};
use netmon::packet::build::Builder;
use netmon::packet::{Direction, Frame, InterfaceId, Linktype, ParsedPacket, Perspective, parse};
use nix::unistd::{Gid, Uid};
use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

const DATAGRAMS: u32 = 1000;
const NOBODY: u32 = 65534;

/// Runs `inside` in the namespace that captures.
fn run(name: &str, inside: &str) {
    if can_make_namespaces(name) {
        Namespaces::new(name).run(inside);
    }
}

/// What a process keeps to open adapters.
struct Kit {
    spares: Spares,
    compiler: Arc<Compiler>,
}

impl Kit {
    fn new(spares: usize) -> Self {
        Self { spares: Spares::open(spares).unwrap(), compiler: Arc::new(Compiler::open()) }
    }

    fn try_open(&self, name: &str, config: &Config) -> Result<RawSocketAdapter, CaptureError> {
        RawSocketAdapter::open(&described(name), InterfaceId(3), config, &self.spares, &self.compiler)
    }

    fn open(&self, name: &str, config: &Config) -> RawSocketAdapter {
        self.try_open(name, config).unwrap()
    }

    fn open_fanout(&self, name: &str, rings: usize) -> Vec<RawSocketAdapter> {
        let (interface, config) = (described(name), Config::default());
        RawSocketAdapter::open_fanout(&interface, InterfaceId(3), &config, &self.spares, &self.compiler, rings).unwrap()
    }
}

fn described(name: &str) -> Interface {
    interfaces::list().unwrap().into_iter().find(|interface| interface.name == name).unwrap()
}

fn statistics(adapter: &mut dyn Adapter) -> Statistics {
    adapter.statistics().unwrap().unwrap()
}

fn bpf(expression: &str) -> Config {
    Config { bpf: Some(expression.into()), ..Config::default() }
}

/// The first error that polling gives.
fn error_of(adapter: &mut RawSocketAdapter, sink: &mut dyn FrameSink) -> Option<CaptureError> {
    (0..PATIENCE).find_map(|_| adapter.poll(WAIT, sink).err())
}

/// Gives up root for good: another user, no capability, no way to get one.
fn become_nobody() {
    nix::unistd::setgroups(&[]).unwrap();
    let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    nix::unistd::setresgid(gid, gid, gid).unwrap();
    nix::unistd::setresuid(uid, uid, uid).unwrap();
    nix::sys::prctl::set_no_new_privs().unwrap();
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    for set in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
        assert!(status.contains(&format!("{set}:\t0000000000000000")), "{status}");
    }
    assert!(Spares::open(1).is_err(), "a new packet socket is refused");
}

/// A shell that stays root and runs a line at a time.
struct RootShell {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl RootShell {
    fn new() -> Self {
        let mut child =
            Command::new("sh").arg("-e").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sh starts");
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, answers }
    }

    fn run(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}\necho done").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert_eq!(answer, "done\n", "{line}");
    }
}

impl Drop for RootShell {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

#[test]
fn every_frame_on_a_veth_pair_is_captured_once_by_a_packet_socket() {
    run("rveth", "inside_every_frame");
}

#[test]
#[ignore = "run in a namespace by a test above"]
fn inside_every_frame() {
    if !is_inside() {
        return;
    }
    let kit = Kit::new(1);
    let mut adapter = kit.open("m0", &Config { snaplen: 60, ..Config::default() });
    assert_eq!((kit.spares.left(), adapter.backend()), (0, "af_packet"));
    let info = adapter.interfaces()[0].clone();
    assert_eq!((info.id, &info.name[..], &info.linktypes[..]), (InterfaceId(3), "m0", &[Linktype::Ethernet][..]));
    assert!(info.perspective.mac.is_some() && !info.perspective.loopback && adapter.is_promiscuous());
    send();
    let frames = collect(&mut adapter, DATAGRAMS as usize);
    assert_eq!(frames.0.len(), DATAGRAMS as usize);
    for (n, (meta, bytes)) in frames.0.iter().enumerate() {
        let payload = u32::try_from(n).unwrap() % 1400;
        assert_eq!(meta.wire_len, 14 + 20 + 8 + payload);
        assert_eq!((meta.caplen, meta.caplen as usize), (meta.wire_len.min(60), bytes.len()));
        assert_eq!((meta.interface, meta.timed), (InterfaceId(3), true));
        assert_eq!((meta.direction, meta.gso_size), (Some(Direction::Receive), 0));
        assert_eq!(&bytes[..6], [2, 0, 0, 0, 0, 0x99]);
    }
    assert!(frames.0.iter().any(|(meta, _)| meta.timestamp.as_nanos() % 1000 != 0), "times have nanoseconds");
    assert_eq!(
        statistics(&mut adapter),
        Statistics { received: u64::from(DATAGRAMS), kernel_dropped: 0, interface_dropped: 0, freezes: 0 }
    );
    assert_eq!(interfaces::kernel_counters("m0").unwrap().packets[0], u64::from(DATAGRAMS));
    drop(adapter);
    assert_eq!((kit.spares.left(), kit.spares.lost()), (1, 0));
}

/// Frames with tags of every kind, all of them with UDP inside as far as they go.
fn tagged_frames(source_mac: [u8; 6]) -> Vec<Vec<u8>> {
    let start = || Builder::ethernet().macs(source_mac, [2, 0, 0, 0, 0, 0x99]);
    let end = |builder: Builder| builder.ipv4([192, 0, 2, 1], [192, 0, 2, 99]).udp(7, 9).payload(&[7; 100]).build();
    let mut frames = vec![
        end(start()),
        end(start().vlan(42)),
        end(start().tag(0x88a8, 100).vlan(42)),
        end(start().vlan(0)),
        end(start().vlan(1).vlan(2).vlan(3)),
        end(start().tag(0x88a8, 1).tag(0x88a8, 2).vlan(3)),
        end(start().tag(0x9100, 5).vlan(6)),
        start().vlan(4095).ethertype(0x0806).payload(&[1; 28]).build(),
    ];
    // A priority in the upper bits, and a stack that ends inside its second tag.
    let mut priority = frames[3].clone();
    priority[14] = 0xe0;
    frames.push(priority);
    frames.push(frames[2][..20].to_vec());
    frames
}

#[test]
fn tags_are_in_the_bytes_as_they_were_sent_in_both_directions_and_both_backends_agree() {
    run("rtag", "inside_tags");
}

#[test]
#[ignore = "run in a namespace by a test above"]
fn inside_tags() {
    if !is_inside() {
        return;
    }
    let mut raw = Kit::new(1).open("m0", &Config::default());
    let mut pcap = PcapAdapter::open("m0", InterfaceId(3), &Config::default()).unwrap();
    let mac = described("m0").mac.unwrap();
    let (received, transmitted) = (tagged_frames([2, 0, 0, 0, 0, 1]), tagged_frames(mac));
    send_frames(&sender(), "g0", &received);
    send_frames(&monitor(), "m0", &transmitted);
    let sent: Vec<Vec<u8>> = received.iter().chain(&transmitted).cloned().collect();
    let (raw_frames, pcap_frames) = (collect(&mut raw, sent.len()), collect(&mut pcap, sent.len()));
    assert_eq!(raw_frames.bytes(), sent.iter().map(Vec::as_slice).collect::<Vec<_>>());
    assert_eq!(pcap_frames.bytes(), raw_frames.bytes());
    for ((ours, _), (theirs, _)) in raw_frames.0.iter().zip(&pcap_frames.0) {
        assert_eq!((ours.wire_len, ours.caplen), (theirs.wire_len, theirs.caplen));
    }
    let perspective = raw.interfaces()[0].perspective.clone();
    assert_eq!(perspective, pcap.interfaces()[0].perspective);
    let live = parsed(&raw_frames, &perspective);
    assert_eq!(without_time(parsed(&pcap_frames, &perspective)), without_time(live.clone()));
    assert_eq!(without_time(parsed(&from_savefile(&sent), &perspective)), without_time(live.clone()));
    let (receive, transmit) = live.split_at(received.len());
    assert!(receive.iter().all(|packet| packet.direction == Direction::Receive));
    assert!(transmit.iter().all(|packet| packet.direction == Direction::Transmit));
    let ids: Vec<Vec<u16>> = receive.iter().map(|packet| packet.vlan.ids().collect()).collect();
    assert_eq!(ids[..4], [vec![], vec![42], vec![100, 42], vec![0]]);
}

fn parsed(frames: &Collected, perspective: &Perspective) -> Vec<ParsedPacket> {
    frames.0.iter().map(|(meta, bytes)| parse(&Frame { meta: *meta, bytes }, perspective)).collect()
}

/// The packets as if all were of one moment and one interface.
fn without_time(mut packets: Vec<ParsedPacket>) -> Vec<ParsedPacket> {
    for packet in &mut packets {
        (packet.timestamp, packet.interface) = (ParsedPacket::default().timestamp, InterfaceId(0));
    }
    packets
}

/// The same frames through a capture file.
fn from_savefile(frames: &[Vec<u8>]) -> Collected {
    let mut bytes = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 1] {
        bytes.extend(word.to_le_bytes());
    }
    for frame in frames {
        let len = u32::try_from(frame.len()).unwrap();
        [1_700_000_000, 0, len, len].iter().for_each(|word| bytes.extend(word.to_le_bytes()));
        bytes.extend(frame);
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let mut savefile = Savefiles::open(&[Input::Path(file.path().into())], &Options::default()).unwrap();
    let mut collected = Collected::default();
    while savefile.poll(WAIT, &mut collected).unwrap() != Poll::End {}
    collected
}

#[test]
fn a_thousand_datagrams_on_the_loopback_are_a_thousand() {
    run("rlo", "inside_loopback");
}

#[test]
#[ignore = "run in a namespace by a test above"]
fn inside_loopback() {
    if !is_inside() {
        return;
    }
    for config in [Config::default(), bpf("udp")] {
        let mut adapter = Kit::new(0).open("lo", &config);
        assert!(adapter.interfaces()[0].perspective.loopback);
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..DATAGRAMS {
            socket.send_to(b"once", receiver.local_addr().unwrap()).unwrap();
        }
        let frames = collect(&mut adapter, DATAGRAMS as usize);
        assert_eq!(frames.0.len(), DATAGRAMS as usize);
        assert!(frames.0.iter().all(|(meta, _)| meta.direction.is_none() && meta.wire_len == 14 + 20 + 8 + 4));
        assert_eq!(statistics(&mut adapter).received, u64::from(DATAGRAMS));
    }
}

#[test]
fn filters_see_stripped_tags_and_are_replaced_without_leftovers() {
    run("rbpf", "inside_filters");
}

#[test]
#[ignore = "run in a namespace by a test above"]
fn inside_filters() {
    if !is_inside() {
        return;
    }
    let kit = Kit::new(1);
    assert!(kit.compiler.knows_vlan_tags());
    let error = kit.try_open("m0", &bpf("tcp prot 443")).unwrap_err();
    assert_eq!(error.to_string(), "filter `tcp prot 443` does not compile for linktype EN10MB: libpcap: syntax error");
    assert_eq!(kit.spares.left(), 1, "what was not opened is still there");
    let sent = tagged_frames([2, 0, 0, 0, 0, 1]);
    let mut adapter = kit.open("m0", &Config { snaplen: 77, ..bpf("vlan 42") });
    let passed = |adapter: &mut RawSocketAdapter, count| {
        send_frames(&sender(), "g0", &sent);
        let frames = collect(adapter, count);
        let which = |bytes: &[u8]| sent.iter().position(|sent| sent[..sent.len().min(77)] == *bytes).unwrap();
        frames.0.iter().map(|(_, bytes)| which(bytes)).collect::<Vec<_>>()
    };
    assert_eq!(passed(&mut adapter, 1), [1], "the snapshot length holds with a tag too");
    for (expression, expected) in [
        (Some("not vlan"), &[0][..]),
        (Some("vlan 100 and vlan 42"), &[2, 9]),
        (Some("vlan"), &[1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (Some("inbound and vlan 0"), &[3, 8]),
        (Some("outbound"), &[]),
        (None, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
    ] {
        adapter.set_filter(expression).unwrap();
        assert_eq!(passed(&mut adapter, expected.len()), expected, "{expression:?}");
    }
    // The frame that the old filter passed still counts.
    adapter.set_filter(Some("not vlan")).unwrap();
    send_frames(&sender(), "g0", &sent);
    std::thread::sleep(WAIT);
    let error = adapter.set_filter(Some("nonsense (")).unwrap_err();
    assert!(matches!(error, CaptureError::Filter(_)));
    adapter.set_filter(Some("vlan 42")).unwrap();
    std::thread::sleep(WAIT);
    assert_eq!(passed(&mut adapter, 2), [0, 1], "none is lost and none too many");
}

#[test]
fn frames_that_found_no_room_are_counted_to_the_frame() {
    run("rdrop", "inside_drops");
}

#[test]
#[ignore = "run in a namespace by a test above"]
fn inside_drops() {
    if !is_inside() {
        return;
    }
    let mut adapter = Kit::new(1).open("m0", &Config { buffer_bytes: 256 << 10, ..Config::default() });
    let mut read = 0;
    for rounds in 1..=3 {
        send();
        send();
        let after = statistics(&mut adapter);
        assert_eq!(after.received + after.kernel_dropped, u64::from(2 * DATAGRAMS * rounds));
        assert!(after.kernel_dropped > 0 && after.freezes >= u64::from(rounds), "{after:?}");
        read += collect(&mut adapter, usize::try_from(after.received).unwrap() - read).0.len();
        assert_eq!(read as u64, after.received, "what is not dropped is read");
    }
}

#[test]
fn a_packet_socket_waits_while_the_interface_is_down_and_goes_on_when_it_is_up() {
    run("rdown", "inside_down_and_up");
}

#[test]
#[ignore = "run in a namespace by a test above"]
#[expect(clippy::disallowed_methods, reason = "that a poll waits shows only in time")]
fn inside_down_and_up() {
    if !is_inside() {
        return;
    }
    let down = || ip(&["-n", &monitor(), "link", "set", "m0", "down"]);
    let kit = Kit::new(3);
    down();
    let mut adapters = vec![kit.open("m0", &Config::default())];
    for _ in 0..2 {
        let start = Instant::now();
        for _ in 0..12 {
            assert_eq!(adapters[0].poll(WAIT, &mut Collected::default()).unwrap(), Poll::Idle);
        }
        assert!(start.elapsed() >= 10 * WAIT, "two polls may return at once, to read the error; the rest wait");
        bring_up(&sender(), &monitor());
        send();
        assert_eq!(collect(&mut adapters[0], DATAGRAMS as usize).0.len(), DATAGRAMS as usize);
        down();
    }
    // Kernels since 6.13 let a group be made while the interface is down.
    adapters = kit.open_fanout("m0", 2);
    bring_up(&sender(), &monitor());
    send();
    let counts: Vec<usize> = adapters.iter_mut().map(|adapter| collect(adapter, 0).0.len()).collect();
    assert_eq!(counts.iter().sum::<usize>(), DATAGRAMS as usize, "{counts:?}");
}

#[test]
fn nobody_follows_an_interface_that_is_deleted_and_made_again_fifty_times() {
    run("rgone", "inside_recreated");
}

#[test]
#[ignore = "run in a namespace by a test above"]
fn inside_recreated() {
    if !is_inside() {
        return;
    }
    let (sender, monitor) = (sender(), monitor());
    let kit = Kit::new(2);
    let mut shell = RootShell::new();
    become_nobody();
    let mut descriptors = HashSet::new();
    for round in 0..50 {
        let mut adapter = kit.open("m0", &bpf("udp and not vlan 42"));
        assert_eq!((kit.spares.left(), adapter.is_promiscuous()), (1, true));
        let lines = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
            for n in range(20): s.sendto(b\"x\", (\"192.0.2.99\", 9))";
        shell.run(&format!("ip netns exec {sender} python3 -c '{lines}'\nip -n {sender} link del g0"));
        let mut sink = Collected::default();
        let error = error_of(&mut adapter, &mut sink);
        assert!(matches!(&error, Some(CaptureError::InterfaceGone { interface }) if interface == "m0"), "{error:?}");
        assert_eq!(sink.0.len(), 20, "what came before the end is not lost");
        assert_eq!(statistics(&mut adapter).received, 20);
        drop(adapter);
        assert_eq!((kit.spares.left(), kit.spares.lost()), (2, 0), "round {round}");
        shell.run(&format!(
            "ip -n {sender} link add g0 type veth peer name m0 netns {monitor}\n\
             ip -n {sender} addr add 192.0.2.1/24 dev g0\nip -n {sender} link set g0 up\n\
             ip -n {monitor} link set m0 up\n\
             ip -n {sender} neigh add 192.0.2.99 lladdr 02:00:00:00:00:99 dev g0\n\
             until ip -n {sender} link show g0 | grep -q 'state UP'; do sleep 0.01; done"
        ));
        descriptors.insert(std::fs::read_dir("/proc/self/fd").unwrap().count());
    }
    assert_eq!(descriptors.len(), 1, "{descriptors:?}");
    assert_eq!(kit.open_fanout("m0", 2).len(), 2, "a group needs no privilege either");
}

#[test]
fn without_a_spare_and_without_the_capability_the_error_says_what_to_raise() {
    run("rspare", "inside_no_spare");
}

#[test]
#[ignore = "run in a namespace by a test above"]
fn inside_no_spare() {
    if !is_inside() {
        return;
    }
    let kit = Kit::new(1);
    let privileged = [kit.open("m0", &Config::default()), kit.open("lo", &Config::default())];
    drop(privileged);
    assert_eq!(kit.spares.left(), 1, "a socket beyond the first count is closed");
    become_nobody();
    let error = Spares::open(2).unwrap_err();
    assert_eq!(error.to_string(), "cannot open packet socket 1 of 2");
    assert!(error.hint().unwrap().contains("setcap cap_net_raw+ep"));
    let adapter = kit.open("m0", &Config::default());
    let error = kit.try_open("lo", &Config::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot capture on `lo`: no spare packet socket is left of 1, `capture.spares` raises it"
    );
    assert!(!error.is_usage() && error.hint().unwrap().contains("raise `capture.spares`"));
    drop(adapter);
    kit.open("lo", &Config::default());
    assert_eq!(kit.spares.left(), 1);
}

#[test]
fn two_rings_share_all_frames_and_each_pair_of_addresses_keeps_to_one() {
    run("rfan", "inside_fanout");
}

/// What 40 pairs of hosts say to each other: whole, tagged, in fragments and in a tunnel, one way or the other.
fn conversations(forth: bool) -> Vec<Vec<u8>> {
    let start = || if forth { Builder::ethernet() } else { Builder::ethernet().macs([2, 0, 0, 0, 0, 9], [2; 6]) };
    let pair = |n: u8| {
        let (a, b) = either(forth, [10, 0, 0, n], [10, 9, n, 1]);
        let (a6, b6) = ([0x2001, 0xdb8, 0, 0, 0, 0, 0, n.into()], [0x2001, 0xdb8, 1, 0, 0, n.into(), 0, 1]);
        let (a6, b6) = either(forth, a6, b6);
        let inner = Builder::raw().ipv4([n, 1, 1, 1], [2, 2, 2, 2]).udp(1, 2).build();
        let body = [7; 600];
        [
            start().ipv4(a, b).udp(1000 + u16::from(n), 53).payload(&body),
            start().ipv4(a, b).fragment(0, true).udp(1, 2).payload(&body),
            start().ipv4(a, b).fragment(76, false).protocol(17).payload(&body),
            start().ipv4(a, b).protocol(4).payload(&inner),
            start().vlan(42).ipv4(a, b).udp(5, 6).payload(&body),
            start().tag(0x88a8, 7).vlan(42).ipv4(a, b).udp(5, 6).payload(&body),
            start().ipv6(a6, b6).udp(7, 8).payload(&body),
            start().vlan(1).vlan(2).vlan(3).ipv6(a6, b6).udp(7, 8).payload(&body),
        ]
        .map(|builder| builder.build())
    };
    (1..=40).flat_map(pair).collect()
}

fn either<T>(forth: bool, a: T, b: T) -> (T, T) {
    if forth { (a, b) } else { (b, a) }
}

#[test]
#[ignore = "run in a namespace by a test above"]
fn inside_fanout() {
    if !is_inside() {
        return;
    }
    let kit = Kit::new(3);
    let mut rings = kit.open_fanout("m0", 2);
    let sent = [conversations(true), conversations(false)];
    send_frames(&sender(), "g0", &sent[0]);
    send_frames(&monitor(), "m0", &sent[1]);
    let read: Vec<Collected> = rings.iter_mut().map(|ring| collect(ring, 1)).collect();
    let mut home = HashMap::new();
    for (ring, frames) in read.iter().enumerate() {
        let perspective = rings[ring].interfaces()[0].perspective.clone();
        for packet in parsed(frames, &perspective) {
            let mut pair = [packet.source, packet.destination];
            pair.sort_unstable();
            assert_eq!(*home.entry(pair).or_insert(ring), ring, "{packet:?}");
        }
    }
    assert_eq!(home.len(), 80);
    let dealt = [0, 1].map(|ring| home.values().filter(|home| **home == ring).count());
    assert!(dealt.iter().all(|dealt| *dealt >= 20), "{dealt:?}");
    let mut all: Vec<&[u8]> = read.iter().flat_map(Collected::bytes).collect();
    let mut expected: Vec<&[u8]> = sent.iter().flatten().map(|frame| &frame[..frame.len().min(512)]).collect();
    all.sort_unstable();
    expected.sort_unstable();
    assert!(all == expected, "each frame once: {} of {}", all.len(), expected.len());
    let counted: Vec<u64> = rings.iter_mut().map(|ring| statistics(ring).received).collect();
    assert_eq!(counted, read.iter().map(|frames| frames.0.len() as u64).collect::<Vec<_>>());
    drop(rings);
    assert_eq!((kit.spares.left(), kit.spares.lost()), (1, 2), "a member of a group can only be closed");
}

#[test]
fn super_frames_have_the_bytes_that_the_kernel_counts_and_tell_their_segments() {
    run("rgso", "inside_super_frames");
}

/// Bytes by direction, and what was seen of super-frames.
#[derive(Default)]
struct Sums {
    perspective: Perspective,
    bytes: [u64; 2],
    packets: [u64; 2],
    cut: u64,
    longest: u32,
    segment_sizes: HashMap<u16, u64>,
}

impl FrameSink for Sums {
    fn interface(&mut self, info: &InterfaceInfo) {
        self.perspective = info.perspective.clone();
    }

    fn frames(&mut self, frames: &[Frame<'_>]) {
        for frame in frames {
            let packet = parse(frame, &self.perspective);
            self.bytes[packet.direction as usize] += u64::from(packet.wire_len);
            self.packets[packet.direction as usize] += 1;
            self.cut += u64::from(packet.caplen < packet.wire_len);
            self.longest = self.longest.max(packet.wire_len);
            if packet.wire_len > 1514 {
                *self.segment_sizes.entry(packet.gso_size).or_default() += 1;
            }
        }
    }
}

#[test]
#[ignore = "run in a namespace by a test above"]
fn inside_super_frames() {
    if !is_inside() {
        return;
    }
    const SERVER: &str = "import socket\n\
        s = socket.create_server((\"192.0.2.2\", 80)); c = s.accept()[0]\n\
        while c.recv(1 << 20): pass";
    const CLIENT: &str = "import socket, time\n\
        for n in range(100):\n try: c = socket.create_connection((\"192.0.2.2\", 80)); break\n except OSError: time.sleep(.1)\n\
        c.sendall(bytes(20 << 20)); c.close()";
    ip(&["-n", &monitor(), "addr", "add", "192.0.2.2/24", "dev", "m0"]);
    let config = Config { snaplen: 262_144, buffer_bytes: 64 << 20, ..Config::default() };
    let mut raw = Kit::new(1).open("m0", &config);
    let mut pcap = PcapAdapter::open("m0", InterfaceId(3), &config).unwrap();
    let before = interfaces::kernel_counters("m0").unwrap();
    let start = |namespace: &str, script| {
        Command::new("ip").args(["netns", "exec", namespace, "python3", "-c", script]).spawn().unwrap()
    };
    let (mut server, mut client) = (start(&monitor(), SERVER), start(&sender(), CLIENT));
    let (mut ours, mut theirs) = (Sums::default(), Sums::default());
    let mut idle = 0;
    while idle < 5 {
        let polls = [raw.poll(WAIT, &mut ours).unwrap(), pcap.poll(WAIT, &mut theirs).unwrap()];
        let ended = server.try_wait().unwrap().is_some() && polls == [Poll::Idle; 2];
        idle = if ended { idle + 1 } else { 0 };
    }
    assert!(client.wait().unwrap().success() && server.wait().unwrap().success());
    let after = interfaces::kernel_counters("m0").unwrap();
    let by_kernel = [0, 1].map(|way| after.bytes[way] - before.bytes[way]);
    assert_eq!(ours.bytes, by_kernel);
    assert_eq!(ours.packets, [0, 1].map(|way| after.packets[way] - before.packets[way]));
    assert_eq!((theirs.bytes, theirs.packets), (ours.bytes, ours.packets), "and so does libpcap");
    assert!(ours.bytes[0] > 20 << 20 && ours.cut == 0 && statistics(&mut raw).kernel_dropped == 0);
    assert!(ours.longest > 60_000, "{}", ours.longest);
    assert_eq!(ours.segment_sizes.keys().collect::<Vec<_>>(), [&1448], "1500 less the headers with time stamps");
    assert_eq!(theirs.segment_sizes.keys().collect::<Vec<_>>(), [&0], "libpcap does not tell");
}

#[test]
#[ignore = "run in the sending namespace by the tests above"]
fn inside_sender() {
    if !is_inside() {
        return;
    }
    let socket = UdpSocket::bind("192.0.2.1:0").unwrap();
    for n in 0..DATAGRAMS {
        socket.send_to(&vec![0; (n % 1400) as usize], "192.0.2.99:9").unwrap();
    }
}
