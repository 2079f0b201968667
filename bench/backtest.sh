#!/usr/bin/env bash
# POST /v1/backtests over a year of one-minute bars of ten symbols, one rule of every kind, and the same year read from
# a file by `qqq-tracker backtest`. Prints the bars and the milliseconds of each round. Loopback only. QQQ_TRACKER_BIN
# names a program that is built already.
set -euo pipefail
cd "$(dirname "$0")/.."

ROUNDS=${ROUNDS:-3}
PORT=${PORT:-18082}

command -v curl >/dev/null || { echo "bench/backtest.sh needs curl: install it first" >&2; exit 1; }
binary=${QQQ_TRACKER_BIN:-}
if [ -z "$binary" ]; then
  cargo build --locked --release --quiet --package qqq-tracker
  binary=$PWD/target/release/qqq-tracker
fi
work=$(mktemp -d)
pid=
finish() {
  [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

# Weekdays of 2024, 13:30 to 21:00 UTC, the same on every run: prices that wander, volumes with a burst now and then.
# What lies outside the sessions of that day, the program leaves out.
awk 'BEGIN {
  srand(1); split("AAPL MSFT AMZN TSLA META GOOG NFLX NVDA PYPL ADBE", symbols, " ")
  print "symbol,start,open,high,low,close,volume"
  split("31 29 31 30 31 30 31 31 30 31 30 31", days, " ")
  for (s = 1; s <= 10; s++) price[s] = 100 + 20 * s
  weekday = 0 # 2024-01-01 was a Monday
  for (month = 1; month <= 12; month++) for (day = 1; day <= days[month]; day++) {
    if (weekday++ % 7 > 4) continue
    for (minute = 810; minute < 1260; minute++) for (s = 1; s <= 10; s++) {
      price[s] *= 1 + (rand() - 0.5) / 500
      volume = int(1000 + 9000 * rand()) * (rand() < 0.01 ? 8 : 1)
      printf "%s,2024-%02d-%02dT%02d:%02d:00Z,%.4f,%.4f,%.4f,%.4f,%d\n", symbols[s], month, day,
        minute / 60, minute % 60, price[s], price[s], price[s], price[s], volume
    }
  }
}' > "$work/year.csv"

export QQQ_TRACKER__STORE__URL=sqlite://$work/bench.db QQQ_TRACKER__LOG__FILTER=warn
export QQQ_TRACKER__SERVER__LISTEN=127.0.0.1:$PORT QQQ_TRACKER__STORE__BARS_RETENTION=36500d
now() { date +%s%3N; }
began=$(now)
"$binary" import "$work/year.csv" --feed sip
echo "import: $(($(now) - began)) ms"
"$binary" export "$work/year.parquet"

"$binary" server >/dev/null &
pid=$!
for _ in $(seq 200); do
  curl --silent --fail --output /dev/null "http://127.0.0.1:$PORT/healthz" && break
  read -r -t 0.1 <> <(:) || true
done

for rule in spike 'zscore z=4' 'move percent=3 from=previous_close' 'cross above=150' 'time_of_day ratio=4'; do
  body="{\"rule\":\"$rule\",\"from\":\"2024-01-01T00:00:00Z\",\"to\":\"2025-01-01T00:00:00Z\"}"
  [ "$rule" = spike ] && body=${body/\"rule\":\"spike\",/}
  for _ in $(seq "$ROUNDS"); do
    curl --silent --fail --output "$work/answer" --header 'content-type: application/json' --data "$body" \
      --write-out "POST /v1/backtests, $rule: %{time_total} s" "http://127.0.0.1:$PORT/v1/backtests"
    echo ", $(grep -oE '"bars":[0-9]+,"sessions":[0-9]+,"messages":[0-9]+' "$work/answer")"
  done
done
for file in year.parquet year.csv; do
  began=$(now)
  "$binary" backtest "$work/$file" --json > "$work/answer"
  echo "backtest $file: $(($(now) - began)) ms"
done
