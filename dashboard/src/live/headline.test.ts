import { expect, test } from "vitest";
import type { Alert, Status, StatusEvent, Symbol } from "../api/types";
import { hasAllOf, headlineNow, kindInWords, today, todayInWords, trouble } from "./headline";
import type { Ticker } from "./market.svelte";

const feed: StatusEvent = {
  sequence: 1,
  provider: "alpaca",
  feed: "iex",
  mode: "live",
  coverage: "IEX only",
  stands_in_for: null,
  problem: null,
  session: "regular",
  as_of: "2025-01-31T19:00:00Z",
  age_seconds: 0,
  watchlist_version: 0,
};
const unusual = (sigma: number | null, sessions = 20, percent: number | null = sigma) => ({
  score: sigma,
  move: { sigma, percent, sessions },
  relative_volume: { ratio: null, sessions },
  minute: { ratio: null },
});
const figures = { ratio: 1, window_bars: 60 };
const BAR = { start: "2025-01-31T18:59:00Z", close: 96.47 };
const ticker = (symbol: string, bar: object | null = BAR, of: object = unusual(0.5)) =>
  ({
    symbol,
    spark: null,
    now: { symbol, bar, unusual: of, statistics: { price: figures, volume: figures } } as unknown as Symbol,
  }) as Ticker;
const rule = { kind: "spike", ratio: 3, window: "60m", min_bars: 30, cooldown: "60m" };
const facts = {
  tickers: [ticker("NVDA"), ticker("AAPL")],
  alerts: [] as Alert[],
  hasOlder: false,
  feed,
  status: null as Status | null,
  asOf: feed.as_of,
  rule,
  isOpen: true,
};
const alert = {
  symbol: "NVDA",
  metric: "volume",
  kind: "spike",
  rule: "spike",
  state: "raised",
  ratio: 18.7,
  headline: "NVDA volume 18.7x its last hour",
  start: "2025-01-31T18:57:00Z",
} as Alert;

test("quiet, or what is not", () => {
  expect(headlineNow(facts)).toEqual({
    kind: "",
    text: "Quiet: all 2 are inside their usual range.",
    tone: "quiet",
    alert: null,
    symbol: null,
  });
  const told = headlineNow({ ...facts, alerts: [alert] });
  expect(told.text).toBe("NVDA volume 18.7x its last hour, at 13:57");
  expect([told.tone, told.alert]).toEqual(["unusual", alert]);
  expect(headlineNow({ ...facts, alerts: [{ ...alert, state: "retracted" }] }).tone).toBe("quiet");
  expect(headlineNow({ ...facts, alerts: [{ ...alert, start: "2025-01-31T18:00:00Z" }] }).tone).toBe("quiet");
});

test("news of before midnight are not of today", () => {
  const before = { ...alert, start: "2025-02-01T04:55:00Z" };
  const always = { ...facts, alerts: [before], asOf: "2025-02-01T05:05:00Z" };
  expect(headlineNow(always).text).toMatch(/its last hour, on Fri, Jan 31 at 23:55$/);
});

test("what cannot be believed is said before anything else", () => {
  const down = { ...facts, alerts: [alert], feed: { ...feed, problem: "no answer" } };
  expect(headlineNow(down)).toMatchObject({ tone: "bad", text: "The feed has a problem: no answer." });
  const stale = { ...facts, status: { stale: { seconds: 600 } } as Status };
  expect(trouble(stale)).toBe("No bar has come for 10 min, and the market is open.");
  expect(headlineNow({ ...facts, feed: { ...feed, mode: "simulated" } }).kind).toBe("Simulated market.");
  expect(headlineNow({ ...facts, feed: { ...feed, mode: "replayed" } }).kind).toBe("Recorded market.");
  const late = { ...feed, age_seconds: 960 };
  expect(headlineNow({ ...facts, feed: late }).kind).toBe("Delayed data.");
  expect(kindInWords({ feed: late, status: null })).toBe("The newest bar is 16 min old.");
  expect(headlineNow({ ...facts, feed: { ...late, session: "closed" } }).kind).toBe("");
});

test("the first minute, an empty list, a closed market", () => {
  expect(headlineNow({ ...facts, tickers: [] }).text).toBe("Nothing is on the watchlist.");
  expect(headlineNow({ ...facts, tickers: [ticker("NVDA", null)] }).text).toBe("Waiting for the first bar.");
  const closed = {
    ...facts,
    isOpen: false,
    feed: { ...feed, session: "closed" },
    status: { session: { next: { phase: "regular", at: "2025-02-03T14:30:00Z" } } } as Status,
  };
  const started = [ticker("NVDA", { start: "2025-01-31T20:59:00Z" })];
  expect(headlineNow({ ...closed, tickers: started }).text).toMatch(
    /^The market is closed: it opens .*09:30 New York\. The last session had no alerts\.$/,
  );
  const earlier = { ...alert, start: "2025-01-30T20:00:00Z" };
  expect(
    headlineNow({ ...closed, tickers: started, alerts: [alert, earlier], asOf: "2025-02-01T12:00:00Z" }).text,
  ).toMatch(/The last session had 1 alert, the last of NVDA on Fri, Jan 31 at 13:57\.$/);
  // On the evening of that day, and on Monday before the open.
  const on = (asOf: string) => headlineNow({ ...closed, tickers: started, alerts: [alert], asOf }).text;
  expect(on("2025-01-31T22:00:00Z")).toMatch(/the last of NVDA at 13:57\.$/);
  expect(on("2025-02-03T13:00:00Z")).toMatch(/the last of NVDA on Fri, Jan 31 at 13:57\.$/);
});

test("a fall is told where nothing was raised, with what it is measured by", () => {
  const nvda = (of: object) => ticker("NVDA", BAR, of);
  const quiet = ticker("AAPL", BAR);
  const told = headlineNow({ ...facts, tickers: [quiet, nvda(unusual(-2.94, 20, -3.53))] });
  expect(told).toMatchObject({
    text: "NVDA is 3.53 % down, 2.9 times its usual range",
    tone: "unusual",
    symbol: "NVDA",
  });
  // Of one session nobody knows what is usual; but it is not quiet.
  const early = headlineNow({ ...facts, tickers: [quiet, nvda(unusual(null, 1, -3.53))] });
  expect(early).toMatchObject({ text: "NVDA is 3.53 % down", tone: "unusual" });
  expect(headlineNow({ ...facts, tickers: [nvda(unusual(null, 1, 0.2))] }).text).toMatch(
    /^Quiet so far: what is usual is known after 5 sessions/,
  );
  const two = [ticker("META", BAR, unusual(3)), nvda(unusual(-4))];
  expect(headlineNow({ ...facts, tickers: two }).text).toMatch(
    /^NVDA is 4.00 % down, .*; 1 other stands out, too$/,
  );
  // An alert that is news is said first.
  expect(headlineNow({ ...facts, tickers: two, alerts: [alert] }).alert).toBe(alert);
  const after = headlineNow({ ...facts, tickers: two, isOpen: false });
  expect(after.tone).toBe("quiet");
  expect(after.text).toMatch(/ NVDA stood out: 4.00 % down, 4.0 times its usual range\.$/);
});

test("hours whose bars do not count are closed", () => {
  expect(headlineNow({ ...facts, isOpen: false }).text).toMatch(/^The market is closed/);
  expect(headlineNow(facts).text).toMatch(/^Quiet/);
});

test("today is New York's", () => {
  const evening = { ...facts, asOf: "2025-02-01T00:30:00Z", alerts: [alert] };
  expect(today(evening)).toEqual([alert]);
  expect(today({ ...evening, asOf: "2025-02-01T06:00:00Z" })).toEqual([]);
  // Of a day whose first alerts are not held, nobody knows how many there were.
  expect(hasAllOf({ ...evening, hasOlder: true }, "2025-01-31")).toBe(false);
  expect(hasAllOf({ ...evening, hasOlder: true }, "2025-02-01")).toBe(true);
  expect(todayInWords(3, false)).toBe("at least 3 alerts today");
});
