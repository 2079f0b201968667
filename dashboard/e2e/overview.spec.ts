/** The overview as an instrument: what stands first, and how one has it. */

import type { Page } from "@playwright/test";
import { CROWD, expect, FALLEN, test } from "./tracker";

const table = (page: Page) => page.getByRole("table", { name: "Watchlist" });
const rows = (page: Page) => page.locator("[data-symbol]");
const order = (page: Page) =>
  rows(page).evaluateAll((all) => all.map((row) => (row as HTMLElement).dataset.symbol));
const heading = (page: Page, name: string) => table(page).getByRole("columnheader", { name });

test("a fall stands first and is said, by its own sessions; not after the close", async ({
  page,
  launch,
}) => {
  const tracker = await launch(FALLEN);
  await page.goto(tracker.url);
  const said = page.getByRole("heading", { level: 1 });
  await expect(said).toHaveText("Recorded market. NVDA is 3.50 % down, 7.0 times its usual range");
  await expect.poll(() => order(page)).toEqual(["NVDA", "AAPL"]);
  await expect(page.locator('[data-symbol="NVDA"].unusual')).toContainText("unusual now");
  await expect(page.locator('[data-symbol="AAPL"].usual')).toBeVisible();
  const { unusual } = (await tracker.json("/v1/symbols/NVDA")) as {
    unusual: { score: number; move: { percent: number; sessions: number } };
  };
  expect(unusual.score).toBeCloseTo(7, 9);
  expect(unusual.move).toMatchObject({ percent: -3.5, sessions: 6 });
  await said.getByRole("link").click();
  await expect(page).toHaveURL(`${tracker.url}/s/NVDA`);
});

test("after the close nothing is lit", async ({ page, closed }) => {
  await page.goto(closed.url);
  await expect(rows(page)).toHaveCount(10);
  await expect(page.locator(".unusual, .near, h1.hot")).toHaveCount(0);
});

test("headings sort both ways and back, and the address keeps it", async ({ page, closed }) => {
  await page.goto(closed.url);
  await expect(rows(page)).toHaveCount(10);
  const usual = await order(page);
  const symbols = [...usual].sort();
  const symbol = heading(page, "Symbol");
  await symbol.getByRole("button").click();
  await expect(symbol).toHaveAttribute("aria-sort", "ascending");
  await expect.poll(() => order(page)).toEqual(symbols);
  await symbol.getByRole("button").press("Enter");
  await expect(symbol).toHaveAttribute("aria-sort", "descending");
  await expect.poll(() => order(page)).toEqual([...symbols].reverse());
  await page.reload();
  await expect(symbol).toHaveAttribute("aria-sort", "descending");
  await expect.poll(() => order(page)).toEqual([...symbols].reverse());
  await symbol.getByRole("button").click();
  await expect(symbol).not.toHaveAttribute("aria-sort", /./);
  await expect.poll(() => order(page)).toEqual(usual);

  await heading(page, "Price").getByRole("button").click();
  await expect(heading(page, "Price")).toHaveAttribute("aria-sort", "descending");
  const prices = await table(page).locator(".value").allTextContents();
  const numbers = prices.map((price) => Number(price.replace(",", "")));
  expect(new Set(numbers).size).toBe(10);
  expect(numbers).toEqual([...numbers].sort((one, other) => other - one));
});

test("columns, density and view are chosen, and kept", async ({ page, still }) => {
  await page.setViewportSize({ width: 1440, height: 900 });
  await page.goto(still.url);
  await expect(heading(page, "Newest alert")).toBeVisible();
  await expect(heading(page, "To VWAP")).toBeHidden();
  await page.getByText("Columns", { exact: true }).click();
  await page.getByRole("checkbox", { name: "Newest alert" }).uncheck();
  await page.getByRole("checkbox", { name: "To VWAP" }).check();
  const height = () =>
    rows(page)
      .first()
      .evaluate((row) => row.getBoundingClientRect().height);
  const before = await height();
  const isDense = () => expect.poll(height).toBeLessThan(before * 0.7);
  await page.getByRole("checkbox", { name: "Dense rows" }).check();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("checkbox", { name: "Dense rows" })).toBeHidden();
  await isDense();
  await page.reload();
  await expect(heading(page, "To VWAP")).toBeVisible();
  await expect(heading(page, "Newest alert")).toBeHidden();
  await isDense();
  await page.getByText("Columns", { exact: true }).click();
  await page.getByRole("button", { name: "As it was" }).click();
  await expect(heading(page, "Newest alert")).toBeVisible();

  await page.getByRole("button", { name: "Map" }).click();
  const tile = page.getByRole("list", { name: "Watchlist" }).getByRole("link", { name: /^NVDA/ });
  await expect(tile).toBeVisible();
  await page.reload();
  await tile.click();
  await expect(page).toHaveURL(`${still.url}/s/NVDA`);
});

test("the filter finds by ticker, former ticker and name, and says when nothing is found", async ({
  page,
  still,
}) => {
  await page.goto(still.url);
  const filter = page.getByRole("searchbox", { name: "Filter the watchlist" });
  for (const [text, found] of [
    ["nv", ["NVDA"]],
    ["fb", ["META"]],
    ["alphabet", ["GOOG"]],
  ] as const) {
    await filter.fill(text);
    await expect.poll(() => order(page)).toEqual(found);
  }
  await filter.fill("zzz");
  await expect(page.getByText("Nothing on the watchlist is called “ZZZ”")).toBeVisible();
  await page.getByRole("button", { name: "Show all" }).click();
  await expect(rows(page)).toHaveCount(10);
});

test("a click anywhere on a row opens its symbol", async ({ page, still }) => {
  await page.goto(still.url);
  const row = page.locator('[data-symbol="MSFT"]');
  const { width, height } = (await row.boundingBox())!;
  await row.click({ position: { x: width * 0.45, y: height / 2 } });
  await expect(page).toHaveURL(`${still.url}/s/MSFT`);
});

test("the alerts stand beside the watchlist where there is room, and below it elsewhere", async ({
  page,
  tracker,
}) => {
  await tracker.alert();
  // Both at once: what stands above them changes with the market.
  const apart = () =>
    page.locator("main h2").evaluateAll((all) => {
      const top = (name: string) =>
        all.find((heading) => heading.textContent === name)!.getBoundingClientRect().top;
      return Math.abs(top("Watchlist") - top("Alerts"));
    });
  for (const [width, isBeside] of [
    [1279, false],
    [1280, true],
    [1920, true],
  ] as const) {
    await page.setViewportSize({ width, height: 900 });
    await page.goto(tracker.url);
    await expect(page.getByRole("complementary").locator("li").first()).toBeVisible();
    await expect.poll(async () => (await apart()) < 8).toBe(isBeside);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect(overflow).toBeLessThanOrEqual(0);
    const main = await page.getByRole("main").evaluate((main) => main.getBoundingClientRect().width);
    expect(main).toBeGreaterThan(Math.min(width, 1880) - 64);
  }
});

test("of 500 symbols only those in sight are made, and the heading stays", async ({ page, launch }) => {
  const tracker = await launch(CROWD);
  await page.setViewportSize({ width: 1440, height: 900 });
  await page.goto(`${tracker.url}/?order=symbol`);
  await expect(table(page)).toHaveAttribute("aria-rowcount", "501");
  await expect(page.locator('[data-symbol="S000"]')).toBeVisible();
  await expect.poll(() => rows(page).count()).toBeLessThan(60);
  const last = page.locator('[data-symbol="S499"]');
  await expect(async () => {
    await page.evaluate(() =>
      scrollBy(0, document.querySelector(".table")!.getBoundingClientRect().bottom - 700),
    );
    await expect(last).toBeInViewport({ timeout: 2_000 });
  }).toPass();
  await expect(last).toHaveAttribute("aria-rowindex", "501");
  await expect(heading(page, "Symbol")).toBeInViewport();
  await expect.poll(() => rows(page).count()).toBeLessThan(60);
  // The arrows lead beyond what was in sight.
  await last.getByRole("link").focus();
  for (let step = 0; step < 40; step += 1) await page.keyboard.press("ArrowUp");
  await expect(page.locator('[data-symbol="S459"]').getByRole("link")).toBeFocused();
});
