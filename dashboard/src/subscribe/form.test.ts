import { expect, test } from "vitest";
import {
  asked,
  body,
  type Form,
  formatOf,
  inAddress,
  inWords,
  placed,
  type Symbols,
  unchanged,
  WATCHLIST,
} from "./form";

const form: Form = {
  channel: "email",
  email: " ada@example.com ",
  url: "https://hooks.example.com/x",
  format: "slack",
  push: null,
  symbols: ["NVDA"],
  metric: "volume",
  rule: "spike",
  quiet: null,
};

test("only what belongs to the channel is sent", () => {
  expect(body(form)).toEqual({
    channel: "email",
    email: "ada@example.com",
    symbols: ["NVDA"],
    metric: "volume",
  });
  const quiet = { from: "22:00", to: "07:00", zone: "Europe/Berlin" };
  expect(body({ ...form, channel: "webhook", rule: "move percent=3", quiet })).toEqual({
    channel: "webhook",
    url: "https://hooks.example.com/x",
    format: "slack",
    symbols: ["NVDA"],
    metric: "volume",
    rule: "move percent=3",
    quiet_hours: quiet,
  });
  const push = { endpoint: "https://push.example.net/1", keys: { p256dh: "B", auth: "A" } };
  expect(body({ ...form, channel: "push", push })).toEqual({
    channel: "push",
    push,
    symbols: ["NVDA"],
    metric: "volume",
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

test("some symbols are sent as a list, and the watchlist as a star", () => {
  expect(body({ ...form, symbols: ["AAPL", "NVDA"] })["symbols"]).toEqual(["AAPL", "NVDA"]);
  expect(body({ ...form, symbols: WATCHLIST })["symbols"]).toBe("*");
});

test("what is asked for stands in the address and comes back", () => {
  const known = ["AAPL", "META"];
  const find = (name: string) => (name === "FB" ? "META" : known.find((each) => each === name));
  const read = (text: string | null) => asked(text, find, ["AAPL"]);
  expect([read(null), read("NOPE"), read("META,FB,NOPE"), read("*")]).toEqual([
    ["AAPL"],
    ["AAPL"],
    ["META"],
    "*",
  ]);
  for (const symbols of [["META", "AAPL"], ["AAPL"], WATCHLIST] satisfies Symbols[])
    expect(read(inAddress(symbols))).toEqual(symbols);
  expect([WATCHLIST, [], ["AAPL"], known].map((each) => inWords(each as Symbols))).toEqual([
    "any symbol",
    "a symbol",
    "AAPL",
    "one of 2 symbols",
  ]);
});

test("what is wrong with an entry is told at the list", () => {
  const { at } = placed(
    [
      { field: "symbols[0]", detail: "`A` is not tracked" },
      { field: "symbols[7]", detail: "`B` is not tracked" },
    ],
    [],
  );
  expect([...at]).toEqual([["symbols", "`A` is not tracked; `B` is not tracked"]]);
});

test("the words of a webhook follow its host", () => {
  expect(
    [
      "https://hooks.slack.com/services/x",
      "https://discord.com/api/webhooks/1",
      "https://ntfy.sh/x",
      "https://api.telegram.org/bot1:x/sendMessage?chat_id=1",
      "https://api.pushover.net/1/messages.json",
    ].map(formatOf),
  ).toEqual(["slack", "discord", "ntfy", "telegram", "pushover"]);
  expect(["https://notdiscord.com/x", "https://example.com", "nonsense", ""].map(formatOf)).toEqual([
    null,
    null,
    null,
    null,
  ]);
});

test("what was said of a field holds until the field is another, and again if it is as it was", () => {
  const said = ["email", "rule.ratio", "rule.window", "quiet_hours.zone", "(body)"].map((field) => ({
    field,
  }));
  const quiet = { from: "22:00", to: "07:00", zone: "Nowhere" };
  const sent = { ...form, email: "nobody", rule: "spike ratio=0.5", quiet };
  const wrong = (changed: Partial<Form>) =>
    unchanged(said, sent, { ...sent, ...changed }).map(({ field }) => field);
  const all = said.map(({ field }) => field);
  expect(wrong({})).toEqual(all);
  expect(wrong({ email: "ada@example.com" })).toEqual(all.filter((field) => field !== "email"));
  expect(wrong({ rule: "spike ratio=4" })).toEqual(all.filter((field) => field !== "rule.ratio"));
  expect(wrong({ rule: "move percent=3" })).toEqual(["email", "quiet_hours.zone", "(body)"]);
  expect(wrong({ quiet: { ...quiet, zone: "Europe/Berlin" } })).not.toContain("quiet_hours.zone");
  expect(wrong({ quiet: null })).not.toContain("quiet_hours.zone");
});
