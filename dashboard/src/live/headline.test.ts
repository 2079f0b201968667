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
};
const ticker = (symbol: string, bar: object | null = {}) =>
  ({ symbol, now: { symbol, bar } as Symbol }) as Ticker;
const facts = {
  tickers: [ticker("NVDA"), ticker("AAPL")],
  alerts: [] as Alert[],
  hasOlder: false,
  feed,
  status: null as Status | null,
  asOf: feed.as_of,
  rule: { kind: "spike", ratio: 3, window: "60m", min_bars: 30, cooldown: "60m" },
};
const alert = {
  symbol: "NVDA",
  metric: "volume",
  kind: "spike",
  rule: "spike",
  state: "raised",
  ratio: 18.7,
  start: "2025-01-31T18:57:00Z",
} as Alert;

test("quiet, or what is not", () => {
  expect(headlineNow(facts)).toEqual({
    kind: "",
    text: "Quiet: all 2 are inside their usual range.",
    tone: "quiet",
    alert: null,
  });
  const told = headlineNow({ ...facts, alerts: [alert] });
  expect(told.text).toBe("NVDA: volume 18.7 times its last hour, at 13:57");
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

test("hours whose bars do not count are closed", () => {
  const after = { ...facts, feed: { ...feed, session: "post" } };
  expect(headlineNow(after).text).toMatch(/^The market is closed/);
  expect(headlineNow({ ...after, status: { extended_hours: true } as Status }).text).toMatch(/^Quiet/);
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
