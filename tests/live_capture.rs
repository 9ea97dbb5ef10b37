//! Live capture on a veth pair between two network namespaces, frame by frame.
//!
//! Needs root and `ip`; without, a line says that the test is skipped. The test makes two namespaces of its own, runs
//! this program again inside one of them (the tests marked ignored are what runs there), and removes them at the end.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod capture_rig;

use capture_rig::{
    Collected, Namespaces, PATIENCE, SENDER, WAIT, bring_up, can_make_namespaces, collect, ip, is_inside, monitor,
    send, sender,
};
use netmon::capture::{Adapter, CaptureError, Config, LiveAdapter, PcapAdapter, Poll, interfaces};
use netmon::packet::{InterfaceId, Linktype};
use std::net::UdpSocket;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Instant;

const DATAGRAMS: u32 = 1000;

fn open(name: &str, config: &Config) -> PcapAdapter {
    PcapAdapter::open(name, InterfaceId(3), config).unwrap()
}

#[test]
fn every_frame_on_a_veth_pair_is_captured_once() {
    if can_make_namespaces("veth") {
        Namespaces::new("veth").run("inside_every_frame_is_captured");
    }
}

#[test]
#[ignore = "run in a namespace by every_frame_on_a_veth_pair_is_captured_once"]
fn inside_every_frame_is_captured() {
    if !is_inside() {
        return;
    }
    let mut adapter = open("m0", &Config { snaplen: 60, ..Config::default() });
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
        assert_eq!(&bytes[..6], [2, 0, 0, 0, 0, 0x99]);
    }
    assert!(frames.0.iter().any(|(meta, _)| meta.timestamp.as_nanos() % 1000 != 0), "times have nanoseconds");
    let statistics = adapter.statistics().unwrap().unwrap();
    assert_eq!((statistics.received, statistics.kernel_dropped), (u64::from(DATAGRAMS), 0));
    let kernel = interfaces::kernel_counters("m0").unwrap();
    assert_eq!(kernel.packets[0], u64::from(DATAGRAMS));
    assert_eq!(interfaces::link("m0").up, Some(true));
    assert_eq!(interfaces::probe("m0").unwrap()[0], Linktype::Ethernet);
    assert_eq!(interfaces::of_default_route(), "lo", "there is no default route here");
}

#[test]
fn a_filter_is_set_on_the_live_handle_and_can_be_replaced() {
    if can_make_namespaces("bpf") {
        Namespaces::new("bpf").run("inside_a_filter_is_set");
    }
}

#[test]
#[ignore = "run in a namespace by a_filter_is_set_on_the_live_handle_and_can_be_replaced"]
fn inside_a_filter_is_set() {
    if !is_inside() {
        return;
    }
    let bpf = |expression: &str| Config { bpf: Some(expression.into()), ..Config::default() };
    let error = PcapAdapter::open("m0", InterfaceId(0), &bpf("tcp prot 443")).unwrap_err();
    assert_eq!(error.to_string(), "filter `tcp prot 443` does not compile for linktype EN10MB: libpcap: syntax error");
    // Ten of every 1400 datagrams, those with 100 to 109 bytes of payload.
    let mut adapter = open("m0", &bpf("udp and udp[4:2] >= 108 and udp[4:2] < 118"));
    send();
    assert_eq!(collect(&mut adapter, 10).0.len(), 10);
    adapter.set_filter(Some("tcp")).unwrap();
    assert!(adapter.set_filter(Some("nonsense (")).is_err());
    send();
    adapter.set_filter(None).unwrap();
    send();
    let frames = collect(&mut adapter, DATAGRAMS as usize);
    assert_eq!(frames.0.len(), DATAGRAMS as usize, "none of those sent while the filter was `tcp`");
}

#[test]
fn each_datagram_on_the_loopback_is_captured_once() {
    if can_make_namespaces("lo") {
        Namespaces::new("lo").run("inside_loopback");
    }
}

#[test]
#[ignore = "run in a namespace by each_datagram_on_the_loopback_is_captured_once"]
fn inside_loopback() {
    if !is_inside() {
        return;
    }
    let mut adapter = open("lo", &Config::default());
    assert!(adapter.interfaces()[0].perspective.loopback);
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..50 {
        sender.send_to(b"once", receiver.local_addr().unwrap()).unwrap();
    }
    assert_eq!(collect(&mut adapter, 50).0.len(), 50);
}

#[test]
fn a_deleted_interface_ends_the_capture_with_its_name() {
    if can_make_namespaces("gone") {
        Namespaces::new("gone").run("inside_deleted");
    }
}

#[test]
#[ignore = "run in a namespace by a_deleted_interface_ends_the_capture_with_its_name"]
fn inside_deleted() {
    if !is_inside() {
        return;
    }
    let mut adapter = open("m0", &Config::default());
    ip(&["-n", &sender(), "link", "del", "g0"]);
    let mut sink = Collected::default();
    let error = (0..PATIENCE).find_map(|_| adapter.poll(WAIT, &mut sink).err());
    assert!(matches!(&error, Some(CaptureError::InterfaceGone { interface }) if interface == "m0"), "{error:?}");
    assert!(interfaces::kernel_counters("m0").is_none());
}

#[test]
fn libpcap_waits_while_the_interface_is_down_and_goes_on_when_it_is_up() {
    if can_make_namespaces("updown") {
        Namespaces::new("updown").run("inside_down_and_up");
    }
}

#[test]
#[ignore = "run in a namespace by libpcap_waits_while_the_interface_is_down_and_goes_on_when_it_is_up"]
#[expect(clippy::disallowed_methods, reason = "that a poll waits shows only in time")]
fn inside_down_and_up() {
    if !is_inside() {
        return;
    }
    let mut adapter = open("m0", &Config::default());
    assert_eq!(adapter.backend(), "libpcap");
    let mut sink = Collected::default();
    for _ in 0..2 {
        ip(&["-n", &monitor(), "link", "set", "m0", "down"]);
        let start = Instant::now();
        for _ in 0..12 {
            assert_eq!(adapter.poll(WAIT, &mut sink).unwrap(), Poll::Idle);
        }
        assert!(start.elapsed() >= 10 * WAIT, "two polls may return at once, to read the error; the rest wait");
        bring_up(&sender(), &monitor());
        send();
        assert_eq!(collect(&mut adapter, DATAGRAMS as usize).0.len(), DATAGRAMS as usize);
    }
}

#[test]
fn without_the_capability_the_error_names_it_and_the_user() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: only root can become another user");
        return;
    }
    const NOBODY: u32 = 65534;
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "inside_unprivileged"]).env(SENDER, "none").uid(NOBODY).gid(NOBODY);
    match command.output() {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout)),
        Err(error) => println!("skipped: nobody cannot start this program: {error}"),
    }
}

#[test]
#[ignore = "run as nobody by without_the_capability_the_error_names_it_and_the_user"]
fn inside_unprivileged() {
    if !is_inside() {
        return;
    }
    let error = PcapAdapter::open("lo", InterfaceId(0), &Config::default()).unwrap_err();
    assert_eq!(error.to_string(), "cannot capture on `lo`: CAP_NET_RAW is missing (user `nobody`)");
    assert!(!error.is_usage() && error.hint().unwrap().contains("setcap cap_net_raw+ep"));
    assert!(matches!(interfaces::probe("lo"), Err(CaptureError::NotPermitted { .. })));
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
