import { expect, test } from "vitest";
import type { Alert, Subscription } from "../api/types";
import { about, inOrder, isOwn, standing } from "./words";

const own = (changed: Partial<Subscription>): Subscription =>
  ({
    ticker: "NVDA",
    metric: "price",
    rule_text: "v1 move percent=3",
    status: "active",
    paused_until: null,
    ...changed,
  }) as Subscription;

test("a subscription is called after what it is about", () => {
  expect(about(own({}))).toBe("NVDA price");
  expect(about(own({ ticker: "*", metric: "volume" }))).toBe("every symbol's volume");
});

test("where it stands", () => {
  const said = (changed: Partial<Subscription>) => standing(own(changed), "2025-01-31");
  expect(said({})).toBe("Active");
  expect(said({ status: "pending" })).toBe("Waits to be confirmed");
  expect(said({ paused_until: "resumed" })).toBe("Paused");
  expect(said({ paused_until: "2025-01-31T20:30:00Z" })).toBe("Paused until 15:30 New York");
});

test("they are listed by what they are about, the watchlist last", () => {
  const listed = inOrder([own({ ticker: "*" }), own({}), own({ ticker: "AAPL" }), own({ metric: "volume" })]);
  expect(listed.map(about)).toEqual(["AAPL price", "NVDA price", "NVDA volume", "every symbol's price"]);
});

test("an alert is one's own by its rule, its metric and its symbol", () => {
  const alert = { rule: "v1 move percent=3", symbol: "NVDA", metric: "price" } as Alert;
  expect(isOwn(alert, [own({})])).toBe(true);
  expect(isOwn(alert, [own({ ticker: "*" })])).toBe(true);
  for (const other of [
    { ticker: "AAPL" },
    { metric: "volume" },
    { rule_text: "spike" },
    { status: "pending" },
  ])
    expect(isOwn(alert, [own(other as Partial<Subscription>)])).toBe(false);
  expect(isOwn({ ...alert, rule: "spike" }, [own({ rule_text: "spike" })])).toBe(false);
});
