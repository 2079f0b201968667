/** The page without a network: as it was last seen, by a worker of the browser (`public/sw.js`). */

/** What the worker keeps; of what was asked for before there was one, it knows nothing. */
const KEPT = /^\/v1\/(?:symbols|alerts|status|sparklines|rules|sessions)$/;

export async function register(): Promise<void> {
  if (!("serviceWorker" in navigator)) return;
  const isFirst = navigator.serviceWorker.controller === null;
  try {
    await navigator.serviceWorker.register("/sw.js");
    if (!isFirst) return;
    await new Promise((controlled) =>
      navigator.serviceWorker.addEventListener("controllerchange", controlled, { once: true }),
    );
    const asked = performance.getEntriesByType("resource").map(({ name }) => new URL(name));
    for (const url of asked)
      if (url.origin === location.origin && KEPT.test(url.pathname)) await fetch(url.pathname + url.search);
  } catch {
    // A browser that keeps nothing shows nothing without a network.
  }
}
