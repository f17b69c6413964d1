# Lianxin 连心. `make run` runs it, `make test` tests it; everything stays in this directory (.venv, .lianxin)
# but the broker's jars, which are kept once for each user.
PYTHON ?= python3
UV_VERSION := 0.13.9
BIN := .venv/bin
UV := $(BIN)/uv
PACKAGES := contracts chassis services/intake services/router services/notifier services/metrics deploy/local
PROJECTS := $(addsuffix /pyproject.toml,$(PACKAGES))
PYTEST ?= $(BIN)/pytest

# Hundreds of processes start in a run of the tests, nine with every stack: each would compile all that it imports where
# an image's environment says so. That is more than half of a process's start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup run test soak bench lint format lock clean

help:
	@echo 'make run     set up, start everything and a made-up city that lives on it; Ctrl-C stops it'
	@echo 'make test    set up and run the tests, with a sample of every long run'
	@echo 'make soak    run the long runs whole'
	@echo 'make bench   how fast it is, as ratios: docs/measuring.md'
	@echo 'make lint    ruff and mypy        make format  let ruff put things right'
	@echo 'make lock    pin requirements.in anew, with hashes'
	@echo 'make clean   remove .venv; the data in .lianxin stays'

setup: .venv/installed

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'Python 3.11 or newer is needed: name one with make PYTHON=…' >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/synced: requirements.lock | $(UV)
	VIRTUAL_ENV=$(CURDIR)/.venv $(UV) pip sync --quiet --require-hashes requirements.lock
	@touch $@

.venv/installed: .venv/synced $(PROJECTS) | $(UV)
	VIRTUAL_ENV=$(CURDIR)/.venv $(UV) pip install --quiet --no-build-isolation --no-deps \
	  $(foreach package,$(PACKAGES),-e ./$(package))
	@touch $@

run: setup
	$(BIN)/lianxin up --living

# Further arguments for pytest: make test ARGS='tests/local -k kill'
# Files run side by side, since most of their time is waiting for real servers, and in order, so that those of a
# folder share its servers; WORKERS=0 runs one after the other. Three keep two cores busy. Brokers live too short for
# Java's second compiler to pay.
WORKERS ?= 3
test: export JDK_JAVA_OPTIONS ?= -XX:TieredStopAtLevel=1
test: setup
	$(PYTEST) -m 'not soak' -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

soak: setup
	$(PYTEST) -m soak $(ARGS)

# Each has options of its own: .venv/bin/python -m benchmarks.router --help
BENCHMARKS := intake router latency
bench: setup
	@set -e; for one in $(BENCHMARKS); do echo "== $$one"; $(BIN)/python -m benchmarks.$$one; done

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: | $(UV)
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	  --no-emit-find-links requirements.in --output-file requirements.lock
	$(BIN)/python -m deploy.images.locks

clean:
	rm -rf .venv
