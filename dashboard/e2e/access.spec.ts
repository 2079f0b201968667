/** For everybody: no page or state violates what axe knows of, in either theme, on a phone and on a desk. */

import AxeBuilder from "@axe-core/playwright";
import type { Page } from "@playwright/test";
import { complaints, expect, test, type Tracker } from "./tracker";

type Scene = [name: string, go: (page: Page, tracker: Tracker) => Promise<void>];

const at =
  (path: string, heading: RegExp | string = /./): Scene[1] =>
  async (page, tracker) => {
    await page.goto(tracker.url + path);
    await expect(page.getByRole("heading", { level: 1, name: heading })).toBeVisible();
  };

const SCENES: Scene[] = [
  ["overview", at("/")],
  ["overview, sorted", at("/?order=volume&by=stdev")],
  ["symbol", at("/s/NVDA", /NVDA/)],
  ["symbol, a day a bar", at("/s/NVDA?interval=1d", /NVDA/)],
  ["unknown symbol", at("/s/NOPE", /NOPE|not tracked/i)],
  ["alerts", at("/alerts")],
  ["alerts, none by a filter", at("/alerts?symbol=NVDA&metric=price")],
  [
    "alert",
    async (page, tracker) => {
      const { id, symbol } = await tracker.alert();
      await at(`/alerts/${id}`, new RegExp(symbol))(page, tracker);
    },
  ],
  ["unknown alert", at("/alerts/00000000-0000-0000-0000-000000000000")],
  ["rule", at("/rule?symbol=NVDA&metric=volume&rule=spike%20ratio%3D4")],
  ["subscribe", at("/subscribe?ticker=NVDA")],
  ["subscribe without scripts", at("/subscribe/form")],
  ["status", at("/status")],
  ["mailbox", at("/mailbox")],
  ["docs", at("/docs", "The API")],
  ["a link nobody sent", at("/v1/subscriptions/confirm?token=nope")],
  [
    "help",
    async (page, tracker) => {
      await at("/")(page, tracker);
      await page.keyboard.press("?");
      await expect(page.getByRole("dialog")).toBeVisible();
    },
  ],
  [
    "search",
    async (page, tracker) => {
      await at("/")(page, tracker);
      await page.keyboard.press("/");
      await page.keyboard.type("a");
      await expect(page.getByRole("listbox")).toBeVisible();
    },
  ],
];

for (const colorScheme of ["light", "dark"] as const) {
  for (const width of [360, 1280]) {
    test.describe(`${colorScheme}, ${width} px`, () => {
      test.use({ colorScheme, viewport: { width, height: 800 }, reducedMotion: "reduce" });
      for (const [name, go] of SCENES) {
        test(name, async ({ page, still }) => {
          const said = complaints(page);
          await go(page, still);
          await expect(page.getByText("Loading …")).toHaveCount(0);
          const { violations } = await new AxeBuilder({ page }).analyze();
          expect(
            violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" | ")}`),
          ).toEqual([]);
          const wide = await page.evaluate(() => document.documentElement.scrollWidth);
          expect(wide, "nothing sticks out to the side").toBeLessThanOrEqual(width);
          expect(said.filter((line) => !/status of 404|status of 410/.test(line))).toEqual([]);
        });
      }
    });
  }
}
