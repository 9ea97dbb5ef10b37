// One second after another of each interface, as they come; the oldest go.

const KEPT = 3600;

export class Series {
  constructor() {
    this.times = [];
    this.receive = [];
    this.transmit = [];
    this.peakReceive = [];
    this.peakTransmit = [];
  }

  /** Adds a second. A hole of more than `step` seconds becomes a break in the line; an older second changes nothing. */
  add(time, receive, transmit, peakReceive = receive, peakTransmit = transmit, step = 2.5) {
    const last = this.times.at(-1);
    if (last != null && time <= last) return;
    if (last != null && time - last > step) this.#push(last + 0.5, null, null, null, null);
    this.#push(time, receive, transmit, peakReceive, peakTransmit);
    if (this.times.length > KEPT) this.#columns().forEach((column) => column.shift());
  }

  /** What lies in the last `span` seconds before `end`. */
  within(span, end) {
    const from = this.times.findIndex((time) => time >= end - span - 2);
    if (from < 0) return { times: [], receive: [], transmit: [], peakReceive: [], peakTransmit: [] };
    const [times, receive, transmit, peakReceive, peakTransmit] = this.#columns().map((column) => column.slice(from));
    return { times, receive, transmit, peakReceive, peakTransmit };
  }

  #push(...values) {
    this.#columns().forEach((column, index) => column.push(values[index]));
  }

  #columns() {
    return [this.times, this.receive, this.transmit, this.peakReceive, this.peakTransmit];
  }
}
