// Throughput of one interface: received above the axis, transmitted below it; lines are means, thin ones peak seconds.
/* global uPlot */

import { el, text } from "./dom.js";
import { clock, rate } from "./format.js";

const SYNC = "netmon";

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** The mean of values that are there. */
function mean(values) {
  const there = values.filter((value) => value != null);
  return there.length > 0 ? there.reduce((sum, value) => sum + value, 0) / there.length : null;
}

/** The greatest of values that are there. */
function greatest(values) {
  return values.reduce((most, value) => (value != null && value > most ? value : most), 0);
}

export class Throughput {
  constructor(name) {
    this.place = el("div", { class: "chart", role: "img", "aria-label": `Throughput of ${name}` });
    this.legend = el("p", { class: "legend" });
    this.name = name;
    this.data = [[], [], [], [], []];
    this.span = 60;
    this.end = Date.now() / 1000;
    new ResizeObserver(() => this.#resize()).observe(this.place);
  }

  /** Shows points up to `end` (seconds since 1970): times, then receive, transmit, and their peaks, in bytes per second. */
  show({ times, receive, transmit, peakReceive, peakTransmit }, span, end) {
    this.span = span;
    this.end = end;
    const below = (values) => values.map((value) => (value == null ? null : -value));
    this.data = [times, receive, below(transmit), peakReceive, below(peakTransmit)];
    this.peaks = [greatest(peakReceive), greatest(peakTransmit)];
    this.means = [mean(receive), mean(transmit)];
    if (!this.plot) this.#make();
    if (this.plot) {
      this.plot.setData(this.data, false);
      this.plot.setScale("x", { min: end - span, max: end });
    }
    this.#legend();
    const [receives, transmits] = this.peaks;
    this.place.setAttribute("aria-label", `Throughput of ${this.name}: peak ${rate(receives)} received, ${rate(transmits)} transmitted`);
  }

  /** Takes the colours and the unit that hold now. */
  restyle() {
    this.plot?.destroy();
    this.plot = null;
    if (this.data[0].length > 0) this.#make();
    this.#legend();
  }

  #make() {
    const { width, height } = this.place.getBoundingClientRect();
    if (width === 0) return;
    const [receive, transmit, muted, line] = ["receive", "transmit", "muted", "line"].map(colour);
    const filled = (stroke, fill) => ({ stroke, fill, width: 1.6, points: { show: false }, spanGaps: false });
    const peak = (stroke) => ({ stroke, width: 0.8, alpha: 0.7, points: { show: false }, spanGaps: false });
    const axis = { stroke: muted, grid: { stroke: line, width: 0.6 }, ticks: { show: false }, font: "12px system-ui" };
    const time = (_, stamps) => stamps.map((stamp) => clock(stamp * 1000).slice(0, this.span > 900 ? 5 : 8));
    this.plot = new uPlot({
      width,
      height,
      // The last time has half of its label to the right of the chart.
      padding: [8, 30, 0, 0],
      legend: { show: false },
      cursor: { sync: { key: SYNC, setSeries: false }, drag: { x: false, y: false }, points: { size: 6 } },
      scales: {
        x: { time: true, auto: false, min: this.end - this.span, max: this.end },
        y: { range: () => this.#range() },
      },
      series: [
        {},
        filled(receive, colour("receive-fill")),
        filled(transmit, colour("transmit-fill")),
        peak(receive),
        peak(transmit),
      ],
      axes: [
        { ...axis, values: time, space: 90, size: 26 },
        { ...axis, values: (_, values) => values.map((value) => rate(Math.abs(value))), size: 86, space: 32 },
      ],
      hooks: { setCursor: [() => this.#legend()] },
    }, this.data, this.place);
  }

  /** Room for both directions; the axis stays in sight when one is silent. */
  #range() {
    const up = Math.max(greatest(this.data[1]), greatest(this.data[3]));
    const down = Math.max(...[2, 4].map((series) => greatest(this.data[series].map((value) => (value == null ? null : -value)))));
    const least = Math.max(up, down, 1000) * 0.08;
    return [-Math.max(down * 1.08, least), Math.max(up * 1.08, least)];
  }

  #resize() {
    const { width, height } = this.place.getBoundingClientRect();
    if (this.plot && width > 0) this.plot.setSize({ width, height });
    else if (!this.plot && this.data[0].length > 0) this.#make();
  }

  /** What is under the pointer, else what there is to say of all that is shown. */
  #legend() {
    const at = this.plot?.cursor.idx;
    const [times, receive, transmit, peakReceive, peakTransmit] = this.data;
    if (at != null && times[at] != null) {
      const part = (label, value, peak, kind) => el("span", { class: kind }, `${label} `, el("b", {}, rate(value)), peak > value ? ` peak ${rate(peak)}` : "");
      this.legend.replaceChildren(
        el("span", {}, clock(times[at] * 1000)),
        part("▲ receive", receive[at], peakReceive[at], "rx"),
        part("▼ transmit", transmit[at] && -transmit[at], peakTransmit[at] && -peakTransmit[at], "tx"),
      );
    } else {
      const whole = (label, n, kind) => el("span", { class: kind }, `${label} `, `mean ${rate(this.means[n])}, peak ${rate(this.peaks[n])}`);
      this.legend.replaceChildren(...(this.peaks ? [whole("▲ receive", 0, "rx"), whole("▼ transmit", 1, "tx")] : []));
    }
  }
}
