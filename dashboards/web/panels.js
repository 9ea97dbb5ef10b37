// TCP health, protocols and talkers.

import { $, Table, bar, el, text } from "./dom.js";
import { duration, percent, perSecond, rate } from "./format.js";

const sum = (values) => values.reduce((total, value) => total + value, 0);
const of = (counts) => (counts ? counts.receive + counts.transmit : 0);

function gauge(name, value, severity = "") {
  return el("div", { class: `gauge ${severity}` }, el("dt", {}, name), el("dd", {}, value));
}

/** Ratios at which a number gets a colour. */
function graded(ratio, warn, bad) {
  if (ratio == null || ratio < warn) return "";
  return ratio < bad ? "warn" : "bad";
}

function health(view) {
  const window = view.window;
  if (!window) return [];
  const { tcp, handshake_rtt: rtt, seconds } = window;
  const failures = sum(Object.values(tcp.connection_failures));
  const tried = failures + tcp.connections_opened;
  const failed = tried > 0 ? failures / tried : null;
  const resets = sum(Object.values(tcp.resets));
  const side = (which) => (rtt[which].count > 0
    ? `${duration(rtt[which].p50_seconds)} / ${duration(rtt[which].p95_seconds)} / ${duration(rtt[which].p99_seconds)}` : "–");
  return [
    el("h3", {}, view.name),
    el("dl", { class: "health" },
      gauge("retransmitted", percent(tcp.retransmit_ratio), graded(tcp.retransmit_ratio, 0.02, 0.05)),
      gauge("connects failed", percent(failed), graded(failed, 0.1, 0.3)),
      gauge("opened", perSecond(tcp.connections_opened / seconds)),
      gauge("resets", perSecond(resets / seconds)),
      gauge("out of order", perSecond(of(tcp.out_of_order_segments) / seconds)),
      gauge("zero window", perSecond(of(tcp.zero_window) / seconds)),
      gauge("handshake to server, p50 / p95 / p99", side("server"), "wide"),
      gauge("handshake to client, p50 / p95 / p99", side("client"), "wide")),
  ];
}

/** Interfaces that carry TCP first; quiet ones are left out while another one has some. */
export function showHealth(views) {
  const busy = views.filter((view) => of(view.window?.tcp.segments) > 0);
  const shown = (busy.length > 0 ? busy : views.slice(0, 1)).slice(0, 6);
  $("health").replaceChildren(...shown.flatMap(health));
}

let protocols;

/** Both directions of each (network, transport) over all interfaces. */
export function showProtocols(views) {
  const seconds = views.find((view) => view.window)?.window.seconds ?? 1;
  const merged = new Map();
  for (const row of views.flatMap((view) => view.window?.protocols ?? [])) {
    const key = row.network === "arp" || row.network === "other" ? row.network : `${row.network} ${row.transport}`;
    const into = merged.get(key) ?? { name: key, receive: 0, transmit: 0, packets: 0 };
    into.receive += row.receive.bytes;
    into.transmit += row.transmit.bytes;
    into.packets += row.receive.packets + row.transmit.packets;
    merged.set(key, into);
  }
  const rows = [...merged.values()].sort((a, b) => b.receive + b.transmit - a.receive - a.transmit);
  const all = sum(rows.map((row) => row.receive + row.transmit)) || 1;
  if (!protocols) {
    protocols = new Table("Protocols", [
      { title: "Protocol", cell: (row) => row.name },
      { title: "Share", numeric: true, cell: (row) => barred(percent(row.share), row.share, "from") },
      { title: "Receive", numeric: true, cell: (row) => rate(row.receive / row.seconds) },
      { title: "Transmit", numeric: true, cell: (row) => rate(row.transmit / row.seconds) },
      { title: "Packets", spare: true, numeric: true, cell: (row) => perSecond(row.packets / row.seconds) },
    ]);
    $("protocols").replaceChildren(protocols.root);
  }
  protocols.rows(rows.map((row) => ({ ...row, seconds, share: (row.receive + row.transmit) / all })), "nothing moves");
}

function barred(words, share, kind) {
  return el("span", { class: "barred" }, words, bar(share, kind));
}

function talkerName(row) {
  if (row.hosts) return row.hosts.join(" ⇄ ");
  if (row.host) return row.host;
  return `${row.transport} ${row.port}`;
}

let talkers;

/** `list` is one list of talkers: window, kind, rows, other, error_bound_bytes. */
export function showTalkers(list) {
  if (!talkers) {
    talkers = new Table("Top talkers", [
      { title: "Who", cell: (row) => el("span", { class: "address" }, row.name) },
      { title: "Sends", numeric: true, cell: (row) => barred(rate(row.from), row.from / row.most, "from") },
      { title: "Receives", numeric: true, cell: (row) => barred(rate(row.to), row.to / row.most, "to") },
    ]);
    $("talkers").replaceChildren(talkers.root);
  }
  if (!list) {
    talkers.rows([], "nobody talks");
    return;
  }
  const seconds = Number.parseInt(list.window, 10);
  text($("talkers-window"), `last ${list.window.replace("s", " s")}`);
  const named = list.rows.slice(0, 12).map((row) => ({ name: talkerName(row), from: row.from_bytes / seconds, to: row.to_bytes / seconds }));
  const rest = { name: "everything else", from: list.other.from_bytes / seconds, to: list.other.to_bytes / seconds };
  list.rows.slice(12).forEach((row) => {
    rest.from += row.from_bytes / seconds;
    rest.to += row.to_bytes / seconds;
  });
  if (rest.from + rest.to > 0) named.push(rest);
  const most = Math.max(1, ...named.map((row) => Math.max(row.from, row.to)));
  talkers.rows(named.map((row) => ({ ...row, most })), "nobody talks");
}
