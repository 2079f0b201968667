/** A rule as its form has it, and as text of the grammar. What may be set is told in `docs/rules.md`. */

import type { Metric, SpikeSettings, Symbol } from "../api/types";
import { minutesOf } from "../words/sentence";

export const KINDS = ["spike", "time_of_day", "zscore", "move", "cross"] as const;
export type Kind = (typeof KINDS)[number];

/** The settings of a kind, each as text of the grammar. Those that are missing have their defaults. */
export interface Rule {
  kind: Kind;
  settings: Record<string, string>;
}

/** A setting that moves along stops. */
export interface Stops {
  name: string;
  label: string;
  stops: readonly string[];
  /** How a stop is said: `4 times`. */
  say: (stop: string) => string;
}

/** A setting that is one of a few words. */
export interface Choice {
  name: string;
  label: string;
  choices: readonly (readonly [word: string, said: string])[];
}

const span = (stop: string): string => {
  const minutes = minutesOf(stop);
  if (minutes === 0) return "none";
  if (minutes >= 1440) return minutes === 1440 ? "1 day" : `${minutes / 1440} days`;
  if (minutes >= 120 && minutes % 60 === 0) return `${minutes / 60} hours`;
  return minutes === 60 ? "1 hour" : `${minutes} minutes`;
};

const RATIO: Stops = {
  name: "ratio",
  label: "At least",
  stops: ["1.5", "2", "2.5", "3", "3.5", "4", "5", "6", "8", "10", "15", "20", "30"],
  say: (stop) => `${stop} times`,
};
const WINDOW: Stops = {
  name: "window",
  label: "Average of the last",
  stops: ["10m", "15m", "20m", "30m", "45m", "60m", "90m", "2h", "3h", "4h", "6h"],
  say: span,
};
export const COOLDOWN: Stops = {
  name: "cooldown",
  label: "Cool-down: once told, quiet for",
  stops: ["0s", "15m", "30m", "60m", "2h", "4h", "8h", "1d"],
  say: span,
};
const DIRECTION: Choice = {
  name: "direction",
  label: "Direction",
  choices: [
    ["both", "either"],
    ["up", "up"],
    ["down", "down"],
  ],
};
const TRIGGER: Choice = {
  name: "trigger",
  label: "Tell",
  choices: [
    ["level", "every minute that qualifies"],
    ["edge", "only the first after a quiet one"],
  ],
};

/** What each kind is called, what it compares, and what can be set. */
export const ABOUT: Record<
  Kind,
  { name: string; text: string; metrics: readonly Metric[]; stops: Stops[]; choices: Choice[] }
> = {
  spike: {
    name: "A multiple of its average",
    text: "The minute's price or volume against the mean of the minutes before it.",
    metrics: ["price", "volume"],
    stops: [RATIO, WINDOW],
    choices: [TRIGGER],
  },
  time_of_day: {
    name: "Unusual for the time of day",
    text: "The minute's volume against the median of the same minute in earlier sessions: the open and the close are always busy, and do not count as news.",
    metrics: ["volume"],
    stops: [
      RATIO,
      {
        name: "sessions",
        label: "Compared with",
        stops: ["5", "10", "15", "20"],
        say: (stop) => `${stop} sessions`,
      },
    ],
    choices: [TRIGGER],
  },
  zscore: {
    name: "Standard deviations away",
    text: "How far the minute is from the mean of the minutes before it, in their standard deviations.",
    metrics: ["price", "volume"],
    stops: [
      {
        name: "z",
        label: "At least",
        stops: ["2", "2.5", "3", "3.5", "4", "5", "6", "8", "10"],
        say: (stop) => `${stop} deviations`,
      },
      WINDOW,
    ],
    choices: [DIRECTION, TRIGGER],
  },
  move: {
    name: "A move of the price",
    text: "How far the price is from an earlier one.",
    metrics: ["price"],
    stops: [
      {
        name: "percent",
        label: "At least",
        stops: ["0.25", "0.5", "0.75", "1", "1.5", "2", "3", "4", "5", "7.5", "10"],
        say: (stop) => `${stop} %`,
      },
    ],
    choices: [
      {
        name: "from",
        label: "Since",
        choices: [
          ["5m", "5 minutes before"],
          ["15m", "15 minutes before"],
          ["60m", "1 hour before"],
          ["open", "the open"],
          ["previous_close", "the previous close"],
        ],
      },
      DIRECTION,
      TRIGGER,
    ],
  },
  cross: {
    name: "A level is crossed",
    text: "The value reaches a level that it was not at before.",
    metrics: ["price", "volume"],
    stops: [],
    choices: [],
  },
};

const DEFAULTS: Record<Kind, Record<string, string>> = {
  spike: { ratio: "3", window: "60m", trigger: "level", cooldown: "60m" },
  time_of_day: { ratio: "3", sessions: "20", trigger: "level", cooldown: "60m" },
  zscore: { z: "3", window: "60m", direction: "both", trigger: "level", cooldown: "60m" },
  move: { percent: "2", from: "15m", direction: "both", trigger: "level", cooldown: "60m" },
  cross: { cooldown: "60m" },
};

const isKind = (text: string): text is Kind => (KINDS as readonly string[]).includes(text);

/** The tracker's own rule. */
export const houseRule = (house: SpikeSettings): Rule => ({
  kind: "spike",
  settings: {
    ratio: String(house.ratio),
    window: house.window,
    min_bars: String(house.min_bars),
    cooldown: house.cooldown,
  },
});

/** What a setting is where a rule says nothing of it. */
export function setting(rule: Rule, name: string): string {
  return rule.settings[name] ?? DEFAULTS[rule.kind][name] ?? "";
}

/** A rule from text of the grammar; `spike` alone is the tracker's own. `null` where the kind is unknown. */
export function parse(text: string, house: SpikeSettings): Rule | null {
  const words = text.trim().replace(/^v1 /, "").split(/\s+/);
  const kind = words[0] ?? "";
  if (!isKind(kind)) return null;
  if (kind === "spike" && words.length === 1) return houseRule(house);
  const pairs = words.slice(1).map((word) => {
    const at = word.indexOf("=");
    return at < 0 ? ([word, ""] as const) : ([word.slice(0, at), word.slice(at + 1)] as const);
  });
  return { kind, settings: Object.fromEntries(pairs) };
}

/** A rule as text of the grammar, without what goes without saying; the tracker's own is `spike`. */
export function text(rule: Rule, house: SpikeSettings): string {
  const own = houseRule(house);
  const meant = (one: Rule) =>
    JSON.stringify(["ratio", "window", "cooldown"].map((name) => setting(one, name)).concat(minBars(one)));
  const known = ["ratio", "window", "min_bars", "cooldown"];
  const extras = Object.keys(rule.settings).some((name) => !known.includes(name) && isSet(rule, name));
  if (rule.kind === "spike" && !extras && meant(rule) === meant(own)) return "spike";
  const said = Object.entries(rule.settings).filter(([name]) => isSet(rule, name));
  // `spike` alone would be the tracker's own, whatever that is.
  if (rule.kind === "spike" && !said.some(([name]) => name === "ratio")) {
    said.unshift(["ratio", setting(rule, "ratio")]);
  }
  return [rule.kind, ...said.map(([name, value]) => `${name}=${value}`)].join(" ");
}

const isSet = (rule: Rule, name: string): boolean => {
  const value = rule.settings[name];
  return (
    value !== undefined &&
    value !== "" &&
    value !== DEFAULTS[rule.kind][name] &&
    !(name === "min_bars" && value === "30")
  );
};

const minBars = (rule: Rule): string => rule.settings.min_bars ?? "30";

/** A rule with one setting changed. A window asks for half of its minutes, and for no more than 30 bars. */
export function change(rule: Rule, name: string, value: string): Rule {
  const settings = { ...rule.settings, [name]: value };
  if (name === "window") settings.min_bars = String(Math.min(30, Math.floor(minutesOf(value) / 2)));
  if (name === "above") delete settings.below;
  if (name === "below") delete settings.above;
  // It is told where quiet begins again, in the unit of a threshold that is another now.
  if (name !== "cooldown") delete settings.rearm;
  return { ...rule, settings };
}

/** A rule of another kind, with what both have in common. `level`: where a new crossing lies. */
export function turned(rule: Rule, kind: Kind, level: string): Rule {
  const { cooldown, ratio, window, min_bars } = rule.settings;
  const kept: Record<string, string | undefined> = { cooldown };
  if (kind === "spike" || kind === "zscore") Object.assign(kept, { window, min_bars });
  if (kind === "spike" || kind === "time_of_day") kept.ratio = ratio;
  if (kind === "cross") kept.above = level;
  const given = Object.entries(kept).filter((pair): pair is [string, string] => pair[1] !== undefined);
  return { kind, settings: Object.fromEntries(given) };
}

/** The settings that a form shows of a rule; of others it can only tell. */
export const shownOf = (rule: Rule): string[] => [
  ...ABOUT[rule.kind].stops.map(({ name }) => name),
  ...ABOUT[rule.kind].choices.map(({ name }) => name),
  ...(rule.kind === "cross" ? [rule.settings.below === undefined ? "above" : "below"] : []),
  COOLDOWN.name,
];

/** A level that a symbol has not reached: its price in whole dollars, or three times its usual volume. */
export function levelFor(now: Symbol | undefined, metric: Metric): string {
  if (!now?.bar) return "100";
  if (metric === "price") return String(Math.ceil(now.bar.close));
  return String(Math.round(3 * (now.statistics.volume.trailing_average ?? now.bar.volume)));
}

/** The stops of a setting, with the value that is set among them. */
export function stopsWith({ stops }: Stops, value: string): string[] {
  if (value === "" || stops.includes(value)) return [...stops];
  const size = (stop: string) => (/[smhd]$/.test(stop) ? minutesOf(stop) : Number(stop));
  const same = stops.findIndex((stop) => size(stop) === size(value));
  // Another word for the same: `1h` for `60m`.
  if (same >= 0) return stops.map((stop, index) => (index === same ? value : stop));
  return [...stops, value].sort((one, other) => size(one) - size(other));
}
