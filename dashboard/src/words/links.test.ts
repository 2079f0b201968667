import { expect, test } from "vitest";
import { linked } from "./links";

const ours = "http://127.0.0.1:8080";

test("addresses of the tracker are links, whatever it is called, and keep what is around them", () => {
  const text =
    "Confirm: http://127.0.0.1:8080/v1/subscriptions/confirm?token=a-b_c.\nOr http://localhost:8080/s/NVDA, bye";
  const parts = linked(text, ours);
  expect(parts.map((part) => part.text).join("")).toBe(text);
  expect(parts.filter((part) => part.href)).toEqual([
    {
      text: "http://127.0.0.1:8080/v1/subscriptions/confirm?token=a-b_c",
      href: "/v1/subscriptions/confirm?token=a-b_c",
    },
    { text: "http://localhost:8080/s/NVDA", href: "/s/NVDA" },
  ]);
});

test("others stay text", () => {
  for (const text of ["https://evil.example/x", "javascript:alert(1)", "http://", "no link", ""]) {
    expect(linked(text, ours).some((part) => part.href)).toBe(false);
  }
});
