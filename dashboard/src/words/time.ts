/** Times of the market (New York) and of the reader, in the reader's own notation. */

export const MARKET_ZONE = "America/New_York";
const locale = typeof navigator === "undefined" ? "en-US" : navigator.language;
const localZone = Intl.DateTimeFormat().resolvedOptions().timeZone;

function format(options: Intl.DateTimeFormatOptions): (at: Date | string | number) => string {
  const made = new Intl.DateTimeFormat(locale, options);
  return (at) => made.format(typeof at === "string" ? new Date(at) : at);
}

const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" } as const;
const day = { weekday: "short", day: "numeric", month: "short" } as const;

/** `13:57`, in New York. */
export const marketClock = format({ ...clock, timeZone: MARKET_ZONE });
/** `Fri, 31 Jan`, in New York. */
export const marketDay = format({ ...day, timeZone: MARKET_ZONE });
/** `Fri, 31 Jan 13:57`, in New York. */
export const marketTime = (at: string): string => `${marketDay(at)} ${marketClock(at)}`;
/** `Fri, 31 Jan 2025`, in New York. */
export const marketDate = format({ ...day, year: "numeric", timeZone: MARKET_ZONE });
/** `19:57`, where the reader is. */
export const localClock = format(clock);
export const localDay = format(day);

/** Whether the reader's clock shows something else than New York's at an instant. */
export const isElsewhere = (at: string): boolean =>
  localClock(at) !== marketClock(at) || localDay(at) !== marketDay(at);

/** The reader's zone: `Berlin`. */
export const localZoneName = localZone.split("/").at(-1)?.replaceAll("_", " ") ?? localZone;

/** The New York date of an instant, as the API writes it: `2025-01-31`. */
const iso = new Intl.DateTimeFormat("sv-SE", { timeZone: MARKET_ZONE });
export const marketDateOf = (at: string): string => iso.format(new Date(at));

/** Seconds in words, coarse: `45 s`, `3 min`, `2 h 5 min`, `3 days`. */
export function span(seconds: number): string {
  const minutes = Math.round(seconds / 60);
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  return `${Math.round(hours / 24)} days`;
}

const dayOnly = format({ ...day, timeZone: "UTC" });
/** `Fri, 31 Jan`, of a date as the API writes it. */
export const dayName = (date: string): string => dayOnly(`${date}T00:00:00Z`);
