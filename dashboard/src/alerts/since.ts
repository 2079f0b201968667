import type { Alert } from "../api/types";
import { amount, count } from "../words/number";

/** What happened since: `3 more minutes qualified, up to 12.1M.`; `null` where nothing did. */
export function since(alert: Alert): string | null {
  const further = alert.occurrences - 1;
  if (further <= 0) return null;
  return `${count(further, "more minute")} qualified since, up to ${amount(alert.metric, alert.peak)}.`;
}
