/** Which alerts a list shows, and how it is parted. */

import type { Alert } from "../api/types";
import { marketDate, marketDateOf } from "../words/time";

/** What to show; `null`: whatever. */
export interface Filter {
  symbol: string | null;
  metric: string | null;
  rule: string | null;
}

export const matches = (alert: Alert, { symbol, metric, rule }: Filter): boolean =>
  (symbol === null || alert.symbol === symbol) &&
  (metric === null || alert.metric === metric) &&
  (rule === null || alert.rule === rule);

/** The alerts of a New York day. */
export interface Day {
  date: string;
  title: string;
  alerts: Alert[];
}

/** By day, in the order they are in. */
export function days(alerts: Alert[]): Day[] {
  const found: Day[] = [];
  for (const alert of alerts) {
    const date = marketDateOf(alert.start);
    const last = found.at(-1);
    if (last?.date === date) last.alerts.push(alert);
    else found.push({ date, title: marketDate(alert.start), alerts: [alert] });
  }
  return found;
}

/** The rules there is something of, the tracker's own first; the one that is chosen is among them. */
export function rulesOf(alerts: Alert[], chosen: string | null): string[] {
  const rules = new Set(alerts.map((alert) => alert.rule));
  if (chosen !== null) rules.add(chosen);
  rules.delete("spike");
  return ["spike", ...[...rules].sort()];
}
