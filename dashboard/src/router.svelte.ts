/** Which page is shown: the address bar is the only state. */

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
    if (how === "push") history.pushState(null, "", address);
    else history.replaceState(null, "", address);
  }
  place = here();
  if (place.path !== before) {
    scrollTo(0, 0);
    arrived();
  }
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

const OURS = /^\/(?:$|s\/|alerts$|alerts\/|rule$|subscribe$|status$|mailbox$)/;

/** Follows links to our own pages without loading the page anew. */
export function start() {
  addEventListener("popstate", () => {
    const before = place.path;
    place = here();
    if (place.path !== before) arrived();
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
