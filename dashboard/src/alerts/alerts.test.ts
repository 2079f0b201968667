import { expect, test } from "vitest";
import type { Alert } from "../api/types";
import { days, matches, rulesOf } from "./filter";
import { ratioOf, table } from "./evidence";
import { merged } from "./merged";
import { since } from "./since";

const alert = (id: string, start: string, changed: Partial<Alert> = {}): Alert => ({
  id,
  rule: "spike",
  rule_text: "v1 spike ratio=3 window=60m min_bars=30 trigger=level session=all cooldown=60m",
  kind: "spike",
  headline: "NVDA volume 6.0x its last hour",
  text: "NVDA traded 600 shares at 10:00 New York time, 6.0 times its average of the last hour, 100.",
  symbol: "NVDA",
  metric: "volume",
  start,
  value: 600,
  average: 100,
  ratio: 6,
  window_bars: 60,
  feed: "iex",
  revision: 0,
  state: "raised",
  raised_at: start,
  occurrences: 1,
  peak: 600,
  close: 118.42,
  day_change: { amount: -4.28, percent: -3.4882 },
  evidence: { type: "average", sum: 6000, bars: 60 },
  ...changed,
});
const one = alert("1", "2025-01-31T15:00:00Z");
const two = alert("2", "2025-01-31T16:00:00Z");
// Still the 31st in New York.
const late = alert("3", "2025-02-01T00:30:00Z", { metric: "price", rule: "v1 move percent=2", kind: "move" });

test("what is new comes in its place, what changed in place of what was", () => {
  expect(merged([one], [two]).map(({ id }) => id)).toEqual(["2", "1"]);
  expect(merged([two, one], [late], 2).map(({ id }) => id)).toEqual(["3", "2"]);
  const taken = { ...one, state: "retracted" as const };
  expect(merged([two, one], [taken])).toEqual([two, taken]);
});

test("days are New York's", () => {
  expect(days([late, two, one]).map(({ date, alerts }) => [date, alerts.length])).toEqual([
    ["2025-01-31", 3],
  ]);
});

test("filters hold together", () => {
  const all = { symbol: null, metric: null, rule: null };
  expect([one, late].filter((each) => matches(each, all))).toHaveLength(2);
  expect([one, late].filter((each) => matches(each, { ...all, metric: "price" }))).toEqual([late]);
  expect([one, late].filter((each) => matches(each, { ...all, symbol: "NVDA", rule: "spike" }))).toEqual([
    one,
  ]);
  expect([one].filter((each) => matches(each, { ...all, symbol: "AAPL" }))).toEqual([]);
  expect(rulesOf([late, one], "v1 zscore z=4")).toEqual(["spike", "v1 move percent=2", "v1 zscore z=4"]);
});

test("what happened since", () => {
  expect(since(one)).toBeNull();
  expect(since({ ...one, occurrences: 86, peak: 9637512 }, "1s")).toMatch(/^85 more bars qualified since/);
  expect(since({ ...one, occurrences: 2, peak: 9637512 })).toBe(
    "1 more minute qualified since, up to 9.64M.",
  );
});

test("the table has what the verdict was made of", () => {
  const lines = new Map(table({ ...one, occurrences: 3 }).map(({ name, value }) => [name, value]));
  expect(lines.get("Volume")).toBe("600 shares");
  expect(lines.get("Average before it")).toBe("100 shares");
  expect(lines.get("Sum of the window")).toBe("6,000");
  expect(lines.get("Ratio")).toBe("6.0 ×");
  expect(lines.get("Qualified in all")).toBe("3 minutes");
  expect([ratioOf(one), ratioOf({ ...one, rule_text: "v1 spike ratio=4" }), ratioOf(late)]).toEqual([
    3,
    4,
    null,
  ]);
});
