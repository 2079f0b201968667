/** What moves by itself: the stream, its breaks, and the program's restarts. */

import { complaints, expect, test, type Tracker, until } from "./tracker";

/** Bars of one symbol as the stream tells them, with the time they came. */
async function* bars(tracker: Tracker, symbol: string, signal: AbortSignal) {
  const response = await fetch(`${tracker.url}/v1/stream?symbols=${symbol}`, { signal });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const frame = text.slice(0, end);
      text = text.slice(end + 2);
      const data = /^event: bar\ndata: (.*)$/m.exec(frame)?.[1];
      if (data) yield { start: (JSON.parse(data) as { start: string }).start, at: Date.now() };
    }
  }
}

test("a committed bar is on the page within a second", async ({ page, tracker }) => {
  await page.goto(tracker.url);
  await expect(page.locator('[data-symbol="NVDA"]')).toBeVisible();
  await page.evaluate(() => {
    const row = document.querySelector<HTMLElement>('[data-symbol="NVDA"]')!;
    const seen: { start: string; at: number }[] = [];
    Object.assign(window, { seen });
    const see = () => seen.push({ start: row.dataset.start!, at: Date.now() });
    new MutationObserver(see).observe(row, { attributeFilter: ["data-start"] });
  });
  const stop = new AbortController();
  const told: { start: string; at: number }[] = [];
  for await (const bar of bars(tracker, "NVDA", stop.signal)) {
    told.push(bar);
    if (told.length === 6) break;
  }
  stop.abort();
  const seen = () => page.evaluate(() => (window as unknown as { seen: typeof told }).seen);
  // A bar is on the page as soon as it, or a later one, is.
  const late = await until("all of them on the page", async () => {
    const all = await seen();
    const at = told.map((bar) => all.find(({ start }) => start >= bar.start)?.at);
    return at.includes(undefined) ? null : told.map((bar, index) => at[index]! - bar.at);
  });
  // A machine may halt for a moment, and does not for most of them.
  expect(late.sort((one, other) => one - other)[told.length / 2]).toBeLessThan(1000);
});

test("the page says that the connection is lost, and goes on by itself when the program is back", async ({
  page,
  launch,
}) => {
  const tracker = await launch();
  await page.goto(tracker.url);
  const row = page.locator('[data-symbol="NVDA"]');
  await expect(row).toBeVisible();
  const top = () => page.getByRole("main").evaluate((main) => main.getBoundingClientRect().top);
  const place = await top();
  await tracker.kill();
  await expect(page.getByText("Connection lost")).toBeVisible();
  // Nothing moves for it.
  expect(await top()).toBe(place);
  const before = (await row.getAttribute("data-start"))!;
  await tracker.resume();
  await expect(page.getByText("Connection lost")).toBeHidden();
  await expect.poll(async () => (await row.getAttribute("data-start"))! > before).toBe(true);
  // What was missed is there: the page and the API say the same of every alert.
  const { items } = (await tracker.json("/v1/alerts?limit=5")) as { items: { id: string }[] };
  await page.goto(`${tracker.url}/alerts`);
  for (const { id } of items) await expect(page.locator(`a[href="/alerts/${id}"]`).first()).toBeAttached();
});

test("a page that was asked for while the program was away comes when it is back", async ({
  page,
  launch,
}) => {
  const tracker = await launch();
  await page.goto(tracker.url);
  await expect(page.locator('[data-symbol="NVDA"]')).toBeVisible();
  await tracker.kill();
  await expect(page.getByText("Connection lost")).toBeVisible();
  await page.getByRole("navigation").getByRole("link", { name: "Try a rule" }).click();
  await expect(page.getByRole("heading", { name: "could not be loaded" })).toBeVisible();
  await tracker.resume();
  await expect(page.getByRole("slider", { name: /At least/ })).toBeVisible();
  await expect(page).toHaveURL(`${tracker.url}/rule`);
});

test("rows stay where they are while somebody points at them", async ({ page, tracker }) => {
  const said = complaints(page);
  await page.goto(tracker.url);
  const order = () =>
    page
      .locator("[data-symbol]")
      .evaluateAll((rows) => rows.map((row) => (row as HTMLElement).dataset.symbol));
  await page.locator("[data-symbol]").nth(3).hover();
  await expect(page.getByText("The order is held")).toBeVisible();
  const before = await order();
  const { symbol } = await tracker.alert();
  // A few more bars of everything.
  const row = page.locator(`[data-symbol="${symbol}"]`);
  const start = await row.getAttribute("data-start");
  await expect.poll(async () => row.getAttribute("data-start")).not.toBe(start);
  expect(await order()).toEqual(before);
  expect(said).toEqual([]);
});
