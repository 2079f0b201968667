/** The lines over the candles: the session's average price, the close before, another symbol, and levels. */

import {
  type IChartApi,
  type IPriceLine,
  type ISeriesApi,
  LineSeries,
  LineStyle,
  type UTCTimestamp,
} from "lightweight-charts";
import type { BarOfInterval, Interval } from "../api/types";
import { price as dollars } from "../words/number";
import { newest, previousCloses, vwap } from "./overlay";
import type { Palette } from "./palette";
import { type Day, type Instant, instant } from "./timeline";

/** What is to be drawn over the bars. */
export interface Lines {
  hasVwap: boolean;
  hasPreviousClose: boolean;
  /** Another symbol's bars. */
  against: BarOfInterval[];
  /** Dollars. */
  levels: { price: number; title: string }[];
}

interface Bars {
  bars: BarOfInterval[];
  days: Day[];
  interval: Interval;
}

type Line = ISeriesApi<"Line">;
type Value = (index: number) => number | null;

export class Overlays {
  readonly #vwap: Line;
  readonly #before: Line;
  readonly #against: Line;
  #levels: IPriceLine[] = [];
  #said = "";

  constructor(
    chart: IChartApi,
    readonly candles: ISeriesApi<"Candlestick">,
  ) {
    const plain = { priceLineVisible: false, crosshairMarkerVisible: false, lineWidth: 1 } as const;
    const priceFormat = { type: "custom", formatter: dollars, minMove: 0.0001 } as const;
    const quiet = { ...plain, lastValueVisible: false, priceFormat };
    this.#vwap = chart.addSeries(LineSeries, quiet);
    this.#before = chart.addSeries(LineSeries, { ...quiet, lineStyle: LineStyle.Dotted });
    this.#against = chart.addSeries(LineSeries, { ...plain, lineWidth: 2, priceFormat });
  }

  dress(colours: Palette) {
    this.#vwap.applyOptions({ color: colours.up });
    this.#before.applyOptions({ color: colours.soft });
    this.#against.applyOptions({ color: colours.near });
  }

  /** Draws all of it. `slots` are the places, `barAt` the bar of each, `at` where the chart has them. */
  draw(
    { bars, days, interval }: Bars,
    lines: Lines,
    slots: Instant[],
    barAt: Map<Instant, number>,
    at: (time: Instant) => UTCTimestamp,
    colours: Palette,
  ) {
    const isDaily = interval === "1d";
    const put = (
      line: Line,
      value: Value | null,
      index: (time: Instant) => number | undefined,
      color: string,
    ) => line.setData(value === null ? [] : points(slots, (time) => valueAt(value, index(time)), at, color));
    const own = (time: Instant) => barAt.get(time);
    const paid = lines.hasVwap && !isDaily ? vwap(bars, days) : null;
    const before = lines.hasPreviousClose && !isDaily ? previousCloses(bars, days) : null;
    put(this.#vwap, paid && ((index) => paid[index] ?? null), own, colours.up);
    put(this.#before, before && ((index) => before[index] ?? null), own, colours.soft);
    const { against } = lines;
    const othersAt = new Map(against.map((bar, index) => [instant(bar.start), index]));
    const close: Value = (index) => against[index]?.close ?? null;
    this.#against.setData(
      against.length === 0
        ? []
        : slots.flatMap((time) => {
            const value = valueAt(close, othersAt.get(time));
            return value === null ? [] : [{ time: at(time), value, color: colours.near }];
          }),
    );
    this.#drawLevels(lines.levels, colours);
  }

  /** Draws what a new bar, or a newer state of the newest, changes. */
  drawNewest(
    { bars, days, interval }: Bars,
    lines: Lines,
    at: (time: Instant) => UTCTimestamp,
    colours: Palette,
  ) {
    const bar = bars.at(-1);
    if (!bar || interval === "1d") return;
    const time = at(instant(bar.start));
    const now = newest(bars, days);
    const point = (value: number | null, color: string) =>
      value === null ? { time } : { time, value, color };
    if (lines.hasVwap) this.#vwap.update(point(now.vwap, colours.up));
    if (lines.hasPreviousClose) this.#before.update(point(now.previousClose, colours.soft));
    const other = lines.against.at(-1);
    if (other && at(instant(other.start)) === time)
      this.#against.update({ time, value: other.close, color: colours.near });
  }

  #drawLevels(levels: Lines["levels"], colours: Palette) {
    const said = JSON.stringify([levels, colours.ink]);
    if (said === this.#said) return;
    this.#said = said;
    for (const line of this.#levels) this.candles.removePriceLine(line);
    this.#levels = levels.map(({ price, title }) =>
      this.candles.createPriceLine({
        price,
        title,
        color: colours.ink,
        lineWidth: 1,
        lineStyle: LineStyle.LargeDashed,
        axisLabelVisible: true,
      }),
    );
  }
}

const valueAt = (value: Value, index: number | undefined): number | null =>
  index === undefined ? null : value(index);

/** Points of a line, broken where there is no value, and where it jumps from one day to the next. */
function points(
  slots: Instant[],
  value: (time: Instant) => number | null,
  at: (time: Instant) => UTCTimestamp,
  colour: string,
) {
  return slots.map((time, index) => {
    const found = value(time);
    if (found === null) return { time: at(time) };
    // A point's colour is that of the line to the next one.
    const next = slots[index + 1];
    const isJoined = next === undefined || next - time < 3600 * 3;
    return { time: at(time), value: found, color: isJoined ? colour : "transparent" };
  });
}
