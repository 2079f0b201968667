import { expect, test } from "vitest";
import { crossing, inQuery, rounded, viewOf } from "./view";

const through = (text: string) => {
  const given = Object.entries(inQuery(viewOf(new URLSearchParams(text))));
  const said = given.filter((pair): pair is [string, string] => pair[1] !== null);
  return new URLSearchParams(said).toString();
};

test("a view is what its address says", () => {
  for (const text of [
    "",
    "scale=log",
    "scale=percent&lines=vwap%2Cclose",
    "lines=none&against=MSFT",
    "level=120.5%2C99",
    "at=2025-01-28T15%3A00%3A00Z&bars=120",
  ])
    expect(through(text)).toBe(text);
  expect(viewOf(new URLSearchParams(""))).toMatchObject({
    hasPreviousClose: true,
    hasVwap: false,
    against: null,
  });
});

test("what an address says wrongly is passed over", () => {
  expect(through("scale=odd&level=x,-1,5&at=yesterday&bars=1e9")).toBe("level=5");
});

test("a level is an alert from where the price is", () => {
  expect(crossing(120, 118)).toBe("cross above=120");
  expect(crossing(110.25, 118)).toBe("cross below=110.25");
  expect([rounded(123.456), rounded(0.123456)]).toEqual([123.46, 0.1235]);
});
