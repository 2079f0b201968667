"""Holds a Parquet file of bars, as Polars reads it, to the CSV file of the same bars, as Python's own csv and decimal
modules read it: types, times, every value. Prints how many rows agreed. A pattern (`folder/*.parquet`) is an archive:
files that are sorted each by itself, and all have the column `splits`."""

import csv
import datetime
import decimal
import sys

import polars as pl

PRICE = pl.Decimal(18, 9)
SCHEMA = {
    "symbol": pl.String,
    "start": pl.Datetime("us", "UTC"),
    "open": PRICE,
    "high": PRICE,
    "low": PRICE,
    "close": PRICE,
    "volume": pl.Int64,
    "vwap": PRICE,
    "trades": pl.UInt32,
    "feed": pl.String,
}


def expected(row):
    def price(name):
        return decimal.Decimal(row[name]) if row[name] else None

    return {
        "symbol": row["symbol"],
        "start": datetime.datetime.fromisoformat(row["start"].replace("Z", "+00:00")),
        "open": price("open"),
        "high": price("high"),
        "low": price("low"),
        "close": price("close"),
        "volume": int(row["volume"]),
        "vwap": price("vwap"),
        "trades": int(row["trades"]) if row["trades"] else None,
        "feed": row["feed"],
    }


def main(parquet_path, csv_path):
    frame = pl.read_parquet(parquet_path)
    schema = SCHEMA
    if "*" in parquet_path:
        schema = SCHEMA | {"splits": pl.String}
        frame = frame.sort("symbol", "start")
    if dict(frame.schema) != schema:
        sys.exit(f"schema: {frame.schema}")
    if frame.get_columns()[len(SCHEMA) :] and not frame["splits"].is_null().all():
        sys.exit("splits where there are none")
    frame = frame.select(list(SCHEMA))
    if not frame.select(pl.struct("symbol", "start").is_sorted()).item():
        sys.exit("not sorted by symbol and start")
    with open(csv_path, newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        number = 0
        for number, (found, row) in enumerate(zip(frame.iter_rows(named=True), rows, strict=True), 1):
            if found != expected(row):
                sys.exit(f"row {number}: {found} is not {expected(row)}")
    print(number)


main(*sys.argv[1:])
