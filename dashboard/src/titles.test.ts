import { expect, test } from "vitest";
import type { Alert } from "./api/types";
import { alertTitle, titleOf } from "./titles";

const title = (address: string) => {
  const { pathname, searchParams } = new URL(address, "http://x");
  return titleOf(pathname, searchParams);
};

test("a tab is called after the symbol it shows", () => {
  for (const [address, expected] of [
    ["/s/NVDA?interval=5m", "NVDA"],
    ["/s/brk-b", "BRK.B"],
    ["/s/BRK%2FB", "BRK.B"],
    ["/s/%FF", "%FF"],
    ["/alerts", "Alerts"],
    ["/alerts?symbol=nvda", "NVDA: alerts"],
    ["/rule?symbol=NVDA&metric=volume", "NVDA: would it have told me?"],
    ["/subscribe?ticker=NVDA", "NVDA: get alerts"],
    ["/subscribe", "Get alerts"],
    ["/status", "Status"],
    ["/me", "My alerts"],
    ["/", null],
    ["/nonsense", null],
    ["/s/", null],
  ] as const) {
    expect(title(address), address).toBe(expected);
  }
});

test("a tab of an alert names its symbol, what happened and when", () => {
  const alert = { symbol: "NVDA", metric: "volume", ratio: 18.72, start: "2025-01-31T18:57:00Z" } as Alert;
  expect(alertTitle(alert, "2025-01-31")).toBe("NVDA volume 18.7×, 13:57");
  expect(alertTitle({ ...alert, ratio: null }, "2025-02-03")).toBe("NVDA volume, Fri 13:57");
});
