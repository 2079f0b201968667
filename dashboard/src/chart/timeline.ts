/** Where bars lie on the axis: a place for every interval in which trading was possible, and none for nights, weekends
 * and holidays. A minute without trades keeps its place; no session is stretched. */

import type { Interval, TradingDay } from "../api/types";
import { MARKET_ZONE } from "../words/time";

/** Seconds since 1970, UTC. */
export type Instant = number;

export type Phase = "pre" | "regular" | "post";

/** A trading day, its bounds as instants. */
export interface Day {
  date: string;
  earlyClose: boolean;
  /** The stretches whose bars count, oldest first. */
  stretches: { phase: Phase; from: Instant; to: Instant }[];
}

const MINUTE = 60;

/** Seconds of an interval; a day has as many as its session. */
export const SECONDS: Record<Exclude<Interval, "1d">, number> = {
  "1s": 1,
  "5s": 5,
  "10s": 10,
  "15s": 15,
  "30s": 30,
  "1m": MINUTE,
  "5m": 5 * MINUTE,
  "15m": 15 * MINUTE,
  "1h": 60 * MINUTE,
};

/** Whether a bar is told by its second. */
export const hasSeconds = (interval: Interval): boolean => interval !== "1d" && SECONDS[interval] < MINUTE;

export const instant = (text: string): Instant => Date.parse(text) / 1000;

/** A trading day of the API. Without extended hours only its regular session counts. */
export function dayOf(day: TradingDay, extended: boolean): Day {
  const [pre, open, close, post] = [day.pre_open, day.open, day.close, day.post_close].map(instant) as [
    number,
    number,
    number,
    number,
  ];
  const all = [
    { phase: "pre", from: pre, to: open },
    { phase: "regular", from: open, to: close },
    { phase: "post", from: close, to: post },
  ] as const;
  const counts = all.filter(({ phase, from, to }) => from < to && (extended || phase === "regular"));
  return { date: day.date, earlyClose: day.early_close, stretches: [...counts] };
}

/** Where the interval begins that an instant lies in: counted from the beginning of its stretch, as the API does.
 * `null` outside of all days. */
export function bucketOf(days: Day[], interval: Interval, at: Instant): Instant | null {
  for (const day of days) {
    const first = day.stretches[0];
    const last = day.stretches.at(-1);
    if (!first || !last || at < first.from || at >= last.to) continue;
    if (interval === "1d") return first.from;
    const stretch = day.stretches.find(({ from, to }) => at >= from && at < to);
    if (!stretch) return null;
    const length = SECONDS[interval];
    return stretch.from + Math.floor((at - stretch.from) / length) * length;
  }
  return null;
}

/** All places from `from` to `to`, both included, oldest first. */
export function places(days: Day[], interval: Interval, from: Instant, to: Instant): Instant[] {
  const found: Instant[] = [];
  for (const { stretches } of days) {
    const first = stretches[0];
    if (!first || first.from > to || (stretches.at(-1)?.to ?? 0) <= from) continue;
    if (interval === "1d") {
      if (first.from >= from) found.push(first.from);
      continue;
    }
    for (const stretch of stretches) {
      for (let at = stretch.from; at < stretch.to && at <= to; at += SECONDS[interval]) {
        if (at >= from) found.push(at);
      }
    }
  }
  return found;
}

/** Two rising lists as one, each instant once. */
export function united(some: Instant[], others: Instant[]): Instant[] {
  const all: Instant[] = [];
  let [one, other] = [0, 0];
  while (one < some.length || other < others.length) {
    const next = Math.min(some[one] ?? Infinity, others[other] ?? Infinity);
    if (some[one] === next) one += 1;
    if (others[other] === next) other += 1;
    all.push(next);
  }
  return all;
}

/** A run of places of one kind: their indexes, both included. */
export interface Run {
  phase: Phase;
  first: number;
  last: number;
  /** Whether a trading day begins with it. */
  begins: boolean;
  halfDay: boolean;
}

/** Which places belong to which stretch of which day. `1d` has none: a place is a whole day. */
export function runs(days: Day[], interval: Interval, times: Instant[]): Run[] {
  if (interval === "1d") return [];
  const found: Run[] = [];
  let index = 0;
  for (const { stretches, earlyClose } of days) {
    for (const [place, { phase, from, to }] of stretches.entries()) {
      while (index < times.length && times[index]! < from) index += 1;
      const first = index;
      while (index < times.length && times[index]! < to) index += 1;
      if (index > first) {
        found.push({ phase, first, last: index - 1, begins: place === 0, halfDay: earlyClose });
      }
    }
  }
  return found;
}

const offsets = new Map<number, number>();
const inNewYork = new Intl.DateTimeFormat("en-US", { timeZone: MARKET_ZONE, timeZoneName: "longOffset" });

/** Seconds that New York's clocks are ahead of UTC: negative. */
function offset(at: Instant): number {
  const hour = Math.floor(at / 3600);
  const known = offsets.get(hour);
  if (known !== undefined) return known;
  const name = inNewYork.formatToParts(at * 1000).find(({ type }) => type === "timeZoneName")?.value ?? "";
  const [, sign, hours, minutes] = /([+-])(\d\d):(\d\d)/.exec(name) ?? [];
  const seconds = (sign === "-" ? -1 : 1) * (Number(hours ?? 0) * 3600 + Number(minutes ?? 0) * 60);
  offsets.set(hour, seconds);
  return seconds;
}

/** What New York's clocks show at an instant, as if it were UTC: the chart knows no zones. */
export const wallClock = (at: Instant): number => at + offset(at);
