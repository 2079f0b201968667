/** Lighthouse on the overview, as a phone on a slow network (its default) and as a desk. */

import { launch } from "chrome-launcher";
import lighthouse, { desktopConfig } from "lighthouse";
import { Tracker } from "../e2e/tracker";
import { test } from "@playwright/test";

const RUNS = Number(process.env.RUNS ?? 3);
const CATEGORIES = ["performance", "accessibility", "best-practices"];

test("lighthouse", async () => {
  const tracker = await Tracker.start();
  const chrome = await launch({
    chromePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    chromeFlags: [
      "--headless",
      "--no-sandbox",
      "--disable-quic",
      "--disable-background-networking",
      "--disable-sync",
    ],
  });
  try {
    for (const device of ["phone", "desk"]) {
      for (let run = 1; run <= RUNS; run += 1) {
        const flags = { port: chrome.port, onlyCategories: CATEGORIES, logLevel: "error" as const };
        const result = await lighthouse(tracker.url, flags, device === "desk" ? desktopConfig : undefined);
        if (!result) throw new Error("lighthouse said nothing");
        const { categories, audits } = result.lhr;
        const scores = CATEGORIES.map(
          (name) => `${name} ${Math.round((categories[name]?.score ?? 0) * 100)}`,
        );
        const shown = [
          "first-contentful-paint",
          "largest-contentful-paint",
          "total-blocking-time",
          "cumulative-layout-shift",
        ];
        const figures = shown.map((name) => `${name} ${audits[name]?.displayValue}`);
        console.log(`\n${device} ${run}: ${scores.join(", ")}; ${figures.join(", ")}`);
        const failed = Object.values(audits).filter(({ score }) => score !== null && score < 0.9);
        console.log(failed.map(({ id, displayValue }) => `  ${id} ${displayValue ?? ""}`).join("\n"));
      }
    }
  } finally {
    chrome.kill();
    await tracker.stop();
  }
});
