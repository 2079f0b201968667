/** What a rule would have told, asked anew whenever the question is another one and has been still for a moment. */

import { ApiError } from "../api/client";
import type { Backtest } from "../api/types";
import { backtest, type Question } from "./ask";

export class Preview {
  /** The answer to the newest question that has one. */
  test: Backtest | null = $state.raw(null);
  failure: ApiError | null = $state.raw(null);
  /** Whether the question is another one by now: what is said of its fields may be wrong. */
  isAsking = $state(false);

  /** Call it while a component is made. `question` is `null` while there is nothing to ask. */
  constructor(question: () => Question | null, pauseMs: number) {
    // The same words are the same question.
    const words = $derived(JSON.stringify(question()));
    $effect(() => {
      const asked = JSON.parse(words) as Question | null;
      this.isAsking = asked !== null;
      if (asked === null) return;
      const abort = new AbortController();
      const timer = setTimeout(() => void this.#ask(asked, abort.signal), pauseMs);
      return () => {
        clearTimeout(timer);
        abort.abort();
      };
    });
  }

  async #ask(question: Question, signal: AbortSignal) {
    try {
      this.test = await backtest(question, signal);
      this.failure = null;
    } catch (error) {
      if (signal.aborted) return;
      this.failure = error instanceof ApiError ? error : new ApiError(0, String(error));
      // What is there is of another rule.
      this.test = null;
    }
    this.isAsking = signal.aborted;
  }
}
