# GridLedger's commands. Each sets up the virtual environment it needs by itself.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NETWORK ?= network-config/three-shards.yaml
DIR ?= out/network

# Where byte code may not be kept, as many images of Python have it, each of a network's processes compiles all its modules at its start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install demo relay-demo vault-demo forensics-demo up down console status test test-browser console-pictures test-deep test-long mutants test-quick simulate simulate-deep bench bench-quick figures frames grids scale relay-bench vault-bench enf-bench compose reference site docker-test first-hour check lock clean

help:  ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1 — \2/'

# These files' dates say for which lock was installed last. In an environment that does not work they say nothing.
$(shell test ! -e $(VENV)/.unfinished && $(BIN)/python -c 'import pip' 2>/dev/null || rm -f $(VENV)/.installed*)

$(VENV)/.installed: requirements/services.lock
	@requirements/install.sh $(PYTHON) $(VENV) $<
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(VENV)/.installed-feeder: requirements/feeder.lock $(VENV)/.installed
	@requirements/install.sh $(PYTHON) $(VENV) $<
	@touch $@

$(VENV)/.installed-relay: requirements/relay.lock $(VENV)/.installed
	@requirements/install.sh $(PYTHON) $(VENV) $<
	@touch $@

$(VENV)/.installed-vault: requirements/vault.lock $(VENV)/.installed
	@requirements/install.sh $(PYTHON) $(VENV) $<
	@touch $@

$(VENV)/.installed-forensics: requirements/forensics.lock $(VENV)/.installed
	@requirements/install.sh $(PYTHON) $(VENV) $<
	@touch $@

$(VENV)/.installed-console: requirements/console.lock $(VENV)/.installed
	@requirements/install.sh $(PYTHON) $(VENV) $<
	@touch $@

$(VENV)/.installed-bench: requirements/bench.lock $(VENV)/.installed-feeder
	@requirements/install.sh $(PYTHON) $(VENV) $<
	@touch $@

$(VENV)/.installed-dev: requirements/dev.lock $(VENV)/.installed
	@requirements/install.sh $(PYTHON) $(VENV) $<
	@touch $@

$(VENV)/.installed-deep: requirements/deep.lock $(VENV)/.installed-dev
	@requirements/install.sh $(PYTHON) $(VENV) $<
	@touch $@

install: $(VENV)/.installed  ## the virtual environment .venv with the command gridledger: for this terminal, . .venv/bin/activate

demo: $(VENV)/.installed-feeder  ## the closed loop on the IEEE 30-bus grid, from set-up to plots in out/demo
	@$(BIN)/python -m services.feeder demo --network $(NETWORK) --out out/demo

relay-demo: $(VENV)/.installed-relay  ## relay monitoring: four servers, what befalls them in twelve minutes, and a report in out/relay
	@$(BIN)/python -m services.relay demo $(ARGS)

vault-demo: $(VENV)/.installed-vault  ## shard storage: five clusters, what befalls their holders, and a report in out/vault
	@$(BIN)/python -m services.vault demo $(ARGS)

forensics-demo: $(VENV)/.installed-forensics  ## forensics: the attack of 2015 on three cities, investigated and proved, and a report in out/forensics
	@$(BIN)/python -m services.case demo $(ARGS)

up: $(VENV)/.installed  ## start a network in the foreground (NETWORK=network-config/...yaml)
	@$(BIN)/gridledger up $(NETWORK) --dir $(DIR)

down: $(VENV)/.installed  ## stop the network that was started in DIR
	@$(BIN)/gridledger down --dir $(DIR)

console: $(VENV)/.installed-console  ## the network in DIR in a browser, as yourself (ARGS="--user ControlRoom/admin")
	@$(BIN)/gridledger console --dir $(DIR) $(ARGS)

status: $(VENV)/.installed  ## nodes, channels, heights, commit hashes, leaders
	@$(BIN)/gridledger status --dir $(DIR)

# The folders with few and long tests first: begun last, they would keep one worker busy while the others have nothing left.
test: $(VENV)/.installed-dev  ## the tests: units side by side, then real processes, files of tests side by side
	@$(BIN)/python -m pytest -q -n auto tests/simulation tests/acceptance tests/unit
	@$(BIN)/python -m pytest -q -n auto --dist loadfile tests/integration

test-browser: $(VENV)/.installed-dev  ## the console in Chromium (apt-get install chromium): a network, every page, pictures of them in out/browser
	@$(BIN)/python -m pytest -q tests/browser $(ARGS)

console-pictures: $(VENV)/.installed-dev  ## the pictures of docs/console.md from what the newest make test-browser saw
	@$(BIN)/python -m tests.browser.pictures

test-deep: $(VENV)/.installed-deep  ## the tests that take most of a minute each
	@$(BIN)/python -m pytest -q -n auto -m deep tests/unit tests/acceptance
	@$(BIN)/python -m pytest -q -m deep tests/integration
	@$(BIN)/python -m pytest -q -m deep tests/browser

test-long: $(VENV)/.installed-dev  ## the tests that take minutes each, before a release
	@HYPOTHESIS_PROFILE=full $(BIN)/python -m pytest -q -n auto -m "hypothesis and not long" tests/unit tests/simulation
	@$(BIN)/python -m pytest -q -m long tests/unit tests/integration

mutants: $(VENV)/.installed-deep  ## deliberate mistakes, by hand and drawn, and whether the tests see them (ARGS="--only drawn --seed 7")
	@$(BIN)/python -m tests.mutants $(ARGS)

test-quick: $(VENV)/.installed-dev  ## the tests that start no network
	@$(BIN)/python -m pytest -q -n auto tests/simulation tests/acceptance tests/unit

simulate-deep: $(VENV)/.installed-dev  ## many more seeds of the consensus simulation (SEEDS=2000)
	@GRIDLEDGER_SIM_SEEDS=$(or $(SEEDS),2000) $(BIN)/python -m pytest -q -n auto --timeout 3600 tests/simulation

simulate: $(VENV)/.installed-dev  ## seeds of the whole world on virtual clocks and disks (SEEDS=500 FROM=0 PROCESSES=2; one seed: SEEDS=1 FROM=7 ARGS=--trace)
	@$(BIN)/python -m tests.simulation.world.run --seeds $(or $(SEEDS),500) --from $(or $(FROM),0) --processes $(or $(PROCESSES),1) $(ARGS)

bench: $(VENV)/.installed-bench  ## every workload by Locust on each topology, report in out/bench (ARGS="--topology no-shard ...")
	@$(BIN)/python -m benchmarks.commands.bench $(ARGS)

bench-quick: $(VENV)/.installed-bench  ## the share of the floor per topology in under three minutes; fails under its guard
	@$(BIN)/python -m benchmarks.commands.bench_quick $(ARGS)

figures: $(VENV)/.installed-bench  ## the thesis's sweeps, about an hour, resumable, in out/figures (ARGS=--quick)
	@$(BIN)/python -m benchmarks.commands.figures $(ARGS)

scale: $(VENV)/.installed-bench  ## the model of 1 to 1,000 shards from a report (ARGS="--report out/bench/NAME/report.json")
	@$(BIN)/python -m benchmarks.commands.scale $(ARGS)

frames: $(VENV)/.installed-bench  ## the feeder's frames for minutes: latency, memory (ARGS="--groups 16 --rate 30 --seconds 600")
	@$(BIN)/python -m benchmarks.commands.frame_stream $(ARGS)

grids: $(VENV)/.installed-dev  ## the closed loop on 14 to 9,241 buses, half an hour, in out/grids (ARGS="--case grid.m --rate 4")
	@$(BIN)/python -m benchmarks.grids $(ARGS)

relay-bench: $(VENV)/.installed-dev  ## update times of relay monitoring beside the article's algorithm (ARGS="update --servers 1 4")
	@$(BIN)/python -m benchmarks.relay $(ARGS)

vault-bench: $(VENV)/.installed-dev  ## shard storage: bytes on disk, put and get times, changes of members under load (ARGS="times --puts 50")
	@$(BIN)/python -m benchmarks.vault $(ARGS)

enf-bench: $(VENV)/.installed-dev  ## recordings dated by the hum of the mains: places, edits, speed, in out/enf-bench (ARGS="places --seeds 10")
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.enf $(ARGS)

check: $(VENV)/.installed-dev  ## lint, format, types, imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

first-hour: $(VENV)/.installed-dev  ## README's path to a transaction of one's own, from a fresh clone, timed
	@$(BIN)/python -m tests.first_hour

compose: $(VENV)/.installed  ## write docker/compose*.yaml anew from network-config/
	@$(BIN)/gridledger compose network-config/three-shards.yaml > docker/compose.yaml
	@for name in substation substation-vault forensics; do \
	  $(BIN)/gridledger compose network-config/$$name.yaml > docker/compose.$$name.yaml; done
	@for name in no-shard two-shards; do $(BIN)/gridledger compose network-config/$$name.yaml \
	  --override network-config/three-shards.yaml > docker/compose.$$name.yaml; done

reference: $(VENV)/.installed-dev  ## write the pages that are made from the code: settings, metrics, OpenAPI, scenario files
	@$(BIN)/python -m docs.make_settings
	@$(BIN)/python -m docs.make_metrics
	@$(BIN)/python -m docs.make_openapi
	@$(BIN)/python -m docs.make_scenario_schema

site: $(VENV)/.installed-dev  ## the documentation as a site in out/site; fails where a link leads nowhere
	@$(BIN)/zensical build --strict
	@$(BIN)/python docs/make_math.py out/site

docker-test: $(VENV)/.installed  ## the network as containers: built, used, killed, cut off, healed (needs docker compose)
	@$(BIN)/python -m tests.docker.run

# Each begins as a copy of dev's, which has everything: uv keeps the versions it finds, so no lock replaces another's.
lock: $(VENV)/.installed-dev  ## make the locks in requirements/ anew from pyproject.toml
	@$(BIN)/python -m pip install --quiet uv
	@for set in "dev --extra dev" "deep --extra deep" "bench --extra bench" "feeder --extra feeder" "relay --extra relay" "vault --extra vault" "forensics --extra forensics" "console --extra console" "services --extra server"; do set -- $$set; name=$$1; shift; \
	  test $$name = dev || cp requirements/dev.lock requirements/$$name.lock; \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	    pyproject.toml $$@ --output-file requirements/$$name.lock; done

clean:  ## remove the virtual environment and everything under out/
	rm -rf $(VENV) out build *.egg-info
