# The daily verbs. `make help` lists them; ARGS are passed on: make test ARGS="-k budget", make demo ARGS="--json".
SHELL := /bin/sh
.DEFAULT_GOAL := help
# A target's prerequisites are steps in order: setup, lint, server, tests.
.NOTPARALLEL:
.PHONY: help setup server models demo test lint format bench chaos lock clean

# A shell that forbids byte code would have every process compile the libraries anew.
unexport PYTHONDONTWRITEBYTECODE

ARGS ?=
# Test processes. Tests wait more than they compute; a file's tests stay in one of them (ARGS=-n0: all in this one).
JOBS ?= 1
BIN := .venv/bin
STAMP := .venv/.setup-done
LINT_PATHS := apprentice workflows activities workers client benchmarks tests tools
COMPILE := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.12 \
	--generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links $(ARGS)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

setup: $(STAMP) ## make .venv with everything in it (seconds; at once when nothing changed)
	@:

$(STAMP): requirements.lock pyproject.toml tools/bootstrap
	@tools/bootstrap
	@touch $@

server: $(STAMP) ## find, download or build the Temporal dev server
	@$(BIN)/python -m workers.dev_server --ensure

models: $(STAMP) ## build the model servers that tests use (Ollama, llama.cpp; once, some minutes)
	@$(BIN)/python -m tests.servers

demo: server ## see it work, on this machine, without a key
	@$(BIN)/apprentice demo $(ARGS)

test: lint server models ## lint, then all tests, the fast ones first
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(STAMP) ## format check, ruff, mypy --strict, import contracts
	@$(BIN)/ruff format --check --quiet $(LINT_PATHS)
	@$(BIN)/ruff check --quiet $(LINT_PATHS)
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports > .lint-imports.log || { cat .lint-imports.log; exit 1; }
	@rm -f .lint-imports.log
	@echo "lint: clean"

format: $(STAMP) ## rewrite the code the way lint wants it
	@$(BIN)/ruff check --quiet --fix $(LINT_PATHS) || true
	@$(BIN)/ruff format $(LINT_PATHS)

bench: server ## measure the overhead; results go into benchmarks/RESULTS.md
	@$(BIN)/python -m benchmarks.overhead $(ARGS)

chaos: server ## kill, stop and break everything under load, then audit the books (ARGS="--seed 7 --faults 200")
	@$(BIN)/python -m tests.chaos $(ARGS)

lock: $(if $(wildcard requirements.lock),$(STAMP)) ## resolve the dependencies anew (ARGS=--upgrade for the newest)
	@$(COMPILE) --extra embedded --extra plot --group dev --output-file requirements.lock
	@$(COMPILE) --extra embedded --extra postgres --extra encryption --extra s3 --extra codec-server --constraint requirements.lock --output-file requirements-worker.lock
	@! grep -nE '[a-z]+://' requirements.lock requirements-worker.lock || { echo "lock: holds an address"; exit 1; }

clean: ## remove what was built here (keeps the cached dev server)
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist .lint-imports.log
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
