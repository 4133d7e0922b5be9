PYTHON ?= python3
PORT ?= 8501
WORKERS ?= 3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup run test suite lint lock bench clean

setup: $(VENV)/.runtime

$(VENV)/.runtime: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Percall needs Python 3.11 or newer: set PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install -q --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	$(BIN)/python -m pip install -q --require-hashes --no-deps -r requirements-dev.lock
	@touch $@

run: setup
	@$(BIN)/percall demo --if-empty
	@$(BIN)/percall serve --port $(PORT)

# Style and types are looked at while the tests run: what looks at them takes one core, and tests that wait for a server leave one free.
test: $(VENV)/.dev
	@$(MAKE) --no-print-directory -j 2 lint suite

# One worker more than two cores: some of them always wait, for a browser, a cluster or a process of their own.
suite: $(VENV)/.dev
	@$(BIN)/python -m tests.browser.chromium || true
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# Rewrites both lock files. Needs uv; the files name no index, so that any mirror serves them.
lock:
	uv pip compile -q --universal --generate-hashes --no-header --no-annotate --no-emit-index-url --python-version 3.11 --extra build pyproject.toml -o requirements.lock
	uv pip compile -q --universal --generate-hashes --no-header --no-annotate --no-emit-index-url --python-version 3.11 --extra build --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) data/store
