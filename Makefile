# `make bench` and `make test` do all the set-up on a machine that has Python 3.11 or newer and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: bench test results check setup clean

bench: $(READY)  ## agents trained and compared on interest_evolution, slate of 1, 3 seeds
	$(BIN)/recsim-env bench interest_evolution --set slate_size=1 --seeds 3 --out runs/bench

test: $(READY) check  ## style, types and tests
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# Options: WORLD=interest_evolution, QUICK=1, DATA=ml-latest-small.zip (movielens is left out without it).
results: $(READY)  ## every agent in four worlds: docs/results.md (90 minutes a world; QUICK=1: an hour in all)
	$(BIN)/recsim-env results $(if $(WORLD),--worlds $(WORLD)) $(if $(QUICK),--quick) $(if $(DATA),--data $(DATA)) \
		--out runs/results$(if $(QUICK),-quick) --report docs/results.md

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

setup: $(READY)

# The exact versions first (torch by itself, so that constraints decide which build), then this project.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; assert sys.version_info >= (3, 11), 'recsim-env needs Python 3.11 or newer: make PYTHON=python3.11'"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[all]"
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache
