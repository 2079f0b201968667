# make run    builds everything and starts with a simulated market: no key, no server, no configuration
# make test   builds everything and runs all tests, with whatever they need
# make check  format, lints, docs, dependency policy
# make bench  the benchmarks of bench/README.md

CARGO ?= cargo
PYTHON ?= python3
VENV := target/venv
DENY := target/tools/bin/cargo-deny
DENY_VERSION := 0.20.2

.PHONY: run build test check fmt clippy doc deny bench clean

run: build
	target/release/qqq-tracker run

build:
	$(CARGO) build --locked --release --package qqq-tracker

test: $(VENV)/installed
	$(CARGO) build --locked --package qqq-tracker
	QQQ_PYTHON=$(CURDIR)/$(VENV)/bin/python $(CARGO) test --locked --workspace

# Python's mail server and mail parser: peers that are not ours.
$(VENV)/installed: crates/e2e/python/requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

check: fmt clippy doc deny

fmt:
	$(CARGO) fmt --all --check

clippy:
	$(CARGO) clippy --locked --workspace --all-targets -- --deny warnings

doc:
	RUSTDOCFLAGS="--deny warnings" $(CARGO) doc --locked --workspace --no-deps

# Advisories need a database that is fetched from elsewhere: `cargo deny check` with network tells them too.
deny: $(DENY)
	$(DENY) --locked check bans licenses sources

$(DENY):
	$(CARGO) install --locked --quiet cargo-deny --version $(DENY_VERSION) --root target/tools

bench:
	$(CARGO) bench --locked --package qqq-bench
	bench/http.sh
	bench/backtest.sh

clean:
	$(CARGO) clean
