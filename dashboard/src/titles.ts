/** What the tab of a page is called. */

import type { Alert } from "./api/types";
import { listed } from "./live/ticker";
import { ratio } from "./words/number";
import { marketWhenShort } from "./words/time";

const SYMBOL = /^\/s\/([^/]+)$/;

/** `NVDA volume 18.7×, Fri 13:57`. `today`: the New York date it is. */
export function alertTitle(alert: Alert, today: string | null): string {
  const times = alert.ratio === null ? "" : ` ${ratio(alert.ratio)}×`;
  return `${alert.symbol} ${alert.metric}${times}, ${marketWhenShort(alert.start, today)}`;
}

/** The title of a page that its address alone tells; `null` where it tells of none. */
export function titleOf(path: string, query: URLSearchParams): string | null {
  const symbol = listed(query.get("symbol") ?? query.get("ticker") ?? "");
  const of = (title: string) => (symbol === "" ? title : `${symbol}: ${title.toLowerCase()}`);
  const named = SYMBOL.exec(path)?.[1];
  if (named !== undefined) return listed(decoded(named));
  if (path === "/alerts") return of("Alerts");
  if (path.startsWith("/alerts/")) return "Alert";
  if (path === "/rule") return of("Would it have told me?");
  if (path === "/subscribe") return of("Get alerts");
  if (path === "/status") return "Status";
  if (path === "/watchlist") return "Watchlist";
  if (path === "/mailbox") return "Mailbox";
  if (path === "/me") return "My alerts";
  return null;
}

/** A part of an address as people read it. */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
