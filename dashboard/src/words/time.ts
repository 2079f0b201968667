/** Times of the market (New York) and of the reader, in the notation of the page's language. */

import { LANGUAGE } from "./language";

export const MARKET_ZONE = "America/New_York";

/** Made when it is first used: a page's beginning does not wait for the formats of others. */
function format(options: Intl.DateTimeFormatOptions): (at: Date | string | number) => string {
  let made: Intl.DateTimeFormat | undefined;
  return (at) => {
    made ??= new Intl.DateTimeFormat(LANGUAGE, options);
    return made.format(typeof at === "string" ? new Date(at) : at);
  };
}

const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" } as const;
const day = { weekday: "short", day: "numeric", month: "short" } as const;

/** Answers kept: a long watchlist asks of the same few minutes again and again, and writing one takes a while. */
const MOST_KEPT = 2_000;

function remembered<At>(make: (at: At) => string): (at: At) => string {
  const kept = new Map<At, string>();
  return (at) => {
    const known = kept.get(at);
    if (known !== undefined) return known;
    if (kept.size >= MOST_KEPT) kept.clear();
    const made = make(at);
    kept.set(at, made);
    return made;
  };
}

/** `13:57`, in New York. */
export const marketClock = remembered(format({ ...clock, timeZone: MARKET_ZONE }));
/** `13:57:05`, in New York. */
export const marketSecond = remembered(format({ ...clock, second: "2-digit", timeZone: MARKET_ZONE }));
/** The start of a bar: `13:57`, and `13:57:05` of one that begins within a minute; in New York. */
export const barClock = (at: string): string =>
  Date.parse(at) % 60_000 === 0 ? marketClock(at) : marketSecond(at);
/** `Fri, Jan 31`, in New York. */
export const marketDay = format({ ...day, timeZone: MARKET_ZONE });
/** `Fri, Jan 31 13:57`, or to the second, as a bar begins; in New York. */
export const barTime = (at: string): string => `${marketDay(at)} ${barClock(at)}`;
/** `Fri, Jan 31 13:57`, in New York. */
export const marketTime = (at: string): string => `${marketDay(at)} ${marketClock(at)}`;
/** `Fri, Jan 31, 2025`, in New York. */
export const marketDate = format({ ...day, year: "numeric", timeZone: MARKET_ZONE });
/** `19:57`, where the reader is. */
export const localClock = format(clock);
export const localDay = format(day);

/** Whether the reader's clock shows something else than New York's at an instant. */
export const isElsewhere = (at: string): boolean =>
  localClock(at) !== marketClock(at) || localDay(at) !== marketDay(at);

/** The reader's zone: `Berlin`. */
export function localZoneName(): string {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return zone.split("/").at(-1)?.replaceAll("_", " ") ?? zone;
}

const numbers = format({ year: "numeric", month: "2-digit", day: "2-digit", timeZone: MARKET_ZONE });
/** The New York date of an instant, as the API writes it: `2025-01-31`. */
export const marketDateOf = remembered((at: string) => {
  const [month, day, year] = numbers(at).split("/");
  return `${year}-${month}-${day}`;
});

const dayShort = format({ day: "numeric", month: "short", timeZone: MARKET_ZONE });
const weekday = format({ weekday: "short", timeZone: MARKET_ZONE });
/** Older than these, and a weekday alone may be any week's. */
const DAYS_OF_A_WEEK = 6;

/** The day of an instant where it is not `today`, in New York: `Fri, Jan 31`, and with its year where that is another too. */
function otherDay(at: string, today: string | null): string | null {
  const date = marketDateOf(at);
  if (date === today) return null;
  return today === null || date.slice(0, 4) === today.slice(0, 4) ? marketDay(at) : marketDate(at);
}

/** When a bar was, in New York: `13:57`, or `Fri, Jan 31 13:57`. The day is named where it is not `today`, a date as the
 * API writes it; `null`: nobody knows what day it is. */
export function marketWhen(at: string, today: string | null): string {
  const day = otherDay(at, today);
  return day === null ? barClock(at) : `${day} ${barClock(at)}`;
}

/** The same within a sentence: `at 13:57`, or `on Fri, Jan 31 at 13:57`. */
export function marketWhenSaid(at: string, today: string | null): string {
  const day = otherDay(at, today);
  return day === null ? `at ${barClock(at)}` : `on ${day} at ${barClock(at)}`;
}

/** The same where there is little room: `13:57`, `Fri 13:57` of the last days, `Jan 31 13:57` of older ones, and the date alone
 * of another year. */
export function marketWhenShort(at: string, today: string | null): string {
  const date = marketDateOf(at);
  if (date === today) return marketClock(at);
  if (today !== null && date.slice(0, 4) !== today.slice(0, 4)) return marketDate(at);
  const ago = today === null ? Infinity : (Date.parse(today) - Date.parse(date)) / 86_400_000;
  return `${ago > 0 && ago <= DAYS_OF_A_WEEK ? weekday(at) : dayShort(at)} ${marketClock(at)}`;
}

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
/** `Fri, Jan 31`, of a date as the API writes it. */
export const dayName = (date: string): string => dayOnly(`${date}T00:00:00Z`);

const dateOnly = format({ day: "numeric", month: "short", timeZone: "UTC" });
/** The same where there is little room: `Jan 31`. */
export const dayNameShort = (date: string): string => dateOnly(`${date}T00:00:00Z`);
