/** The rule that a page is about: the one in its address, until the form is moved. */

import type { Metric, Symbol } from "../api/types";
import { market } from "../live/market.svelte";
import { router } from "../router.svelte";
import { named } from "../words/metric";
import { metricsOf } from "./kinds";
import { moveFor, parse, type Rule, text, whyNever } from "./model";

export class ChosenRule {
  #moved = $state.raw<{ from: string; rule: Rule } | null>(null);
  #asked = $derived(router.query.get("rule") ?? "spike");
  #parsed = $derived(parse(this.#asked, market.rule));

  readonly rule: Rule = $derived(
    this.#moved?.from === this.#asked ? this.#moved.rule : (this.#parsed ?? parse("spike", market.rule)!),
  );
  readonly text: string = $derived(text(this.rule, market.rule));
  /** The metric in the address, or one that the rule goes with. */
  readonly metric: Metric = $derived.by(() => {
    const wanted: Metric = named(router.query.get("metric")) ?? "volume";
    const suits = metricsOf(this.rule.kind);
    return suits.includes(wanted) ? wanted : (suits[0] ?? "volume");
  });
  /** Whether the address names a rule that nobody knows, and the form has not been moved since. */
  readonly isUnknown: boolean = $derived(this.#parsed === null && this.#moved === null);

  /** What is proposed when another metric is chosen: a rule that can fire, where this one hardly ever does, or does not go
   * with the metric. The one before stays to be chosen. `null` where it stays as it is. */
  proposed(metric: Metric, now: Symbol | undefined): Rule | null {
    if (whyNever(this.rule, metric) !== null) return moveFor(now);
    return metricsOf(this.rule.kind).includes(metric) ? null : parse("spike", market.rule);
  }

  /** Moves the form. `asked`: what the address says of it, or will. */
  move(rule: Rule, asked = this.#asked) {
    this.#moved = { from: asked, rule };
  }
}
