import { expect, test } from "vitest";
import type { Alert, Figures, Symbol } from "../api/types";
import { COLUMNS, fitting, gapOf, standard } from "./columns";
import { type Entry, ordered } from "./order";
import { ranked } from "./ranked";

const rule = { kind: "spike", ratio: 3, window: "60m", min_bars: 30, cooldown: "60m" };
const figures = (ratio: number | null, stdev: number | null = null): Figures => ({
  stdev,
  relative_stdev: stdev === null ? null : stdev / 10,
  trailing_average: 1,
  ratio,
  window_bars: 60,
});

interface Made {
  sigma?: number | null;
  relative?: number | null;
  percent?: number | null;
  volume?: number | null;
  alert?: Alert;
}
function entry(symbol: string, made: Made = {}): Entry {
  const { sigma = null, relative = null, percent = sigma, volume = null, alert } = made;
  const now = {
    symbol,
    bar: { start: "2025-01-31T15:59:00Z", close: 100 },
    session_vwap: 100,
    statistics: { price: figures(1), volume: figures(volume) },
    unusual: {
      score: sigma === null ? null : Math.abs(sigma),
      move: { sigma, percent, sessions: sigma === null ? 0 : 20 },
      relative_volume: { ratio: relative, sessions: relative === null ? 0 : 20 },
      minute: { ratio: volume },
    },
  } as unknown as Symbol;
  return { now, first: null, extended: null, alert };
}

const AS_OF = "2025-01-31T16:00:00Z";
const inOrder = (entries: Entry[], order: Parameters<typeof ordered>[1], reversed = false, asOf = AS_OF) =>
  ordered(entries, order, reversed, rule, asOf).join("");

test("the most unusual stands first, by its move as well as by its volume; the rest stays", () => {
  const all = [
    entry("C", { sigma: 0.2 }),
    entry("A", { sigma: -2.9 }),
    entry("D", { sigma: 0.1, relative: 5 }),
    entry("B", { sigma: 0.2, volume: 40 }),
    entry("E", { sigma: 0.1 }),
  ];
  expect(inOrder(all, "interest")).toBe("BDACE");
  // What a bar of an hour ago did says nothing of now.
  expect(inOrder(all, "interest", false, "2025-01-31T17:30:00Z")).toBe("DACBE");
  expect(inOrder(all, "watchlist")).toBe("CADBE");
});

test("an alert lifts its symbol for an hour, unless it was taken back", () => {
  const raised = { start: "2025-01-31T15:50:00Z", state: "raised" } as Alert;
  const some = (sigma: number, alert: Alert) => [entry("A", { sigma }), entry("B", { sigma: 0, alert })];
  const at = (sigma: number, asOf: string) => inOrder(some(sigma, raised), "interest", false, asOf);
  expect([at(2.2, AS_OF), at(2.7, AS_OF), at(3, AS_OF)]).toEqual(["BA", "AB", "AB"]);
  expect([at(1.5, "2025-01-31T16:40:00Z"), at(2.3, "2025-01-31T16:40:00Z")]).toEqual(["BA", "AB"]);
  expect(at(0.6, "2025-01-31T18:00:00Z")).toBe("AB");
  expect(inOrder(some(2.2, { ...raised, state: "retracted" }), "interest")).toBe("AB");
});

test("a move is measured by what large shares do until its own sessions are known", () => {
  const all = [entry("A", { percent: 1 }), entry("B", { percent: -3.5 }), entry("C")];
  expect(inOrder(all, "interest")).toBe("BAC");
  // Without a close to compare with, from the session's first price.
  expect(inOrder([...all, { ...entry("D"), first: 120 }], "interest")).toBe("DBAC");
});

test("every column sorts both ways, and what has no value comes last either way", () => {
  const all = [entry("B", { sigma: 1, volume: 2 }), entry("A"), entry("C", { sigma: -2, volume: 9 })];
  expect(inOrder(all, "symbol")).toBe("ABC");
  expect(inOrder(all, "symbol", true)).toBe("CBA");
  expect(inOrder(all, "change")).toBe("BCA");
  expect(inOrder(all, "change", true)).toBe("CBA");
  expect(inOrder(all, "score")).toBe("CBA");
  expect(inOrder(all, "volume", true)).toBe("BCA");
});

test("where there is little room, what matters most is kept", () => {
  const names = (width: number) => fitting(standard(false), width).map(({ name }) => name);
  expect(names(5000)).toEqual(standard(false));
  expect(standard(false)).not.toContain("extended");
  expect(standard(true)).toContain("extended");
  expect(names(340)).toEqual(["symbol", "price", "change", "volume"]);
  expect(names(10)).toEqual(["symbol", "price"]);
  for (let width = 200; width < 1600; width += 40) {
    const shown = fitting(
      COLUMNS.map(({ name }) => name),
      width,
    );
    const needs = shown.reduce((sum, column) => sum + column.width, (shown.length - 1) * gapOf(width));
    expect(needs).toBeLessThanOrEqual(width);
  }
});

test("rankings: largest first, ties by symbol, what has no value last", () => {
  const tickers = (
    [
      ["C", 2],
      ["B", null],
      ["A", 2],
      ["D", 5],
    ] as const
  ).map(([symbol, stdev]) => ({
    now: { symbol, statistics: { price: figures(1, stdev), volume: figures(1, stdev) } } as Symbol,
  }));
  expect(ranked(tickers, "price", "stdev")).toEqual(["D", "A", "C", "B"]);
  expect(ranked(tickers, "volume", "relative_stdev")).toEqual(["D", "A", "C", "B"]);
});
