/** The shapes of the API, as its description gives them. */

import type { components } from "./schema";

type Schemas = components["schemas"];

export type Metric = Schemas["Metric"];
export type TrackedMetric = Schemas["TrackedMetric"];
export type RankedBy = "relative_stdev" | "stdev";
export type Interval = Status["interval"];

export type Symbol = Schemas["Symbol"];
export type Bar = NonNullable<Symbol["bar"]>;
export type Figures = Schemas["Figures"];
export type Alert = Schemas["Alert"];
export type Problem = Schemas["Problem"];
export type Session = Schemas["SignedIn"];
export type Subscription = Schemas["Subscription"];

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

/** Event `bar` of the stream. */
export type BarEvent = Bar & { symbol: string; feed: string; revision: number };

/** Event `stats` of the stream. */
export interface StatisticsEvent {
  symbol: string;
  start: string;
  feed: string;
  day_change: Symbol["day_change"];
  session_vwap: Symbol["session_vwap"];
  statistics: Symbol["statistics"];
  /** `null` where the figures are not those of the newest bar. */
  unusual: Symbol["unusual"] | null;
}

/** Event `status` of the stream. */
export interface StatusEvent {
  sequence: number;
  provider: string | null;
  feed: string | null;
  mode: "live" | "simulated" | "replayed" | null;
  coverage: string | null;
  stands_in_for: Schemas["StandIn"] | null;
  problem: string | null;
  session: string;
  as_of: string;
  age_seconds: number | null;
  watchlist_version: number;
}

export type TradingDay = Schemas["TradingDay"];
export type Sparkline = Schemas["Sparkline"];
export type Status = Schemas["Status"];
export type BarOfInterval = Schemas["IntervalBar"];
export type Backtest = Schemas["Backtest"];
export type RuleKind = Schemas["RuleKind"];
export type RuleKindInfo = Schemas["RuleKindInfo"];
export type RuleSetting = Schemas["RuleSetting"];
export type Mail = Schemas["Mail"];
export type Watchlist = Schemas["Watchlist"];
export type KnownSymbol = Schemas["KnownSymbol"];
export type Undelivered = Schemas["UndeliveredDelivery"];
export type Channel = Schemas["Channel"];
export type WebhookFormat = Schemas["WebhookFormat"];

/** The tracker's own rule. */
export type SpikeSettings = {
  kind: string;
  ratio: number;
  window: string;
  min_bars: number;
  cooldown: string;
};
