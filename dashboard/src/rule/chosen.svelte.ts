/** The rule that a page is about: the one in its address, until the form is moved. */

import type { Metric } from "../api/types";
import { market } from "../live/market.svelte";
import { router } from "../router.svelte";
import { ABOUT, parse, type Rule, text } from "./model";

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
    const wanted: Metric = router.query.get("metric") === "price" ? "price" : "volume";
    const suits = ABOUT[this.rule.kind].metrics;
    return suits.includes(wanted) ? wanted : (suits[0] ?? "volume");
  });
  /** Whether the address names a rule that nobody knows, and the form has not been moved since. */
  readonly isUnknown: boolean = $derived(this.#parsed === null && this.#moved === null);

  /** Moves the form. `asked`: what the address says of it, or will. */
  move(rule: Rule, asked = this.#asked) {
    this.#moved = { from: asked, rule };
  }
}
