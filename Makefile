# The whole of development: `make test` is what CI runs, `make demo` is what a newcomer runs.
# Needs python3 (3.11 or newer), pip and make; everything else goes into .venv, from the lock.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SOURCES := nexus_core nexus_tui tests benchmarks screenshots

.PHONY: demo test setup lint types layers unit format lock screenshots bench bench-parts clean

demo: $(READY)
	$(BIN)/nexus --demo

test: lint types layers unit

setup: $(READY)

$(READY): requirements/dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Nexus needs Python 3.11 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

lint: $(READY)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)

types: $(READY)
	$(BIN)/mypy
	$(BIN)/basedpyright --pythonpath $(BIN)/python

layers: $(READY)
	$(BIN)/lint-imports --no-cache

# A few more workers than cores, each with neighbours, which share what is started once. JOBS=0 runs
# them in one process; add --hypothesis-profile=thorough to pytest to try many more examples.
JOBS ?= 3
unit: $(READY)
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist worksteal

format: $(READY)
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

# Resolves anew for every supported Python and platform; commit the result.
lock: $(READY)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --upgrade \
	  --no-emit-index-url --no-emit-find-links --no-header --no-annotate \
	  --extra dev pyproject.toml -o requirements/dev.lock

screenshots: $(READY)
	$(BIN)/python screenshots/make.py

# Side by side with the floor, in one table: BENCH=--quick for a minute of it. Never a test.
BENCH ?=
bench: $(READY)
	-$(BIN)/python benchmarks/gateways.py $(BENCH)

# What single parts take; harness.py tells own logic from the protocols, without a kernel.
bench-parts: $(READY)
	$(BIN)/python benchmarks/harness.py
	$(BIN)/python benchmarks/calls.py
	$(BIN)/python benchmarks/routing.py
	$(BIN)/python benchmarks/names.py
	$(BIN)/python benchmarks/streams.py
	$(BIN)/python benchmarks/tokens.py
	$(BIN)/python benchmarks/money.py

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
