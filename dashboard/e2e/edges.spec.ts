/** Rough edges that somebody met: addresses half right, words of the wrong channel, notations mixed. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Page } from "@playwright/test";
import { complaints, expect, STILL, test, type Tracker } from "./tracker";

/** Opens a page of the tracker and waits until it shows something. */
async function visit(page: Page, tracker: Tracker, path: string) {
  const response = await page.goto(tracker.url + path);
  await expect(page.getByText("Loading …")).toHaveCount(0);
  return response;
}

const h1 = (page: Page) => page.getByRole("heading", { level: 1 });
const search = (page: Page) => page.getByRole("combobox", { name: "Find a symbol" });

test("an address half right leads a browser to a page with search, a program to a problem", async ({
  page,
  still,
}) => {
  for (const [path, status, heading] of [
    ["/nonsense", 404, /There is no such page/],
    ["/s/", 404, /There is no such page/],
    ["/nvda", 200, /NVDA/],
    ["/FB", 200, /META/],
    ["/alerts/", 200, /Alerts/],
  ] as const) {
    const response = await visit(page, still, path);
    expect(response?.status(), path).toBe(status);
    await expect(h1(page), path).toContainText(heading);
    await expect(search(page), path).toBeVisible();
    for (const accept of ["application/json", "*/*"]) {
      const told = await fetch(still.url + path, { headers: { accept } });
      expect([told.status, told.headers.get("content-type")], path).toEqual([
        404,
        "application/problem+json",
      ]);
    }
  }
});

test("a search for what is not tracked says so, says what is, and who can add it", async ({
  page,
  still,
}) => {
  await visit(page, still, "/");
  await search(page).fill("zzz");
  const said = page.getByRole("status").filter({ hasText: "ZZZ is not tracked here" });
  await expect(said).toBeVisible();
  await expect(said).toContainText("AAPL, MSFT");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(`${still.url}/s/ZZZ`);
  await expect(h1(page)).toHaveText("ZZZ is not tracked here");
  await expect(page.getByRole("main")).toContainText("watchlist.symbols");
  await expect(page.getByRole("main").getByRole("link", { name: "AAPL" })).toBeVisible();
});

test("the name of a day stands under its bar", async ({ page, still }) => {
  await visit(page, still, "/rule?symbol=NVDA&metric=volume");
  await expect(page.getByRole("list", { name: "Alerts by day" })).toBeVisible();
  const bars = page.getByRole("list", { name: "Alerts by day" }).getByRole("listitem");
  const days = await bars.evaluateAll((items) =>
    items.map((item) => {
      const middle = (element: Element | null) => {
        const range = document.createRange();
        range.selectNodeContents(element!);
        const { left, right } = range.getBoundingClientRect();
        return (left + right) / 2;
      };
      const bar = item.querySelector("svg")!.getBoundingClientRect();
      const name = item.querySelector(".day")!;
      return {
        full: item.getAttribute("title") ?? "",
        short: name.textContent ?? "",
        apart: middle(name) - (bar.left + bar.right) / 2,
      };
    }),
  );
  expect(days.length).toBeGreaterThan(0);
  expect(days.at(-1)!.short).not.toBe("");
  for (const day of days.filter(({ short }) => short !== "")) {
    expect(day.full).toContain(day.short);
    expect(Math.abs(day.apart), day.short).toBeLessThan(1);
  }
});

test("a field is red for as long as it is wrong", async ({ page, still }) => {
  await visit(page, still, "/subscribe?ticker=NVDA");
  const address = page.getByLabel("Mail address");
  await address.fill("nobody");
  await page.getByRole("button", { name: "Subscribe", exact: true }).click();
  await expect(address).toHaveAttribute("aria-invalid", "true");
  await address.fill("ada@example.com");
  await expect(address).not.toHaveAttribute("aria-invalid");
  await expect(page.locator(".field-error")).toHaveCount(0);
  await address.fill("nobody");
  await expect(address).toHaveAttribute("aria-invalid", "true");
});

test("a rule's field is red for as long as it is wrong", async ({ page, still }) => {
  await visit(page, still, "/rule?symbol=NVDA&rule=spike%20ratio%3D0.1");
  const ratio = page.getByRole("slider", { name: /At least/ });
  await expect(ratio).toHaveAttribute("aria-invalid", "true");
  // The answer is long in coming.
  await page.route("**/v1/backtests", () => {});
  await ratio.focus();
  await page.keyboard.press("End");
  await expect(ratio).not.toHaveAttribute("aria-invalid");
});

test("a webhook that was signed up is told of in its own words", async ({ page, still }) => {
  await page.route("**/v1/subscriptions", (route) =>
    route.fulfill({ status: 201, json: { status: "pending", ticker: "NVDA", metric: "volume" } }),
  );
  const signUp = async (format: string) => {
    await visit(page, still, "/subscribe?ticker=NVDA");
    await page.getByRole("button", { name: "Webhook" }).click();
    await page.getByLabel("Address").fill("https://hooks.example.com/x");
    await page.getByLabel("In the words of").selectOption(format);
    await page.getByRole("button", { name: "Subscribe", exact: true }).click();
    await expect(h1(page)).toContainText("confirm");
  };
  await signUp("standard");
  const main = page.getByRole("main");
  await expect(main).toContainText("subscription.confirmation");
  await expect(main).not.toContainText(/mail/i);
  await signUp("slack");
  await expect(main).toContainText("appears in the channel");
  await expect(main).not.toContainText(/mail/i);
});

test.describe("a browser that speaks German", () => {
  test.use({ locale: "de-DE" });
  test("reads numbers and dates in the page's language", async ({ page, still }) => {
    const { symbol } = await still.alert();
    await visit(page, still, `/s/${symbol}`);
    await expect(page.locator('[data-stage="there"]')).toBeVisible();
    const main = page.getByRole("main");
    await expect(main).toContainText(/\d+\.\d\d/);
    for (const path of [`/s/${symbol}`, "/", "/alerts", "/status", `/rule?symbol=${symbol}`]) {
      await visit(page, still, path);
      await expect(main).not.toContainText(/\d,\d\d?\b|Mio|Mi\.|Do\.|Fr\./);
    }
    expect(await page.evaluate(() => document.documentElement.lang)).toBe("en");
  });
});

test("the scale has numbers, each over its place on the gauges", async ({ page, still }) => {
  await visit(page, still, "/");
  const table = page.getByRole("table", { name: "Watchlist" });
  const heading = table.getByRole("columnheader", { name: "Volume ratio" });
  await expect(heading).toContainText(/0\.1\s*1\s*3\s*10\s*30/);
  const middle = async (text: string) => {
    const box = (await heading.getByText(text, { exact: true }).boundingBox())!;
    return box.x + box.width / 2;
  };
  // Columns take their width from what they hold, and some of that comes later.
  await expect(async () => {
    const axis = (await page.locator(".gauge svg").first().boundingBox())!;
    expect(Math.abs((await middle("0.1")) - axis.x)).toBeLessThan(2);
    expect(Math.abs((await middle("30")) - (axis.x + axis.width))).toBeLessThan(2);
  }).toPass();
  await expect(page.locator(".gauge").first()).toHaveAttribute("title", /0\.1× to 30×.*the rule, 3×/);
});

test("the tab is called after what is shown", async ({ page, still }) => {
  const { id, symbol } = await still.alert();
  await visit(page, still, "/s/nvda");
  await expect(page).toHaveTitle("NVDA · QQQ Tracker");
  await visit(page, still, `/alerts/${id}`);
  await expect(page).toHaveTitle(
    new RegExp(`^${symbol} (volume|price) \\d.*×, .*\\d\\d:\\d\\d · QQQ Tracker$`),
  );
  await page.getByRole("link", { name: `All of ${symbol}` }).click();
  await expect(page).toHaveTitle(`${symbol} · QQQ Tracker`);
  await visit(page, still, "/rule?symbol=NVDA");
  await expect(page).toHaveTitle(/^NVDA: would it have told me\?/);
});

test("arrows and j k go to the list at once, and stay out of the way elsewhere", async ({ page, still }) => {
  await visit(page, still, "/");
  const link = (index: number) => page.locator("[data-symbol]").nth(index).locator(".symbol a");
  // A key that comes before the rows has nowhere to go.
  await expect(link(2)).toBeVisible();
  await page.keyboard.press("ArrowDown");
  await expect(link(0)).toBeFocused();
  await page.keyboard.press("j");
  await expect(link(1)).toBeFocused();
  await page.keyboard.press("k");
  await expect(link(0)).toBeFocused();

  // What has the focus keeps its keys.
  await search(page).focus();
  await page.keyboard.type("j");
  await expect(search(page)).toHaveValue("j");
  await page.keyboard.press("Escape");
  const theme = page.getByRole("button", { name: /Theme/ });
  await theme.focus();
  await page.keyboard.press("ArrowDown");
  await expect(theme).toBeFocused();

  await link(2).focus();
  const symbol = await link(2).textContent();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(`${still.url}/s/${symbol}`);
});

test("messages that wait are explained", async ({ page, still }) => {
  await page.route("**/v1/status", async (route) => {
    const answer = await route.fetch();
    const status = (await answer.json()) as { deliveries: object };
    const waiting_for = [
      { reason: "quiet_hours", messages: 12 },
      { reason: "budget", messages: 7 },
    ];
    Object.assign(status.deliveries, { waiting: 19, oldest_waiting_seconds: 7200, waiting_for });
    await route.fulfill({ response: answer, json: status });
  });
  await visit(page, still, "/status");
  const main = page.getByRole("main");
  await expect(main).toContainText("19 messages waiting");
  await expect(main).toContainText("12 for the end of their receivers' quiet hours");
  await expect(main).toContainText("7 for room in what a receiver is sent in an hour");
});

test("the end of a snooze is told in the reader's own zone", async ({ page, tracker }) => {
  await visit(page, tracker, "/subscribe?ticker=AAPL");
  const address = "snooze@example.com";
  await page.getByLabel("Mail address").fill(address);
  await page.getByRole("button", { name: "Subscribe", exact: true }).click();
  await page.getByRole("link", { name: /Open the mailbox/ }).click();
  const mail = page.getByRole("list", { name: /Mails/ }).getByRole("button").filter({ hasText: address });
  await mail.first().click();
  await page.getByLabel("Plain text").check();
  const article = page.getByRole("article");
  const [token] = /(?<=\bToken:\s+)[\w-]{43}/.exec((await article.textContent())!)!;
  await article.getByRole("link", { name: /confirm/ }).click();
  await expect(page).toHaveURL(/\/v1\/subscriptions\/confirm/);
  await page.getByRole("button").first().click();
  await expect(h1(page)).toHaveText("You are subscribed");
  await page.goto(`${tracker.url}/v1/subscriptions/manage?token=${token}`);
  await page.getByRole("button", { name: "Snooze for an hour" }).click();
  const time = page.locator("time");
  await expect(time).toHaveText(/your time$/);
  const at = new Date((await time.getAttribute("datetime"))!);
  const inBerlin = new Intl.DateTimeFormat("en", {
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
    timeZone: "Europe/Berlin",
  });
  await expect(time).toContainText(inBerlin.format(at));
  await expect(time).toHaveAttribute("title", /New York time$/);
});

/** A page of another origin with a frame. Nearby: browsers let no page from afar reach this machine. */
async function board(framed: () => string): Promise<{ origin: string; close: () => void }> {
  const server = createServer((_, response) => {
    response.setHeader("content-type", "text/html");
    response.end(`<!doctype html><title>Board</title><iframe src="${framed()}"></iframe>`);
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo;
  return { origin: `http://127.0.0.1:${port}`, close: () => server.close() };
}

test("pages of listed origins show the dashboard in a frame, others do not", async ({ page, launch }) => {
  let framed = "";
  const [listed, other] = [await board(() => framed), await board(() => framed)];
  const tracker = await launch(`frame_ancestors = ["${listed.origin}"]\n${STILL}`);
  try {
    framed = `${tracker.url}/s/NVDA`;
    await page.goto(listed.origin);
    const inside = page.frameLocator("iframe");
    await expect(inside.getByRole("heading", { level: 1, name: /NVDA/ })).toBeVisible();
    const said = complaints(page);
    await page.goto(other.origin);
    await expect.poll(() => said.join()).toContain("frame-ancestors");
    await expect(inside.getByRole("heading", { level: 1, name: /NVDA/ })).toHaveCount(0);
  } finally {
    listed.close();
    other.close();
  }
});
