#!/usr/bin/env python3
"""netmon and its peers on the same capture files, in turn: time, CPU and memory, and the ratios.

usage: benches/peers.py [--short] [--rounds N] [--json FILE]

Numbers on a shared machine drift by tens of percent, so the programs alternate round by round after one warm-up each, and
what counts is the ratio of the medians of one run. `wall` and `cpu` are nanoseconds per packet, `memory` is the peak
resident size. A peer that is not installed is left out. Standard library only; Linux.

Files come from the generator that the environment variable GENLOAD names, or from one that lies beside the project, else
from `examples/genflows.rs`; the table says which. They are kept below target/bench.
"""
import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PROJECT = os.path.dirname(HERE)
TARGET = os.environ.get("CARGO_TARGET_DIR") or os.path.join(PROJECT, "target")
WORK = os.path.join(TARGET, "bench")
NETMON = os.path.join(TARGET, "release", "netmon")


def example(name):
    """A generator: as `make bench` builds it, else as the tests do. Its own speed is not measured."""
    built = [os.path.join(TARGET, profile, "examples", name) for profile in ("release", "debug")]
    return next(filter(os.path.exists, built), built[0])


GENFLOWS = example("genflows")
GNU_TIME = "/usr/bin/time"
GENERATOR_BESIDE = os.path.join(PROJECT, "..", "shared", "tools", "genload", "genload.c")

# A program that takes longer is stuck, and the bench fails.
TIME_LIMIT_SECONDS = 300

# What is asked of netmon, as ratios of medians: (name of the load, measure, peer, at most).
GOALS = [
    ("100 k flows", "wall", "tcpdump copy", 0.75),
    ("1 M flows", "wall", "tcpdump copy", 1.2),
    ("100 k flows", "wall", "nfpcapd", 1 / 12),
]


def find(program):
    """A program in the path or unpacked below target/tools."""
    extra = [os.path.join(TARGET, "tools", "usr", place) for place in ("bin", "sbin")]
    return shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", *extra]))


class Load:
    """One capture file."""

    def __init__(self, name, profile, packets, flows):
        self.name, self.profile, self.packets, self.flows = name, profile, packets, flows
        self.path = os.path.join(WORK, "%s-%d-%d.pcap" % (profile, packets, flows))

    def make(self, genload):
        if genload:
            self.path = self.path.replace(".pcap", ".genload.pcap")
            command = [genload, "--profile", self.profile, "--packets", str(self.packets), "--flows", str(self.flows),
                       "--output", self.path]
        else:
            command = [GENFLOWS, "--packets", str(self.packets), "--flows", str(self.flows), "--output", self.path]
        if not os.path.exists(self.path):
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        with open(self.path, "rb") as file:  # into the page cache
            while file.read(1 << 24):
                pass


def generator():
    """The path of genload, or None for the project's own generator."""
    if os.environ.get("GENLOAD"):
        return os.environ["GENLOAD"]
    compiler = shutil.which("cc")
    if not (compiler and os.path.exists(GENERATOR_BESIDE)):
        return None
    program = os.path.join(WORK, "genload")
    subprocess.run([compiler, "-O2", "-o", program, GENERATOR_BESIDE, "-lm"], check=True)
    return program


def programs(directory):
    """(name, command for a file); `directory` takes what a peer insists on writing."""
    tcpdump, nfpcapd, softflowd = find("tcpdump"), find("nfpcapd"), find("softflowd")
    yield "netmon", lambda path: [NETMON, "replay", path, "--format", "json"]
    yield "netmon, 2 shards", lambda path: [NETMON, "replay", path, "--format", "json", "--shards", "2"]
    if tcpdump:
        yield "tcpdump copy", lambda path: [tcpdump, "-r", path, "-w", "/dev/null"]
        yield "tcpdump count", lambda path: [tcpdump, "-r", path, "--count"]
    if nfpcapd:
        yield "nfpcapd", lambda path: [nfpcapd, "-r", path, nfpcapd_output(nfpcapd), directory]
    if softflowd:
        process = os.path.join(directory, "softflowd.pid")  # with a control socket it does not end with the file
        yield "softflowd", lambda path: [softflowd, "-r", path, "-d", "-m", "2000000", "-p", process, "-c", "none"]


def nfpcapd_output(program):
    """The option for the output directory: -w since nfdump 1.7, -l before."""
    said = subprocess.run([program, "-h"], capture_output=True, text=True)
    return "-w" if "-w flowdir" in said.stdout + said.stderr else "-l"


def measure(command, packets):
    """One run: nanoseconds per packet on the clock and on the processors, peak resident KiB.

    The peak is taken by GNU time, a small program: to the kernel a child of Python begins with Python's own size.
    """
    with tempfile.NamedTemporaryFile("r") as peak, tempfile.TemporaryFile() as said:
        started = time.perf_counter()
        child = subprocess.Popen([GNU_TIME, "--quiet", "--format", "%M", "--output", peak.name, *command],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said,
                                 start_new_session=True)
        guard = threading.Timer(TIME_LIMIT_SECONDS, os.killpg, (child.pid, signal.SIGKILL))
        guard.start()
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - started
        guard.cancel()
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            said.seek(0)
            sys.exit("bench: %s ended with %d: %s" % (" ".join(command), child.returncode,
                                                      said.read().decode(errors="replace")[-500:]))
        memory = int(peak.read())
    return {"wall": wall * 1e9 / packets, "cpu": (usage.ru_utime + usage.ru_stime) * 1e9 / packets, "memory": memory}


def compare(load, rounds):
    """Medians by program, each run in turn with the others."""
    with tempfile.TemporaryDirectory() as directory:
        commands = [(name, command(load.path)) for name, command in programs(directory)]
        runs = {name: [] for name, _ in commands}
        for turn in range(rounds + 1):
            for name, command in commands:
                result = measure(command, load.packets)
                if turn > 0:  # the first is the warm-up
                    runs[name].append(result)
    return {name: {key: statistics.median(result[key] for result in results) for key in results[0]}
            for name, results in runs.items()}


def netmon_flows(load):
    """Flows that netmon makes of a file, evicted ones included."""
    run = subprocess.run([NETMON, "replay", load.path, "--format", "openmetrics"], capture_output=True, text=True,
                         check=True)
    opened = [line for line in run.stdout.splitlines() if line.startswith("netmon_flows_opened_total")]
    return int(sum(float(line.rsplit(" ", 1)[1]) for line in opened))


def machine():
    with open("/proc/cpuinfo") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return {"cpu": models[0] if models else platform.machine(), "cores": os.cpu_count(), "kernel": platform.release(),
            "date": time.strftime("%Y-%m-%d", time.gmtime())}


def print_table(load, medians):
    ours = medians["netmon"]
    print("\n%s: %s packets of the profile %s" % (load.name, format(load.packets, ","), load.profile))
    print("%-18s %10s %10s %12s %16s" % ("", "wall ns/p", "cpu ns/p", "memory MiB", "netmon/it (wall)"))
    for name, row in medians.items():
        print("%-18s %10.1f %10.1f %12.1f %16.3f" % (name, row["wall"], row["cpu"], row["memory"] / 1024,
                                                     ours["wall"] / row["wall"]))


def judge_goals(results):
    """Ratios that the project sets itself, for the loads and peers that were measured."""
    for load, key, peer, most in GOALS:
        medians = results.get(load, {}).get("medians", {})
        if peer in medians:
            ratio = medians["netmon"][key] / medians[peer][key]
            yield {"load": load, "measure": key, "peer": peer, "ratio": ratio, "goal": most, "met": ratio <= most}


def main():
    parser = argparse.ArgumentParser(description="Measure netmon against its peers on the same files.")
    parser.add_argument("--short", action="store_true", help="small files, three rounds: does it all run?")
    parser.add_argument("--rounds", type=int, default=5, help="rounds after the warm-up (default 5)")
    parser.add_argument("--json", default=os.path.join(WORK, "peers.json"), help="where the figures go")
    arguments = parser.parse_args()
    for program in (NETMON, GENFLOWS, GNU_TIME):
        if not os.access(program, os.X_OK):
            sys.exit("bench: no %s; `make bench` gets it" % program)
    os.makedirs(WORK, exist_ok=True)
    genload = generator()
    if arguments.short:
        loads, rounds = [Load("10 k flows", "min64", 200_000, 10_000)], 3
    else:
        loads = [Load("100 k flows", "min64", 5_000_000, 100_000), Load("1 M flows", "manyflows", 5_000_000, 1_000_000)]
        rounds = arguments.rounds

    report = {"machine": machine(), "generator": "genload" if genload else "genflows", "rounds": rounds, "loads": {}}
    print("%(cpu)s, %(cores)d cores, kernel %(kernel)s, %(date)s" % report["machine"], end="")
    print("; files by %s, medians of %d rounds" % (report["generator"], rounds))
    base = Load("no flows", "min64", 1_000, 1)
    base.make(genload)
    idle = compare(base, 3)["netmon"]["memory"]
    for load in loads:
        load.make(genload)
        medians, flows = compare(load, rounds), netmon_flows(load)
        print_table(load, medians)
        per_flow = (medians["netmon"]["memory"] - idle) * 1024 / max(flows, 1)
        print("netmon made %s flows: %.0f bytes of memory for each" % (format(flows, ","), per_flow))
        report["loads"][load.name] = {"packets": load.packets, "profile": load.profile, "medians": medians,
                                      "flows": flows, "bytes_per_flow": per_flow}
    report["goals"] = list(judge_goals(report["loads"]))
    for goal in report["goals"]:
        print("%(load)s, %(measure)s against %(peer)s: %(ratio).3f, goal %(goal).3f" % goal, end="")
        print(": met" if goal["met"] else ": NOT met")
    with open(arguments.json, "w") as file:
        json.dump(report, file, indent=1)


if __name__ == "__main__":
    main()
