/** Rules as text of the grammar, and its spans in words. Alerts in words come from the API. */

import { plain } from "./number";

/** The settings of a rule in the text of the grammar: `v1 zscore z=4 window=30m`. The name of the house rule has none: an alert
 * has its settings in `rule_text`. */
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

/** A rule in short, for lists: its name and the settings that say most of it. */
export function ruleName(rule: string): string {
  if (rule === "spike") return "the tracker's own";
  return rule
    .replace(/^v1 /, "")
    .replace(/ (?:min_bars|direction=both|trigger=level|session=all|cooldown|min_sessions)\S*/g, "");
}
