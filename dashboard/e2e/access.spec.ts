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
  ["overview, map", at("/?view=map")],
  ["overview, nothing found", at("/?find=zzz")],
  ["chart, compared, with a level", at("/s/NVDA?lines=vwap,close&against=MSFT&level=200")],
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
  [
    "an alert's evidence over the chart",
    async (page, tracker) => {
      const { id, symbol } = await tracker.alert();
      await at(`/s/${symbol}?alert=${id}`, new RegExp(symbol))(page, tracker);
      await expect(page.getByRole("dialog")).toBeVisible();
    },
  ],
  [
    "the newest bars as a table",
    async (page, tracker) => {
      await at("/s/NVDA", /NVDA/)(page, tracker);
      await expect(page.locator('[data-stage="there"]')).toBeVisible();
      await page.getByText("The newest bars as a table").click();
      await expect(page.getByRole("columnheader", { name: "Open, $" })).toBeVisible();
    },
  ],
  ["a page that is not there", at("/nonsense", /no such page/)],
  ["a problem of the API", at("/v1/symbols/NOPE", /no such page/)],
  ["unknown alert", at("/alerts/00000000-0000-0000-0000-000000000000")],
  ["watchlist", at("/watchlist")],
  ["watchlist, a search", at("/watchlist?find=micro")],
  ["rule", at("/rule?symbol=NVDA&metric=volume&rule=spike%20ratio%3D4")],
  ["subscribe", at("/subscribe?ticker=NVDA")],
  [
    "subscribe, with errors",
    async (page, tracker) => {
      await at("/subscribe?ticker=NVDA")(page, tracker);
      await page.getByRole("button", { name: "Webhook" }).click();
      await page.getByLabel(/Quiet hours/).check();
      await page.getByLabel("Time zone").fill("Nowhere");
      await page.getByRole("button", { name: "Subscribe", exact: true }).click();
      await expect(page.locator(".field-error").first()).toBeVisible();
    },
  ],
  [
    "subscribed, and the mail that asks",
    async (page, tracker) => {
      await at("/subscribe?ticker=NVDA")(page, tracker);
      await page.getByLabel("Mail address").fill("eve@example.com");
      await page.getByRole("button", { name: "Subscribe", exact: true }).click();
      await expect(page.getByRole("heading", { level: 1, name: /confirm/ })).toBeVisible();
      await page.getByRole("link", { name: /Open the mailbox/ }).click();
      await expect(page.getByRole("article")).toBeVisible();
    },
  ],
  ["a rule that is not known", at("/rule?symbol=NVDA&rule=nonsense")],
  ["a rule that is refused", at("/rule?symbol=NVDA&rule=spike%20ratio%3D0.1")],
  ["a rule for all symbols", at("/rule?symbol=")],
  ["subscribe without scripts", at("/subscribe/form")],
  ["my alerts, signed out", at("/me", "My alerts")],
  ["a link to sign in that nobody sent", at("/v1/session/link?token=nope")],
  ["status", at("/status")],
  ["mailbox", at("/mailbox")],
  ["docs", at("/docs", "The API")],
  ["a link nobody sent", at("/v1/subscriptions/confirm?token=nope")],
  [
    "the further pages",
    async (page, tracker) => {
      await at("/")(page, tracker);
      const more = page.getByRole("button", { name: "More" });
      if (await more.isVisible()) await more.click();
      await expect(page.getByRole("navigation").getByRole("link", { name: "Try a rule" })).toBeVisible();
    },
  ],
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
  [
    "a search for what is not tracked",
    async (page, tracker) => {
      await at("/")(page, tracker);
      await page.keyboard.press("/");
      await page.keyboard.type("zzz");
      await expect(page.getByText("ZZZ is not tracked here")).toBeVisible();
    },
  ],
  [
    "alerts in this browser",
    async (page, tracker) => {
      await at("/subscribe?ticker=NVDA")(page, tracker);
      await page.getByRole("button", { name: "This browser" }).click();
      await expect(page.getByText(/asks\s+for your permission/)).toBeVisible();
    },
  ],
  [
    "a mail's headers",
    async (page, tracker) => {
      await at("/subscribe?ticker=NVDA")(page, tracker);
      await page.getByLabel("Mail address").fill("grace@example.com");
      await page.getByRole("button", { name: "Subscribe", exact: true }).click();
      await page.getByRole("link", { name: /Open the mailbox/ }).click();
      await page.getByLabel("Headers").check();
      await expect(page.getByRole("article")).toContainText("Message-ID");
    },
  ],
  [
    "a webhook that was signed up",
    async (page, tracker) => {
      await page.route("**/v1/subscriptions", (route) =>
        route.fulfill({ status: 201, json: { status: "pending" } }),
      );
      await at("/subscribe?ticker=NVDA")(page, tracker);
      await page.getByRole("button", { name: "Webhook" }).click();
      await page.getByLabel("Address").fill("https://hooks.example.com/x");
      await page.getByRole("button", { name: "Subscribe", exact: true }).click();
      await expect(page.getByRole("heading", { level: 1, name: /confirm/ })).toBeVisible();
    },
  ],
];

/** States in which a tracker, and not a page, is another. */
const TROUBLES: [name: string, which: "closed" | "dead", path: string, heading: RegExp][] = [
  ["a closed market", "closed", "/", /The market is closed: it opens/],
  ["a symbol while the market is closed", "closed", "/s/NVDA?interval=5m", /NVDA/],
  ["no alerts yet", "closed", "/alerts", /Alerts/],
  ["a dead feed", "dead", "/", /The feed has a problem/],
  ["a symbol without a bar", "dead", "/s/NVDA", /NVDA/],
  ["alerts of a dead feed", "dead", "/alerts", /Alerts/],
  ["a rule without bars", "dead", "/rule", /no bars/],
  ["the status of a dead feed", "dead", "/status", /The feed has a problem/],
];

async function isForEverybody(page: Page, width: number, said: string[]) {
  await expect(page.getByText("Loading …")).toHaveCount(0);
  // Nothing runs in a mail's frame, axe's scripts neither: it would wait for them.
  const frames = page.locator("iframe[sandbox]");
  for (const frame of await frames.all()) await expect(frame).toHaveAttribute("title", /mail/);
  await frames.evaluateAll((all) => all.forEach((frame) => frame.remove()));
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" | ")}`)).toEqual(
    [],
  );
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  expect(wide, "nothing sticks out to the side").toBeLessThanOrEqual(width);
  expect(said.filter((line) => !/status of 4(04|10|22)/.test(line))).toEqual([]);
}

for (const colorScheme of ["light", "dark"] as const) {
  for (const width of [360, 1280]) {
    test.describe(`${colorScheme}, ${width} px`, () => {
      test.use({ colorScheme, viewport: { width, height: 800 }, reducedMotion: "reduce" });
      for (const [name, go] of SCENES) {
        test(name, async ({ page, still }) => {
          // All of the API on one page: axe looks at each of its thousands of elements.
          if (name === "docs") test.slow();
          const said = complaints(page);
          await go(page, still);
          await isForEverybody(page, width, said);
        });
      }
      for (const [name, which, path, heading] of TROUBLES) {
        test(name, async ({ page, closed, dead }) => {
          const said = complaints(page);
          await at(path, heading)(page, which === "closed" ? closed : dead);
          await isForEverybody(page, width, said);
        });
      }
    });
  }
}
