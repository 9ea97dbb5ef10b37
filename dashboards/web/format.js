// Numbers and times as people read them.

let bits = true;

/** Rates in bits (as links are sold) or bytes (as Prometheus counts) per second. */
export function showBits(yes) {
  bits = yes;
}

const PREFIXES = ["", "k", "M", "G", "T", "P"];

function scaled(value, base = 1000) {
  let step = 0;
  while (value >= 999.5 && step < PREFIXES.length - 1) {
    value /= base;
    step += 1;
  }
  return [value, PREFIXES[step]];
}

/** Three significant digits, no more. */
function short(value) {
  if (value === 0) return "0";
  if (value >= 99.95) return value.toFixed(0);
  if (value >= 9.995) return value.toFixed(1);
  return value >= 0.01 ? value.toFixed(2) : value.toPrecision(1);
}

/** A rate given in bytes per second. */
export function rate(bytesPerSecond) {
  if (bytesPerSecond == null) return "–";
  const [value, prefix] = scaled(bits ? bytesPerSecond * 8 : bytesPerSecond);
  return `${short(value)} ${prefix}${bits ? "bit/s" : "B/s"}`;
}

/** A number of bytes. */
export function bytes(count) {
  if (count == null) return "–";
  const [value, prefix] = scaled(count);
  return `${short(value)} ${prefix}B`;
}

/** A count, in full while it is short. */
export function count(value) {
  if (value == null) return "–";
  if (value < 100_000) return Math.round(value).toLocaleString("en");
  const [scaledValue, prefix] = scaled(value);
  return `${short(scaledValue)} ${prefix}`;
}

/** Events per second. */
export function perSecond(value) {
  if (value == null) return "–";
  const [scaledValue, prefix] = scaled(value);
  return `${short(scaledValue)}${prefix ? " " + prefix : ""}/s`;
}

/** A ratio as a percentage; never rounded to 0 or 100 when it is not. */
export function percent(ratio) {
  if (ratio == null) return "–";
  const value = ratio * 100;
  if (value === 0) return "0 %";
  if (value < 0.01) return "< 0.01 %";
  if (value < 100 && value > 99.99) return "> 99.99 %";
  return `${value < 10 ? value.toFixed(2) : value.toFixed(1)} %`;
}

/** A duration in seconds. */
export function duration(seconds) {
  if (seconds == null) return "–";
  if (seconds < 0.001) return `${short(seconds * 1e6)} µs`;
  if (seconds < 1) return `${short(seconds * 1e3)} ms`;
  if (seconds < 120) return `${short(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** A moment (RFC 3339) of a live second, by the clock of the reader. */
export function clock(time) {
  return new Date(time).toLocaleTimeString([], { hour12: false });
}

/** A moment that may be long ago: with its day unless that is today. */
export function when(time) {
  const date = new Date(time);
  const isToday = date.toDateString() === new Date().toDateString();
  return isToday ? clock(time) : `${date.toLocaleDateString([], { day: "numeric", month: "short", year: "numeric" })}, ${clock(time)}`;
}
