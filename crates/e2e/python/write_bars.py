"""Writes the bars of a CSV file as a data frame usually does: prices as doubles, times without a zone, gaps as NaN."""

import sys

import polars as pl


def main(csv_path, parquet_path, compression, unit):
    frame = pl.read_csv(csv_path)
    start = pl.col("start").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit=unit)
    prices = pl.col("open", "high", "low", "close", "vwap").cast(pl.Float64)
    trades = pl.col("trades").cast(pl.Float64).fill_null(float("nan"))
    frame.with_columns(start, prices, trades).write_parquet(parquet_path, compression=compression)


main(*sys.argv[1:])
