/** The same pages in Firefox. Playwright brings a build of its own; this drives the one that people have, by WebDriver BiDi. */

import puppeteer, { type Browser, type Page } from "puppeteer-core";
import { expect, test as base } from "./tracker";

const PATIENCE_MS = 30_000;

const test = base.extend<{ firefox: Page }, { browserOfPeople: Browser }>({
  browserOfPeople: [
    async ({}, use) => {
      const executablePath = process.env.FIREFOX ?? "/usr/bin/firefox-esr";
      const browser = await puppeteer.launch({ browser: "firefox", executablePath, headless: true });
      await use(browser);
      await browser.close();
    },
    { scope: "worker" },
  ],
  /** A page that fails the test with any error on it. */
  firefox: async ({ browserOfPeople }, use) => {
    const context = await browserOfPeople.createBrowserContext();
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    await page.setViewport({ width: 1280, height: 900 });
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(String(error)));
    await use(page);
    await context.close();
    expect(errors).toEqual([]);
  },
});
test.describe.configure({ timeout: 120_000 });

/** Waits for an element by what it is to those who listen. */
const found = (page: Page, name: string) => page.locator(`::-p-aria(${name})`);
const texts = (page: Page, selector: string) =>
  page.$$eval(selector, (found) => found.map((one) => one.textContent?.trim() ?? ""));
const shown = (page: Page) =>
  page.$eval('[data-stage="there"]', (box) => [
    (box as HTMLElement).dataset.from,
    (box as HTMLElement).dataset.to,
  ]);

test("every page is there", async ({ firefox: page, still }) => {
  for (const [path, title] of [
    ["/", /NVDA|Quiet|unusual|market/i],
    ["/s/NVDA", /NVDA/],
    ["/alerts", /Alerts/],
    ["/rule?symbol=NVDA&metric=volume", /fired|told me/],
    ["/subscribe?ticker=NVDA", /Get alerts|alerts/i],
    ["/status", /well|Status/i],
    ["/watchlist", /Watchlist/],
    ["/mailbox", /Mailbox/],
    ["/nonsense", /no such page/i],
  ] as const) {
    await page.goto(still.url + path);
    await page.waitForSelector("h1");
    await expect.poll(async () => (await texts(page, "h1")).join(" "), path).toMatch(title);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect(overflow, `${path} is wider than its window`).toBeLessThanOrEqual(0);
  }
});

test("the watchlist is sorted, narrowed and shown as a map", async ({ firefox: page, still }) => {
  await page.goto(still.url);
  await page.waitForSelector('[role="row"][data-symbol]');
  await page.locator('::-p-aria([name="Filter the watchlist"])').fill("nv");
  await expect.poll(() => page.$$eval("[role=row][data-symbol]", (rows) => rows.length)).toBe(1);
  await page.locator('::-p-aria([name="Filter the watchlist"])').fill("");
  await found(page, "Map").click();
  await expect.poll(() => page.evaluate(() => location.search)).toContain("view=map");
});

test("a chart is moved by keys, and stays there while bars arrive", async ({ firefox: page, tracker }) => {
  await page.goto(`${tracker.url}/s/NVDA`);
  const chart = await page.waitForSelector('[data-stage="there"]');
  await chart!.focus();
  for (let step = 0; step < 5; step += 1) await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("+");
  await expect.poll(async () => (await shown(page))[0]).toBeTruthy();
  const view = await shown(page);
  const minute = async () =>
    ((await tracker.json("/v1/symbols/NVDA")) as { bar: { start: string } }).bar.start;
  const before = await minute();
  await expect.poll(minute, { timeout: PATIENCE_MS }).not.toBe(before);
  await expect.poll(minute, { timeout: PATIENCE_MS }).not.toBe(before);
  expect(await shown(page)).toEqual(view);
});

test("somebody signs up, and the mail is there", async ({ firefox: page, still }) => {
  await page.goto(`${still.url}/subscribe?ticker=MSFT`);
  await page.locator('input[type="email"]').fill("firefox@example.com");
  await page.locator('main button[type="submit"], main form button:not([type="button"])').click();
  await page.waitForFunction(() => document.body.innerText.includes("firefox@example.com"));
  await page.goto(`${still.url}/mailbox`);
  await page.waitForFunction(() => document.body.innerText.includes("firefox@example.com"));
});

test("the theme is chosen and kept", async ({ firefox: page, still }) => {
  await page.goto(still.url);
  const button = () => page.locator('button[aria-label^="Theme"]').click();
  await page.waitForSelector('button[aria-label^="Theme"]');
  await button();
  await button();
  const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
  await expect.poll(theme).toBe("dark");
  await page.reload();
  await expect.poll(theme).toBe("dark");
});
