/** From nothing to ten stocks watched: one form, one mail, one click. */

import type { Page } from "@playwright/test";
import { complaints, expect, test, type Tracker } from "./tracker";

const TEN = ["AAPL", "ADBE", "AMZN", "GOOG", "META", "MSFT", "NFLX", "NVDA", "PYPL", "TSLA"];

/** Opens the mail that asks `address`, as the mailbox shows it. */
async function openMail(page: Page, address: string) {
  await page.getByRole("link", { name: /Open the mailbox/ }).click();
  const mails = page.getByRole("list", { name: /Mails/ });
  await mails.getByRole("button").filter({ hasText: address }).first().click();
  await page.getByLabel("Plain text").check();
  return page.getByRole("article");
}

async function form(page: Page, tracker: Tracker) {
  await page.goto(`${tracker.url}/subscribe`);
  await expect(page.getByRole("group", { name: "Symbols", exact: true })).toBeVisible();
}

for (const width of [360, 1440]) {
  test.describe(`${width} px`, () => {
    test.use({ viewport: { width, height: 900 }, hasTouch: width === 360 });

    test("ten stocks: one form, one mail, one click", async ({ page, tracker }) => {
      const said = complaints(page);
      const address = `ten-${width}@example.com`;
      const asked: string[] = [];
      page.on("request", (request) => {
        if (request.method() === "POST" && request.url().endsWith("/v1/subscriptions"))
          asked.push(request.postData() ?? "");
      });
      await form(page, tracker);
      await page.getByRole("button", { name: "Choose all" }).click();
      await expect(page.getByText("10 symbols chosen")).toBeVisible();
      for (const name of TEN) await expect(page.getByRole("checkbox", { name })).toBeChecked();
      const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      expect(beyond, "nothing is wider than the screen").toBeLessThanOrEqual(0);
      await page.getByLabel("Mail address").fill(address);
      await page.getByRole("button", { name: "Subscribe", exact: true }).click();
      // True whether a mail goes out or not, and the same for everybody.
      await expect(page.getByRole("heading", { level: 1, name: /once it is confirmed/ })).toBeFocused();
      await expect(page.getByText(/If there is something to confirm at/)).toBeVisible();
      await expect(page.getByText(/on its way|has been sent|we sent/i)).toHaveCount(0);
      expect(asked).toHaveLength(1);

      const mail = await openMail(page, address);
      await expect(mail).toContainText("10 symbols");
      for (const name of TEN) await expect(mail).toContainText(name);
      await mail.getByRole("link", { name: /confirm/ }).click();
      for (const name of TEN) await expect(page.getByRole("checkbox", { name })).toBeChecked();
      await page.getByRole("button").click();
      await expect(page.getByRole("heading", { level: 1 })).toHaveText("You are subscribed");
      for (const name of TEN) await expect(page.getByText(new RegExp(`${name} volume`))).toBeVisible();
      expect(said).toEqual([]);
    });
  });
}

test("what is asked for again within ten minutes joins, and the answer is the same", async ({
  page,
  tracker,
}) => {
  const address = "joins@example.com";
  const answers: (string | null)[] = [];
  await form(page, tracker);
  for (const choice of ["TSLA", "The whole watchlist"]) {
    if (choice === "TSLA") await page.getByRole("checkbox", { name: choice }).check();
    else await page.getByRole("button", { name: choice }).click();
    await page.getByLabel("Mail address").fill(address);
    await page.getByRole("button", { name: "Subscribe", exact: true }).click();
    await expect(page.getByRole("heading", { level: 1, name: /once it is confirmed/ })).toBeVisible();
    answers.push(await page.locator("main").textContent());
    if (choice === "TSLA") {
      // Its mail has gone out: the second finds the throttle closed.
      await expect.poll(async () => JSON.stringify(await tracker.json("/v1/mailbox"))).toContain(address);
      await page.getByRole("button", { name: "Another one" }).click();
    }
  }
  expect(answers[1]).toBe(answers[0]);
  const mail = await openMail(page, address);
  await mail.getByRole("link", { name: /confirm/ }).click();
  for (const about of ["AAPL volume", "TSLA volume", "every symbol's volume"])
    await expect(page.getByRole("checkbox", { name: about })).toBeChecked();
  const { items } = (await tracker.json("/v1/mailbox")) as { items: { to: string }[] };
  expect(items.filter(({ to }) => to === address)).toHaveLength(1);
});

test("symbols are chosen by keyboard, stand in the address, and an empty choice is told", async ({
  page,
  tracker,
}) => {
  await page.goto(`${tracker.url}/subscribe?ticker=FB,NVDA`);
  await expect(page.getByRole("checkbox", { name: "META" })).toBeChecked();
  await expect(page.getByText("one of 2 symbols does something unusual")).toBeVisible();
  await page.getByRole("checkbox", { name: "AAPL" }).focus();
  await page.keyboard.press("Space");
  await expect(page).toHaveURL(/ticker=AAPL%2CMETA%2CNVDA/);
  await page.keyboard.press("Tab");
  await expect(page.getByRole("checkbox", { name: "MSFT" })).toBeFocused();
  await page.reload();
  for (const name of ["AAPL", "META", "NVDA"])
    await expect(page.getByRole("checkbox", { name })).toBeChecked();

  await page.getByRole("button", { name: "Choose none" }).click();
  await page.getByLabel("Mail address").fill("none@example.com");
  await page.getByRole("button", { name: "Subscribe", exact: true }).click();
  await expect(page.getByText(/must name one symbol at least/)).toBeVisible();

  await page.getByRole("button", { name: "The whole watchlist" }).click();
  await expect(page).toHaveURL(/ticker=\*|ticker=%2A/);
  await expect(page.getByText(/All 10 symbols of today, and whatever is added/)).toBeVisible();
});
