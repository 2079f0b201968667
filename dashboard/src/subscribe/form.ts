/** What the form of a sign-up sends. */

import type { Channel, Metric, WebhookFormat } from "../api/types";

export interface Form {
  channel: Channel;
  email: string;
  url: string;
  format: WebhookFormat;
  ticker: string;
  metric: Metric;
  /** Text of the grammar; `spike` is the tracker's own. */
  rule: string;
  quiet: { from: string; to: string; zone: string } | null;
}

/** The body of `POST /v1/subscriptions`. */
export function body(form: Form): Record<string, unknown> {
  const { ticker, metric, rule, quiet } = form;
  const receiver =
    form.channel === "email"
      ? { channel: "email", email: form.email.trim() }
      : { channel: "webhook", url: form.url.trim(), format: form.format };
  return {
    ...receiver,
    ticker,
    metric,
    ...(rule === "spike" ? {} : { rule }),
    ...(quiet === null ? {} : { quiet_hours: quiet }),
  };
}

/** Fields of every sign-up. */
const SHOWN = /^(email|url|format|ticker|metric|quiet_hours\.(from|to|zone))$/;

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
  for (const { field, detail } of fields) {
    if (SHOWN.test(field) || settings.some((name) => field === `rule.${name}`)) at.set(field, detail);
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
  return hostname === "ntfy.sh" ? "ntfy" : null;
}
