# triton-gateway. `make help` lists what there is.

FRAMEWORKS ?= onnx tensorflow pytorch trees
ARGS ?=
VENV ?= .venv

# The embedded Triton's Python backends work with numpy 1 only, and so with Python 3.11 or 3.12.
PYTHON ?= $(shell for p in python3.11 python3.12 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null && { echo $$p; break; }; done)

BIN := $(VENV)/bin
empty :=
space := $(empty) $(empty)
comma := ,
EXTRAS = $(subst $(space),$(comma),$(strip embedded $(FRAMEWORKS)))
RUN_STAMP = $(VENV)/.installed-$(subst $(comma),-,$(EXTRAS))
TEST_STAMP = $(VENV)/.installed-all
ENGINES_STAMP = $(VENV)/.installed-engines
CONFIG ?= configs/engines.yaml
TO_PIP = $(BIN)/python -m pip install --disable-pip-version-check --constraint requirements.lock

.DEFAULT_GOAL := help
.PHONY: help run test unit check format models engines bench lock clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  FRAMEWORKS=\"$(FRAMEWORKS)\" chooses what \`make run\` installs and serves;"
	@echo "  ARGS=\"...\" goes to triton-gateway (run), pytest (test, unit) or the benchmark (bench)."

run: $(RUN_STAMP) ## Install, start Triton and the gateway, show the main job; Ctrl-C stops
	@$(BIN)/triton-gateway up $(foreach f,$(FRAMEWORKS),--framework $(f)) $(ARGS)

test: check unit ## All checks and tests: ruff, mypy, import-linter, unit, integration
	$(BIN)/python -m pytest tests/integration tests/gpu $(ARGS)

unit: $(TEST_STAMP) ## Unit tests alone
	$(BIN)/python -m pytest --ignore tests/integration --ignore tests/gpu $(ARGS)

check: $(TEST_STAMP) ## ruff, mypy --strict and import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(TEST_STAMP) ## Format the code and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

models: $(RUN_STAMP) ## Fetch the sample models into model_repository/
	@$(BIN)/triton-gateway models fetch $(foreach f,$(FRAMEWORKS),--framework $(f))

engines: $(ENGINES_STAMP) ## Build what CONFIG declares: ONNX, FP16/INT8, TensorRT engines, judged, with a report
	@$(BIN)/triton-gateway models fetch --sources --framework tensorflow
	@$(BIN)/triton-convert build --config $(CONFIG) $(ARGS)

bench: $(RUN_STAMP) ## Measure against Envoy, nginx and other servers; ARGS="--quick" for a glance
	@$(BIN)/python -m benchmarks.run $(ARGS)

lock: $(TEST_STAMP) ## Write requirements.lock anew from pyproject.toml
	$(BIN)/python -m piptools compile --quiet --upgrade --all-extras --strip-extras --allow-unsafe --no-header \
		--no-annotate --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
		--output-file $(VENV)/requirements.lock pyproject.toml
	{ head -1 requirements.lock; grep -vE '^(#|$$)' $(VENV)/requirements.lock | sed 's/+cpu$$//'; } > $(VENV)/lock
	mv $(VENV)/lock requirements.lock

clean: ## Remove the venv, caches and fetched models
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache model_repository/*/[0-9]* \
		model_repository/.triton-gateway model_repository/*/.triton-gateway.json

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "error: Python 3.11 or 3.12 is needed; install one, or give it with PYTHON=..." >&2; exit 1; }
	@echo "Creating $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV) || { echo "error: $(PYTHON) cannot make a venv; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(TO_PIP) --quiet --upgrade pip  # the locked one, which tells its progress while it downloads

$(RUN_STAMP): pyproject.toml requirements.lock | $(BIN)/python
	@echo "Installing triton-gateway with $(FRAMEWORKS) (PyTorch and TensorFlow are large: this takes a minute or more)"
	@$(TO_PIP) --editable '.[$(EXTRAS)]'
	@touch $@

$(ENGINES_STAMP): pyproject.toml requirements.lock | $(BIN)/python
	@echo "Installing triton-gateway with all converters (PyTorch and TensorFlow are large: this takes a minute or more)"
	@$(TO_PIP) --editable '.[onnx,tensorflow,pytorch,trees,convert,samples]'
	@touch $@

$(TEST_STAMP): pyproject.toml requirements.lock | $(BIN)/python
	@echo "Installing triton-gateway with everything that its tests need"
	@$(TO_PIP) --editable '.[embedded,onnx,tensorflow,pytorch,trees,convert,samples,dev]'
	@touch $@
