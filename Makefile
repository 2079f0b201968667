# make run    builds everything and starts with a simulated market: no key, no server, no configuration
# make test   builds everything and runs all tests, with whatever they need
# make check  format, lints, docs, dependency policy
# make bench  the benchmarks of bench/README.md
#
# Needed: Rust, Node.js from 20.19 on with npm, Python 3 with venv. Everything else is installed by what needs it.

CARGO ?= cargo
NPM ?= npm
PYTHON ?= python3
CHROMIUM ?= /usr/bin/chromium
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
VENV := target/venv
FAKETIME := target/tools/faketime
DENY := target/tools/bin/cargo-deny
DENY_VERSION := 0.20.2

DASHBOARD := dashboard/dist/index.html
DASHBOARD_SOURCES := $(shell find dashboard/src dashboard/public -type f ! -name schema.d.ts) \
	$(wildcard dashboard/*.json dashboard/*.js dashboard/vite.config.ts) dashboard/index.html \
	docs/openapi.json crates/api/assets/style.css
NODE_MODULES := dashboard/node_modules/.installed

.PHONY: run build test check fmt clippy doc deny dashboard-check bench bench-dashboard clean

run: build
	target/release/qqq-tracker run

build: $(DASHBOARD)
	$(CARGO) build --locked --release --package qqq-tracker

test: $(VENV)/installed $(DASHBOARD) $(CHROMIUM) $(FAKETIME)
	cd dashboard && $(NPM) test
	$(CARGO) build --locked --package qqq-tracker
	QQQ_PYTHON=$(CURDIR)/$(VENV)/bin/python $(CARGO) test --locked --workspace
	cd dashboard && CHROMIUM=$(CHROMIUM) QQQ_TRACKER=$(CURDIR)/target/debug/qqq-tracker $(NPM) run e2e

# The page is built first: it becomes part of the program.
$(DASHBOARD): $(NODE_MODULES) $(DASHBOARD_SOURCES)
	cd dashboard && $(NPM) run build

$(NODE_MODULES): dashboard/package-lock.json
	cd dashboard && $(NPM) ci --ignore-scripts --no-audit --no-fund
	touch $@

/usr/bin/chromium:
	$(SUDO) apt-get update --quiet
	$(SUDO) apt-get install --yes --quiet --no-install-recommends chromium

# Tests set the clock of the program alone, not the machine's.
$(FAKETIME):
	$(SUDO) apt-get update --quiet
	$(SUDO) apt-get install --yes --quiet --no-install-recommends libfaketime
	mkdir -p $(@D) && touch $@

# Python's mail server and mail parser: peers that are not ours.
$(VENV)/installed: crates/e2e/python/requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

check: fmt clippy doc deny dashboard-check

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

# Types, lints and format of the page.
dashboard-check: $(NODE_MODULES)
	cd dashboard && $(NPM) run check

bench: bench-dashboard
	$(CARGO) bench --locked --package qqq-bench
	bench/http.sh
	bench/backtest.sh

# What the page costs: Lighthouse, 500 symbols each second, the heap. MINUTES=60 for an hour of it.
bench-dashboard: build $(CHROMIUM)
	cd dashboard/bench && $(NPM) ci --ignore-scripts --no-audit --no-fund
	cd dashboard && CHROMIUM=$(CHROMIUM) QQQ_TRACKER=$(CURDIR)/target/release/qqq-tracker npx playwright test --config bench/playwright.config.ts

clean:
	$(CARGO) clean
	rm -rf dashboard/node_modules dashboard/bench/node_modules dashboard/dist/assets $(DASHBOARD)
