import { expect, test } from "vitest";
import { minutesOf, ruleName, settings, spanOf } from "./grammar";

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
