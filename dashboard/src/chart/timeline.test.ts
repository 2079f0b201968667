import { describe, expect, test } from "vitest";
import type { Interval, TradingDay } from "../api/types";
import { bucketOf, dayOf, instant, places, runs, united, wallClock } from "./timeline";

const day = (date: string, open: string, close: string, early = false): TradingDay => ({
  date,
  pre_open: `${date}T09:00:00Z`,
  open: `${date}T${open}:00Z`,
  close: `${date}T${close}:00Z`,
  post_close: `${date}T${early ? "22:00" : "23:59"}:00Z`,
  early_close: early,
});
// Wednesday, the half day after Thanksgiving, Monday.
const api = [
  day("2024-11-27", "14:30", "21:00"),
  day("2024-11-29", "14:30", "18:00", true),
  day("2024-12-02", "14:30", "21:00"),
];
const regular = api.map((each) => dayOf(each, false));
const extended = api.map((each) => dayOf(each, true));
const all = (days: typeof regular, interval: Interval) =>
  places(days, interval, 0, instant("2030-01-01T00:00:00Z"));

describe("places on the axis", () => {
  test("every minute of a session has one, and no night, weekend or holiday does", () => {
    expect(all(regular, "1m")).toHaveLength(390 + 210 + 390);
    expect(all(regular, "5m")).toHaveLength(78 + 42 + 78);
    expect(all(regular, "1h")).toHaveLength(7 + 4 + 7);
    expect(all(regular, "1d")).toEqual(api.map(({ open }) => instant(open)));
    expect(all(extended, "1d")).toEqual(api.map((each) => instant(each.pre_open)));
  });

  test("they rise by one interval within a stretch", () => {
    const times = all(extended, "15m");
    for (const [index, time] of times.entries()) {
      if (index > 0) expect(time).toBeGreaterThan(times[index - 1]!);
    }
    for (const { open, close, post_close } of api) {
      for (const begin of [open, close]) expect(times).toContain(instant(begin));
      expect(times.filter((time) => time >= instant(close) && time < instant(post_close))[0]).toBe(
        instant(close),
      );
    }
  });

  test("both ends are included", () => {
    const from = instant("2024-11-29T14:31:00Z");
    expect(places(regular, "1m", from, from + 120)).toEqual([from, from + 60, from + 120]);
    expect(places(regular, "1m", from + 1, from + 59)).toEqual([]);
  });
});

describe("buckets", () => {
  const at = (interval: Interval, time: string, days = regular) => {
    const found = bucketOf(days, interval, instant(time));
    return found === null ? null : new Date(found * 1000).toISOString();
  };
  test("are counted from the beginning of their stretch", () => {
    expect(at("5m", "2024-11-29T14:34:00Z")).toBe("2024-11-29T14:30:00.000Z");
    expect(at("1h", "2024-11-29T15:31:00Z")).toBe("2024-11-29T15:30:00.000Z");
    expect(at("1d", "2024-11-29T17:59:00Z")).toBe("2024-11-29T14:30:00.000Z");
    expect(at("1h", "2024-11-29T14:29:00Z", extended)).toBe("2024-11-29T14:00:00.000Z");
    expect(at("1h", "2024-11-29T18:00:00Z", extended)).toBe("2024-11-29T18:00:00.000Z");
    expect(at("1h", "2024-11-29T18:00:00Z")).toBeNull();
    expect(at("1m", "2024-11-28T15:00:00Z")).toBeNull();
  });

  test("every place begins its own", () => {
    for (const interval of ["1m", "5m", "15m", "1h", "1d"] as const) {
      for (const time of all(extended, interval)) expect(bucketOf(extended, interval, time)).toBe(time);
    }
  });
});

test("runs cover all places, once, and tell where days begin", () => {
  for (const days of [regular, extended]) {
    const times = all(days, "5m");
    const found = runs(days, "5m", times);
    expect(found[0]?.first).toBe(0);
    expect(found.at(-1)?.last).toBe(times.length - 1);
    for (const [index, run] of found.entries()) {
      if (index > 0) expect(run.first).toBe(found[index - 1]!.last + 1);
    }
    expect(found.filter(({ begins }) => begins).map(({ halfDay }) => halfDay)).toEqual([false, true, false]);
  }
  expect(runs(regular, "1d", all(regular, "1d"))).toEqual([]);
});

test("two rising lists become one", () => {
  expect(united([1, 3, 5], [2, 3, 9])).toEqual([1, 2, 3, 5, 9]);
  expect(united([], [1])).toEqual([1]);
  expect(united([], [])).toEqual([]);
});

test("New York's clocks, in winter and in summer", () => {
  const shown = (time: string) => new Date(wallClock(instant(time)) * 1000).toISOString().slice(11, 16);
  expect(shown("2025-01-31T14:30:00Z")).toBe("09:30");
  expect(shown("2025-07-31T13:30:00Z")).toBe("09:30");
  // The night in which clocks go forward.
  expect(shown("2025-03-09T06:59:00Z")).toBe("01:59");
  expect(shown("2025-03-09T07:00:00Z")).toBe("03:00");
});
