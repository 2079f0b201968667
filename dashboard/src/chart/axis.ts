/** How the time axis and the crosshair write a place: the chart's times are New York's wall clock, read as if it were UTC. */

import { TickMarkType, type Time } from "lightweight-charts";
import type { Interval } from "../api/types";
import { LANGUAGE } from "../words/language";
import { hasSeconds } from "./timeline";

const words = (options: Intl.DateTimeFormatOptions) => {
  const made = new Intl.DateTimeFormat(LANGUAGE, { ...options, timeZone: "UTC" });
  return (time: Time) => made.format(new Date((time as number) * 1000));
};
const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" } as const;
const date = { weekday: "short", day: "numeric", month: "short" } as const;

const marks: Record<number, (time: Time) => string> = {
  [TickMarkType.Year]: words({ year: "numeric" }),
  [TickMarkType.Month]: words({ month: "short" }),
  [TickMarkType.DayOfMonth]: words({ day: "numeric", month: "short" }),
  [TickMarkType.Time]: words(clock),
  [TickMarkType.TimeWithSeconds]: words({ ...clock, second: "2-digit" }),
};

/** A mark at the axis; `null` leaves it to the library. */
export const mark = (time: Time, kind: number): string | null => marks[kind]?.(time) ?? null;
const day = words(date);
const minute = words({ ...date, ...clock });
const second = words({ ...date, ...clock, second: "2-digit" });
/** A place, as the crosshair names it: its day, and its time where bars are shorter. */
export const stamp = (interval: Interval) =>
  interval === "1d" ? day : hasSeconds(interval) ? second : minute;
