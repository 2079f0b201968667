/** Which of the bars by day have room for the name of theirs. */

/** Names that fit side by side, also on a phone. */
const MOST_NAMED = 6;

/** Whether the day at `index` is named: the last one, and those at equal steps before it. */
export function named(index: number, days: number): boolean {
  const step = Math.ceil(days / MOST_NAMED);
  return (days - 1 - index) % step === 0;
}
