import type { Metric, RankedBy, Symbol } from "../api/types";

/** The symbols, largest first, ties by symbol, symbols without a value last: as the API ranks. */
export function ranked(tickers: { now: Symbol }[], metric: Metric, by: RankedBy): string[] {
  const entries = tickers.map(({ now }) => ({
    symbol: now.symbol,
    value: now.statistics[metric]?.[by] ?? null,
  }));
  entries.sort((one, other) => {
    if (one.value !== other.value) return (other.value ?? -Infinity) > (one.value ?? -Infinity) ? 1 : -1;
    return one.symbol < other.symbol ? -1 : 1;
  });
  return entries.map((entry) => entry.symbol);
}
