# Two commands are all a learner needs: `make lab` and `make test`. Every other target is for those who work on the project.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help venv lab test tutorial lint bench conformance soak clean
.DEFAULT_GOAL := help

help: ## say what each target does
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' Makefile

venv: $(VENV)/.ready ## set up .venv with all that the project needs

$(VENV)/.ready: requirements.lock pyproject.toml bin/venv
	@PYTHON="$(PYTHON)" bin/venv "$(VENV)"
	@touch "$@"
