# The interface for people. Every target builds what it needs; none needs an activated environment.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := .venv-peers
PORT := $(or $(QA_DAEMON_PORT),8765)
# Whatever the environment says: without kept bytecode every process compiles our code anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: run setup test check check-all check-types check-rest bench lock clean

run: $(VENV)/.runtime
	@exec $(BIN)/qa-daemon demo --dir .demo --port $(PORT)

setup: $(VENV)/.runtime

# Kernels are compiled beside the checks: each takes one processor for half a minute.
test:
	@$(MAKE) --no-print-directory --jobs=2 $(VENV)/.dev check-all
	$(BIN)/python -m pytest -n 2 --dist loadgroup

check:
	@$(MAKE) --no-print-directory --jobs=2 check-all

check-all: check-types check-rest

check-types: $(VENV)/.tools
	$(BIN)/mypy

# The last line looks at all tests and runs a few, so that what pytest makes of each file is kept: the
# budgets, and whether the committed dashboards are those of the catalogue.
check-rest: $(VENV)/.tools
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -q -k "test_size_budget or test_no_drift"

bench: $(VENV)/.dev $(PEERS)/.pymedphys
	$(BIN)/python -m tests.bench

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# pip checks every hash of the lock, which holds all that is needed: nothing is looked up beside it.  The
# project itself is installed in place, without its dependencies.  Bytecode is made on all processors;
# pip would use one.
$(VENV)/.packages: requirements.lock pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --no-compile -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib analyzers dashboards qa_daemon
	@touch $@

# The kernels are compiled, so that the first log does not wait for it.
$(VENV)/.runtime: $(VENV)/.packages
	@$(BIN)/python -c "from analyzers.numerics.warm_up import compile_kernels; compile_kernels()"
	@touch $@

$(VENV)/.tools: requirements-dev.lock $(VENV)/.packages
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-dev.lock
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime $(VENV)/.tools
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
