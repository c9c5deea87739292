# Two commands do everything on a fresh machine: `make run` and `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WEB := clients/web
STAMPS := build/stamps

PY_STAMP := $(STAMPS)/python
NPM_STAMP := $(STAMPS)/npm
WEB_STAMP := $(STAMPS)/web
TOOLS_STAMP := $(STAMPS)/test-tools
NATIVE_STAMP := $(STAMPS)/native

WEB_SOURCES := $(shell find $(WEB) -type f -not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)

.PHONY: help run setup check test test-python test-web sanitize sanitize-threads pictures format lock clean

help: ## what can be asked for
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -ts $$'\t'

setup: $(PY_STAMP) $(NATIVE_STAMP) $(WEB_STAMP) ## all that `run` and `test` need; quick when nothing changed

run: setup ## the demo: server, demo county, simulated devices
	@$(BIN)/huizhen demo $(ARGS)

$(PY_STAMP): requirements.lock pyproject.toml
	@$(PYTHON) .ci/setup_python.py $(VENV)
	@mkdir -p $(@D) && touch $@

# Optional: without a compiler there is a warning, and the Python plane runs.
$(NATIVE_STAMP): $(PY_STAMP) hatch_build.py media/_native.pyi media/native/__init__.py media/native/sources.py $(wildcard media/native/*.[ch])
	@$(BIN)/python hatch_build.py
	@mkdir -p $(@D) && touch $@

$(NPM_STAMP): $(WEB)/package-lock.json
	@command -v npm >/dev/null || { echo "npm (Node.js 20 or newer) is missing: install the packages nodejs and npm"; exit 1; }
	@echo "web: installing dependencies"
	@cd $(WEB) && npm ci --no-audit --no-fund --loglevel=error
	@mkdir -p $(@D) && touch $@

$(WEB_STAMP): $(NPM_STAMP) $(WEB_SOURCES)
	@echo "web: building"
	@cd $(WEB) && npm run --silent build
	@mkdir -p $(@D) && touch $@

$(TOOLS_STAMP): .ci/install_test_tools
	@.ci/install_test_tools
	@mkdir -p $(@D) && touch $@

# The module is built anew behind them. Leaks are not looked for, and memory is not counted: Python and the sanitizers keep what they like.
SANITIZED = $(BIN)/pytest -q -p no:cacheprovider --plane native \
	  --deselect tests/media/native/test_engine.py::test_ten_thousand_peers_leave_nothing_behind \
	  tests/media/native tests/media/relay/test_on_wire.py

sanitize: setup ## the media engine's tests under the address and undefined-behaviour sanitizers
	rm -f $(NATIVE_STAMP) # were this broken off, `setup` builds the usual one
	$(BIN)/python hatch_build.py --sanitize
	status=0; .ci/in_own_network env ASAN_OPTIONS=detect_leaks=0 \
	  LD_PRELOAD="$$(cc -print-file-name=libasan.so) $$(cc -print-file-name=libubsan.so)" $(SANITIZED) || status=$$?; $(BIN)/python hatch_build.py; exit $$status

# Without address randomization, which older versions of the sanitizer do not stand. It knows our code and every lock, but not what Python and libsrtp do.
sanitize-threads: setup ## the same under the sanitizer for data races
	rm -f $(NATIVE_STAMP)
	$(BIN)/python hatch_build.py --sanitize-threads
	status=0; .ci/in_own_network setarch -R env TSAN_OPTIONS=exitcode=66 LD_PRELOAD="$$(cc -print-file-name=libtsan.so)" \
	  $(SANITIZED) tests/media/transport || status=$$?; $(BIN)/python hatch_build.py; exit $$status

check: setup ## format, lint, types, layers, C without a warning
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@! command -v cc >/dev/null || $(BIN)/python hatch_build.py --strict
	cd $(WEB) && npm run --silent check

# Browsers and media tests run in a network of their own that holds nothing but `lo`:
# only there do browsers keep to 127.0.0.1, and no test can reach outside.
test: setup $(TOOLS_STAMP) test-web test-python ## every test, with coverage and the slowest ones

test-web: setup
	cd $(WEB) && npm run --silent test

# Three runs (tests/DESIGN.md): what only computes, on all cores; what drives a browser or lays a network, one at
# a time; the product's own pages, whose driver keeps an event loop in its thread that other tests need for theirs.
PYTEST = .ci/in_own_network $(BIN)/pytest --cov --cov-report= --durations=10
ALONE := (browser or network)

test-python: setup $(TOOLS_STAMP)
	@rm -f .coverage .coverage.*
	$(PYTEST) -n auto --maxprocesses 4 --dist loadfile --ignore tests/browser -m "not $(ALONE)" $(ARGS)
	$(PYTEST) --cov-append --ignore tests/browser -m "$(ALONE)" $(ARGS)
	$(PYTEST) --cov-append tests/browser $(ARGS)
	@$(BIN)/coverage combine -q 2>/dev/null || true
	@$(BIN)/coverage report --format=total | sed 's/^/coverage (lines and branches, percent): /'

pictures: setup $(TOOLS_STAMP) ## take the README's pictures from the running product
	.ci/in_own_network $(BIN)/pytest -q tests/browser/test_consult.py --pictures docs/pictures

format: $(PY_STAMP) ## rewrite sources in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(PY_STAMP) ## renew the lock files from pyproject.toml and package.json
	$(BIN)/uv pip compile pyproject.toml --extra dev --python-version 3.11 --universal --generate-hashes --no-header -q -o requirements.lock $(ARGS)
	cd $(WEB) && npm install --package-lock-only --no-audit --no-fund

clean: ## forget everything that was built (demo data stay)
	rm -rf $(VENV) build media/_native*.so* $(WEB)/node_modules $(WEB)/dist .mypy_cache .ruff_cache .pytest_cache .coverage*
