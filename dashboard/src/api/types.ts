/** The shapes of the API, as its description gives them. */

import type { components } from "./schema";

type Schemas = components["schemas"];

export type Metric = "price" | "volume";
export type RankedBy = "relative_stdev" | "stdev";
export type Interval = "1m" | "5m" | "15m" | "1h" | "1d";

export type Symbol = Schemas["Symbol"];
export type Bar = NonNullable<Symbol["bar"]>;
export type Figures = Symbol["statistics"]["price"];
export type Alert = Schemas["Alert"];
export type Problem = Schemas["Problem"];

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
  statistics: Symbol["statistics"];
}

/** Event `status` of the stream. */
export interface StatusEvent {
  sequence: number;
  provider: string | null;
  feed: string | null;
  mode: "live" | "simulated" | "replayed" | null;
  coverage: string | null;
  problem: string | null;
  session: string;
  as_of: string;
  age_seconds: number | null;
}

export interface Session {
  /** New York date. */
  date: string;
  pre_open: string;
  open: string;
  close: string;
  post_close: string;
  early_close: boolean;
}

export interface Sparkline {
  symbol: string;
  date: string | null;
  start: string | null;
  /** One for five minutes. */
  closes: (number | null)[];
}

export interface Status {
  version: string;
  as_of: string;
  feed: {
    provider: string;
    label: string;
    mode: "live" | "simulated" | "replayed";
    coverage: string;
    problem: string | null;
  } | null;
  session: {
    phase: string;
    date: string | null;
    early_close: boolean;
    next: { phase: string; at: string } | null;
  };
  newest_bar: { start: string; age_seconds: number } | null;
  symbols: { tracked: number; with_bars: number };
  store: { kind: string; answers: boolean };
  deliveries: {
    waiting: number;
    oldest_waiting_seconds: number | null;
    sent: number;
    failed: number;
    expired: number;
    last_failures: { at: string; channel: string; kind: string; state: string; reason: string }[];
  } | null;
  rule: SpikeSettings;
  extended_hours: boolean;
  calendar: string;
  confirm: boolean;
  mailbox: boolean;
  stale: { seconds: number } | null;
  problems: { check: string; detail: string }[];
}

/** The tracker's own rule. */
export interface SpikeSettings {
  kind: string;
  ratio: number;
  window: string;
  min_bars: number;
  cooldown: string;
}
