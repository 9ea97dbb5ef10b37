// The flow table: the API's own words filter it, its order sorts it, its cursor pages through it.

import { $, Table, el, text } from "./dom.js";
import { bytes, count, when } from "./format.js";

const WORDS = ["interface", "protocol", "host", "port", "state"];
const EVERY = 3000;
const ROWS = 25;

const shown = { sort: "bytes", down: true, cursor: null, next: null, words: {} };
let table;
let timer;
let held = false;

/** May break before the port where there is little room. */
function end(address, port) {
  const name = port != null && address.includes(":") ? `[${address}]` : address;
  return el("span", { class: "address" }, name, ...(port == null ? [] : [el("wbr"), `:${port}`]));
}

const COLUMNS = [
  { title: "Interface", spare: true, cell: (flow) => flow.interface ?? "–" },
  { title: "Protocol", cell: (flow) => flow.protocol },
  { title: "From", cell: (flow) => end(flow.src_ip, flow.src_port ?? flow.icmp_id) },
  { title: "To", cell: (flow) => end(flow.dst_ip, flow.dst_port) },
  { title: "State", spare: true, cell: (flow) => flow.state },
  { title: "Packets", spare: true, numeric: true, sort: "packets", cell: (flow) => count(flow.packets_c2s + flow.packets_s2c) },
  { title: "Bytes →", spare: true, numeric: true, cell: (flow) => bytes(flow.bytes_c2s) },
  { title: "Bytes ←", spare: true, numeric: true, cell: (flow) => bytes(flow.bytes_s2c) },
  { title: "Bytes", numeric: true, sort: "bytes", cell: (flow) => bytes(flow.bytes_c2s + flow.bytes_s2c) },
  { title: "First seen", spare: true, numeric: true, sort: "first_seen", cell: (flow) => when(flow.first_seen) },
  { title: "Last seen", spare: true, numeric: true, sort: "last_seen", cell: (flow) => when(flow.last_seen) },
];

/** `interface=eth0 port=443`, also with a colon; a bare word is an address, a port or a protocol. */
export function readWords(line) {
  const words = {};
  for (const word of line.trim().split(/\s+/).filter(Boolean)) {
    const [, key, value] = /^([a-z]+)[=:](.+)$/.exec(word) ?? [];
    if (key && WORDS.includes(key)) words[key] = value;
    else if (key && !/^[0-9a-f]*:/i.test(word)) throw new Error(`“${key}” is no filter; there are ${WORDS.join(", ")}`);
    else if (/^\d+$/.test(word)) words.port = word;
    else if (/^[0-9a-f]*[.:][0-9a-f.:/]*$/i.test(word)) words.host = word;
    else words.protocol = word;
  }
  return words;
}

async function load() {
  clearTimeout(timer);
  const query = new URLSearchParams({ ...shown.words, sort: shown.sort, order: shown.down ? "desc" : "asc", limit: ROWS });
  if (shown.cursor) query.set("cursor", shown.cursor);
  try {
    const answer = await fetch(`api/v1/flows?${query}`, { headers: { accept: "application/json" } });
    const document = await answer.json();
    if (answer.ok) fill(document);
    else if (answer.status === 410) return first();
    else if (answer.status !== 503) text($("flows-problem"), document.detail ?? document.title);
  } catch {
    // The header says that the daemon is away.
  }
  if (!shown.cursor && !held) timer = setTimeout(load, EVERY);
}

function fill({ flows, matched, kept, next }) {
  text($("flows-problem"), "");
  table.rows(flows, "no flow matches");
  shown.next = next;
  text($("flows-note"), `${count(matched)} match${kept < matched ? `, the first ${count(kept)} can be paged through` : ""}`);
  $("flows-next").disabled = next == null;
  $("flows-first").disabled = shown.cursor == null;
}

function first() {
  shown.cursor = null;
  return load();
}

function sortBy(key) {
  shown.down = shown.sort === key ? !shown.down : true;
  shown.sort = key;
  table.ordered(key, shown.down);
  first();
}

/** Stops or goes on asking. */
export function holdFlows(yes) {
  held = yes;
  if (yes) clearTimeout(timer);
  else load();
}

export function startFlows() {
  table = new Table("Flows", COLUMNS, sortBy);
  table.ordered(shown.sort, shown.down);
  $("flows").replaceChildren(table.root);
  $("flows-first").addEventListener("click", first);
  $("flows-next").addEventListener("click", () => {
    shown.cursor = shown.next;
    load();
  });
  $("flows-filter").addEventListener("submit", (event) => event.preventDefault());
  $("flows-words").addEventListener("input", (event) => {
    try {
      shown.words = readWords(event.target.value);
      text($("flows-problem"), "");
      clearTimeout(timer);
      shown.cursor = null;
      timer = setTimeout(load, 300);
    } catch (problem) {
      text($("flows-problem"), problem.message);
    }
  });
  load();
}
