"""What must come out of a recording: the statistics and alerts of contract sections 2 to 4, from scratch.

Every figure is computed from its definition, in exact arithmetic (integers and fractions), over all bars at
once. Nothing here is incremental and nothing is shared with the program under test. Standard library only.

    oracle.py FILE... --symbols AAPL,MSFT --calendar always|regular --cooldown SECONDS

Answers one JSON object. Exact values are decimal texts; what is irrational or periodic has 40 digits.
"""

import argparse
import csv
import gzip
import json
from bisect import bisect_left
from datetime import datetime, time, timezone
from fractions import Fraction
from math import isqrt
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
METRICS = ("price", "volume")
DAY = 24 * 60
HOUR = 60
RATIO = 3
MIN_BARS = 30
DIGITS = 40


def minute_of(text):
    """Minutes since 1970 of an RFC 3339 time."""
    at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    seconds = int(at.timestamp())
    assert at.tzinfo is not None and seconds % 60 == 0, text
    return seconds // 60


def time_of(minute):
    return datetime.fromtimestamp(minute * 60, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def is_regular(minute):
    """Whether a minute starts inside a regular session. Knows no holidays: the recordings have none."""
    local = datetime.fromtimestamp(minute * 60, NEW_YORK)
    return local.weekday() < 5 and time(9, 30) <= local.time() < time(16, 0)


def read(paths, counts):
    """{symbol: {minute: {metric: value}}}. A later row of the same symbol and minute replaces the earlier."""
    bars = {}
    for path in paths:
        with open(path, "rb") as file:
            opened = gzip.open if file.read(2) == b"\x1f\x8b" else open
        with opened(path, "rt", newline="") as file:
            for row in csv.DictReader(file):
                minute = minute_of(row.get("start") or row["time_utc"])
                if counts(minute):
                    values = {"price": Fraction(row["close"]), "volume": Fraction(row["volume"])}
                    bars.setdefault(row["symbol"], {})[minute] = values
    return bars


class Series:
    """One metric of one symbol, by minute."""

    def __init__(self, bars, metric):
        self.minutes = sorted(bars)
        self.values = [bars[minute][metric] for minute in self.minutes]

    def between(self, first, end):
        """Values of the bars with `first <= start < end`."""
        return self.values[bisect_left(self.minutes, first) : bisect_left(self.minutes, end)]

    def trailing(self, at):
        return self.between(at - HOUR, at)

    def day(self):
        """The 24 hours up to the newest bar: `t - 24 h < start <= t`."""
        newest = self.minutes[-1]
        return self.between(newest - DAY + 1, newest + 1)


def variance(values):
    """The sample variance of the changes; None with fewer than two."""
    changes = [later - earlier for earlier, later in zip(values, values[1:])]
    if len(changes) < 2:
        return None
    mean = Fraction(sum(changes), len(changes))
    return sum((change - mean) ** 2 for change in changes) / (len(changes) - 1)


def exact(value):
    """A decimal text of a fraction that has one."""
    numerator, places = value.numerator, 0
    denominator = value.denominator
    while denominator > 1:
        factor = 10 // next(divisor for divisor in (10, 5, 2) if denominator % divisor == 0)
        numerator, denominator = numerator * factor, denominator * factor // 10
        places += 1
    whole, rest = divmod(numerator, 10**places)
    return f"{whole}.{rest:0{places}}".rstrip("0").rstrip(".") if places else str(whole)


def digits(numerator_root, scale):
    """`numerator_root / 10**scale` as text."""
    whole, rest = divmod(numerator_root, 10**scale)
    return f"{whole}.{rest:0{scale}}"


def rounded(value):
    """A fraction to 40 decimals, cut off."""
    return None if value is None else digits(value.numerator * 10**DIGITS // value.denominator, DIGITS)


def root(value):
    """The square root of a fraction to 40 decimals, cut off."""
    if value is None:
        return None
    return digits(isqrt(value.numerator * 10 ** (2 * DIGITS) // value.denominator), DIGITS)


def figures(series):
    day, newest = series.day(), series.values[-1]
    spread, mean = variance(day), Fraction(sum(day), len(day))
    window = series.trailing(series.minutes[-1])
    average = Fraction(sum(window), len(window)) if window else None
    relative = spread / mean**2 if spread is not None and mean != 0 else None
    return {
        "stdev": spread,
        "relative_stdev": relative,
        "told": {
            "stdev": root(spread),
            "relative_stdev": root(relative),
            "trailing_average": rounded(average),
            "ratio": rounded(newest / average) if average else None,
            "window_bars": len(window),
            "values": [exact(value) for value in day],
        },
    }


def alerts(symbol, metric, series, cooldown):
    """Judges every bar by the hour before it. What qualifies within the cool-down is counted."""
    raised = []
    for minute, value in zip(series.minutes, series.values):
        window = series.trailing(minute)
        if len(window) < MIN_BARS or sum(window) == 0:
            continue
        average = Fraction(sum(window), len(window))
        if value < RATIO * average:
            continue
        if raised and (minute - raised[-1]["minute"]) * 60 < cooldown:
            raised[-1]["values"].append(value)
            continue
        raised.append(
            {"minute": minute, "values": [value], "average": average, "window_bars": len(window)}
        )
    return [
        {
            "symbol": symbol,
            "metric": metric,
            "start": time_of(alert["minute"]),
            "value": exact(alert["values"][0]),
            "average": rounded(alert["average"]),
            "ratio": rounded(alert["values"][0] / alert["average"]),
            "window_bars": alert["window_bars"],
            "occurrences": len(alert["values"]),
            "peak": exact(max(alert["values"])),
        }
        for alert in raised
    ]


def ranking(symbols, computed, metric, by):
    """Largest first, ties by symbol, symbols without a value last. Squares order as their roots do."""

    def place(symbol):
        value = computed[symbol][metric][by] if symbol in computed else None
        return (value is None, -value if value is not None else 0, symbol)

    return sorted(symbols, key=place)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="+")
    parser.add_argument("--symbols", required=True)
    parser.add_argument("--calendar", choices=("always", "regular"), required=True)
    parser.add_argument("--cooldown", type=int, required=True)
    options = parser.parse_args()

    counts = is_regular if options.calendar == "regular" else lambda minute: True
    symbols = options.symbols.split(",")
    bars = {name: bars for name, bars in read(options.files, counts).items() if name in symbols}
    series = {name: {metric: Series(bars[name], metric) for metric in METRICS} for name in bars}
    computed = {name: {metric: figures(one[metric]) for metric in METRICS} for name, one in series.items()}
    found = [
        alert
        for name, one in series.items()
        for metric in METRICS
        for alert in alerts(name, metric, one[metric], options.cooldown)
    ]
    told = {
        name: {"start": time_of(max(bars[name]))} | {metric: one[metric]["told"] for metric in METRICS}
        for name, one in computed.items()
    }
    rankings = {
        metric: {by: ranking(symbols, computed, metric, by) for by in ("stdev", "relative_stdev")}
        for metric in METRICS
    }
    print(json.dumps({"symbols": told, "rankings": rankings, "alerts": found}))


main()
