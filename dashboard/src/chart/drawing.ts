/** The picture of a chart: candles and volume on one time axis, what the rule saw, flags, and the view of whoever looks at
 * it, which moves by their hand alone. It knows nothing of where bars come from. */

import {
  CandlestickSeries,
  createChart,
  createSeriesMarkers,
  HistogramSeries,
  type IChartApi,
  type IPriceLine,
  type ISeriesApi,
  type ISeriesMarkersPluginApi,
  LineSeries,
  LineStyle,
  type MouseEventParams,
  PriceScaleMode,
  type SeriesMarker,
  type Time,
  type UTCTimestamp,
} from "lightweight-charts";
import type { Alert, BarOfInterval, Interval, SpikeSettings } from "../api/types";
import { minutesOf } from "../words/grammar";
import { LANGUAGE } from "../words/language";
import { titleOf } from "../words/metric";
import { price as dollars, short } from "../words/number";
import { mark, stamp } from "./axis";
import { type Lines, Overlays } from "./overlays";
import { faded, type Palette } from "./palette";
import { type Seen, seen } from "./rule";
import { Shading } from "./shading";
import {
  bucketOf,
  type Day,
  hasSeconds,
  type Instant,
  instant,
  places,
  runs,
  SECONDS,
  united,
  wallClock,
} from "./timeline";
import type { Scale } from "./view";

/** What is to be drawn. */
export interface Picture {
  interval: Interval;
  /** Trading days, oldest first. */
  days: Day[];
  /** Oldest first. */
  bars: BarOfInterval[];
  /** The rule whose average and threshold are drawn; over bars as they come only. */
  rule: SpikeSettings | null;
  /** The alerts of each bar, by its start. */
  alerts: Map<Instant, Alert[]>;
  /** A piece of the past: the last bar's price is not the last price. */
  isPast: boolean;
  /** What is drawn over the bars. */
  lines: Lines;
  scale: Scale;
}

/** A bar, and what the rule saw at it. */
export interface Told {
  bar: BarOfInterval;
  seen: Seen | undefined;
}

/** What a reader does. */
export interface Reader {
  /** The pointer is at a bar, or at none. */
  onpoint: (told: Told | null) => void;
  /** A flag, or a bar with one, was chosen. */
  onalert: (id: string) => void;
  /** A price was chosen, dollars. True where that was asked for: then nothing else is meant by it. */
  onprice: (price: number) => boolean;
  /** So many places are left before the oldest bar. */
  onmove: (left: number) => void;
}

/** Places shown at first. */
const SHOWN: Partial<Record<Interval, number>> = { "15m": 220, "1h": 180, "1d": 130 };
const SHOWN_ELSE = 240;
/** Free places after the newest bar. */
const AHEAD = 3;
/** What is shown of the places beside those that are asked for. */
const EDGE = 0.25;

type LogicalRange = { from: number; to: number };

// The chart counts in fractions, and what should be a whole number may be a hair less.
const HAIR = 1e-6;
const firstIn = ({ from }: LogicalRange) => Math.ceil(from - HAIR);
const lastIn = ({ to }: LogicalRange) => Math.floor(to + HAIR);

type View = { place: Instant; cut: number; width: number } | null;

export class Drawing {
  readonly #chart: IChartApi;
  readonly #candles: ISeriesApi<"Candlestick">;
  readonly #volumes: ISeriesApi<"Histogram">;
  readonly #averages: Record<"price" | "volume" | "threshold", ISeriesApi<"Line">>;
  readonly #overlays: Overlays;
  readonly #flags: ISeriesMarkersPluginApi<Time>;
  /** The label of the last price: the library's own is that of the last bar in sight. */
  readonly #last: IPriceLine;
  readonly #grounds = [new Shading(), new Shading()] as const;

  #colours: Palette | null = null;
  #picture: Picture | null = null;
  /** The places on the axis, and the bar of each. */
  #slots: Instant[] = [];
  #barAt = new Map<Instant, number>();
  #seen: Seen[] = [];
  /** How many bars there were when they were last drawn. */
  #drawn = 0;
  /** What the chart was told to show with its next frame; until then it still tells of what it shows. */
  #aim: LogicalRange | null = null;
  /** Where the chart has an instant. The hour that clocks show twice is squeezed: times only rise. */
  #shownAt = new Map<Instant, UTCTimestamp>();

  constructor(
    readonly box: HTMLElement,
    readonly reader: Reader,
  ) {
    this.#chart = createChart(box, {
      autoSize: true,
      layout: { attributionLogo: false, fontFamily: "system-ui, sans-serif", fontSize: 12 },
      rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.12, bottom: 0.06 } },
      timeScale: {
        borderVisible: false,
        timeVisible: true,
        secondsVisible: false,
        rightOffset: AHEAD,
        minBarSpacing: 0.4,
        tickMarkFormatter: mark,
      },
      localization: {
        locale: LANGUAGE,
        timeFormatter: (time: Time) => stamp(this.#picture?.interval ?? "1m")(time),
      },
      // A page that scrolls under one's thumb must not stop at the chart.
      handleScroll: { vertTouchDrag: false },
    });
    const inDollars = { type: "custom", formatter: dollars, minMove: 0.0001 } as const;
    const inShares = { type: "custom", formatter: short, minMove: 1 } as const;
    const unlabelled = { priceLineVisible: false, lastValueVisible: false } as const;
    const plain = { ...unlabelled, lineWidth: 1, crosshairMarkerVisible: false } as const;
    this.#candles = this.#chart.addSeries(CandlestickSeries, { ...unlabelled, priceFormat: inDollars });
    this.#last = this.#candles.createPriceLine({ price: 0, lineVisible: false, axisLabelVisible: false });
    this.#volumes = this.#chart.addSeries(HistogramSeries, { ...unlabelled, priceFormat: inShares }, 1);
    const dashed = { ...plain, lineStyle: LineStyle.Dashed, priceFormat: inShares };
    this.#averages = {
      price: this.#chart.addSeries(LineSeries, { ...plain, priceFormat: inDollars }),
      volume: this.#chart.addSeries(LineSeries, { ...plain, priceFormat: inShares }, 1),
      threshold: this.#chart.addSeries(LineSeries, dashed, 1),
    };
    this.#overlays = new Overlays(this.#chart, this.#candles);
    this.#chart.panes()[1]?.setStretchFactor(0.4);
    this.#chart.priceScale("right", 1).applyOptions({ scaleMargins: { top: 0.08, bottom: 0 } });
    this.#candles.attachPrimitive(this.#grounds[0]);
    this.#volumes.attachPrimitive(this.#grounds[1]);
    this.#flags = createSeriesMarkers(this.#candles, []);
    this.#chart.subscribeCrosshairMove((param) => this.#pointed(param));
    this.#chart.subscribeClick((param) => this.#clicked(param));
    this.#chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
      this.#aim = null;
      if (!range) return;
      this.#tell(range);
      reader.onmove(range.from);
    });
    // A canvas says nothing to those who do not see it; the legend and the table do.
    box.firstElementChild?.setAttribute("aria-hidden", "true");
  }

  remove() {
    this.#chart.remove();
  }

  /** The newest bar that is drawn. */
  get newest(): Told | null {
    const bar = this.#picture?.bars.at(-1);
    return bar ? { bar, seen: this.#seen[this.#drawn - 1] } : null;
  }

  /** Takes on the colours of the theme. */
  dress(colours: Palette) {
    this.#colours = colours;
    const cross = { color: colours.soft, labelBackgroundColor: colours.ink };
    this.#chart.applyOptions({
      layout: {
        background: { color: colours.paper },
        textColor: colours.soft,
        panes: { separatorColor: colours.line, separatorHoverColor: colours.note },
      },
      grid: { vertLines: { visible: false }, horzLines: { color: faded(colours.line, 0.6) } },
      crosshair: { vertLine: cross, horzLine: cross },
    });
    this.#averages.price.applyOptions({ color: colours.soft });
    this.#averages.volume.applyOptions({ color: colours.soft });
    this.#averages.threshold.applyOptions({ color: colours.hot });
    this.#overlays.dress(colours);
    if (this.#picture) this.draw(this.#picture);
  }

  /** What was drawn is of something else. */
  forget() {
    [this.#picture, this.#slots, this.#aim] = [null, [], null];
  }

  /** Draws everything anew, under a view that stays. */
  draw(picture: Picture) {
    this.#picture = picture;
    const colours = this.#colours;
    if (!colours) return;
    const { bars, days, interval, rule } = picture;
    const view = this.#held();
    this.#chart.timeScale().applyOptions({ secondsVisible: hasSeconds(interval) });
    this.#scale(picture.scale);
    const starts = bars.map((bar) => instant(bar.start));
    this.#barAt = new Map(starts.map((start, index) => [start, index]));
    const [first, last] = [starts[0], starts.at(-1)];
    this.#slots = first === undefined ? [] : united(places(days, interval, first, last!), starts);
    this.#shownAt = new Map();
    this.#lay(this.#slots);
    this.#drawn = bars.length;
    this.#seen = rule ? seen(bars, rule) : [];
    const drawn = this.#slots.map((time) => {
      const index = this.#barAt.get(time);
      if (index !== undefined) return this.#pairOf(bars[index]!, this.#seen[index], picture, colours);
      return { candle: { time: this.#at(time) }, volume: { time: this.#at(time) } };
    });
    this.#candles.setData(drawn.map(({ candle }) => candle));
    this.#volumes.setData(drawn.map(({ volume }) => volume));
    const threshold = (one: Seen) => (one.volume === null || !rule ? null : one.volume * rule.ratio);
    this.#averages.price.setData(rule ? this.#line((one) => one.price, colours.soft) : []);
    this.#averages.volume.setData(rule ? this.#line((one) => one.volume, colours.soft) : []);
    this.#averages.threshold.setData(rule ? this.#line(threshold, colours.hot) : []);
    const at = (time: Instant) => this.#at(time);
    this.#overlays.draw(picture, picture.lines, this.#slots, this.#barAt, at, colours);
    this.#drawGround(picture, colours);
    this.#drawFlags(picture, colours);
    this.#label(picture, colours);
    this.#hold(view);
  }

  /** Draws the newest bar, and what lies between it and the one before. */
  drawNewest(picture: Picture) {
    this.#picture = picture;
    const colours = this.#colours;
    const { bars, days, interval, rule } = picture;
    const bar = bars.at(-1);
    const last = this.#slots.at(-1);
    if (!colours || !bar || last === undefined) return this.draw(picture);
    const start = instant(bar.start);
    if (start < last || bars.length > this.#drawn + 1) return this.draw(picture);
    // A day that begins brings its hairline.
    if (start > last && bucketOf(days, "1d", start) !== bucketOf(days, "1d", last)) return this.draw(picture);
    this.#drawn = bars.length;
    const held = this.#range;
    if (start > last) {
      const between = united(places(days, interval, last + 1, start), [start]);
      this.#lay(between, this.#at(last));
      this.#slots.push(...between);
      this.#barAt.set(start, bars.length - 1);
      for (const time of between.slice(0, -1)) {
        for (const series of [this.#candles, this.#volumes, ...Object.values(this.#averages)])
          (series as ISeriesApi<"Line">).update({ time: this.#at(time) });
      }
    }
    if (rule) {
      // Only the newest window counts for the newest bar, and it holds so many bars at the most.
      const held = interval === "1d" ? 0 : (minutesOf(rule.window) * 60) / SECONDS[interval];
      const view = seen(bars.slice(-(held + 1)), rule).at(-1);
      if (view) this.#seen[bars.length - 1] = view;
    }
    const view = this.#seen[bars.length - 1];
    const { candle, volume } = this.#pairOf(bar, view, picture, colours);
    this.#candles.update(candle);
    this.#volumes.update(volume);
    if (rule) {
      const point = (value: number | null, color: string) =>
        value === null ? { time: candle.time } : { time: candle.time, value, color };
      const threshold = view?.volume == null ? null : view.volume * rule.ratio;
      this.#averages.price.update(point(view?.price ?? null, colours.soft));
      this.#averages.volume.update(point(view?.volume ?? null, colours.soft));
      this.#averages.threshold.update(point(threshold, colours.hot));
    }
    this.#overlays.drawNewest(picture, picture.lines, (time) => this.#at(time), colours);
    this.#drawGround(picture, colours);
    this.#label(picture, colours);
    // As far back as one can look, where the library lets two places stay in sight, it moves on by one when a bar comes.
    if (start > last && held && held.to < 2) this.#show(held.from, held.to);
  }

  #scale(scale: Scale) {
    const mode = {
      linear: PriceScaleMode.Normal,
      log: PriceScaleMode.Logarithmic,
      percent: PriceScaleMode.Percentage,
    };
    this.#chart.priceScale("right").applyOptions({ mode: mode[scale] });
  }

  /** The places from the left edge to the right one. */
  get #range(): LogicalRange | null {
    return this.#aim ?? this.#chart.timeScale().getVisibleLogicalRange();
  }

  #show(from: number, to: number) {
    this.#aim = { from, to };
    this.#chart.timeScale().setVisibleLogicalRange({ from, to });
    // New bars move the chart's range at once, and this one moves it back before anything is drawn.
    this.#tell(this.#aim);
  }

  /** Says on the box what is in sight. */
  #tell(range: LogicalRange) {
    this.box.dataset.from = this.#nameOf(firstIn(range));
    this.box.dataset.to = this.#nameOf(lastIn(range));
  }

  /** What is in sight: the instant of the first whole place, how many follow it, and the bars. */
  get sight(): { at: Instant; places: number; bars: BarOfInterval[] } | null {
    const range = this.#range;
    const first = Math.max(0, range ? firstIn(range) : 0);
    const at = this.#slots[first];
    if (!range || at === undefined || !this.#picture) return null;
    const last = lastIn(range);
    const until = this.#slots[last] ?? Infinity;
    const bars = this.#picture.bars.filter(({ start }) => instant(start) >= at && instant(start) <= until);
    return { at, places: last - first, bars };
  }

  /** The picture as it is. */
  image(): HTMLCanvasElement {
    return this.#chart.takeScreenshot();
  }

  /** Looks at an instant and so many places that follow it. */
  show(at: Instant, count: number) {
    const first = this.#slots.findIndex((slot) => slot >= at);
    if (first < 0) return;
    // With a margin: the chart counts in fractions, and an edge that lies on a place may come out on either side of it.
    this.#show(first - EDGE, first + count + EDGE);
  }

  /** Looks at the newest bars; or back `from` an instant on; or at what is `around` one. */
  look({ from = null, around = null }: { from?: Instant | null; around?: Instant | null }) {
    const interval = this.#picture?.interval ?? "1m";
    const count = this.#slots.length;
    // A bar has at least four pixels, where its whole range is not asked for.
    const usual = Math.min(SHOWN[interval] ?? SHOWN_ELSE, Math.round(this.box.clientWidth / 4));
    const placeOf = (time: Instant | null) =>
      time === null ? -1 : this.#slots.findIndex((slot) => slot >= time);
    const [first, centre] = [placeOf(from), placeOf(around)];
    const range =
      centre >= 0
        ? { from: centre - usual / 2, to: Math.min(centre + usual / 2, Math.max(count + AHEAD, centre + 20)) }
        : {
            // Days are few at first: they have all of the width.
            from:
              first >= 0 ? first - 1 : count - Math.min(usual, Math.max(count, interval === "1d" ? 5 : 60)),
            to: count + (interval === "1d" ? 0 : AHEAD),
          };
    this.#show(range.from, range.to);
  }

  /** Moves and zooms by a key. False where it is no key for that. */
  move(key: string, far: boolean): boolean {
    // Keys may come quicker than frames: each goes on from the one before.
    const range = this.#range;
    if (!range) return false;
    const width = range.to - range.from;
    const end = this.#slots.length + AHEAD;
    const show = (from: number, to: number) => this.#show(from, to);
    const step = width / (far ? 2 : 10);
    if (key === "ArrowLeft") show(range.from - step, range.to - step);
    else if (key === "ArrowRight") {
      const by = Math.min(step, Math.max(end - range.to, 0));
      show(range.from + by, range.to + by);
    } else if (key === "+" || key === "=") show(range.from + width / 4, range.to);
    else if (key === "-") show(range.from - width / 3, range.to);
    else if (key === "End") show(end - width, end);
    else if (key === "Home") show(-AHEAD, width - AHEAD);
    else return false;
    return true;
  }

  #at(time: Instant): UTCTimestamp {
    return this.#shownAt.get(time) ?? (wallClock(time) as UTCTimestamp);
  }

  #lay(times: Instant[], after = -Infinity) {
    for (const time of times) {
      after = Math.max(wallClock(time), after + 1);
      this.#shownAt.set(time, after as UTCTimestamp);
    }
  }

  #pairOf(bar: BarOfInterval, view: Seen | undefined, { alerts, rule }: Picture, colours: Palette) {
    const alerted = alerts.get(instant(bar.start))?.filter(({ state }) => state === "raised") ?? [];
    const isUnusual = (metric: "price" | "volume") =>
      (view && rule && view.unusual[metric]) || alerted.some((alert) => alert.metric === metric);
    const rising = bar.close >= bar.open;
    const tone = isUnusual("price") ? colours.hot : rising ? colours.up : colours.down;
    const time = this.#at(instant(bar.start));
    return {
      candle: {
        time,
        open: bar.open,
        high: bar.high,
        low: bar.low,
        close: bar.close,
        color: rising ? colours.paper : faded(tone, 0.65),
        borderColor: tone,
        wickColor: tone,
      },
      volume: { time, value: bar.volume, color: isUnusual("volume") ? colours.hot : colours.fill },
    };
  }

  /** Points of a line, broken where there is no value. */
  #line(value: (view: Seen) => number | null, colour: string) {
    const seenAt = (time: Instant | undefined) =>
      time === undefined ? undefined : this.#seen[this.#barAt.get(time) ?? -1];
    return this.#slots.map((time, index) => {
      const view = seenAt(time);
      const found = view ? value(view) : null;
      if (found === null) return { time: this.#at(time) };
      // A point's colour is that of the line to the next one.
      const next = seenAt(this.#slots[index + 1]);
      const joined = index + 1 === this.#slots.length || (next !== undefined && value(next) !== null);
      return { time: this.#at(time), value: found, color: joined ? colour : "transparent" };
    });
  }

  #drawGround({ days, interval }: Picture, colours: Palette) {
    const ground = {
      runs: runs(days, interval, this.#slots),
      shade: faded(colours.note, 0.9),
      hairline: colours.line,
      ink: colours.soft,
    };
    this.#grounds[0].show({ ...ground, halfDay: "half day" });
    this.#grounds[1].show({ ...ground, halfDay: "" });
  }

  #drawFlags({ alerts }: Picture, colours: Palette) {
    const marks: SeriesMarker<Time>[] = [];
    for (const [start, found] of alerts) {
      if (!this.#barAt.has(start)) continue;
      const standing = found.some(({ state }) => state === "raised");
      const metrics = [...new Set(found.map(({ metric }) => titleOf(metric).charAt(0)))].join("");
      marks.push({
        time: this.#at(start),
        position: "aboveBar",
        shape: "arrowDown",
        color: standing ? colours.hot : colours.fill,
        id: found[0]!.id,
        text: found.length > 1 ? `${metrics} ${found.length}` : metrics,
      });
    }
    marks.sort((one, other) => (one.time as number) - (other.time as number));
    this.#flags.setMarkers(marks);
  }

  #label({ bars, isPast }: Picture, colours: Palette) {
    const bar = bars.at(-1);
    if (!bar) return;
    const color = bar.close >= bar.open ? colours.up : colours.down;
    this.#last.applyOptions({ price: bar.close, color, axisLabelVisible: !isPast });
  }

  /** Which place stands at the left edge, and how far it is cut off: what a reader looks at. `null` where the view stands
   * at the newest bar, and goes with it. */
  #held(): View {
    const range = this.#range;
    const count = this.#slots.length;
    if (!range || count === 0 || Math.ceil(range.to) >= count - 1) return null;
    const index = Math.min(Math.max(Math.round(range.from), 0), count - 1);
    return { place: this.#slots[index]!, cut: range.from - index, width: range.to - range.from };
  }

  /** Shows again what was held, wherever it lies now. */
  #hold(view: View) {
    const index = view ? this.#slots.indexOf(view.place) : -1;
    if (!view || index < 0) return;
    const from = index + view.cut;
    this.#show(from, from + view.width);
  }

  /** The start of the bar at a place, or of the nearest one there is. */
  #nameOf(index: number): string {
    const place = this.#slots[Math.min(Math.max(index, 0), this.#slots.length - 1)];
    return place === undefined ? "" : new Date(place * 1000).toISOString();
  }

  #pointed({ logical }: MouseEventParams) {
    const index = logical === undefined ? undefined : this.#barAt.get(this.#slots[logical] ?? -1);
    const bar = index === undefined ? undefined : this.#picture?.bars[index];
    this.reader.onpoint(bar ? { bar, seen: this.#seen[index!] } : null);
  }

  #clicked({ logical, hoveredObjectId, point, paneIndex }: MouseEventParams) {
    const price = point && paneIndex === 0 ? this.#candles.coordinateToPrice(point.y) : null;
    if (price !== null && this.reader.onprice(price)) return;
    const place = logical === undefined ? undefined : this.#slots[Math.round(logical)];
    const beneath = place === undefined ? undefined : this.#picture?.alerts.get(place)?.[0]?.id;
    const alert = typeof hoveredObjectId === "string" ? hoveredObjectId : beneath;
    if (alert) this.reader.onalert(alert);
  }
}
