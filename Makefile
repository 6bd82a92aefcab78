# The whole of development: `make test` is what CI runs, `make demo` is what a newcomer runs.
# Needs python3 (3.11 or newer), pip and make; everything else goes into .venv, from the lock.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
RUNNABLE := $(VENV)/.runnable
SOURCES := nexus_core nexus_tui tests benchmarks screenshots

NEW_ENOUGH = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Nexus needs Python 3.11 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }

.PHONY: demo test setup lint types layers unit test-programs test-fleet format lock screenshots bench bench-parts clean

# Installs what Nexus needs to run, and nothing of what development needs; offline from then on.
# PORT=0 takes any free port.
PORT ?= 8000
demo: $(RUNNABLE)
	@$(BIN)/nexus --demo --port $(PORT)

test: lint types layers unit

setup: $(READY)

PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# Whoever set up everything already has it.
$(RUNNABLE): requirements/run.lock pyproject.toml
	@$(NEW_ENOUGH)
	@echo "1/3 making $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@echo "2/3 installing $$(grep -c '^[a-z].*==' requirements/run.lock) packages (about a minute, only this time)"
	@$(PIP) install --require-hashes -r requirements/run.lock
	@echo "3/3 installing Nexus"
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(READY): requirements/dev.lock pyproject.toml
	@$(NEW_ENOUGH)
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes -r requirements/dev.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@ $(RUNNABLE)

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

# Coding agents themselves, each for a turn with a tool on each kind of backend: some minutes.
# Installs nothing; who is not on the PATH is skipped. PROGRAMS=DIR is a folder to look in first.
PROGRAMS ?=
test-programs: export PATH := $(if $(PROGRAMS),$(PROGRAMS):)$(PATH)
test-programs: $(READY)
	@command -v claude >/dev/null || echo "no claude: npm install -g @anthropic-ai/claude-code"
	@command -v codex >/dev/null || echo "no codex: npm install -g @openai/codex"
	@command -v gemini >/dev/null || echo "no gemini: npm install -g @google/gemini-cli"
	@command -v opencode >/dev/null || echo "no opencode: npm install -g opencode-ai"
	@command -v $${LLAMA_SERVER:-llama-server} >/dev/null && test -n "$$LLAMA_MODEL" \
		|| echo "no llama.cpp: LLAMA_SERVER=PROGRAM LLAMA_MODEL=FILE.gguf"
	$(BIN)/python -m pytest -m programs tests/programs

# Many processes through kills, partitions and restarts of their store, for minutes.
test-fleet: $(READY)
	$(BIN)/python -m pytest -m slow_fleet --timeout 900

format: $(READY)
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

# Resolves anew for every supported Python and platform; commit both results.
lock: $(READY)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --upgrade \
	  --no-emit-index-url --no-emit-find-links --no-header --no-annotate \
	  --extra dev pyproject.toml -o requirements/dev.lock
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-header --no-annotate \
	  --constraints requirements/dev.lock --group pyproject.toml:build \
	  pyproject.toml -o requirements/run.lock

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
