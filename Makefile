# Everything happens inside this directory: the environment is .venv, made from the lock on first use.
# Needs Python >= 3.11 and make; uses uv where it is on PATH, else venv and pip. PYTHON=... picks an interpreter.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

export PYTHON
BIN := .venv/bin
READY := .venv/.installed
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest -rs

.PHONY: help demo test lint format bench fuzz interop load docs lock clean

help: ## show these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(READY) ## run the whole life of a credential on localhost and show what each party saw
	@$(BIN)/safeconduct demo

test: $(READY) ## run the tests; skips what needs an absent PostgreSQL, HSM, browser or npm, with the reason
	@$(PYTEST) -n $(WORKERS)

lint: $(READY) ## check style, types, import contracts and stray machine paths
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@scripts/check-paths.sh

format: $(READY) ## rewrite the sources in the house format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(READY) ## measure each operation against its floor; writes bench-results.json
	@$(BIN)/python -m bench --json bench-results.json

fuzz: $(READY) ## throw garbage at every parser, guided by coverage where it can be, and at every service
	@scripts/fuzz.sh
	@$(BIN)/python -m fuzz
	@SAFECONDUCT_SCHEMATHESIS_EXAMPLES=100 $(PYTEST) tests/services/test_openapi_schemathesis.py

interop: $(READY) ## install the foreign implementations and test against them
	@scripts/interop.sh
	@$(PYTEST) -m interop tests/interop

load: $(READY) ## let 200 wallets meet two dying issuers, 64 race for each of 1000 mailboxes; search 10^8 cards
	@SAFECONDUCT_LOAD_WALLETS=200 SAFECONDUCT_LOAD_CARDS=100000000 \
		SAFECONDUCT_LOAD_MAILBOXES=1000 SAFECONDUCT_LOAD_RACERS=64 $(PYTEST) tests/load
	@SAFECONDUCT_LOAD_CRASHES=1 $(PYTEST) tests/flows/test_transfer_failures.py tests/flows/test_transfer_move.py tests/flows/test_transfer_levels.py
	@SAFECONDUCT_LOAD_SHARES=500 $(PYTEST) tests/properties/test_shares.py

docs: $(READY) ## check that every link, code place and test named in the documents exists
	@$(BIN)/python scripts/check_docs.py

lock: $(READY) ## resolve pyproject.toml into uv.lock and requirements.lock; UPGRADE=1 takes newer versions
	@scripts/lock.sh $(if $(UPGRADE),--upgrade)

clean: ## remove the environment, caches and results
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis bench-results.json dist build
	rm -rf tests/interop/*/.venv tests/interop/*/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml requirements.lock uv.lock scripts/environment.sh
	@scripts/environment.sh
	@touch $@
