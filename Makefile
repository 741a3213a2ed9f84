PYTHON ?= python3.11
VENV := .venv
TEST_PROCESSES ?= 2
BIN := $(VENV)/bin
REQUIREMENTS := requirements.txt requirements-no-deps.txt pyproject.toml
READY := $(VENV)/.ready-$(shell cksum $(REQUIREMENTS) | cksum | cut -d' ' -f1)

.PHONY: install pretrain test test-fast lint site clean

install: $(READY)

$(READY): $(REQUIREMENTS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -r requirements-no-deps.txt --editable .
	rm -f $(VENV)/.ready-*
	touch $@

pretrain: $(READY)
	$(BIN)/python -m monai.bundle run planning --config_file configs/plan.yaml --plan::training_cubes 1280 --plan::features "[8,16,32,64]"
	$(BIN)/python -m monai.bundle run training --config_file "['configs/pretrain.yaml','runs/plan/plan.yaml']"

test: $(READY)
	$(BIN)/python -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile

test-fast: $(READY)
	$(BIN)/python -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile -m "not slow"

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell

site: $(READY)
	EXECUTE_NOTEBOOK=true $(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) runs build
