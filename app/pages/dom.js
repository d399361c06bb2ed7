// @ts-check
/** The few DOM helpers that all pages share; they insert text from outside as text, never as markup. */
import { describe } from "./connection.js";

/** @template {HTMLElement} E @param {string} id @param {new () => E} kind @returns {E} */
export function byId(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${kind.name} #${id}`);
  return found;
}

/** Copy a template's only element and fill its fields. @param {string} id @param {Record<string, string>} fields */
export function stamp(id, fields) {
  const element = /** @type {HTMLElement} */ (byId(id, HTMLTemplateElement).content.firstElementChild?.cloneNode(true));
  for (const [name, text] of Object.entries(fields)) setField(element, name, text);
  return element;
}

export function setField(/** @type {HTMLElement} */ element, /** @type {string} */ name, /** @type {string} */ text) {
  const field = element.querySelector(`[data-field="${name}"]`);
  if (field && field.textContent !== text) field.textContent = text;
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const dayAndClock = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });

/** Show a moment in the reader's own time zone: the time today, the date too on other days. */
export function setTime(/** @type {HTMLElement} */ element, /** @type {string} */ iso) {
  const time = element.querySelector("time");
  const date = new Date(iso);
  if (!time || Number.isNaN(date.valueOf())) return;
  const today = date.toDateString() === new Date().toDateString();
  time.dateTime = iso;
  time.textContent = (today ? clock : dayAndClock).format(date);
}

export function showState(/** @type {import("./connection.js").State} */ state) {
  const line = byId("state", HTMLElement);
  line.dataset.phase = state.phase === "connected" && state.away ? "waiting" : state.phase;
  line.textContent = describe(state);
}
