# Two commands matter: `make demo` shows the main job, `make test` proves it. Both set up what they need.
# Programs of the control plane are found on PATH or built once, and cached in ~/.cache/lazaretto.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# A folder named `operator` lies here; the working directory must never be imported as top level by accident.
PYTEST := $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help setup binaries lint format unit test e2e faults bench demo demo-down cluster cluster-down crds lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Create .venv with the pinned dependencies

$(STAMP): .locks/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed, $(PYTHON) is $$($(PYTHON) -V); set PYTHON=..." >&2; exit 1; }
	@echo "==> installing pinned Python dependencies into $(VENV) (about a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .locks/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

binaries: $(STAMP) ## Find or build the control plane, Prometheus and Alertmanager (once, about 15 minutes)
	@echo "==> finding or building the programs of the control plane"
	@$(BIN)/python -m tests.cluster build

lint: $(STAMP) ## Format, lint, types, import layers, generated files
	@echo "==> lint"
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m lazaretto.crdgen --check crds

format: $(STAMP) ## Format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

unit: $(STAMP) ## Tests that need no control plane (seconds)
	@$(PYTEST) -m "not cluster and not bench"

test: lint binaries ## Everything that CI runs: lint, then tests on a real control plane
	@echo "==> tests on real control planes, in two workers (about 15 minutes)"
	@$(PYTEST) -n 2 --dist loadfile -m "not bench and not slow"

e2e: binaries ## All end-to-end tests, the slow ones too
	@$(PYTEST) -m "cluster and not bench" tests/e2e tests/demo

faults: binaries ## Every write and watch goes wrong in every way, and the table of it (45 minutes)
	@rm -rf build/faults
	@LAZARETTO_FAULTS_RESULTS=build/faults $(PYTEST) -n 2 --dist loadgroup --ignore tests/faults/test_page.py tests/faults
	@$(BIN)/python -m tests.faults build/faults
	@$(PYTEST) tests/faults/test_page.py

bench: binaries ## Measure incidents, faults, storms and a long past, and write docs/reference/performance.md (40 minutes)
	@$(PYTEST) -m bench -s --timeout=3600 tests/bench; found=$$?; $(BIN)/python -m tests.bench; exit $$found

demo: binaries ## Show an alert contain a model, and two people release it (KEEP=1 leaves it running)
	@$(BIN)/python -m tests.demo

demo-down: $(STAMP) ## Stop what `make demo KEEP=1` left running
	@$(BIN)/python -m tests.demo down

cluster: binaries ## Start a control plane to look around in
	@$(BIN)/python -m tests.cluster up

cluster-down: $(STAMP) ## Stop it
	@$(BIN)/python -m tests.cluster down

crds: $(STAMP) ## Print the CRDs anew from the kinds
	@$(BIN)/python -m lazaretto.crdgen crds
	@cp crds/lazaretto.dev_*.yaml helm/lazaretto-crds/files/

lock: $(STAMP) ## Resolve the dependencies anew (needs uv)
	@uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate -q -o .locks/runtime.txt
	@uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate -q -o .locks/dev.txt

clean: ## Remove what the targets above made in this folder
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
