// @ts-check
/**
 * Outgoing messages, sent in order and one at a time, so that an answer always belongs to the first of them.
 * A message leaves the queue when it comes back from the log: only then is it known to be kept. Its key is unique,
 * so that it may be sent again.
 */
import { setField, stamp } from "./dom.js";

/** @typedef {{user: string, message: string, key: string}} Message */

export class Outbox {
  /** @type {(Message & {element: HTMLElement})[]} */
  #queue = [];
  #connected = false;
  #sent = false;

  /** @param {HTMLElement} list @param {(message: Message) => void} send @param {(message: Message) => void} takeBack */
  constructor(list, send, takeBack) {
    this.list = list;
    this.send = send;
    this.takeBack = takeBack;
  }

  get empty() {
    return this.list.childElementCount === 0;
  }

  add(/** @type {{user: string, message: string}} */ { user, message }) {
    const element = stamp("pending-entry", { user, message, status: "not sent yet" });
    const key = Math.random().toString(36).slice(2) + Date.now().toString(36);
    this.list.append(element);
    this.#queue.push({ user, message, key, element });
    this.#next();
  }

  /** The server takes no messages for now and has refused the one sent; it reports when it takes them again. */
  held() {
    this.#connected = this.#sent = false;
    if (this.#queue[0]) setField(this.#queue[0].element, "status", "not sent yet");
  }

  /** Send the first message again: it may have arrived or not, and its key keeps the server from taking it twice. */
  connected() {
    this.#connected = true;
    this.#sent = false;
    this.#next();
  }

  lost() {
    this.#connected = false;
    if (this.#sent) setField(this.#queue[0].element, "status", "not confirmed yet");
  }

  heard(/** @type {{key?: string}} */ { key }) {
    if (key !== undefined && this.#queue[0]?.key === key) this.#done().element.remove();
  }

  /** The server has refused the first message: it stays visible, for the writer to edit or drop. */
  refused(/** @type {string} */ detail) {
    if (!this.#sent) return;
    const { element, ...message } = this.#done();
    element.classList.add("refused");
    setField(element, "status", `refused: ${detail}`);
    const [edit, drop] = element.querySelectorAll("button");
    edit.hidden = drop.hidden = false;
    edit.addEventListener("click", () => this.takeBack(message));
    for (const button of [edit, drop]) button.addEventListener("click", () => element.remove());
  }

  #next() {
    const first = this.#queue[0];
    if (!this.#connected || this.#sent || !first) return;
    this.#sent = true;
    setField(first.element, "status", "sending…");
    this.send({ user: first.user, message: first.message, key: first.key });
  }

  #done() {
    this.#sent = false;
    const first = /** @type {Message & {element: HTMLElement}} */ (this.#queue.shift());
    queueMicrotask(() => this.#next());
    return first;
  }
}
