/** Who is signed in, and what is theirs. Of a browser that never was, the server is not asked. */

import { all, get } from "../api/client";
import type { Alert, Page, Session, Subscription } from "../api/types";
import { isOwn } from "../account/words";

/** Says that this browser was signed in: its cookie is not for scripts to see. */
const MARK = "qqq-signed-in";
/** Alerts by one's own rules that are held. */
const HELD = 200;

function mark(isSignedIn: boolean) {
  try {
    if (isSignedIn) localStorage.setItem(MARK, "1");
    else localStorage.removeItem(MARK);
  } catch {
    // A browser that keeps nothing shows one's own alerts on the page of them alone.
  }
}

export function wasSignedIn(): boolean {
  try {
    return localStorage.getItem(MARK) !== null;
  } catch {
    return false;
  }
}

class Account {
  /** `null` until it is known. */
  session: Session | null = $state.raw(null);
  subscriptions: Subscription[] = $state.raw([]);
  /** By rules of one's own, newest first: what no public list has. */
  alerts: Alert[] = $state.raw([]);
  /** The address that is signed in. */
  email: string | null = $derived(this.session?.email ?? null);

  /** Asks who is signed in, and for what is theirs. */
  async load(): Promise<void> {
    const { body } = await get<Session>("/v1/session");
    mark(body.signed_in);
    if (body.signed_in) {
      const [subscriptions, alerts] = await Promise.all([
        all<Subscription>("/v1/me/subscriptions"),
        get<Page<Alert>>("/v1/me/alerts", { own: "true", limit: HELD }),
      ]);
      [this.subscriptions, this.alerts] = [subscriptions.body, alerts.body.items];
    }
    this.session = body;
  }

  /** Where this browser was signed in: the same, and nothing where it was not, or cannot be asked now. */
  async resume(): Promise<void> {
    if (!wasSignedIn()) return;
    // The pages say by themselves when the server is away.
    await this.load().catch(() => {});
  }

  /** Nothing is kept of who was signed in: the page begins anew. */
  leave() {
    mark(false);
    location.assign("/me");
  }

  isOwn(alert: Alert): boolean {
    return isOwn(alert, this.subscriptions);
  }
}

export const account = new Account();
