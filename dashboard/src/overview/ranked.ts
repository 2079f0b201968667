import type { Metric, RankedBy, Symbol } from "../api/types";

/** Largest first, ties by symbol, symbols without a value last: as the API ranks. */
export function ranked(
  tickers: { now: Symbol }[],
  metric: Metric,
  by: RankedBy,
): { symbol: string; value: number | null }[] {
  const entries = tickers.map(({ now }) => ({ symbol: now.symbol, value: now.statistics[metric][by] }));
  return entries.sort((one, other) => {
    if (one.value !== other.value) return (other.value ?? -Infinity) > (one.value ?? -Infinity) ? 1 : -1;
    return one.symbol < other.symbol ? -1 : 1;
  });
}
