//! Super-frames: with offloads on, one captured frame stands for dozens of segments.

use crate::rig::ledger::Ledger;
use crate::rig::{MONITOR, START, Wire, can_run};
use crate::support::running::{Running, wait_until};
use crate::{TOOLS, figure, short_or_soak, with_each_backend};
use std::time::Duration;

with_each_backend!(bytes_of_a_bulk_transfer_are_the_kernels);

/// Bytes each way, both at once.
const SCRIPT: &str = "
import socket, sys, threading
size, listens = int(sys.argv[2]), sys.argv[3] == 'listen'
if listens:
    listener = socket.create_server((sys.argv[1], 7098))
    peer, _ = listener.accept()
else:
    peer = socket.create_connection((sys.argv[1], 7098))
def send():
    block, left = bytes(1 << 20), size
    while left:
        part = block[:left]
        peer.sendall(part)
        left -= len(part)
    peer.shutdown(socket.SHUT_WR)
sender = threading.Thread(target=send)
sender.start()
buffer, received = bytearray(1 << 20), 0
while count := peer.recv_into(buffer):
    received += count
sender.join()
sys.exit(0 if received == size else f'{received} of {size} bytes came')
";

fn bytes_of_a_bulk_transfer_are_the_kernels(backend: &str) {
    if !can_run(TOOLS) {
        return;
    }
    let size = short_or_soak(64 << 20, 1_u64 << 30).to_string();
    let wire = Wire::new();
    // The ratio is there once samples reach back over the window.
    let _netmon = wire.netmon("m0").backend(backend).set("aggregation.windows", "1,5").start();
    // A sample from before the transfer, or part of it is outside of every window.
    let kernel = ("netmon_kernel_interface_receive_bytes_total", [("interface", "m0")]);
    wait_until("the kernel's counters", START, || wire.metrics().find(kernel.0, &kernel.1));
    std::thread::sleep(SAMPLES);
    let before = Bytes::now(&wire);
    let frames_before = Ledger::now(&wire);

    let mut listener = wire.monitor.command("python3");
    let mut listener = Running::start(listener.args(["-c", SCRIPT, MONITOR, &size, "listen"]));
    wait_until("the listener", START, || {
        wire.monitor.must("cat", &["/proc/net/tcp"]).contains(":1BBA 00000000:0000 0A").then_some(())
    });
    wire.generator.must("python3", &["-c", SCRIPT, MONITOR, &size, "connect"]);
    assert!(listener.end_within(START).success());

    let ledger = Ledger::settled(&wire, &frames_before);
    let bytes = Bytes::now(&wire).since(&before);
    let mean = bytes.kernel / ledger.on_wire;
    figure(&format!("bulk TCP, {backend}"), format!("{bytes:?}, {ledger:?}, {mean:.0} bytes a frame"));
    assert!(mean > 3000.0, "offloads make frames of many segments: {mean}");
    assert_eq!(ledger.missing(), 0.0, "{ledger:?}");
    assert!((bytes.netmon - bytes.kernel).abs() <= bytes.kernel / 1000.0, "{bytes:?}");
    assert_eq!(ledger.rejected, 0.0, "a frame that is longer than what is captured of it is not malformed");
    let page = wire.metrics();
    assert_eq!(page.sum("netmon_capture_truncated_packets_total", &[("interface", "m0")]), 0.0);
    // The headers of estimated segments count as covered, since network cards count them; a veth pair does not, so the
    // ratio may stand up to 66 bytes of headers for each segment of 1,448 above 1.
    let coverage = wait_until("coverage of the window that has the transfer", COVERED, || {
        let ratio = wire.metrics().find("netmon_capture_coverage_ratio", &[("interface", "m0"), ("window", "5s")]);
        ratio.filter(|ratio| (0.95..1.05).contains(ratio))
    });
    figure(&format!("coverage, {backend}"), coverage);
}

/// Coverage is sampled once a second.
const SAMPLES: Duration = Duration::from_millis(1500);
/// The window, and as long again.
const COVERED: Duration = Duration::from_secs(10);

/// Received and transmitted bytes of `m0` together.
#[derive(Debug)]
struct Bytes {
    kernel: f64,
    netmon: f64,
}

impl Bytes {
    fn now(wire: &Wire) -> Self {
        let [[_, received], [_, transmitted]] = wire.monitor.kernel_counters("m0");
        let page = wire.metrics();
        let of = |way: &str| page.sum(&format!("netmon_interface_{way}_bytes_total"), &[("interface", "m0")]);
        Self { kernel: received + transmitted, netmon: of("receive") + of("transmit") }
    }

    fn since(self, before: &Self) -> Self {
        Self { kernel: self.kernel - before.kernel, netmon: self.netmon - before.netmon }
    }
}
