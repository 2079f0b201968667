import { describe, expect, test } from "vitest";
import type { Alert } from "../api/types";
import { headline, minutesOf, ruleName, sentence, settings, since, spanOf } from "./sentence";

const spike: Alert = {
  id: "f781bcc6-15b4-57da-b522-3b1126688157",
  rule: "spike",
  kind: "spike",
  symbol: "NVDA",
  metric: "volume",
  start: "2025-01-27T18:57:00Z",
  value: 9637512,
  average: 516000,
  ratio: 18.677,
  window_bars: 60,
  feed: "iex",
  revision: 0,
  state: "raised",
  raised_at: "2025-01-27T18:58:02Z",
  occurrences: 1,
  peak: 9637512,
  evidence: { type: "average", sum: 30960000, bars: 60 },
};
const price = { metric: "price", value: 118.42 } as const;

describe("an alert in a sentence", () => {
  const cases: [string, Partial<Alert>, string, string][] = [
    [
      "a multiple",
      {},
      "NVDA traded 9,637,512 shares at 13:57, 18.7 times its average of the last hour, 516K.",
      "NVDA: volume 18.7 times its last hour",
    ],
    [
      "another window",
      { rule: "v1 spike ratio=4 window=30m" },
      "NVDA traded 9,637,512 shares at 13:57, 18.7 times its average of the last 30 minutes, 516K.",
      "NVDA: volume 18.7 times its last 30 minutes",
    ],
    [
      "one share",
      { value: 1, average: 0.3, ratio: 3.333 },
      "NVDA traded 1 share at 13:57, 3.3 times its average of the last hour, 0.3.",
      "NVDA: volume 3.3 times its last hour",
    ],
    [
      "deviations",
      {
        rule: "v1 zscore z=4",
        kind: "zscore",
        average: 500000,
        evidence: { type: "deviation", sum: 1, sum_of_squares: 1, bars: 60, stdev: 1000000 },
      },
      "NVDA traded 9,637,512 shares at 13:57, 9.1 standard deviations above its average of the last hour, 500K.",
      "NVDA: volume 9.1 deviations above its last hour",
    ],
    [
      "a fall",
      {
        ...price,
        rule: "v1 move percent=3 from=previous_close",
        kind: "move",
        average: 142.62,
        evidence: { type: "origin", value: 142.62, start: "2025-01-24T20:59:00Z" },
      },
      "NVDA was at $118.42 at 13:57, 16.97 % below its previous close, $142.62.",
      "NVDA: down 16.97 %",
    ],
    [
      "a rise in a while",
      {
        ...price,
        rule: "v1 move percent=2",
        kind: "move",
        average: 115,
        evidence: { type: "origin", value: 115, start: "2025-01-27T18:42:00Z" },
      },
      "NVDA was at $118.42 at 13:57, 2.97 % above its price of 15 minutes before, $115.00.",
      "NVDA: up 2.97 %",
    ],
    [
      "a level",
      {
        ...price,
        rule: "v1 cross below=120",
        kind: "cross",
        average: 120,
        evidence: { type: "crossing", level: 120, before: 120.5 },
      },
      "NVDA was at $118.42 at 13:57, having fallen to $120.00 or beyond from $120.50.",
      "NVDA: price below $120.00",
    ],
    [
      "the time of day",
      {
        rule: "v1 time_of_day ratio=3",
        kind: "time_of_day",
        window_bars: 20,
        evidence: { type: "median", median: 516000, sessions: 20 },
      },
      "NVDA traded 9,637,512 shares at 13:57, 18.7 times the median of that minute in 20 earlier sessions, 516K.",
      "NVDA: volume 18.7 times its usual 13:57",
    ],
    [
      "nothing to compare with",
      { average: null, ratio: null },
      "NVDA traded 9,637,512 shares at 13:57.",
      "NVDA: unusual volume",
    ],
  ];
  test.each(cases)("%s", (_, changed, whole, short) => {
    expect(sentence({ ...spike, ...changed })).toBe(whole);
    expect(headline({ ...spike, ...changed })).toBe(short);
  });

  test("of another day, where nothing beside it says which", () => {
    const said = (today: string | null) => sentence(spike, "60m", today);
    expect(said("2025-01-27")).toContain("shares at 13:57, 18.7 times");
    expect(said("2025-01-28")).toContain("shares on Mon, Jan 27 at 13:57, 18.7 times");
    expect(said(null)).toContain("shares on Mon, Jan 27 at 13:57, 18.7 times");
  });

  test("what happened since", () => {
    expect(since(spike)).toBeNull();
    expect(since({ ...spike, occurrences: 2 })).toBe("1 more minute qualified since, up to 9.64M.");
  });
});

test("settings and spans of the grammar", () => {
  expect([...settings("v1 zscore z=4 window=30m")]).toEqual([
    ["z", "4"],
    ["window", "30m"],
  ]);
  expect([...settings("spike")]).toEqual([]);
  expect(["60m", "1h", "30m", "90m", "2h", "1m", "1d", "30s", "0s"].map(minutesOf)).toEqual([
    60, 60, 30, 90, 120, 1, 1440, 0.5, 0,
  ]);
  expect(["60m", "1h", "30m", "90m", "2h", "1m", "1d"].map(spanOf)).toEqual([
    "hour",
    "hour",
    "30 minutes",
    "90 minutes",
    "2 hours",
    "minute",
    "day",
  ]);
});

test("a rule in short", () => {
  expect(ruleName("spike")).toBe("the tracker's own");
  expect(
    ruleName("v1 zscore z=4 window=30m min_bars=30 direction=both trigger=level session=all cooldown=60m"),
  ).toBe("zscore z=4 window=30m");
});
