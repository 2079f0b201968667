/** Orders that are kept while somebody points at their list or has the focus in it: no row goes away from under a pointer,
 * and a link that has the focus keeps it, which it would lose if its row moved. */

import { on } from "svelte/events";

/** Whether somebody is at an element. */
export class Presence {
  here = $state(false);
  #pointed = false;
  #focused = false;

  /** To attach to the element that has the lists. */
  readonly watch = (element: HTMLElement) => {
    const hear = (name: keyof HTMLElementEventMap, what: (event: Event) => void) =>
      on(element, name, (event) => {
        what(event);
        this.here = this.#pointed || this.#focused;
      });
    const heard = [
      hear("pointerenter", () => (this.#pointed = true)),
      hear("pointerleave", () => (this.#pointed = false)),
      hear("focusin", () => (this.#focused = true)),
      // From one link to the next, the focus does not leave.
      hear("focusout", (event) => {
        this.#focused = element.contains((event as FocusEvent).relatedTarget as Node | null);
      }),
    ];
    return () => heard.forEach((stop) => stop());
  };
}

/** The symbols of a list, as they are shown. */
export class HeldOrder {
  #before: string[] = [];
  #kindBefore: string | undefined;
  readonly #presence: Presence;
  readonly #wanted: () => string[];
  readonly #kind: () => string;

  /** `wanted` is the order by the newest figures. It is taken over when nobody is at the list, when its `kind` is another
   * than before (somebody chose it), and when there are other symbols. */
  constructor(presence: Presence, wanted: () => string[], kind: () => string) {
    this.#presence = presence;
    this.#wanted = wanted;
    this.#kind = kind;
  }

  readonly shown: string[] = $derived.by(() => {
    const kind = this.#kind();
    const wanted = this.#wanted();
    const isHeld = this.#presence.here && kind === this.#kindBefore && isOfTheSame(wanted, this.#before);
    if (!isHeld) this.#before = wanted;
    this.#kindBefore = kind;
    return this.#before;
  });
}

function isOfTheSame(some: string[], others: string[]): boolean {
  const known = new Set(others);
  return some.length === others.length && some.every((each) => known.has(each));
}
