/** Which symbols somebody may have meant. */

import type { Symbol } from "../api/types";

/** Symbols that a text names or begins, by ticker, former ticker or name; the likeliest first. */
export function near(text: string, tickers: { now: Symbol }[], most = 8): string[] {
  const wanted = text.trim().toUpperCase();
  if (wanted === "") return [];
  const distance = ({ symbol, former_symbols, name }: Symbol): number => {
    const tickers = [symbol, ...former_symbols];
    if (tickers.includes(wanted)) return 0;
    if (tickers.some((ticker) => ticker.startsWith(wanted))) return 1;
    return (name ?? "").toUpperCase().includes(wanted) ? 2 : Infinity;
  };
  const found = tickers.map(({ now }) => ({ symbol: now.symbol, distance: distance(now) }));
  const meant = found.filter((each) => each.distance < Infinity);
  return meant
    .sort((one, other) => one.distance - other.distance)
    .slice(0, most)
    .map(({ symbol }) => symbol);
}
