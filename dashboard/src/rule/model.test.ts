import { describe, expect, test } from "vitest";
import type { RuleKindInfo, Symbol } from "../api/types";
import { kinds, learn } from "./kinds";
import told from "./kinds.fixture.json";
import {
  ABOUT,
  change,
  COOLDOWN,
  DESCRIBED,
  houseRule,
  moveFor,
  parse,
  setting,
  stopsWith,
  text,
  thresholdsOf,
  turned,
  whyNever,
} from "./model";

// As the API tells it; a test of the API compares.
learn(told.items as RuleKindInfo[]);

const house = { kind: "spike", ratio: 3, window: "60m", min_bars: 30, cooldown: "60m" };

describe("text and form", () => {
  test.each([
    "spike",
    "spike ratio=4",
    "spike ratio=3 cooldown=0s",
    "spike ratio=3 window=15m min_bars=7",
    "spike ratio=3 trigger=edge rearm=1.5",
    "zscore z=4 window=30m min_bars=15",
    "zscore",
    "move percent=3 from=previous_close direction=down",
    "cross above=150",
    "spike ratio=3 session=extended",
    "spike ratio=3 nonsense=1",
    "cross below=120.5 cooldown=1d",
    "time_of_day ratio=4 sessions=10",
  ])("%s", (given) => {
    const rule = parse(given, house)!;
    expect(text(rule, house)).toBe(given);
    expect(parse(text(rule, house), house)).toEqual(rule);
  });

  test("what goes without saying is not said, and the tracker's own rule is named as such", () => {
    expect(text(parse("v1 spike ratio=3 window=60m min_bars=30 cooldown=60m", house)!, house)).toBe("spike");
    const other = { ...house, ratio: 5, cooldown: "2h" };
    expect(text(houseRule(other), other)).toBe("spike");
    expect(setting(parse("spike", other)!, "ratio")).toBe("5");
    // The grammar's default is not this tracker's own.
    expect(text(parse("spike ratio=3", other)!, other)).toBe("spike ratio=3");
    expect(text(change(houseRule(other), "ratio", "3"), other)).toBe("spike ratio=3 cooldown=2h");
  });

  test("what is no rule is none", () => {
    for (const given of ["", "nonsense", "v2 spike", "SPIKE"]) expect(parse(given, house)).toBeNull();
  });
});

test("what the API does not allow is not offered", () => {
  const [ratio] = ABOUT.spike.stops;
  learn(
    (told.items as RuleKindInfo[]).map((kind) => ({
      ...kind,
      settings: kind.settings.map((each) =>
        each.name === "ratio" ? { ...each, minimum: 2, maximum: 5 } : each,
      ),
    })),
  );
  expect(stopsWith("spike", ratio!, "3")).toEqual(["2", "2.5", "3", "3.5", "4", "5"]);
  learn(told.items as RuleKindInfo[]);
});

test("a window asks for half of its minutes, and for 30 bars at the most", () => {
  const bars = (window: string) => change(parse("spike ratio=4", house)!, "window", window).settings.min_bars;
  expect(["10m", "30m", "60m", "6h"].map(bars)).toEqual(["5", "15", "30", "30"]);
  // Bars of a second: what is usual is half an hour of them.
  const seconds = (kind: RuleKindInfo): RuleKindInfo => ({
    ...kind,
    settings: kind.settings.map((each) => (each.name === "min_bars" ? { ...each, default: 1800 } : each)),
  });
  learn((told.items as RuleKindInfo[]).map(seconds));
  expect(["10m", "30m", "60m", "6h"].map(bars)).toEqual(["300", "900", "1800", "1800"]);
  learn(told.items as RuleKindInfo[]);
});

test("a crossing goes one way", () => {
  const up = parse("cross above=150", house)!;
  expect(text(change(up, "below", "140"), house)).toBe("cross below=140");
});

test("another kind keeps what both have", () => {
  const rule = parse("spike ratio=4 window=30m min_bars=15 cooldown=2h", house)!;
  expect(text(turned(rule, "time_of_day", ""), house)).toBe("time_of_day cooldown=2h ratio=4");
  expect(text(turned(rule, "zscore", ""), house)).toBe("zscore cooldown=2h window=30m min_bars=15");
  expect(text(turned(rule, "cross", "150"), house)).toBe("cross cooldown=2h above=150");
});

test("every slider holds its default and whatever an address may bring, in order", () => {
  expect(new Set(kinds())).toEqual(new Set(DESCRIBED));
  for (const kind of kinds()) {
    const rule = { kind, settings: {} };
    for (const each of [...ABOUT[kind].stops, COOLDOWN]) {
      expect(each.stops, `${kind} ${each.name}`).toContain(setting(rule, each.name));
    }
  }
  const [ratio, window] = ABOUT.spike.stops;
  expect(stopsWith("spike", ratio!, "4.2").slice(5, 8)).toEqual(["4", "4.2", "5"]);
  expect(stopsWith("spike", window!, "1h")).toContain("1h");
  expect(stopsWith("spike", window!, "1h")).not.toContain("60m");
  expect(stopsWith("spike", window!, "100m").indexOf("100m")).toBe(
    stopsWith("spike", window!, "100m").indexOf("90m") + 1,
  );
});

describe("a rule on the price", () => {
  const moved = (sigma: number | null, percent: number | null) =>
    ({ unusual: { move: { sigma, percent, sessions: 20 } } }) as Symbol;
  test("is proposed by the symbol's own range", () => {
    expect(moveFor(undefined).settings).toEqual({ percent: "3", from: "previous_close", trigger: "edge" });
    // 1 % is usual at this time, so 2 % is told; 3.4 %, so 7.5 %.
    expect(moveFor(moved(-2, -2)).settings.percent).toBe("2");
    expect(moveFor(moved(0.5, 1.7)).settings.percent).toBe("7.5");
    expect(moveFor(moved(0.1, 5)).settings.percent).toBe("10");
    expect(moveFor(moved(null, 5)).settings.percent).toBe("3");
    expect(parse(text(moveFor(undefined), house), house)).toEqual(moveFor(undefined));
  });
  test("tells beforehand where it fires, where that can be known", () => {
    const now = { bar: { close: 102 }, day_change: { amount: 2 } } as Symbol;
    const of = (text: string) => thresholdsOf(parse(text, house)!, "price", now);
    expect(of("move percent=3 from=previous_close").map(({ price }) => price)).toEqual([103, 97]);
    expect(of("move percent=3 from=previous_close direction=down")).toEqual([{ price: 97, title: "−3 %" }]);
    expect(of("cross below=99.5")).toEqual([{ price: 99.5, title: "below" }]);
    expect(of("move percent=3 from=open")).toEqual([]);
    expect(thresholdsOf(parse("cross above=9", house)!, "volume", now)).toEqual([]);
  });
  test("is not a multiple of the price's average, and the form says why", () => {
    expect(whyNever(houseRule(house), "price")).toMatch(/^A price does not reach 3 times its average/);
    expect(whyNever(houseRule(house), "volume")).toBeNull();
    expect(whyNever(moveFor(undefined), "price")).toBeNull();
  });
});
