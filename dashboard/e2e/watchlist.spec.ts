/** Operators: the watchlist is changed on the page, and every page follows. */

import { expect, test } from "./tracker";

test("a symbol is found by its name, watched with its history, and taken off again", async ({
  page,
  context,
  launch,
}) => {
  const tracker = await launch();
  const overview = await context.newPage();
  await overview.goto(tracker.url);
  await expect(overview.getByRole("row", { name: /^NVDA/ })).toBeVisible();
  await page.goto(tracker.url);
  await page.getByRole("link", { name: "Edit list" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Watchlist" })).toBeVisible();
  await page.getByLabel("Add a symbol").fill("advanced micro");
  await page.getByRole("button", { name: "Watch AMD" }).click();
  await expect(page.getByText("AMD is watched from now on")).toBeVisible();
  const watched = page.getByRole("list", { name: "Watched" });
  await expect(watched.getByRole("listitem").filter({ hasText: "added here" })).toContainText("AMD");
  // Who looks at another page sees it come, and its bars.
  const row = overview.getByRole("row", { name: /^AMD/ });
  await expect(row).toContainText(/(up|down) \d/);
  await overview.goto(`${tracker.url}/s/AMD`);
  await expect(overview.locator('[data-stage="there"]')).toBeVisible();

  await page.getByRole("button", { name: "Remove NVDA" }).click();
  await expect(page.getByRole("list", { name: "Taken off" })).toContainText("NVDA");
  await overview.goto(tracker.url);
  await expect(overview.getByRole("row", { name: /^AMD/ })).toBeVisible();
  await expect(overview.getByRole("row", { name: /^NVDA/ })).toHaveCount(0);
  await page.getByRole("button", { name: "Watch again NVDA" }).click();
  await expect(overview.getByRole("row", { name: /^NVDA/ })).toBeVisible();
  await expect(page.getByText("No message was refused for good.")).toBeVisible();
});

test("what makes no sense is refused in words, and a ticker nobody knows can be watched", async ({
  page,
  still,
}) => {
  await page.goto(`${still.url}/watchlist?find=$$$`);
  await expect(page.getByText("No ticker is spelt like that")).toBeVisible();
  await page.getByLabel("Add a symbol").fill("zzqx");
  await expect(page.getByRole("button", { name: "Watch ZZQX" })).toBeVisible();
  await page.route("**/v1/watchlist/ZZQX", (route) =>
    route.fulfill({
      status: 422,
      contentType: "application/problem+json",
      body: JSON.stringify({ title: "Unprocessable", detail: "symbol: the plan takes 50" }),
    }),
  );
  await page.getByRole("button", { name: "Watch ZZQX" }).click();
  await expect(page.getByRole("alert")).toHaveText("symbol: the plan takes 50");
});
