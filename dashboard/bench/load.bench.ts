/** What the page costs the laptop: 500 symbols, each updated every second, and whether the heap grows by it. */

import { test } from "@playwright/test";
import { SIMULATED, Tracker } from "../e2e/tracker";

const SYMBOLS = Number(process.env.SYMBOLS ?? 500);
const MINUTES = Number(process.env.MINUTES ?? 2);
const PATH = process.env.PAGE ?? "/";
const EVERY_MS = Number(process.env.EVERY_MS ?? 30_000);

test("load", async ({ page }) => {
  const letters = (index: number) =>
    [index / 676, index / 26, index]
      .map((part) => String.fromCharCode(65 + (Math.floor(part) % 26)))
      .join("");
  const symbols = Array.from({ length: SYMBOLS }, (_, index) => `"Q${letters(index)}"`);
  const tracker = await Tracker.start(`[watchlist]\nsymbols = [${symbols.join(",")}]\n${SIMULATED}`);
  try {
    await page.goto(tracker.url + PATH);
    await page.locator("[data-symbol], h1").first().waitFor();
    const devtools = await page.context().newCDPSession(page);
    await devtools.send("Performance.enable", { timeDomain: "timeTicks" });
    const read = async () => {
      await devtools.send("HeapProfiler.collectGarbage");
      const { metrics } = await devtools.send("Performance.getMetrics");
      return Object.fromEntries(metrics.map(({ name, value }) => [name, value])) as Record<string, number>;
    };
    await page.waitForTimeout(10_000);
    let before = await read();
    const end = Date.now() + MINUTES * 60_000;
    while (Date.now() < end) {
      await page.waitForTimeout(Math.min(EVERY_MS, end - Date.now() + 1));
      // Before the garbage is collected: that is not the page's own work.
      const { metrics } = await devtools.send("Performance.getMetrics");
      const now = Object.fromEntries(metrics.map(({ name, value }) => [name, value])) as Record<
        string,
        number
      >;
      const share = (name: string) =>
        (((now[name]! - before[name]!) / (now.Timestamp! - before.Timestamp!)) * 100).toFixed(1);
      const after = await read();
      console.log(
        `\nmain thread ${share("TaskDuration")} % (script ${share("ScriptDuration")}, style ${share("RecalcStyleDuration")}, ` +
          `layout ${share("LayoutDuration")}); heap ${(after.JSHeapUsedSize! / 1e6).toFixed(2)} MB, ` +
          `${after.Nodes} nodes, ${after.JSEventListeners} listeners`,
      );
      before = after;
    }
  } finally {
    await tracker.stop();
  }
});
