# clusterdeck: `make demo` to look at it, `make check` before a commit. `make help` lists everything.

# The first of these that is new enough; `make PYTHON=/path/to/python ...` overrules.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v "$$p"; break; }; done)
# Nodes of the demo cluster, processes that run tests, minutes of the soak.
N ?= 24
JOBS ?= 2
MINUTES ?= 30

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

.PHONY: help demo test lint check format bench soak docs picture clean
.DEFAULT_GOAL := help

help:
	@echo "make demo     open the console on a cluster of N=$(N) pretended nodes (nothing is left behind)"
	@echo "make test     every test, installing what they need"
	@echo "make lint     format, lint, types, import contracts"
	@echo "make check    lint and test: the gate"
	@echo "make format   let ruff put the code in order"
	@echo "make bench    the benchmarks"
	@echo "make soak     the long tests, then MINUTES=$(MINUTES) of commands and killed connections"
	@echo "make docs     the manual, into site/"
	@echo "make picture  the pictures of the console in docs/images, made by the console itself"
	@echo "make clean    remove the environment and everything built"

# -- environments: a stamp per set of packages, made again only when pyproject.toml changes

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "clusterdeck needs Python 3.11 or newer, with venv:" >&2; \
		echo "  apt-get install python3 python3-venv   (Debian 12, Ubuntu 24.04 or newer)" >&2; \
		echo "  brew install python                    (macOS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) has no venv module:" >&2; \
		$(PYTHON) -c 'import sys; print("  apt-get install python3.%d-venv" % sys.version_info[1])' >&2; exit 1; }
	@echo "making $(VENV) with $(PYTHON)" >&2
	@$(PYTHON) -m venv $(VENV)

# The tools that look at the sources by package name see the root of the repository as the package it is.
.pkg/clusterdeck:
	@mkdir -p .pkg && ln -sfn .. .pkg/clusterdeck

$(VENV)/.stamp-run: pyproject.toml | $(BIN)/python
	@echo "installing clusterdeck (a minute, the first time)" >&2
	@$(PIP) install -e . && touch $@

$(VENV)/.stamp-dev: pyproject.toml | $(BIN)/python .pkg/clusterdeck
	@echo "installing clusterdeck and the tools of its tests (a minute or two, the first time)" >&2
	@$(PIP) install -e '.[dev]' && touch $@ $(VENV)/.stamp-run

$(VENV)/.stamp-docs: pyproject.toml | $(BIN)/python
	@$(PIP) install -e '.[docs]' && touch $@

# -- using it

demo: $(VENV)/.stamp-run
	@exec $(BIN)/clusterdeck demo -n $(N)

# -- the gate

lint: $(VENV)/.stamp-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

test: $(VENV)/.stamp-dev
	@sh tests/support/programs.sh
	$(BIN)/pytest -n $(JOBS) --dist worksteal -q

check:
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory test

format: $(VENV)/.stamp-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.stamp-dev
	@sh tests/support/programs.sh
	@for script in $$(ls tests/bench/bench_*.py | grep -v _client); do echo "== $$script"; $(BIN)/python "$$script" || exit 1; done

soak: $(VENV)/.stamp-dev
	@sh tests/support/programs.sh
	$(BIN)/pytest -m long -q -s tests/hostile
	$(BIN)/python tests/hostile/soak.py $(MINUTES)

docs: $(VENV)/.stamp-docs
	$(BIN)/python docs/make_settings.py
	$(BIN)/python docs/make_commands.py
	$(BIN)/python docs/make_keys.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict -q

picture: $(VENV)/.stamp-run
	$(BIN)/python docs/make_picture.py

clean:
	rm -rf $(VENV) .pkg build site clusterdeck.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
