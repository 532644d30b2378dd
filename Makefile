# The ways into this project. `make help` lists them.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

.PHONY: help demo test lint format bench clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

# The stamp is newer than what it was made from, so a second call does nothing.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: .venv/installed  ## raw games to two verdicts on this machine, in minutes
	$(BIN)/wmctl submit demo $(ARGS)

test: .venv/installed  ## the whole test suite; ARGS=tests/wm for a part
	$(BIN)/pytest $(ARGS)

lint: .venv/installed  ## ruff, mypy and the layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/installed  ## let ruff put the code in shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/installed  ## time what is claimed to be fast, both sides in one run
	for file in benchmarks/*.py; do echo "# $$file"; $(BIN)/python $$file || exit 1; done

clean:  ## remove what make, tests and demos made here
	rm -rf .venv wm-store build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
