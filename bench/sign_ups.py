#!/usr/bin/env python3
"""Whether the time of an answer tells who signed up before.

Asks a running server in pairs, one address that was never heard of and one that is known, in random order, each from a
network of its own (the server must trust this machine's X-Forwarded-For), and prints the medians and the difference with
its 95 % interval. Start the server on an empty store, for example:

  qqq-tracker run --set server.listen=127.0.0.1:18080 --set 'server.trusted_proxies=["127.0.0.1/32"]'
  bench/sign_ups.py 127.0.0.1:18080 [PAIRS]
"""

import http.client
import json
import random
import statistics
import sys
import time


def main() -> None:
    host = sys.argv[1]
    pairs = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    connection = http.client.HTTPConnection(host, timeout=20)

    def ask(address: str) -> float:
        network = ".".join(str(random.randrange(1, 224 if part == 0 else 255)) for part in range(4))
        body = json.dumps({"email": address, "metric": "price", "ticker": "AAPL"})
        headers = {"content-type": "application/json", "x-forwarded-for": network}
        begun = time.perf_counter()
        connection.request("POST", "/subscribe", body, headers)
        answer = connection.getresponse()
        answer.read()
        took = time.perf_counter() - begun
        if answer.status != 201:
            sys.exit(f"{answer.status} for a sign-up: the server must be new, and trust X-Forwarded-For of this machine")
        return took

    known = [f"known{n}@known{n}.example" for n in range(50)]
    for address in known:
        ask(address)
    time.sleep(3)  # Taken in.
    new_times, known_times = [], []
    for n in range(pairs):
        number = random.randrange(1 << 40)
        pair = [(new_times, f"new{number}@new{number}.example"), (known_times, known[n % len(known)])]
        random.shuffle(pair)
        for times, address in pair:
            times.append(ask(address))
            time.sleep(0.002)

    differences = [new - old for new, old in zip(new_times, known_times)]
    resampled = sorted(
        statistics.median(random.choices(differences, k=len(differences))) for _ in range(1000)
    )
    low, high = resampled[25], resampled[974]
    print(f"new    {1e3 * statistics.median(new_times):.3f} ms median of {pairs}")
    print(f"known  {1e3 * statistics.median(known_times):.3f} ms")
    print(f"new - known {1e3 * statistics.median(differences):+.3f} ms, 95 % within {1e3 * low:+.3f} .. {1e3 * high:+.3f} ms")


if __name__ == "__main__":
    main()
