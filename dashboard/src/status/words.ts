/** How things stand, in words. */

import type { Status } from "../api/types";
import type { Connection } from "../live/stream";
import { count, plain } from "../words/number";
import { span } from "../words/time";

const KINDS: Record<string, string> = {
  live: "The market, live",
  simulated: "Simulated, not the market",
  replayed: "A recording, not the market as it is now",
};

export const feedKind = (mode: string): string => KINDS[mode] ?? mode;

/** What `/readyz` would refuse for, once each; the feed's own problem is told with the feed. */
export const problemsOf = (status: Status): string[] =>
  status.problems.filter(({ check }) => check !== "feed").map(({ detail }) => sentenceOf(detail));

const sentenceOf = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

const WAITS_FOR: Record<string, string> = {
  quiet_hours: "for the end of their receivers' quiet hours",
  budget: "for room in what a receiver is sent in an hour",
  retry: "for another attempt, as the last one was not accepted",
  turn: "for their turn, which is due",
  answer: "for their receivers' answer: they are under way",
};

/** What messages wait for: `12 for the end of their receivers' quiet hours`, a line each. */
export function waitsFor(owed: Pick<NonNullable<Status["deliveries"]>, "waiting" | "waiting_for">): string[] {
  const known = owed.waiting_for.reduce((sum, { messages }) => sum + messages, 0);
  const lines = owed.waiting_for.map(
    ({ reason, messages }) => `${plain(messages)} ${WAITS_FOR[reason] ?? reason}`,
  );
  // Of very many, only the newest are looked at.
  return known < owed.waiting && known > 0 ? [`Of the newest ${plain(known)}:`, ...lines] : lines;
}

/** How far windows have come that do not hold enough yet: `So far 6 of 10 symbols have as much; the least has 12 min of 30 min.` */
export function soFar({ window, symbols }: Pick<Status, "window" | "symbols">): string {
  const { judged, needed_seconds, least_seconds } = window;
  const have = `So far ${judged} of ${count(symbols.tracked, "symbol")} ${judged === 1 ? "has" : "have"} as much`;
  return `${have}; the least has ${span(least_seconds ?? 0)} of ${span(needed_seconds)}.`;
}

/** Can what is shown be believed? */
export function judgement(
  status: Status,
  connection: Connection,
  unreachable: boolean,
): { text: string; tone: "good" | "bad" } {
  const bad = (text: string) => ({ text, tone: "bad" as const });
  if (unreachable || connection === "reconnecting") return bad("The server does not answer.");
  if (!status.store.answers) return bad("The store does not answer: nothing new is kept or told.");
  if (!status.store.writable) return bad("The server's disk takes nothing: nothing new is kept or told.");
  if (status.feed === null) return bad("No feed has said anything yet.");
  if (status.feed.problem !== null) return bad("The feed has a problem.");
  if (status.stale !== null)
    return bad(`No bar has come for ${span(status.stale.seconds)}, and the market is open.`);
  if (status.problems.length > 0) return bad("Something is wrong.");
  if (status.feed.mode === "simulated")
    return { text: "All is well, with a simulated market.", tone: "good" };
  if (status.feed.mode === "replayed") return { text: "All is well, with a recorded market.", tone: "good" };
  return { text: "All is well.", tone: "good" };
}
