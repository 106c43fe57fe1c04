# The interface for people. Every target builds what it needs; none needs an activated environment.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := .venv-peers
PORT := $(or $(QA_DAEMON_PORT),8765)

.PHONY: run setup test check bench lock clean

run: $(VENV)/.runtime
	@exec $(BIN)/qa-daemon demo --dir .demo --port $(PORT)

setup: $(VENV)/.runtime

test: $(VENV)/.dev check
	$(BIN)/python -m pytest -n 2 --dist loadgroup

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -q tests/test_size_budget.py

bench: $(VENV)/.dev $(PEERS)/.pymedphys
	$(BIN)/python -m tests.bench

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# pip checks every hash of the lock, which holds all that is needed: nothing is looked up beside it.  The
# project itself is installed in place, without its dependencies,
# and its kernels are compiled, so that the first log does not wait for it.
$(VENV)/.runtime: requirements.lock pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -c "from analyzers.numerics.warm_up import compile_kernels; compile_kernels()"
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-dev.lock
	@touch $@

# What we measure ourselves against has an environment of its own, built anew when its lock changes.
$(PEERS)/.pymedphys: tests/bench/peers/pymedphys.lock
	rm -rf $(PEERS)
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $<
	@touch $@

# Needs a resolver that writes hashes for every platform; the result names no index.
lock:
	$(PYTHON) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate pyproject.toml --extra build -o requirements.lock
	$(PYTHON) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate pyproject.toml --extra build --extra dev -c requirements.lock -o requirements-dev.lock
	$(PYTHON) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate tests/bench/peers/pymedphys.in -c requirements-dev.lock -o tests/bench/peers/pymedphys.lock

clean:
	rm -rf $(VENV) $(PEERS) .demo .pytest_cache .mypy_cache .ruff_cache
