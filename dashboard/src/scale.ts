/** The one measure of the product: a ratio to the trailing average, on a logarithmic scale from 0.1 to 30 times. */

export const LEAST = 0.1;
export const MOST = 30;

/** Where a ratio lies on the scale: 0 at 0.1 times or less, 1 at 30 times or more. */
export function place(ratio: number): number {
  const held = Math.min(Math.max(ratio, LEAST), MOST);
  return Math.log(held / LEAST) / Math.log(MOST / LEAST);
}

export type Level = "usual" | "near" | "unusual";

/** A ratio from which one looks up: two thirds of the rule's. */
const NEAR = 2 / 3;

/** How a ratio stands to the ratio of a rule. */
export function level(ratio: number | null, rule: number): Level {
  if (ratio === null) return "usual";
  if (ratio >= rule) return "unusual";
  return ratio >= rule * NEAR ? "near" : "usual";
}
