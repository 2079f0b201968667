/** The metrics that the tracker keeps up, as `/v1/status` tells them. */

import type { Metric, TrackedMetric } from "../api/types";

/** What every tracker keeps up. */
export const ALWAYS: TrackedMetric[] = [
  { metric: "price", title: "Price", unit: "dollars" },
  { metric: "volume", title: "Volume", unit: "shares" },
];

let known = new Map<string, TrackedMetric>();

/** Takes in what is tracked. */
export function tell(metrics: TrackedMetric[]) {
  known = new Map(metrics.map((each) => [each.metric, each]));
}

tell(ALWAYS);

/** The same metrics, the one that is watched most first. */
export const volumeFirst = (metrics: TrackedMetric[]): TrackedMetric[] =>
  [...metrics].sort((one, other) => Number(other.metric === "volume") - Number(one.metric === "volume"));

/** `Volume`. One that is no longer tracked is called by its name. */
export const titleOf = (metric: Metric): string => known.get(metric)?.title ?? metric;

/** What its values count: `dollars`, `shares` or `trades`. */
export const unitOf = (metric: Metric): string => known.get(metric)?.unit ?? "";

/** The unit as it stands behind a title: `$`, `shares`. */
export const signOf = (metric: Metric): string => (unitOf(metric) === "dollars" ? "$" : unitOf(metric));

/** The metric of that name, where it is tracked. */
export const named = (name: string | null): Metric | null =>
  name === null ? null : (known.get(name)?.metric ?? null);
