/** The columns of the watchlist: what can be shown, what is shown at first, and what fits. */

import type { Order } from "./order";

export type ColumnName =
  "symbol" | "price" | "change" | "extended" | "spark" | "score" | "relative" | "volume" | "vwap" | "alert";

export interface Column {
  name: ColumnName;
  title: string;
  /** What its figure is, for those who ask. */
  text: string;
  /** Its order; `null` where it has none. */
  order: Order | null;
  isNumber: boolean;
  /** Pixels it needs, and its part of what is left over. */
  width: number;
  grows: number;
  /** Which goes first where there is no room: the least. */
  weight: number;
}

export const COLUMNS: readonly Column[] = [
  {
    name: "symbol",
    title: "Symbol",
    text: "The ticker as listed today, and the company's name.",
    order: "symbol",
    isNumber: false,
    width: 56,
    grows: 3,
    weight: 100,
  },
  {
    name: "price",
    title: "Price, $",
    text: "The close of the newest bar.",
    order: "price",
    isNumber: true,
    width: 68,
    grows: 0,
    weight: 99,
  },
  {
    name: "change",
    title: "Day, %",
    text: "Against the regular close of the trading day before.",
    order: "change",
    isNumber: true,
    width: 60,
    grows: 0,
    weight: 98,
  },
  {
    name: "extended",
    title: "Pre/post, %",
    text: "Before the open against the close of the day before, after the close against that of the day.",
    order: "extended",
    isNumber: true,
    width: 84,
    grows: 0,
    weight: 60,
  },
  {
    name: "spark",
    title: "Session",
    text: "The session's price; the hairline is the close of the day before.",
    order: null,
    isNumber: false,
    width: 72,
    grows: 2,
    weight: 40,
  },
  {
    name: "score",
    title: "Score",
    text: "How unusual it is: the largest of the day's move by its usual range at this time of day, the volume so far by that of the same time of the last 20 sessions, and the newest bar by its hour. 1 is usual; each doubling of a volume adds 1. With a ~, the move was measured by what large shares do: fewer than five sessions are known.",
    order: "score",
    isNumber: true,
    width: 56,
    grows: 0,
    weight: 80,
  },
  {
    name: "relative",
    title: "Rel. volume",
    text: "The session's volume so far over the median of the same time of the last 20 sessions.",
    order: "relative",
    isNumber: true,
    width: 88,
    grows: 0,
    weight: 50,
  },
  {
    name: "volume",
    title: "Volume ratio",
    text: "The newest bar's volume over the average of the hour before it, on a scale from 0.1 to 30 times in equal factors. The mark stands where the rule fires.",
    order: "volume",
    isNumber: false,
    width: 108,
    grows: 2,
    weight: 90,
  },
  {
    name: "vwap",
    title: "To VWAP, %",
    text: "The price against the session's volume-weighted average price.",
    order: "vwap",
    isNumber: true,
    width: 88,
    grows: 0,
    weight: 30,
  },
  {
    name: "alert",
    title: "Newest alert",
    text: "Of the house's rules, with its day.",
    order: "alert",
    isNumber: false,
    width: 152,
    grows: 1,
    weight: 70,
  },
];

/** Those that nobody has to choose. `hasExtended`: whether hours outside the session are tracked. */
export const standard = (hasExtended: boolean): ColumnName[] =>
  COLUMNS.map(({ name }) => name).filter((name) => name !== "vwap" && (name !== "extended" || hasExtended));

/** Pixels between two columns. */
export const gapOf = (width: number): number => (width < 640 ? 8 : 16);

/** Of the columns that are wanted, those for which there is room, in their order. */
export function fitting(wanted: readonly ColumnName[], width: number): Column[] {
  const gap = gapOf(width);
  let shown = COLUMNS.filter(({ name }) => name === "symbol" || wanted.includes(name));
  const needs = () => shown.reduce((sum, column) => sum + column.width, (shown.length - 1) * gap);
  while (shown.length > 2 && needs() > width) {
    const least = shown.reduce((one, other) => (other.weight < one.weight ? other : one));
    shown = shown.filter((column) => column !== least);
  }
  return shown;
}

/** The same as a template of a grid. */
export const template = (columns: readonly Column[]): string =>
  columns
    .map(({ width, grows }) => (grows === 0 ? `${width}px` : `minmax(${width}px, ${grows}fr)`))
    .join(" ");
