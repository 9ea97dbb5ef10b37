// The WebSocket to the daemon: comes back by itself, and says since when nothing came.

const FIRST_WAIT = 500;
const LONGEST_WAIT = 10_000;
/** Without a message for this long the connection counts as dead, whatever the browser believes. */
const SILENCE = 6_000;

export class Stream {
  /** `path` is below the page, wherever a proxy puts that; `on` = { message(document), state({ connected, last, retryAt, reason }) }; state is told of every change and each second. */
  constructor(path, on) {
    this.url = new URL(path, document.baseURI);
    this.url.protocol = this.url.protocol === "https:" ? "wss:" : "ws:";
    this.on = on;
    this.wait = FIRST_WAIT;
    this.last = null;
    this.#open();
    setInterval(() => this.#watch(), 1000);
  }

  #open() {
    this.retryAt = null;
    this.begun = Date.now();
    const socket = new WebSocket(this.url);
    this.socket = socket;
    socket.onmessage = ({ data }) => {
      this.last = Date.now();
      this.wait = FIRST_WAIT;
      this.connected = true;
      this.on.message(JSON.parse(data));
    };
    socket.onclose = ({ code, reason }) => {
      if (socket === this.socket) this.#lost(reason || (code === 1006 ? "no answer" : `closed (${code})`));
    };
  }

  #lost(reason) {
    this.connected = false;
    this.reason = reason;
    // Many pages must not come back at the same moment.
    const wait = this.wait * (0.75 + Math.random() / 2);
    this.wait = Math.min(this.wait * 2, LONGEST_WAIT);
    this.retryAt = Date.now() + wait;
    setTimeout(() => this.#open(), wait);
    this.#tell();
  }

  #watch() {
    const heard = Math.max(this.last ?? 0, this.begun);
    if (this.retryAt == null && Date.now() - heard > SILENCE) {
      const dead = this.socket;
      this.socket = null;
      dead.close();
      this.#lost("silent");
    } else {
      this.#tell();
    }
  }

  #tell() {
    this.on.state({ connected: this.connected === true, last: this.last, retryAt: this.retryAt, reason: this.reason });
  }
}
