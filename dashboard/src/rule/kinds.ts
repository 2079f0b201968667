/** What rules there are, as the API tells: kinds, the metrics they go with, and settings with defaults and ranges. */

import { get } from "../api/client";
import type { Metric, Page, RuleKind, RuleKindInfo, RuleSetting } from "../api/types";

let known = new Map<RuleKind, RuleKindInfo>();
let asked: Promise<void> | null = null;

/** Takes over what the API tells. */
export function learn(kinds: RuleKindInfo[]) {
  known = new Map(kinds.map((kind) => [kind.kind, kind]));
}

/** Asks the API, once; pages about rules are shown when it has answered. */
export function kindsLoaded(): Promise<void> {
  asked ??= get<Page<RuleKindInfo>>("/v1/rules").then(
    ({ body }) => learn(body.items),
    (error: unknown) => {
      asked = null;
      throw error;
    },
  );
  return asked;
}

/** The kinds there are, in the order of the API. */
export const kinds = (): RuleKind[] => [...known.keys()];

export const isKind = (text: string): text is RuleKind => known.has(text as RuleKind);

export const metricsOf = (kind: RuleKind): Metric[] => known.get(kind)?.metrics ?? [];

export const settingOf = (kind: RuleKind, name: string): RuleSetting | undefined =>
  known.get(kind)?.settings.find((setting) => setting.name === name);

/** What a setting is where a rule does not say it, as text of the grammar; empty where it has to be said. */
export const defaultOf = (kind: RuleKind, name: string): string =>
  String(settingOf(kind, name)?.default ?? "");
