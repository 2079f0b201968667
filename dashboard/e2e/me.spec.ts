/** My alerts: asked for by mail, looked after on the page, and left. */

import AxeBuilder from "@axe-core/playwright";
import type { Page } from "@playwright/test";
import { complaints, expect, PATIENCE_MS, test as base, type Tracker } from "./tracker";

const ADA = "ada@example.com";
/** Fires every few minutes, so that there is something to see. */
const RULE = "spike ratio=1.05 window=5m min_bars=2 cooldown=0s";

/** One tracker for each test: mails to one address are three a day. */
const test = base.extend<{ mine: Tracker }>({
  mine: async ({ launch }, use) => use(await launch()),
});

/** Has Ada subscribed to a rule of her own, and signs the page in. */
async function signIn(page: Page, tracker: Tracker) {
  const headers = { "content-type": "application/json" };
  const wish = { email: ADA, ticker: "NVDA", metric: "volume", rule: RULE };
  const asked = await fetch(`${tracker.url}/v1/subscriptions`, {
    method: "POST",
    headers,
    body: JSON.stringify(wish),
  });
  expect(asked.status).toBe(201);
  await fetch(await tracker.link(ADA, "Please confirm", "/confirm?token="), { method: "POST" });
  await page.goto(`${tracker.url}/me`);
  await page.getByLabel("Mail address").fill(ADA);
  await page.getByRole("button", { name: "Send me a link" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Look into your mail" })).toBeFocused();
  await page.goto(await tracker.link(ADA, "Sign in", "/v1/session/link"));
  await expect(page.getByText(ADA)).toBeVisible();
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "My alerts" })).toBeVisible();
  await expect(page.getByText(ADA)).toBeVisible();
}

test("a link signs in; alerts are changed, paused, added and ended; one signs out", async ({
  page,
  mine,
}) => {
  const said = complaints(page);
  await signIn(page, mine);
  const nvda = page.getByRole("listitem").filter({ hasText: "NVDA volume" }).first();
  await expect(nvda).toContainText("when the volume of NVDA is at least 1.05 times");

  await nvda.getByRole("button", { name: "Pause NVDA volume" }).click();
  await expect(nvda).toContainText("Paused");
  await nvda.getByRole("button", { name: "Resume NVDA volume" }).click();
  await expect(nvda).toContainText("Active");

  await nvda.getByRole("button", { name: "Change NVDA volume" }).click();
  await nvda.getByLabel("What is unusual").selectOption({ index: 2 });
  await nvda.getByLabel(/Quiet hours/).check();
  await nvda.getByLabel("Time zone").fill("Nowhere");
  await nvda.getByRole("button", { name: "Save" }).click();
  await expect(nvda.locator(".field-error")).toBeVisible();
  await nvda.getByLabel("Time zone").fill("Europe/Berlin");
  await nvda.getByRole("button", { name: "Save" }).click();
  await expect(nvda).toContainText("Quiet from 22:00 to 07:00, Europe/Berlin.");
  await expect(nvda).not.toContainText("1.05 times");

  await page.getByRole("link", { name: "Add alerts" }).click();
  await expect(page.getByText(`To ${ADA}`)).toBeVisible();
  await expect(page.getByLabel("Mail address")).toHaveCount(0);
  await page.getByRole("button", { name: "Subscribe", exact: true }).click();
  await expect(page.getByRole("heading", { level: 1, name: "You are subscribed" })).toBeVisible();
  await page.getByRole("main").getByRole("link", { name: "My alerts" }).click();
  await expect(page.getByRole("heading", { name: "2 subscriptions" })).toBeVisible();

  await nvda.getByRole("button", { name: "End NVDA volume" }).click();
  await nvda.getByRole("button", { name: "Yes, end it" }).click();
  await expect(page.getByRole("heading", { name: "1 subscription" })).toBeVisible();

  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByRole("button", { name: "Send me a link" })).toBeVisible();
  const cookies = await page.context().cookies();
  expect(cookies.filter(({ name }) => name === "qqq_session")).toEqual([]);
  expect(said.filter((line) => !line.includes("422"))).toEqual([]);
});

test("alerts by one's own rule stand beside the house's, for oneself alone", async ({
  page,
  mine,
  browser,
}) => {
  await signIn(page, mine);
  const own = page.locator(".own");
  await expect(own.first()).toHaveText("your rule", { timeout: PATIENCE_MS });
  for (const path of ["/alerts?symbol=NVDA", "/s/NVDA"]) {
    await page.goto(mine.url + path);
    await expect(own.first()).toBeVisible();
  }
  const stranger = await (await browser.newContext()).newPage();
  await stranger.goto(`${mine.url}/alerts?symbol=NVDA`);
  await expect(stranger.getByRole("heading", { level: 1, name: "Alerts" })).toBeVisible();
  await expect(stranger.locator(".own")).toHaveCount(0);
  await stranger.context().close();
});

test("all of it is downloaded and erased", async ({ page, mine }) => {
  await signIn(page, mine);
  const saving = page.waitForEvent("download");
  await page.getByRole("link", { name: "Download" }).click();
  expect((await saving).suggestedFilename()).toBe("qqq-tracker.json");
  await page.getByRole("button", { name: "Erase …" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Keep it" }).click();
  await expect(dialog).toHaveCount(0);
  await page.getByRole("button", { name: "Erase …" }).click();
  await dialog.getByRole("button", { name: "Erase everything" }).click();
  await expect(page.getByRole("button", { name: "Send me a link" })).toBeVisible();
});

test("without scripts the link signs in", async ({ page, mine, browser }) => {
  await signIn(page, mine);
  const context = await browser.newContext({ javaScriptEnabled: false });
  const plain = await context.newPage();
  // The link that was used.
  await plain.goto(await mine.link(ADA, "Sign in", "/v1/session/link"));
  await expect(plain.getByRole("heading", { level: 1, name: /does not sign in any more/ })).toBeVisible();
  await context.close();
});

for (const colorScheme of ["light", "dark"] as const) {
  for (const width of [360, 1280]) {
    test.describe(`${colorScheme}, ${width} px`, () => {
      test.use({ colorScheme, viewport: { width, height: 800 }, reducedMotion: "reduce" });
      test("for everybody", async ({ page, mine }) => {
        const sound = async () => {
          await expect(page.getByText("Loading …")).toHaveCount(0);
          const { violations } = await new AxeBuilder({ page }).analyze();
          expect(
            violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" | ")}`),
          ).toEqual([]);
          const wide = await page.evaluate(() => document.documentElement.scrollWidth);
          expect(wide, "nothing sticks out to the side").toBeLessThanOrEqual(width);
        };
        await page.goto(`${mine.url}/me`);
        await expect(page.getByRole("button", { name: "Send me a link" })).toBeVisible();
        await sound();
        await page.getByRole("button", { name: "Send me a link" }).click();
        await expect(page.locator(".field-error")).toBeVisible();
        await sound();
        await signIn(page, mine);
        await sound();
        await page.getByRole("button", { name: "Change NVDA volume" }).click();
        await page.getByLabel(/Quiet hours/).check();
        await sound();
        await page.getByRole("button", { name: "Cancel" }).click();
        await page.getByRole("button", { name: "Erase …" }).click();
        await expect(page.getByRole("dialog")).toBeVisible();
        await sound();
        await page.goto(`${mine.url}/subscribe?ticker=NVDA`);
        await expect(page.getByText(`To ${ADA}`)).toBeVisible();
        await sound();
      });
    });
  }
}
