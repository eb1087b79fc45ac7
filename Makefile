# `make help` lists the targets. Works with GNU make 3.81 and newer; installs only into .venv.
# PYTHON=/path/to/python chooses the interpreter; ARGS="..." is passed on to pytest.
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
# Quiet but for errors; the rest of the environment's pip settings (proxies, mirrors) stay in force.
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check

# Two processes, whole files each: a file's tests share what they train. PARALLEL= runs one process.
PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help demo test torture lint format benchmarks site literature critical-size requirements clean install install-dev

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-13s %s\n", $$1, $$2}' Makefile

demo: install ## set up, then reproduce the paper's standard experiment on eight seeds into demo/
	@$(BIN)/grokscope reproduce two-circuits standard --seeds 100:108 --out demo

test: install-dev ## set up, then run the test suite (ARGS="-k name" selects)
	@$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

torture: install-dev ## test every promise of docs/promises.md in full (hours; ARGS="-k kills" selects)
	@GROKSCOPE_TORTURE=full $(BIN)/python -m pytest tests/promises tests/test_stability.py tests/interventions -o faulthandler_timeout=0 $(ARGS); code=$$?; \
	$(BIN)/python docs/make_promises.py; exit $$code

lint: install-dev ## check format, lint and types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/pyright --pythonpath $(BIN)/python

format: install-dev ## format the code and apply safe fixes
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

benchmarks: install ## run the benchmarks (ARGS="ladder --quick" runs one; benchmarks/README.md)
	@$(BIN)/python -m benchmarks $(ARGS)

site: install-dev ## write the documentation site to site/
	@$(PIP) --require-hashes -r requirements/core.txt -r requirements/dev.txt -r requirements/site.txt
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

literature: install-dev ## reproduce every paper's quick profile and write the tables again (hours; goes on when given again)
	@$(BIN)/python docs/make_claims.py --run literature

critical-size: install ## reproduce the study of the critical data size with 20 seeds (a night; goes on when given again)
	@$(BIN)/grokscope reproduce critical-size memory scratch duels settings functions bits hysteresis --profile paper --seeds 100:120 --yes --out runs/critical-size

requirements: ## pin again from pyproject.toml (needs uv; see requirements/README.md)
	@requirements/renew $(ARGS)

clean: ## remove .venv and the tools' caches; results in demo/ and runs/ stay
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis build dist
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

install: $(VENV)/.installed ## only set up .venv with the project
install-dev: $(VENV)/.installed-dev ## the same with the tools for development

# Each stamp is written when its step is complete, so a step that was interrupted is done again.
$(VENV)/.made:
	@set -e; chosen=; \
	for python in $(if $(PYTHON),"$(PYTHON)",python3.13 python3.12 python3.11 python3.14 python3); do \
	  if "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null; \
	  then chosen=$$python; break; fi; \
	done; \
	if [ -z "$$chosen" ]; then \
	  echo "grokscope needs Python 3.11 to 3.14; found none$(if $(PYTHON), at PYTHON=$(PYTHON))." >&2; \
	  echo "Install one, or name it: make PYTHON=/path/to/python3.12 $(or $(firstword $(MAKECMDGOALS)),test)" >&2; \
	  exit 1; \
	fi; \
	if ! "$$chosen" -c 'import ensurepip, venv' 2>/dev/null; then \
	  echo "$$chosen cannot make virtual environments: its venv or ensurepip module is missing." >&2; \
	  echo "On Debian and Ubuntu: apt install $$("$$chosen" -c \
	    'import sys; print("python%d.%d-venv" % sys.version_info[:2])')" >&2; \
	  exit 1; \
	fi; \
	echo "Making $(VENV) with $$("$$chosen" -c 'import sys; print("Python", sys.version.split()[0])')"; \
	"$$chosen" -m venv $(VENV); touch $@

$(VENV)/.core: $(VENV)/.made requirements/core.txt
	@echo "Installing the pinned dependencies (about 270 MB; hashes are checked)"
	@$(PIP) --require-hashes -r requirements/core.txt
	@touch $@

$(VENV)/.installed: $(VENV)/.core pyproject.toml
	@echo "Installing grokscope"
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements/dev.txt
	@echo "Installing the pinned tools for development (about 85 MB)"
	@$(PIP) --require-hashes -r requirements/core.txt -r requirements/dev.txt
	@touch $@
