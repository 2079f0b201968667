import { expect, test } from "vitest";
import { listed } from "./ticker";

test("a share class is one symbol however it is written", () => {
  for (const text of ["BRK.B", "BRK-B", "brk/b", " BRK B", "Brk  B"]) expect(listed(text)).toBe("BRK.B");
  expect(listed("bac-pl")).toBe("BAC.PL");
});

test("all else is only put in upper case", () => {
  for (const text of ["META", "BTC-USD", "BRK-1", "BRK-", "A B C", "BAC.PRL", ""])
    expect(listed(text.toLowerCase())).toBe(text);
  expect(listed("btc/usd")).toBe("BTC-USD");
});
