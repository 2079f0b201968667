/** Notifications of the browser: the form with a push service that is made up, and the worker with a push that is
 * handed to it as the browser would. */

import type { CDPSession, Page } from "@playwright/test";
import { expect, test, type Tracker } from "./tracker";

test.use({ serviceWorkers: "allow" });

/** Of RFC 8291, appendix A. */
const TOLD = {
  endpoint: "https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV",
  expirationTime: null,
  keys: {
    p256dh: "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
    auth: "BTBZMqHH6r4Tts7J_aSIgg",
  },
};

/** Has the browser's push service take everything, or nothing. */
async function pretend(page: Page, takes: boolean) {
  await page.addInitScript(
    ([told, takes]) => {
      PushManager.prototype.getSubscription = async () => null;
      PushManager.prototype.subscribe = async () => {
        if (!takes) throw new DOMException("push service error", "AbortError");
        return { toJSON: () => told } as unknown as PushSubscription;
      };
      Notification.requestPermission = async () => "granted";
    },
    [TOLD, takes] as const,
  );
}

async function form(page: Page, tracker: Tracker) {
  await page.goto(`${tracker.url}/subscribe?ticker=NVDA`);
  await page.getByRole("button", { name: "This browser" }).click();
  await expect(page.getByText(/asks\s+for your permission/)).toBeVisible();
}

test("this browser is signed up with what its push service said", async ({ page, tracker }) => {
  await pretend(page, true);
  const asked: unknown[] = [];
  page.on("request", (request) => {
    if (request.url().endsWith("/v1/subscriptions")) asked.push(request.postDataJSON());
  });
  await form(page, tracker);
  await page.getByRole("button", { name: "Subscribe", exact: true }).click();
  await expect(page.getByRole("heading", { level: 1, name: /once it is confirmed/ })).toBeFocused();
  await expect(page.getByText(/this browser shows a notification that asks/)).toBeVisible();
  expect(asked).toEqual([{ channel: "push", push: TOLD, symbols: ["NVDA"], metric: "volume" }]);
});

test("where the push service takes nothing, the form says so and sends nothing", async ({
  page,
  tracker,
}) => {
  await pretend(page, false);
  let sent = 0;
  page.on("request", (request) => (sent += request.url().endsWith("/v1/subscriptions") ? 1 : 0));
  await form(page, tracker);
  await page.getByRole("button", { name: "Subscribe", exact: true }).click();
  await expect(page.getByRole("alert")).toContainText("push service does not take it");
  expect(sent).toBe(0);
});

/** The registration of the page's worker, as the browser's tools know it. */
async function registration(cdp: CDPSession): Promise<string> {
  const found = new Promise<string>((resolve) =>
    cdp.on("ServiceWorker.workerVersionUpdated", ({ versions }) => {
      const active = versions.find(({ status }) => status === "activated");
      if (active) resolve(active.registrationId);
    }),
  );
  await cdp.send("ServiceWorker.enable");
  return found;
}

test("a push becomes a notification, and one of the same alert takes its place", async ({
  page,
  context,
  tracker,
}) => {
  await context.grantPermissions(["notifications"], { origin: tracker.url });
  await page.goto(tracker.url);
  await page.evaluate(() => navigator.serviceWorker.ready);
  const cdp = await context.newCDPSession(page);
  const registrationId = await registration(cdp);
  const push = (told: object) =>
    cdp.send("ServiceWorker.deliverPushMessage", {
      origin: tracker.url,
      registrationId,
      data: JSON.stringify(told),
    });
  const shown = () =>
    page.evaluate(async () => {
      const worker = await navigator.serviceWorker.ready;
      return (await worker.getNotifications()).map(({ title, body, tag, data }) => ({
        title,
        body,
        tag,
        data,
      }));
    });
  const told = {
    title: "NVDA volume 18.7x its last hour",
    text: "NVDA traded 9,637,512 shares.",
    tag: "one",
    url: `${tracker.url}/alerts/one`,
    buttons: [{ title: "Unsubscribe", url: `${tracker.url}/x` }],
  };
  await push(told);
  await expect
    .poll(shown)
    .toEqual([
      { title: told.title, body: told.text, tag: "one", data: { url: told.url, buttons: told.buttons } },
    ]);
  await push({ ...told, title: "Retracted: NVDA volume 18.7x its last hour" });
  await expect
    .poll(async () => (await shown()).map(({ title }) => title))
    .toEqual([`Retracted: ${told.title}`]);
});
