/** The built program, in a folder of its own, with a simulated market: what the pages are tested against. */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type Page, test as base } from "@playwright/test";

const BINARY = process.env.QQQ_TRACKER ?? resolve(import.meta.dirname, "../../target/debug/qqq-tracker");
/** How long something is waited for that comes by itself. */
export const PATIENCE_MS = process.env.CI === "true" ? 120_000 : 60_000;

/** Waits until `look` finds something. */
export async function until<T>(what: string, look: () => Promise<T | null | undefined>): Promise<T> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await look().catch(() => null);
    if (found !== null && found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`waited ${PATIENCE_MS} ms in vain for ${what}`);
    await new Promise((wake) => setTimeout(wake, 20));
  }
}

/** Where this process looks for ports: below those that the system gives to connections, one of which would take a port
 * between two runs of a tracker; and apart from its neighbours. */
let next = 20_000 + ((process.pid * 37) % 12_000);

/** A port nobody listens on. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = next++;
    const server = createServer();
    const isFree = await new Promise<boolean>((found) => {
      server.once("error", () => found(false));
      server.listen(port, "127.0.0.1", () => server.close(() => found(true)));
    });
    if (isFree) return port;
  }
}

export class Tracker {
  #process: ChildProcess | null = null;
  #ended: Promise<void> = Promise.resolve();

  private constructor(
    readonly folder: string,
    readonly url: string,
    private readonly hasBars: boolean,
  ) {}

  /** Starts one. `settings` are lines of its configuration beside listening and the store; `hasBars`: whether its feed
   * brings any. */
  static async start(settings = SIMULATED, hasBars = true): Promise<Tracker> {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const folder = mkdtempSync(join(tmpdir(), "qqq-tracker-pages-"));
    writeFileSync(
      join(folder, "qqq-tracker.toml"),
      `[server]\nlisten = "127.0.0.1:${port}"\npublic_url = "${url}"\n${settings}`,
    );
    if (settings === CLOSED) writeFileSync(join(folder, "friday.csv"), friday());
    if (settings === FALLEN) writeFileSync(join(folder, "fallen.csv"), fallen());
    if (settings === CROWD) writeFileSync(join(folder, "crowd.csv"), crowd());
    const tracker = new Tracker(folder, url, hasBars);
    try {
      await tracker.resume();
    } catch (error) {
      await tracker.stop();
      throw error;
    }
    return tracker;
  }

  /** Starts it (again), with the store it has, and waits until it answers. */
  async resume(): Promise<void> {
    let said = "";
    const child = spawn(BINARY, ["run"], { cwd: this.folder, stdio: ["ignore", "pipe", "pipe"] });
    const hear = (text: Buffer) => (said = (said + text.toString()).slice(-4000));
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    this.#process = child;
    this.#ended = new Promise((end) => {
      child.once("close", () => end());
      child.once("error", (error) => {
        hear(Buffer.from(String(error)));
        end();
      });
    });
    const isUp = until("the tracker to know its first bars", async () => {
      const { items } = (await this.json("/v1/symbols")) as {
        items: { bar: unknown; age_seconds: number | null }[];
      };
      // The weeks before come first.
      const isUpToDate = items.some((item) => item.age_seconds !== null && item.age_seconds <= 60);
      return items.length > 0 && (!this.hasBars || (items.every((item) => item.bar !== null) && isUpToDate))
        ? true
        : null;
    });
    const isOver = this.#ended.then(() => Promise.reject(new Error("the tracker has ended")));
    await Promise.race([isUp, isOver]).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${said}`);
    });
  }

  /** Kills it, as a power cut would. */
  async kill(): Promise<void> {
    this.#process?.kill("SIGKILL");
    this.#process = null;
    await this.#ended;
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async json(path: string): Promise<unknown> {
    const response = await fetch(this.url + path);
    if (!response.ok) throw new Error(`${path} answered ${response.status}`);
    return response.json();
  }

  /** The link with `part` in the newest mail to `address` whose subject begins so, waited for. */
  link(address: string, subject: string, part: string): Promise<string> {
    return until(subject, async () => {
      const { items } = (await this.json("/v1/mailbox")) as {
        items: { to: string; subject: string; text: string }[];
      };
      const mail = items.find((each) => each.to === address && each.subject.startsWith(subject));
      return mail?.text.split(/\s+/).find((word) => word.includes(part));
    });
  }

  /** The newest alert, waited for. */
  alert(): Promise<{ id: string; symbol: string; metric: string; start: string }> {
    return until("an alert", async () => {
      const { items } = (await this.json("/v1/alerts?limit=1")) as { items: { id: string }[] };
      return items[0] as { id: string; symbol: string; metric: string; start: string } | undefined;
    });
  }
}

/** A minute of every symbol each second, in the middle of a regular session. */
export const SIMULATED = `
[feed]
provider = "sim"
[feed.sim]
seed = 3
speed = "60x"
start = "2025-01-29T16:00:00Z"
sessions = 1
`;

/** One that moves as little as a test may want, with the weeks before that say what is usual. */
export const WITH_WEEKS = SIMULATED.replace('"60x"', '"1x"').replace("sessions = 1", "sessions = 21");

/** A minute each minute: nothing moves while a test looks. */
export const STILL = SIMULATED.replace('"60x"', '"1x"');

/** Ten minutes of every symbol each second: two hours of them take as long as a test may. */
export const FAST = SIMULATED.replace('"60x"', '"600x"');

/** The recording of a calm hour up to the close of a Friday: its clock stands still after it. */
export const CLOSED = `
[feed]
provider = "replay"
[feed.replay]
path = "friday.csv"
speed = "max"
`;

function friday(): string {
  const symbols = ["AAPL", "MSFT", "AMZN", "TSLA", "META", "GOOG", "NFLX", "NVDA", "PYPL", "ADBE"];
  const rows = ["symbol,start,open,high,low,close,volume"];
  for (let minute = 0; minute < 60; minute += 1) {
    const start = `2025-01-31T20:${String(minute).padStart(2, "0")}:00Z`;
    for (const [index, symbol] of symbols.entries()) {
      // No two cost the same.
      const price = 100 + ((index * 7) % 10) * 10;
      const close = price + (minute % 7) / 10;
      rows.push(`${symbol},${start},${price},${price + 1},${price - 1},${close},${1000 + minute}`);
    }
  }
  return `${rows.join("\n")}\n`;
}

/** Seven sessions of two symbols that move half a per cent, and of an eighth three hours, in which one of them falls by 3.5. */
export const FALLEN =
  CLOSED.replace("friday.csv", "fallen.csv") + '[watchlist]\nsymbols = ["AAPL", "NVDA"]\n';

function fallen(): string {
  const rows = ["symbol,start,open,high,low,close,volume"];
  const days = ["16", "17", "21", "22", "23", "24", "27", "28"];
  for (const day of days) {
    const minutes = day === "28" ? 180 : 390;
    for (let minute = 0; minute < minutes; minute += 1) {
      const at = 14 * 60 + 30 + minute;
      const start = `2025-01-${day}T${Math.floor(at / 60)}:${String(at % 60).padStart(2, "0")}:00Z`;
      for (const symbol of ["AAPL", "NVDA"]) {
        // Half a per cent up for the day, and back with its last bar.
        const close = minute === 389 ? 100 : day === "28" && symbol === "NVDA" ? 96.5 : 100.5;
        rows.push(`${symbol},${start},${close},${close},${close},${close},1000`);
      }
    }
  }
  return `${rows.join("\n")}\n`;
}

/** Five hundred symbols with a few bars each. */
const MANY = Array.from({ length: 500 }, (_, index) => `S${String(index).padStart(3, "0")}`);
export const CROWD =
  CLOSED.replace("friday.csv", "crowd.csv") + `[watchlist]\nsymbols = ${JSON.stringify(MANY)}\n`;

function crowd(): string {
  const rows = ["symbol,start,open,high,low,close,volume"];
  for (let minute = 0; minute < 5; minute += 1)
    for (const symbol of MANY) rows.push(`${symbol},2025-01-31T16:0${minute}:00Z,100,101,99,100,1000`);
  return `${rows.join("\n")}\n`;
}

/** A provider that nobody reaches: nothing listens on the port of `discard`. */
export const DEAD = `
[feed]
provider = "iex"
[feed.iex]
base_url = "http://127.0.0.1:9/"
`;

/** What went wrong in a page that nobody asked about. */
export function complaints(page: Page): string[] {
  const heard: string[] = [];
  page.on("pageerror", (error) => heard.push(`error: ${error.message}`));
  page.on("console", (message) => {
    // The tests keep the page's own worker out, so that they see its requests.
    if (message.text().startsWith("Service Worker registration blocked")) return;
    // Theirs are the only scripts that a mail's frame meets.
    if (/^Blocked script execution in '[^']*\/v1\/mailbox\//.test(message.text())) return;
    if (message.type() === "error" || message.type() === "warning")
      heard.push(`${message.text()} ${message.location().url}`);
  });
  return heard;
}

type Use<T> = (what: T) => Promise<void>;
type Launch = (settings?: string) => Promise<Tracker>;

/** One that runs as long as its worker. */
const running = (
  settings: string,
  hasBars = true,
): [(none: object, use: Use<Tracker>) => Promise<void>, { scope: "worker"; timeout: number }] => [
  async ({}, use) => {
    const tracker = await Tracker.start(settings, hasBars);
    await use(tracker);
    await tracker.stop();
  },
  { scope: "worker", timeout: 2 * PATIENCE_MS },
];

export const test = base.extend<
  { launch: Launch },
  { tracker: Tracker; still: Tracker; fast: Tracker; closed: Tracker; dead: Tracker }
>({
  tracker: running(SIMULATED),
  still: running(STILL),
  fast: running(FAST),
  closed: running(CLOSED),
  dead: running(DEAD, false),
  /** Starts trackers of a test's own; they end with it. */
  launch: async ({}, use) => {
    const started: Tracker[] = [];
    await use(async (settings) => {
      const tracker = await Tracker.start(settings);
      started.push(tracker);
      return tracker;
    });
    for (const tracker of started) await tracker.stop();
  },
});

export { expect } from "@playwright/test";
