// @ts-check
/** The chat page: a log, a form, and the outbox of messages that are not confirmed yet. */
import { ChatSocket } from "./connection.js";
import { byId, showState } from "./dom.js";
import { Log } from "./log.js";
import { Outbox } from "./outbox.js";

const MESSAGE_TOO_BIG = 1009;

const form = byId("compose", HTMLFormElement);
const user = byId("user", HTMLInputElement);
const text = byId("message", HTMLTextAreaElement);
const log = new Log();

const outbox = new Outbox(
  byId("pending", HTMLElement),
  (message) => socket.send(message),
  ({ message }) => {
    text.value = text.value ? `${message}\n${text.value}` : message;
    text.focus();
  },
);

const socket = new ChatSocket(
  {
    state(state) {
      showState(state);
      if (state.phase === "connected") state.away ? outbox.held() : outbox.connected();
      if (state.phase !== "waiting") return;
      if (state.code === MESSAGE_TOO_BIG) outbox.refused("the message is too big");
      outbox.lost();
    },
    entry(entry) {
      outbox.heard(entry);
      log.add(entry);
    },
    reset() {
      log.gap();
      outbox.connected(); // messages under way may be lost with the log
    },
    refused: (detail, again) => (again ? outbox.held() : outbox.refused(detail)),
  },
  "0",
);

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const message = { user: user.value.trim(), message: text.value.trim() };
  if (!message.user) return user.focus();
  if (!message.message) return text.focus();
  outbox.add(message);
  text.value = "";
  text.focus();
});

text.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
});

addEventListener("beforeunload", (event) => {
  if (!outbox.empty) event.preventDefault();
});

socket.start();
