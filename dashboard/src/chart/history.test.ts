import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { BarEvent, BarOfInterval, Interval } from "../api/types";
import { History } from "./history";

const minute = (start: string, close: number, volume = 10): BarEvent => ({
  symbol: "NVDA",
  feed: "iex",
  start: `2025-01-31T${start}:00Z`,
  open: close,
  high: close,
  low: close,
  close,
  volume,
  vwap: null,
  trades: null,
  revision: 0,
});

/** A server with bars, as far as a history asks for them. */
class Server {
  bars: BarOfInterval[] = [];
  /** Answers that are held back, oldest first. */
  held: (() => void)[] = [];
  holds = false;
  asked: string[] = [];

  async answer(path: string): Promise<Response> {
    this.asked.push(path);
    const url = new URL(path, "http://tracker");
    const [from, to] = ["from", "to"].map((name) => url.searchParams.get(name));
    const items = url.pathname === "/v1/sessions" ? days(from!, to!) : this.#bars(from!, to ?? null);
    if (this.holds) await new Promise<void>((go) => this.held.push(go));
    return new Response(JSON.stringify({ items, next_cursor: null }));
  }

  #bars = (from: string, to: string | null) =>
    this.bars.filter(({ start }) => start >= from && (to === null || start < to));
}

/** Every weekday is a trading day. */
function days(from: string, to: string) {
  const found = [];
  for (let at = Date.parse(from); at <= Date.parse(to); at += 86_400_000) {
    const date = new Date(at).toISOString().slice(0, 10);
    if ([0, 6].includes(new Date(at).getUTCDay())) continue;
    const bound = (time: string) => `${date}T${time}:00Z`;
    found.push({
      date,
      pre_open: bound("09:00"),
      open: bound("14:30"),
      close: bound("21:00"),
      post_close: bound("23:59"),
      early_close: false,
    });
  }
  return found;
}

let server: Server;
beforeEach(() => {
  server = new Server();
  vi.stubGlobal("fetch", (path: string) => server.answer(path));
});
afterEach(() => vi.unstubAllGlobals());

const closes = (made: History) => made.bars.map(({ start, close }) => `${start.slice(11, 16)} ${close}`);
async function started(interval: Interval, reach = {}): Promise<History> {
  const made = new History("NVDA", interval, "1m", false);
  await made.start({ newest: "2025-01-31T15:00:00Z", ...reach });
  return made;
}

test("it begins with the newest days, goes back step by step, and ends where there is nothing more", async () => {
  server.bars = [minute("15:00", 100), { ...minute("15:00", 90), start: "2025-01-27T15:00:00Z" }].reverse();
  const made = await started("1m");
  expect(closes(made)).toEqual(["15:00 100"]);
  while (await made.older());
  expect(closes(made)).toEqual(["15:00 90", "15:00 100"]);
  expect(made.end).toBe("begins");
});

test("the first load reaches as far as is asked for", async () => {
  server.bars = [{ ...minute("15:00", 90), start: "2025-01-20T15:00:00Z" }, minute("15:00", 100)];
  const made = await started("1m", { from: Date.parse("2025-01-20T14:30:00Z") / 1000 });
  expect(closes(made)).toEqual(["15:00 90", "15:00 100"]);
});

test("a piece of the past has no news", async () => {
  server.bars = [minute("15:00", 100), minute("20:00", 101)];
  const made = await started("1m", { until: Date.parse("2025-01-31T16:00:00Z") / 1000 });
  expect(closes(made)).toEqual(["15:00 100"]);
  expect(made.take(minute("20:01", 102))).toBe("nothing");
  made.missed();
  expect(made.isStale).toBe(false);
});

describe("news", () => {
  test("minutes are taken in their place, once", async () => {
    server.bars = [minute("15:00", 100)];
    const made = await started("1m");
    expect(made.take(minute("15:02", 102))).toBe("tail");
    expect(made.take(minute("15:02", 103))).toBe("tail");
    expect(made.take(minute("15:01", 101))).toBe("all");
    expect(made.take(minute("15:01", 101.5))).toBe("all");
    expect(made.take(minute("14:00", 1))).toBe("nothing");
    expect(made.take({ ...minute("15:03", 1), symbol: "AAPL" })).toBe("nothing");
    expect(closes(made)).toEqual(["15:00 100", "15:01 101.5", "15:02 103"]);
  });

  test("longer bars are asked for from the bucket on that changed", async () => {
    server.bars = [minute("14:55", 99), minute("15:00", 100)];
    const made = await started("5m");
    server.bars = [minute("14:55", 99), minute("15:00", 104)];
    expect(made.take(minute("15:02", 104))).toBe("stale");
    await made.catchUp();
    expect(closes(made)).toEqual(["14:55 99", "15:00 104"]);
    expect(server.asked.at(-1)).toContain(`from=${encodeURIComponent("2025-01-31T15:00:00Z")}`);
    made.take(minute("14:57", 90));
    await made.catchUp();
    expect(server.asked.at(-1)).toContain(`from=${encodeURIComponent("2025-01-31T14:55:00Z")}`);
    expect(made.isStale).toBe(false);
  });

  test("what is heard while an answer is on its way is not lost to it", async () => {
    server.bars = [minute("15:00", 100), minute("15:01", 101)];
    const made = await started("1m");
    server.holds = true;
    made.missed();
    const catching = made.catchUp();
    await vi.waitFor(() => expect(server.held).toHaveLength(1));
    made.take(minute("15:01", 101.5));
    made.take(minute("15:02", 102));
    server.held.forEach((go) => go());
    await catching;
    expect(closes(made)).toEqual(["15:00 100", "15:01 101.5", "15:02 102"]);
  });

  test("what was not answered is asked for again", async () => {
    server.bars = [minute("15:00", 100)];
    const made = await started("1m");
    made.missed();
    vi.stubGlobal("fetch", () => Promise.reject(new TypeError("away")));
    await expect(made.catchUp()).rejects.toThrow();
    expect(made.isStale).toBe(true);
  });
});
