/** What the page costs the laptop: 500 symbols, each updated every second, and whether the heap grows by it. */

import { test } from "@playwright/test";
import { SIMULATED, Tracker } from "../e2e/tracker";

const SYMBOLS = Number(process.env.SYMBOLS ?? 500);
const MINUTES = Number(process.env.MINUTES ?? 2);
const PATH = process.env.PAGE ?? "/";
const EVERY_MS = Number(process.env.EVERY_MS ?? 30_000);
const TRACE_MS = 20_000;

interface TraceEvent {
  name: string;
  ph: string;
  pid: number;
  tid: number;
  dur?: number;
  args?: { name?: string };
}

/** How long the main threads of pages were at work, the busiest first. */
function busy(events: TraceEvent[]): string {
  const thread = (event: TraceEvent) => `${event.pid}/${event.tid}`;
  const mains = events.filter(
    (event) => event.name === "thread_name" && event.args?.name === "CrRendererMain",
  );
  const shares = mains.map((main) => {
    const tasks = events.filter(
      (event) => event.ph === "X" && thread(event) === thread(main) && /RunTask$/.test(event.name),
    );
    const longest = Math.max(0, ...tasks.map(({ dur }) => dur ?? 0));
    const share = tasks.reduce((sum, { dur }) => sum + (dur ?? 0), 0) / TRACE_MS / 10;
    return {
      share,
      text: `${share.toFixed(1)} % in ${tasks.length} tasks, longest ${(longest / 1000).toFixed(0)} ms`,
    };
  });
  shares.sort((one, other) => other.share - one.share);
  return shares[0]?.text ?? "no main thread";
}

test("load", async ({ page, browser }) => {
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
    // The same from a trace: the tasks of the page's main thread, as the profiler of the devtools shows them.
    await browser.startTracing(page, { categories: ["toplevel", "__metadata"] });
    await page.waitForTimeout(TRACE_MS);
    const trace = JSON.parse((await browser.stopTracing()).toString()) as { traceEvents: TraceEvent[] };
    console.log(`\ntrace of ${TRACE_MS / 1000} s: ${busy(trace.traceEvents)}`);
  } finally {
    await tracker.stop();
  }
});
