/** The one measure of the product: a ratio to the trailing average, on a logarithmic scale from 0.1 to 30 times. */

export const LEAST = 0.1;
export const MOST = 30;

/** Where a ratio lies on the scale: 0 at 0.1 times or less, 1 at 30 times or more. */
export function place(ratio: number): number {
  const held = Math.min(Math.max(ratio, LEAST), MOST);
  return Math.log(held / LEAST) / Math.log(MOST / LEAST);
}

/** Numbers along the scale, and how near the rule's may be to one that can still be read. */
const NUMBERED = [LEAST, 1, 3, 10, MOST];
const READABLE = 0.12;

/** Which ratios are written at the scale: the rule's where it is on it, and those that leave it room. */
export function numbers(rule: number): number[] {
  if (rule < LEAST || rule > MOST) return NUMBERED;
  const others = NUMBERED.filter((ratio) => Math.abs(place(ratio) - place(rule)) >= READABLE);
  return [...others, rule].sort((one, other) => one - other);
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
