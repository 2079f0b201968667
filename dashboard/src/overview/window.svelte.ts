/** Which rows of a long list are in sight: only those are made. The list scrolls with the page or in a box of its own. */

/** Rows made beyond either edge, so that a quick scroll meets none that is empty. */
const SPARE = 12;

/** Lists of so many rows are made whole. */
const SHORT = 60;

export class RowWindow {
  #from = $state(0);
  #to = $state(SHORT);
  readonly #height: () => number;
  readonly #count: () => number;

  /** `height`: of a row, pixels. `count`: of the rows. */
  constructor(height: () => number, count: () => number) {
    this.#height = height;
    this.#count = count;
  }

  /** The first row that is made, and the one after the last. */
  readonly range = $derived.by(() => {
    const count = this.#count();
    if (count <= SHORT) return { from: 0, to: count };
    return { from: Math.min(this.#from, count), to: Math.min(this.#to, count) };
  });

  /** To attach to the element that holds the rows. */
  readonly watch = (element: HTMLElement) => {
    let frame = 0;
    const look = () => {
      frame = 0;
      const { top } = element.getBoundingClientRect();
      const height = this.#height();
      this.#from = Math.max(0, Math.floor(-top / height) - SPARE);
      this.#to = Math.max(0, Math.ceil((innerHeight - top) / height) + SPARE);
    };
    const soon = () => {
      frame ||= requestAnimationFrame(look);
    };
    // Scrolling does not bubble, but it is captured wherever it happens.
    const options = { capture: true, passive: true } as const;
    addEventListener("scroll", soon, options);
    addEventListener("resize", soon);
    // Keys may come quicker than frames: what lies beyond the row that has the focus now is made at once.
    element.addEventListener("focusin", look);
    // Not at once: to measure what is being made would lay out the page once more than it is drawn.
    soon();
    return () => {
      cancelAnimationFrame(frame);
      removeEventListener("scroll", soon, options);
      removeEventListener("resize", soon);
      element.removeEventListener("focusin", look);
    };
  };
}
