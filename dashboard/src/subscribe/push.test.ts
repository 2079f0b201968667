import { afterEach, expect, test, vi } from "vitest";
import { bytesOf, canPush, subscribeBrowser } from "./push";

afterEach(() => vi.unstubAllGlobals());

const KEY = "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8";
const TOLD = { endpoint: "https://push.example.net/1", keys: { p256dh: "B", auth: "A" } };

/** A browser that answers so; what it was asked is noted. */
function browser(permission: string, known: object | null = null, fails = false) {
  const asked: string[] = [];
  const manager = {
    getSubscription: async () => known,
    subscribe: async (options: { applicationServerKey: Uint8Array; userVisibleOnly: boolean }) => {
      asked.push(`subscribe ${options.applicationServerKey.length} ${String(options.userVisibleOnly)}`);
      if (fails) throw new Error("AbortError: push service error");
      return { toJSON: () => TOLD };
    },
  };
  vi.stubGlobal("Notification", {
    requestPermission: async () => {
      asked.push("permission");
      return permission;
    },
  });
  vi.stubGlobal("navigator", { serviceWorker: { ready: Promise.resolve({ pushManager: manager }) } });
  vi.stubGlobal("fetch", async () => new Response(JSON.stringify({ public_key: KEY })));
  return asked;
}

test("a key is read as bytes", () => {
  const bytes = bytesOf(KEY);
  expect([bytes.length, bytes[0], bytes[64]]).toEqual([65, 4, 0x0f]);
});

test("a browser is subscribed with the server's key", async () => {
  const asked = browser("granted");
  expect(await subscribeBrowser()).toEqual(TOLD);
  expect(asked).toEqual(["permission", "subscribe 65 true"]);
});

test("a subscription of another key is given up first", async () => {
  let ended = 0;
  const known = (key: Uint8Array) => ({
    options: { applicationServerKey: key.buffer },
    unsubscribe: async () => (ended += 1),
  });
  browser("granted", known(new Uint8Array(65)));
  await subscribeBrowser();
  expect(ended).toBe(1);
  browser("granted", known(bytesOf(KEY)));
  await subscribeBrowser();
  expect(ended).toBe(1);
});

test("where it cannot be, a sentence says why", async () => {
  const asked = browser("denied");
  await expect(subscribeBrowser()).rejects.toThrow(/settings/);
  expect(asked, "nothing is asked of the push service").toEqual(["permission"]);
  browser("default");
  await expect(subscribeBrowser()).rejects.toThrow(/permission/);
  browser("granted", null, true);
  await expect(subscribeBrowser()).rejects.toThrow(/push service/);
});

test("a browser without a push manager is not offered", () => {
  vi.stubGlobal("navigator", {});
  vi.stubGlobal("window", {});
  expect(canPush()).toBe(false);
});
