/** What the page knows of the market, kept current by the stream. Components read it; only this module changes it. */

import { all, ApiError, get } from "../api/client";
import type {
  Alert,
  BarEvent,
  Interval,
  Page,
  Sparkline,
  SpikeSettings,
  StatisticsEvent,
  Status,
  StatusEvent,
  Symbol,
  TrackedMetric,
} from "../api/types";
import { merged } from "../alerts/merged";
import { ALWAYS, tell } from "../words/metric";
import { marketDateOf } from "../words/time";
import { every } from "./every";
import { notices } from "./notices.svelte";
import { type Connection, type EventName, open } from "./stream";
import { listed } from "./ticker";

/** Alerts held; older ones are asked for by the page that lists them. */
const ALERTS_HELD = 500;
/** Those that the first view needs: `index.html` has them on their way before the script is there. */
const ALERTS_FIRST = 100;
/** Minutes that one point of a sparkline stands for. */
export const SPARK_STEP = 5;
/** How often the facts that no event tells are asked for. */
const STATUS_EVERY_MS = 30_000;
/** A page that nobody sees is brought up to date this often, for its title. */
const HIDDEN_FLUSH_MS = 2_000;

/** One symbol. `now` is replaced as a whole, once for each drawn frame at the most. */
export class Ticker {
  readonly symbol: string;
  now: Symbol = $state.raw() as Symbol;
  spark: Sparkline | null = $state.raw(null);

  constructor(now: Symbol) {
    this.symbol = now.symbol;
    this.now = now;
  }
}

const HOUSE: SpikeSettings = { kind: "spike", ratio: 3, window: "60m", min_bars: 30, cooldown: "60m" };

class Market {
  /** In the order of the watchlist. */
  tickers: Ticker[] = $state.raw([]);
  /** Newest first. */
  alerts: Alert[] = $state.raw([]);
  /** Whether there are older alerts than those. */
  hasOlder = $state(false);
  /** The newest the stream told of the feed. */
  feed: StatusEvent | null = $state.raw(null);
  /** What only `/v1/status` tells. */
  status: Status | null = $state.raw(null);
  connection: Connection = $state("connecting");
  /** Why there is nothing to show, where that is so. */
  failure: ApiError | null = $state.raw(null);
  loaded = $state(false);
  /** In words: every poll brings an equal one. */
  #rule: string = $derived(JSON.stringify(this.status?.rule ?? {}));
  /** The tracker's own rule: what "unusual" means on every scale. The same object for as long as it is the same rule. */
  rule: SpikeSettings = $derived({ ...HOUSE, ...(JSON.parse(this.#rule) as Partial<SpikeSettings>) });
  /** The time it is, by the feed's clock. */
  asOf: string | null = $derived(this.feed?.as_of ?? this.status?.as_of ?? null);
  /** What is tracked. */
  metrics: TrackedMetric[] = $derived(this.status?.metrics ?? ALWAYS);
  /** How much time a bar of the stream covers. */
  interval: Interval = $derived(this.status?.interval ?? "1m");
  /** The New York date it is, by that clock. */
  date: string | null = $derived(this.asOf === null ? null : marketDateOf(this.asOf));

  /** Whether bars come that count: in the regular session, and outside it where those hours are tracked. */
  isOpen: boolean = $derived.by(() => {
    const phase = this.feed?.session ?? this.status?.session.phase;
    return phase === "regular" || (phase !== "closed" && this.status?.extended_hours === true);
  });

  /** How often everything was loaded anew: what was heard between is lost to those who listened. */
  generation = $state(0);

  #listeners = new Set<(bar: BarEvent) => void>();
  #bySymbol = new Map<string, Ticker>();
  #changed = new Map<string, Symbol>();
  #sparks = new Map<string, Sparkline>();
  #news: Alert[] = [];
  #status: StatusEvent | null = null;
  #started = 0;
  #scheduled = false;
  /** The change of the session that was asked about last. */
  #askedFor = "";
  #close: () => void = () => {};

  ticker(symbol: string): Ticker | undefined {
    return this.#bySymbol.get(symbol);
  }

  /** Finds a symbol by what people call it: today's ticker or a former one, in any case and spelling. */
  find(name: string): Ticker | undefined {
    const wanted = listed(name);
    if (wanted === "") return undefined;
    const known = this.#bySymbol.get(wanted);
    return known ?? this.tickers.find((ticker) => ticker.now.former_symbols.includes(wanted));
  }

  /** Hears every bar, one by one. Call what is returned to hear no more. */
  listen(hear: (bar: BarEvent) => void): () => void {
    this.#listeners.add(hear);
    return () => this.#listeners.delete(hear);
  }

  /** Loads everything, and follows the stream from there. Tries again by itself. */
  async start(): Promise<void> {
    const mine = (this.#started += 1);
    this.#close();
    try {
      const [symbols, alerts] = await Promise.all([
        all<Symbol>("/v1/symbols"),
        get<Page<Alert>>("/v1/alerts", { limit: ALERTS_FIRST }),
      ]);
      // Somebody has asked for all of it again meanwhile.
      if (mine !== this.#started) return;
      const status = this.readStatus();
      this.#adopt(symbols.body, alerts.body);
      this.failure = null;
      this.#close = open(symbols.position, {
        event: (name, data) => this.#take(name, data),
        connection: (state) => (this.connection = state),
        reset: () => void this.start(),
      });
      await status;
      this.loaded = true;
      void this.#readSparks();
      // The stream goes on after the symbols: alerts that were told before them are asked for again.
      if (this.hasOlder || alerts.position !== symbols.position) void this.#readAlerts();
    } catch (error) {
      if (mine !== this.#started) return;
      this.connection = "reconnecting";
      if (!this.loaded) this.failure = error instanceof ApiError ? error : new ApiError(0, String(error));
      const after = error instanceof ApiError ? error.retryAfter : null;
      setTimeout(() => void this.start(), (after ?? 3) * 1000);
    }
  }

  /** Asks for the facts that no event tells, now and from time to time. */
  watchStatus() {
    every(STATUS_EVERY_MS, () => this.readStatus());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") void this.readStatus();
      // Frames are not drawn while nobody looks: what waits for one would wait until somebody does.
      this.#scheduled = false;
      this.#schedule();
    });
  }

  /** Asks for them now. Whether there was an answer. */
  async readStatus(): Promise<boolean> {
    try {
      const { body } = await get<Status>("/v1/status");
      // Another watchlist than the one that was loaded: the server was started anew.
      const tracked = this.status?.symbols.tracked;
      if (this.loaded && tracked !== undefined && tracked !== body.symbols.tracked) void this.start();
      tell(body.metrics);
      this.status = body;
      return true;
    } catch {
      // The stream's state says that the server is away.
      return false;
    }
  }

  async #readAlerts(): Promise<void> {
    try {
      const { body } = await get<Page<Alert>>("/v1/alerts", { limit: ALERTS_HELD });
      this.alerts = merged(body.items, this.alerts, ALERTS_HELD);
      this.hasOlder = body.next_cursor !== null;
    } catch {
      // The stream's state says that the server is away.
    }
  }

  async #readSparks(): Promise<void> {
    try {
      const { body } = await all<Sparkline>("/v1/sparklines");
      for (const spark of body) {
        const ticker = this.#bySymbol.get(spark.symbol);
        if (!ticker) continue;
        const { symbol, bar } = this.#latest(spark.symbol) ?? ticker.now;
        ticker.spark = bar ? extended(spark, { symbol, ...bar }) : spark;
        // What came before this began with nothing.
        this.#sparks.delete(symbol);
      }
    } catch {
      // The lines begin with the next bars.
    }
  }

  #adopt(symbols: Symbol[], alerts: Page<Alert>) {
    this.#changed.clear();
    this.#sparks.clear();
    this.#news = [];
    const known = this.#bySymbol;
    this.#bySymbol = new Map();
    this.tickers = symbols.map((symbol) => {
      const ticker = known.get(symbol.symbol) ?? new Ticker(symbol);
      ticker.now = symbol;
      this.#bySymbol.set(symbol.symbol, ticker);
      return ticker;
    });
    this.alerts = alerts.items;
    this.hasOlder = alerts.next_cursor !== null;
    this.generation += 1;
  }

  #take(name: EventName, data: unknown) {
    if (name === "bar") this.#takeBar(data as BarEvent);
    else if (name === "stats") this.#takeStatistics(data as StatisticsEvent);
    else if (name === "alert") {
      this.#news = merged(this.#news, [data as Alert]);
      notices.hear(data as Alert, this.#status?.as_of ?? this.asOf);
    } else {
      const status = data as StatusEvent;
      const before = this.#status ?? this.feed;
      // An operator has changed the watchlist.
      if (before && before.watchlist_version !== status.watchlist_version) void this.start();
      this.#status = status;
    }
    this.#schedule();
  }

  #latest(symbol: string): Symbol | undefined {
    return this.#changed.get(symbol) ?? this.#bySymbol.get(symbol)?.now;
  }

  #takeBar(event: BarEvent) {
    for (const hear of this.#listeners) hear(event);
    const { symbol, feed, ...bar } = event;
    const known = this.#latest(symbol);
    if (!known || (known.bar && bar.start < known.bar.start)) return;
    this.#changed.set(symbol, { ...known, bar, feed });
    const spark = this.#sparks.get(symbol) ?? this.#bySymbol.get(symbol)?.spark ?? null;
    this.#sparks.set(symbol, extended(spark, { symbol, ...bar }));
  }

  #takeStatistics({ symbol, statistics, ...event }: StatisticsEvent) {
    const known = this.#latest(symbol);
    if (!known) return;
    this.#changed.set(symbol, {
      ...known,
      statistics,
      day_change: event.day_change ?? known.day_change,
      session_vwap: event.session_vwap ?? known.session_vwap,
      unusual: event.unusual ?? known.unusual,
    });
  }

  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    if (document.visibilityState === "hidden") setTimeout(() => this.#flush(), HIDDEN_FLUSH_MS);
    else requestAnimationFrame(() => this.#flush());
  }

  #flush() {
    this.#scheduled = false;
    for (const [symbol, now] of this.#changed) {
      const ticker = this.#bySymbol.get(symbol);
      if (ticker) ticker.now = now;
    }
    for (const [symbol, spark] of this.#sparks) {
      const ticker = this.#bySymbol.get(symbol);
      if (ticker) ticker.spark = spark;
    }
    this.#changed.clear();
    this.#sparks.clear();
    if (this.#news.length > 0) {
      const alerts = merged(this.alerts, this.#news);
      this.alerts = alerts.slice(0, ALERTS_HELD);
      this.hasOlder ||= alerts.length > ALERTS_HELD;
    }
    this.#news = [];
    if (this.#status) this.feed = this.#status;
    this.#status = null;
    // The session has changed: what comes next is not what was said to come next.
    const next = this.status?.session.next?.at;
    if (next && this.feed && this.feed.as_of >= next && this.#askedFor !== next) {
      this.#askedFor = next;
      void this.readStatus();
    }
  }
}

/** A sparkline with one more bar; a bar of another session begins a new one. */
export function extended(
  spark: Sparkline | null,
  bar: { symbol: string; start: string; close: number },
): Sparkline {
  const begun = {
    symbol: spark?.symbol ?? bar.symbol,
    date: marketDateOf(bar.start),
    start: bar.start,
    closes: [bar.close],
  };
  if (!spark?.start) return begun;
  // Another day's line begins anew.
  if (begun.date !== spark.date) return begun;
  const at = Math.floor((Date.parse(bar.start) - Date.parse(spark.start)) / (SPARK_STEP * 60_000));
  if (at < 0 || at >= (24 * 60) / SPARK_STEP + 12) return begun;
  const closes = spark.closes.slice();
  while (closes.length <= at) closes.push(null);
  closes[at] = bar.close;
  return { ...spark, closes };
}

export const market = new Market();
