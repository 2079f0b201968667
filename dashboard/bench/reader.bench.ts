/** A reader at a chart while a recording plays at 60x: pans, zooms and types, and says whether anything moved by itself. */

import { readFileSync } from "node:fs";
import { expect, type Page, test } from "@playwright/test";
import { complaints, SIMULATED, Tracker } from "../e2e/tracker";

const MINUTES = Number(process.env.MINUTES ?? 2);
/** A file of bars to be played; without one the market is simulated. */
const RECORDING = process.env.RECORDING;
const SYMBOL = "NVDA";
const HOLD_MS = 4_000;

const PLAYED = `
[feed]
provider = "replay"
[feed.replay]
path = "${RECORDING}"
speed = "60x"
zone = "UTC"
`;

const chart = (page: Page) => page.locator('[data-stage="there"]');
const shown = (page: Page) =>
  chart(page).evaluate((box: HTMLElement) => [box.dataset.from ?? "", box.dataset.to ?? ""] as const);

/** A number from 0 to below `end`, the same in every run. */
let state = 1;
function random(end: number): number {
  state = (state * 48271) % 2147483647;
  return state % end;
}

/** Until what is shown rests: a drag glides a little. */
async function rested(page: Page) {
  let before = "";
  await expect
    .poll(async () => {
      const now = (await shown(page)).join();
      const rests = now === before;
      before = now;
      return rests;
    })
    .toBe(true);
}

async function pan(page: Page, share: number) {
  const box = (await chart(page).boundingBox())!;
  const [x, y] = [box.x + box.width * 0.4, box.y + box.height * 0.3];
  await page.mouse.move(x, y);
  await page.mouse.down();
  await page.mouse.move(x + box.width * share, y, { steps: 8 });
  await page.mouse.up();
}

async function zoom(page: Page, by: number) {
  const box = (await chart(page).boundingBox())!;
  await page.mouse.move(box.x + box.width / 2, box.y + box.height * 0.3);
  await page.mouse.wheel(0, by);
}

test("reader", async ({ page }) => {
  const said = complaints(page);
  const tracker = await Tracker.start(RECORDING ? PLAYED : SIMULATED);
  const newest = async () =>
    ((await tracker.json(`/v1/symbols/${SYMBOL}`)) as { bar: { start: string } }).bar.start;
  try {
    await page.goto(`${tracker.url}/s/${SYMBOL}`);
    await chart(page).waitFor();
    const begun = await newest();
    const end = Date.now() + MINUTES * 60_000;
    const did = { pans: 0, zooms: 0, letters: 0, holds: 0 };
    const moved: string[] = [];
    while (Date.now() < end) {
      for (let step = 0; step < 1 + random(3); step += 1) {
        if (random(2) === 0) {
          await pan(page, (random(60) - 20) / 100);
          did.pans += 1;
        } else {
          await zoom(page, random(2) === 0 ? -200 : 200);
          did.zooms += 1;
        }
        await rested(page);
      }
      // At the newest bar the view goes with it, as it should: look back before holding still.
      const last = new Date(await newest());
      for (let tries = 0; tries < 8 && new Date((await shown(page))[1]) >= last; tries += 1) {
        await pan(page, 0.5);
        await rested(page);
      }
      const search = page.getByRole("combobox").first();
      const typed = ["nv", "app", "zz", "m"][random(4)]!;
      await search.click();
      await search.fill("");
      await page.keyboard.type(typed, { delay: 80 });
      did.letters += typed.length;
      const view = await shown(page);
      await page.waitForTimeout(HOLD_MS);
      did.holds += 1;
      const now = await shown(page);
      const text = await search.inputValue();
      if (now.join() !== view.join() || text !== typed)
        moved.push(`${view.join(" to ")} became ${now.join(" to ")}, "${typed}" became "${text}"`);
      await page.keyboard.press("Escape");
    }

    // Nothing is lost: what the chart holds is what the server has.
    await chart(page).focus();
    await page.keyboard.press("End");
    await rested(page);
    const file = page.waitForEvent("download");
    await page.getByRole("button", { name: "CSV" }).click();
    const rows = readFileSync((await (await file).path())!, "utf8")
      .trim()
      .split("\n")
      .slice(1);
    const [from, to] = [rows[0]!, rows.at(-1)!].map((row) => row.split(",")[1]!);
    const until = new Date(Date.parse(to!) + 60_000).toISOString();
    const { items } = (await tracker.json(
      `/v1/symbols/${SYMBOL}/bars?interval=1m&limit=1000&from=${from}&to=${until}`,
    )) as { items: { start: string; close: number; volume: number }[] };
    const kept = items.map(({ start, close, volume }) => `${start} ${close} ${volume}`);
    const drawn = rows.map((row) => {
      const [, start, , , , close, volume] = row.split(",");
      return `${start} ${Number(close)} ${volume}`;
    });
    console.log(
      `\n${begun} to ${await newest()}: ${JSON.stringify(did)}; moved by itself: ${moved.length}; ` +
        `of ${kept.length} bars in sight at the end ${drawn.filter((row) => kept.includes(row)).length} are drawn`,
    );
    for (const one of moved) console.log(one);
    for (const one of said) console.log(one);
  } finally {
    await tracker.stop();
  }
});
