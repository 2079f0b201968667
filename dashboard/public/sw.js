// Without a network: the page as it was last seen. With one, everything is asked of the server, as ever. And alerts
// as notifications, which the server pushes while no page is open.

const CACHE = "qqq-tracker-1";
// Every page of ours begins with it.
const SHELL = "/";
// What the page begins with, and only that: all of it is public.
const FIRST = ["/v1/symbols", "/v1/alerts", "/v1/status", "/v1/sparklines", "/v1/rules", "/v1/sessions"];
const PAGES = /^\/(?:$|s\/|alerts|rule$|subscribe$|status$|me$)/;
// Files that never change under their name, and those that do.
const STILL = /^\/assets\//;
const PARTS = ["/theme.js", "/favicon.svg", "/manifest.webmanifest"];
const MOST_KEPT = 150;

self.addEventListener("install", (event) => {
  self.skipWaiting();
  event.waitUntil(keepShell());
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    caches
      .keys()
      .then((names) => Promise.all(names.filter((name) => name !== CACHE).map((name) => caches.delete(name))))
      .then(() => self.clients.claim()),
  );
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== self.location.origin) return;
  if (request.mode === "navigate") {
    if (url.pathname === SHELL) event.respondWith(fresh(request, SHELL));
    else if (PAGES.test(url.pathname)) event.respondWith(fetch(request).catch(() => kept(SHELL)));
  } else if (STILL.test(url.pathname)) event.respondWith(still(request));
  else if (FIRST.includes(url.pathname) || PARTS.includes(url.pathname)) event.respondWith(fresh(request));
});

self.addEventListener("push", (event) => {
  const told = event.data?.json();
  if (told) event.waitUntil(notify(told));
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const { url, buttons } = event.notification.data;
  event.waitUntil(show(event.action === "" ? url : buttons[Number(event.action)]?.url));
});

/** Shows what was pushed; what is told again, or taken back, takes the place of what was told. */
function notify({ title, text, tag, url, buttons = [] }) {
  const actions = buttons.map((button, at) => ({ action: String(at), title: button.title }));
  return self.registration.showNotification(title, {
    body: text,
    tag,
    renotify: true,
    icon: "/favicon.svg",
    actions,
    data: { url, buttons },
  });
}

/** Shows a page of ours: in the window that has it already, or in one of its own. */
async function show(url) {
  if (!url) return;
  const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const open = windows.find((one) => one.url === url);
  await (open ? open.focus() : self.clients.openWindow(url));
}

/** The shell, and what it loads at once. */
async function keepShell() {
  const cache = await caches.open(CACHE);
  const shell = await fetch(SHELL, { cache: "no-cache" });
  if (!shell.ok) return;
  const html = await shell.clone().text();
  const parts = [...html.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(([, path]) => path);
  await cache.put(SHELL, shell);
  const wanted = parts.filter((path) => STILL.test(path) || PARTS.includes(path));
  await Promise.all(wanted.map((path) => cache.add(path)));
}

/** An answer that was kept, or a failure as a browser without a network has it. */
async function kept(request) {
  return (await caches.match(request)) ?? Response.error();
}

/** A file that never changes under its name. */
async function still(request) {
  return (await caches.match(request)) ?? keep(request, await fetch(request));
}

/** What the server says now; without it, what it said last. `name`: what it is kept as. */
async function fresh(request, name = request) {
  try {
    return await keep(name, await fetch(request));
  } catch {
    return kept(name);
  }
}

async function keep(request, response) {
  if (response.status !== 200) return response;
  const cache = await caches.open(CACHE);
  await cache.put(request, response.clone());
  const keys = await cache.keys();
  // The oldest first; the shell is put anew with every version.
  for (const old of keys.slice(0, Math.max(0, keys.length - MOST_KEPT))) await cache.delete(old);
  return response;
}
