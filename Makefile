# Each target makes its own virtual environment; delete .venv to start anew.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The CPU build of torch: a plain `torch` fetches gigabytes of CUDA.
TORCH ?= torch==2.13.0

.PHONY: report test test-lowest test-newest docs lint clean

report: $(VENV)/run ## the main job on a real network
	$(BIN)/costmodel report "shufflenet_v2?width=1.0" --platform gtx-1080-ti/paper

test: $(VENV)/test ## everything that CI checks
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2 --dist loadfile

# The quick tests with the versions at the floors of pyproject.toml, and with the newest ones, each in
# an environment of its own. Another Python: make test-newest VERSION=3.13, or a path. Tests of torch are
# skipped: it is gigabytes; with it: make test-lowest EXTRAS=onnx,plot,arm,ncnn,testing,torch
VERSION ?= 3.11
EXTRAS ?= onnx,plot,arm,ncnn,testing
test-lowest: $(VENV)/run
	$(call quick,lowest-direct)

test-newest: $(VENV)/run
	$(call quick,highest)

define quick
	$(BIN)/pip install --quiet uv
	$(BIN)/uv venv --quiet --clear --python $(VERSION) $(VENV)-$(1)
	$(BIN)/uv pip install --quiet --python $(VENV)-$(1) --resolution $(1) -e ".[$(EXTRAS)]" --group test
	$(BIN)/uv pip list --quiet --python $(VENV)-$(1)
	$(VENV)-$(1)/bin/python -m pytest -m "not slow" -n 2 --dist loadfile
endef

docs: $(VENV)/docs
	$(BIN)/sphinx-build -W --keep-going -j auto -b html docs docs/_build/html

lint: $(VENV)/test
	$(BIN)/ruff check --fix . && $(BIN)/ruff format . && $(BIN)/mypy && $(BIN)/lint-imports

$(VENV)/run: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/test: $(VENV)/run
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/pip install --quiet $(TORCH)
	$(BIN)/pip install --quiet -e ".[onnx,onnxruntime,plot,arm,ncnn]" --group test --group dev
	touch $@

$(VENV)/docs: $(VENV)/test
	$(BIN)/pip install --quiet --group docs
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-lowest-direct $(VENV)-highest docs/_build docs/gallery docs/api/generated
