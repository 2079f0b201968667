/** What the form of a sign-up sends. */

import type { Channel, Metric, WebhookFormat } from "../api/types";
import { settings } from "../words/grammar";
import type { PushReceiver } from "./push";

/** Every symbol of the watchlist, also what is added to it later. */
export const WATCHLIST = "*";
/** Symbols that one sign-up may name. */
export const MOST_ASKED = 200;

/** What is asked for: some symbols, or the watchlist. */
export type Symbols = string[] | typeof WATCHLIST;

/** As it stands in an address: `AAPL,MSFT`, `*`, or nothing. */
export const inAddress = (symbols: Symbols): string =>
  symbols === WATCHLIST ? WATCHLIST : symbols.join(",");

/** What an address asks for. `find` knows the symbol that a name means; where nothing is known that it names, it is
 * `otherwise`. */
export function asked(
  text: string | null,
  find: (name: string) => string | undefined,
  otherwise: string[],
): Symbols {
  if (text === WATCHLIST) return WATCHLIST;
  const found = (text ?? "").split(",").flatMap((name) => find(name) ?? []);
  return found.length > 0 ? [...new Set(found)] : otherwise;
}

/** What is asked for, in a sentence. */
export function inWords(symbols: Symbols): string {
  if (symbols === WATCHLIST) return "any symbol";
  const [first, ...others] = symbols;
  if (first === undefined) return "a symbol";
  return others.length === 0 ? first : `one of ${symbols.length} symbols`;
}

/** When alerts wait. */
export interface Quiet {
  from: string;
  to: string;
  zone: string;
}

export interface Form {
  channel: Channel;
  email: string;
  url: string;
  format: WebhookFormat;
  /** This browser, once it has subscribed. */
  push: PushReceiver | null;
  symbols: Symbols;
  metric: Metric;
  /** Text of the grammar; `spike` is the tracker's own. */
  rule: string;
  quiet: Quiet | null;
}

/** The body of `POST /v1/me/subscriptions`, whose receiver is signed in. */
export function ownBody({ symbols, metric, rule, quiet }: Form): Record<string, unknown> {
  return {
    symbols,
    metric,
    ...(rule === "spike" ? {} : { rule }),
    ...(quiet === null ? {} : { quiet_hours: { ...quiet, zone: quiet.zone.trim() } }),
  };
}

function receiver({ channel, email, url, format, push }: Form): Record<string, unknown> {
  if (channel === "email") return { channel, email: email.trim() };
  if (channel === "webhook") return { channel, url: url.trim(), format };
  return { channel, push };
}

/** The body of `POST /v1/subscriptions`. */
export function body(form: Form): Record<string, unknown> {
  return { ...receiver(form), ...ownBody(form) };
}

/** What a form has in a field, by the name the API has for it. */
function given(form: Form, field: string): unknown {
  const [section, name = ""] = field.split(".");
  if (section === "rule") return settings(form.rule).get(name) ?? form.rule.split(" ")[0];
  if (section === "quiet_hours") return form.quiet?.[name as "from" | "to" | "zone"];
  // An entry of a list is right or wrong with the list.
  if (section?.startsWith("symbols")) return String(form.symbols);
  return (form as unknown as Record<string, unknown>)[field];
}

/** Of what the API said of the fields of `sent`, that which `now` still gives reason for: what was corrected
 * is right until it is sent again. */
export const unchanged = <T extends { field: string }>(fields: T[], sent: Form, now: Form): T[] =>
  fields.filter(({ field }) => given(sent, field) === given(now, field));

/** Fields of every sign-up. */
const SHOWN = /^(email|url|format|symbols|metric|quiet_hours\.(from|to|zone))$/;

/** What the API says of the fields: at the field, or of the whole where the form does not show it. `settings` are those
 * of the rule that it shows. */
export function placed(
  fields: { field: string; detail: string }[],
  settings: string[],
): {
  at: Map<string, string>;
  whole: string[];
} {
  const at = new Map<string, string>();
  const whole: string[] = [];
  for (const { field: named, detail } of fields) {
    // An entry of a list is told at the list.
    const field = named.replace(/\[\d+\]$/, "");
    const before = at.get(field);
    if (SHOWN.test(field) || settings.some((name) => field === `rule.${name}`))
      at.set(field, before === undefined ? detail : `${before}; ${detail}`);
    else whole.push(`${field}: ${detail}`);
  }
  return { at, whole };
}

/** What a webhook's address belongs to, where its host says so. */
export function formatOf(url: string): WebhookFormat | null {
  if (!URL.canParse(url)) return null;
  const { hostname } = new URL(url);
  if (hostname === "hooks.slack.com") return "slack";
  if (/(^|\.)(discord|discordapp)\.com$/.test(hostname)) return "discord";
  if (hostname === "api.telegram.org") return "telegram";
  if (hostname === "api.pushover.net") return "pushover";
  return hostname === "ntfy.sh" ? "ntfy" : null;
}

const PLACES: Record<WebhookFormat, string> = {
  standard: "the program",
  slack: "the channel",
  discord: "the channel",
  ntfy: "the topic",
  telegram: "the chat on Telegram",
  pushover: "Pushover",
};

/** Where people read what is posted in a format. */
export const placeOf = (format: WebhookFormat): string => PLACES[format];
