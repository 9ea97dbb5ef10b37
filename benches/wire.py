"""The wire of the live bench, and the programs measured on it. Used by live.py; run by itself it is netmon's reader."""
import http.client
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time

import peers

GENERATOR, MONITOR = "netmon-bench-gen-%d" % os.getpid(), "netmon-bench-mon-%d" % os.getpid()
SENDS_ON, MEASURED_ON = 0, 1
PORT = 9099

# As much kernel memory for every program that can be told: the default of netmon.
BUFFER_MIB = 16
# A program that is not ready, or not done with the frames, after so long is stuck, and the bench fails.
PATIENCE_SECONDS = 60


def inside(namespace, *command):
    return ["ip", "netns", "exec", namespace, *command]


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def wait_for(what, ask):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not ask():
        if time.monotonic() > deadline:
            sys.exit("bench: waited %d s for %s" % (PATIENCE_SECONDS, what))
        time.sleep(0.05)


class Wire:
    """Two namespaces and the pair between them, while the context lasts."""

    def __enter__(self):
        for namespace in (GENERATOR, MONITOR):
            run("ip", "netns", "add", namespace)
            # Or neighbour discovery would add frames of its own.
            run(*inside(namespace, "sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6"))
            run("ip", "-n", namespace, "link", "set", "lo", "up")
        run("ip", "link", "add", "g0", "netns", GENERATOR, "type", "veth", "peer", "name", "m0", "netns", MONITOR)
        run("ip", "-n", GENERATOR, "link", "set", "g0", "up")
        run("ip", "-n", MONITOR, "link", "set", "m0", "up")
        return self

    def __exit__(self, *_):
        for namespace in (GENERATOR, MONITOR):
            subprocess.run(["ip", "netns", "delete", namespace])

    def frames(self):
        """What the kernel moved out of the sender's end."""
        return int(run(*inside(GENERATOR, "cat", "/sys/class/net/g0/statistics/tx_packets")))

    def has_listener(self):
        """Whether a packet socket is open in the monitor's namespace."""
        return len(run(*inside(MONITOR, "cat", "/proc/net/packet")).splitlines()) > 1


class Program:
    """What is measured. It says what it saw and dropped when it ends: all matches of two patterns, added up."""

    # Whether each frame has to be accounted for.
    is_exact = False

    def __init__(self, name, command, patterns):
        self.name, self.command, self.patterns = name, command, patterns

    def start(self, wire, directory):
        self.directory = directory
        self.said = tempfile.TemporaryFile("w+")
        self.child = subprocess.Popen(inside(MONITOR, *self.command(directory)), stdin=subprocess.DEVNULL,
                                      stdout=self.said, stderr=self.said, cwd=directory,
                                      preexec_fn=lambda: os.sched_setaffinity(0, {MEASURED_ON}))
        wait_for("%s to capture" % self.name, lambda: self.fail_if_ended() or wire.has_listener())
        time.sleep(0.5)

    def fail_if_ended(self):
        if self.child.poll() is not None:
            sys.exit("bench: %s ended: %s" % (self.name, self.output()[-500:]))

    def output(self):
        self.said.seek(0)
        return self.said.read()

    def cpu(self):
        """Seconds of all its threads, in user and kernel mode."""
        with open("/proc/%d/stat" % self.child.pid) as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """The most KiB that were resident."""
        with open("/proc/%d/status" % self.child.pid) as file:
            return int(re.search(r"VmHWM:\s+(\d+)", file.read()).group(1))

    def load_begins(self):
        """What runs beside the load."""

    def load_ends(self):
        """What that found."""
        return {}

    def is_done(self, _):
        """Whether it is through with the frames: it does nothing for longer than the kernel keeps any back (1 s)."""
        before = self.cpu()
        time.sleep(1.5)
        return self.cpu() == before

    def counts(self):
        """Frames seen and dropped. It has ended afterwards."""
        self.end()
        text = self.output()
        if not re.search(self.patterns[0], text):
            sys.exit("bench: %s does not say what it saw: %s" % (self.name, text[-500:]))
        return [sum(int(number) for number in re.findall(pattern, text)) for pattern in self.patterns]

    def end(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGINT)
        try:
            self.child.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            sys.exit("bench: %s does not end" % self.name)


class Tcpdump(Program):
    is_exact = True


class Softflowd(Program):
    """Tells its counts through its control socket."""

    def counts(self):
        said = run(peers.find("softflowctl"), "-c", os.path.join(self.directory, "control"), "statistics")
        self.end()
        return [int(re.search(pattern, said).group(1)) for pattern in self.patterns]

    def end(self):
        """It has said all: a signal that comes just before it polls is otherwise seen at its next expiry only."""
        self.child.kill()
        self.child.wait()


class Netmon(Program):
    """Asked while it works, as Prometheus and a page would; tells its counts on /metrics."""

    is_exact = True
    FAMILIES = "netmon_capture_packets_total", "netmon_capture_dropped_packets_total"

    def __init__(self, backend):
        super().__init__("netmon " + backend, lambda _: [peers.NETMON, "run", "--interface", "m0", "--backend", backend,
                                                         "--bind", "127.0.0.1:%d" % PORT, "--no-history"], None)

    def start(self, wire, directory):
        super().start(wire, directory)
        wait_for("netmon to be ready", lambda: self.fail_if_ended() or self.get("/readyz"))
        self.before = self.totals()

    def get(self, path):
        got = subprocess.run(inside(MONITOR, "curl", "--silent", "--fail", "--noproxy", "*",
                                    "http://127.0.0.1:%d%s" % (PORT, path)), capture_output=True, text=True)
        return got.stdout if got.returncode == 0 else ""

    def totals(self):
        page = self.get("/metrics")
        samples = [re.findall(r"^%s\{.*\} (\S+)$" % name, page, re.M) for name in self.FAMILIES]
        return [int(sum(float(value) for value in values)) for values in samples]

    def now(self):
        return [total - before for total, before in zip(self.totals(), self.before)]

    def load_begins(self):
        self.reader = subprocess.Popen(inside(MONITOR, sys.executable, __file__), stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True,
                                       preexec_fn=lambda: os.sched_setaffinity(0, {SENDS_ON}))

    def load_ends(self):
        self.patience = time.monotonic() + PATIENCE_SECONDS / 6
        report, _ = self.reader.communicate(timeout=PATIENCE_SECONDS)
        return json.loads(report)

    def is_done(self, sent):
        """Whether all is accounted for. If it never is, that is the result."""
        return sum(self.now()) >= sent or time.monotonic() > self.patience

    def counts(self):
        counts = self.now()
        self.end()
        return counts


def programs(directory):
    """What there is to measure here."""
    for backend in ("raw", "pcap"):
        checked = subprocess.run([peers.NETMON, "check"], capture_output=True, cwd=directory,
                                 env={**os.environ, "NETMON_CAPTURE__BACKEND": backend})
        if checked.returncode == 0:
            yield Netmon(backend)
    tcpdump, nfpcapd, softflowd = peers.find("tcpdump"), peers.find("nfpcapd"), peers.find("softflowd")
    if tcpdump:
        yield Tcpdump("tcpdump", lambda _: [tcpdump, "-i", "m0", "-n", "-B", str(BUFFER_MIB * 1024), "-w", "/dev/null"],
                      (r"(\d+) packets captured", r"(\d+) packets dropped"))
    if nfpcapd:
        yield Program("nfpcapd", lambda place: [nfpcapd, "-i", "m0", "-b", str(BUFFER_MIB), "-t", "3600",
                                                peers.nfpcapd_output(nfpcapd), place],
                      (r"Total: Processed: (\d+)", r"dropped by OS/Buffer: (\d+)"))
    if softflowd and peers.find("softflowctl"):
        yield Softflowd("softflowd", lambda place: [softflowd, "-i", "m0", "-d", "-m", "2000000",
                                                    "-p", os.path.join(place, "pid"),
                                                    "-c", os.path.join(place, "control")],
                        (r"Packets processed: (\d+)", r"dropped by libpcap: (\d+)"))


def read_until_stdin_ends():
    """Five looks at the status a second and one scrape; prints how long the scrapes took, in milliseconds."""
    took, failures, turn = [], 0, 0
    while not select.select([sys.stdin], [], [], 0.2)[0]:
        for path in ("/api/v1/status", "/metrics") if turn % 5 == 0 else ("/api/v1/status",):
            started = time.perf_counter()
            try:
                connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=5)
                connection.request("GET", path)
                answer = connection.getresponse()
                failures += answer.status != 200 or not answer.read()
                connection.close()
            except OSError:
                failures += 1
            if path == "/metrics":
                took.append((time.perf_counter() - started) * 1e3)
        turn += 1
    took.sort()
    print(json.dumps({"scrapes": took, "failures": failures}))


if __name__ == "__main__":
    read_until_stdin_ends()
