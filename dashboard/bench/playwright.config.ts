import tests from "../playwright.config";

// Figures, not verdicts: `make bench-dashboard`.
export default { ...tests, testDir: ".", testMatch: "*.bench.ts", workers: 1, timeout: 0, reporter: "line" };
