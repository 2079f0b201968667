#!/usr/bin/env bash
# GET /AAPL/price with 1,440 prices, against nginx serving the same bytes as a file: same client, same run,
# in turns. Prints requests per second of each round and the ratio. Needs nginx and wrk, and gets them from
# Debian where it may. Loopback only.
set -euo pipefail
cd "$(dirname "$0")/.."

ROUNDS=${ROUNDS:-5}
SECONDS_EACH=${SECONDS_EACH:-5}
CONNECTIONS=${CONNECTIONS:-64}

for tool in nginx wrk curl; do
  if ! command -v "$tool" >/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
      apt-get update -qq && apt-get install -y -qq --no-install-recommends nginx-light wrk curl >/dev/null
    else
      echo "bench/http.sh needs nginx, wrk and curl: install them first" >&2
      exit 1
    fi
  fi
done

cargo build --locked --release --quiet --package qqq-tracker
binary=$PWD/target/release/qqq-tracker
work=$(mktemp -d)
chmod 755 "$work" # nginx drops its rights
pids=()
finish() {
  [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

await() { # URL
  for _ in $(seq 200); do
    curl --silent --fail --output /dev/null "$1" && return
    read -r -t 0.1 <> <(:) || true
  done
  echo "nothing answers at $1" >&2
  exit 1
}

# A day of bars of every minute, then a server alone, so that the bytes stand still.
export QQQ_TRACKER__MARKET__CALENDAR=always QQQ_TRACKER__STORE__URL=sqlite://$work/bench.db
export QQQ_TRACKER__EMAIL__FOLDER=$work/mail QQQ_TRACKER__LOG__FILTER=warn
export QQQ_TRACKER__SERVER__LISTEN=127.0.0.1:18080 QQQ_TRACKER__SERVER__MAX_CONNECTIONS_PER_CLIENT=1000
"$binary" worker --once >/dev/null
"$binary" server >/dev/null &
pids+=($!)
await http://127.0.0.1:18080/healthz

mkdir -p "$work/www/AAPL"
curl --silent --fail http://127.0.0.1:18080/AAPL/price > "$work/www/AAPL/price"
prices=$(grep -o '"prices":\[[^]]*\]' "$work/www/AAPL/price" | tr ',' '\n' | wc -l)
cat > "$work/nginx.conf" <<CONF
worker_processes auto;
pid $work/nginx.pid;
error_log $work/error.log;
daemon off;
events { worker_connections 1024; }
http {
  access_log off;
  default_type application/json;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 100000000;
  open_file_cache max=16;
  client_body_temp_path $work/b; proxy_temp_path $work/p; fastcgi_temp_path $work/f;
  uwsgi_temp_path $work/u; scgi_temp_path $work/s;
  server { listen 127.0.0.1:18081; root $work/www; }
}
CONF
nginx -c "$work/nginx.conf" &
pids+=($!)
await http://127.0.0.1:18081/AAPL/price
cmp <(curl --silent http://127.0.0.1:18080/AAPL/price) <(curl --silent http://127.0.0.1:18081/AAPL/price)

rate() { # PORT
  wrk --threads 1 --connections "$CONNECTIONS" --duration "${SECONDS_EACH}s" "http://127.0.0.1:$1/AAPL/price" |
    awk '/Non-2xx|Socket errors/ { print "errors: " $0 > "/dev/stderr" } /Requests\/sec/ { print $2 }'
}
rate 18080 >/dev/null
rate 18081 >/dev/null
echo "$prices prices, $(stat -c %s "$work/www/AAPL/price") bytes, $CONNECTIONS connections, $(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg)"
printf '%8s %12s %12s %8s\n' round tracker/s nginx/s ratio
for round in $(seq "$ROUNDS"); do
  ours=$(rate 18080)
  theirs=$(rate 18081)
  printf '%8s %12s %12s %8s\n' "$round" "$ours" "$theirs" "$(awk -v a="$ours" -v b="$theirs" 'BEGIN { printf "%.2f", a / b }')"
done
