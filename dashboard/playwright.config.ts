import { defineConfig } from "@playwright/test";

// A browser and the built program: `make test` finds or installs the one and builds the other.
export default defineConfig({
  testDir: "e2e",
  fullyParallel: false,
  workers: 2,
  forbidOnly: process.env.CI === "true",
  timeout: 60_000,
  expect: { timeout: 15_000 },
  reporter: "list",
  use: {
    browserName: "chromium",
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
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
