/** This browser as a receiver: it subscribes to its push service with the server's key. */

import { get } from "../api/client";

/** What `POST /v1/subscriptions` takes of a browser. */
export type PushReceiver = PushSubscriptionJSON;

/** Whether this browser can be notified while no page is open. */
export const canPush = (): boolean =>
  "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;

/** Bytes of URL-safe base64. */
export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  const plain = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  return Uint8Array.from(plain, (character) => character.charCodeAt(0));
}

/** Whether a subscription was made with a key. */
function isOf(subscription: PushSubscription, key: Uint8Array): boolean {
  const made = new Uint8Array(subscription.options.applicationServerKey ?? new ArrayBuffer());
  return made.length === key.length && made.every((byte, at) => byte === key[at]);
}

/** Subscribes this browser, which asks its reader once. Called upon a click: browsers want one. Fails with a
 * sentence for the reader. */
export async function subscribeBrowser(): Promise<PushReceiver> {
  const permission = await Notification.requestPermission();
  if (permission === "denied")
    throw new Error(
      "This browser is set to show no notifications of this page. Allow them in its settings for the site, and try again.",
    );
  if (permission !== "granted")
    throw new Error("Without your permission this browser shows no notifications.");
  const { body } = await get<{ public_key: string }>("/v1/push");
  const key = bytesOf(body.public_key);
  try {
    const worker = await navigator.serviceWorker.ready;
    const known = await worker.pushManager.getSubscription();
    // One of another key, of before the server's was replaced, takes no pushes of ours.
    if (known && !isOf(known, key)) await known.unsubscribe();
    const subscription = await worker.pushManager.subscribe({
      userVisibleOnly: true,
      applicationServerKey: key,
    });
    return subscription.toJSON();
  } catch {
    throw new Error(
      "This browser's push service does not take it: in a private window, or where the service is switched off or cannot be reached, there are no notifications.",
    );
  }
}
