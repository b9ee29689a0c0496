# Everything runs from .venv, which bootstrap.py makes from the locked requirements.

# The system's Python where it is new enough and has pip: distributions build theirs optimised, which
# runs the platform about a fifth faster than one that was compiled without.
SYSTEM_PYTHON := /usr/bin/python3
FIT := import sys, pip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell $(SYSTEM_PYTHON) -c '$(FIT)' 2>/dev/null && echo $(SYSTEM_PYTHON) || echo python3)
PYTEST_ARGS ?= -n auto

ROOT := $(CURDIR)
VENV := .venv/bin
PY := $(VENV)/python

.DEFAULT_GOAL := help
.PHONY: help demo test lint format types lock bench bench-faults peers clean venv

help: ## Show the targets
	@echo "ExecFabric. Python 3.11 or newer, make and a package index are all it needs."
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16

demo: ## Start everything with demo data; Ctrl-C stops it
	@"$(PYTHON)" bootstrap.py server
	@exec $(PY) -m execfabric.embedded demo --follow-parent

test: venv ## Run all tests on services of their own; PYTEST_ARGS adds options
	@$(PY) -m pytest $(PYTEST_ARGS)

lint: venv ## Check style, formatting, templates and import rules
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(VENV)/djlint . --lint --quiet
	$(VENV)/lint-imports

format: venv ## Format the code
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

types: venv ## Check the types
	$(PY) -m mypy

# LOCK_ARGS=--upgrade takes the newest versions that fit.
LOCK := UV_SYSTEM_CERTS=1 $(VENV)/uv pip compile --quiet $(LOCK_ARGS) --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate

lock: venv ## Resolve the dependencies again and write the four lock files
	$(LOCK) pyproject.toml --extra server --group dev --output-file requirements-dev.lock
	$(LOCK) pyproject.toml --extra server --constraint requirements-dev.lock --output-file requirements-server.lock
	$(LOCK) pyproject.toml --constraint requirements-dev.lock --output-file requirements.lock
	echo uv | $(LOCK) - --constraint requirements-dev.lock --output-file requirements-bootstrap.lock

bench: venv ## Measure and write docs/benchmarks*.md (ten minutes)
	$(PY) -m bench.execution --write docs/benchmarks.md
	$(PY) -m bench.isolation --write docs/benchmarks-isolation.md
	$(PY) -m bench.log --write docs/benchmarks-log.md

peers: venv ## Measure beside another platform and write docs/benchmarks-peers.md
	$(PY) -m bench.execution --targets bare celery prefect governed --jobs trivial --latency-jobs 10 \
		--throughput-jobs 16 --rounds 2 --clients 2 8 --write docs/benchmarks-peers.md

bench-faults: venv ## Kill everything while executions run and write docs/benchmarks-faults.md (ten minutes)
	$(PY) -m bench.faults --write docs/benchmarks-faults.md

clean: ## Remove .venv and caches; data in var stays
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .coverage htmlcov build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

venv: ## Install everything for development into .venv
	@"$(PYTHON)" bootstrap.py dev
