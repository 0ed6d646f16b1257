# Two commands do all set-up: `make serve` and `make test`. Everything else is for developers.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
FILE   ?= bough.duckdb
ARGS   ?=
HOURS  ?= 1
# A process per core, each with files of its own; empty: one after the other. A process that dies names its test and ends
# the run: xdist 3.8 waits for ever after it has put another in its place.
PARALLEL ?= -n auto --dist loadfile --max-worker-restart 0

.PHONY: install serve demo test test-all oracle check lint types format bench clean

# Debian ships python3 without venv; a half-made .venv must not survive to confuse the next run.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo "Bough needs Python 3.11 or newer; name one with: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "Python's venv module is missing. On Debian or Ubuntu: apt-get install python3-venv"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.runtime: pyproject.toml | $(BIN)/python
	@echo "Installing Bough into $(VENV) …"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --root-user-action=ignore -e '.[sample]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@echo "Installing Bough and its test tools into $(VENV) …"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --root-user-action=ignore -e '.[test,lint]'
	@touch $@ $(VENV)/.runtime

# Engines that come as packages (ClickHouse is 180 MB): without them their tests are skipped, under CI=true they fail.
$(VENV)/.engines: $(VENV)/.dev
	@echo "Installing the engines for the tests …"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --root-user-action=ignore -e '.[test,lint,engines]'
	@$(BIN)/python -m pip install -q --disable-pip-version-check --root-user-action=ignore --no-deps 'fakesnow==0.12.1'
	@touch $@

install: $(VENV)/.runtime

# exec: Ctrl-C reaches the server itself, and its exit code is make's
serve: $(VENV)/.runtime
	@exec $(BIN)/bough serve $(FILE) --sample $(ARGS)

demo: $(VENV)/.runtime
	@$(BIN)/bough demo $(ARGS)

test: $(VENV)/.dev
	@$(BIN)/python -m pytest $(PARALLEL) -m "not slow and not docker and not spark" $(ARGS)

test-all: $(VENV)/.engines
	@$(BIN)/python -m pytest $(PARALLEL) -m "not docker" $(ARGS)

# Random histories against plain copies, other ones in every run; a failure prints its seed and its steps.
oracle: $(VENV)/.dev
	@BOUGH_ORACLE_SECONDS=$$(($(HOURS) * 3600)) BOUGH_ORACLE_SEED=$$(date +%s) BOUGH_ORACLE_EXAMPLES=$$(($(HOURS) * 500)) \
	  $(BIN)/python -m pytest $(PARALLEL) -o faulthandler_timeout=0 tests/branching/test_oracle.py \
	  tests/branching/test_merge_oracle.py tests/branching/test_merge_schema_oracle.py \
	  tests/branching/test_foreign_key_oracle.py tests/branching/test_objects_oracle.py $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.dev
	$(BIN)/mypy

check: lint types test

bench: $(VENV)/.dev
	@$(BIN)/python -m bench $(ARGS)

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
