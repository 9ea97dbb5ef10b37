#!/usr/bin/env python3
"""netmon and its peers on the same wire, in turn: frames seen and dropped, CPU for each, and the ratios.

usage: benches/live.py [--short] [--rounds N] [--json FILE]

Two network namespaces and a veth pair. `examples/sendframes` sends minimum-size frames as fast as one processor can and
stays on it; the measured program stays on another one. netmon is asked for /metrics once a second and for /api/v1/status
five times a second meanwhile. For every run the books are balanced: frames that the kernel moved, less those that the
program says it saw and those it says it dropped, are `missing`; for netmon and tcpdump that has to be 0.

`cpu` is user and system time of all threads of the program for each frame that it saw, from the first frame until it was
done with them. Numbers on a shared machine drift by tens of percent, so the programs alternate round by round, and what
counts is the ratio of the medians of one run. A peer that is not installed and a backend that netmon does not have are
left out. Standard library only; Linux, as root, two processors at least.
"""
import argparse
import json
import os
import statistics
import sys
import tempfile

import peers
import wire

SENDFRAMES = peers.example("sendframes")
FLOWS = 100_000

# What is asked of netmon: (program, measure, peer or None, at most); with a peer it is a ratio of medians.
GOALS = [
    ("netmon raw", "cpu", "tcpdump", 1.6),
    ("netmon raw", "cpu", "nfpcapd", 1 / 6),
    ("netmon raw", "dropped", None, 0),
    ("netmon raw", "scrape_p99", None, 5),
    ("netmon pcap", "cpu", "tcpdump", 2.2),
    ("netmon pcap", "dropped", None, 0),
    ("netmon pcap", "scrape_p99", None, 5),
]


def send(count):
    said = wire.run(*wire.inside(wire.GENERATOR, SENDFRAMES, "--interface", "g0", "--profile", "min64", "--flows",
                                 str(FLOWS), "--count", str(count), "--cpu", str(wire.SENDS_ON)))
    return json.loads(said)


def measure(program, pair, count):
    """One run: counts of frames, nanoseconds of CPU for each frame seen, peak resident KiB."""
    with tempfile.TemporaryDirectory() as directory:
        program.start(pair, directory)
        try:
            moved, cpu = pair.frames(), program.cpu()
            program.load_begins()
            sender = send(count)
            beside = program.load_ends()
            moved = pair.frames() - moved
            wire.wait_for("%s to be done" % program.name, lambda: program.is_done(moved))
            cpu, memory = program.cpu() - cpu, program.memory()
            seen, dropped = program.counts()
        finally:
            program.end()
    if sender["frames"] != moved:
        sys.exit("bench: the sender counted %d frames, the kernel %d" % (sender["frames"], moved))
    missing = moved - seen - dropped
    if program.is_exact and missing:
        sys.exit("bench: %s: %d frames moved, %d seen, %d dropped: %d missing" % (program.name, moved, seen, dropped,
                                                                                  missing))
    return {"sent": moved, "rate": sender["frames_per_second"], "seen": seen, "dropped": dropped, "missing": missing,
            "cpu": cpu * 1e9 / max(seen, 1), "memory": memory, **beside}


def compare(count, rounds):
    """All runs by program, each in turn with the others."""
    with tempfile.TemporaryDirectory() as directory:
        contenders = list(wire.programs(directory))
    runs = {program.name: [] for program in contenders}
    with wire.Wire() as pair:
        for _ in range(rounds):
            for program in contenders:
                runs[program.name].append(measure(program, pair, count))
    return runs


def medians(results):
    """Medians of one program; scrapes of all rounds are taken together, and losses are added up."""
    row = {key: statistics.median(result[key] for result in results) for key in ("rate", "cpu", "memory")}
    row |= {key: sum(result[key] for result in results) for key in ("sent", "seen", "dropped", "missing")}
    scrapes = sorted(took for result in results for took in result.get("scrapes", ()))
    if scrapes:
        row |= {"scrape_p50": statistics.median(scrapes), "scrape_p99": scrapes[min(len(scrapes) * 99 // 100,
                                                                                    len(scrapes) - 1)],
                "failures": sum(result["failures"] for result in results)}
    return row


def print_table(rows):
    base = rows.get("tcpdump", {}).get("cpu")
    print("\n%-12s %12s %12s %10s %8s %10s %8s %10s %12s" % (
        "", "sent", "dropped", "missing", "kpps", "cpu ns/p", "ratio", "memory MiB", "scrape p99 ms"))
    for name, row in rows.items():
        ratio = "%.2f" % (row["cpu"] / base) if base else "-"
        scrape = "%.1f" % row["scrape_p99"] if "scrape_p99" in row else "-"
        print("%-12s %12s %12s %10s %8.0f %10.1f %8s %10.1f %12s" % (
            name, format(row["sent"], ","), format(row["dropped"], ","), format(row["missing"], ","),
            row["rate"] / 1e3, row["cpu"], ratio, row["memory"] / 1024, scrape))
    print("(ratio: cpu by that of tcpdump -w /dev/null)")


def judge_goals(rows):
    for name, measure_of, peer, most in GOALS:
        if name in rows and (peer is None or peer in rows):
            value = rows[name][measure_of] / (rows[peer][measure_of] if peer else 1)
            yield {"program": name, "measure": measure_of, "peer": peer, "value": value, "goal": most,
                   "met": value <= most}


def main():
    parser = argparse.ArgumentParser(description="Measure netmon against its peers on the same wire.")
    parser.add_argument("--short", action="store_true", help="few frames, one round: does it all run?")
    parser.add_argument("--rounds", type=int, default=5, help="rounds (default 5)")
    parser.add_argument("--json", default=os.path.join(peers.WORK, "live.json"), help="where the figures go")
    arguments = parser.parse_args()
    if os.geteuid() != 0 or os.cpu_count() < 2:
        print("bench: the live part is skipped: it needs root for network namespaces, and two processors")
        return
    for program in (peers.NETMON, SENDFRAMES):
        if not os.access(program, os.X_OK):
            sys.exit("bench: no %s; `make bench` gets it" % program)
    os.makedirs(peers.WORK, exist_ok=True)
    count, rounds = (500_000, 1) if arguments.short else (10_000_000, arguments.rounds)

    report = {"machine": peers.machine(), "rounds": rounds, "frames": count, "flows": FLOWS}
    print("%(cpu)s, %(cores)d cores, kernel %(kernel)s, %(date)s" % report["machine"], end="")
    print("; %d rounds of %s frames of 60 bytes, %s flows, medians" % (rounds, format(count, ","), format(FLOWS, ",")))
    report["runs"] = compare(count, rounds)
    report["medians"] = {name: medians(results) for name, results in report["runs"].items()}
    print_table(report["medians"])
    report["goals"] = list(judge_goals(report["medians"]))
    for goal in report["goals"]:
        against = " against %s" % goal["peer"] if goal["peer"] else ""
        print("%s, %s%s: %.3g, goal %.3g: %s" % (goal["program"], goal["measure"], against, goal["value"], goal["goal"],
                                                 "met" if goal["met"] else "NOT met"))
    with open(arguments.json, "w") as file:
        json.dump(report, file, indent=1)


if __name__ == "__main__":
    main()
