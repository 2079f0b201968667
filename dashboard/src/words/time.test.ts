import { expect, test } from "vitest";
import { barTime, marketWhen, marketWhenSaid, marketWhenShort } from "./time";

// Friday, 31 January 2025, 12:09 in New York.
const noon = "2025-01-31T17:09:00Z";
// Still that Friday in New York.
const late = "2025-02-01T04:30:00Z";

test("the day is named where it is not today's in New York", () => {
  // (at, today, alone, in a sentence, in short)
  const cases: [string, string | null, string, string, string][] = [
    [noon, "2025-01-31", "12:09", "at 12:09", "12:09"],
    [late, "2025-01-31", "23:30", "at 23:30", "23:30"],
    [late, "2025-02-01", "Fri, Jan 31 23:30", "on Fri, Jan 31 at 23:30", "Fri 23:30"],
    // On Monday, before the open.
    [noon, "2025-02-03", "Fri, Jan 31 12:09", "on Fri, Jan 31 at 12:09", "Fri 12:09"],
    [noon, "2025-02-06", "Fri, Jan 31 12:09", "on Fri, Jan 31 at 12:09", "Fri 12:09"],
    // A weekday may be any week's by now.
    [noon, "2025-02-07", "Fri, Jan 31 12:09", "on Fri, Jan 31 at 12:09", "Jan 31 12:09"],
    [noon, "2026-01-05", "Fri, Jan 31, 2025 12:09", "on Fri, Jan 31, 2025 at 12:09", "Fri, Jan 31, 2025"],
    // Ahead of the feed's clock, whose day is not known, or that stands still.
    [noon, "2025-01-30", "Fri, Jan 31 12:09", "on Fri, Jan 31 at 12:09", "Jan 31 12:09"],
    [noon, null, "Fri, Jan 31 12:09", "on Fri, Jan 31 at 12:09", "Jan 31 12:09"],
  ];
  for (const [at, today, alone, said, short] of cases) {
    expect(
      [marketWhen(at, today), marketWhenSaid(at, today), marketWhenShort(at, today)],
      today ?? "",
    ).toEqual([alone, said, short]);
  }
});

test("a bar that begins within a minute is told to the second", () => {
  expect(barTime(noon)).toBe("Fri, Jan 31 12:09");
  expect(barTime("2025-01-31T17:09:05Z")).toBe("Fri, Jan 31 12:09:05");
  expect(marketWhenSaid("2025-01-31T17:09:05Z", "2025-01-31")).toBe("at 12:09:05");
});
