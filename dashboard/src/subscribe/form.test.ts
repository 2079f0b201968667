import { expect, test } from "vitest";
import { body, type Form, formatOf, placed } from "./form";

const form: Form = {
  channel: "email",
  email: " ada@example.com ",
  url: "https://hooks.example.com/x",
  format: "slack",
  ticker: "NVDA",
  metric: "volume",
  rule: "spike",
  quiet: null,
};

test("only what belongs to the channel is sent", () => {
  expect(body(form)).toEqual({
    channel: "email",
    email: "ada@example.com",
    ticker: "NVDA",
    metric: "volume",
  });
  const quiet = { from: "22:00", to: "07:00", zone: "Europe/Berlin" };
  expect(body({ ...form, channel: "webhook", rule: "move percent=3", quiet })).toEqual({
    channel: "webhook",
    url: "https://hooks.example.com/x",
    format: "slack",
    ticker: "NVDA",
    metric: "volume",
    rule: "move percent=3",
    quiet_hours: quiet,
  });
});

test("an error stands at its field, or above all of them", () => {
  const { at, whole } = placed(
    [
      { field: "rule.ratio", detail: "out of range" },
      { field: "quiet_hours.zone", detail: "unknown" },
      { field: "(body)", detail: "too long" },
      { field: "rule.rearm", detail: "only with edge" },
    ],
    ["ratio"],
  );
  expect([...at]).toEqual([
    ["rule.ratio", "out of range"],
    ["quiet_hours.zone", "unknown"],
  ]);
  expect(whole).toEqual(["(body): too long", "rule.rearm: only with edge"]);
});

test("the words of a webhook follow its host", () => {
  expect(
    ["https://hooks.slack.com/services/x", "https://discord.com/api/webhooks/1", "https://ntfy.sh/x"].map(
      formatOf,
    ),
  ).toEqual(["slack", "discord", "ntfy"]);
  expect(["https://notdiscord.com/x", "https://example.com", "nonsense", ""].map(formatOf)).toEqual([
    null,
    null,
    null,
    null,
  ]);
});
