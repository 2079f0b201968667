/** What a subscription of one's own is about, and where it stands, in words. */

import type { Alert, Subscription } from "../api/types";
import { marketWhenShort } from "../words/time";

/** `NVDA volume`, `every symbol's volume`. */
export const about = ({ ticker, metric }: Subscription): string =>
  ticker === "*" ? `every symbol's ${metric}` : `${ticker} ${metric}`;

/** Where it stands: a word, and since or until when. `today`: the New York date it is. */
export function standing(subscription: Subscription, today: string | null): string {
  if (subscription.status === "pending") return "Waits to be confirmed";
  const { paused_until: until } = subscription;
  if (until === null) return "Active";
  if (until === "resumed") return "Paused";
  return `Paused until ${marketWhenShort(until, today)} New York`;
}

export const isPaused = ({ paused_until: until }: Subscription): boolean => until !== null;

/** By what they are about: symbols before the watchlist, then metrics, then rules. */
export function inOrder(subscriptions: Subscription[]): Subscription[] {
  const last = ({ ticker }: Subscription) => Number(ticker === "*");
  const key = ({ ticker, metric, rule_text: rule }: Subscription) => `${ticker} ${metric} ${rule}`;
  return [...subscriptions].sort(
    (one, other) => last(one) - last(other) || key(one).localeCompare(key(other)),
  );
}

/** Whether an alert is by a rule of one's own, and not the tracker's. */
export const isOwn = (alert: Alert, subscriptions: Subscription[]): boolean =>
  alert.rule !== "spike" &&
  subscriptions.some(
    ({ ticker, metric, rule_text: rule, status }) =>
      status === "active" &&
      rule === alert.rule &&
      metric === alert.metric &&
      (ticker === "*" || ticker === alert.symbol),
  );
