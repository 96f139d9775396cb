VENV ?= .venv
PYTHON ?= python3
PYTEST_ARGS ?=
# Processes for the tests, each with one thread and up to 4 GB of memory; 0: none but pytest's own.
TEST_WORKERS ?= 2

TORCH := torch==2.13.0
BIN := $(VENV)/bin

# Spinning OpenMP threads slow down a hundredfold on a busy machine.
export OMP_WAIT_POLICY ?= passive
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: demo test check site clean

# Separate the example scene into out/scene/level1 and level2.
demo: $(VENV)/.installed
	$(BIN)/uss-separate demo/scene.flac --level 1 2 -o out

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest --numprocesses $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder \
	  $(PYTEST_ARGS)

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The documentation as a site, in build/site; it needs no network to be read.
site: $(VENV)/.installed-dev
	$(BIN)/mkdocs build

clean:
	rm -rf $(VENV) build out *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

# Torch comes first, in the tested version; everything else adapts to it.
$(VENV)/.torch:
	$(PYTHON) -m venv $(VENV)
	$(PIP) install $(TORCH)
	touch $@

$(VENV)/.installed: $(VENV)/.torch setup.cfg pyproject.toml
	$(PIP) install --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.torch setup.cfg pyproject.toml
	$(PIP) install --editable '.[dev]'
	$(PIP) install --editable '.[eval]' || echo "the extra 'eval' (PESQ, BSSEval) cannot be installed, perhaps for want of a C compiler: its tests are skipped"
	touch $@ $(VENV)/.installed
