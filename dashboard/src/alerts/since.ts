import type { Alert, Interval } from "../api/types";
import { bars } from "../words/bars";
import { unitOf } from "../words/metric";
import { amount, quantity } from "../words/number";

/** What happened since: `3 more minutes qualified, up to 12.1M.`; `null` where nothing did. */
export function since(alert: Alert, interval: Interval = "1m"): string | null {
  const further = alert.occurrences - 1;
  if (further <= 0) return null;
  const peak = (unitOf(alert.metric) === "dollars" ? quantity : amount)(alert.metric, alert.peak);
  return `${bars(further, interval, "more ")} qualified since, up to ${peak}.`;
}
