// @ts-check
/**
 * Connections that reconnect by themselves: the back-off, the place in the log, and the two transports.
 *
 * @typedef {{slot: number | null, pid: number}} Worker
 * @typedef {{id: string, user: string, message: string, at: string, key?: string}} Entry
 * @typedef {Worker & {requests: number, rate: number, connections: number, memory: number, lag: number, since: string,
 *   p50: number | null, p99: number | null, reloads: number | null}} Heartbeat
 * @typedef {{phase: "connecting", again: boolean}
 *   | {phase: "connected", worker: Worker, away: boolean}
 *   | {phase: "waiting", delayMs: number, code: number}} State
 * @typedef {object} Handlers
 * @property {(state: State) => void} state
 * @property {(entry: Entry) => void} [entry] called once for each id, in the order of the log
 * @property {() => void} [reset] missed entries are no longer kept
 * @property {(detail: string, again: boolean) => void} [refused]
 * @property {(heartbeat: Heartbeat) => void} [worker]
 */

const BASE_MS = 250;
const CAP_MS = 10_000;
// Only a connection that lasted longer resets the back-off; otherwise short ones would reconnect in a hot loop.
const STABLE_MS = 1_000;
// Heartbeats come every 2 s: after this silence the connection is lost without an event (a phone that slept).
const SILENCE_MS = 30_000;
const REMEMBERED_IDS = 1_000;

/** Full jitter: after a restart, clients spread over the whole interval instead of coming back together. */
export function backoffMs(/** @type {number} */ attempt) {
  return Math.random() * Math.min(CAP_MS, BASE_MS * 2 ** attempt);
}

/** The state of a connection in words. */
export function describe(/** @type {State} */ state) {
  switch (state.phase) {
    case "connecting":
      return state.again ? "reconnecting…" : "connecting…";
    case "connected": {
      const { slot, pid } = state.worker;
      const worker = slot === null ? `the worker with pid ${pid}` : `worker ${slot} (pid ${pid})`;
      return state.away ? `connected to ${worker}, which waits for the message log` : `connected to ${worker}`;
    }
    case "waiting": {
      const when = state.delayMs < 1_000 ? "…" : ` in ${Math.round(state.delayMs / 1_000)} s…`;
      return navigator.onLine ? `reconnecting${when}` : `offline, trying again${when}`;
    }
  }
}

/** The part that both transports share; a subclass's `open` connects at the place `after` in the log. */
class Connection {
  #attempt = 0;
  #timer = 0;
  #openedAt = Infinity;
  /** @type {Worker | undefined} */
  #worker;
  /** @type {Set<string>} */
  #seen = new Set();

  /** @param {Handlers} handlers @param {string | null} after resume behind this id; null for new entries only */
  constructor(handlers, after = null) {
    this.handlers = handlers;
    this.after = after;
    // The browser may call itself offline while the server is on this machine, so this only shortens the wait.
    addEventListener("online", () => this.#timer && this.#connect(true));
  }

  start() {
    this.#connect(false);
    return this;
  }

  open() {
    throw new Error("a transport says how to open itself");
  }

  opened(/** @type {Worker} */ worker) {
    this.#openedAt = performance.now();
    this.#worker = worker;
    this.handlers.state({ phase: "connected", worker, away: false });
  }

  /** The worker answers, but the bus between the workers has gone away, or is back. */
  bus(/** @type {boolean} */ available) {
    if (this.#worker) this.handlers.state({ phase: "connected", worker: this.#worker, away: !available });
  }

  deliver(/** @type {Entry} */ entry) {
    if (this.#seen.has(entry.id)) return;
    this.#seen.add(entry.id);
    if (this.#seen.size > REMEMBERED_IDS) this.#seen.delete(/** @type {string} */ (this.#seen.values().next().value));
    this.after = entry.id;
    this.handlers.entry?.(entry);
  }

  /** Forget the seen ids: a log that starts anew may reuse them, and they must not hide its entries. */
  reset() {
    this.#seen.clear();
    this.handlers.reset?.();
  }

  lost(code = 1006) {
    if (performance.now() - this.#openedAt > STABLE_MS) this.#attempt = 0;
    this.#openedAt = Infinity;
    const delayMs = backoffMs(this.#attempt++);
    this.#timer = setTimeout(() => this.#connect(true), delayMs);
    this.handlers.state({ phase: "waiting", delayMs, code });
  }

  #connect(/** @type {boolean} */ again) {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.handlers.state({ phase: "connecting", again });
    this.open();
  }
}

/** The chat: entries in both directions over a websocket. */
export class ChatSocket extends Connection {
  /** @type {WebSocket | undefined} */
  #socket;

  open() {
    const url = new URL("ws/chat", location.href);
    url.protocol = url.protocol.replace("http", "ws");
    if (this.after !== null) url.searchParams.set("after", this.after);
    this.#socket = new WebSocket(url);
    this.#socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    this.#socket.onclose = ({ code }) => this.lost(code);
  }

  send(/** @type {{user: string, message: string, key: string}} */ message) {
    this.#socket?.send(JSON.stringify(message));
  }

  /** @param {any} frame */
  #receive(frame) {
    switch (frame.type) {
      case "hello":
        return this.opened(frame);
      case "reset":
        return this.reset();
      case "error":
        return this.handlers.refused?.(frame.detail, frame.again === true);
      case "bus":
        return this.bus(frame.available);
      case undefined:
        return this.deliver(frame);
    }
  }
}

/** The same log and the workers' heartbeats as server-sent events. */
export class EventStream extends Connection {
  #watchdog = 0;

  open() {
    const source = new EventSource(this.after === null ? "events" : `events?after=${encodeURIComponent(this.after)}`);
    const giveUp = () => {
      clearTimeout(this.#watchdog);
      source.close();
      this.lost();
    };
    const watch = () => {
      clearTimeout(this.#watchdog);
      this.#watchdog = setTimeout(giveUp, SILENCE_MS);
    };
    /** @type {(name: string, handle: (data: string) => void) => void} */
    const on = (name, handle) =>
      source.addEventListener(name, (event) => {
        watch();
        handle(event.data);
      });
    watch();
    on("hello", (data) => this.opened(JSON.parse(data)));
    on("message", (data) => this.deliver(JSON.parse(data)));
    on("worker", (data) => this.handlers.worker?.(JSON.parse(data)));
    on("reset", () => this.reset());
    on("bus", (data) => this.bus(JSON.parse(data).available));
    source.onerror = () => {
      // The browser reopens an ended stream after the server's retry time; a status other than 200 closes it for good.
      if (source.readyState === EventSource.CLOSED) giveUp();
      else this.handlers.state({ phase: "connecting", again: true });
    };
  }
}
