import { expect, test } from "vitest";
import type { Alert, Figures, Symbol } from "../api/types";
import { judged, ordered } from "./order";
import { ranked } from "./ranked";

const rule = { kind: "spike", ratio: 3, window: "60m", min_bars: 30, cooldown: "60m" };
const figures = (ratio: number | null, stdev: number | null = null, bars = 60): Figures => ({
  stdev,
  relative_stdev: stdev === null ? null : stdev / 10,
  trailing_average: 1,
  ratio,
  window_bars: bars,
});
const symbol = (name: string, ratio: number | null, stdev: number | null = null, bars = 60): Symbol =>
  ({
    symbol: name,
    day_change: ratio === null ? null : { amount: -ratio, percent: -ratio },
    statistics: { price: figures(1, stdev), volume: figures(ratio, stdev, bars) },
  }) as Symbol;
const symbols = [symbol("C", 1), symbol("A", 2.5), symbol("D", 9), symbol("B", null)];

test("what is unusual comes first, then what was, then what may be; the rest stays", () => {
  const news = new Map([["B", { start: "2025-01-31T15:30:00Z" } as Alert]]);
  expect(ordered(symbols, "interest", rule, news, "2025-01-31T16:00:00Z")).toEqual(["D", "B", "A", "C"]);
  expect(ordered(symbols, "interest", rule, news, "2025-01-31T18:00:00Z")).toEqual(["D", "A", "C", "B"]);
  expect(ordered(symbols, "watchlist", rule, news, null)).toEqual(["C", "A", "D", "B"]);
  expect(ordered(symbols, "symbol", rule, news, null)).toEqual(["A", "B", "C", "D"]);
  expect(ordered(symbols, "volume", rule, news, null)).toEqual(["D", "A", "C", "B"]);
  expect(ordered(symbols, "change", rule, news, null)).toEqual(["D", "A", "C", "B"]);
});

test("with too few bars nothing is judged", () => {
  expect(judged(symbol("A", 9, null, 29), "volume", rule)).toBeNull();
  expect(judged(symbol("A", 9, null, 30), "volume", rule)).toBe(9);
  // The figures are of an hour: a rule with another window judges other ones.
  expect(judged(symbol("A", 9, null, 30), "volume", { ...rule, window: "30m" })).toBeNull();
  expect(judged(symbol("A", 9, null, 30), "volume", { ...rule, window: "1h" })).toBe(9);
});

test("rankings: largest first, ties by symbol, what has no value last", () => {
  const tickers = [symbol("C", 1, 2), symbol("B", 1, null), symbol("A", 1, 2), symbol("D", 1, 5)].map(
    (now) => ({ now }),
  );
  expect(ranked(tickers, "price", "stdev")).toEqual(["D", "A", "C", "B"]);
  expect(ranked(tickers, "volume", "relative_stdev")).toEqual(["D", "A", "C", "B"]);
});
