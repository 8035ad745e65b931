# Each target installs what it needs into .venv, from a lock file with hashes.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
VERSION = $(shell sed -n 's/^appVersion: //p' charts/loadgate/Chart.yaml)
PROGRAMS = @! command -v go >/dev/null || tests/cluster/cluster build
# What needs only the processor goes one piece a core; what starts processes and looks at the clock goes by itself.
APIECE = --numprocesses logical --dist worksteal
E2E = $(BIN)/python -m pytest -m cluster --durations 20

$(READY): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "loadgate needs Python 3.11 or later; this is %d.%d. Set PYTHON=…" % sys.version_info[:2])'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing into .venv (locked, hashes checked) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: help
help: ## What each target does
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The wheel as it is shipped, with compiled modules; PYTHONPATH puts it before the sources.
COMPILED := .venv/compiled
$(COMPILED)/.ready: $(READY) hatch_build.py $(shell find core/loadgate runner/loadgate_runner -name '*.py' -o -name '*.pyx')
	@echo "compiling the runner (a minute) …"
	@rm -rf $(COMPILED)
	@LOADGATE_COMPILE=yes $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index --target $(COMPILED) .
	@touch $@

.PHONY: demo
demo: $(READY) ## The demo shop, a user journey against it, a verdict (FAULT=slow|errors|stall to see it fail)
	@$(BIN)/loadgate demo --out out/demo $(if $(FAULT),--fault $(FAULT))

.PHONY: test
test: lint ## All of it: format, lint, types, layers, CRDs, unit and whole tests, coverage, and then what make e2e does
	@tests/cluster/cluster need prometheus lighttpd || true
	$(PROGRAMS)
	$(BIN)/python -m pytest -m "not processes and not cluster" $(APIECE) --cov --cov-report=term
	$(BIN)/coverage report --fail-under=95 >/dev/null
	$(BIN)/python -m pytest -m "processes and not cluster" --durations 20
	@$(MAKE) --no-print-directory test-compiled
	$(E2E)

FAST_PATH = tests/metrics tests/http tests/fuzz tests/journey tests/runner
.PHONY: test-compiled
test-compiled: $(COMPILED)/.ready ## The runner's tests once more, on the compiled modules that a wheel has
	PYTHONPATH=$(COMPILED) $(BIN)/python -c 'from loadgate_runner import compiled; assert compiled()'
	PYTHONPATH=$(COMPILED) $(BIN)/python -m pytest -q -m "not processes" $(APIECE) $(FAST_PATH)
	PYTHONPATH=$(COMPILED) $(BIN)/python -m pytest -q -m processes $(FAST_PATH)

FUZZ_SECONDS ?= 120
.PHONY: fuzz
fuzz: $(READY) ## Hostile answers of HTTP/1.1 and HTTP/2 at random for FUZZ_SECONDS (120), with another seed each time; FUZZ_SEED repeats one
	FUZZ_SECONDS=$(FUZZ_SECONDS) $(BIN)/python -m pytest tests/fuzz --timeout 0

.PHONY: test-fast
test-fast: $(READY) ## Only the tests that start no processes and need no cluster
	$(BIN)/python -m pytest -m "not processes and not cluster" $(APIECE) -q

.PHONY: lint
lint: $(READY) ## Format, lint, types, layers, CRDs as generated
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/mypy charts/generator charts/loadgate/files
	$(BIN)/python -m loadgate.api.crds --check crds
	$(BIN)/python -m charts.generator --check
	$(BIN)/python -m loadgate.api.reference --check docs/resources.md

.PHONY: format
format: $(READY) ## Rewrite the code in the house's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: crds
crds: $(READY) ## Generate crds/, and the chart's definitions and its schema of runners, from the models
	$(BIN)/python -m loadgate.api.crds crds
	$(BIN)/python -m charts.generator crds schema

.PHONY: dashboards
dashboards: $(READY) ## Generate the chart's Grafana dashboards, and its table of values
	$(BIN)/python -m charts.generator dashboards readme

.PHONY: bench
bench: $(READY) $(COMPILED)/.ready ## CPU per request beside eight other load tools, in one run (installs what it needs; BENCH_PEERS=wrk,k6 BENCH_SECONDS BENCH_ROUNDS)
	$(BIN)/python -m benchmarks

.PHONY: bench-operator
bench-operator: $(READY) ## The operator's numbers on a control plane of its own, each beside its limit (20 minutes; CASES="merging day starts calls many rest")
	$(BIN)/python -m benchmarks.operator $(CASES)

.PHONY: bench-honesty
bench-honesty: $(READY) $(COMPILED)/.ready ## Are the figures true? A server that freezes, known latencies, shapes (needs a C compiler; BENCH_PEERS BENCH_SECONDS)
	$(BIN)/python -m benchmarks.honesty

.PHONY: cluster
cluster: $(READY) ## Start a real one-node control plane on this machine (needs root and Go; the first build takes minutes) and print its kubeconfig
	@tests/cluster/cluster up
	@echo 'for this shell: eval "$$(tests/cluster/cluster env)"' >&2

.PHONY: images
images: ## Build both images into that control plane, by the names that the chart has for them (needs root; the first build takes minutes)
	@for part in operator runner; do tests/cluster/cluster image loadgate/$$part:$(VERSION) . $$part || exit; done

.PHONY: cluster-down
cluster-down: ## Stop that control plane and delete all that was in it
	@tests/cluster/cluster down

.PHONY: e2e
e2e: $(READY) ## End to end with the real images: faults, kills, outages (KUBECONFIG's cluster, else one on this machine; E2E_LONG=1, KEEP_CLUSTER=1)
	$(PROGRAMS)
	$(E2E)

.PHONY: lock
lock: ## Compile the lock files from pyproject.toml
	$(PYTHON) -m venv .venv/lock && .venv/lock/bin/pip install --quiet uv
	.venv/lock/bin/uv pip compile pyproject.toml --quiet --no-strip-extras --extra all --generate-hashes --no-header --python-version 3.11 -o requirements.lock
	.venv/lock/bin/uv pip compile pyproject.toml --quiet --no-strip-extras --extra all --group dev --generate-hashes --no-header --python-version 3.11 -c requirements.lock -o requirements-dev.lock
	.venv/lock/bin/uv pip compile --quiet --no-strip-extras --group pyproject.toml:build --generate-hashes --no-header --python-version 3.11 -c requirements-dev.lock -o requirements-build.lock
	for part in runner operator; do .venv/lock/bin/uv pip compile pyproject.toml --quiet --no-strip-extras --extra $$part --generate-hashes --no-header --python-version 3.11 -c requirements.lock -o requirements-$$part.lock || exit; done
