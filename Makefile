# make demo   a small run from end to end; prints where its report lies
# make bench  the layers beside plain torch and the peers, which it installs; takes minutes
# make test   lint, format, types, tests, doctests and the snippets of README and docs
#
# Every target first makes .venv where it is missing, broken off half-way, or older than
# pyproject.toml or constraints.txt. Python >= 3.10, make and git are all that must be there.
# More arguments for a command: make test ARGS="-k noise"

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PENDING := $(VENV)/.installing

# The first interpreter that is new enough; used only to make .venv.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 10))
CANDIDATES := python3 python3.14 python3.13 python3.12 python3.11 python3.10 python
PYTHON ?= $(firstword $(foreach p,$(CANDIDATES),$(shell $(p) -c '$(NEW_ENOUGH)' 2>/dev/null && echo $(p))))

# More threads make small layers slower, not faster, and a run is spread over processes. A test
# process takes half a gigabyte, so there are never more than four. The snippets of a page need those
# before them, so a file stays in one process.
export OMP_NUM_THREADS ?= 1
PROCESSES := --numprocesses=logical --maxprocesses=4 --dist=loadfile
# pyright would ask a registry for a newer version of itself at every run.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.PHONY: help venv demo bench test lint format types clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# \{0,1\}//p;/^$$/q' Makefile

venv: $(STAMP)

demo: $(STAMP)
	$(BIN)/sfumato demo $(ARGS)

# Without their dependencies: the layers need torch alone, the packages around them torchvision.
bench: $(STAMP)
	$(BIN)/python -m pip install --no-deps --requirement benchmarks/peers.txt
	$(BIN)/sfumato bench layers $(ARGS)

test: lint types
	$(BIN)/python -m pytest $(PROCESSES) $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: $(STAMP)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: $(STAMP)
	$(BIN)/pyright

clean:
	rm -rf $(VENV) dist build .pytest_cache .ruff_cache .hypothesis .jaxtyping
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# PENDING holds the process id of the make that installs and goes away only when all is in place:
# where it is left behind by a dead process, the environment is half-made and is made anew.
# pip comes first, because the one that Python brings may not know --group.
$(STAMP): pyproject.toml constraints.txt
	@if [ -e $(PENDING) ]; then \
	  pid=$$(cat $(PENDING)); \
	  if [ -n "$$pid" ] && kill -0 "$$pid" 2>/dev/null; then \
	    echo "$(VENV) is being installed by process $$pid: wait for it and run make again" >&2; exit 1; \
	  fi; \
	  echo "the last install was interrupted: making $(VENV) anew"; rm -rf $(VENV); \
	fi
	@if ! $(BIN)/python -c '$(NEW_ENOUGH)' 2>/dev/null; then \
	  if [ -z "$(PYTHON)" ]; then echo "Python 3.10 or newer is needed, and not found" >&2; exit 1; fi; \
	  echo "making $(VENV) with $(PYTHON)"; \
	  rm -rf $(VENV) && mkdir $(VENV) && echo $$PPID > $(PENDING) && $(PYTHON) -m venv $(VENV); \
	fi
	@rm -f $(STAMP); echo $$PPID > $(PENDING)
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip
	$(BIN)/python -m pip install --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[all]' --group dev
	@mv $(PENDING) $(STAMP) && touch $(STAMP)
