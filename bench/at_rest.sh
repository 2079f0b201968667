#!/usr/bin/env bash
# What bars cost on their way into the store and there: a day of minute bars of 10,000 symbols from a file through the
# detector to the commit, how soon a server is ready over them (open, then closed), how much room a bar takes, and a year
# of ten symbols imported (beside sqlite3's .import into a table with the same key) and backtested. Loopback only.
#
# QQQ_TRACKER_BIN names a program that is built already; BEFORE another one to compare with, measured in the same run.
# SYMBOLS and MINUTES make it smaller. Say the machine's load with the figures: it is printed first.
set -euo pipefail
cd "$(dirname "$0")/.."

SYMBOLS=${SYMBOLS:-10000}
MINUTES=${MINUTES:-390}
PORT=${PORT:-18083}

for needed in curl sqlite3 python3; do
  command -v "$needed" >/dev/null || { echo "bench/at_rest.sh needs $needed: install it first" >&2; exit 1; }
done
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
now() { date +%s%3N; }

uptime
SYMBOLS=$SYMBOLS MINUTES=$MINUTES WORK=$work python3 - <<'PY'
import os, random
random.seed(1)
work, symbols, minutes = os.environ["WORK"], int(os.environ["SYMBOLS"]), int(os.environ["MINUTES"])
names = [f"S{i:04d}" for i in range(symbols)]
with open(f"{work}/day.toml", "w") as out:
    out.write("[watchlist]\nsymbols = " + str(names).replace("'", '"') + "\n")

def bars(out, names, price, day, first, minutes):
    for minute in range(first, first + minutes):
        at = f"{day}T{minute // 60:02d}:{minute % 60:02d}:00Z"
        lines = []
        for i, name in enumerate(names):
            begin = price[i]
            end = price[i] = begin * (1 + (random.random() - 0.5) / 500)
            high = max(begin, end) * (1 + random.random() / 2000)
            low = min(begin, end) * (1 - random.random() / 2000)
            volume = int((100 + 9000 * random.random()) * (8 if random.random() < 0.01 else 1))
            lines.append(f"{name},{at},{begin:.2f},{high:.2f},{low:.2f},{end:.2f},{volume},"
                         f"{(high + low + end) / 3:.4f},{int(1 + 200 * random.random())},sip\n")
        out.write("".join(lines))

head = "symbol,start,open,high,low,close,volume,vwap,trades,feed\n"
with open(f"{work}/day.csv", "w") as out:
    out.write(head)
    bars(out, names, [100.0 + i % 400 for i in range(symbols)], "2025-01-27", 870, minutes)
# Weekdays of 2024, 14:30 to 21:00 UTC: in summer an hour of it lies outside the session and is left out.
import datetime
ten = "AAPL MSFT AMZN TSLA META GOOG NFLX NVDA PYPL ADBE".split()
price, day = [100.0 + 20 * i for i in range(10)], datetime.date(2024, 1, 1)
with open(f"{work}/year.csv", "w") as out:
    out.write(head)
    while day.year == 2024:
        if day.weekday() < 5:
            bars(out, ten, price, day, 870, 390)
        day += datetime.timedelta(days=1)
# One bar of a day that is over: importing it closes what lies open.
with open(f"{work}/one.csv", "w") as out:
    out.write(head)
    bars(out, names[:1], [100.0], "2025-01-24", 870, 1)
PY

# How far the store is, every 200 ms: seconds since the start, bars.
cat > "$work/watch.py" <<'PY'
import sqlite3, sys, time
path, symbols, minutes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
first, began, seen = 1737988200, time.time(), []
while not seen or seen[-1][1] < minutes:
    try:
        newest = sqlite3.connect(f"file:{path}?mode=ro", uri=True).execute("select max(start) from bars").fetchone()[0]
    except sqlite3.OperationalError:
        newest = None
    if newest:
        seen.append((time.time() - began, (newest - first) // 60 + 1))
    time.sleep(0.2)
def when(part):
    return next(at for at, done in seen if done >= part * minutes)
bars = symbols * minutes
print(f"  file to commit: {bars / when(1):,.0f} bars/s over all ({when(1):.1f} s), "
      f"second tenth {bars / 10 / max(when(.2) - when(.1), .001):,.0f}, last tenth {bars / 10 / max(when(1) - when(.9), .001):,.0f}")
PY

cat > "$work/room.py" <<'PY'
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
tables = {name for name, in connection.execute("select name from sqlite_schema where type = 'table'")}
bars = connection.execute("select count(*) from bars").fetchone()[0]
if "blocks" in tables:
    closed = connection.execute("select coalesce(sum(bars), 0) from blocks").fetchone()[0]
    room = connection.execute("select sum(pgsize) from dbstat where name like '%blocks%'").fetchone()[0]
    payload = connection.execute("select sum(length(data)) from blocks").fetchone()[0] or 0
    if closed:
        print(f"  {closed:,} bars in blocks: {room / closed:.1f} bytes a bar in the file, {payload / closed:.1f} of them the block")
room = connection.execute("select sum(pgsize) from dbstat where name like 'bars%' or name = 'sqlite_autoindex_bars_1'").fetchone()[0]
if bars:
    print(f"  {bars:,} bars in rows: {room / bars:.1f} bytes a bar in the file")
print(f"  file: {os.path.getsize(sys.argv[1]) / 1e6:,.0f} MB")
PY

ready() { # how long a server takes to be ready
  local began; began=$(now)
  "$1" --config "$2" server >/dev/null 2>"$work/server.log" &
  pid=$!
  until curl --silent --fail --output /dev/null "http://127.0.0.1:$PORT/readyz"; do
    kill -0 "$pid" 2>/dev/null || { cat "$work/server.log" >&2; exit 1; }
    read -r -t 0.02 <> <(:) || true
  done
  echo "  server ready, $3: $(($(now) - began)) ms"
}
stop() { kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; pid=; }

export QQQ_TRACKER__LOG__FILTER=warn QQQ_TRACKER__STORE__BARS_RETENTION=36500d
export QQQ_TRACKER__SERVER__LISTEN=127.0.0.1:$PORT
export QQQ_TRACKER__FEED__PROVIDER=replay QQQ_TRACKER__FEED__REPLAY__PATH=$work/day.csv
touch "$work/ten.toml"

measure() {
  local program=$1 began took db=$work/store.db
  echo "$program"
  rm -f "$work"/*.db*
  export QQQ_TRACKER__STORE__URL=sqlite://$db
  "$program" --config "$work/day.toml" worker --once >/dev/null 2>&1 &
  pid=$!
  python3 "$work/watch.py" "$db" "$SYMBOLS" "$MINUTES"
  wait "$pid"; pid=
  python3 "$work/room.py" "$db"
  ready "$program" "$work/day.toml" "the day open"; stop
  began=$(now)
  "$program" --config "$work/day.toml" import "$work/one.csv" >/dev/null 2>&1
  echo "  closing the day: $(($(now) - began)) ms"
  python3 "$work/room.py" "$db"
  ready "$program" "$work/day.toml" "the day closed"; stop

  db=$work/year.db
  export QQQ_TRACKER__STORE__URL=sqlite://$db
  began=$(now)
  "$program" --config "$work/ten.toml" import "$work/year.csv" >/dev/null 2>&1
  took=$(($(now) - began))
  echo "  import of a year of ten symbols: $took ms, $(($(wc -l < "$work/year.csv") * 1000 / took)) rows/s"
  python3 "$work/room.py" "$db"
  ready "$program" "$work/ten.toml" "a year of ten"
  for rule in spike 'zscore z=4' 'cross above=150'; do
    body="{\"rule\":\"$rule\",\"from\":\"2024-01-01T00:00:00Z\",\"to\":\"2025-01-01T00:00:00Z\"}"
    [ "$rule" = spike ] && body=${body/\"rule\":\"spike\",/}
    for _ in 1 2 3; do
      curl --silent --fail --output "$work/answer" --header 'content-type: application/json' --data "$body" \
        --write-out "  backtest, $rule: %{time_total} s" "http://127.0.0.1:$PORT/v1/backtests"
      echo ", $(grep -oE '"bars":[0-9]+,"sessions":[0-9]+,"messages":[0-9]+' "$work/answer")"
    done
  done
  stop
}

for program in ${BEFORE:+"$BEFORE"} "$binary"; do measure "$program"; done

rm -f "$work/plain.db"
began=$(now)
sqlite3 "$work/plain.db" 'create table bars (symbol text, start text, open real, high real, low real, close real, volume
  integer, vwap real, trades integer, feed text, primary key (symbol, start)) without rowid;' \
  'pragma journal_mode = wal;' '.import --csv --skip 1 '"$work"'/year.csv bars' >/dev/null
took=$(($(now) - began))
echo "sqlite3 .import of the same file into a table with the same key: $took ms, $(($(wc -l < "$work/year.csv") * 1000 / took)) rows/s"
uptime
