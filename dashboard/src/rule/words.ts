/** What a backtest says, in a sentence, and what one might try next. */

import type { Alert, Backtest, Interval } from "../api/types";
import { bars } from "../words/bars";
import { count, short } from "../words/number";

/** `This rule would have fired 14 times in 5 sessions, 2 to 4 a day.` */
export function verdict({ messages, days }: Pick<Backtest, "messages" | "days">): string {
  if (days.length === 0) return "There are no bars to look at.";
  const sessions = days.length === 1 ? "one session" : `${days.length} sessions`;
  if (messages === 0) return `This rule would have kept quiet in ${sessions}.`;
  const counts = days.map(({ alerts }) => alerts);
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  const range = days.length === 1 ? "" : least === most ? `, ${most} a day` : `, ${least} to ${most} a day`;
  const times = messages === 1 ? "once" : `${short(messages)} times`;
  return `This rule would have fired ${times} in ${sessions}${range}.`;
}

/** Minutes after the open and before the close in which every day is busy. */
const EDGE_MINUTES = 15;

/** How many of the alerts were at an edge of the regular session. `bounds` has each day's, as instants. */
export function atTheEdges(alerts: Alert[], bounds: { open: number; close: number }[]): number {
  const isAtEdge = (alert: Alert) => {
    const at = Date.parse(alert.start);
    const day = bounds.find(({ open, close }) => at >= open && at < close);
    if (!day) return false;
    return at - day.open < EDGE_MINUTES * 60_000 || day.close - at <= EDGE_MINUTES * 60_000;
  };
  return alerts.filter(isAtEdge).length;
}

/** A remark on a result, and the kind of rule it leads to, if any. */
export interface Hint {
  text: string;
  try: "time_of_day" | "longer cooldown" | null;
}

/** More messages than this on an average day, and people stop reading them. */
const MANY_A_DAY = 5;

export function hints(
  test: Backtest,
  kind: string,
  metric: string,
  bounds: { open: number; close: number }[],
  interval: Interval = "1m",
): Hint[] {
  const found: Hint[] = [];
  const { messages, alerts, qualifying_bars } = test;
  const edges = atTheEdges(alerts, bounds);
  const rest = alerts.length - edges;
  if (kind === "spike" && metric === "volume" && alerts.length >= 4 && edges / alerts.length >= 0.6) {
    const share = rest === 0 ? "All of them" : `All but ${rest}`;
    found.push({ text: `${share} at the open or the close.`, try: "time_of_day" });
  }
  if ((test.messages_per_session ?? 0) > MANY_A_DAY) {
    found.push({
      text: `That is ${short(test.messages_per_session ?? 0)} a session for ${count(test.symbols.length, "symbol")}: a longer cool-down or a higher threshold tells less.`,
      try: "longer cooldown",
    });
  }
  if (qualifying_bars > messages && messages > 0) {
    const kept = qualifying_bars - messages;
    found.push({
      text: `${bars(qualifying_bars, interval)} qualified; the cool-down kept ${short(kept)} of them quiet.`,
      try: null,
    });
  }
  return found;
}
