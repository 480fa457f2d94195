# Everything a developer runs. Each target makes what it needs, on a machine with nothing
# but Python 3.10 or later.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test unit lint bench envs goldens clean

.venv/complete: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: .venv/complete  ## TF1 to TF2 and back on a checkpoint that TensorFlow 1.15 wrote
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh examples/demo.sh

# Two at a time and not one for each core: each starts frameworks of its own, 4 GiB together.
test: .venv/complete envs  ## all tests, those against real TensorFlow too
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

unit: .venv/complete  ## the tests that need no TensorFlow: seconds
	$(BIN)/python -m pytest --ignore tests/compat

envs: .venv/complete  ## TensorFlow 1.15, 2.15 and 2.21, each in its own environment
	$(BIN)/python tools/tensorflow_envs.py

lint: .venv/complete  ## style and types
	$(BIN)/ruff check
	$(BIN)/mypy

bench: .venv/complete envs  ## ratios to TensorFlow, as a table and as .bench/results.json
	$(BIN)/python bench/run.py

goldens: .venv/complete envs  ## write the example and the golden files anew with real TensorFlow
	$(BIN)/python tools/make_goldens.py

clean:
	rm -rf .venv .envs .bench
