#!/usr/bin/env python3
"""Draws the dashboards with what a real Prometheus answered, laid out on Grafana's grid.

usage: scripts/draw_dashboards.py [ANSWERS [DIRECTORY]]

ANSWERS is written by `cargo test --test dashboards every_query` (default: target/tmp/dashboards.json); one PNG for each
dashboard goes into DIRECTORY (default: target/pictures). Standard library and Chromium only. This is no Grafana: it shows data,
legends, units and thresholds as the documents say, so that a panel that shows nothing useful is seen.
"""
import html
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
WIDTH, ROW, GAP = 1500, 38, 8
PALETTE = ["#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#5794f2", "#b877d9", "#705da0", "#37872d", "#fade2a",
           "#447ebc", "#c15c17", "#890f02", "#0a437c", "#6d1f62", "#584477"]
NAMED = {"green": "#73bf69", "orange": "#ff9830", "red": "#f2495c", "blue": "#5794f2", "text": "#8e8e99"}
STYLE = """
body { margin: 0; background: #111217; color: #ccccdc; font: 12px DejaVu Sans, sans-serif; }
.p { position: absolute; background: #181b1f; border: 1px solid #2c3235; border-radius: 3px; overflow: hidden; box-sizing: border-box; }
.t { padding: 5px 8px 2px; font-weight: bold; white-space: nowrap; overflow: hidden; }
.r { position: absolute; font-size: 15px; padding: 10px 4px; }
.big { text-align: center; font-size: 30px; padding-top: 22px; }
.none { text-align: center; color: #8e8e99; padding-top: 30px; }
table { border-collapse: collapse; margin: 2px 8px; font-size: 11px; }
td, th { text-align: left; padding: 2px 10px 2px 0; white-space: nowrap; } th { color: #6e9fff; }
.l td { font-size: 10px; padding: 0 8px 0 0; } .l { position: absolute; bottom: 3px; }
.s { display: inline-block; width: 12px; height: 3px; margin-right: 5px; vertical-align: middle; }
h1 { font-size: 17px; margin: 0; padding: 10px 8px; height: 20px; }
text { fill: #9fa7b3; font-size: 10px; }
"""


def scaled(value, base, names, suffix):
    for name in names:
        if abs(value) < base or name == names[-1]:
            return f"{short_number(value)} {name}{suffix}"
        value /= base
    return ""


def short_number(value):
    if value == 0:
        return "0"
    digits = max(0, 2 - int(math.floor(math.log10(abs(value)))))
    text = f"{value:.{min(digits, 4)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def shown(value, unit):
    """A value as Grafana writes it in a unit."""
    if not math.isfinite(value):
        return str(value)
    decimal, binary = ["", "k", "M", "G", "T"], ["", "Ki", "Mi", "Gi", "Ti"]
    rates = {"bps": "b/s", "pps": "p/s", "cps": "c/s", "reqps": "req/s"}
    if unit in rates:
        return scaled(value, 1000, decimal, rates[unit])
    if unit == "Bps":
        return scaled(value, 1000, decimal, "B/s")
    if unit == "bytes":
        return scaled(value, 1024, binary, "B")
    if unit == "percentunit":
        return f"{short_number(value * 100)}%"
    if unit == "dateTimeAsIso":
        return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(value / 1000))
    if unit == "s":
        for size, name in [(86400, "days"), (3600, "hours"), (60, "mins"), (1, "s"), (1e-3, "ms"), (1e-6, "µs")]:
            if abs(value) >= size:
                return f"{short_number(value / size)} {name}"
        return "0 s"
    return scaled(value, 1000, ["", "K", "Mil", "Bil", "Tri"], "") if unit == "short" else short_number(value)


def colour(value, defaults):
    for mapping in defaults["mappings"]:
        option = mapping["options"].get(str(int(value)) if float(value).is_integer() else str(value))
        if option:
            return NAMED[option["color"]], option["text"]
    found = NAMED["green"]
    for step in defaults["thresholds"]["steps"]:
        if step["value"] is None or value >= step["value"]:
            found = NAMED[step["color"]]
    return found, None


def legend(target, labels):
    return re.sub(r"{{(\w+)}}", lambda match: labels.get(match[1], ""), target["legendFormat"]).strip()


def series_of(panel, answers):
    """(target, labels, points) of everything a panel asked for."""
    for target in panel["targets"]:
        for series in answers.get((panel["id"], target["refId"]), []):
            points = series.get("values") or [series["value"]]
            yield target, series["metric"], [(float(at), float(value)) for at, value in points]


def mirrored(panel, name):
    for override in panel["fieldConfig"]["overrides"]:
        if any(p["value"] == "negative-Y" for p in override["properties"]) and override["matcher"]["options"].strip("/") in name:
            return True
    return False


def ticks(low, high, n=4):
    step = (high - low) / n or 1
    size = 10 ** math.floor(math.log10(step))
    step = next(size * m for m in (1, 2, 2.5, 5, 10) if size * m >= step)
    first = math.ceil(low / step) * step
    return [first + k * step for k in range(int((high - first) / step + 1.001))]


def draw_lines(panel, answers, span, width, height):
    defaults = panel["fieldConfig"]["defaults"]
    unit, stacked = defaults["unit"], defaults["custom"]["stacking"]["mode"] == "normal"
    lines, base = [], {}
    for target, labels, points in series_of(panel, answers):
        name = legend(target, labels)
        sign = -1 if mirrored(panel, name) else 1
        drawn = []
        for at, value in points:
            value = sign * value
            if stacked and math.isfinite(value):
                value += base.get(at, 0)
                base[at] = value
            drawn.append((at, value))
        lines.append((name, drawn, [value for _, value in points if math.isfinite(value)]))
    if not lines:
        return '<div class="none">No data</div>'
    rows = min(len(lines), 5)
    plot = height - 34 - 14 * rows - 30
    finite = [v for _, points, _ in lines for _, v in points if math.isfinite(v)] or [0]
    low, high = min(finite + ([0] if "min" in defaults else [])), max(max(finite), defaults.get("max", max(finite)))
    if high <= low:
        high = low + (abs(low) or 1)
    left = 72

    def place(at, value):
        return (left + (at - span[0]) / max(span[1] - span[0], 1) * (width - left - 10),
                6 + (high - value) / (high - low) * (plot - 12))

    parts = []
    for tick in ticks(low, high):
        y = place(span[0], tick)[1]
        parts.append(f'<line x1="{left}" x2="{width - 10}" y1="{y:.1f}" y2="{y:.1f}" stroke="#2c3235"/>'
                     f'<text x="{left - 6}" y="{y + 3:.1f}" text-anchor="end">{shown(tick, unit)}</text>')
    for at in range(int(span[0]) // 10 * 10 + 10, int(span[1]), 10 if span[1] - span[0] < 90 else 30):
        x = place(at, low)[0]
        parts.append(f'<text x="{x:.0f}" y="{plot + 10}" text-anchor="middle">{time.strftime("%H:%M:%S", time.gmtime(at))}</text>')
    if defaults["custom"]["thresholdsStyle"]["mode"] != "off":
        for step in defaults["thresholds"]["steps"]:
            if step["value"] is not None and low <= step["value"] <= high:
                y = place(span[0], step["value"])[1]
                parts.append(f'<line x1="{left}" x2="{width - 10}" y1="{y:.1f}" y2="{y:.1f}" stroke="{NAMED[step["color"]]}" stroke-dasharray="6 4"/>')
    for n, (_, points, _) in enumerate(lines):
        shade = PALETTE[n % len(PALETTE)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(at, v) for at, v in points if math.isfinite(v)))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{shade}" stroke-width="1.3"/>')
        if len(points) == 1:
            parts.append(f'<circle cx="{path.split(",")[0]}" cy="{path.split(",")[1]}" r="2" fill="{shade}"/>')
    body = f'<svg width="{width}" height="{plot + 14}">{"".join(parts)}</svg>'
    table = "<tr><th></th><th>mean</th><th>max</th><th>last</th></tr>"
    # As the legends of the documents are sorted.
    largest = sorted(range(len(lines)), key=lambda n: -max(lines[n][2], default=-math.inf))
    for n in largest[:rows]:
        name, _, values = lines[n]
        cells = [sum(values) / len(values), max(values), values[-1]] if values else [math.nan] * 3
        cells = "".join(f"<td>{shown(v, unit)}</td>" for v in cells)
        table += f'<tr><td><span class="s" style="background:{PALETTE[n % len(PALETTE)]}"></span>{html.escape(name)}</td>{cells}</tr>'
    more = f" (and {len(lines) - rows} more)" if len(lines) > rows else ""
    return f'{body}<table class="l"><caption style="caption-side:bottom;text-align:left;font-size:9px">{more}</caption>{table}</table>'


def draw_stat(panel, answers, *_):
    defaults = panel["fieldConfig"]["defaults"]
    found = list(series_of(panel, answers))
    if not found:
        return '<div class="none">No data</div>'
    value = next((v for _, v in reversed(found[0][2]) if math.isfinite(v)), math.nan)
    shade, text = colour(value, defaults)
    return f'<div class="big" style="color:{shade}">{text or shown(value, defaults["unit"])}</div>'


def draw_bars(panel, answers, _, width, height):
    defaults = panel["fieldConfig"]["defaults"]
    found = [(legend(target, labels), points[-1][1]) for target, labels, points in series_of(panel, answers)]
    if not found:
        return '<div class="none">No data</div>'
    top = defaults.get("max", max(value for _, value in found) or 1)
    rows, size = "", min(24, (height - 40) / len(found))
    left = 16 + 6 * max(len(name) for name, _ in found)
    for n, (name, value) in enumerate(sorted(found, key=lambda pair: -pair[1])):
        shade = "#5794f2" if defaults["color"]["mode"].startswith("continuous") else colour(value, defaults)[0]
        y = n * size
        rows += (f'<text x="6" y="{y + 14}">{html.escape(name)}</text><rect x="{left}" y="{y + 3}" height="{size - 6}" '
                 f'width="{max(1, (width - left - 120) * value / top):.0f}" fill="{shade}"/>'
                 f'<text x="{width - 105}" y="{y + 14}">{shown(value, defaults["unit"])}</text>')
    return f'<svg width="{width}" height="{height - 34}">{rows}</svg>'


def draw_states(panel, answers, span, width, height):
    defaults, rows = panel["fieldConfig"]["defaults"], ""
    found = list(series_of(panel, answers))
    if not found:
        return '<div class="none">No data</div>'
    size = min(34, (height - 70) / len(found))
    left = min(320, 14 + 6 * max(len(legend(target, labels)) for target, labels, _ in found))
    width_of_second = (width - left - 10) / max(span[1] - span[0], 1)
    for n, (target, labels, points) in enumerate(found):
        rows += f'<text x="6" y="{n * size + size / 2 + 3}">{html.escape(legend(target, labels))}</text>'
        gaps = sorted(b[0] - a[0] for a, b in zip(points, points[1:]))
        step = gaps[0] if gaps else 3
        for at, value in points:
            shade, _ = colour(value, defaults)
            rows += (f'<rect x="{left + (at - span[0]) * width_of_second:.1f}" y="{n * size + 2}" height="{size - 4}" '
                     f'width="{step * width_of_second + 0.5:.1f}" fill="{shade}"/>')
    names = "".join(f'<span class="s" style="background:{NAMED[o["color"]]}"></span>{o["text"]} &nbsp; '
                    for m in defaults["mappings"] for o in sorted(m["options"].values(), key=lambda o: o["index"]))
    return f'<svg width="{width}" height="{height - 60}">{rows}</svg><div class="l" style="padding-left:8px">{names}</div>'


def draw_heat(panel, answers, span, width, height):
    unit = panel["options"]["yAxis"]["unit"]
    found = sorted(series_of(panel, answers), key=lambda one: float(one[1]["le"].replace("+Inf", "inf")))
    if not found:
        return '<div class="none">No data</div>'
    cells, below, size, left = "", {}, (height - 50) / len(found), 70
    top = max((dict(points)[at] - (dict(before)[at] if before and at in dict(before) else 0)
               for before, points in zip([None] + [p for _, _, p in found], [p for _, _, p in found]) for at in dict(points)), default=1) or 1
    width_of_second = (width - left - 10) / max(span[1] - span[0], 1)
    for n, (_, labels, points) in enumerate(found):
        y = (len(found) - 1 - n) * size
        bound = labels["le"] if labels["le"] == "+Inf" else shown(float(labels["le"]), unit)
        cells += f'<text x="{left - 6}" y="{y + size / 2 + 3:.0f}" text-anchor="end">{bound}</text>'
        for at, value in points:
            count, below[at] = value - below.get(at, 0), value
            if count > 1e-9:
                cells += (f'<rect x="{left + (at - span[0]) * width_of_second:.1f}" y="{y:.1f}" width="{3 * width_of_second:.1f}" '
                          f'height="{size - 1:.1f}" fill="#5794f2" fill-opacity="{0.15 + 0.85 * math.sqrt(count / top):.2f}"/>')
    return f'<svg width="{width}" height="{height - 40}">{cells}</svg>'


def draw_table(panel, answers, *_):
    options = next(t["options"] for t in panel["transformations"] if t["id"] == "organize")
    units = {o["matcher"]["options"]: p["value"] for o in panel["fieldConfig"]["overrides"] for p in o["properties"] if p["id"] == "unit"}
    rows = {}
    for target, labels, points in series_of(panel, answers):
        column = "Value" if len(panel["targets"]) == 1 else f'Value #{target["refId"]}'
        # Rows are one where the labels that both have are equal.
        row = next((r for r in rows.values() if all(r.get(k, v) == v for k, v in labels.items())), None)
        if row is None:
            row = rows.setdefault(tuple(sorted(labels.items())), {})
        row.update(labels)
        if column in options["excludeByName"]:
            continue
        name = options["renameByName"].get(column, column)
        row[column] = shown(points[-1][1], units.get(name, "short"))
    if not rows:
        return '<div class="none">No data</div>'
    columns = sorted({k for r in rows.values() for k in r}, key=lambda k: options["indexByName"].get(k, 99))
    head = "".join(f'<th>{options["renameByName"].get(c, c)}</th>' for c in columns)
    body = "".join("<tr>" + "".join(f'<td>{html.escape(r.get(c, ""))}</td>' for c in columns) + "</tr>" for r in rows.values())
    return f"<table><tr>{head}</tr>{body}</table>"


DRAW = {"timeseries": draw_lines, "stat": draw_stat, "bargauge": draw_bars, "state-timeline": draw_states,
        "heatmap": draw_heat, "table": draw_table}


def page(board, answers, span):
    parts = [f"<h1>{html.escape(board['title'])}</h1>"]
    for panel in board["panels"]:
        grid = panel["gridPos"]
        x, y = grid["x"] * WIDTH / 24 + GAP / 2, 40 + grid["y"] * ROW
        width, height = grid["w"] * WIDTH / 24 - GAP, grid["h"] * ROW - GAP
        if panel["type"] == "row":
            parts.append(f'<div class="r" style="left:{x}px;top:{y - 6}px">{html.escape(panel["title"])}</div>')
            continue
        body = DRAW[panel["type"]](panel, answers, span, width, height)
        parts.append(f'<div class="p" style="left:{x}px;top:{y}px;width:{width}px;height:{height}px">'
                     f'<div class="t">{html.escape(panel["title"])}</div>{body}</div>')
    return f'<!doctype html><meta charset="utf-8"><style>{STYLE}</style>{"".join(parts)}'


def main():
    source = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "target/tmp/dashboards.json"
    directory = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "target/pictures"
    directory.mkdir(parents=True, exist_ok=True)
    kept = json.loads(source.read_text())
    for file in sorted((ROOT / "dashboards/grafana").glob("*.json")):
        board = json.loads(file.read_text())
        answers = {(a["panel"], a["target"]): a["series"] for a in kept["answers"] if a["board"] == board["uid"]}
        height = 50 + max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in board["panels"]) * ROW
        with tempfile.NamedTemporaryFile("w", suffix=".html") as written:
            written.write(page(board, answers, kept["span"]))
            written.flush()
            picture = directory / f"{board['uid']}.png"
            arguments = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                         f"--window-size={WIDTH},{height}", f"--screenshot={picture}", f"file://{written.name}"]
            subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120,
                           env={**os.environ, "HOME": str(directory)})
            print(picture)


if __name__ == "__main__":
    main()
