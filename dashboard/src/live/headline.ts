/** The sentence at the top: is anything unusual happening, and can I believe it? */

import type { Alert, SpikeSettings, Status, StatusEvent } from "../api/types";
import { count, points, ratio } from "../words/number";
import { marketClock, marketDay, marketDateOf, marketWhenSaid, span } from "../words/time";
import type { Ticker } from "./market.svelte";
import { ENOUGH_SESSIONS, knownOf, lineOf, movedBy, type Standing, standing } from "./unusual";

/** Minutes of the feed's clock for which an alert is what there is to say. */
const NEWS_MINUTES = 15;

export interface Headline {
  /** Whether the figures are invented or recorded, first of all. */
  kind: string;
  text: string;
  tone: "quiet" | "unusual" | "bad";
  /** The alert it is about. */
  alert: Alert | null;
  /** The symbol it is about, where no alert is. */
  symbol: string | null;
}

/** What the sentence is made of. */
export interface Facts {
  tickers: Ticker[];
  /** Newest first. */
  alerts: Alert[];
  /** Whether there are older ones. */
  hasOlder: boolean;
  feed: StatusEvent | null;
  status: Status | null;
  asOf: string | null;
  rule: SpikeSettings;
  isOpen: boolean;
}

/** A newest bar that is older than this, while the market is open, is not live any more: seconds. */
const DELAYED = 600;

/** Where the figures are invented, recorded or late, every sentence says so first: `Simulated market.` */
export function kindOf(facts: Pick<Facts, "feed" | "status">): string {
  const mode = facts.feed?.mode ?? facts.status?.feed?.mode;
  if (mode === "simulated") return "Simulated market.";
  if (mode === "replayed") return "Recorded market.";
  return isDelayed(facts) ? "Delayed data." : "";
}

/** What the kind means, for those who see it first. */
export function kindInWords(facts: Pick<Facts, "feed" | "status">): string {
  const mode = facts.feed?.mode ?? facts.status?.feed?.mode;
  if (mode === "simulated") return "These prices are invented.";
  if (mode === "replayed") return "These prices are of another day.";
  return `The newest bar is ${span(age(facts) ?? 0)} old.`;
}

const age = ({ feed, status }: Pick<Facts, "feed" | "status">): number | null =>
  feed ? feed.age_seconds : (status?.newest_bar?.age_seconds ?? null);

function isDelayed(facts: Pick<Facts, "feed" | "status">): boolean {
  const session = facts.feed?.session ?? facts.status?.session.phase;
  return session === "regular" && (age(facts) ?? 0) >= DELAYED;
}

/** What is wrong with the data, if something is. */
export function trouble(facts: Facts): string | null {
  const problem = facts.feed ? facts.feed.problem : facts.status?.feed?.problem;
  if (problem) return `The feed has a problem: ${problem}.`;
  const silent = facts.status?.stale?.seconds;
  return silent ? `No bar has come for ${span(silent)}, and the market is open.` : null;
}

/** The newest alert that is news and still stands. */
function news(facts: Facts): Alert | null {
  const { asOf } = facts;
  if (asOf === null) return null;
  const from = Date.parse(asOf) - NEWS_MINUTES * 60_000;
  return facts.alerts.find((alert) => alert.state === "raised" && Date.parse(alert.start) >= from) ?? null;
}

/** Alerts of a New York date that still stand, newest first. */
const standingOn = ({ alerts }: Facts, date: string): Alert[] =>
  alerts.filter((alert) => alert.state === "raised" && marketDateOf(alert.start) === date);

/** The New York date the feed's clock is in. */
const dateOf = ({ asOf }: Facts): string | null => (asOf === null ? null : marketDateOf(asOf));

/** Alerts of the trading day the feed's clock is in that still stand. */
export function today(facts: Facts): Alert[] {
  const date = dateOf(facts);
  return date === null ? [] : standingOn(facts, date);
}

/** When the newest bar of all began. */
export const newestStart = (tickers: Ticker[]): string | null =>
  tickers.reduce<string | null>((latest, { now }) => {
    const start = now.bar?.start ?? null;
    return start !== null && (latest === null || start > latest) ? start : latest;
  }, null);

/** What the session of the newest bar did: `The last session had 4 alerts, the last of NVDA on Fri, 31 Jan at 15:59.` */
function lastSession(facts: Facts): string {
  const newest = newestStart(facts.tickers);
  if (newest === null) return "";
  const date = marketDateOf(newest);
  const raised = standingOn(facts, date);
  const last = raised[0];
  if (!last) return "The last session had no alerts.";
  const least = hasAllOf(facts, date) ? "" : "at least ";
  return `The last session had ${least}${count(raised.length, "alert")}, the last of ${last.symbol} ${marketWhenSaid(last.start, dateOf(facts))}.`;
}

/** What stands out most of those that do: a ticker with its standing. */
function standsOut(facts: Facts): { ticker: Ticker; standing: Standing; others: number } | null {
  const found = facts.tickers.flatMap((ticker) => {
    const known = standing(knownOf(ticker), facts.rule, facts.asOf);
    return known && known.score >= lineOf(facts.rule) ? [{ ticker, standing: known }] : [];
  });
  const best = found.reduce<(typeof found)[number] | null>(
    (one, other) => (one === null || other.standing.score > one.standing.score ? other : one),
    null,
  );
  return best && { ...best, others: found.length - 1 };
}

/** `3.53 % down, 2.4 times its usual range`, of a day. */
function standingSaid({ now, spark }: Ticker, { reason, isAssumed }: Standing): string {
  const { move, relative_volume } = now.unusual;
  if (reason === "volume") return `at ${ratio(relative_volume.ratio ?? 0)} times its usual volume`;
  if (reason === "minute")
    return `at ${ratio(now.statistics.volume.ratio ?? 0)} times its last hour's volume`;
  const moved = movedBy(knownOf({ now, spark })) ?? 0;
  const so = `${points(Math.abs(moved))} % ${moved < 0 ? "down" : "up"}`;
  const since = move.percent === null ? " since the open" : "";
  return isAssumed ? so + since : `${so}, ${ratio(Math.abs(move.sigma ?? 0))} times its usual range`;
}

const othersSaid = (others: number): string =>
  others === 0 ? "" : `; ${count(others, "other stands", "others stand")} out, too`;

/** Whether of every symbol with bars enough sessions are known to say what is usual. */
const knowsUsual = ({ tickers }: Facts): boolean =>
  tickers.every(({ now }) => now.bar === null || now.unusual.move.sessions >= ENOUGH_SESSIONS);

export function headlineNow(facts: Facts): Headline {
  const kind = kindOf(facts);
  const told = (
    text: string,
    tone: Headline["tone"],
    { alert = null, symbol = null }: Partial<Pick<Headline, "alert" | "symbol">> = {},
  ): Headline => ({ kind, text, tone, alert, symbol });
  const bad = trouble(facts);
  if (bad !== null) return told(bad, "bad");
  const withBars = facts.tickers.filter((ticker) => ticker.now.bar !== null).length;
  if (facts.tickers.length === 0) return told("Nothing is on the watchlist.", "quiet");
  if (withBars === 0) return told("Waiting for the first bar.", "quiet");
  const out = standsOut(facts);
  if (!facts.isOpen) {
    const next = facts.status?.session.next;
    const opens = next ? `: it opens ${marketDay(next.at)} ${marketClock(next.at)} New York` : "";
    const stood = out ? ` ${out.ticker.symbol} stood out: ${standingSaid(out.ticker, out.standing)}.` : "";
    return told(`The market is closed${opens}. ${lastSession(facts)}${stood}`.trim(), "quiet");
  }
  const alert = news(facts);
  if (alert !== null) {
    const when = marketWhenSaid(alert.start, dateOf(facts));
    return told(`${alert.headline}, ${when}`, "unusual", { alert });
  }
  if (out !== null) {
    const { symbol } = out.ticker;
    const said = standingSaid(out.ticker, out.standing);
    return told(`${symbol} is ${said}${othersSaid(out.others)}`, "unusual", { symbol });
  }
  if (!knowsUsual(facts))
    return told(
      `Quiet so far: what is usual is known after ${ENOUGH_SESSIONS} sessions, until then by the hour alone.`,
      "quiet",
    );
  const all = withBars === 1 ? "one symbol is" : `all ${withBars} are`;
  const usual = withBars === 1 ? "its usual range" : "their usual range";
  return told(`Quiet: ${all} inside ${usual}.`, "quiet");
}

/** `4 alerts today`; `at least 500 alerts today` where not all of the day are known. */
export function todayInWords(alerts: number, areAll: boolean): string {
  if (!areAll) return `at least ${count(alerts, "alert")} today`;
  return alerts === 0 ? "no alerts today" : `${count(alerts, "alert")} today`;
}

/** Whether all alerts of a New York date are known. */
export function hasAllOf({ alerts, hasOlder }: Facts, date: string): boolean {
  const oldest = alerts.at(-1);
  return !hasOlder || oldest === undefined || marketDateOf(oldest.start) < date;
}
