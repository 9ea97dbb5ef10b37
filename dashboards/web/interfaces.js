// A card for each interface: what moves now, and the chart.

import { Throughput } from "./chart.js";
import { $, el, text } from "./dom.js";
import { count, rate } from "./format.js";

/** Cards at most; more interfaces are in the API. */
const MOST = 24;

const cards = new Map();

class Card {
  constructor(name) {
    this.title = el("h2", {}, name);
    this.link = el("small", { class: "faint" });
    this.receive = el("span", { class: "rx" });
    this.transmit = el("span", { class: "tx" });
    this.packets = el("small", {});
    this.chart = new Throughput(name);
    const now = el("p", { class: "now" }, this.receive, this.transmit);
    const header = el("header", {}, this.title, this.link, this.packets, now);
    this.root = el("article", { class: "interface", "aria-label": name }, header, this.chart.place, this.chart.legend);
  }

  update(view) {
    const second = view.second;
    text(this.receive, `▲ ${rate(second?.receive.bytes_per_second)}`);
    text(this.transmit, `▼ ${rate(second?.transmit.bytes_per_second)}`);
    const packets = second && second.receive.packets_per_second + second.transmit.packets_per_second;
    text(this.packets, second ? `${count(packets)} packets/s` : "");
    text(this.link, linkState(view));
    this.root.classList.toggle("down", view.capture != null && !view.capture.up);
  }
}

function linkState({ capture }) {
  if (capture == null) return "";
  if (capture.paused) return "paused";
  if (!capture.up) return "not captured";
  if (capture.link_up === false) return "link down";
  return capture.speed_bytes_per_second ? `link ${rate(capture.speed_bytes_per_second)}` : "";
}

/** Brings the cards in line with what there is. */
export function showInterfaces(views) {
  const shown = views.slice(0, MOST);
  const names = new Set(shown.map((view) => view.name));
  for (const [name, card] of cards) {
    if (!names.has(name)) {
      card.root.remove();
      cards.delete(name);
    }
  }
  shown.forEach((view, index) => {
    let card = cards.get(view.name);
    if (!card) cards.set(view.name, card = new Card(view.name));
    const there = $("interfaces").children[index];
    if (there !== card.root) $("interfaces").insertBefore(card.root, there ?? null);
    card.update(view);
  });
}

/** Draws a chart with these points. */
export function draw(name, points, span, end) {
  cards.get(name)?.chart.show(points, span, end);
}

/** Colours or the unit changed. */
export function restyle() {
  cards.forEach((card) => card.chart.restyle());
}
