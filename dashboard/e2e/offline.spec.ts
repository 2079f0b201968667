/** The page without a network. */

import { expect, STILL, test, until } from "./tracker";

test.use({ serviceWorkers: "allow" });

test("without the server the page is as it was last seen, and says of when; with it, it goes on", async ({
  page,
  launch,
}) => {
  const tracker = await launch(STILL);
  await page.goto(tracker.url);
  const row = page.locator('[data-symbol="NVDA"]');
  await expect(row).toBeVisible();
  // Kept by the worker, once it is there; the stream may have brought a later price.
  const price = await until("the worker to keep the market", () =>
    page.evaluate(async () => {
      const paths = ["/v1/symbols", "/v1/alerts?limit=100", "/v1/status"];
      const kept = await Promise.all(paths.map((path) => caches.match(path)));
      if (kept.includes(undefined)) return null;
      const { items } = (await kept[0]!.json()) as { items: { symbol: string; bar: { close: number } }[] };
      return items.find(({ symbol }) => symbol === "NVDA")!.bar.close.toFixed(2);
    }),
  );
  await tracker.kill();
  await page.reload();
  await expect(page.getByText(/Connection lost. What is shown is as of .*New York/)).toBeVisible();
  await expect(row.locator(".value")).toHaveText(price);
  // What was never seen cannot be shown.
  await page.goto(`${tracker.url}/docs`).then(
    () => expect(false, "shown").toBe(true),
    () => undefined,
  );
  await tracker.resume();
  // The browser's page that says so may still be on its way, and would come in between.
  await expect(async () => void (await page.goto(tracker.url))).toPass();
  await expect(row).toBeVisible();
  await expect(page.getByText("Connection lost")).toBeHidden();
});
