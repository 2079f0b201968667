/** How the time axis and the crosshair write a place: the chart's times are New York's wall clock, read as if it were UTC. */

import { TickMarkType, type Time } from "lightweight-charts";
import { LANGUAGE } from "../words/language";

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
  [TickMarkType.TimeWithSeconds]: words(clock),
};

/** A mark at the axis; `null` leaves it to the library. */
export const mark = (time: Time, kind: number): string | null => marks[kind]?.(time) ?? null;
/** A day, as the crosshair names it. */
export const day = words(date);
/** A day and its time. */
export const dayAndTime = words({ ...date, ...clock });
