/** How unusual a symbol is, for the eye: what stands out most of it, on the scale of the API's score. */

import type { Metric, Sparkline, SpikeSettings, Symbol } from "../api/types";
import type { Level } from "../scale";
import { minutesOf } from "../words/grammar";
import { ratio } from "../words/number";
import { marketDateOf } from "../words/time";

/** Minutes of the trailing average that the API tells. */
const FIGURES_WINDOW = 60;
/** Of fewer sessions the API says nothing. */
export const ENOUGH_SESSIONS = 5;
/** Per cent that stand in for a symbol's own range until enough of its sessions are known: about a large share's day. */
const ASSUMED_RANGE = 1.2;
/** A bar that began longer ago than this says nothing of now: milliseconds. */
const NOW_MS = 5 * 60_000;
/** Of the score at which something is unusual, where one looks up. */
export const NEAR = 0.75;

/** Whether the figures are those that the rule looks at. */
export const looksAtFigures = (rule: SpikeSettings): boolean => minutesOf(rule.window) === FIGURES_WINDOW;

/** The ratio of a metric where the rule would judge it: over its own window, with enough bars in it. */
export function judged(now: Symbol, metric: Metric, rule: SpikeSettings): number | null {
  const figures = now.statistics[metric];
  return figures && looksAtFigures(rule) && figures.window_bars >= rule.min_bars ? figures.ratio : null;
}

/** The score from which something is unusual: that of a volume at which the rule fires. */
export const lineOf = (rule: SpikeSettings): number => Math.log2(rule.ratio) + 1;

export type Reason = "move" | "volume" | "minute";

export interface Standing {
  /** On the scale of the API's score: 1 is usual. */
  score: number;
  reason: Reason;
  /** Whether the move was measured by what large shares usually do: too few sessions of its own are known. */
  isAssumed: boolean;
}

/** What is known of a symbol. */
export interface Known {
  now: Symbol;
  /** The first price of the newest bar's session: a day's move is told from there where the close before is unknown. */
  first: number | null;
}

/** What is known of a ticker. */
export function knownOf({ now, spark }: { now: Symbol; spark: Sparkline | null }): Known {
  const isOfDay = now.bar !== null && spark?.date === marketDateOf(now.bar.start);
  return { now, first: (isOfDay ? spark.closes.find((close) => close !== null) : null) ?? null };
}

/** The day's move, per cent: from the previous close, or else from the session's first price. */
export function movedBy({ now, first }: Known): number | null {
  const percent = now.unusual.move.percent;
  if (percent !== null || first === null || now.bar === null) return percent;
  return (now.bar.close / first - 1) * 100;
}

/** Per cent of the close above the session's average price. */
export const aboveVwap = ({ bar, session_vwap }: Symbol): number | null =>
  bar === null || session_vwap === null ? null : (bar.close / session_vwap - 1) * 100;

const byVolume = (ratio: number | null): number | null =>
  ratio === null || ratio <= 0 ? null : Math.log2(ratio) + 1;

/** What stands out most; `null` where nothing can be said. `asOf`: the time it is, by the feed's clock. */
export function standing(known: Known, rule: SpikeSettings, asOf: string | null): Standing | null {
  const { unusual, bar } = known.now;
  const moved = movedBy(known);
  const isAssumed = unusual.move.sigma === null && unusual.move.sessions < ENOUGH_SESSIONS;
  const sigma = unusual.move.sigma ?? (isAssumed && moved !== null ? moved / ASSUMED_RANGE : null);
  const isNow = bar !== null && asOf !== null && Date.parse(asOf) - Date.parse(bar.start) <= NOW_MS;
  const found: [Reason, number | null][] = [
    ["move", sigma === null ? null : Math.abs(sigma)],
    ["volume", byVolume(unusual.relative_volume.ratio)],
    ["minute", isNow ? byVolume(judged(known.now, "volume", rule)) : null],
  ];
  let best: Standing | null = null;
  for (const [reason, score] of found) {
    if (score !== null && (best === null || score > best.score))
      best = { score, reason, isAssumed: reason === "move" && isAssumed };
  }
  return best;
}

/** A standing as a figure: `2.9`, and `~2.9` where it was measured by what large shares do. */
export const figureOf = ({ score, isAssumed }: Standing): string =>
  `${isAssumed ? "~" : ""}${ratio(Math.max(0, score))}`;

/** How a standing is to be shown. After the close nothing is lit. */
export function levelOf(standing: Standing | null, rule: SpikeSettings, isOpen: boolean): Level {
  if (standing === null || !isOpen) return "usual";
  const line = lineOf(rule);
  if (standing.score >= line) return "unusual";
  return standing.score >= line * NEAR ? "near" : "usual";
}
