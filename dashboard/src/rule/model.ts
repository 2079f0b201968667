/** A rule as its form has it, and as text of the grammar. What may be set, and what goes without saying, the API tells. */

import type { Metric, RuleKind as Kind, SpikeSettings, Symbol } from "../api/types";
import { minutesOf } from "../words/grammar";
import { defaultOf, isKind, settingOf } from "./kinds";

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

/** What each kind is called, what it compares, and what the form offers to set. */
export const ABOUT: Record<Kind, { name: string; text: string; stops: Stops[]; choices: Choice[] }> = {
  spike: {
    name: "A multiple of its average",
    text: "The minute's value against the mean of the minutes before it.",
    stops: [RATIO, WINDOW],
    choices: [TRIGGER],
  },
  time_of_day: {
    name: "Unusual for the time of day",
    text: "The minute's volume against the median of the same minute in earlier sessions: the open and the close are always busy, and do not count as news.",
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
    stops: [],
    choices: [],
  },
};

/** The kinds that the form has words for, in its order. */
export const DESCRIBED = Object.keys(ABOUT) as Kind[];

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
  return rule.settings[name] ?? defaultOf(rule.kind, name);
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
  const known = ["ratio", "window", "min_bars", "cooldown"];
  const meant = (one: Rule) => JSON.stringify(known.map((name) => setting(one, name)));
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
  return value !== undefined && value !== "" && value !== defaultOf(rule.kind, name);
};

/** A rule with one setting changed. A window asks for half of the bars that come in it, and for no more than is usual: those
 * of half an hour. */
export function change(rule: Rule, name: string, value: string): Rule {
  const settings = { ...rule.settings, [name]: value };
  if (name === "window") {
    const usual = Number(defaultOf(rule.kind, "min_bars"));
    settings.min_bars = String(Math.min(usual, Math.floor((minutesOf(value) * usual) / 60)));
  }
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

/** A level that a symbol has not reached: its price in whole dollars, or three times what is usual. */
export function levelFor(now: Symbol | undefined, metric: Metric): string {
  if (!now?.bar) return "100";
  if (metric === "price") return String(Math.ceil(now.bar.close));
  const usual = now.statistics[metric]?.trailing_average ?? null;
  if (metric === "volume") return String(Math.round(3 * (usual ?? now.bar.volume)));
  // Two digits are what somebody would type.
  return usual === null ? "1" : String(Number((3 * usual).toPrecision(2)));
}

/** Where a symbol's own range is not known, a move of so many per cent is told. */
const USUALLY_TOLD = 3;

/** A rule on the price that fires when something is unusual: a day's move of twice the symbol's usual range at this time, told
 * when it is reached. */
export function moveFor(now: Symbol | undefined): Rule {
  const { sigma, percent } = now?.unusual.move ?? { sigma: null, percent: null };
  const range = sigma && percent ? Math.abs(percent / sigma) : USUALLY_TOLD / 2;
  const stops = ABOUT.move.stops.find(({ name }) => name === "percent")?.stops ?? [];
  const told = stops.find((stop) => Number(stop) >= range * 2) ?? stops.at(-1) ?? String(USUALLY_TOLD);
  return { kind: "move", settings: { percent: told, from: "previous_close", trigger: "edge" } };
}

/** A multiple of the average, as a chart draws it. */
export const settingsOf = (rule: Rule): SpikeSettings => ({
  kind: "spike",
  ratio: Number(setting(rule, "ratio")),
  window: setting(rule, "window"),
  min_bars: Number(setting(rule, "min_bars")),
  cooldown: setting(rule, "cooldown"),
});

/** Prices at which a rule fires on the newest bar's day, where that can be said beforehand: a level, or so far from the close
 * before. */
export function thresholdsOf(
  rule: Rule,
  metric: Metric,
  now: Symbol | undefined,
): { price: number; title: string }[] {
  if (metric !== "price") return [];
  if (rule.kind === "cross") {
    const way = rule.settings.below === undefined ? "above" : "below";
    const price = Number(rule.settings[way]);
    return price > 0 ? [{ price, title: way }] : [];
  }
  if (rule.kind !== "move" || setting(rule, "from") !== "previous_close" || !now?.bar || !now.day_change)
    return [];
  const before = now.bar.close - now.day_change.amount;
  const percent = Number(setting(rule, "percent"));
  const direction = setting(rule, "direction");
  const signs = [direction === "down" ? [] : [1], direction === "up" ? [] : [-1]].flat();
  return signs.map((sign) => ({
    price: before * (1 + (sign * percent) / 100),
    title: `${sign < 0 ? "−" : "+"}${percent} %`,
  }));
}

/** Why a rule on a metric hardly ever fires; `null` where it does. */
export function whyNever(rule: Rule, metric: Metric): string | null {
  if (rule.kind !== "spike" || metric !== "price") return null;
  const ratio = setting(rule, "ratio");
  return `A price does not reach ${ratio} times its average of an hour: it would have to rise to ${ratio} times its value within minutes. So this rule tells nothing; it is there because volume has it, too.`;
}

const size = (stop: string): number => (/[smhd]$/.test(stop) ? minutesOf(stop) : Number(stop));

/** The stops of a setting that a kind allows, with the value that is set among them. */
export function stopsWith(kind: Kind, each: Stops, value: string): string[] {
  const allowed = settingOf(kind, each.name);
  const low = allowed?.minimum ?? (allowed?.minimum_seconds ?? 0) / 60;
  const high = allowed?.maximum ?? (allowed?.maximum_seconds ?? Infinity) / 60;
  const stops = each.stops.filter((stop) => size(stop) >= low && size(stop) <= high);
  if (value === "" || stops.includes(value)) return stops;
  const same = stops.findIndex((stop) => size(stop) === size(value));
  // Another word for the same: `1h` for `60m`.
  if (same >= 0) return stops.map((stop, index) => (index === same ? value : stop));
  return [...stops, value].sort((one, other) => size(one) - size(other));
}
