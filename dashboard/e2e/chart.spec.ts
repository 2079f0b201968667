/** What one can do with a chart beside looking: lines, scales, another symbol, levels, and what to take away. */

import { readFileSync } from "node:fs";
import type { Page } from "@playwright/test";
import { chart, rested } from "./sight";
import { expect, test, WITH_WEEKS } from "./tracker";

const pressed = (page: Page, name: string, isPressed: boolean) =>
  expect(page.getByRole("button", { name, exact: true })).toHaveAttribute("aria-pressed", String(isPressed));

/** What the picture shows, as far as colours tell: another one where a line is drawn. */
const picture = (page: Page) =>
  chart(page)
    .locator("canvas")
    .first()
    .evaluate((canvas: HTMLCanvasElement) => canvas.toDataURL());

test("lines and scales are chosen, and the address keeps them", async ({ page, still }) => {
  await page.goto(`${still.url}/s/NVDA`);
  await expect(chart(page)).toBeVisible();
  await pressed(page, "Previous close", true);
  await pressed(page, "VWAP", false);
  let before = await picture(page);
  for (const name of ["VWAP", "Previous close", "log", "%"]) {
    await page.getByRole("button", { name, exact: true }).click();
    await expect.poll(() => picture(page), name).not.toBe(before);
    before = await picture(page);
  }
  await expect(page).toHaveURL(/lines=vwap/);
  await expect(page).toHaveURL(/scale=percent/);
  await page.reload();
  await expect(chart(page)).toBeVisible();
  await pressed(page, "VWAP", true);
  await pressed(page, "Previous close", false);
  await pressed(page, "%", true);
});

test("keys that come quicker than frames are all heard", async ({ page, still }) => {
  await page.goto(`${still.url}/s/NVDA`);
  await expect(chart(page)).toBeVisible();
  const view = await rested(page);
  for (let step = 0; step < 3; step += 1) {
    await chart(page).press("ArrowLeft");
    await rested(page);
  }
  expect(await rested(page)).not.toEqual(view);
  await chart(page).evaluate((box) => {
    for (let step = 0; step < 3; step += 1)
      box.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
  });
  expect(await rested(page)).toEqual(view);
});

test("another symbol is drawn beside it, in per cent", async ({ page, still }) => {
  await page.goto(`${still.url}/s/NVDA`);
  await expect(chart(page)).toBeVisible();
  const before = await picture(page);
  const asked = page.waitForResponse(/\/v1\/symbols\/MSFT\/bars/);
  await page.getByLabel("Compare with").selectOption("MSFT");
  await asked;
  await expect.poll(() => picture(page)).not.toBe(before);
  await pressed(page, "%", true);
  await expect(page).toHaveURL(/against=MSFT/);
  await page.getByLabel("Compare with").selectOption("");
  await expect(page).not.toHaveURL(/against/);
  await pressed(page, "$", true);
});

test("a level is drawn by a click and becomes an alert", async ({ page, still }) => {
  await page.goto(`${still.url}/s/NVDA`);
  await expect(chart(page)).toBeVisible();
  const { bar } = (await still.json("/v1/symbols/NVDA")) as { bar: { close: number } };
  await page.getByRole("button", { name: "Draw a level" }).click();
  await expect(page.getByText("Click where the line is to be.")).toBeVisible();
  // High up in the upper pane, above every candle.
  await chart(page).click({ position: { x: 300, y: 8 } });
  const level = page.getByRole("list", { name: "Levels" }).getByRole("listitem");
  await expect(level).toHaveCount(1);
  const price = Number(/\$([\d.,]+)/.exec((await level.textContent()) ?? "")?.[1]?.replace(",", ""));
  expect(price).toBeGreaterThan(bar.close);
  await page.reload();
  await expect(level).toHaveCount(1);
  await level.getByRole("link", { name: "Alert me when it is crossed" }).click();
  await expect(page).toHaveURL(new RegExp(`rule=cross\\+above%3D${price}`));
  await expect(page.getByLabel("What is unusual")).toHaveValue("cross");
  await expect(page.getByRole("spinbutton", { name: /Level/ })).toHaveValue(String(price));
  await page.goBack();
  await page.getByRole("button", { name: /^Remove the level/ }).click();
  await expect(level).toHaveCount(0);
});

test("what is in sight can be taken away, and a link leads to exactly it", async ({
  page,
  still,
  context,
}) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.goto(`${still.url}/s/NVDA`);
  await expect(chart(page)).toBeVisible();
  await chart(page).focus();
  for (let step = 0; step < 6; step += 1) await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("+");
  const [from, to] = await rested(page);

  const file = page.waitForEvent("download");
  await page.getByRole("button", { name: "CSV" }).click();
  const saved = await file;
  expect(saved.suggestedFilename()).toBe("NVDA-1m.csv");
  const lines = readFileSync((await saved.path())!, "utf8")
    .trim()
    .split("\n");
  expect(lines[0]).toBe("symbol,start,open,high,low,close,volume,vwap,trades");
  const starts = lines.slice(1).map((line) => line.split(",")[1]!);
  expect(starts[0]).toBe(from.replace(".000", ""));
  expect(starts.at(-1)).toBe(to.replace(".000", ""));

  const image = page.waitForEvent("download");
  await page.getByRole("button", { name: "PNG" }).click();
  const png = readFileSync((await (await image).path())!);
  expect(png.subarray(1, 4).toString()).toBe("PNG");
  expect(png.length).toBeGreaterThan(5_000);

  await page.getByRole("button", { name: "Link" }).click();
  await expect(page.getByText("The link is copied.")).toBeVisible();
  const address = await page.evaluate(() => navigator.clipboard.readText());
  await page.goto("about:blank");
  await page.goto(address);
  await expect(chart(page)).toBeVisible();
  await expect.poll(() => rested(page)).toEqual([from, to]);
});

test("days fill the width, however few there are, and a link leads far back", async ({ page, launch }) => {
  const tracker = await launch(WITH_WEEKS);
  await page.goto(`${tracker.url}/s/NVDA?interval=1d`);
  await expect(chart(page)).toBeVisible();
  const bars = async (query: string) => {
    const found = await tracker.json(`/v1/symbols/NVDA/bars?${query}`);
    return (found as { items: { start: string }[] }).items;
  };
  const items = await bars("interval=1d");
  expect(items.length).toBeGreaterThan(15);
  await expect.poll(async () => (await rested(page))[0].slice(0, 10)).toBe(items[0]!.start.slice(0, 10));
  // Minutes of weeks ago are not among what is loaded at first.
  const minutes = await bars(`interval=1m&limit=61&from=${items[0]!.start}`);
  const [first, last] = [minutes[0]!.start, minutes.at(-1)!.start];
  await page.goto(`${tracker.url}/s/NVDA?at=${first}&bars=60`);
  await expect(chart(page)).toBeVisible();
  await expect.poll(() => rested(page)).toEqual([first, last].map((start) => start.replace("Z", ".000Z")));
});

test("choosing the price proposes a rule that can fire, and says why the other cannot", async ({
  page,
  still,
}) => {
  for (const path of ["/rule?symbol=NVDA", "/subscribe?ticker=NVDA"]) {
    await page.goto(still.url + path);
    await page.getByLabel("Metric").selectOption("price");
    const kind = page.getByLabel("What is unusual");
    await expect(kind).toHaveValue("move");
    await kind.selectOption("spike");
    await expect(page.getByText("A price does not reach 3 times its average")).toBeVisible();
    await page.getByRole("button", { name: "standard deviations away" }).click();
    await expect(kind).toHaveValue("zscore");
    await page.getByLabel("Metric").selectOption("volume");
    await kind.selectOption("spike");
    await expect(page.getByText("A price does not reach")).toBeHidden();
  }
});
