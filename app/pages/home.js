// @ts-check
/** The home page: the worker that serves it, and the state of all workers. */
import { EventStream } from "./connection.js";
import { byId, setField, setTime, showState, stamp } from "./dom.js";

/** @typedef {import("./connection.js").Heartbeat} Heartbeat */
/** @typedef {{element: HTMLElement, pid: number, since: number, heardAt: number}} Row */

const GONE_MS = 10_000;
const REMOVED_MS = 13_000;
const MIB = 2 ** 20;

const body = byId("workers", HTMLElement);
const news = byId("news", HTMLElement);
const whole = new Intl.NumberFormat();
const tenths = new Intl.NumberFormat(undefined, { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** @type {Map<string, Row>} */
const rows = new Map();
let connected = false;
let servingPid = 0;

/** @param {Heartbeat} heartbeat */
function show(heartbeat) {
  const { slot, pid } = heartbeat;
  const key = slot === null ? `pid ${pid}` : `slot ${slot}`;
  const since = Date.parse(heartbeat.since);
  const row = rows.get(key) ?? added(key, heartbeat, since);
  // While a worker is replaced, the old one still sends heartbeats until it has drained.
  if (row.pid !== pid && since < row.since) return;
  if (row.pid !== pid) news.textContent = `Worker ${slot} was replaced: pid ${row.pid} has become ${pid}.`;
  Object.assign(row, { pid, since, heardAt: performance.now() });
  fill(row.element, heartbeat);
  mark(row);
}

/** @param {string} key @param {Heartbeat} heartbeat @param {number} since @returns {Row} */
function added(key, { slot, pid }, since) {
  const element = stamp("worker", { slot: slot === null ? "–" : String(slot) });
  if (slot !== null) element.dataset.slot = String(slot);
  const row = { element, pid, since, heardAt: 0 };
  rows.set(key, row);
  const sorted = [...rows].sort(([one], [other]) => one.localeCompare(other, "en", { numeric: true }));
  body.replaceChildren(...sorted.map(([, { element }]) => element));
  return row;
}

/** @param {HTMLElement} element @param {Heartbeat} heartbeat */
function fill(element, heartbeat) {
  element.dataset.pid = String(heartbeat.pid);
  setField(element, "pid", String(heartbeat.pid));
  setField(element, "requests", whole.format(heartbeat.requests));
  setField(element, "rate", tenths.format(heartbeat.rate));
  setField(element, "p50", known(heartbeat.p50, (seconds) => tenths.format(seconds * 1_000)));
  setField(element, "p99", known(heartbeat.p99, (seconds) => tenths.format(seconds * 1_000)));
  setField(element, "connections", whole.format(heartbeat.connections));
  setField(element, "memory", tenths.format(heartbeat.memory / MIB));
  setField(element, "lag", tenths.format(heartbeat.lag * 1_000));
  setField(element, "reloads", known(heartbeat.reloads, whole.format));
  setTime(element, heartbeat.since);
}

/** @param {number | null} value @param {(value: number) => string} shown */
function known(value, shown) {
  return value === null ? "–" : shown(value);
}

/** @param {Row} row */
function mark({ element, pid, heardAt }) {
  const gone = performance.now() - heardAt > GONE_MS;
  element.classList.toggle("gone", gone);
  element.classList.toggle("serving", pid === servingPid);
  setField(element, "note", gone ? "gone" : pid === servingPid ? "this page" : "");
}

/** Mark and remove silent workers; only while connected, since otherwise no heartbeat can arrive. */
function sweep() {
  if (!connected) return;
  for (const [key, row] of rows) {
    mark(row);
    if (performance.now() - row.heardAt < REMOVED_MS) continue;
    row.element.remove();
    rows.delete(key);
  }
}

const stream = new EventStream({
  state(state) {
    showState(state);
    connected = state.phase === "connected" && !state.away;
    body.classList.toggle("stale", !connected);
    if (state.phase !== "connected") return;
    servingPid = state.worker.pid;
    for (const row of rows.values()) {
      row.heardAt = performance.now();
      mark(row);
    }
  },
  worker: show,
});

setInterval(sweep, 1_000);
stream.start();
