// The page: one stream in, every panel out. Nothing here asks another origin for anything.

import { holdFlows, startFlows } from "./flows.js";
import { showAlerts, startAlerts } from "./alerts.js";
import { $, text } from "./dom.js";
import { clock, duration, showBits, when } from "./format.js";
import { draw, restyle, showInterfaces } from "./interfaces.js";
import { showHealth, showProtocols, showTalkers } from "./panels.js";
import { Series } from "./series.js";
import { Stream } from "./stream.js";
import { showTruth } from "./truth.js";

const state = { span: 60, kind: "hosts", held: false, latest: null, series: new Map(), past: new Map(), end: null };

/** What panels need of an interface's document. */
function view(document) {
  const by = (seconds) => document.windows.find((window) => window.seconds === seconds);
  const longest = document.windows.at(-1);
  return {
    name: document.interface,
    capture: document.capture,
    second: by(1) ?? document.windows[0],
    window: by(10) ?? longest,
    recent: longest?.losses,
    totals: document.losses,
  };
}

function series(name) {
  if (!state.series.has(name)) state.series.set(name, new Series());
  return state.series.get(name);
}

function take(message) {
  addSeconds(message.seconds);
  if (message.time) state.end = Date.parse(message.time) / 1000;
  if (message.type === "hello") hello(message);
  else state.latest = message;
  if (!state.held) show();
}

/** Points come as columns; the hello has those of the last minutes. */
function addSeconds(columns) {
  for (const { interface: name, time, receive_bytes: receive, transmit_bytes: transmit } of columns ?? []) {
    time.forEach((second, index) => series(name).add(second, receive[index], transmit[index]));
  }
}

function hello({ version, revision, started, has_history: hasHistory }) {
  state.hasHistory = hasHistory;
  const build = revision && revision !== "unknown" ? ` (${revision.slice(0, 12)})` : "";
  text($("foot"), `netmon ${version}${build}, running since ${when(started)}`);
}

function show() {
  const { interfaces, talkers, alerts } = state.latest ?? {};
  if (interfaces) {
    const views = interfaces.map(view);
    showInterfaces(views);
    showTruth(views);
    showHealth(views);
    showProtocols(views);
    views.forEach(({ name }) => draw(name, points(name), state.span, state.end));
  }
  showTalkers(talkers?.[state.kind]);
  showAlerts(alerts);
}

/** The history's coarser points where there are such, and behind them what the stream brought. */
function points(name) {
  const live = series(name).within(state.span, state.end);
  const past = state.past.get(name)?.within(state.span, state.end);
  if (!past || past.times.length === 0) return live;
  const first = live.times[0] ?? Infinity;
  const until = past.times.findIndex((time) => time >= first);
  const head = until < 0 ? past.times.length : until;
  return Object.fromEntries(Object.keys(live).map((key) => [key, [...past[key].slice(0, head), ...live[key]]]));
}

/** For the long ranges: what was before this page was opened. Without a history the stream's own seconds have to do. */
async function askHistory() {
  if (state.span < 600 || !state.hasHistory) return;
  // Steps divide a day.
  const step = Math.ceil(state.span / 360);
  const query = new URLSearchParams({ from: `-${state.span}s`, step: `${step}s` });
  try {
    const answer = await fetch(`api/v1/history/bandwidth?${query}`);
    if (!answer.ok) return;
    const { series: found } = await answer.json();
    state.past = new Map(found.map((of) => [of.interface, pastOf(of, step)]));
  } catch {
    // The header says that the daemon is away.
  }
}

function pastOf({ points: found }, step) {
  const past = new Series();
  for (const point of found) {
    // As the seconds of the stream, a step stands at its end.
    const seconds = point.recorded_seconds || step;
    past.add(Date.parse(point.time) / 1000 + step, point.receive_bytes / seconds, point.transmit_bytes / seconds,
      point.peak_receive_bytes_per_second, point.peak_transmit_bytes_per_second, 2.5 * step);
  }
  return past;
}

function connection({ connected, last, retryAt, reason }) {
  const age = last == null ? null : (Date.now() - last) / 1000;
  const pill = $("link");
  pill.className = `pill ${connected ? (state.held ? "held" : "good") : last == null && retryAt == null ? "" : "bad"}`;
  if (connected && state.held) text(pill, `held at ${clock(state.end * 1000)}`);
  else if (connected) text(pill, "live");
  else if (last == null && retryAt == null) text(pill, "connecting");
  else {
    const wait = retryAt ? `, trying again in ${Math.max(0, Math.ceil((retryAt - Date.now()) / 1000))} s` : ", trying again";
    text(pill, `${age == null ? `no data (${reason})` : `last data ${duration(Math.round(age))} ago`}${wait}`);
  }
}

function hold(yes) {
  state.held = yes;
  $("pause").setAttribute("aria-pressed", String(yes));
  text($("pause"), yes ? "Resume" : "Pause");
  holdFlows(yes);
  if (!yes) show();
}

function theme(next) {
  document.documentElement.dataset.theme = next;
  text($("theme"), next === "dark" ? "Light" : "Dark");
  try {
    localStorage.setItem("netmon-theme", next);
  } catch {
    // Only the choice is lost.
  }
  restyle();
}

const other = () => (document.documentElement.dataset.theme === "dark" ? "light" : "dark");

function chosen(id, act) {
  $(id).addEventListener("change", (event) => act(event.target.value));
}

function keys(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("input, select, button, dialog[open]")) return;
  if (event.key === " ") hold(!state.held);
  else if (event.key === "t") theme(other());
  else if (event.key === "/") $("flows-words").focus();
  else return;
  event.preventDefault();
}

function start() {
  text($("host"), location.host);
  text($("theme"), other() === "light" ? "Light" : "Dark");
  $("theme").addEventListener("click", () => theme(other()));
  $("pause").addEventListener("click", () => hold(!state.held));
  chosen("range", async (value) => {
    state.span = Number(value);
    await askHistory();
    show();
  });
  chosen("unit", (value) => {
    showBits(value === "bits");
    restyle();
    show();
  });
  chosen("talkers-kind", (value) => {
    state.kind = value;
    show();
  });
  document.addEventListener("keydown", keys);
  setInterval(askHistory, 60_000);
  startAlerts();
  startFlows();
  new Stream("api/v1/stream?interval=1s&topics=interfaces,seconds,talkers,alerts", { message: take, state: connection });
}

start();
