// @ts-check
/** The live page: the log as server-sent events, with the workers' heartbeats if the reader wants them. */
import { EventStream } from "./connection.js";
import { byId, setTime, showState, stamp } from "./dom.js";
import { Log } from "./log.js";

const heartbeats = byId("heartbeats", HTMLInputElement);
const log = new Log();

const stream = new EventStream(
  {
    state: showState,
    entry: (entry) => log.add(entry),
    reset: () => log.gap(),
    worker({ slot, pid, requests, connections }) {
      if (!heartbeats.checked) return;
      const worker = slot === null ? `pid ${pid}` : `worker ${slot} (pid ${pid})`;
      const element = stamp("heartbeat", { text: `${worker}: requests ${requests}, connections ${connections}` });
      setTime(element, new Date().toISOString());
      log.append(element);
    },
  },
  "0",
);

stream.start();
