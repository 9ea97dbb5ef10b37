//! Floods and scans: memory and series are bounded by the configuration, and those who really talk are not pushed out.

use crate::rig::ledger::Ledger;
use crate::rig::memory::MemoryGroup;
use crate::rig::metrics::Page;
use crate::rig::sender::Sender;
use crate::rig::{MONITOR, START, Wire, can_run};
use crate::support::running::{Running, wait_until};
use crate::{TOOLS, figure, is_soak, short_or_soak, with_each_backend};
use std::process::Stdio;
use std::time::Duration;

/// Established connections beside the flood.
const ECHOES: u32 = 200;
const MEMORY: u64 = 256 << 20;
/// Flows at a time: one takes about 170 bytes, so a full table leaves room for the rest of the program. In the short form
/// a table that a program without optimisation fills in a few seconds.
const FLOWS: [&str; 2] = ["131072", "524288"];

with_each_backend!(established_flows_outlive_a_syn_flood_within_the_memory_given);

fn established_flows_outlive_a_syn_flood_within_the_memory_given(backend: &str) {
    if backend == "raw" && !is_soak() {
        // What it is about, the flow table, is behind both backends.
        return eprintln!("skipped: only in the long form");
    }
    if !can_run(TOOLS) {
        return;
    }
    let Some(memory) = MemoryGroup::new(MEMORY) else { return };
    let wire = Wire::new();
    let netmon = wire
        .netmon("m0")
        .backend(backend)
        .set("flows.max", short_or_soak(FLOWS[0], FLOWS[1]))
        .set(WINDOWS.0, WINDOWS.1);
    let mut netmon = netmon.within(&memory).start();
    let before = Ledger::now(&wire);
    let echoes = Echoes::start(&wire);
    wait_until("all connections to be open", START, || (open(&wire.metrics()) >= f64::from(ECHOES)).then_some(()));

    let series = wire.metrics().sum("netmon_series", &[]);
    let flood = Sender::start(&wire, &["--profile", "synflood"]);
    for _ in 0..short_or_soak(8, 60) {
        std::thread::sleep(Duration::from_secs(1));
        let page = wire.metrics();
        assert!(open(&page) >= f64::from(ECHOES), "{} of {ECHOES} flows are open", open(&page));
        assert_eq!(page.sum("netmon_series", &[]), series, "series do not grow with what arrives");
    }
    let sent = flood.stop();
    let ledger = Ledger::settled(&wire, &before);
    echoes.end();

    let page = wire.metrics();
    let victims = ["half_open", "idle", "oldest"]
        .map(|victim| page.sum("netmon_flow_table_evictions_total", &[("victim", victim)]));
    figure(&format!("SYN flood, {backend}"), format!("{sent:?}, {ledger:?}, evicted {victims:?}"));
    figure(&format!("most memory under the flood, {backend}"), format!("{} of {MEMORY} bytes", memory.peak()));
    assert!(netmon.ended().is_none() && memory.kills() == 0, "netmon lives within {MEMORY} bytes");
    assert!(victims[0] > 0.0 && victims[1..] == [0.0, 0.0], "only half-open flows made room: {victims:?}");
    assert_eq!(ledger.missing(), 0.0, "{ledger:?}");
    assert!(page.sum("netmon_flow_table_entries", &[]) <= page.sum("netmon_flow_table_limit", &[]));
    let finished = [("transport", "tcp"), ("reason", "fin")];
    wait_until("every connection to be seen to its end", START, || {
        let page = wire.metrics();
        let ended = page.sum("netmon_flows", &[("transport", "tcp"), ("state", "closed")])
            + page.sum("netmon_flows_closed_total", &finished);
        (ended >= f64::from(ECHOES)).then_some(())
    });
}

/// Established TCP flows.
fn open(page: &Page) -> f64 {
    page.sum("netmon_flows", &[("transport", "tcp"), ("state", "open")])
}

/// Real connections that send something and get it back twice a second.
struct Echoes {
    _server: Running,
    client: Running,
}

impl Echoes {
    const SERVER: &str = "
import selectors, socket, sys
selector = selectors.DefaultSelector()
listener = socket.create_server((sys.argv[1], 7097), backlog=1000)
selector.register(listener, selectors.EVENT_READ)
while True:
    for key, _ in selector.select():
        if key.fileobj is listener:
            selector.register(listener.accept()[0], selectors.EVENT_READ)
        elif data := key.fileobj.recv(4096):
            key.fileobj.sendall(data)
        else:
            selector.unregister(key.fileobj)
            key.fileobj.close()
";
    /// Ends when its stdin does.
    const CLIENT: &str = "
import select, socket, sys
peers = [socket.create_connection((sys.argv[1], 7097)) for _ in range(int(sys.argv[2]))]
turn = 0
while not select.select([sys.stdin], [], [], 0.5)[0]:
    turn += 1
    word = b'%08d' % turn
    for peer in peers: peer.sendall(word)
    for peer in peers:
        assert peer.recv(8, socket.MSG_WAITALL) == word
for peer in peers: peer.shutdown(socket.SHUT_WR)
for peer in peers: assert peer.recv(1) == b''
";

    fn start(wire: &Wire) -> Self {
        let mut server = wire.monitor.command("python3");
        let server = Running::start(server.args(["-c", Self::SERVER, MONITOR]));
        wait_until("the echo server", START, || {
            wire.monitor.must("cat", &["/proc/net/tcp"]).contains(":1BB9 00000000:0000 0A").then_some(())
        });
        let mut client = wire.generator.command("python3");
        client.args(["-c", Self::CLIENT, MONITOR, &ECHOES.to_string()]);
        Self { _server: server, client: Running::start(client.stdin(Stdio::piped())) }
    }

    /// Closes all of them; none may have failed.
    fn end(mut self) {
        drop(self.client.stdin());
        assert!(self.client.end_within(START).success(), "every echo came back");
    }
}

/// Longer windows have a series for their coverage once netmon has run for so long, whatever arrives.
const WINDOWS: (&str, &str) = ("aggregation.windows", "1");

#[test]
fn a_scan_makes_no_series_and_its_sums_are_the_kernels() {
    if !can_run(TOOLS) {
        return;
    }
    let wire = Wire::new();
    let _netmon = wire.netmon("m0").set(WINDOWS.0, WINDOWS.1).start();
    let before = Ledger::now(&wire);
    wire.send_datagrams(&wire.generator, MONITOR, 1);
    Ledger::settled(&wire, &before);
    let series = wire.metrics().sum("netmon_series", &[]);
    // All ports of 16 addresses, then others.
    let frames = short_or_soak("100000", "2000000");
    let sent = Sender::start(&wire, &["--profile", "scan", "--rate", "50000", "--count", frames]).end();
    let ledger = Ledger::settled(&wire, &before);
    let page = wire.metrics();
    figure("scan", format!("{sent:?}, {ledger:?}, {series} series"));
    assert_eq!(ledger.missing(), 0.0, "{ledger:?}");
    assert_eq!(page.sum("netmon_series", &[]), series, "series do not grow with what arrives");
    let by_protocol: f64 = ["receive", "transmit"]
        .iter()
        .map(|way| page.sum(&format!("netmon_protocol_{way}_packets_total"), &[("interface", "m0")]))
        .sum();
    assert_eq!(by_protocol, Ledger::now(&wire).seen, "the sum over protocols is what the interface saw");
}
