/** In which order the watchlist is shown. */

import type { Alert, Metric, SpikeSettings, Symbol } from "../api/types";
import { level } from "../scale";
import { minutesOf } from "../words/sentence";

export const ORDERS = {
  interest: "Most unusual first",
  watchlist: "As on the watchlist",
  symbol: "By symbol",
  change: "By the day's change",
  volume: "By volume ratio",
} as const;
export type Order = keyof typeof ORDERS;

export const isOrder = (text: string | null): text is Order => text !== null && text in ORDERS;

/** Minutes of the trailing average that the API tells. */
const FIGURES_WINDOW = 60;

/** Whether the figures are those that the rule looks at. */
export const looksAtFigures = (rule: SpikeSettings): boolean => minutesOf(rule.window) === FIGURES_WINDOW;

/** The ratio of a metric where the rule would judge it: over its own window, with enough bars in it. */
export function judged(now: Symbol, metric: Metric, rule: SpikeSettings): number | null {
  const figures = now.statistics[metric];
  return looksAtFigures(rule) && figures.window_bars >= rule.min_bars ? figures.ratio : null;
}

/** How much there is to see: 3 over the rule now, 2 an alert in the last hour, 1 near the rule, 0 nothing. Coarse, so that
 * rows move when something happened and not with every trade. */
function interest(now: Symbol, rule: SpikeSettings, alert: Alert | undefined, asOf: number): number {
  const levels = (["price", "volume"] as const).map((metric) => level(judged(now, metric, rule), rule.ratio));
  if (levels.includes("unusual")) return 3;
  if (alert && asOf - Date.parse(alert.start) <= 60 * 60_000) return 2;
  return levels.includes("near") ? 1 : 0;
}

/** The symbols in an order. `newest` has each symbol's newest alert. Equal ones stay as on the watchlist. */
export function ordered(
  symbols: Symbol[],
  order: Order,
  rule: SpikeSettings,
  newest: Map<string, Alert>,
  asOf: string | null,
): string[] {
  const at = asOf === null ? 0 : Date.parse(asOf);
  const keyed = symbols.map((now) => {
    switch (order) {
      case "interest": {
        const alert = newest.get(now.symbol);
        const tier = interest(now, rule, alert, at);
        return { now, key: tier * 1e12 + (tier >= 2 && alert ? Date.parse(alert.start) / 1e3 : 0) };
      }
      case "change":
        return { now, key: now.day_change ? Math.abs(now.day_change.percent) : -Infinity };
      case "volume":
        return { now, key: now.statistics.volume.ratio ?? -Infinity };
      default:
        return { now, key: 0 };
    }
  });
  if (order === "symbol") keyed.sort((one, other) => (one.now.symbol < other.now.symbol ? -1 : 1));
  else keyed.sort((one, other) => (other.key > one.key ? 1 : other.key < one.key ? -1 : 0));
  return keyed.map(({ now }) => now.symbol);
}
