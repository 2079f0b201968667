/** The bars behind a chart: loaded page by page into the past, and kept current by the stream. */

import { address, get } from "../api/client";
import type { BarEvent, BarOfInterval, Interval, Page, TradingDay } from "../api/types";
import { bucketOf, type Day, dayOf, type Instant, instant } from "./timeline";

/** Trading days that one step into the past loads. */
const STEP: Record<Interval, number> = { "1m": 2, "5m": 8, "15m": 20, "1h": 60, "1d": 260 };
/** More bars than this make no better picture: a longer interval shows more. */
const MOST_BARS = 12_000;
/** So many steps without a single bar, and the history has ended. */
const EMPTY_STEPS = 2;
/** Days of the calendar asked for at once. */
const CALENDAR_DAYS = 400;
const DAY_MS = 86_400_000;

const iso = (at: Instant): string => new Date(at * 1000).toISOString().replace(".000", "");
const dateOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

/** Why no older bars come. */
export type End = "none" | "begins" | "enough";

export class History {
  /** Trading days, oldest first. */
  days: Day[] = [];
  /** Oldest first. */
  bars: BarOfInterval[] = [];
  end: End = "none";

  #newestMinute: string | null = null;
  #abort = new AbortController();
  #loading: Promise<boolean> | null = null;
  #reach: Instant = Infinity;
  #empty = 0;

  /** `from`: how far back the first load reaches, where that is known. */
  constructor(
    readonly symbol: string,
    readonly interval: Interval,
    readonly extended: boolean,
    private readonly from: Instant | null = null,
  ) {}

  /** Loads the newest bars. `asOf` is what the feed's clock shows. */
  async start(asOf: string): Promise<void> {
    const now = Date.parse(asOf);
    await this.#calendar(now - CALENDAR_DAYS * DAY_MS, now + 7 * DAY_MS);
    this.#reach = now / 1000 + 60;
    do {
      if (!(await this.older())) break;
    } while (this.#reach > (this.from ?? this.#reach) || (this.bars.length === 0 && this.end === "none"));
  }

  /** Loads a step of older bars. Whether something may have come of it. */
  older(): Promise<boolean> {
    this.#loading ??= this.#older().finally(() => (this.#loading = null));
    return this.#loading;
  }

  async #older(): Promise<boolean> {
    if (this.end !== "none") return false;
    const before = this.days.filter((day) => (day.stretches[0]?.from ?? Infinity) < this.#reach);
    if (before.length <= STEP[this.interval]) {
      const first = this.days[0]?.date;
      if (first) {
        const end = Date.parse(first) - DAY_MS;
        await this.#calendar(end - CALENDAR_DAYS * DAY_MS, end);
      }
    }
    const known = this.days.filter((day) => (day.stretches[0]?.from ?? Infinity) < this.#reach);
    const from = known.at(-STEP[this.interval])?.stretches[0]?.from ?? known[0]?.stretches[0]?.from;
    if (from === undefined) {
      this.end = "begins";
      return false;
    }
    const found = await this.#range(from, this.#reach);
    this.#reach = from;
    this.#empty = found.length === 0 ? this.#empty + 1 : 0;
    this.bars = [...found, ...this.bars];
    if (this.#empty >= EMPTY_STEPS) this.end = "begins";
    else if (this.bars.length >= MOST_BARS) this.end = "enough";
    return true;
  }

  async #calendar(from: number, to: number): Promise<void> {
    const query = { from: dateOf(from), to: dateOf(to) };
    const { body } = await get<Page<TradingDay>>("/v1/sessions", query, this.#abort.signal);
    const earlier = body.items.map((day) => dayOf(day, this.extended));
    const known = this.days[0]?.date ?? "9999";
    this.days = [...earlier.filter((day) => day.date < known), ...this.days];
  }

  async #range(from: Instant, to: Instant): Promise<BarOfInterval[]> {
    const path = `/v1/symbols/${encodeURIComponent(this.symbol)}/bars`;
    const found: BarOfInterval[] = [];
    let cursor: string | null = null;
    do {
      const query: Record<string, string | null> = {
        interval: this.interval,
        from: iso(from),
        to: iso(to),
        cursor,
      };
      const { body }: { body: Page<BarOfInterval> } = await get(address(path, query), {}, this.#abort.signal);
      found.push(...body.items);
      cursor = body.next_cursor;
    } while (cursor !== null);
    return found;
  }

  /** Loads anew what may have changed while nothing was heard: the last two days. */
  async catchUp(): Promise<void> {
    const from = this.days.filter((day) => (day.stretches[0]?.from ?? Infinity) <= this.#lastStart()).at(-2);
    const start = from?.stretches[0]?.from ?? this.#lastStart();
    const found = await this.#range(start, Date.now() / 1000 + 400 * 86_400);
    this.bars = [...this.bars.filter((bar) => instant(bar.start) < start), ...found];
  }

  #lastStart(): Instant {
    const last = this.bars.at(-1);
    return last ? instant(last.start) : 0;
  }

  /** Takes a one-minute bar of the stream. `tail`: only the newest bar changed, or there is a new one. `all`: an
   * older one did. `stale`: what changed cannot be told from here: [catch up](History#catchUp). */
  take({ symbol, feed, ...minute }: BarEvent): "tail" | "all" | "stale" | "nothing" {
    if (symbol !== this.symbol) return "nothing";
    const last = this.bars.at(-1);
    if (this.interval === "1m") {
      const bar = { ...minute, feed };
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
    // A longer bar can be continued, but not corrected.
    const isNews = this.#newestMinute === null || minute.start > this.#newestMinute;
    const start = bucketOf(this.days, this.interval, instant(minute.start));
    if (!isNews || start === null) return "stale";
    const first = this.#newestMinute === null;
    this.#newestMinute = minute.start;
    const bucket = iso(start);
    if (!last || bucket > last.start) {
      this.bars.push({ ...minute, start: bucket, feed, revision: null });
      return "tail";
    }
    // Whether the first minute heard of is in the loaded bar already, nobody knows.
    if (first || bucket < last.start) return "stale";
    this.bars[this.bars.length - 1] = {
      ...last,
      high: Math.max(last.high, minute.high),
      low: Math.min(last.low, minute.low),
      close: minute.close,
      volume: last.volume + minute.volume,
      vwap: null,
      trades: last.trades === null || minute.trades === null ? null : last.trades + minute.trades,
      feed: last.feed === feed ? feed : null,
    };
    return "tail";
  }

  /** Gives up what is being loaded. */
  stop() {
    this.#abort.abort();
  }
}
