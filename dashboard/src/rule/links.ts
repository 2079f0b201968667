/** Addresses of the pages that are about a rule. */

import { address } from "../api/client";
import type { Metric } from "../api/types";

/** A rule as it stands in an address: the tracker's own goes without saying, and so does the grammar's version. */
export const inAddress = (rule: string): string | null =>
  rule === "spike" ? null : rule.replace(/^v1 /, "");

export const tryIt = (symbol: string | undefined, metric: Metric, rule: string): string =>
  address("/rule", { symbol, metric, rule: inAddress(rule) });

export const subscribeTo = (ticker: string | undefined, metric: Metric, rule: string): string =>
  address("/subscribe", { ticker, metric, rule: inAddress(rule) });
