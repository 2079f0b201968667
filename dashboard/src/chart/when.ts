/** When a bar is of, in New York. */

import type { Interval } from "../api/types";
import { marketDate, marketDay, marketSecond, marketTime } from "../words/time";
import { hasSeconds } from "./timeline";

/** `Fri, Jan 31 13:57`, with seconds where bars are told by them; of a day `Fri, Jan 31, 2025`. */
export function when(start: string, interval: Interval): string {
  if (interval === "1d") return marketDate(start);
  return hasSeconds(interval) ? `${marketDay(start)} ${marketSecond(start)}` : marketTime(start);
}
