import { expect, test } from "vitest";
import type { BarOfInterval } from "../api/types";
import { seen } from "./rule";

const rule = { kind: "spike", ratio: 3, window: "60m", min_bars: 30, cooldown: "60m" };

/** Numbers that are the same each time. */
function* numbers(seed: number) {
  for (;;) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    yield seed / 2 ** 32;
  }
}

function bars(count: number, seed: number): BarOfInterval[] {
  const random = numbers(seed);
  const next = () => random.next().value as number;
  let at = Date.parse("2025-01-31T14:30:00Z");
  return Array.from({ length: count }, () => {
    at += 60_000 * (next() < 0.1 ? Math.ceil(next() * 90) : 1);
    const close = 100 + Math.round(next() * 400) / 4;
    const volume = Math.round(next() ** 6 * 100_000);
    const feed = next() < 0.01 ? "sip" : "iex";
    const start = new Date(at).toISOString().replace(".000", "");
    return {
      start,
      open: close,
      high: close,
      low: close,
      close,
      volume,
      vwap: null,
      trades: null,
      feed,
      revision: 0,
    };
  });
}

test("it sees what is found by looking at every window anew", () => {
  for (const seed of [1, 2, 3]) {
    const all = bars(1500, seed);
    const found = seen(all, rule);
    let begin = 0;
    let unusual = 0;
    for (const [index, bar] of all.entries()) {
      if (index > 0 && all[index - 1]!.feed !== bar.feed) begin = index;
      const at = Date.parse(bar.start);
      const window = all.slice(begin, index).filter((other) => Date.parse(other.start) >= at - 60 * 60_000);
      const mean = (value: (bar: BarOfInterval) => number) =>
        window.length < 30 ? null : window.reduce((sum, each) => sum + value(each), 0) / window.length;
      const view = found[index]!;
      expect(view.bars).toBe(window.length);
      const volume = mean((each) => each.volume);
      if (volume === null) expect(view.volume).toBeNull();
      else expect(view.volume).toBeCloseTo(volume, 6);
      const price = mean((each) => each.close);
      if (price === null) expect(view.price).toBeNull();
      else expect(view.price).toBeCloseTo(price, 6);
      const beyond = volume !== null && volume > 0 && bar.volume >= 3 * volume;
      expect(view.unusual.volume).toBe(beyond);
      unusual += beyond ? 1 : 0;
    }
    expect(unusual).toBeGreaterThan(5);
  }
});

test("exactly three times is enough", () => {
  const all = bars(40, 7).map((bar, index) => ({
    ...bar,
    start: new Date(Date.parse("2025-01-31T15:00:00Z") + index * 60_000).toISOString(),
    feed: "iex",
    volume: index === 39 ? 300 : 100,
  }));
  expect(seen(all, rule).map((view) => view.unusual.volume)).toEqual([
    ...Array<boolean>(39).fill(false),
    true,
  ]);
});
