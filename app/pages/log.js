// @ts-check
/** A scrolling log that follows its newest entry only while the reader is at the bottom. */
import { byId, setTime, stamp } from "./dom.js";

const KEPT_ENTRIES = 500;
const BOTTOM_PX = 40;
// Screen readers skip the replay on arrival: read aloud, hundreds of messages would bury the first new one.
const REPLAY_MS = 2_000;

export class Log {
  #box = byId("log", HTMLElement);
  #list = byId("entries", HTMLElement);
  #newest = byId("newest", HTMLButtonElement);
  #pinned = true;
  #top = 0;

  constructor() {
    const observer = new ResizeObserver(() => this.#follow());
    // The box too: a phone's keyboard takes half of its height.
    for (const element of [this.#box, ...this.#box.children]) observer.observe(element);
    this.#box.addEventListener("scroll", () => this.#scrolled());
    this.#newest.addEventListener("click", () => {
      this.#box.focus();
      this.#pin(true);
    });
    setTimeout(() => this.#box.removeAttribute("aria-busy"), REPLAY_MS);
  }

  /** @param {import("./connection.js").Entry} entry */
  add({ id, user, message, at }) {
    const element = stamp("entry", { id, user, message });
    element.dataset.id = id;
    setTime(element, at);
    this.append(element);
  }

  /** Show a notice in the place of missing entries. */
  gap() {
    const newest = this.#list.lastElementChild;
    if (newest?.classList.contains("gap")) return;
    const what = newest ? "Some messages were missed here" : "There were earlier messages";
    this.append(stamp("gap", { text: `${what}; the server no longer keeps them.` }));
  }

  append(/** @type {HTMLElement} */ element) {
    this.#list.append(element);
    while (this.#list.childElementCount > KEPT_ENTRIES) this.#list.firstElementChild?.remove();
  }

  /** Unpin only when scrolling up, which is the reader's: after the script's scrolling newer entries may be below. */
  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#box;
    const atBottom = scrollHeight - scrollTop - clientHeight < BOTTOM_PX;
    if (atBottom || scrollTop < this.#top) this.#pin(atBottom);
    this.#top = scrollTop;
  }

  #pin(/** @type {boolean} */ pinned) {
    this.#pinned = pinned;
    this.#newest.hidden = pinned;
    this.#box.classList.toggle("pinned", pinned);
    this.#follow();
  }

  #follow() {
    if (this.#pinned) this.#box.scrollTop = this.#box.scrollHeight;
  }
}
