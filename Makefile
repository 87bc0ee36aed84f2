# People and CI use these targets alike. `make` alone lists them.

PYTHON ?= python3
# How long `make demo` runs: make demo SECONDS=15. (Set on make's command line only: bash has a
# variable of this name, which must not get in by way of the environment.)
SECONDS = 60

# What `make bench` measures: make bench BENCH="latency --rates 5000" (python -m bench --help).
BENCH ?= all

# Of make failover, make soak.
ROUNDS = 3
MINUTES = 20
RATE = 20000

# Tests with brokers wait half of the time: they have two processes more than there are cores. It is
# 8 at most, for each has brokers of its own (1 GB each). Tests of `make unit` only compute.
CORES := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
TEST_PROCESSES ?= $(shell n=$(CORES); echo $$(( n > 6 ? 8 : n + 2 )))
UNIT_PROCESSES ?= $(shell n=$(CORES); echo $$(( n < 2 ? 2 : n > 8 ? 8 : n )))
PYTEST = $(BIN)/python -m pytest --numprocesses $(PROCESSES) --dist worksteal
PROCESSES = $(TEST_PROCESSES)
unit coverage: PROCESSES = $(UNIT_PROCESSES)

# How often `make test-repeat` runs `make test`.
RUNS ?= 6

# Events per second in `make stack`; 0: none.
STACK_RATE ?= 200

# What `make simulate` runs; LEAST: how often each kind of fault must have struck.
SEEDS ?= 1000
START ?= 0
LEAST ?= 0
INPUTS ?= 1000000
MUTATIONS ?= 1000000

# What `make chaos` runs, and where it writes FILE.json, FILE.md and FILE.png.
MINUTES ?= 10
SEED ?= 1
REPORT ?= build/chaos.json

# Cuts connections in `make chaos`; built by Go, and without Go connections are not cut.
GO ?= $(firstword $(shell command -v go) $(wildcard /usr/local/go/bin/go))
TOXIPROXY := .tools/toxiproxy-server
TOXIPROXY_MODULE := github.com/Shopify/toxiproxy/v2/cmd/server@v2.5.0

# Every test starts processes: without compiled files each of them compiles all modules again.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
RUNNABLE := $(VENV)/.installed-tools
INSTALLED := $(VENV)/.installed
SITE_INSTALLED := $(VENV)/.installed-site
SOURCES := service tests verify scripts deploy $(wildcard bench)
LOCK := build/lock-venv

.DEFAULT_GOAL := help
.PHONY: help install broker-jars demo unit test test-rest test-all test-repeat check contract format coverage simulate sabotage mutation fuzz bench growth failover soak dashboards panels site stack fresh hook lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) broker-jars ## set up .venv for tests and checks, and a local Kafka if Java and Maven are there

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "This needs Python 3.11 or later; '$(PYTHON)' is not. Try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

# The demo and the stack need the worker's packages and the tools; tests and checks need all.
$(RUNNABLE): requirements/build.txt requirements/tools.txt pyproject.toml deploy/install.py | $(VENV)/.made
	@$(BIN)/python -m deploy.install tools
	@touch $@

$(INSTALLED): requirements/build.txt requirements/dev.txt pyproject.toml deploy/install.py | $(VENV)/.made
	@$(BIN)/python -m deploy.install dev
	@touch $(RUNNABLE) $@

$(SITE_INSTALLED): requirements/site.txt | $(INSTALLED)
	@$(BIN)/python -m deploy.install site
	@touch $@

broker-jars: $(RUNNABLE) ## fetch Apache Kafka's jars through Maven into .kafka/libs
	@$(BIN)/python -m service.local.broker jars

# BROWSER=1 would be the name of a browser to who opens one.
demo: broker-jars ## watch net followers change, for a minute (make demo SECONDS=15 BROWSER=1)
	@$(if $(filter 1,$(BROWSER)),env -u BROWSER) $(BIN)/netfollowers demo --seconds $(SECONDS) \
		$(if $(filter 1,$(BROWSER)),--browser)

# Which test is in which: tests/tiers.py.
unit: $(INSTALLED) ## tests without a broker, Java or a browser: about a minute on two slow cores
	@$(PYTEST) -m unit

test: install ## those of unit, and all that need a real Kafka
	@$(PYTEST) -m "unit or test"

test-rest: install ## what only test-all runs: panels, browser, chaos, fail-over, security, examples, peers
	@$(PYTEST) -m rest

test-all: install ## every test
	@$(PYTEST)

test-repeat: install ## `make test` six times, every second time beside a busy core: make test-repeat RUNS=6
	@$(BIN)/python -m verify.repeat --runs $(RUNS)

check: $(INSTALLED) contract ## lint, format, types, contract: everything that needs no test run
	$(BIN)/ruff check $(SOURCES) examples
	$(BIN)/ruff format --check $(SOURCES) examples
	$(BIN)/mypy $(SOURCES)
	@$(BIN)/python -m bench.report.figures

contract: $(INSTALLED) ## compare the contract with the last released one; fails on a breaking change
	@$(BIN)/python -m verify.contract

format: $(INSTALLED) ## format the code and mend what ruff can mend
	$(BIN)/ruff check --fix $(SOURCES) examples
	$(BIN)/ruff format $(SOURCES) examples

coverage: $(INSTALLED) ## engine tests; every branch of service/counting must be covered
	@$(PYTEST) tests/unit/counting -m unit --cov

simulate: $(INSTALLED) ## hurt a simulated world by seeds: make simulate SEEDS=1000 START=0
	@$(BIN)/python -m verify.simulation --seeds $(SEEDS) --start $(START) --least $(LEAST)

chaos: install toxiproxy ## hurt a real deployment, audit it: make chaos MINUTES=10 SEED=1
	@$(BIN)/python -m verify.chaos --minutes $(MINUTES) --seed $(SEED) --report $(REPORT)

toxiproxy: ## fetch and build the proxy that cuts connections in `make chaos`, if Go is there
	@if [ -x $(TOXIPROXY) ]; then :; elif [ -z "$(GO)" ]; then \
		echo "No Go here, so no toxiproxy: connections will not be cut." >&2; \
	else { GOBIN=$(CURDIR)/.tools $(GO) install $(TOXIPROXY_MODULE) && mv .tools/server $(TOXIPROXY); } || \
		echo "toxiproxy could not be built: connections will not be cut." >&2; fi

sabotage: $(INSTALLED) ## plant every bug of the list; each must be caught
	@$(BIN)/python -m verify.sabotage

mutation: $(INSTALLED) ## change the engine in every small way and print the score (hours; MUTATIONS=200: a sample)
	@$(BIN)/python -m verify.mutation --most $(MUTATIONS)

fuzz: $(INSTALLED) ## mutated records against a second decoder: make fuzz INPUTS=1000000
	@$(BIN)/python -m verify.fuzz --inputs $(INPUTS)

bench: install ## measure this service beside plain Faust, Kafka Streams and the floor (25 min)
	@$(BIN)/python -m bench $(BENCH)

growth: install ## how the time of an event grows with accounts, grains, lateness, size, partitions
	@$(BIN)/python -m bench.runs.growth

failover: install ## measure how long updates pause when workers are stopped, killed, replaced (8 min)
	@$(BIN)/python -m bench.runs.failover --rounds $(ROUNDS)

soak: install ## hold one worker under load, judge what grows (make soak MINUTES=20 RATE=20000)
	@$(BIN)/python -m bench.runs.soak --minutes $(MINUTES) --rate $(RATE)

dashboards: $(INSTALLED) ## write deploy/grafana/dashboards/*.json anew from deploy/dashboards
	@$(BIN)/python -m scripts.write_dashboards

panels: install ## measure what every panel and alert shows against known truth, write docs/measured/panels.md
	@$(BIN)/python -m verify.panels

site: $(SITE_INSTALLED) ## build the documentation as a web site in build/site; a broken link fails
	@$(BIN)/python -m deploy.site

stack: broker-jars ## Kafka, two workers, Prometheus, Grafana if it is there, events: until Ctrl-C
	@$(BIN)/python -m deploy.stack --rate $(STACK_RATE)

fresh: ## the README's commands on a bare Debian, without and with Java; needs root (SHORT=1: a part)
	@$(PYTHON) -m verify.fresh $(if $(filter 1,$(SHORT)),--short)

hook: ## have git run `make check unit` before each commit (.ci/pre-commit)
	@hook="$$(git rev-parse --git-path hooks)/pre-commit"; \
	if [ -e "$$hook" ] && ! grep -q "make hook" "$$hook"; then \
		echo "There is another $$hook: move it away first." >&2; exit 1; fi; \
	mkdir -p "$${hook%/*}" && cp .ci/pre-commit "$$hook" && echo "git runs $$hook before each commit."

lock: ## write requirements/*.txt anew from pyproject.toml
	$(PYTHON) -m venv $(LOCK)
	$(LOCK)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(call compile,runtime) pyproject.toml
	$(call compile,tools) pyproject.toml --extra tools --group build -c requirements/runtime.txt
	$(call compile,dev) pyproject.toml --all-extras --group dev -c requirements/tools.txt
	$(call compile,build) --group pyproject.toml:build -c requirements/dev.txt
	$(call compile,site) --group pyproject.toml:site -c requirements/dev.txt

# One lock for all Pythons and platforms, with hashes and without the place it came from.
compile = $(LOCK)/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	--generate-hashes --no-annotate --no-emit-index-url --custom-compile-command 'make lock' \
	-o requirements/$(1).txt

clean: ## remove everything that make made
	rm -rf $(VENV) .kafka .tools build dist demo-output *.egg-info
	rm -rf examples/go/bin examples/java/target examples/node/node_modules bench/peers/kafka-streams/target
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.* htmlcov
	find $(SOURCES) -name __pycache__ -type d -exec rm -rf {} +
