// How far the numbers can be relied on, always in sight: coverage, and every loss in its place.

import { $, el } from "./dom.js";
import { count, duration, percent } from "./format.js";

/** Below this share of the kernel's bytes, numbers are not to be relied on. */
const BLIND = 0.9;

/** What is wrong, worst first: [severity, words]. `recent` are the losses of the longest window. */
function faults({ capture, recent, totals }) {
  const found = [];
  const drops = (losses) => Object.entries(losses?.dropped_packets ?? {}).filter(([, packets]) => packets > 0);
  if (capture?.paused) found.push(["warn", "paused"]);
  else if (capture && !capture.up) found.push(["bad", "not captured"]);
  else if (capture?.link_up === false) found.push(["warn", "link down"]);
  const coverage = worst(capture);
  if (coverage != null && coverage < BLIND) found.push(["bad", `sees ${percent(coverage)} of the kernel's bytes`]);
  for (const [stage, packets] of drops(recent)) found.push(["bad", `${count(packets)} lost (${stage}) in the last minute`]);
  if (found.length === 0 && drops(totals).length > 0) {
    const lost = drops(totals).map(([stage, packets]) => `${stage} ${count(packets)}`);
    found.push(["warn", `lost since the start: ${lost.join(", ")}`]);
  }
  if (capture?.overlaps?.length > 0) found.push(["info", `same packets on ${capture.overlaps.join(", ")}`]);
  return found;
}

function worst(capture) {
  const ratios = (capture?.coverage ?? []).map((of) => of.ratio);
  return ratios.length > 0 ? Math.min(...ratios) : null;
}

function severity(found) {
  return ["bad", "warn"].find((kind) => found.some(([of]) => of === kind)) ?? "good";
}

function fact(view) {
  const found = faults(view);
  const coverage = worst(view.capture);
  const errors = (view.totals?.parse_errors ?? []).reduce((sum, of) => sum + of.packets, 0);
  const parts = [
    coverage != null ? `coverage ${percent(coverage)}` : view.capture?.filtered ? `filter ${view.capture.filter}` : null,
    found.some(([of]) => of === "bad" || of === "warn") ? null : "nothing lost",
    errors > 0 ? `${count(errors)} unreadable` : null,
    view.capture?.lag_seconds != null ? `lag ${duration(view.capture.lag_seconds)}` : null,
    view.capture?.gaps_total > 0 ? `${count(view.capture.gaps_total)} gaps` : null,
  ];
  const wrong = found.map(([kind, words]) => el("span", { class: kind === "info" ? null : "wrong" }, words));
  return el("p", { class: `fact ${severity(found)}` }, el("b", {}, view.name), wrong,
    parts.filter(Boolean).map((part) => el("span", {}, part)));
}

/** Facts in full; beyond them those that are whole are counted only. */
const MOST = 8;
const RANK = { bad: 0, warn: 1, good: 2 };

/** Shows the state of every capture, the worst first. */
export function showTruth(views) {
  const facts = views.map((view) => ({ view, severity: severity(faults(view)) }));
  facts.sort((a, b) => RANK[a.severity] - RANK[b.severity]);
  const shown = facts.filter(({ severity: of }, index) => index < MOST || of !== "good");
  const rest = facts.length - shown.length;
  const more = rest > 0 ? [el("p", { class: "fact good" }, el("span", {}, `${rest} more, nothing lost`))] : [];
  $("truth").replaceChildren(...shown.map(({ view }) => fact(view)), ...more);
}
