/** The chart of a page, and what of it is in sight: whichever browser is driven. */

import type { Page } from "@playwright/test";

export const CHART = '[data-stage="there"]';
export const chart = (page: Page) => page.locator(CHART);

/** In the page: the starts of the first and the last bar in sight, once they move no more. Keys and hands take effect with
 * the next frame, and a slow machine draws few. */
export async function inSight(box: Element): Promise<readonly [from: string, to: string]> {
  const { dataset } = box as HTMLElement;
  let [before, still] = ["", 0];
  while (still < 4) {
    await new Promise(requestAnimationFrame);
    const now = `${dataset.from} ${dataset.to}`;
    still = now === before ? still + 1 : 0;
    before = now;
  }
  return [dataset.from ?? "", dataset.to ?? ""];
}

/** The starts of the first and the last bar in sight, once they move no more. */
export const rested = (page: Page) => chart(page).evaluate(inSight);

/** The same at once. */
export const shown = (page: Page) =>
  chart(page).evaluate((box: HTMLElement) => [box.dataset.from ?? "", box.dataset.to ?? ""] as const);
