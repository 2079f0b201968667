# make run    builds everything and starts with a simulated market: no key, no server, no configuration
# make test   builds everything and runs all tests, with whatever they need
# make check  format, lints, docs, dependency policy
# make bench  the benchmarks of bench/README.md
# make dist   the program as it is released: target/dist/qqq-tracker
#
# Needed: Rust by rustup, a C compiler, Python 3. What else is missing is taken from PyPI into target/, or installed
# from Debian or Ubuntu; what neither brings is named, with the command that does (tools/).

CARGO ?= cargo
NPM ?= npm
PYTHON ?= python3
VENV := target/venv
DENY := target/tools/bin/cargo-deny
DENY_VERSION := 0.20.2
# Built with less than half the compiling that an optimized one takes: Cargo.toml says how.
PROGRAM := target/quick/qqq-tracker
# Functions that came out the same are kept once, where the linker that comes with Rust can: 5 MB of 45.
HOST = $(shell rustc -vV | sed -n 's/^host: //p')
FOLD := -C link-arg=-Wl,--icf=all
LINK = $(if $(filter x86_64-unknown-linux-gnu,$(HOST)),$(FOLD))

export PYTHON
# Node.js lies there where the machine has none that fits.
export PATH := $(CURDIR)/target/node/bin:$(PATH)

DASHBOARD := dashboard/dist/index.html
DASHBOARD_SOURCES := $(shell find dashboard/src dashboard/public -type f ! -name schema.d.ts) \
	$(wildcard dashboard/*.json dashboard/*.js dashboard/vite.config.ts) dashboard/index.html \
	docs/openapi.json crates/http/assets/style.css
NODE_MODULES := dashboard/node_modules/.installed

.PHONY: run build dist rust node browser faketime test check fmt clippy doc deny dashboard-check
.PHONY: bench bench-dashboard bench-rest clean

run: build
	$(PROGRAM) run

build: rust $(DASHBOARD)
	$(CARGO) rustc --locked --profile quick --package qqq-tracker --bin qqq-tracker -- $(LINK)

dist: rust $(DASHBOARD)
	$(CARGO) build --locked --profile dist --package qqq-tracker

test: rust browser faketime $(VENV)/installed node $(DASHBOARD)
	cd dashboard && $(NPM) test
	$(CARGO) build --locked --package qqq-tracker
	QQQ_PYTHON=$(CURDIR)/$(VENV)/bin/python $(CARGO) test --locked --workspace
	cd dashboard && CHROMIUM="$$(../tools/chromium)" FIREFOX="$$(../tools/firefox)" QQQ_TRACKER=$(CURDIR)/target/debug/qqq-tracker $(NPM) run e2e

# The page is built first: it becomes part of the program.
$(DASHBOARD): $(NODE_MODULES) $(DASHBOARD_SOURCES) | node
	cd dashboard && $(NPM) run build

$(NODE_MODULES): dashboard/package-lock.json | node
	cd dashboard && $(NPM) ci --ignore-scripts --no-audit --no-fund
	touch $@

rust:
	@tools/rust $(CARGO)

node:
	@tools/node

browser:
	@tools/chromium
	@tools/firefox

# Tests set the clock of the program alone, not the machine's. Without it they are passed over; in CI they fail.
faketime:
	@ls /usr/lib/*-linux-gnu/faketime/libfaketimeMT.so.1 >/dev/null 2>&1 || tools/install libfaketime libfaketime \
		"The tests that set the clock know it from there alone, and are passed over." || test -z "$$CI"

# Python's mail server and mail parser: peers that are not ours.
$(VENV)/installed: crates/e2e/python/requirements.txt
	tools/venv
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

check: fmt clippy doc deny dashboard-check

# rustfmt leaves comments, strings and macros as wide as they are. A row of a table in a comment cannot be broken.
fmt:
	$(CARGO) fmt --all --check
	@! LC_ALL=C.UTF-8 git grep -nE '^.{111,}$$' -- '*.rs' | LC_ALL=C.UTF-8 grep -vE '^[^:]+:[0-9]+: *//[/!]? *\|'

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
dashboard-check: node $(NODE_MODULES)
	cd dashboard && $(NPM) run check

bench: bench-dashboard
	$(CARGO) bench --locked --package qqq-bench
	bench/http.sh
	bench/backtest.sh

# What bars cost on their way into the store and there. BEFORE=PROGRAM to compare.
bench-rest: rust $(DASHBOARD)
	bench/at_rest.sh

# What the page costs: Lighthouse, 500 symbols each second, the heap. MINUTES=60 for an hour of it.
bench-dashboard: rust browser node $(DASHBOARD)
	$(CARGO) build --locked --release --package qqq-tracker
	cd dashboard/bench && $(NPM) ci --ignore-scripts --no-audit --no-fund
	cd dashboard && CHROMIUM="$$(../tools/chromium)" QQQ_TRACKER=$(CURDIR)/target/release/qqq-tracker npx playwright test --config bench/playwright.config.ts

clean:
	$(CARGO) clean
	rm -rf dashboard/node_modules dashboard/bench/node_modules dashboard/dist/assets $(DASHBOARD)
