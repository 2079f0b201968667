/** Asking what a rule would have told. */

import { ApiError, post } from "../api/client";
import type { Backtest, Metric } from "../api/types";

export interface Question {
  /** Without one: all. */
  symbol?: string;
  metric: Metric;
  /** Text of the grammar. */
  rule: string;
  /** UTC. */
  from?: string;
}

/** Times a refusal for now is followed by another try. */
const PATIENCE = 2;

/** Runs a backtest; waits and asks again where the server says that it is busy. */
export async function backtest(
  question: Question,
  signal: AbortSignal,
  patience = PATIENCE,
): Promise<Backtest> {
  try {
    return await post<Backtest>("/v1/backtests", question, signal);
  } catch (error) {
    if (signal.aborted || patience === 0) throw error;
    const known = error instanceof ApiError ? error : new ApiError(0, String(error));
    if (known.status !== 429 && known.status !== 503) throw known;
    await new Promise((wake) => setTimeout(wake, (known.retryAfter ?? 1) * 1000));
    signal.throwIfAborted();
    return backtest(question, signal, patience - 1);
  }
}
