/** What people come to do, through the pages, on a phone and on a wide screen. */

import type { Page } from "@playwright/test";
import { chart, rested } from "./sight";
import { complaints, expect, PATIENCE_MS, test, type Tracker, until } from "./tracker";

/** Opens a page of the tracker and waits until it shows something. */
async function visit(page: Page, tracker: Tracker, path: string) {
  await page.goto(tracker.url + path);
  await expect(page.getByText("Loading …")).toHaveCount(0);
}

for (const width of [360, 1920]) {
  test.describe(`${width} px`, () => {
    test.use({ viewport: { width, height: width === 360 ? 740 : 1080 }, hasTouch: width === 360 });

    test("subscribe, confirm, be mailed, and end it", async ({ page, tracker }) => {
      const said = complaints(page);
      const address = `ada-${width}@example.com`;
      await visit(page, tracker, "/subscribe?ticker=NVDA&metric=volume");
      await expect(page.getByText(/This rule would have/)).toBeVisible();

      // What is wrong is said at its field.
      await page.getByLabel("Mail address").fill("nobody");
      await page.getByRole("button", { name: "Subscribe", exact: true }).click();
      await expect(page.getByText(/not a mail address/)).toBeVisible();
      await expect(page.getByLabel("Mail address")).toBeFocused();
      // The browser says that it was refused as well.
      await expect.poll(() => said).toEqual([expect.stringContaining("422")]);
      said.length = 0;

      // Any bar is news by this rule: it will not be long.
      await visit(
        page,
        tracker,
        "/subscribe?ticker=NVDA&metric=volume&rule=spike%20ratio%3D1.001%20window%3D2m%20min_bars%3D1%20cooldown%3D0s",
      );
      await page.getByLabel("Mail address").fill(address);
      await page.getByRole("button", { name: "Subscribe", exact: true }).click();
      await expect(page.getByRole("heading", { level: 1, name: /confirm/ })).toBeFocused();

      // The mail that asks.
      await page.getByRole("link", { name: /Open the mailbox/ }).click();
      await expect(page).toHaveURL(/\/mailbox/);
      const mails = page.getByRole("list", { name: /Mails/ });
      await mails.getByRole("button").filter({ hasText: address }).first().click();
      // As a mail program shows it; its link leads the window on, not the frame.
      await page
        .frameLocator("iframe")
        .getByRole("link", { name: /open this page/ })
        .click();
      await expect(page.getByRole("heading", { level: 1 })).toContainText(/NVDA/);
      await page.getByRole("button").first().click();
      await expect(page.getByRole("heading", { level: 1 })).toContainText(/confirmed|subscribed|active|set/i);

      // The mail that tells.
      await visit(page, tracker, "/mailbox");
      const told = mails
        .getByRole("button")
        .filter({ hasText: address })
        .filter({ hasNotText: /[Cc]onfirm/ });
      await expect(told.first()).toBeVisible();
      await told.first().click();
      const mail = page.frameLocator("iframe");
      await expect(mail.getByText(/NVDA traded .* The price was \$/).first()).toBeVisible();
      await page.getByLabel("Headers").check();
      await expect(page.getByRole("article")).toContainText("List-Unsubscribe-Post: ");
      await page.getByLabel("Plain text").check();
      await expect(page.getByRole("article")).toContainText(/NVDA traded/);

      // And its end.
      await page
        .getByRole("article")
        .getByRole("link", { name: /unsubscribe/ })
        .first()
        .click();
      await expect(page).toHaveURL(/\/v1\/subscriptions\/unsubscribe/);
      await page.getByRole("button").first().click();
      await expect(page.getByRole("heading", { level: 1 })).toContainText(
        /ended|no more|unsubscribed|stopped/i,
      );
      expect(said).toEqual([]);
    });

    test("a symbol, its chart and its alerts", async ({ page, tracker }) => {
      const said = complaints(page);
      const { symbol } = await tracker.alert();
      await visit(page, tracker, "/");
      await page
        .getByRole("table", { name: "Watchlist" })
        .getByRole("link", { name: symbol, exact: true })
        .click();
      await expect(page).toHaveURL(`${tracker.url}/s/${symbol}`);
      await expect(page.getByRole("heading", { level: 1, name: symbol })).toBeVisible();
      await expect(chart(page)).toBeVisible();
      for (const interval of ["5m", "15m", "1h", "1d", "1m"]) {
        await page.getByRole("button", { name: interval, exact: true }).click();
        await expect(chart(page)).toBeVisible();
      }
      await page.getByRole("button", { name: "5m", exact: true }).click();
      await expect(page).toHaveURL(/interval=5m/);
      await page.reload();
      await expect(page.getByRole("button", { name: "5m", exact: true })).toHaveAttribute(
        "aria-pressed",
        "true",
      );

      // An alert opens its evidence, and the address names it.
      const alerts = page.getByRole("region", { name: "Alerts" });
      await alerts.getByRole("listitem").first().getByRole("link").click();
      await expect(page).toHaveURL(/\/alerts\/[0-9a-f-]{36}$/);
      await expect(page.getByRole("heading", { level: 1, name: new RegExp(symbol) })).toBeVisible();
      await expect(page.getByRole("row", { name: /Sum of the window/ })).toBeVisible();
      await page.goBack();
      await expect(page).toHaveURL(new RegExp(`/s/${symbol}`));
      await expect(chart(page)).toBeVisible();
      await page.goBack();
      await expect(page.getByRole("table", { name: "Watchlist" })).toBeVisible();
      expect(said).toEqual([]);
    });

    test("a rule is tried, and becomes a subscription", async ({ page, tracker }) => {
      const said = complaints(page);
      await visit(page, tracker, "/rule?symbol=NVDA&metric=volume");
      const verdict = page.getByRole("heading", { level: 1 });
      await expect(verdict).toContainText(/This rule would have/);
      await expect(chart(page)).toBeVisible();
      const before = await verdict.textContent();
      await page.getByRole("slider", { name: /At least/ }).focus();
      await page.keyboard.press("End");
      await expect(verdict).not.toHaveText(before ?? "");
      await expect(page).toHaveURL(/rule=spike\+ratio%3D30/);
      await page.reload();
      await expect(page.getByRole("slider", { name: /At least/ })).toHaveAttribute(
        "aria-valuetext",
        "30 times",
      );
      await page.getByRole("link", { name: "Get these alerts" }).click();
      await expect(page).toHaveURL(/\/subscribe\?ticker=NVDA&metric=volume&rule=spike\+ratio%3D30/);
      await expect(page.getByRole("slider", { name: /At least/ })).toHaveAttribute(
        "aria-valuetext",
        "30 times",
      );
      expect(said).toEqual([]);
    });
  });
}

test("flags on the chart open their evidence, and Escape and Back close it", async ({ page, tracker }) => {
  const { id, symbol } = await tracker.alert();
  await visit(page, tracker, `/s/${symbol}?alert=${id}`);
  const dialog = page.getByRole("dialog", { name: `Alert of ${symbol}` });
  await expect(dialog).toBeVisible();
  await expect(dialog.getByRole("row", { name: /Ratio/ })).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(dialog).toBeHidden();
  await expect(page).toHaveURL(`${tracker.url}/s/${symbol}`);
});

test("a bar with a flag opens its evidence at a click", async ({ page, still }) => {
  const { symbol } = await still.alert();
  await visit(page, still, `/s/${symbol}?interval=1h`);
  await expect(chart(page)).toBeVisible();
  await rested(page);
  const box = (await chart(page).boundingBox())!;
  const dialog = page.getByRole("dialog");
  // Bars lie side by side, the newest to the right: one of them has it. The address tells at once, the dialog comes later.
  const isFound = () => page.evaluate(() => location.search.includes("alert="));
  for (let x = box.width - 60; x > 0 && !(await isFound()); x -= 3) {
    await page.mouse.click(box.x + x, box.y + box.height / 3);
  }
  await expect(dialog).toContainText(`${symbol} traded`);
  await expect(page).toHaveURL(/alert=[0-9a-f-]{36}/);
  await page.goBack();
  await expect(dialog).toBeHidden();
});

test("older bars are loaded as one moves back", async ({ page, tracker }) => {
  await visit(page, tracker, "/s/NVDA");
  await expect(chart(page)).toBeVisible();
  const asked: string[] = [];
  page.on("request", (request) => {
    if (request.url().includes("/bars?")) asked.push(request.url());
  });
  await chart(page).focus();
  await page.keyboard.press("Home");
  await expect.poll(() => asked.length).toBeGreaterThan(0);
});

test("former names lead to today's", async ({ page, tracker }) => {
  await visit(page, tracker, "/s/fb?interval=1h");
  await expect(page).toHaveURL(`${tracker.url}/s/META?interval=1h`);
  await expect(page.getByRole("heading", { level: 1, name: /META.*formerly FB/ })).toBeVisible();
});

test("the keyboard alone is enough", async ({ page, tracker }) => {
  await visit(page, tracker, "/");
  await page.keyboard.press("/");
  await page.keyboard.type("nvi");
  await expect(page.getByRole("option", { name: /NVDA/ })).toBeVisible();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(`${tracker.url}/s/NVDA`);
  await page.keyboard.press("?");
  await expect(page.getByRole("dialog", { name: "Keys" })).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog", { name: "Keys" })).toBeHidden();
  await visit(page, tracker, "/");
  await page.locator("[data-symbol] a").first().focus();
  await page.keyboard.press("ArrowDown");
  const second = page.locator("[data-symbol]").nth(1).locator(".symbol a");
  await expect(second).toBeFocused();
  const symbol = await second.textContent();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(`${tracker.url}/s/${symbol}`);
});

test.describe("a phone", () => {
  test.use({ viewport: { width: 360, height: 740 }, hasTouch: true });
  test("has a bar whose entries fit, and behind a button what is rarer", async ({ page, still }) => {
    await visit(page, still, "/");
    const bar = page.getByRole("navigation");
    const entries = bar.locator("> :is(a, button)");
    await expect(entries).toHaveText(["Overview", "Alerts", "Get alerts", "My alerts", "More"]);
    const isFitting = await entries.evaluateAll((all) => {
      const boxes = all.map((one) => one.getBoundingClientRect());
      const isApart = boxes.every(({ right }, at) => right <= (boxes[at + 1]?.left ?? innerWidth));
      return (
        isApart &&
        boxes.every(({ height }) => height >= 44) &&
        all.every((one) => one.scrollWidth <= one.clientWidth)
      );
    });
    expect(isFitting).toBe(true);
    const status = bar.getByRole("link", { name: "Status" });
    await expect(status).toBeHidden();
    await bar.getByRole("button", { name: "More" }).click();
    await page.keyboard.press("Escape");
    await expect(status).toBeHidden();
    await bar.getByRole("button", { name: "More" }).click();
    await status.click();
    await expect(page).toHaveURL(`${still.url}/status`);
    await expect(status).toBeHidden();
  });
});

test("the theme is kept, and every page has it", async ({ page, tracker }) => {
  await visit(page, tracker, "/");
  const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await paper();
  await page.getByRole("button", { name: /Theme/ }).click();
  await page.getByRole("button", { name: /Theme/ }).click();
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  const dark = await paper();
  expect(dark).not.toBe(light);
  await page.reload();
  await expect.poll(paper).toBe(dark);
});

test("the filters of the alerts are in the address", async ({ page, tracker }) => {
  const { symbol } = await tracker.alert();
  await visit(page, tracker, "/alerts");
  await page.getByRole("combobox", { name: /^Symbol/ }).selectOption(symbol);
  await expect(page).toHaveURL(new RegExp(`symbol=${symbol}`));
  await page.reload();
  await expect(page.getByRole("combobox", { name: /^Symbol/ })).toHaveValue(symbol);
  const lines = page.locator("main ol li p");
  await expect(lines.first()).toBeVisible();
  await expect(lines.filter({ hasNotText: symbol })).toHaveCount(0);
  await page.getByRole("combobox", { name: /^Metric/ }).selectOption("price");
  await expect(page.getByText(/No alert matches|No older alert matches/)).toBeVisible();
});

test("older alerts come page by page, and stay", async ({ page, tracker }) => {
  await until("a few alerts", async () => {
    const { items } = (await tracker.json("/v1/alerts?limit=5")) as { items: unknown[] };
    return items.length >= 3 ? true : null;
  });
  // Nothing comes by the stream, and pages are short.
  await page.route("**/v1/stream*", (route) => route.abort());
  await page.route(/\/v1\/alerts\?/, (route) => {
    const url = new URL(route.request().url());
    url.searchParams.set("limit", "1");
    return route.continue({ url: url.href });
  });
  await visit(page, tracker, "/alerts");
  const lines = page.locator("main ol li");
  await expect(lines).toHaveCount(1);
  for (const count of [2, 3]) {
    await page.getByRole("button", { name: "Older" }).click();
    await expect(lines).toHaveCount(count);
  }
});

test("nothing is asked of any other host, and nothing inline is needed", async ({ page, tracker }) => {
  const said = complaints(page);
  const hosts = new Set<string>();
  page.on("request", (request) => hosts.add(new URL(request.url()).origin));
  for (const path of ["/", "/s/NVDA", "/alerts", "/rule", "/subscribe", "/status", "/mailbox", "/docs"]) {
    await visit(page, tracker, path);
  }
  expect([...hosts]).toEqual([tracker.url]);
  const shell = await fetch(tracker.url);
  const policy = shell.headers.get("content-security-policy") ?? "";
  expect(policy).toContain("frame-ancestors 'none'");
  expect(policy).not.toMatch(/unsafe-(inline|eval)/);
  expect(said).toEqual([]);
});

/** Counts what moves in the pages that are opened from now on without anybody having asked for it. */
async function watchShifts(page: Page): Promise<() => Promise<number>> {
  await page.addInitScript(() => {
    const shifts: number[] = [];
    Object.assign(window, { shifts });
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) shifts.push((entry as unknown as { value: number }).value);
    }).observe({ type: "layout-shift", buffered: true });
  });
  return () =>
    page.evaluate(() =>
      (window as unknown as { shifts: number[] }).shifts.reduce((sum, value) => sum + value, 0),
    );
}

test("what a rule would have told comes without pushing its chart down", async ({ page, still }) => {
  const shifted = await watchShifts(page);
  // The answer comes last, as it does of long histories.
  const sessions = page.waitForResponse(/\/v1\/sessions/);
  await page.route("**/v1/backtests", async (route) => {
    await sessions;
    await page.waitForLoadState("load");
    await page.evaluate(
      () => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))),
    );
    await route.continue();
  });
  await page.goto(`${still.url}/rule?symbol=NVDA`);
  await expect(page.getByRole("heading", { level: 1 })).toContainText(/This rule would have/);
  await expect(chart(page)).toBeVisible();
  expect(await shifted()).toBeLessThan(0.1);
});

test("it does not shift while it loads", async ({ page, tracker }) => {
  const shifted = await watchShifts(page);
  for (const path of ["/", "/s/NVDA", "/alerts", "/status"]) {
    const moved = async () => {
      await visit(page, tracker, path);
      await until("the page to be still", () =>
        page.evaluate(() => document.fonts.status === "loaded" && document.readyState === "complete"),
      );
      return shifted();
    };
    // Where something unusual happens meanwhile, rows change places or a new alert stands above the others: that is no
    // shift of the page, and does not happen every time.
    await expect(async () => expect(await moved(), path).toBeLessThan(0.1)).toPass({ timeout: PATIENCE_MS });
  }
});
