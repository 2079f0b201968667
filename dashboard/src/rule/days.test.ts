import { expect, test } from "vitest";
import { named } from "./days";

test("the last day is named, and as many before it as there is room for", () => {
  const of = (days: number) => [...Array(days).keys()].filter((index) => named(index, days));
  expect(of(1)).toEqual([0]);
  expect(of(5)).toEqual([0, 1, 2, 3, 4]);
  expect(of(7)).toEqual([0, 2, 4, 6]);
  expect(of(20)).toEqual([3, 7, 11, 15, 19]);
  expect(of(60)).toHaveLength(6);
  expect(of(60).at(-1)).toBe(59);
});
