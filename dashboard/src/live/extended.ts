/** What a symbol does outside the regular session. */

import type { Sparkline, Symbol } from "../api/types";
import { marketClock } from "../words/time";

const OPEN = "09:30";
/** Of a sparkline's points. */
const STEP_MS = 5 * 60_000;

/** Per cent from the regular close: before the open from that of the day before, after the close from today's; `null` in the
 * session. `close`: when the regular session ends, in New York, `16:00` or earlier. */
export function extendedChange(now: Symbol, spark: Sparkline | null, close: string): number | null {
  if (now.bar === null) return null;
  const clock = marketClock(now.bar.start);
  if (clock < OPEN) return now.day_change?.percent ?? null;
  if (clock < close || !spark?.start) return null;
  const start = Date.parse(spark.start);
  const regular = spark.closes.findLast(
    (value, index) => value !== null && marketClock(start + index * STEP_MS) < close,
  );
  return regular == null ? null : (now.bar.close / regular - 1) * 100;
}
