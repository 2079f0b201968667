/** The page without a network. */

import { expect, STILL, test, Tracker } from "./tracker";

test.use({ serviceWorkers: "allow" });

test("without the server the page is as it was last seen, and says of when; with it, it goes on", async ({
  page,
}) => {
  test.setTimeout(120_000);
  const tracker = await Tracker.start(STILL);
  try {
    await page.goto(tracker.url);
    await expect(page.locator('[data-symbol="NVDA"]')).toBeVisible();
    // Kept by the worker, once it is there.
    await expect
      .poll(() => page.evaluate(async () => (await caches.match("/v1/status")) !== undefined), {
        timeout: 30_000,
      })
      .toBe(true);
    const row = page.locator('[data-symbol="NVDA"]');
    const price = await row.locator(".value").textContent();
    await tracker.kill();
    await page.reload();
    await expect(page.getByText(/Connection lost. What is shown is as of .*New York/)).toBeVisible();
    await expect(row.locator(".value")).toHaveText(price!);
    // What was never seen cannot be shown.
    await page.goto(`${tracker.url}/docs`).then(
      () => expect(false, "shown").toBe(true),
      () => undefined,
    );
    await tracker.resume();
    // The browser's page that says so may still be on its way, and would come in between.
    await expect(async () => void (await page.goto(tracker.url))).toPass();
    await expect(row).toBeVisible();
    await expect(page.getByText("Connection lost")).toBeHidden({ timeout: 30_000 });
  } finally {
    await tracker.stop();
  }
});
