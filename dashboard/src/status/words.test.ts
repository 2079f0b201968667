import { expect, test } from "vitest";
import type { Status } from "../api/types";
import { judgement, problemsOf, soFar, waitsFor } from "./words";

const status = {
  feed: {
    provider: "alpaca",
    label: "iex",
    mode: "live",
    coverage: "IEX only",
    stands_in_for: null,
    problem: null,
    symbol_problems: [],
  },
  store: { kind: "sqlite", answers: true, writable: true, log_bytes: 0 },
  stale: null,
  problems: [],
} as unknown as Status;

test("what is worst is said first", () => {
  const said = (changed: Partial<Status>, ...rest: ["live" | "reconnecting", boolean] | []) =>
    judgement({ ...status, ...changed }, rest[0] ?? "live", rest[1] ?? false);
  expect(said({})).toEqual({ text: "All is well.", tone: "good" });
  expect(said({ feed: { ...status.feed!, mode: "simulated" } }).text).toMatch(/simulated/);
  for (const [changed, words] of [
    [{ feed: null }, /No feed/],
    [{ feed: { ...status.feed!, problem: "it is down" } }, /feed has a problem/],
    [{ stale: { seconds: 400 } }, /No bar has come for 7 min/],
    [
      { store: { kind: "sqlite", answers: false, writable: false, log_bytes: 0 }, stale: { seconds: 400 } },
      /store does not answer/,
    ],
    [{ store: { kind: "sqlite", answers: true, writable: false, log_bytes: 0 } }, /disk takes nothing/],
    [{ problems: [{ check: "cache", detail: "behind" }] }, /wrong/],
  ] as [Partial<Status>, RegExp][]) {
    expect(said(changed)).toMatchObject({ tone: "bad", text: expect.stringMatching(words) as string });
  }
  expect(said({}, "reconnecting", false).text).toMatch(/server does not answer/);
  expect(said({}, "live", true).tone).toBe("bad");
});

test("problems are sentences; the feed's own is told with the feed", () => {
  const problems = [
    { check: "feed", detail: "it is down" },
    { check: "store", detail: "the store does not answer" },
  ];
  expect(problemsOf({ ...status, problems })).toEqual(["The store does not answer."]);
});

test("what waits is explained by what it waits for", () => {
  const waiting_for = [
    { reason: "quiet_hours" as const, messages: 12 },
    { reason: "retry" as const, messages: 7 },
  ];
  const lines = waitsFor({ waiting: 19, waiting_for });
  expect(lines).toEqual([
    expect.stringMatching(/^12 for the end of .*quiet hours$/),
    expect.stringMatching(/^7 for another attempt/),
  ]);
  expect(waitsFor({ waiting: 700, waiting_for })[0]).toBe("Of the newest 19:");
  expect(waitsFor({ waiting: 0, waiting_for: [] })).toEqual([]);
});

test("a window that fills is told in times, whatever the interval", () => {
  const window = { judged: 6, needed_seconds: 1800, least_seconds: 725 };
  const symbols = { tracked: 10, with_bars: 10 };
  expect(soFar({ window, symbols })).toBe(
    "So far 6 of 10 symbols have as much; the least has 12 min of 30 min.",
  );
  expect(soFar({ window: { ...window, judged: 1, least_seconds: 5 }, symbols })).toMatch(
    /1 of 10 symbols has as much; the least has 5 s of 30 min/,
  );
});
