import { expect, test } from "vitest";
import type { Alert } from "../api/types";
import { isNews, wayOf } from "./notices.svelte";

test("a rule is told in its own way, or as all others", () => {
  const ways = { "": "notice", "v1 zscore": "off", spike: "sound" } as const;
  expect(["spike", "v1 zscore", "v1 move"].map((rule) => wayOf(ways, rule))).toEqual([
    "sound",
    "off",
    "notice",
  ]);
  expect(wayOf({}, "spike")).toBe("off");
});

test("only what has just happened, and stands, is news", () => {
  const alert = { state: "raised", start: "2025-01-31T19:00:00Z" } as Alert;
  expect(isNews(alert, "2025-01-31T19:10:00Z")).toBe(true);
  expect(isNews(alert, "2025-01-31T19:30:00Z")).toBe(false);
  expect(isNews({ ...alert, state: "retracted" }, "2025-01-31T19:10:00Z")).toBe(false);
  expect(isNews(alert, null)).toBe(false);
});
