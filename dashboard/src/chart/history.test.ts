import { expect, test } from "vitest";
import type { BarEvent, Interval } from "../api/types";
import { History } from "./history";
import { dayOf } from "./timeline";

const event = (start: string, close: number, volume: number): BarEvent => ({
  symbol: "NVDA",
  feed: "iex",
  start,
  open: close,
  high: close + 1,
  low: close - 1,
  close,
  volume,
  vwap: null,
  trades: 2,
  revision: 0,
});

function history(interval: Interval): History {
  const made = new History("NVDA", interval, false);
  const day = {
    date: "2025-01-31",
    pre_open: "2025-01-31T09:00:00Z",
    open: "2025-01-31T14:30:00Z",
    close: "2025-01-31T21:00:00Z",
    post_close: "2025-02-01T01:00:00Z",
    early_close: false,
  };
  made.days = [dayOf(day, false)];
  return made;
}

test("minutes are taken in their place, once", () => {
  const made = history("1m");
  expect(made.take(event("2025-01-31T15:00:00Z", 100, 10))).toBe("tail");
  expect(made.take(event("2025-01-31T15:02:00Z", 102, 10))).toBe("tail");
  expect(made.take(event("2025-01-31T15:02:00Z", 103, 11))).toBe("tail");
  expect(made.take(event("2025-01-31T15:01:00Z", 101, 10))).toBe("all");
  expect(made.take(event("2025-01-31T15:01:00Z", 101.5, 10))).toBe("all");
  expect(made.take(event("2025-01-31T14:00:00Z", 1, 1))).toBe("nothing");
  expect(made.take({ ...event("2025-01-31T15:03:00Z", 1, 1), symbol: "AAPL" })).toBe("nothing");
  expect(made.bars.map(({ start, close }) => [start.slice(11, 16), close])).toEqual([
    ["15:00", 100],
    ["15:01", 101.5],
    ["15:02", 103],
  ]);
});

test("a longer bar is continued by its minutes, and asked for where it cannot be", () => {
  const made = history("5m");
  expect(made.take(event("2025-01-31T15:00:00Z", 100, 10))).toBe("tail");
  expect(made.take(event("2025-01-31T15:01:00Z", 104, 20))).toBe("tail");
  expect(made.take(event("2025-01-31T15:02:00Z", 98, 30))).toBe("tail");
  expect(made.bars).toMatchObject([
    { start: "2025-01-31T15:00:00Z", open: 100, high: 105, low: 97, close: 98, volume: 60, trades: 6 },
  ]);
  expect(made.take(event("2025-01-31T15:02:00Z", 99, 30)), "a correction").toBe("stale");
  expect(made.take(event("2025-01-31T15:01:00Z", 99, 30)), "a late one").toBe("stale");
  expect(made.take(event("2025-01-31T15:05:00Z", 90, 5))).toBe("tail");
  expect(made.bars.map(({ start }) => start.slice(11, 16))).toEqual(["15:00", "15:05"]);
  expect(made.take(event("2025-01-31T22:00:00Z", 90, 5)), "outside of all days").toBe("stale");
});
