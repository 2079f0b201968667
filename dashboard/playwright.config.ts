import { defineConfig } from "@playwright/test";

/** A machine that nobody knows, and others at work on it: what is waited for there may take its time. */
const inCi = process.env.CI === "true";

// A browser and the built program: `make test` finds or installs the one and builds the other.
export default defineConfig({
  testDir: "e2e",
  fullyParallel: false,
  workers: 2,
  forbidOnly: inCi,
  timeout: inCi ? 240_000 : 120_000,
  expect: { timeout: inCi ? 60_000 : 20_000 },
  // What failed once and then passed is named as flaky at the end of the list.
  retries: inCi ? 1 : 0,
  reporter: "list",
  use: {
    browserName: "chromium",
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      timeout: 120_000,
      args: [
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
    // Requests are to be seen and answered by tests; `offline.spec.ts` lets it in.
    serviceWorkers: "block",
    viewport: { width: 1280, height: 900 },
    timezoneId: "Europe/Berlin",
    trace: "retain-on-failure",
  },
});
