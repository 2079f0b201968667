/** Alerts told by the browser itself, by rule. */

import { heard, record } from "./heard";
import { expect, PATIENCE_MS, test } from "./tracker";

test("an alert is told once by the browser, with a sound, as it was chosen", async ({
  page,
  context,
  fast,
}) => {
  await context.grantPermissions(["notifications"]);
  await context.addInitScript(record);
  await page.goto(`${fast.url}/alerts`);
  await page.getByText("In this browser").click();
  const own = page.getByRole("group").getByRole("combobox", { name: "the tracker's own" });
  await own.selectOption("sound");
  // Two tones, to hear what it will be like.
  await expect.poll(async () => (await page.evaluate(heard)).tones).toBeGreaterThanOrEqual(2);
  const other = await context.newPage();
  await other.goto(`${fast.url}/`);
  // Of two pages only one tells it, whichever hears of it first.
  const told = async () => [
    ...(await page.evaluate(heard)).notices,
    ...(await other.evaluate(heard)).notices,
  ];
  await expect.poll(async () => (await told()).length, { timeout: PATIENCE_MS }).toBeGreaterThan(0);
  const notices = await told();
  const tags = notices.map(({ tag }) => tag);
  expect(new Set(tags).size).toBe(tags.length);
  for (const { title, tag } of notices)
    expect(await fast.json(`/v1/alerts/${tag}`)).toMatchObject({ headline: title });

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
