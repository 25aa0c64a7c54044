# `make bench` and `make test` do all the set-up on a machine that has Python 3.11 or newer and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
LOWEST := $(VENV)-lowest
READY := $(VENV)/.ready

.PHONY: bench test test-lowest results results-long check setup clean

bench: $(READY)  ## agents trained and compared on interest_evolution, slate of 1, 5 seeds
	$(BIN)/recsim-env bench interest_evolution --set slate_size=1 --seeds 5 --out runs/bench \
		--agents slate_q,dqn,ncf,tabular_q,popular,myopic_oracle,random

test: $(READY) check  ## style, types, what a step costs, and tests
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

LOWEST_TESTS = tests/recsim_env/test_floors.py tests/recsim_env/test_env.py tests/recsim_env/test_wrappers.py \
	tests/recsim_env/test_sb3.py tests/benchmark/test_experiment.py tests/benchmark/test_report.py \
	tests/benchmark/test_sweep.py tests/benchmark/test_ope.py tests/benchmark/test_cli.py tests/recsim_env/fitting/test_command.py

test-lowest:  ## the tests of what leans on other packages, with the oldest versions that pyproject.toml allows
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --constraint constraints-lowest.txt torch
	$(LOWEST)/bin/python -m pip install --quiet --constraint constraints-lowest.txt --editable ".[all]"
	$(LOWEST)/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(LOWEST_TESTS)

# Options: WORLD=interest_evolution, QUICK=1, DATA=ml-latest-small.zip (movielens is left out without it).
results: $(READY)  ## every agent in four worlds: docs/results.md (one to two and a half hours a world; QUICK=1: an hour in all)
	$(BIN)/recsim-env results $(if $(WORLD),--worlds $(WORLD)) $(if $(QUICK),--quick) $(if $(DATA),--data $(DATA)) \
		--out runs/results$(if $(QUICK),-quick) --report docs/results.md

BOREDOM_Q = slate_q@clicks=independent@gamma=0.9@n_step=4@batch=128@replay=25000@users=128

PARALLEL_Q = pqn@users=512@epochs=1

results-long: $(READY)  ## slate_q in two worlds and pqn with 30 million user-steps, 5 seeds, and without their parts (hours)
	$(BIN)/recsim-env bench interest_evolution --seeds 5 --steps 30000000 --users 2000 --out runs/longest-parallel \
		--set num_candidates=10 --set slate_size=1 --agents $(PARALLEL_Q)
	$(BIN)/recsim-env bench interest_evolution --seeds 5 --steps 10000000 --users 2000 --out runs/long-parallel \
		--set num_candidates=10 --set slate_size=1 --agents $(PARALLEL_Q),$(PARALLEL_Q)@gamma=0,myopic_oracle,random
	$(BIN)/recsim-env bench interest_evolution --seeds 5 --steps 300000 --users 2000 --out runs/long \
		--set num_candidates=10 --set slate_size=3 \
		--agents slate_q,slate_q@null=false,slate_q@totals=false,myopic_oracle,random
	$(BIN)/recsim-env bench boredom:slate_influence --seeds 5 --steps 300000 --out runs/long-boredom \
		--agents $(BOREDOM_Q),$(BOREDOM_Q)@context=false,myopic_oracle,random

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python perf/instructions.py --check

setup: $(READY)

# The exact versions first (torch by itself, so that constraints decide which build), then this project.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; assert sys.version_info >= (3, 11), 'recsim-env needs Python 3.11 or newer: make PYTHON=python3.11'"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[all]"
	touch $@

clean:
	rm -rf $(VENV) $(LOWEST) build *.egg-info .pytest_cache .mypy_cache .ruff_cache
