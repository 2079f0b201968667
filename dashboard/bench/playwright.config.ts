import tests from "../playwright.config";

// Figures, not verdicts: `make bench-dashboard`.
export default {
  ...tests,
  // What records for later takes time of the page.
  use: { ...tests.use, trace: "off" as const },
  testDir: ".",
  testMatch: "*.bench.ts",
  workers: 1,
  timeout: 0,
  reporter: "line",
};
