/** Numbers, in the notation of the page's language. */

import type { Metric } from "../api/types";
import { LANGUAGE } from "./language";
import { unitOf } from "./metric";

type Options = Intl.NumberFormatOptions;

/** Made when it is first used: a page's beginning does not wait for the formats of others. */
function format(options: Options): (value: number) => string {
  let made: Intl.NumberFormat | undefined;
  return (value) => (made ??= new Intl.NumberFormat(LANGUAGE, options)).format(value);
}

const cents = format({ minimumFractionDigits: 2, maximumFractionDigits: 2 });
const small = format({ minimumFractionDigits: 4, maximumFractionDigits: 4 });
const whole = format({ maximumFractionDigits: 0 });
const compact = format({ notation: "compact", maximumSignificantDigits: 3 });
const oneDigit = format({ minimumFractionDigits: 1, maximumFractionDigits: 1 });
const significant = format({ maximumSignificantDigits: 3 });
const percents = format({ minimumFractionDigits: 2, maximumFractionDigits: 2 });
const plainNumber = format({ maximumFractionDigits: 9 });

/** What stands where there is no value. */
export const NONE = "–";

/** Dollars, without a sign: two places, four below one dollar. */
export const price = (value: number): string => (value >= 1 ? cents(value) : small(value));

/** Shares, each of them. */
export const shares = (value: number): string => whole(value);

/** A large number in three digits: `9.64M`. */
export const short = (value: number): string => (value < 1000 ? significant(value) : compact(value));

/** A ratio: `18.7`, and without a fraction from 100 on. */
export const ratio = (value: number): string => (value < 100 ? oneDigit(value) : whole(value));

/** A part of one as a percentage, without the sign: 0.0031 is `0.31`. */
export const percent = (value: number): string => percents(value * 100);

/** Percentage points as they are: `1.48`. */
export const points = (value: number): string => percents(value);

/** Percentage points with their sign: `+1.48 %`, `−3.50 %`. */
export const signedPoints = (value: number): string =>
  `${value < 0 ? "−" : "+"}${percents(Math.abs(value))} %`;

/** A number as it is. */
export const plain = (value: number): string => plainNumber(value);

/** A figure of a metric, without its unit: dollars of a share as a price, everything else in short. */
export const amount = (metric: Metric, value: number): string =>
  unitOf(metric) === "dollars" && Math.abs(value) < 100_000 ? price(value) : short(value);

/** The same with its unit: `$118.42`, `$1.14B`, `9.6M shares`. */
export const quantity = (metric: Metric, value: number): string =>
  unitOf(metric) === "dollars" ? `$${amount(metric, value)}` : `${short(value)} ${unitOf(metric)}`;

/** `1 alert`, `2 alerts`. */
export const count = (number: number, one: string, many = `${one}s`): string =>
  `${whole(number)} ${number === 1 ? one : many}`;
