/** Lines that are computed of the bars and drawn over them. */

import type { BarOfInterval } from "../api/types";
import { type Day, type Instant, instant } from "./timeline";

/** Of each bar, the volume-weighted average price of its session up to it: by the bars' own, or the mean of high, low and close
 * where the feed tells none, as the API does. `null` outside of all sessions and where nothing was traded. */
export function vwap(bars: BarOfInterval[], days: Day[]): (number | null)[] {
  const stretches = days.flatMap((day) => day.stretches);
  let at = 0;
  let [paid, shares] = [0, 0];
  return bars.map((bar) => {
    const start = instant(bar.start);
    while (at < stretches.length && start >= stretches[at]!.to) {
      at += 1;
      [paid, shares] = [0, 0];
    }
    if (at === stretches.length || start < stretches[at]!.from) return null;
    paid += (bar.vwap ?? (bar.high + bar.low + bar.close) / 3) * bar.volume;
    shares += bar.volume;
    return shares === 0 ? null : paid / shares;
  });
}

/** Of each bar, the last regular close of the trading day before its own; `null` where that day has no bar here. */
export function previousCloses(bars: BarOfInterval[], days: Day[]): (number | null)[] {
  let day = 0;
  let before: number | null = null;
  let close: number | null = null;
  return bars.map((bar) => {
    const start = instant(bar.start);
    while (day < days.length && start >= endOf(days[day]!)) {
      day += 1;
      [before, close] = [close, null];
    }
    const regular = days[day]?.stretches.find(({ phase }) => phase === "regular");
    if (regular && start >= regular.from && start < regular.to) close = bar.close;
    return before;
  });
}

/** Both of the newest bar, of as few bars as they need. */
export function newest(
  bars: BarOfInterval[],
  days: Day[],
): { vwap: number | null; previousClose: number | null } {
  const last = bars.at(-1);
  if (!last) return { vwap: null, previousClose: null };
  // Its own day and the ones before hold all that counts; the calendar goes on beyond.
  const today = days.findLastIndex((day) => (day.stretches[0]?.from ?? Infinity) <= instant(last.start));
  const near = days.slice(Math.max(0, today - 2), today + 1);
  const from = near[0]?.stretches[0]?.from ?? -Infinity;
  const some = bars.slice(bars.findLastIndex(({ start }) => instant(start) < from) + 1);
  return { vwap: vwap(some, near).at(-1) ?? null, previousClose: previousCloses(some, near).at(-1) ?? null };
}

const endOf = (day: Day): Instant => day.stretches.at(-1)?.to ?? -Infinity;
