/** What stays while data arrive: where a reader looks, what is being typed, what is open. And that nothing is loaded twice. */

import type { Page } from "@playwright/test";
import { chart, rested, shown } from "./sight";
import { complaints, expect, test, type Tracker, until } from "./tracker";

// A page that scrolls smoothly is somewhere in between while a test looks.
test.use({ reducedMotion: "reduce" });

/** The newest bar of a symbol, as the server has it. */
async function newest(tracker: Tracker, symbol: string): Promise<{ start: string; close: number }> {
  const { bar } = (await tracker.json(`/v1/symbols/${symbol}`)) as { bar: { start: string; close: number } };
  return bar;
}

/** Lets so many bars of a symbol reach the page, each with a poll of the status, and looks again after each. */
async function bars(page: Page, count: number, look: () => Promise<void>, symbol = "NVDA") {
  const source = await page.evaluateHandle((symbol) => {
    const heard = { bars: 0, close: () => stream.close() };
    const stream = new EventSource(`/v1/stream?symbols=${symbol}`);
    stream.addEventListener("bar", () => {
      heard.bars += 1;
      // What the page does when somebody comes back to it, and every half a minute.
      document.dispatchEvent(new Event("visibilitychange"));
    });
    return heard;
  }, symbol);
  let before = 0;
  while (before < count) {
    const seen = before;
    before = await until("another bar", async () => {
      const bars = await source.evaluate((heard) => heard.bars);
      return bars > seen ? bars : null;
    });
    await look();
  }
  await source.evaluate((heard) => heard.close());
}

/** Whatever the page asks the API for from now on, but for the status. */
function requests(page: Page): string[] {
  const asked: string[] = [];
  page.on("request", (request) => {
    const { pathname, search } = new URL(request.url());
    if (pathname.startsWith("/v1/") && !/^\/v1\/(status|stream)$/.test(pathname))
      asked.push(pathname + search);
  });
  return asked;
}

/** Waits until the page has asked for all it asks for at first. The newest of longer bars is asked for again and again. */
async function settled(page: Page) {
  // A page that polls may never be idle.
  await page.waitForLoadState("networkidle", { timeout: 10_000 }).catch(() => {});
  const asked = requests(page);
  let before = -1;
  const atFirst = () => asked.filter((path) => !path.includes("/bars?interval=")).length;
  const rests = () => {
    const [seen, now] = [before, atFirst()];
    before = now;
    return seen === now;
  };
  await expect.poll(rests, { intervals: [2_000] }).toBe(true);
  page.removeAllListeners("request");
}

/** As by hand: a drag to the right shows what was before, the wheel zooms. */
async function lookBack(page: Page) {
  const box = (await chart(page).boundingBox())!;
  const [x, y] = [box.x + box.width * 0.3, box.y + box.height * 0.3];
  await page.mouse.move(x, y);
  await page.mouse.wheel(0, -300);
  await page.mouse.down();
  await page.mouse.move(x + box.width * 0.55, y, { steps: 12 });
  await page.mouse.up();
  return rested(page);
}

test("the chart stays where a reader has put it, and loads nothing again", async ({ page, fast }) => {
  test.slow();
  const said = complaints(page);
  await page.goto(`${fast.url}/s/NVDA`);
  await expect(chart(page)).toBeVisible();
  await settled(page);
  const view = await lookBack(page);
  const { start } = await newest(fast, "NVDA");
  expect(view[1] < start, `${view[1]} is before the newest bar, ${start}`).toBe(true);

  const asked = requests(page);
  await bars(page, 130, async () => expect(await shown(page)).toEqual(view));
  expect(asked).toEqual([]);

  // At the newest bar the view goes with it.
  await chart(page).focus();
  await page.keyboard.press("End");
  const from = (await shown(page))[1];
  await bars(page, 30, async () => {});
  const to = (await shown(page))[1];
  expect(to > from, `${to} is after ${from}`).toBe(true);
  await expect
    .poll(async () => Date.parse((await newest(fast, "NVDA")).start) - Date.parse((await shown(page))[1]))
    .toBeLessThan(20 * 60_000);
  expect(asked).toEqual([]);
  expect(said).toEqual([]);
});

test("as far back as one can look, the chart stays too", async ({ page, tracker }) => {
  await page.goto(`${tracker.url}/s/NVDA`);
  await expect(chart(page)).toBeVisible();
  const box = (await chart(page).boundingBox())!;
  const y = box.y + box.height * 0.3;
  // Until another drag shows nothing else: whatever was before has been loaded.
  const before = { view: "", drags: 0 };
  await expect
    .poll(
      async () => {
        await page.mouse.move(box.x + 60, y);
        await page.mouse.down();
        await page.mouse.move(box.x + box.width * 0.9, y, { steps: 4 });
        await page.mouse.up();
        before.drags += 1;
        const view = (await shown(page)).join();
        const rests = view === before.view;
        before.view = view;
        return rests;
      },
      { intervals: [1_000], timeout: 60_000 },
    )
    .toBe(true);
  const view = await rested(page);
  // Between two frames too: whatever the box tells, somebody may read.
  const told = await chart(page).evaluateHandle((box: HTMLElement) => {
    const told = new Set<string>();
    const look = () => told.add(`${box.dataset.from} ${box.dataset.to}`);
    new MutationObserver(look).observe(box, { attributeFilter: ["data-from", "data-to"] });
    look();
    return told;
  });
  await bars(page, 5, async () => expect(await shown(page)).toEqual(view));
  expect(await told.evaluate((told) => [...told])).toEqual([view.join(" ")]);
});

test("what the page has loaded ahead is what it asks for, once", async ({ page, still }) => {
  const asked = requests(page);
  page.on("request", (request) => {
    const { pathname } = new URL(request.url());
    if (pathname === "/v1/status") asked.push(pathname);
  });
  await page.goto(still.url);
  await expect(page.getByRole("row", { name: /AAPL/ })).toBeVisible();
  await page.waitForLoadState("networkidle", { timeout: 10_000 }).catch(() => {});
  const links = page.locator('link[rel="preload"][as="fetch"]');
  const ahead = await links.evaluateAll((links) => links.map((link) => link.getAttribute("href") ?? ""));
  expect(ahead.length).toBeGreaterThan(0);
  const list = (path: string) => path.split("?")[0];
  for (const path of ahead) expect(asked.filter((one) => list(one) === list(path))).toEqual([path]);
});

test("longer bars are asked for where they changed, and only there", async ({ page, fast }) => {
  test.slow();
  await page.goto(`${fast.url}/s/NVDA?interval=5m`);
  await expect(chart(page)).toBeVisible();
  await settled(page);
  const view = await lookBack(page);
  const asked = requests(page);
  const before = (await newest(fast, "NVDA")).start;
  await bars(page, 60, async () => expect(await shown(page)).toEqual(view));
  const froms = asked.map((path) => new URL(path, fast.url).searchParams.get("from") ?? path);
  expect(asked.filter((path) => !path.startsWith("/v1/symbols/NVDA/bars?interval=5m"))).toEqual([]);
  // Of the bar that was growing and of those after it; ten minutes pass in a second, and a busy page is seconds behind.
  const begun = Date.parse(before) - 3 * 3600_000;
  expect(froms.filter((from) => !(Date.parse(from) >= begun))).toEqual([]);
  expect(asked.length).toBeLessThanOrEqual(60);
});

const isBacktest = (path: string) => path === "/v1/backtests";

test("an alert's chart and a rule's chart stay too", async ({ page, fast }) => {
  test.slow();
  const { id, symbol } = await fast.alert();
  for (const path of [`/alerts/${id}`, `/rule?symbol=${symbol}`]) {
    await page.goto(fast.url + path);
    await expect(chart(page)).toBeVisible();
    await settled(page);
    const view = await lookBack(page);
    const asked = requests(page);
    await bars(page, 40, async () => expect(await shown(page)).toEqual(view), symbol);
    // A rule's chart is of longer bars, whose newest grow; with a trading day, of which one lasts 39 seconds here, the days
    // looked back on move.
    const others = asked.filter((path) => !path.includes("/bars?interval="));
    expect(others.filter((path) => !isBacktest(path))).toEqual([]);
    expect(others.length).toBeLessThanOrEqual(1);
    page.removeAllListeners("request");
  }
});

test("the label at the axis is the last price, wherever one looks", async ({ page, still }) => {
  await page.addInitScript(() => {
    const drawn: string[] = [];
    Object.assign(window, { drawn });
    const draw = CanvasRenderingContext2D.prototype.fillText;
    CanvasRenderingContext2D.prototype.fillText = function (text: string, ...rest) {
      drawn.push(text);
      draw.call(this, text, ...(rest as [number, number]));
    };
  });
  await page.goto(`${still.url}/s/NVDA`);
  await expect(chart(page)).toBeVisible();
  const drawn = () => page.evaluate(() => (window as unknown as { drawn: string[] }).drawn);
  const dollars = (value: number) => value.toFixed(2);
  const { close } = await newest(still, "NVDA");
  await expect.poll(drawn).toContain(dollars(close));
  await lookBack(page);
  // The crosshair has a label of its own.
  await page.mouse.move(0, 0);
  await chart(page).focus();
  // The steps of the axis are round; a close in cents is a label, if it is not by chance the last.
  const inSight = await until("a price of its own at the edge", async () => {
    await page.keyboard.press("ArrowLeft");
    const at = (await rested(page))[1].replace(".000", "");
    const path = `/v1/symbols/NVDA/bars?interval=1m&from=${at}&limit=1`;
    const { items } = (await still.json(path)) as { items: { close: number }[] };
    const found = dollars(items[0]!.close);
    return /[05]$/.test(found) || Math.abs(items[0]!.close - close) < 0.1 ? null : found;
  });
  await page.evaluate(() => ((window as unknown as { drawn: string[] }).drawn.length = 0));
  // A theme draws all of it anew.
  await page.emulateMedia({ colorScheme: "dark" });
  await expect.poll(async () => (await drawn()).length).toBeGreaterThan(0);
  expect(await drawn()).not.toContain(inSight);
});

test("what a chart has to say is said over it", async ({ page, still, dead }) => {
  const onTop = async (text: RegExp) => {
    const words = page.getByText(text).first();
    await expect(words).toBeVisible();
    const isOnTop = await words.evaluate((element) => {
      element.scrollIntoView({ block: "center" });
      const { x, y, width, height } = element.getBoundingClientRect();
      const top = document.elementFromPoint(x + width / 2, y + height / 2);
      return top !== null && (element.contains(top) || top.contains(element)) && !top.querySelector("canvas");
    });
    expect(isOnTop, `${String(text)} is not covered`).toBe(true);
  };
  let answer: "never" | "fail" | "go" = "never";
  await page.route(/\/bars\?/, async (route) => {
    if (answer === "go") return route.continue();
    if (answer === "fail") return route.fulfill({ status: 503, body: "" });
    await until("the test to go on", () => Promise.resolve(answer === "never" ? null : true));
    return route.fulfill({ status: 503, body: "" });
  });
  await page.goto(`${still.url}/s/NVDA`);
  await onTop(/Loading bars/);
  answer = "fail";
  await onTop(/could not be loaded/);
  await onTop(/Try again/);
  answer = "go";
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(chart(page)).toBeVisible();
  await page.goto(`${dead.url}/s/NVDA`);
  await onTop(/No bars of NVDA yet/);
});

test("what is being typed stays, with the cursor", async ({ page, fast }) => {
  test.slow();
  const said = complaints(page);
  // Whether the focus and the text are where they were, after every bar.
  const types = async (text: string) => {
    let typed = "";
    for (const letter of text) {
      await page.keyboard.type(letter);
      typed += letter;
      // A field of numbers does not tell of a point that nothing follows yet.
      await bars(page, 3, async () => expect([typed, typed.replace(/\.$/, "")]).toContain(await focused()));
    }
    expect(await focused()).toBe(text);
  };
  const focused = () =>
    page.evaluate(
      () => (document.activeElement as HTMLInputElement | null)?.value ?? "nothing has the focus",
    );

  await page.goto(`${fast.url}/subscribe?ticker=NVDA`);
  await page.getByLabel("Mail address").click();
  await types("ada@x.io");
  await page.getByLabel(/Quiet hours/).check();
  await page.getByLabel("Time zone").fill("");
  await types("UTC");
  await expect(page.getByLabel("Mail address")).toHaveValue("ada@x.io");

  await page.goto(`${fast.url}/rule?symbol=NVDA&metric=price&rule=cross%20above%3D100`);
  await page.getByLabel("Level, $").fill("");
  await types("123.45");

  // The list under the search field keeps what is marked.
  await page.goto(fast.url);
  await expect(page.getByRole("combobox").first()).toBeVisible();
  await page.keyboard.press("/");
  await types("a");
  await page.keyboard.press("ArrowDown");
  const list = page.getByRole("listbox");
  const marked = await list.getByRole("option", { selected: true }).textContent();
  await bars(page, 10, async () => {
    await expect(list).toBeVisible();
    expect(await list.getByRole("option", { selected: true }).textContent()).toBe(marked);
  });
  expect(said.filter((line) => !/status of 4(00|22|29)/.test(line))).toEqual([]);
});

test("what is open stays open, and the page stays where it was scrolled to", async ({ page, fast }) => {
  test.slow();
  await page.setViewportSize({ width: 1280, height: 420 });
  const { id, symbol } = await fast.alert();

  // An alert's evidence over a chart.
  await page.goto(`${fast.url}/s/${symbol}?alert=${id}`);
  const dialog = page.getByRole("dialog");
  await expect(dialog).toBeVisible();
  await dialog.evaluate((element) => Object.assign(element, { isTheSame: true }));
  const said = await dialog.getByRole("heading").first().textContent();
  await expect
    .poll(() => dialog.evaluate((element) => (element.scrollTop = 60) && element.scrollTop))
    .toBe(60);
  await bars(page, 20, async () => {
    expect(
      await dialog.evaluate((element) => (element as unknown as { isTheSame?: boolean }).isTheSame),
    ).toBe(true);
    expect(await dialog.evaluate((element) => element.scrollTop)).toBe(60);
    expect(await dialog.getByRole("heading").first().textContent()).toBe(said);
  });

  // A definition.
  await page.goto(`${fast.url}/s/NVDA`);
  await page.getByRole("button", { name: "Trailing average" }).click();
  const definition = page.getByRole("tooltip").filter({ hasText: "The mean of the bars of the hour" });
  await page.mouse.move(0, 0);
  await bars(page, 20, async () => expect(await definition.isVisible()).toBe(true));

  // A table, and how far it was read.
  await page.getByText("The newest bars as a table").click();
  const scrolled = () => page.evaluate(() => scrollY);
  await page.evaluate(() => scrollTo(0, 500));
  const place = await scrolled();
  await bars(page, 20, async () => {
    expect(await scrolled()).toBe(place);
    expect(await page.getByRole("columnheader", { name: "Open, $" }).isVisible()).toBe(true);
  });

  // The place in a list that grows at its head.
  await page.goto(`${fast.url}/alerts`);
  await expect(page.locator("main ol li").first()).toBeVisible();
  await page.evaluate(() => scrollTo(0, document.body.scrollHeight / 2));
  const top = () =>
    page.evaluate(() => {
      const lines = [...document.querySelectorAll<HTMLElement>("main ol li a[href^='/alerts/']")];
      const line = lines.find((each) => each.getBoundingClientRect().top >= 60);
      return line ? `${line.getAttribute("href")} ${Math.round(line.getBoundingClientRect().top)}` : "";
    });
  const line = await top();
  await bars(page, 40, async () => expect(await top()).toBe(line));

  // A link that has the focus, in a list that changes its order.
  await page.goto(fast.url);
  const focused = () => page.evaluate(() => document.activeElement?.textContent);
  await page.getByRole("table", { name: "Watchlist" }).getByRole("link").nth(4).focus();
  const name = await focused();
  await bars(page, 40, async () => expect(await focused()).toBe(name));
});

test("rows that change places do not take the page along", async ({ page, fast }) => {
  await page.setViewportSize({ width: 1280, height: 420 });
  await page.goto(`${fast.url}/?order=volume`);
  const rows = page.locator("[data-symbol]");
  const order = () => rows.evaluateAll((all) => all.map((row) => row.dataset.symbol).join(" "));
  await expect(page.getByRole("region", { name: "Rankings" }).getByRole("link")).toHaveCount(20);
  const scrolled = () => page.evaluate(() => scrollY);
  const y = await rows.nth(3).evaluate((row) => row.getBoundingClientRect().top + scrollY);
  await page.evaluate((y) => scrollTo(0, y), y);
  const place = await scrolled();
  expect(place).toBeGreaterThan(0);
  const before = await order();
  await bars(page, 15, async () => expect(await scrolled()).toBe(place));
  await expect.poll(order).not.toBe(before);
});

test("rankings hold their order and the focus while somebody is there, and no longer", async ({
  page,
  fast,
}) => {
  test.slow();
  await page.goto(fast.url);
  const rankings = page.getByRole("region", { name: "Rankings" });
  await expect(rankings.getByRole("link")).toHaveCount(20);
  const orders = () =>
    rankings
      .locator("ol")
      .evaluateAll((lists) =>
        lists.map((list) => [...list.querySelectorAll("a")].map((link) => link.textContent).join(" ")),
      );
  const focused = () => page.evaluate(() => document.activeElement?.textContent);

  // Each row of a ranking moves sooner or later: its link keeps the focus, and the other one holds still with it.
  for (const place of [0, 4, 9, 14]) {
    await rankings.getByRole("link").nth(place).focus();
    await expect(rankings.getByText("The order is held")).toBeVisible();
    const name = await focused();
    const before = await orders();
    await bars(page, 12, async () => {
      expect(await focused()).toBe(name);
      expect(await orders()).toEqual(before);
    });
  }

  // Nobody is there: what moved meanwhile shows.
  const before = await orders();
  await page.evaluate(() => (document.activeElement as HTMLElement).blur());
  await expect.poll(orders).not.toEqual(before);
  await expect(rankings.getByText("Largest first")).toBeVisible();

  // A pointer holds as well; another figure has an order of its own at once.
  await rankings.getByRole("link").nth(2).hover();
  await expect(rankings.getByText("The order is held")).toBeVisible();
  const pointed = await orders();
  await bars(page, 12, async () => expect(await orders()).toEqual(pointed));
  await rankings.getByRole("button", { name: "Absolute" }).click();
  await expect.poll(orders).not.toEqual(pointed);
});

test("back and forward lead to where one was", async ({ page, still }) => {
  await page.setViewportSize({ width: 1280, height: 420 });
  const scrolled = () => page.evaluate(() => Math.round(scrollY));
  await page.goto(still.url);
  // It is kept as soon as the page is still.
  const kept = async () => {
    await expect
      .poll(() => page.evaluate(() => (history.state as { scroll?: number } | null)?.scroll === scrollY))
      .toBe(true);
    return scrolled();
  };
  const rankings = page.getByRole("region", { name: "Rankings" });
  await expect(rankings.getByRole("link")).toHaveCount(20);
  const link = rankings.getByRole("link").nth(5);
  await link.scrollIntoViewIfNeeded();
  const place = await kept();
  expect(place).toBeGreaterThan(100);
  await link.click();
  await expect(chart(page)).toBeVisible();
  await settled(page);
  await expect.poll(scrolled).toBe(0);
  await page.getByRole("heading", { name: "Figures" }).scrollIntoViewIfNeeded();
  const below = await kept();
  expect(below).toBeGreaterThan(0);
  await page.goBack();
  await expect.poll(scrolled).toBe(place);
  await page.goForward();
  await expect.poll(scrolled).toBe(below);
  await page.reload();
  await expect.poll(scrolled).toBe(below);
});

test("whoever goes where nothing is, is shown a page that leads on", async ({ page, still }) => {
  for (const path of ["/nonsense", "/s/", "/none/such/page", "/v1/symbols/NOPE", "/v1/symbols?limit=0"]) {
    const answer = await page.goto(still.url + path);
    expect(answer?.status(), path).toBe(path.includes("limit") ? 400 : 404);
    await expect(page.getByRole("heading", { level: 1 }), path).toBeVisible();
    await page.getByRole("main").getByRole("link", { name: "verview" }).click();
    await expect(page, path).toHaveURL(`${still.url}/`);
    await expect(page.getByRole("table", { name: "Watchlist" })).toBeVisible();
  }
  for (const [path, page_] of [
    ["/NVDA", "/s/NVDA"],
    ["/fb", "/s/META"],
    ["/alerts/", "/alerts"],
    ["/status/", "/status"],
  ]) {
    await page.goto(still.url + path);
    await expect(page).toHaveURL(still.url + page_!);
  }
  await page.goto(`${still.url}/nvd`);
  await page.getByText("Did you mean").getByRole("link", { name: "NVDA" }).click();
  await expect(page.getByRole("heading", { level: 1, name: /NVDA/ })).toBeVisible();
});
