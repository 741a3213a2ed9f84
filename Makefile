PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready-$(shell cksum requirements.txt pyproject.toml | cksum | cut -d' ' -f1)

.PHONY: install pretrain test lint clean

install: $(READY)

$(READY): requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	rm -f $(VENV)/.ready-*
	touch $@

pretrain: $(READY)
	$(BIN)/python -m monai.bundle run training --config_file "['configs/pretrain.yaml','configs/quickstart.yaml']"

test: $(READY)
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell

clean:
	rm -rf $(VENV) runs
