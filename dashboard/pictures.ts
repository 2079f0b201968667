/** The pictures of the README, in both themes: `npx playwright test --config pictures.config.ts`. They go to docs/images;
 * `pngquant --ext .png --force ../docs/images/*.png` makes them small. */

import { resolve } from "node:path";
import { CHART, rested } from "./e2e/sight";
import { expect, PATIENCE_MS, test, WITH_WEEKS } from "./e2e/tracker";

const ADA = "ada@example.com";
const ASKED = [
  { symbols: ["NVDA"], metric: "volume", rule: "spike ratio=2 window=30m min_bars=20 cooldown=10m" },
  { symbols: ["AAPL", "MSFT"], metric: "price", rule: "move percent=2 from=previous_close" },
  { symbols: "*", metric: "volume" },
];
const PICTURES: [name: string, height: number, path: string, there: string][] = [
  ["overview", 860, "/", "[data-symbol].unusual"],
  ["symbol", 900, "/s/NVDA?lines=vwap,close", CHART],
  ["rule", 800, "/rule?symbol=NVDA&metric=volume&sessions=5", CHART],
  ["watchlist", 640, "/watchlist?find=micro", 'role=button[name="Watch AMD"]'],
  ["me", 960, "/me", "h2#recent + ol"],
];

for (const theme of ["light", "dark"] as const) {
  test.describe(theme, () => {
    test.use({ colorScheme: theme, timezoneId: "America/New_York", reducedMotion: "reduce" });
    test("pictures", async ({ page, launch }) => {
      test.slow();
      const tracker = await launch(WITH_WEEKS.replace('"1x"', '"60x"'));
      for (const wish of ASKED)
        await fetch(`${tracker.url}/v1/subscriptions`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ email: ADA, ...wish }),
        });
      await fetch(await tracker.link(ADA, "", "/confirm?token="), { method: "POST" });
      await page.goto(`${tracker.url}/me`);
      await page.getByLabel("Mail address").fill(ADA);
      await page.getByRole("button", { name: "Send me a link" }).click();
      await page.goto(await tracker.link(ADA, "Sign in", "/v1/session/link"));
      await page.getByRole("button", { name: "Sign in" }).click();
      await expect(page.locator("h2#recent + ol")).toContainText("your rule", { timeout: PATIENCE_MS });
      for (const [name, height, path, there] of PICTURES) {
        await page.setViewportSize({ width: 1280, height });
        await page.goto(tracker.url + path);
        await expect(page.locator(there).first()).toBeVisible({ timeout: PATIENCE_MS });
        await expect(page.getByText("Loading …")).toHaveCount(0);
        if (there === CHART) await rested(page);
        const file = `../docs/images/${name}${theme === "dark" ? "-dark" : ""}.png`;
        await page.screenshot({ path: resolve(import.meta.dirname, file) });
      }
    });
  });
}
