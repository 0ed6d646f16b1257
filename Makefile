# Two commands do all set-up: `make serve` and `make test`. Everything else is for developers.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
FILE   ?= bough.duckdb

.PHONY: install serve demo test test-all check lint types format clean

$(BIN)/python:
	$(PYTHON) -m venv $(VENV) || { echo "python venv is missing: apt-get install python3-venv"; exit 1; }

$(VENV)/.runtime: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[sample]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[test,lint]'
	@touch $@ $(VENV)/.runtime

install: $(VENV)/.runtime

serve: $(VENV)/.runtime
	@$(BIN)/bough serve $(FILE) --sample

demo: $(VENV)/.runtime
	@$(BIN)/bough demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -m "not slow and not docker and not spark"

test-all: $(VENV)/.dev
	$(BIN)/python -m pytest -m "not docker"

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.dev
	$(BIN)/mypy

check: lint types test

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
