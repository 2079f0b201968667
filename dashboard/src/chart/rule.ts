/** What the tracker's own rule saw at every minute, computed anew from the bars as they are now. */

import type { BarOfInterval, SpikeSettings } from "../api/types";
import { minutesOf } from "../words/grammar";
import { instant } from "./timeline";

/** What stood before a bar, and whether the bar qualified. */
export interface Seen {
  /** Mean close of the window, dollars; `null` with too few bars. */
  price: number | null;
  /** Mean volume of the window, shares. */
  volume: number | null;
  bars: number;
  unusual: { price: boolean; volume: boolean };
}

/** For each one-minute bar, oldest first: the mean of the bars of its feed with `t - window <= start < t`. */
export function seen(bars: BarOfInterval[], rule: SpikeSettings): Seen[] {
  const window = minutesOf(rule.window) * 60;
  const starts = bars.map((bar) => instant(bar.start));
  let [first, price, volume, count] = [0, 0, 0, 0];
  let feed: string | null = null;
  return bars.map((bar, index) => {
    if (bar.feed !== feed) {
      // Each feed's bars are judged by themselves.
      [first, price, volume, count, feed] = [index, 0, 0, 0, bar.feed];
    }
    while (starts[first]! < starts[index]! - window) {
      price -= bars[first]!.close;
      volume -= bars[first]!.volume;
      count -= 1;
      first += 1;
    }
    // Sums of differences drift; an empty window is none.
    if (count === 0) [price, volume] = [0, 0];
    const enough = count >= rule.min_bars;
    const means = { price: enough ? price / count : null, volume: enough ? volume / count : null };
    const beyond = (value: number, mean: number | null) =>
      mean !== null && mean > 0 && value >= rule.ratio * mean * (1 - 1e-12);
    const unusual = { price: beyond(bar.close, means.price), volume: beyond(bar.volume, means.volume) };
    const found = { ...means, bars: count, unusual };
    price += bar.close;
    volume += bar.volume;
    count += 1;
    return found;
  });
}
