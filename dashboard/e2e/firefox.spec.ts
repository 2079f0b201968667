/** The same pages in Firefox. Playwright brings a build of its own; this drives the one that people have, by WebDriver BiDi. */

import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import puppeteer, { type Browser, type Page } from "puppeteer-core";
import { heard, record } from "./heard";
import { CHART, inSight } from "./sight";
import { CROWD, expect, FALLEN, PATIENCE_MS, test as base, type Tracker, until } from "./tracker";

/** Firefox, and the folder its files go to. */
interface People {
  browser: Browser;
  downloads: string;
}

/** Looks again and again. A page may go away meanwhile: the next one is looked at. */
const poll = <T>(look: () => Promise<T>, message?: string) =>
  expect.poll(() => look().catch(() => ""), { message, intervals: [100] });

/** A page, in the words of who looks at it. */
class Reader {
  constructor(
    readonly page: Page,
    readonly downloads: string,
  ) {}

  /** What is called so, by its role. */
  find = (role: string, name: string) => this.page.locator(`::-p-aria([role="${role}"][name="${name}"])`);
  click = (role: string, name: string) => this.find(role, name).click();
  press = (name: string) => this.click("button", name);
  fill = (role: string, name: string, text: string) => this.find(role, name).fill(text);

  /** Goes somewhere, and reads its heading. */
  async visit(address: string, heading: RegExp | string = /./) {
    await this.page.goto(address);
    await this.says(heading, "h1");
  }
  /** Waits until it says something. */
  says = (what: RegExp | string, where = "main") =>
    poll(async () => (await this.texts(where)).join(" "), this.page.url()).toMatch(what);
  /** Waits until there are so many. */
  counts = (selector: string, count: number) =>
    poll(() => this.page.$$eval(selector, (all) => all.length), selector).toBe(count);
  texts = (selector: string) =>
    this.page.$$eval(selector, (found) => found.map((one) => (one as HTMLElement).innerText.trim()));
  attribute = (selector: string, name: string) =>
    this.page.$eval(selector, (element, name) => element.getAttribute(name), name);
  address = () => this.page.evaluate(() => location.href);
  leads = (to: RegExp | string) => poll(this.address).toMatch(to);
  /** The symbols of the watchlist, as they stand. */
  order = () =>
    this.page.$$eval("[data-symbol]", (rows) => rows.map((row) => row.getAttribute("data-symbol")));
  sees = (symbols: (string | null)[]) => poll(this.order).toEqual(symbols);
  /** What of the chart is in sight, at rest. */
  sight = async () => (await this.page.waitForSelector(CHART))!.evaluate(inSight);
  /** A file that was saved, as soon as it is whole. */
  async saved(name: string): Promise<Buffer> {
    const isThere = async () => readdirSync(this.downloads).includes(name) && this.#read(name).length > 0;
    await poll(isThere, name).toBe(true);
    return this.#read(name);
  }
  #read = (name: string) => readFileSync(join(this.downloads, name));
}

const test = base.extend<{ firefox: Reader }, { people: People }>({
  people: [
    async ({}, use) => {
      const downloads = mkdtempSync(join(tmpdir(), "qqq-tracker-firefox-"));
      const browser = await puppeteer.launch({
        browser: "firefox",
        executablePath: process.env.FIREFOX ?? "/usr/bin/firefox-esr",
        headless: true,
        timeout: PATIENCE_MS,
        extraPrefsFirefox: {
          "browser.download.folderList": 2,
          "browser.download.dir": downloads,
          // Somebody who lets the page notify, and whose push service is out of reach.
          "permissions.default.desktop-notification": 1,
          "dom.push.serverURL": "wss://127.0.0.1:9/",
          // A German, on a German system.
          "intl.accept_languages": "de-DE, de",
          "intl.regional_prefs.use_os_locales": true,
        },
        env: { ...process.env, LANGUAGE: "de", LC_ALL: "de_DE.UTF-8" },
      });
      await use({ browser, downloads });
      await browser.close();
      rmSync(downloads, { recursive: true, force: true });
    },
    { scope: "worker", timeout: 2 * PATIENCE_MS },
  ],
  /** A page that fails the test with any error on it. */
  firefox: async ({ people }, use) => {
    const context = await people.browser.createBrowserContext();
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    await page.setViewport({ width: 1280, height: 900 });
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(String(error)));
    await use(new Reader(page, people.downloads));
    await context.close();
    expect(errors).toEqual([]);
  },
});

test("every page is there, called in its tab after what it shows, in one language", async ({
  firefox,
  still,
}) => {
  const { id, symbol } = await still.alert();
  for (const [path, heading, title] of [
    ["/", /NVDA|Quiet|unusual|market/i, /QQQ Tracker/],
    ["/s/nvda", /NVDA/, /^NVDA · /],
    ["/alerts", /Alerts/, /^Alerts · /],
    [`/alerts/${id}`, new RegExp(symbol), new RegExp(`^${symbol} volume \\d.*×, .*\\d\\d:\\d\\d · `)],
    ["/rule?symbol=NVDA&metric=volume", /fired|told me/, /^NVDA: would it have told me\?/],
    ["/subscribe?ticker=NVDA", /alerts/i, /NVDA/],
    ["/me", /My alerts/, /My alerts/],
    ["/status", /well|Status/i, /Status/],
    ["/watchlist", /Watchlist/, /Watchlist/],
    ["/mailbox", /Mailbox/, /Mailbox/],
    // Addresses half right.
    ["/nonsense", /no such page/i, /no such page/i],
    ["/s/", /no such page/i, /no such page/i],
    ["/nvda", /NVDA/, /^NVDA · /],
    ["/FB", /META.*formerly FB/, /^META · /],
    ["/alerts/", /Alerts/, /^Alerts · /],
    ["/v1/symbols/NOPE", /no such page/i, /no such page/i],
  ] as const) {
    await firefox.visit(still.url + path, heading);
    await poll(() => firefox.page.title(), path).toMatch(title);
    const overflow = await firefox.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect(overflow, `${path} is wider than its window`).toBeLessThanOrEqual(0);
    expect((await firefox.texts("main")).join(), path).not.toMatch(/\d,\d\d?\b|Mio|Mi\.|Do\.|Fr\./);
  }
  expect(
    await firefox.page.evaluate(() => `${navigator.language} ${new Intl.NumberFormat().format(0.5)}`),
  ).toBe("de-DE 0,5");
});

test("a fall stands first and is said; after the close nothing is lit", async ({
  firefox,
  closed,
  launch,
}) => {
  const fallen = await launch(FALLEN);
  await firefox.visit(fallen.url, "NVDA is 3.50 % down, 7.0 times its usual range");
  await firefox.sees(["NVDA", "AAPL"]);
  await firefox.counts('[data-symbol="NVDA"].unusual', 1);
  await firefox.visit(closed.url);
  await firefox.counts("[data-symbol]", 10);
  await firefox.counts(".unusual, .near, h1.hot", 0);
});

test("choosing the price proposes a rule that can fire", async ({ firefox, still }) => {
  await firefox.visit(`${still.url}/rule?symbol=NVDA`);
  await firefox.fill("combobox", "Metric", "price");
  const kind = () => firefox.page.evaluate(() => new URLSearchParams(location.search).get("rule"));
  await poll(kind).toMatch(/^move /);
  await firefox.fill("combobox", "What is unusual", "spike");
  await firefox.says("A price does not reach 3 times its average");
  await firefox.press("standard deviations away");
  await poll(kind).toMatch(/^zscore/);
});

test("the watchlist stands beside the alerts, is sorted, narrowed, made dense and shown as a map", async ({
  firefox,
  closed,
  still,
}) => {
  const { page } = firefox;
  await still.alert();
  const apart = () =>
    page.$$eval("main h2", (all) => {
      const top = (name: string) =>
        all.find((heading) => heading.textContent === name)!.getBoundingClientRect().top;
      return Math.abs(top("Watchlist") - top("Alerts"));
    });
  for (const [width, isBeside] of [
    [1279, false],
    [1280, true],
  ] as const) {
    await page.setViewport({ width, height: 900 });
    await firefox.visit(still.url);
    await page.waitForSelector("aside li");
    await poll(async () => (await apart()) < 8).toBe(isBeside);
  }

  await firefox.visit(closed.url);
  await firefox.counts("[data-symbol]", 10);
  const symbols = (await firefox.order()).sort();
  for (const sorted of [symbols, [...symbols].reverse()]) {
    await firefox.press("Symbol");
    await firefox.sees(sorted);
  }
  await page.reload();
  await firefox.sees([...symbols].reverse());
  await firefox.fill("searchbox", "Filter the watchlist", "alphabet");
  await firefox.sees(["GOOG"]);
  await firefox.fill("searchbox", "Filter the watchlist", "");

  const height = () => page.$eval("[data-symbol]", (row) => row.getBoundingClientRect().height);
  const before = await height();
  await page.locator("::-p-text(Columns)").click();
  await firefox.click("checkbox", "Dense rows");
  await poll(height).toBeLessThan(before * 0.7);
  await firefox.press("Map");
  await firefox.leads("view=map");
  await page.locator('a[href="/s/NVDA"]').click();
  await firefox.leads(/\/s\/NVDA$/);
});

test("of 500 symbols only those in sight are made", async ({ firefox, launch }) => {
  const { page } = firefox;
  const crowd = await launch(CROWD);
  await firefox.visit(`${crowd.url}/?order=symbol`);
  await poll(() => firefox.attribute('[role="table"]', "aria-rowcount")).toBe("501");
  const made = () => page.$$eval("[data-symbol]", (rows) => rows.length);
  await poll(made).toBeLessThan(60);
  await poll(() =>
    page.evaluate(() => {
      scrollBy(0, document.querySelector(".table")!.getBoundingClientRect().bottom - 700);
      return document.querySelector('[data-symbol="S499"]')?.getAttribute("aria-rowindex");
    }),
  ).toBe("501");
  await poll(made).toBeLessThan(60);
  await page.focus('[data-symbol="S499"] a');
  for (let step = 0; step < 20; step += 1) await page.keyboard.press("ArrowUp");
  await poll(() => page.evaluate(() => document.activeElement?.textContent)).toBe("S479");
});

test("a chart is moved by hand and keys, and stays there while bars arrive", async ({ firefox, tracker }) => {
  const { page } = firefox;
  await firefox.visit(`${tracker.url}/s/NVDA`);
  const first = await firefox.sight();
  const box = (await (await page.$(CHART))!.boundingBox())!;
  const [x, y] = [box.x + box.width * 0.3, box.y + box.height * 0.3];
  await page.mouse.move(x, y);
  await page.mouse.wheel({ deltaY: -300 });
  const zoomed = await firefox.sight();
  expect(zoomed[0] > first[0], `${zoomed[0]} is after ${first[0]}`).toBe(true);
  await page.mouse.down();
  await page.mouse.move(x + box.width * 0.5, y, { steps: 8 });
  await page.mouse.up();
  const dragged = await firefox.sight();
  expect(dragged[1] < zoomed[1], `${dragged[1]} is before ${zoomed[1]}`).toBe(true);
  await page.focus(CHART);
  // One after the other at once: each goes on from the one before.
  for (const key of ["ArrowLeft", "ArrowLeft", "+"] as const) await page.keyboard.press(key);
  const view = await firefox.sight();
  expect(view[1] < dragged[1], `${view[1]} is before ${dragged[1]}`).toBe(true);
  const minute = async () =>
    ((await tracker.json("/v1/symbols/NVDA")) as { bar: { start: string } }).bar.start;
  for (let bars = 0; bars < 2; bars += 1) {
    const before = await minute();
    await poll(minute).not.toBe(before);
    expect(await firefox.sight()).toEqual(view);
  }
});

test("a chart is compared and scaled, a level becomes an alert, and what is in sight is taken away", async ({
  firefox,
  still,
}) => {
  const { page } = firefox;
  await firefox.visit(`${still.url}/s/NVDA`);
  await firefox.sight();
  const isPressed = (name: string) =>
    page.$$eval(
      "button[aria-pressed]",
      (all, name) => all.find((button) => button.textContent === name)?.getAttribute("aria-pressed"),
      name,
    );
  for (const [name, scale] of [
    ["log", /scale=log/],
    ["%", /scale=percent/],
    ["VWAP", /lines=/],
  ] as const) {
    await firefox.press(name);
    await firefox.leads(scale);
    await poll(() => isPressed(name)).toBe("true");
  }
  await firefox.press("$");
  await firefox.fill("combobox", "Compare with", "MSFT");
  await firefox.leads(/against=MSFT/);
  await poll(() => isPressed("%")).toBe("true");
  await firefox.fill("combobox", "Compare with", "");
  await poll(() => isPressed("$")).toBe("true");

  await page.focus(CHART);
  for (let step = 0; step < 6; step += 1) await page.keyboard.press("ArrowLeft");
  const view = await firefox.sight();
  await firefox.press("CSV");
  const lines = (await firefox.saved("NVDA-1m.csv")).toString().trim().split("\n");
  const ends = [lines[1]!, lines.at(-1)!].map((line) => line.split(",")[1]!.replace("Z", ".000Z"));
  expect(ends).toEqual(view);
  await firefox.press("PNG");
  expect((await firefox.saved("NVDA-1m.png")).subarray(1, 4).toString()).toBe("PNG");
  await firefox.press("Link");
  await firefox.says("The link is copied.");
  const address = await firefox.address();
  await page.goto("about:blank");
  await page.goto(address);
  await poll(firefox.sight).toEqual(view);

  await firefox.press("Draw a level");
  await firefox.says("Click where the line is to be.");
  await page.locator(CHART).click({ offset: { x: 300, y: 8 } });
  await firefox.click("link", "Alert me when it is crossed");
  await firefox.leads(/\/subscribe\?.*rule=cross\+above/);
});

test("ten stocks: one form, one mail as a mail program shows it, one click", async ({ firefox, launch }) => {
  const { page } = firefox;
  const own = await launch();
  await firefox.visit(`${own.url}/subscribe`);
  await firefox.press("Choose all");
  await firefox.says("10 symbols chosen");
  await firefox.fill("textbox", "Mail address", "ten@example.com");
  await firefox.press("Subscribe");
  await firefox.says(/once it is confirmed/, "h1");
  const link = await own.link("ten@example.com", "", "/confirm?token=");
  await firefox.visit(`${own.url}/mailbox`);
  const frame = await (await page.waitForSelector("article iframe"))!.contentFrame();
  await poll(() => frame.$eval("body", (body) => body.textContent)).toContain("10 symbols");
  await firefox.visit(link);
  await firefox.counts("input[type=checkbox]:checked", 10);
  await page.locator("button").click();
  await firefox.says("You are subscribed", "h1");
  const { items } = (await own.json("/v1/mailbox")) as { items: unknown[] };
  expect(items).toHaveLength(1);
});

/** Has somebody subscribed, and signs the page in. */
async function signIn(firefox: Reader, tracker: Tracker, email: string) {
  await firefox.visit(`${tracker.url}/subscribe?ticker=NVDA`);
  await firefox.fill("textbox", "Mail address", email);
  await firefox.press("Subscribe");
  await firefox.says(/once it is confirmed/, "h1");
  await fetch(await tracker.link(email, "Please confirm", "/confirm?token="), { method: "POST" });
  await firefox.visit(`${tracker.url}/me`);
  await firefox.fill("textbox", "Mail address", email);
  await firefox.press("Send me a link");
  await firefox.says("Look into your mail", "h1");
  await firefox.visit(await tracker.link(email, "Sign in", "/v1/session/link"));
  await firefox.press("Sign in");
  await firefox.says(email);
}

test("who signs in by a link sees, changes, pauses and ends alerts, takes all along and erases it", async ({
  firefox,
  launch,
}) => {
  const own = await launch();
  await signIn(firefox, own, "ada@example.com");
  await firefox.says("1 subscription");
  await firefox.press("Pause NVDA volume");
  await firefox.says("Paused");
  await firefox.press("Resume NVDA volume");
  await firefox.says("Active");
  await firefox.press("Change NVDA volume");
  await firefox.fill("combobox", "What is unusual", "zscore");
  await firefox.press("Save");
  await firefox.says(/standard deviations/);
  await firefox.click("link", "Add alerts");
  await firefox.says("To ada@example.com");
  await firefox.press("Subscribe");
  await firefox.says("You are subscribed", "h1");
  await firefox.visit(`${own.url}/me`);
  await firefox.says("2 subscriptions");
  await firefox.press("End NVDA volume");
  await firefox.press("Yes, end it");
  await firefox.says("1 subscription");
  await firefox.click("link", "Download");
  expect(JSON.parse((await firefox.saved("qqq-tracker.json")).toString())).toBeTruthy();
  await firefox.press("Erase …");
  await firefox.press("Erase everything");
  await firefox.find("button", "Send me a link").wait();
});

test("an operator watches a symbol, and takes it off", async ({ firefox, launch }) => {
  const own = await launch();
  await firefox.visit(`${own.url}/watchlist?find=advanced+micro`);
  await firefox.press("Watch AMD");
  await firefox.says("AMD is watched from now on");
  await firefox.visit(own.url);
  await firefox.counts('[data-symbol="AMD"]', 1);
  await firefox.visit(`${own.url}/watchlist`);
  await firefox.press("Remove AMD");
  await firefox.says("AMD is not watched any more");
  await firefox.visit(own.url);
  await firefox.counts("[data-symbol]", 10);
});

test("alerts are told by the browser, with a sound, as it was chosen", async ({ firefox, fast }) => {
  const { page } = firefox;
  await page.evaluateOnNewDocument(record);
  await firefox.visit(`${fast.url}/alerts`);
  await page.locator("::-p-text(In this browser)").click();
  await firefox.fill("combobox", "the tracker's own", "sound");
  await poll(async () => (await page.evaluate(heard)).tones).toBeGreaterThanOrEqual(2);
  await until("a notice", async () => (await page.evaluate(heard)).notices[0]);
  await page.reload();
  await firefox.says("In this browser: on");
});

test("the page can be installed, offers its notifications, and says why there are none", async ({
  firefox,
  still,
}) => {
  const { page } = firefox;
  await firefox.visit(`${still.url}/subscribe?ticker=NVDA`);
  const manifest = await page.evaluate(async () => {
    const { href } = document.querySelector<HTMLLinkElement>('link[rel="manifest"]')!;
    return (await fetch(href)).json() as Promise<{ name: string; display: string }>;
  });
  expect(manifest).toMatchObject({ name: "QQQ Tracker", display: "standalone" });
  await firefox.press("This browser");
  await firefox.says(/asks\s+for your permission/);
  await firefox.press("Subscribe");
  await firefox.says("push service does not take it", '[role="alert"]');
});

test("the theme is chosen and kept", async ({ firefox, still }) => {
  await firefox.visit(still.url);
  await firefox.press("Theme: as the system");
  await firefox.press("Theme: light");
  const theme = () => firefox.page.evaluate(() => document.documentElement.dataset.theme);
  await poll(theme).toBe("dark");
  await firefox.page.reload();
  await poll(theme).toBe("dark");
});
