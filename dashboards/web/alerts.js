// Alerts with their state, and a silence for them.

import { $, el, text } from "./dom.js";
import { bytes, duration, perSecond, percent, rate, when } from "./format.js";

let token = null;
let chosen = null;

function amount(value, unit) {
  if (value == null) return "";
  if (unit === "bytes_per_second") return rate(value);
  if (unit === "bytes") return bytes(value);
  if (unit === "ratio") return percent(value);
  if (unit === "seconds") return duration(value);
  return unit.endsWith("_per_second") ? perSecond(value) : String(Math.round(value * 100) / 100);
}

function line(alert) {
  const labels = Object.entries(alert.labels).map(([key, value]) => `${key}=${value}`).join(" ");
  const limit = alert.threshold == null ? "" : `, limit ${amount(alert.threshold, alert.unit)}`;
  const silence = el("button", { type: "button", click: () => ask(alert) }, "Silence");
  return el("div", { class: `alert ${alert.state} ${alert.severity}` },
    el("span", { class: "state" }, alert.silenced_until ? `${alert.state}, silenced until ${when(alert.silenced_until)}` : alert.state),
    el("strong", {}, alert.alert),
    alert.silenced_until || alert.state === "resolved" ? null : silence,
    el("p", {}, `${labels}: ${amount(alert.value, alert.unit)}${limit}, since ${when(alert.active_since)}${alert.blind ? "; seen through a blind capture" : ""}`));
}

const RANK = { firing: 0, pending: 1, resolved: 2, critical: 0, warning: 1, info: 2 };

/** `null`: no rules are in force. */
export function showAlerts(alerts) {
  const firing = (alerts ?? []).filter((alert) => alert.state === "firing");
  text($("alerts-count"), firing.length > 0 ? `${firing.length} firing` : "");
  $("alerts-count").classList.toggle("bad", firing.length > 0);
  document.title = `${firing.length > 0 ? `(${firing.length}) ` : ""}netmon ${location.host}`;
  if (alerts == null || alerts.length === 0) {
    $("alerts").replaceChildren(el("p", { class: "calm" }, alerts == null ? "no rules are in force" : "nothing fires"));
    return;
  }
  const sorted = [...alerts].sort((a, b) => RANK[a.state] - RANK[b.state] || RANK[a.severity] - RANK[b.severity] || a.alert.localeCompare(b.alert));
  $("alerts").replaceChildren(...sorted.slice(0, 30).map(line));
}

function ask(alert) {
  chosen = { alertname: alert.alert, ...alert.labels };
  text($("silence-what"), Object.entries(chosen).map(([key, value]) => `${key}=${value}`).join(", "));
  text($("silence-problem"), "");
  $("silence-token").hidden = token == null;
  $("silence").showModal();
}

async function send(form) {
  const data = new FormData(form);
  if (data.get("token")) token = data.get("token");
  const headers = { "content-type": "application/json", ...(token ? { authorization: `Bearer ${token}` } : {}) };
  const body = JSON.stringify({
    matchers: chosen,
    duration: `${Number(data.get("hours")) * 60}m`,
    created_by: data.get("author"),
    comment: data.get("comment"),
  });
  const answer = await fetch("api/v1/silences", { method: "POST", headers, body });
  if (answer.ok) return true;
  const problem = await answer.json().catch(() => ({}));
  if (answer.status === 401 || answer.status === 403) $("silence-token").hidden = false;
  text($("silence-problem"), problem.detail ?? `refused (${answer.status})`);
  return false;
}

export function startAlerts() {
  const form = $("silence").querySelector("form");
  $("silence-go").addEventListener("click", async (event) => {
    event.preventDefault();
    if (form.reportValidity() && await send(form)) $("silence").close();
  });
}
