# Learners only need `make lab`; `make test` checks the project. All other targets are for contributors.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TESTS ?=
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help venv lab test quick test-minimum tutorial site lint lint-workflows bench faults soak conformance clean
.DEFAULT_GOAL := help

help: ## show what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-14s %s\n", $$1, $$2}' Makefile

venv: $(VENV)/.ready ## set up .venv with everything that the project needs

$(VENV)/.ready: requirements.lock bin/venv
	@PYTHON="$(PYTHON)" bin/venv "$(VENV)"
	@touch "$@"

lab: venv ## open the tutorial in JupyterLab on an embedded cluster
	$(BIN)/kserve-nb lab

test quick: export PYTHONPATH := $(CURDIR)/tests/stubs$(if $(PYTHONPATH),:$(PYTHONPATH))
test: venv ## run all tests (without Chromium, browser tests are skipped and named)
	$(BIN)/python -m pytest $(TESTS)

quick: export PYTHONDONTWRITEBYTECODE := # empty: rewriting the asserts of all tests takes seconds, and is kept
quick: venv ## check style and types and run the fast tests, in a minute
	$(BIN)/ruff check -q .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not slow" tests/unit tests/widgets

test-minimum: ## run the unit tests with the lowest versions that pyproject.toml allows
	@PYTHON="$(PYTHON)" bin/venv .venv-minimum requirements-minimum.lock
	.venv-minimum/bin/python -m pytest -q tests/unit

tutorial: venv ## run all notebooks without a browser, on a new cluster
	$(BIN)/kserve-nb run --name tutorial-$$$$

site: venv ## run all notebooks and build the site; EXECUTED=FOLDER takes notebooks that have been run
ifndef EXECUTED
	$(BIN)/kserve-nb run --name site-$$$$ --output build/notebooks --junit build/notebooks/junit.xml
	$(BIN)/python -m website.timeline build/notebooks/timeline.html
endif
	$(BIN)/python -m website $(or $(EXECUTED),build/notebooks) build/site

lint: venv ## check style, types, imports, dependencies and notebooks
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/nbstripout --verify --keep-id --keep-metadata-keys=metadata.tags notebooks/*.ipynb

lint-workflows: venv ## check the workflows of GitHub Actions with actionlint and zizmor
	bin/lint-workflows

bench: venv ## measure speed and memory, printed as tables
	$(BIN)/python -m bench

faults: venv ## run the whole fault suite: no fault loses an object or leaves a process (30 minutes)
	$(BIN)/python -m pytest --all-faults -rA --show-capture=no tests/faults tests/notebooks/test_again.py

soak: venv ## show that nothing grows or fails: 30 minutes of updates, 50 runs of the course with other tasks (2 hours)
	$(BIN)/python -m bench.soak

conformance: venv ## compare with a real KServe's recordings at real speed (15 minutes)
	$(BIN)/python -m tests.conformance

clean: ## remove everything that was built, including .venv
	rm -rf $(VENV) .venv-minimum build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +
