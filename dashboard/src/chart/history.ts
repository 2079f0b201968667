/** The bars behind a chart: loaded page by page into the past, and kept current by the stream. */

import { get } from "../api/client";
import type { BarEvent, BarOfInterval, Interval, Page, TradingDay } from "../api/types";
import { bucketOf, type Day, dayOf, type Instant, instant, SECONDS } from "./timeline";

/** Trading days that one step into the past loads; of shorter bars, so many at the most, all of one day. */
const STEP: Partial<Record<Interval, number>> = { "1m": 2, "5m": 8, "15m": 20, "1h": 60, "1d": 260 };
const STEP_BARS = 3_000;
/** More bars than this make no better picture: a longer interval shows more. */
const MOST_BARS = 12_000;
/** So many steps without a single bar, and the history has ended: a halt lasts no longer. */
const EMPTY_STEPS = { ofDays: 6, ofBars: 60 };
/** Days of the calendar asked for at once. */
const CALENDAR_DAYS = 400;
const DAY_MS = 86_400_000;

const iso = (at: Instant): string => new Date(at * 1000).toISOString().replace(".000", "");
const dateOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
const opening = (day: Day): Instant => day.stretches[0]?.from ?? Infinity;
const closing = (day: Day): Instant => day.stretches.at(-1)?.to ?? -Infinity;

/** Why no older bars come. */
export type End = "none" | "begins" | "enough";

/** What to load first. */
export interface Reach {
  /** The newest bar is no newer than this, UTC. */
  newest: string;
  /** Back to here, where the usual step does not go as far. */
  from?: Instant | null;
  /** Nothing from here on, and no news: a piece of the past. */
  until?: Instant | null;
}

export class History {
  /** Trading days, oldest first. */
  days: Day[] = [];
  /** Oldest first. */
  bars: BarOfInterval[] = [];
  end: End = "none";

  #abort = new AbortController();
  #loading: Promise<boolean> | null = null;
  /** Everything from here on has been asked for. */
  #reach: Instant = Infinity;
  #until: Instant | null = null;
  #empty = 0;
  /** What the stream told while an answer was on its way. */
  #heard: BarEvent[] | null = null;
  /** From where on an answer is wanted anew. */
  #stale: Instant | null = null;

  constructor(
    readonly symbol: string,
    readonly interval: Interval,
    /** That of the bars of the stream. */
    readonly base: Interval,
    readonly extended: boolean,
  ) {}

  async start({ newest, from = null, until = null }: Reach): Promise<void> {
    this.#until = until;
    this.#reach = until ?? instant(newest) + 60;
    const about = this.#reach * 1000;
    await this.#calendar(about - CALENDAR_DAYS * DAY_MS, Math.max(about, Date.parse(newest)) + 30 * DAY_MS);
    do {
      if (!(await this.older())) break;
    } while (this.#reach > (from ?? this.#reach) || (this.bars.length === 0 && this.end === "none"));
  }

  /** Loads a step of older bars. Whether something may have come of it. */
  older(): Promise<boolean> {
    this.#loading ??= this.#older().finally(() => (this.#loading = null));
    return this.#loading;
  }

  async #older(): Promise<boolean> {
    if (this.end !== "none") return false;
    const before = () => this.days.filter((day) => opening(day) < this.#reach);
    const first = this.days[0]?.date;
    const step = STEP[this.interval];
    if (before().length <= (step ?? 1) && first) {
      const end = Date.parse(first) - DAY_MS;
      await this.#calendar(end - CALENDAR_DAYS * DAY_MS, end);
    }
    const known = before();
    const begin = known.at(-(step ?? 1)) ?? known[0];
    if (!begin) {
      this.end = "begins";
      return false;
    }
    const newest = Math.min(this.#reach, closing(begin));
    const from = step ? opening(begin) : Math.max(opening(begin), newest - STEP_BARS * this.#length);
    const found = await this.#range(from, this.#reach);
    this.#reach = from;
    this.#empty = found.length === 0 ? this.#empty + 1 : 0;
    this.bars = [...found, ...this.bars];
    if (this.#empty >= (step ? EMPTY_STEPS.ofDays : EMPTY_STEPS.ofBars)) this.end = "begins";
    else if (this.bars.length >= MOST_BARS) this.end = "enough";
    return true;
  }

  async #calendar(from: number, to: number): Promise<void> {
    const query = { from: dateOf(from), to: dateOf(to) };
    const { body } = await get<Page<TradingDay>>("/v1/sessions", query, this.#abort.signal);
    const known = this.days[0]?.date ?? "9999";
    const earlier = body.items.filter((day) => day.date < known);
    this.days = [...earlier.map((day) => dayOf(day, this.extended)), ...this.days];
  }

  /** Bars from `from` on, up to `to` or all that there are. */
  async #range(from: Instant, to: Instant | null): Promise<BarOfInterval[]> {
    const path = `/v1/symbols/${encodeURIComponent(this.symbol)}/bars`;
    const range = { interval: this.interval, from: iso(from), to: to === null ? null : iso(to) };
    const found: BarOfInterval[] = [];
    let cursor: string | null = null;
    do {
      const { body }: { body: Page<BarOfInterval> } = await get(
        path,
        { ...range, cursor },
        this.#abort.signal,
      );
      found.push(...body.items);
      cursor = body.next_cursor;
    } while (cursor !== null);
    return found;
  }

  /** Asks for everything that may have changed since nothing was heard: the last two days. */
  missed() {
    const last = this.#last();
    this.#wanted(this.days.filter((day) => opening(day) <= last).at(-2)?.stretches[0]?.from ?? last);
  }

  /** Seconds of a bar. */
  get #length(): number {
    return this.interval === "1d" ? DAY_MS / 1000 : SECONDS[this.interval];
  }

  #last(): Instant {
    const last = this.bars.at(-1);
    return last ? instant(last.start) : this.#reach;
  }

  #wanted(from: Instant) {
    this.#stale = Math.min(from, this.#stale ?? Infinity);
  }

  /** Whether an answer is wanted: then [catch up](History#catchUp). */
  get isStale(): boolean {
    return this.#stale !== null && !this.isPast;
  }

  /** Loads what is wanted anew. */
  async catchUp(): Promise<void> {
    while (this.isStale && this.#heard === null) {
      const from = this.#stale!;
      this.#stale = null;
      this.#heard = [];
      try {
        const found = await this.#range(from, null);
        const end = found.at(-1)?.start ?? "";
        this.bars = [
          ...this.bars.filter((bar) => instant(bar.start) < from),
          ...found,
          // Heard of before the answer came, and not in it.
          ...this.bars.filter((bar) => instant(bar.start) >= from && bar.start > end),
        ];
      } catch (error) {
        this.#wanted(from);
        throw error;
      } finally {
        const heard = this.#heard;
        this.#heard = null;
        for (const event of heard) this.#place(event);
      }
    }
  }

  /** Takes a bar of the stream. `tail`: only the newest bar changed, or there is a new one. `all`: an older
   * one did. `stale`: what changed must be asked for. */
  take(event: BarEvent): "tail" | "all" | "stale" | "nothing" {
    if (event.symbol !== this.symbol || this.isPast) return "nothing";
    this.#heard?.push(event);
    return this.#place(event);
  }

  #place(bar: BarEvent): "tail" | "all" | "stale" | "nothing" {
    if (this.interval !== this.base) {
      // A longer bar is made of all its parts, and only the store has them all.
      this.#wanted(bucketOf(this.days, this.interval, instant(bar.start)) ?? this.#last());
      return "stale";
    }
    const last = this.bars.at(-1);
    if (!last || bar.start > last.start) this.bars.push(bar);
    else if (bar.start === last.start) this.bars[this.bars.length - 1] = bar;
    else {
      if (bar.start < this.bars[0]!.start) return "nothing";
      const at = this.bars.findIndex(({ start }) => start >= bar.start);
      this.bars.splice(at, this.bars[at]?.start === bar.start ? 1 : 0, bar);
      return "all";
    }
    return "tail";
  }

  /** Whether it is a piece of the past, that no news belongs to. */
  get isPast(): boolean {
    return this.#until !== null;
  }

  /** Gives up what is being loaded. */
  stop() {
    this.#abort.abort();
  }
}
