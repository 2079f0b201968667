import { expect, test } from "vitest";
import { level, numbers, place } from "./scale";

test("equal factors are equal lengths, and the ends hold", () => {
  expect(place(0.1)).toBe(0);
  expect(place(30)).toBe(1);
  expect([place(0), place(1e9)]).toEqual([0, 1]);
  expect(place(2) - place(1)).toBeCloseTo(place(20) - place(10), 12);
});

test("the rule is met at exactly its ratio, and near from two thirds of it", () => {
  expect([null, 1, 1.99, 2, 2.99, 3, 18].map((ratio) => level(ratio, 3))).toEqual([
    "usual",
    "usual",
    "usual",
    "near",
    "near",
    "unusual",
    "unusual",
  ]);
});

test("the numbers at the scale leave room for the rule's", () => {
  expect(numbers(3)).toEqual([0.1, 1, 3, 10, 30]);
  expect(numbers(4)).toEqual([0.1, 1, 4, 10, 30]);
  expect(numbers(1.5)).toEqual([0.1, 1.5, 3, 10, 30]);
  expect(numbers(50)).toEqual([0.1, 1, 3, 10, 30]);
});
