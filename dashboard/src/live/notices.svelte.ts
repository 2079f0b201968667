/** Alerts told by the browser itself, with a sound where that is wanted: chosen by rule, kept in this browser. */

import type { Alert } from "../api/types";

const KEY = "qqq-notices";
/** An alert that is older than this when it is heard of, by the feed's clock, is not told: milliseconds. */
const NEWS_MS = 15 * 60_000;
/** Of several pages one tells an alert: it is theirs for so long. */
const HELD_MS = 5_000;

export type Way = "off" | "notice" | "sound";

/** How alerts of each rule are told. `""` stands for all others. */
export type Ways = Record<string, Way>;

const isWay = (value: unknown): value is Way => value === "off" || value === "notice" || value === "sound";

function read(): Ways {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "{}") as Record<string, unknown>;
    return Object.fromEntries(Object.entries(kept).filter((pair): pair is [string, Way] => isWay(pair[1])));
  } catch {
    // What was kept is not ours, or nothing may be kept.
    return {};
  }
}

/** How an alert is told: by its rule, or as all others. */
export const wayOf = (ways: Ways, rule: string): Way => ways[rule] ?? ways[""] ?? "off";

/** Whether an alert is news to somebody for whom it is `asOf`. */
export function isNews(alert: Alert, asOf: string | null): boolean {
  return alert.state === "raised" && asOf !== null && Date.parse(asOf) - Date.parse(alert.start) <= NEWS_MS;
}

class Notices {
  ways: Ways = $state.raw(read());
  permission: NotificationPermission | "none" = $state(
    typeof Notification === "undefined" ? "none" : Notification.permission,
  );
  #told = new Set<string>();
  #audio: AudioContext | null = null;

  /** Chooses how a rule's alerts are told. Asks the browser, where it has to be asked. */
  async choose(rule: string, way: Way): Promise<void> {
    this.ways = { ...this.ways, [rule]: way };
    try {
      localStorage.setItem(KEY, JSON.stringify(this.ways));
    } catch {
      // It holds until the page is left.
    }
    if (way !== "off" && this.permission === "default")
      this.permission = await Notification.requestPermission();
    // A sound needs somebody's touch first: this was one.
    if (way === "sound") this.#beep();
  }

  /** Hears of an alert, new or told before. */
  hear(alert: Alert, asOf: string | null) {
    const way = wayOf(this.ways, alert.rule);
    if (way === "off" || this.#told.has(alert.id) || !isNews(alert, asOf)) return;
    this.#told.add(alert.id);
    void this.#once(alert.id, () => {
      this.#show(alert);
      if (way === "sound") this.#beep();
    });
  }

  /** Of all pages of this browser, one does it. */
  async #once(id: string, act: () => void): Promise<void> {
    if (typeof navigator.locks === "undefined") return act();
    await navigator.locks.request(`alert ${id}`, { ifAvailable: true }, async (lock) => {
      if (lock === null) return;
      act();
      await new Promise((over) => setTimeout(over, HELD_MS));
    });
  }

  #show({ id, headline, text }: Alert) {
    if (this.permission !== "granted") return;
    // The same alert takes the place of the one before.
    const shown = new Notification(headline, { body: text, tag: id, icon: "/favicon.svg" });
    shown.onclick = () => {
      window.focus();
      location.assign(`/alerts/${id}`);
    };
  }

  /** Two short tones, falling. */
  #beep() {
    const audio = (this.#audio ??= new AudioContext());
    void audio.resume();
    for (const [at, pitch] of [
      [0, 880],
      [0.18, 660],
    ] as const) {
      const [tone, volume] = [audio.createOscillator(), audio.createGain()];
      tone.frequency.value = pitch;
      const from = audio.currentTime + at;
      volume.gain.setValueAtTime(0.2, from);
      volume.gain.exponentialRampToValueAtTime(0.001, from + 0.16);
      tone.connect(volume).connect(audio.destination);
      tone.start(from);
      tone.stop(from + 0.17);
    }
  }
}

export const notices = new Notices();
