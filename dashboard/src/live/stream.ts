/** The stream of events, kept open: over broken connections, restarts and nights in the background. */

/** Whether what is shown is what is. */
export type Connection = "connecting" | "live" | "reconnecting";

/** Longer than any silence of a live stream: its clock is told every minute. */
const SILENCE_MS = 150_000;
/** After an answer that is no stream: it has been refused, and browsers give up by themselves. */
const RETRY_MS = { least: 1_000, most: 30_000 };

const NAMES = ["bar", "stats", "alert", "status"] as const;
export type EventName = (typeof NAMES)[number];

export interface Listener {
  event(name: EventName, data: unknown): void;
  connection(state: Connection): void;
  /** The stream cannot go on where it was: everything is to be loaded anew, and another stream opened. */
  reset(): void;
}

/** Opens a stream that goes on after `position`. Call what is returned to close it. */
export function open(position: string | null, listener: Listener): () => void {
  let last = position;
  let source: EventSource | null = null;
  let heard = performance.now();
  let delay = RETRY_MS.least;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function connect() {
    source?.close();
    clearTimeout(timer);
    heard = performance.now();
    const query = last === null ? "" : `?last_event_id=${encodeURIComponent(last)}`;
    const opened = new EventSource(`/v1/stream${query}`);
    source = opened;
    opened.onopen = () => {
      heard = performance.now();
      delay = RETRY_MS.least;
      listener.connection("live");
    };
    opened.onerror = () => {
      listener.connection("reconnecting");
      if (opened.readyState !== EventSource.CLOSED) return;
      timer = setTimeout(connect, delay);
      delay = Math.min(delay * 2, RETRY_MS.most);
    };
    for (const name of NAMES) {
      opened.addEventListener(name, (event: MessageEvent<string>) => {
        heard = performance.now();
        listener.event(name, JSON.parse(event.data));
        if (event.lastEventId !== "") last = event.lastEventId;
      });
    }
    opened.addEventListener("reset", () => listener.reset());
  }

  /** A laptop that slept, or a proxy that died, leaves connections that say nothing any more. */
  function watch() {
    if (performance.now() - heard <= SILENCE_MS) return;
    listener.connection("reconnecting");
    connect();
  }

  const watching = setInterval(watch, SILENCE_MS / 5);
  const awake = () => document.visibilityState === "visible" && watch();
  document.addEventListener("visibilitychange", awake);
  window.addEventListener("online", connect);
  connect();
  return () => {
    clearInterval(watching);
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", awake);
    window.removeEventListener("online", connect);
    source?.close();
  };
}
