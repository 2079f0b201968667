import { expect, test } from "vitest";
import { rowFor } from "./listKeys";

const rows = [-60, -10, 40, 90, 140];

test("keys go from row to row, and stop at the ends", () => {
  expect(["ArrowDown", "j", "ArrowUp", "k"].map((key) => rowFor(key, rows, 2, 100))).toEqual([3, 3, 1, 1]);
  expect(rowFor("ArrowUp", rows, 0, 100)).toBe(0);
  expect(rowFor("j", rows, 4, 100)).toBe(4);
});

test("without the focus in the list they begin with the first row in view", () => {
  expect(rowFor("ArrowDown", rows, -1, 100)).toBe(2);
  expect(rowFor("k", rows, -1, 100)).toBe(2);
});

test("other keys, no rows, and a list out of sight are none of theirs", () => {
  expect(rowFor("Enter", rows, 2, 100)).toBeNull();
  expect(rowFor("ArrowDown", [], -1, 100)).toBeNull();
  expect(rowFor("ArrowDown", [-90, -40], -1, 100)).toBeNull();
});
