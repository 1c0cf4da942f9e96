# Two commands do it all on a fresh machine: `make quickstart` and `make test`.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Two workers, half the suite each until one helps the other: most programs have one thread.
SHARED := --numprocesses 2 --dist worksteal

.PHONY: install quickstart rehearse test test-fast check format docs clean

install: $(STAMP) ## only .venv and packages

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[deepmd,xtb,pyscf,parsl,serve,dev]'
	$(BIN)/python -m compileall -q sis_engine labelers monitors trainers
	touch $(STAMP)

quickstart: install ## the main job on its embedded defaults, into runs/quickstart
	$(BIN)/sis run configs/quickstart.yaml runs/quickstart

rehearse: install ## the fault campaign in its long form: hours, and it goes on where it was
	$(BIN)/sis rehearse runs/rehearsal

test: install ## everything, the real programs included
	$(BIN)/python -m pytest $(SHARED) --durations 25

test-fast: install ## the inner loop: under two minutes
	$(BIN)/python -m pytest $(SHARED) -m 'not slow and not external'

check: install ## formatting, lint, types, import arrows
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: install ## the site, into site/
	$(BIN)/mkdocs build --strict

clean:
	rm -rf build dist site .pytest_cache .mypy_cache .ruff_cache
