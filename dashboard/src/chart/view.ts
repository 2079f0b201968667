/** What a chart shows beside its bars, as the address says it: a link leads to exactly this. */

export type Scale = "linear" | "log" | "percent";

/** What is chosen over a chart. */
export interface View {
  scale: Scale;
  hasVwap: boolean;
  hasPreviousClose: boolean;
  /** Another symbol, drawn as a line; both are in per cent then. */
  against: string | null;
  /** Prices at which lines are drawn, dollars. */
  levels: number[];
  /** The first instant in sight, UTC, and how many places follow it; without them, the newest. */
  at: string | null;
  bars: number | null;
}

/** More lines than this are no help. */
export const MOST_LEVELS = 8;

const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;

export function viewOf(query: URLSearchParams): View {
  const lines = query.get("lines")?.split(",") ?? ["close"];
  const scale = query.get("scale");
  const levels = (query.get("level") ?? "").split(",").map(Number);
  const at = query.get("at");
  const bars = Number(query.get("bars"));
  return {
    scale: scale === "log" || scale === "percent" ? scale : "linear",
    hasVwap: lines.includes("vwap"),
    hasPreviousClose: lines.includes("close"),
    against: query.get("against")?.toUpperCase() || null,
    levels: levels.filter((level) => Number.isFinite(level) && level > 0).slice(0, MOST_LEVELS),
    at: at !== null && INSTANT.test(at) ? at : null,
    bars: Number.isFinite(bars) && bars >= 5 && bars <= 20_000 ? Math.round(bars) : null,
  };
}

/** The same as parameters of an address; `null` where it goes without saying. */
export function inQuery(view: View): Record<string, string | null> {
  const lines = [view.hasVwap ? "vwap" : "", view.hasPreviousClose ? "close" : ""].filter(Boolean).join(",");
  return {
    scale: view.scale === "linear" ? null : view.scale,
    lines: lines === "close" ? null : lines || "none",
    against: view.against,
    level: view.levels.length === 0 ? null : view.levels.join(","),
    at: view.at,
    bars: view.bars === null ? null : String(view.bars),
  };
}

/** A price where somebody clicked, in as many places as a reader would say: cents, or four places below a dollar. */
export const rounded = (price: number): number => Number(price.toFixed(price >= 1 ? 2 : 4));

/** A level as the rule of an alert: reached from where the price is. */
export const crossing = (level: number, last: number): string =>
  `cross ${level >= last ? "above" : "below"}=${level}`;
