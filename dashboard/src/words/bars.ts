/** Bars in words: minutes where they are of a minute, else bars, and how much time they cover. */

import type { Interval } from "../api/types";
import { minutesOf } from "./grammar";
import { count } from "./number";
import { span } from "./time";

/** What one bar is called: `minute`, `bar`. */
export const barName = (interval: Interval): string => (interval === "1m" ? "minute" : "bar");

/** `3 more minutes`, `85 more bars`. */
export const bars = (number: number, interval: Interval, before = ""): string =>
  count(number, `${before}${barName(interval)}`);

/** How much time so many bars cover: `30 min`. */
export const timeOf = (number: number, interval: Interval): string => span(number * minutesOf(interval) * 60);
