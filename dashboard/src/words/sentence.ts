/** Alerts in words a person understands, with their numbers. The mails say the same; see `core::sentence`. */

import type { Alert, Metric } from "../api/types";
import { amount, count, plain, points, price, ratio, shares, short } from "./number";
import { marketClock, marketDateOf, marketWhenSaid } from "./time";

/** The settings of a rule in the text of the grammar: `v1 zscore z=4 window=30m`. The house rule has none. */
export function settings(rule: string): Map<string, string> {
  const words = rule.split(" ").filter((word) => word.includes("="));
  return new Map(words.map((word) => [word.slice(0, word.indexOf("=")), word.slice(word.indexOf("=") + 1)]));
}

/** A span of the grammar in minutes. */
export function minutesOf(text: string): number {
  const inMinutes: Record<string, number> = { s: 1 / 60, m: 1, h: 60, d: 1440 };
  return parseInt(text, 10) * (inMinutes[text.at(-1) ?? "m"] ?? 1);
}

/** A span of the grammar in words: `60m` is `hour`, `30m` is `30 minutes`. */
export function spanOf(text: string): string {
  const minutes = minutesOf(text);
  if (minutes === 1) return "minute";
  if (minutes === 60) return "hour";
  if (minutes === 1440) return "day";
  return minutes % 60 === 0 ? `${minutes / 60} hours` : `${plain(minutes)} minutes`;
}

const after = (text: string) => (/^\d/.test(text) ? text : `1 ${text}`);

/** The value with its unit: `$118.42`, `9,637,512 shares`, or in short `9.64M shares`. */
function valued(metric: Metric, value: number, how: "exact" | "short"): string {
  if (metric === "price") return `$${price(value)}`;
  return `${how === "exact" ? shares(value) : short(value)} ${value === 1 ? "share" : "shares"}`;
}

const baseline = (alert: Alert): string =>
  alert.average === null ? "" : alert.metric === "price" ? `$${price(alert.average)}` : short(alert.average);

/** How far above or below: `4.2 % above`. */
function away(alert: Alert): { percent: string; side: string } | null {
  if (alert.average === null || alert.average === 0) return null;
  const change = (alert.value / alert.average - 1) * 100;
  return { percent: points(Math.abs(change)), side: change < 0 ? "below" : "above" };
}

function deviations(alert: Alert): { z: string; side: string } | null {
  const { evidence } = alert;
  if (!("stdev" in evidence) || alert.average === null || !evidence.stdev) return null;
  const z = (alert.value - alert.average) / evidence.stdev;
  return { z: ratio(Math.abs(z)), side: z < 0 ? "below" : "above" };
}

/** What the value was compared with, and how it came off: `18.7 times its average of the last hour, 516K`. */
function compared(alert: Alert, window: string): string | null {
  const given = settings(alert.rule);
  const last = spanOf(given.get("window") ?? window);
  switch (alert.kind) {
    case "spike":
      return alert.ratio === null
        ? null
        : `${ratio(alert.ratio)} times its average of the last ${last}, ${baseline(alert)}`;
    case "zscore": {
      const found = deviations(alert);
      return (
        found &&
        `${found.z} standard deviations ${found.side} its average of the last ${last}, ${baseline(alert)}`
      );
    }
    case "move": {
      const found = away(alert);
      const from = given.get("from") ?? "15m";
      const than =
        from === "previous_close"
          ? "its previous close"
          : from === "open"
            ? "its opening price"
            : `its price of ${after(spanOf(from))} before`;
      return found && `${found.percent} % ${found.side} ${than}, ${baseline(alert)}`;
    }
    case "cross": {
      const { evidence } = alert;
      if (!("before" in evidence)) return null;
      const reached = given.has("below") ? "fallen to" : "risen to";
      const level = valued(alert.metric, evidence.level, "short");
      return `having ${reached} ${level} or beyond from ${valued(alert.metric, evidence.before, "short")}`;
    }
    case "time_of_day":
      return alert.ratio === null
        ? null
        : `${ratio(alert.ratio)} times the median of that minute in ${count(alert.window_bars, "earlier session")}, ${baseline(alert)}`;
  }
}

/** `NVDA traded 9,637,512 shares at 13:57, 18.7 times its average of the last hour, 516K.` Times are New York's.
 * `window` is that of the tracker's own rule. The day is named where it is not `today`, a New York date; left out, something
 * beside the sentence names it. */
export function sentence(
  alert: Alert,
  window = "60m",
  today: string | null = marketDateOf(alert.start),
): string {
  const what =
    alert.metric === "price"
      ? `was at ${valued("price", alert.value, "exact")}`
      : `traded ${valued("volume", alert.value, "exact")}`;
  const how = compared(alert, window);
  return `${alert.symbol} ${what} ${marketWhenSaid(alert.start, today)}${how ? `, ${how}` : ""}.`;
}

/** The same in a few words: `NVDA: volume 18.7 times its last hour`. */
export function headline(alert: Alert, window = "60m"): string {
  const given = settings(alert.rule);
  const last = spanOf(given.get("window") ?? window);
  const { symbol, metric } = alert;
  switch (alert.kind) {
    case "spike":
      return alert.ratio
        ? `${symbol}: ${metric} ${ratio(alert.ratio)} times its last ${last}`
        : `${symbol}: unusual ${metric}`;
    case "zscore": {
      const found = deviations(alert);
      return found
        ? `${symbol}: ${metric} ${found.z} deviations ${found.side} its last ${last}`
        : `${symbol}: unusual ${metric}`;
    }
    case "move": {
      const found = away(alert);
      const way = found?.side === "below" ? "down" : "up";
      return found ? `${symbol}: ${way} ${found.percent} %` : `${symbol}: unusual ${metric}`;
    }
    case "cross":
      return `${symbol}: ${metric} ${given.has("below") ? "below" : "above"} ${baseline(alert)}`;
    case "time_of_day":
      return alert.ratio
        ? `${symbol}: volume ${ratio(alert.ratio)} times its usual ${marketClock(alert.start)}`
        : `${symbol}: unusual volume`;
  }
}

/** What happened since: `3 more minutes qualified, up to 12.1M.`; `null` where nothing did. */
export function since(alert: Alert): string | null {
  const further = alert.occurrences - 1;
  if (further <= 0) return null;
  return `${count(further, "more minute")} qualified since, up to ${amount(alert.metric, alert.peak)}.`;
}

/** A rule in short, for lists: its name and the settings that say most of it. */
export function ruleName(rule: string): string {
  if (rule === "spike") return "the tracker's own";
  return rule
    .replace(/^v1 /, "")
    .replace(/ (?:min_bars|direction=both|trigger=level|session=all|cooldown|min_sessions)\S*/g, "");
}
