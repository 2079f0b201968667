import { expect, test } from "vitest";
import type { BarOfInterval } from "../api/types";
import { newest, previousCloses, vwap } from "./overlay";
import type { Day } from "./timeline";

const HOUR = 3600;
const day = (date: string, from: number): Day => ({
  date,
  earlyClose: false,
  stretches: [
    { phase: "pre", from: from - HOUR, to: from },
    { phase: "regular", from, to: from + HOUR },
    { phase: "post", from: from + HOUR, to: from + 2 * HOUR },
  ],
});
const bar = (at: number, close: number, volume: number, told: number | null = null): BarOfInterval =>
  ({
    start: new Date(at * 1000).toISOString(),
    high: close + 3,
    low: close,
    close,
    volume,
    vwap: told,
  }) as BarOfInterval;
const days = [day("1", 10 * HOUR), day("2", 34 * HOUR), day("3", 58 * HOUR)];

test("the average price begins anew with each session and weighs bars by their shares", () => {
  const bars = [
    bar(10 * HOUR - 60, 50, 10),
    bar(10 * HOUR, 100, 0),
    bar(10 * HOUR + 60, 100, 100, 101),
    bar(10 * HOUR + 120, 110, 300),
    bar(11 * HOUR, 7, 1, 7),
    bar(20 * HOUR, 1, 1),
    bar(34 * HOUR, 200, 5, 200),
  ];
  expect(vwap(bars, days)).toEqual([51, null, 101, (101 * 100 + 111 * 300) / 400, 7, null, 200]);
});

test("the close before is the last regular one of the day before, and of no day further back", () => {
  const bars = [
    bar(10 * HOUR, 100, 1),
    bar(10 * HOUR + 60, 105, 1),
    bar(11 * HOUR, 999, 1),
    bar(34 * HOUR - 60, 106, 1),
    bar(34 * HOUR, 107, 1),
    bar(58 * HOUR, 108, 1),
  ];
  expect(previousCloses(bars, days)).toEqual([null, null, null, 105, 105, 107]);
  const withoutDay = bars.filter((_, index) => index < 3 || index > 4);
  expect(previousCloses(withoutDay, days).at(-1)).toBeNull();
});

test("the newest bar's are those of the whole, however far the calendar goes on", () => {
  const bars = [
    bar(10 * HOUR, 100, 1),
    bar(10 * HOUR + 60, 105, 3),
    bar(34 * HOUR, 107, 2),
    bar(34 * HOUR + 60, 111, 4),
  ];
  const on = [...days, day("4", 82 * HOUR), day("5", 106 * HOUR), day("6", 130 * HOUR)];
  for (let count = 1; count <= bars.length; count += 1) {
    const some = bars.slice(0, count);
    expect(newest(some, on)).toEqual({
      vwap: vwap(some, on).at(-1),
      previousClose: previousCloses(some, on).at(-1),
    });
  }
  expect(newest(bars, on).previousClose).toBe(105);
  expect(newest([], on)).toEqual({ vwap: null, previousClose: null });
});
