import { expect, test } from "vitest";
import type { Alert, Backtest } from "../api/types";
import { atTheEdges, hints, verdict } from "./words";

const days = (...alerts: number[]) =>
  alerts.map((count, index) => ({ date: `2025-01-${10 + index}`, alerts: count }));

test("a result in a sentence", () => {
  const said = (messages: number, ...counts: number[]) => verdict({ messages, days: days(...counts) });
  expect(said(14, 2, 4, 3, 3, 2)).toBe("This rule would have fired 14 times in 5 sessions, 2 to 4 a day.");
  expect(said(1, 1)).toBe("This rule would have fired once in one session.");
  expect(said(4, 2, 2)).toBe("This rule would have fired 4 times in 2 sessions, 2 a day.");
  expect(said(0, 0, 0)).toBe("This rule would have kept quiet in 2 sessions.");
  expect(said(0)).toBe("There are no bars to look at.");
});

const alertAt = (start: string) => ({ start }) as Alert;
const bounds = [{ open: Date.parse("2025-01-10T14:30:00Z"), close: Date.parse("2025-01-10T21:00:00Z") }];

test("the edges of a session are its first and its last quarter of an hour", () => {
  const at = (...times: string[]) =>
    atTheEdges(
      times.map((time) => alertAt(`2025-01-10T${time}:00Z`)),
      bounds,
    );
  expect(at("14:30", "14:44", "20:45", "20:59")).toBe(4);
  expect(at("14:29", "14:45", "20:44", "21:00")).toBe(0);
});

test("what to try next", () => {
  const test = {
    messages: 5,
    qualifying_bars: 9,
    messages_per_session: 5,
    symbols: ["NVDA"],
    alerts: ["14:30", "14:31", "20:59", "20:58", "17:00"].map((time) => alertAt(`2025-01-10T${time}:00Z`)),
  } as unknown as Backtest;
  expect(hints(test, "spike", "volume", bounds)).toEqual([
    { text: "All but 1 at the open or the close.", try: "time_of_day" },
    { text: "9 minutes qualified; the cool-down kept 4 of them quiet.", try: null },
  ]);
  expect(hints(test, "spike", "price", bounds)[0]?.try).toBeNull();
  expect(hints({ ...test, messages_per_session: 8 }, "move", "price", bounds)[0]?.try).toBe(
    "longer cooldown",
  );
});
