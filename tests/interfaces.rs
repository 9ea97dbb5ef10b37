//! Interfaces that come, go and change in a network namespace, and what a monitor of them sees.
//!
//! Needs root and `ip`; without, a line says that the test is skipped. Each test makes a namespace of its own, runs this
//! program again inside (the tests marked ignored are what runs there), and removes it at the end.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use netmon::capture::interfaces::{Change, Interface, Link, Monitor, Selection, overlaps};
use std::fs;
use std::io::{Read as _, Seek as _, Write as _};
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Set where the inner tests run.
const INSIDE: &str = "NETMON_TEST_INTERFACES";
const WAIT: Duration = Duration::from_millis(100);
/// Waits after which news are taken not to come.
const PATIENCE: u32 = 100;

struct Namespace(String);

impl Namespace {
    fn new(name: &str) -> Self {
        let namespace = Self(format!("nm-if-{name}-{}", std::process::id()));
        ip(&format!("netns add {}", namespace.0));
        // Without IPv6 no address comes by itself.
        let off =
            "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6";
        let done = Command::new("ip").args(["netns", "exec", &namespace.0, "sh", "-c", off]).status();
        assert!(done.unwrap().success());
        namespace
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Runs the ignored test `inside_NAME` of this file in a namespace of its own, where that can be made.
fn run_inside(name: &str) {
    let has_ip = Command::new("ip").arg("-V").output().is_ok_and(|output| output.status.success());
    if !(nix::unistd::geteuid().is_root() && has_ip) {
        assert!(
            std::env::var_os("TEST_REQUIRE_ALL").is_none(),
            "nothing may be skipped, but this needs root and ip(8)"
        );
        return println!("skipped: network namespaces need root and ip(8)");
    }
    let namespace = Namespace::new(name);
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &namespace.0]).arg(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "--nocapture", &format!("inside_{name}")]).env(INSIDE, "1");
    let output = command.output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// False where an ignored test is run by hand, outside of a namespace of its own.
fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

fn find<'a>(links: &'a [Interface], name: &str) -> Option<&'a Interface> {
    links.iter().find(|interface| interface.name == name)
}

/// Polls until what `name` is satisfies `as_expected`.
fn until(monitor: &mut Monitor, name: &str, as_expected: impl Fn(Option<&Interface>) -> bool) -> Option<Interface> {
    let mut changed = false;
    for _ in 0..PATIENCE {
        if as_expected(find(monitor.links(), name)) {
            assert!(changed, "poll has to tell of it");
            return find(monitor.links(), name).cloned();
        }
        changed |= monitor.poll(WAIT).unwrap();
    }
    panic!("`{name}` is {:?}", find(monitor.links(), name));
}

fn present(monitor: &mut Monitor, name: &str, as_expected: impl Fn(&Interface) -> bool) -> Interface {
    until(monitor, name, |interface| interface.is_some_and(&as_expected)).unwrap()
}

#[test]
fn what_becomes_of_an_interface_arrives_as_news() {
    run_inside("news");
}

#[test]
#[ignore = "run in a namespace by what_becomes_of_an_interface_arrives_as_news"]
fn inside_news() {
    if !is_inside() {
        return;
    }
    let mut monitor = Monitor::open().unwrap();
    let [lo] = monitor.links() else { panic!("{:?}", monitor.links()) };
    assert!(lo.name == "lo" && lo.loopback && !lo.up && lo.mac.is_none() && lo.index == Some(1));
    ip("link add v0 address 02:00:00:00:00:10 type veth peer name v1");
    let added = present(&mut monitor, "v0", |_| true);
    assert_eq!((added.up, added.running, added.mac), (false, false, Some([2, 0, 0, 0, 0, 0x10])));
    assert_eq!((added.kind.as_deref(), added.link.up, added.link.mtu), (Some("veth"), Some(false), Some(1500)));
    ip("addr add 192.0.2.1/24 dev v0");
    let addressed = present(&mut monitor, "v0", |v0| !v0.addresses.is_empty());
    assert_eq!(addressed.addresses, ["192.0.2.1/24".parse().unwrap()]);
    ip("link set v1 up");
    ip("link set v0 up");
    let up = present(&mut monitor, "v0", |v0| v0.up && v0.running && v0.link.up == Some(true));
    assert_eq!(
        up.link,
        Link { up: Some(true), speed: Some(1_250_000_000), mtu: Some(1500) },
        "10 Gbit/s is veth's own word"
    );
    ip("link set v0 mtu 9000");
    present(&mut monitor, "v0", |v0| v0.link.mtu == Some(9000));
    ip("link set v0 address 02:00:00:00:00:11");
    present(&mut monitor, "v0", |v0| v0.mac == Some([2, 0, 0, 0, 0, 0x11]));
    ip("addr del 192.0.2.1/24 dev v0");
    present(&mut monitor, "v0", |v0| v0.addresses.is_empty());
    ip("link set v1 down");
    present(&mut monitor, "v0", |v0| v0.up && !v0.running && v0.link.up == Some(false));
    ip("link set v0 down");
    present(&mut monitor, "v0", |v0| !v0.up);
    ip("link set v0 name w0");
    let renamed = present(&mut monitor, "w0", |_| true);
    assert_eq!((renamed.index, find(monitor.links(), "v0")), (added.index, None));
    ip("link del w0");
    until(&mut monitor, "w0", |w0| w0.is_none());
    until_quiet(&mut monitor);
    assert_eq!(monitor.links().len(), 1);
}

fn until_quiet(monitor: &mut Monitor) {
    let quiet = (0..PATIENCE).any(|_| !monitor.poll(WAIT).unwrap());
    assert!(quiet, "changes do not end");
}

#[test]
fn counters_are_the_kernels_and_no_news() {
    run_inside("counters");
}

#[test]
#[ignore = "run in a namespace by counters_are_the_kernels_and_no_news"]
fn inside_counters() {
    if !is_inside() {
        return;
    }
    ip("link add v0 type veth peer name v1");
    ip("addr add 192.0.2.1/24 dev v0");
    ip("link set v1 up");
    ip("link set v0 up");
    ip("neigh add 192.0.2.99 lladdr 02:00:00:00:00:99 dev v0");
    let mut monitor = Monitor::open().unwrap();
    let is_up = |monitor: &Monitor, name| find(monitor.links(), name).unwrap().link.up == Some(true);
    let settled =
        (0..PATIENCE).any(|_| !monitor.poll(WAIT).unwrap() && ["v0", "v1"].iter().all(|v| is_up(&monitor, v)));
    assert!(settled);
    let socket = UdpSocket::bind("192.0.2.1:0").unwrap();
    let before = find(monitor.links(), "v1").unwrap().kernel.unwrap();
    for length in 0..1000 {
        socket.send_to(&vec![0; length], "192.0.2.99:9").unwrap();
    }
    monitor.refresh().unwrap();
    assert!(!monitor.poll(WAIT).unwrap(), "counters alone are no change");
    let after = find(monitor.links(), "v1").unwrap().kernel.unwrap();
    let bytes: u64 = (0..1000u64).map(|length| length + 8 + 20 + 14).sum();
    assert_eq!((after.packets[0] - before.packets[0], after.bytes[0] - before.bytes[0]), (1000, bytes));
    for name in ["lo", "v0", "v1"] {
        let sys = |counter: &str| -> u64 {
            fs::read_to_string(format!("/sys/class/net/{name}/statistics/{counter}")).unwrap().trim().parse().unwrap()
        };
        let both = |counter: &str| ["rx", "tx"].map(|way| sys(&format!("{way}_{counter}")));
        let kernel = find(monitor.links(), name).unwrap().kernel.unwrap();
        assert_eq!((kernel.packets, kernel.bytes), (both("packets"), both("bytes")), "{name}");
        assert_eq!((kernel.errors, kernel.dropped), (both("errors"), both("dropped")), "{name}");
        assert_eq!(kernel.missed, sys("rx_missed_errors") + sys("rx_fifo_errors"), "{name}");
    }
}

#[test]
fn a_port_knows_its_bridge_and_a_macvlan_what_it_stands_on() {
    run_inside("relations");
}

#[test]
#[ignore = "run in a namespace by a_port_knows_its_bridge_and_a_macvlan_what_it_stands_on"]
fn inside_relations() {
    if !is_inside() {
        return;
    }
    let elsewhere = Namespace::new("peer");
    let mut monitor = Monitor::open().unwrap();
    ip("link add br0 type bridge");
    ip(&format!("link add v0 type veth peer name v1 netns {}", elsewhere.0));
    ip("link add w0 type veth peer name w1");
    ip("link add link w1 name m0 type macvlan");
    until_quiet(&mut monitor);
    let index = |monitor: &Monitor, name| find(monitor.links(), name).unwrap().index.unwrap();
    assert_eq!(find(monitor.links(), "v0").unwrap().parent, None, "the index of its peer is another namespace's");
    let (w1, m0) = (find(monitor.links(), "w1").unwrap(), find(monitor.links(), "m0").unwrap());
    assert_eq!((w1.parent, w1.master), (Some(index(&monitor, "w0")), None));
    assert_eq!((m0.parent, m0.kind.as_deref()), (Some(index(&monitor, "w1")), Some("macvlan")));
    ip("link set v0 master br0");
    let port = present(&mut monitor, "v0", |v0| v0.master.is_some());
    assert_eq!(port.master, Some(index(&monitor, "br0")));
    let names = ["br0", "lo", "m0", "v0", "w1"].map(str::to_owned);
    let pairs = [("v0", "br0"), ("m0", "w1")].map(|(one, other)| (one.to_owned(), other.to_owned()));
    let mut found = overlaps(monitor.links(), &names);
    found.sort_by_key(|(_, other)| other.clone());
    assert_eq!(found, pairs);
    ip("link set v0 nomaster");
    present(&mut monitor, "v0", |v0| v0.master.is_none());
}

#[test]
fn nobody_without_capabilities_or_a_file_system_is_told_all() {
    run_inside("unprivileged");
}

#[test]
#[ignore = "run in a namespace by nobody_without_capabilities_or_a_file_system_is_told_all"]
fn inside_unprivileged() {
    if !is_inside() {
        return;
    }
    const NOBODY: u32 = 65534;
    let mut root = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut commands = root.stdin.take().unwrap();
    let mut status = fs::File::open("/proc/self/status").unwrap();
    let mut opened_as_root = Monitor::open().unwrap();
    let empty = tempfile::tempdir().unwrap();
    nix::unistd::chroot(empty.path()).unwrap();
    std::env::set_current_dir("/").unwrap();
    nix::unistd::setgroups(&[]).unwrap();
    nix::unistd::setgid(NOBODY.into()).unwrap();
    nix::unistd::setuid(NOBODY.into()).unwrap();
    let mut text = String::new();
    status.rewind().unwrap();
    status.read_to_string(&mut text).unwrap();
    for set in ["CapEff", "CapPrm"] {
        assert!(text.contains(&format!("{set}:\t0000000000000000")), "{text}");
    }
    assert!(fs::read_dir("/").unwrap().next().is_none(), "there is no /proc and no /sys");
    let mut opened_as_nobody = Monitor::open().unwrap();
    for monitor in [&mut opened_as_root, &mut opened_as_nobody] {
        writeln!(commands, "link add v0 type veth peer name v1\nlink set v0 mtu 1400\naddr add 192.0.2.1/24 dev v0")
            .unwrap();
        let v0 = present(monitor, "v0", |v0| v0.link.mtu == Some(1400) && v0.addresses.len() == 1);
        assert!(v0.kernel.is_some() && v0.link.speed.is_none());
        writeln!(commands, "link del v0").unwrap();
        until(monitor, "v1", |v1| v1.is_none());
    }
    drop(commands);
    assert!(root.wait().unwrap().success());
}

#[test]
fn a_storm_that_overflows_the_socket_ends_with_the_right_picture() {
    run_inside("storm");
}

#[test]
#[ignore = "run in a namespace by a_storm_that_overflows_the_socket_ends_with_the_right_picture"]
fn inside_storm() {
    if !is_inside() {
        return;
    }
    ip("link add v0 type veth peer name v1");
    let mut monitor = Monitor::open().unwrap();
    // Nobody reads while this happens. Each change of one end is told of both.
    let mut batch = String::new();
    for n in 0..200 {
        let state = if n % 2 == 0 { "up" } else { "down" };
        batch += &format!("link set v0 {state}\nlink set v1 {state}\nlink set v0 mtu {}\n", 1000 + n);
    }
    batch +=
        "link set v1 name w1\nlink set v0 up\nlink set w1 up\naddr add 192.0.2.7/24 dev v0\nlink add br0 type bridge\n";
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), batch).unwrap();
    ip(&format!("-batch {}", file.path().display()));
    assert!(overflowed(), "the storm is too small to test what it is for");
    let told = (0..PATIENCE).any(|_| monitor.poll(WAIT).unwrap());
    assert!(told);
    until_quiet(&mut monitor);
    let names: Vec<&str> = monitor.links().iter().map(|interface| interface.name.as_str()).collect();
    assert_eq!(names, ["lo", "w1", "v0", "br0"]);
    let v0 = find(monitor.links(), "v0").unwrap();
    assert_eq!((v0.up, v0.running, v0.link.mtu), (true, true, Some(1199)));
    assert_eq!(v0.addresses, ["192.0.2.7/24".parse().unwrap()]);
    // It is told of what comes behind the overflow.
    ip("link del br0");
    until(&mut monitor, "br0", |br0| br0.is_none());
}

/// Whether a route socket of this namespace has lost news: /proc/net/netlink has them in its column `Drops`.
fn overflowed() -> bool {
    let table = fs::read_to_string("/proc/net/netlink").unwrap();
    let drops = table.lines().skip(1).filter_map(|line| line.split_ascii_whitespace().nth(8)?.parse::<u64>().ok());
    drops.sum::<u64>() > 0
}

#[test]
fn a_name_that_is_deleted_and_made_again_is_gone_and_back_each_time() {
    run_inside("again");
}

#[test]
#[ignore = "run in a namespace by a_name_that_is_deleted_and_made_again_is_gone_and_back_each_time"]
fn inside_again() {
    if !is_inside() {
        return;
    }
    ip("link add v0 type veth peer name v1");
    let mut monitor = Monitor::open().unwrap();
    let mut selection = Selection::new(&["v0".to_owned()]);
    assert!(matches!(&selection.update(monitor.links())[..], [Change::Joined(v0)] if v0.name == "v0"));
    for _ in 0..20 {
        ip("link del v0");
        ip("link add v0 type veth peer name v1");
        assert!(monitor.poll(WAIT).unwrap());
        let changes = selection.update(monitor.links());
        let [Change::Gone { name }, Change::Back(v0)] = &changes[..] else { panic!("{changes:?}") };
        assert_eq!((name.as_str(), v0.name.as_str()), ("v0", "v0"));
        until_quiet(&mut monitor);
        assert!(selection.update(monitor.links()).is_empty());
    }
    ip("link set v0 name x0");
    assert!(monitor.poll(WAIT).unwrap());
    assert_eq!(selection.update(monitor.links()), [Change::Gone { name: "v0".into() }]);
}

#[test]
fn a_monitor_of_a_silent_machine_sleeps() {
    run_inside("silent");
}

#[test]
#[ignore = "run in a namespace by a_monitor_of_a_silent_machine_sleeps"]
#[expect(clippy::disallowed_methods, reason = "whether it waits can only be told by a clock")]
fn inside_silent() {
    if !is_inside() {
        return;
    }
    let mut monitor = Monitor::open().unwrap();
    until_quiet(&mut monitor);
    let start = std::time::Instant::now();
    for _ in 0..5 {
        assert!(!monitor.poll(WAIT).unwrap());
        monitor.refresh().unwrap();
    }
    assert!(start.elapsed() >= 5 * WAIT, "each poll waits, and asking for counters makes no news");
}
