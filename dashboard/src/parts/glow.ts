/** Marks a value that just changed, for 600 ms; not at all for readers who want no motion. */

import type { Attachment } from "svelte/attachments";

const still = typeof matchMedia === "undefined" ? null : matchMedia("(prefers-reduced-motion: reduce)");
const FADE: KeyframeAnimationOptions = { duration: 600, easing: "ease-out" };

/** `{@attach glow(() => value)}`: glows whenever `value` becomes another one. */
export function glow(value: () => unknown): Attachment<HTMLElement> {
  let before: unknown;
  let first = true;
  return (node) => {
    const now = value();
    const changed = !first && now !== before;
    first = false;
    before = now;
    if (!changed || still?.matches) return;
    // An element that is not drawn has no use for it.
    if (node.checkVisibility?.({ contentVisibilityAuto: true }) === false) return;
    node.animate([{ backgroundColor: "var(--glow)" }, { backgroundColor: "transparent" }], FADE);
  };
}
