import type { Alert } from "../api/types";

/** Alerts with what is new or changed among them, newest first; of those with one id, what `news` says. */
export function merged(alerts: Alert[], news: Alert[], most = Infinity): Alert[] {
  const byId = new Map(alerts.map((alert) => [alert.id, alert]));
  for (const alert of news) byId.set(alert.id, alert);
  const newestFirst = (one: Alert, other: Alert) =>
    other.start.localeCompare(one.start) || other.id.localeCompare(one.id);
  const sorted = [...byId.values()].sort(newestFirst);
  return sorted.length > most ? sorted.slice(0, most) : sorted;
}
