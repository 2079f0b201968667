/** In which order the watchlist is shown. */

import type { Alert, SpikeSettings } from "../api/types";
import { aboveVwap, type Known, lineOf, movedBy, NEAR, standing } from "../live/unusual";

/** What can be sorted by: a name as in the address, and how it is called. Numbers begin with the largest, symbols with A. */
export const ORDERS = {
  interest: "Most unusual first",
  watchlist: "As on the watchlist",
  symbol: "By symbol",
  price: "By price",
  change: "By the day's change",
  extended: "By the change outside the session",
  score: "By score",
  relative: "By relative volume",
  volume: "By volume ratio",
  vwap: "By distance to VWAP",
  alert: "By newest alert",
} as const;
export type Order = keyof typeof ORDERS;

export const isOrder = (text: string | null): text is Order => text !== null && text in ORDERS;

/** An alert of so long ago is news, and one of the last hour still lifts its symbol: milliseconds. */
const NEWS_MS = 15 * 60_000;
const RECENT_MS = 60 * 60_000;

/** A symbol, and what of it is not in the API's answer. */
export interface Entry extends Known {
  /** Per cent from the regular close, before the open or after the close. */
  extended: number | null;
  alert: Alert | undefined;
}

/** How much there is to see: the score in halves, so that rows move when something happened and not with every trade; an alert
 * that is news counts as much as what the rule fires at, and one of the last hour as what is near it. */
function interest(entry: Entry, rule: SpikeSettings, asOf: string | null): number {
  const score = standing(entry, rule, asOf)?.score ?? 0;
  const raised = entry.alert?.state === "raised" ? Date.parse(entry.alert.start) : -Infinity;
  const ago = asOf === null ? Infinity : Date.parse(asOf) - raised;
  const lifted = ago <= NEWS_MS ? lineOf(rule) : ago <= RECENT_MS ? lineOf(rule) * NEAR : 0;
  // What is lit now stands before what was.
  return Math.round(Math.max(score, lifted) * 2) + (score >= lineOf(rule) ? 0.5 : 0);
}

function keyOf(entry: Entry, order: Order, rule: SpikeSettings, asOf: string | null): number | null {
  const { now } = entry;
  switch (order) {
    case "interest":
      return interest(entry, rule, asOf);
    case "price":
      return now.bar?.close ?? null;
    case "change":
      return movedBy(entry);
    case "extended":
      return entry.extended;
    case "score":
      return standing(entry, rule, asOf)?.score ?? null;
    case "relative":
      return now.unusual.relative_volume.ratio;
    case "volume":
      return now.statistics.volume.ratio;
    case "vwap":
      return aboveVwap(now);
    case "alert":
      return entry.alert ? Date.parse(entry.alert.start) : null;
    default:
      return 0;
  }
}

/** The symbols in an order, or in the reverse of it. What has no value comes last either way; equal ones stay as on the
 * watchlist. */
export function ordered(
  entries: Entry[],
  order: Order,
  reversed: boolean,
  rule: SpikeSettings,
  asOf: string | null,
): string[] {
  const turn = reversed ? -1 : 1;
  if (order === "symbol") {
    const names = entries.map(({ now }) => now.symbol);
    return names.sort((one, other) => (one < other ? -turn : turn));
  }
  const keyed = entries.map((entry) => ({ symbol: entry.now.symbol, key: keyOf(entry, order, rule, asOf) }));
  keyed.sort((one, other) => {
    if (one.key === null || other.key === null) return Number(one.key === null) - Number(other.key === null);
    return (other.key - one.key) * turn;
  });
  return keyed.map(({ symbol }) => symbol);
}
