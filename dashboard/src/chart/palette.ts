/** The colours of the page, as the canvas needs them: resolved for the theme that is shown. */

const NAMES = ["paper", "ink", "soft", "line", "fill", "hot", "near", "up", "down", "note"] as const;
export type Palette = Record<(typeof NAMES)[number], string>;

/** Reads them off an element, which they are set on one after the other. */
export function palette(probe: HTMLElement): Palette {
  const read = NAMES.map((name) => {
    probe.style.color = `var(--${name})`;
    return [name, getComputedStyle(probe).color] as const;
  });
  return Object.fromEntries(read) as Palette;
}

/** A colour with its opacity: `rgb(1, 2, 3)` becomes `rgba(1, 2, 3, 0.5)`. */
export const faded = (colour: string, opacity: number): string =>
  colour.replace(/^rgb\((.*)\)$/, `rgba($1, ${opacity})`);
