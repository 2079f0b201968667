/** The numbers behind an alert: what was compared with what, enough to compute the verdict again. */

import type { Alert, Interval } from "../api/types";
import { barName, bars } from "../words/bars";
import { titleOf, unitOf } from "../words/metric";
import { count, NONE, plain, price, quantity, ratio, shares, short } from "../words/number";
import { settings } from "../words/grammar";
import { barTime } from "../words/time";

/** A line of the table: what it is, its value, and where it helps, how it is meant. */
export interface Line {
  name: string;
  value: string;
  meaning?: string;
}

/** The ratio of a rule that compares by ratio. */
export function ratioOf(alert: Alert): number | null {
  if (alert.kind !== "spike" && alert.kind !== "time_of_day") return null;
  return Number(settings(alert.rule_text).get("ratio"));
}

/** A value of the alert's metric, with its unit. */
function unit(alert: Alert, value: number | null): string {
  if (value === null) return NONE;
  const { metric } = alert;
  if (unitOf(metric) === "dollars") return `$${value < 100_000 ? price(value) : shares(Math.round(value))}`;
  return `${shares(Math.round(value))} ${unitOf(metric)}`;
}

function compared(alert: Alert, interval: Interval): Line[] {
  const { evidence } = alert;
  const average = (bars: number): Line => ({
    name: "Average before it",
    value: unit(alert, alert.average),
    meaning: `the mean of ${count(bars, "bar")}`,
  });
  if ("stdev" in evidence) {
    return [
      average(evidence.bars),
      {
        name: "Standard deviation",
        value: evidence.stdev === null ? NONE : plain(evidence.stdev),
        meaning: "of the same bars (n − 1)",
      },
      { name: "Sum of the window", value: plain(evidence.sum), meaning: "exact" },
      { name: "Sum of squares", value: plain(evidence.sum_of_squares), meaning: "exact" },
    ];
  }
  if ("sum" in evidence) {
    const meaning = `over ${count(evidence.bars, "bar")}; exact`;
    return [average(evidence.bars), { name: "Sum of the window", value: plain(evidence.sum), meaning }];
  }
  if ("start" in evidence) {
    const meaning = `${barTime(evidence.start)} New York`;
    return [{ name: "Compared with", value: unit(alert, evidence.value), meaning }];
  }
  if ("before" in evidence) {
    return [
      { name: "Level", value: unit(alert, evidence.level) },
      { name: "Before it", value: unit(alert, evidence.before), meaning: "on the other side of the level" },
    ];
  }
  return [
    {
      name: interval === "1m" ? "Usual at that minute" : "Usual at that time",
      value: unit(alert, evidence.median),
      meaning: `the median of ${count(evidence.sessions, "earlier session")}`,
    },
  ];
}

/** The table behind the sentence. */
export function table(alert: Alert, interval: Interval = "1m"): Line[] {
  const lines: Line[] = [
    {
      name: alert.metric === "price" ? "Close" : titleOf(alert.metric),
      value: unit(alert, alert.value),
      meaning: `of that ${barName(interval)}`,
    },
    ...compared(alert, interval),
  ];
  if (alert.ratio !== null && (alert.kind === "spike" || alert.kind === "time_of_day")) {
    lines.push({ name: "Ratio", value: `${ratio(alert.ratio)} ×`, meaning: "the first over the second" });
  }
  if (alert.occurrences > 1) {
    const peak = alert.metric === "volume" ? short(alert.peak) : quantity(alert.metric, alert.peak);
    lines.push({
      name: "Qualified in all",
      value: bars(alert.occurrences, interval),
      meaning: `the largest ${peak}; told once, because of the cool-down`,
    });
  }
  lines.push({
    name: "Feed",
    value: alert.feed,
    meaning:
      alert.revision > 0
        ? `the bar had been corrected ${count(alert.revision, "time")}`
        : "the bar as it first came",
  });
  return lines;
}
