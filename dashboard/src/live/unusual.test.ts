import { expect, test } from "vitest";
import type { Sparkline, Symbol } from "../api/types";
import { extendedChange } from "./extended";
import { judged, type Known, knownOf, levelOf, movedBy, standing } from "./unusual";

const rule = { kind: "spike", ratio: 3, window: "60m", min_bars: 30, cooldown: "60m" };
const AS_OF = "2025-01-28T16:00:00Z";

interface Made {
  sigma?: number | null;
  percent?: number | null;
  sessions?: number;
  relative?: number | null;
  ratio?: number | null;
  bars?: number;
  start?: string;
}
function known(made: Made = {}): Known {
  const { sigma = null, percent = null, sessions = 20, relative = null, ratio = null } = made;
  const figures = { ratio, window_bars: made.bars ?? 60 };
  const now = {
    bar: { start: made.start ?? "2025-01-28T15:59:00Z", close: 96.5 },
    day_change: percent === null ? null : { percent },
    statistics: { price: figures, volume: figures },
    unusual: {
      move: { sigma, percent, sessions },
      relative_volume: { ratio: relative, sessions },
      minute: { ratio },
    },
  } as unknown as Symbol;
  return { now, first: null };
}

test("what stands out most is told with its reason", () => {
  const of = (made: Made) => standing(known(made), rule, AS_OF);
  expect(of({ sigma: -2.9, relative: 2 })).toEqual({ score: 2.9, reason: "move", isAssumed: false });
  expect(of({ sigma: 0.1, relative: 4 })).toEqual({ score: 3, reason: "volume", isAssumed: false });
  expect(of({ sigma: 0.1, relative: 1, ratio: 8 })).toEqual({ score: 4, reason: "minute", isAssumed: false });
  expect(of({ ratio: 8, bars: 29 })).toBeNull();
  expect(of({ ratio: 8, start: "2025-01-28T15:30:00Z" })).toBeNull();
  expect(of({})).toBeNull();
});

test("without enough sessions, a fall of 3.5 % is not quiet", () => {
  const fallen = known({ percent: -3.53, sessions: 1 });
  const stands = standing(fallen, rule, AS_OF);
  expect(stands).toMatchObject({ reason: "move", isAssumed: true });
  expect(levelOf(stands, rule, true)).toBe("unusual");
  expect(levelOf(standing(known({ percent: 1, sessions: 1 }), rule, AS_OF), rule, true)).toBe("usual");
  // With enough of them, one whose days are all alike has no range to measure by.
  expect(standing(known({ percent: -3.53, sessions: 5 }), rule, AS_OF)).toBeNull();
  expect(movedBy({ ...known(), first: 100 })).toBeCloseTo(-3.5);
});

test("after the close nothing is lit", () => {
  const stands = standing(known({ sigma: 4 }), rule, AS_OF);
  expect(levelOf(stands, rule, true)).toBe("unusual");
  expect(levelOf(stands, rule, false)).toBe("usual");
  expect(levelOf(standing(known({ sigma: 2.1 }), rule, AS_OF), rule, true)).toBe("near");
});

test("with too few bars nothing is judged", () => {
  const of = (bars: number) => known({ ratio: 9, bars }).now;
  expect(judged(of(29), "volume", rule)).toBeNull();
  expect(judged(of(30), "volume", rule)).toBe(9);
  // The figures are of an hour: a rule with another window judges other ones.
  expect(judged(of(30), "volume", { ...rule, window: "30m" })).toBeNull();
  expect(judged(of(30), "volume", { ...rule, window: "1h" })).toBe(9);
});

const spark = (start: string, closes: (number | null)[]): Sparkline => ({
  symbol: "NVDA",
  date: "2025-01-28",
  start,
  closes,
});

test("the first price is the day's, of no other day", () => {
  const { now } = known();
  expect(knownOf({ now, spark: spark("2025-01-28T14:30:00Z", [null, 98, 99]) }).first).toBe(98);
  expect(knownOf({ now, spark: { ...spark("", [98]), date: "2025-01-27" } }).first).toBeNull();
  expect(knownOf({ now, spark: null }).first).toBeNull();
});

test("outside the session, the change is from its close", () => {
  const at = (start: string) => known({ start, percent: -2 }).now;
  expect(extendedChange(at("2025-01-28T13:00:00Z"), null, "16:00")).toBe(-2);
  expect(extendedChange(at("2025-01-28T15:00:00Z"), null, "16:00")).toBeNull();
  // 20:50, 20:55, 21:00 UTC: the last regular close is the one of 15:55 New York.
  const closing = spark("2025-01-28T20:50:00Z", [90, 100, 97]);
  expect(extendedChange(at("2025-01-28T21:03:00Z"), closing, "16:00")).toBeCloseTo(-3.5);
  expect(extendedChange(at("2025-01-28T21:03:00Z"), null, "16:00")).toBeNull();
});
