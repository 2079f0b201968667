import { describe, expect, test } from "vitest";
import { ABOUT, change, COOLDOWN, houseRule, KINDS, parse, setting, stopsWith, text, turned } from "./model";

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

test("a window asks for half of its minutes, and for 30 bars at the most", () => {
  const bars = (window: string) => change(parse("spike ratio=4", house)!, "window", window).settings.min_bars;
  expect(["10m", "30m", "60m", "6h"].map(bars)).toEqual(["5", "15", "30", "30"]);
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
  for (const kind of KINDS) {
    const rule = { kind, settings: {} };
    for (const each of [...ABOUT[kind].stops, COOLDOWN]) {
      expect(each.stops, `${kind} ${each.name}`).toContain(setting(rule, each.name));
    }
  }
  const [ratio, window] = ABOUT.spike.stops;
  expect(stopsWith(ratio!, "4.2").slice(5, 8)).toEqual(["4", "4.2", "5"]);
  expect(stopsWith(window!, "1h")).toContain("1h");
  expect(stopsWith(window!, "1h")).not.toContain("60m");
  expect(stopsWith(window!, "100m").indexOf("100m")).toBe(stopsWith(window!, "100m").indexOf("90m") + 1);
});
