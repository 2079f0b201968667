/** The list of a page by keys alone: ↓ ↑, or j k, go from row to row; Enter follows the link there. */

/** A row of such a list; the first link in it is where the focus goes. */
const ROW = "[data-symbol]";

/** Which row a key leads to, if any: one on from where the focus is, or else the first that is in view.
 * @param rows the top of each row, in pixels below the top of the window
 * @param at the row with the focus, -1 where it is elsewhere
 * @param height of the window */
export function rowFor(key: string, rows: number[], at: number, height: number): number | null {
  const step = key === "ArrowDown" || key === "j" ? 1 : key === "ArrowUp" || key === "k" ? -1 : 0;
  if (step === 0) return null;
  if (at >= 0) return Math.min(Math.max(at + step, 0), rows.length - 1);
  const first = rows.findIndex((top) => top >= 0 && top < height);
  // A list that is scrolled out of sight is not meant: the key scrolls, as ever.
  return first >= 0 ? first : null;
}

/** Moves the focus within the list in `main`, unless something else has it. Whether the key was for it. */
export function moveInList(event: KeyboardEvent, main: HTMLElement): boolean {
  const rows = [...main.querySelectorAll<HTMLElement>(ROW)];
  const active = document.activeElement;
  const at = rows.findIndex((row) => row.contains(active));
  const isFree = active === null || active === document.body || active === main;
  if (at < 0 && !isFree) return false;
  const tops = rows.map((row) => row.getBoundingClientRect().top);
  const next = rowFor(event.key, tops, at, innerHeight);
  if (next === null) return false;
  const link = rows[next]?.querySelector("a");
  // At once: a smooth way there would be slower than the keys, which would arrive where no row is made yet.
  link?.scrollIntoView({ block: "nearest", behavior: "instant" });
  link?.focus();
  return true;
}
