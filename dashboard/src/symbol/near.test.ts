import { expect, test } from "vitest";
import type { Symbol } from "../api/types";
import { near } from "./near";

const ticker = (symbol: string, name: string | null = null, former: string[] = []) => ({
  now: { symbol, name, former_symbols: former } as unknown as Symbol,
});
const tickers = [
  ticker("AMZN", "Amazon.com"),
  ticker("AAPL", "Apple"),
  ticker("A", "Agilent Technologies"),
  ticker("META", "Meta Platforms", ["FB"]),
  ticker("XYZ"),
];

test("the ticker itself first, then what begins so, then names", () => {
  expect(near("a", tickers)).toEqual(["A", "AMZN", "AAPL", "META"]);
  expect(near("a", tickers, 2)).toEqual(["A", "AMZN"]);
  expect(near(" fb ", tickers)).toEqual(["META"]);
  expect(near("apple", tickers)).toEqual(["AAPL"]);
  expect(near("nonsense", tickers)).toEqual([]);
  expect(near("", tickers)).toEqual([]);
});
