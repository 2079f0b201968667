/** What a chart shows, to take away. */

import type { BarOfInterval } from "../api/types";

const COLUMNS = ["open", "high", "low", "close", "volume", "vwap", "trades"] as const;

/** Bars as the API writes them for spreadsheets, and `qqq-tracker import` reads them. */
export function csv(symbol: string, bars: BarOfInterval[]): string {
  const rows = bars.map((bar) => [symbol, bar.start, ...COLUMNS.map((name) => bar[name] ?? "")].join(","));
  return `${["symbol,start", ...COLUMNS].join(",")}\n${rows.map((row) => `${row}\n`).join("")}`;
}

/** Offers a file to be kept. */
export function keep(name: string, content: Blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  // The browser has taken it by the next turn.
  setTimeout(() => URL.revokeObjectURL(link.href));
}
