/** Alerts told by the browser itself, by rule. */

import { expect, test } from "./tracker";

interface Heard {
  notices: { title: string; tag: string }[];
  tones: number;
}

test("an alert is told once by the browser, with a sound, as it was chosen", async ({
  page,
  context,
  fast,
}) => {
  test.setTimeout(120_000);
  await context.grantPermissions(["notifications"]);
  await context.addInitScript(() => {
    const heard: Heard = { notices: [], tones: 0 };
    Object.assign(window, { heard });
    class Recorded {
      static permission = "granted";
      static requestPermission = () => Promise.resolve("granted");
      onclick: (() => void) | null = null;
      constructor(title: string, options: { tag: string }) {
        heard.notices.push({ title, tag: options.tag });
      }
    }
    Object.assign(window, { Notification: Recorded });
    const start = OscillatorNode.prototype.start;
    OscillatorNode.prototype.start = function (at?: number) {
      heard.tones += 1;
      start.call(this, at);
    };
  });
  const heard = () => page.evaluate(() => (window as unknown as { heard: Heard }).heard);
  await page.goto(`${fast.url}/alerts`);
  await page.getByText("In this browser").click();
  const own = page.getByRole("group").getByRole("combobox", { name: "the tracker's own" });
  await own.selectOption("sound");
  // Two tones, to hear what it will be like.
  await expect.poll(async () => (await heard()).tones).toBeGreaterThanOrEqual(2);
  const other = await context.newPage();
  await other.goto(`${fast.url}/`);
  await expect.poll(async () => (await heard()).notices.length, { timeout: 90_000 }).toBeGreaterThan(0);
  const { notices } = await heard();
  const { items } = (await fast.json("/v1/alerts?limit=50")) as { items: { id: string; headline: string }[] };
  for (const { title, tag } of notices) expect(items.find(({ id }) => id === tag)?.headline).toBe(title);
  // Of two pages only one tells it.
  const elsewhere = await other.evaluate(() => (window as unknown as { heard: Heard }).heard.notices);
  const tags = [...notices, ...elsewhere].map(({ tag }) => tag);
  expect(new Set(tags).size).toBe(tags.length);

  await page.reload();
  await page.getByText("In this browser: on").click();
  await expect(own).toHaveValue("sound");
  await own.selectOption("off");
  await page.reload();
  await expect(page.getByText("In this browser", { exact: true })).toBeVisible();
});

test("the page can be installed", async ({ page, still }) => {
  await page.goto(still.url);
  const address = await page.locator('link[rel="manifest"]').getAttribute("href");
  const answer = await page.request.get(still.url + address!);
  expect(answer.headers()["content-type"]).toBe("application/manifest+json");
  const manifest = (await answer.json()) as { name: string; start_url: string; icons: { src: string }[] };
  expect(manifest).toMatchObject({ name: "QQQ Tracker", start_url: "/", display: "standalone" });
  for (const { src } of manifest.icons) expect((await page.request.get(still.url + src)).status()).toBe(200);
});
