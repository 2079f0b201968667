/** Which page is shown: the address bar is the only state. How far down it was read is kept with its entry in the history. */

interface Place {
  path: string;
  query: URLSearchParams;
}

const here = (): Place => ({ path: location.pathname, query: new URLSearchParams(location.search) });

let place = $state.raw(here());

/** Where the reader is. */
export const router = {
  get path() {
    return place.path;
  },
  get query() {
    return place.query;
  },
};

/** Called after each change of the path; not of the query alone. */
let arrived: () => void = () => {};

export function onArrival(callback: () => void) {
  arrived = callback;
}

/** Goes to an address of ours. */
export function go(address: string, how: "push" | "replace" = "push") {
  const before = place.path;
  if (address !== location.pathname + location.search) {
    if (how === "push") {
      mark();
      history.pushState(null, "", address);
    } else history.replaceState(history.state, "", address);
  }
  place = here();
  if (place.path !== before) {
    scroll(0);
    arrived();
  }
}

interface Entry {
  scroll?: number;
}
const entry = (): Entry => (history.state as Entry | null) ?? {};

/** A page that is scrolled is marked when it has been still for so long: browsers do not take more. */
const STILL_MS = 250;
/** For a page to become as long as it was, on a slow line or machine; a reader who moves meanwhile ends it. */
const GROWS_MS = 8_000;
let marking: ReturnType<typeof setTimeout> | undefined;
let scrolling = 0;

/** Keeps how far down the page is with its entry. */
function mark() {
  clearTimeout(marking);
  history.replaceState({ ...entry(), scroll: scrollY }, "");
}

/** Frames for which a page stays where it is before it is left to itself: what comes above it pushes it. */
const HOLDS = 3;

/** Scrolls to where a page was read, as soon as it is as long again; not against the reader, who may have moved on. */
function scroll(to: number) {
  clearTimeout(marking);
  cancelAnimationFrame(scrolling);
  scrollTo(0, to);
  const end = performance.now() + GROWS_MS;
  let held = 0;
  const step = () => {
    held = Math.abs(scrollY - to) < 1 ? held + 1 : 0;
    if (held === 0) scrollTo(0, to);
    if (held < HOLDS && performance.now() < end) scrolling = requestAnimationFrame(step);
  };
  scrolling = requestAnimationFrame(step);
}

/** Changes parameters of the address without a step in the history: a filter, an interval. */
export function refine(changes: Record<string, string | null>) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  go(text === "" ? location.pathname : `${location.pathname}?${text}`, "replace");
}

const OURS = /^\/(?:$|s\/|alerts$|alerts\/|rule$|subscribe$|status$|mailbox$|me$|watchlist$)/;

/** Follows links to our own pages without loading the page anew. */
export function start() {
  history.scrollRestoration = "manual";
  // A page that begins where all do is there already.
  const before = entry().scroll ?? 0;
  if (before > 0) scroll(before);
  addEventListener("scroll", () => {
    clearTimeout(marking);
    marking = setTimeout(mark, STILL_MS);
  });
  for (const moves of ["wheel", "touchstart", "pointerdown", "keydown"])
    addEventListener(moves, () => cancelAnimationFrame(scrolling), { passive: true });
  addEventListener("popstate", () => {
    const before = place.path;
    place = here();
    if (place.path === before) return;
    scroll(entry().scroll ?? 0);
    arrived();
  });
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element | null)?.closest("a");
    if (!link || link.target !== "" || link.origin !== location.origin || link.hasAttribute("download"))
      return;
    if (!OURS.test(link.pathname)) return;
    event.preventDefault();
    go(link.pathname + link.search);
  });
}
