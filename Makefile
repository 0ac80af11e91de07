# Kuji's commands. `make help` lists them; README.md shows what they print.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
RUNTIME := .venv/.runtime
STAMP := .venv/.installed
DIST ?= dist

.PHONY: help moved installed setup run up down status demo test lint k8s-validate k8s-dev proto wheels prometheus openapi-tools ghz-tools lock bench bench-smoke profile load chaos fuzz hostile-front

help: ## list these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

moved:
	@$(PYTHON) stack/relocate.py

# What runs is looked at and stopped by what is installed, however old: nothing is installed for that.
installed: moved
	@test -x $(BIN)/python || { echo "Nothing is installed here: run make setup"; exit 1; }

setup: $(STAMP) ## install everything into .venv, tools for tests included

SOURCES := pyproject.toml gen/pyproject.toml setup.py
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
define install
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Kuji needs Python 3.11 or newer; set PYTHON=python3.x")'
	@echo "Installing $(1) into .venv (a minute or two, once) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(PIP) --require-hashes -r $(2)
	@$(PIP) --quiet --no-deps --no-build-isolation -e gen -e .
endef

# What runs needs no tools; they come with the first command that does. The one holds all of the other.
$(RUNTIME): requirements.lock $(SOURCES) | moved
	$(call install,what runs,$<)
	@touch $@

$(STAMP): requirements-dev.lock requirements.lock $(SOURCES) | moved
	$(call install,everything,$<)
	@touch $(RUNTIME) $@

run: $(RUNTIME) ## start the whole stack in the foreground
	@exec $(BIN)/python -m stack run

up: $(RUNTIME) ## start the whole stack in the background
	@$(BIN)/python -m stack up

down: installed ## stop what `make up` started; data stays
	@$(BIN)/python -m stack down

status: installed ## what runs, and how it is
	@$(BIN)/python -m stack status

demo: $(RUNTIME) ## play a small campaign and check the books
	@$(BIN)/python -m demo

test: $(STAMP) ## lint, types and all tests; those of the image in CI alone
	@$(MAKE) --no-print-directory -j 2 lint tests  # mypy takes one core for a minute or two
	@test -z "$${CI:-}" || $(MAKE) --no-print-directory image-test  # by itself: it keeps the disk busy

.PHONY: tests
tests: $(STAMP)
	@MAKEFLAGS= PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 3 --dist loadgroup --no-loadscope-reorder --ignore tests/image tests

lint: $(STAMP) ## ruff, mypy, import contracts, protos
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@PYTHONPATH=. $(BIN)/lint-imports --no-cache
	@$(BIN)/python -m protos check

k8s-validate: $(STAMP) ## render k8s/, hold it against the API schemas and the code (part of test)
	@$(BIN)/python -m pytest -q tests/k8s

k8s-dev: $(STAMP) ## all of Kuji in the cluster that kubectl points to (KUBECTL=...: another kubectl)
	@KUBECTL="$${KUBECTL:-$(CURDIR)/$(BIN)/kubectl}" k8s/dev.sh

chaos: $(STAMP) ## the oversell storm at full size, then every fault on a stack of its own
	@KUJI_STORM_DRAWS=20000 $(BIN)/python -m pytest tests/chaos --ignore tests/chaos/test_chaos.py
	@KUJI_SOLD_OUT_DRAWS=20000 $(BIN)/python -m pytest -s tests/e2e/test_sold_out_storm.py
	@$(BIN)/python -m tests.chaos

bench: $(STAMP) ## measure: ratios in one run, durability on (BENCH="M2 M4": some of it)
	@$(BIN)/python -m tests.bench $(BENCH)

bench-smoke: $(STAMP) ## each measure at a tiny size, to see that it works (part of test)
	@$(BIN)/python -m tests.bench --smoke

profile: $(STAMP) ## where the CPU time of a draw goes, by part and by subject (py-spy, and perf if it is there)
	@$(BIN)/python -m tests.bench P1

load: $(STAMP) ## load of every kind, each answer compared with Postgres (LOAD="draw --seconds 60": as you like)
	@$(BIN)/python -m tests.load $(or $(LOAD),all)

fuzz: $(STAMP) ## a million calls made at random, to a stack of its own (FUZZ="--calls 10000": fewer)
	@$(BIN)/python -m tests.hostile.fuzz $(FUZZ)

hostile-front: $(STAMP) ## what strangers do to the port of a draw process, at full size, on either front
	@KUJI_FRONT_CALLS=1000000 $(BIN)/python -m pytest -s tests/hostile/test_hostile_front.py

proto: $(STAMP) ## build what is generated from protos/: stubs, descriptor, OpenAPI, tables
	@$(BIN)/python -m protos build

# One at a time: setuptools writes into the checkout.
wheels: $(STAMP) ## kuji (the stubs) and kuji-platform, into dist/
	@rm -rf $(DIST)
	@for folder in gen .; do \
	  flock .venv/.wheels $(BIN)/uv build --quiet --no-build-isolation --python $(BIN)/python --out-dir $(DIST) $$folder; done
	@ls -d $(DIST)/*.whl

prometheus: ## for its tests: the real Prometheus, from Debian, into .cache; needs apt-get
	@rm -rf .cache/prometheus.new && mkdir -p .cache/prometheus.new && cd .cache/prometheus.new \
	  && { apt-get -qq download prometheus 2>/dev/null && test -e prometheus_*.deb \
	    || { apt-get -qq update && apt-get -qq download prometheus; }; } \
	  && dpkg-deb --fsys-tarfile prometheus_*.deb \
	    | tar -x --strip-components=3 ./usr/bin/prometheus ./usr/bin/promtool && rm prometheus_*.deb
	@rm -rf .cache/prometheus && mv .cache/prometheus.new .cache/prometheus

# Wheels are fetched out here, so that an image neither asks an index nor knows one.
.PHONY: image image-wheels image-tools image-test
IMAGE_WHEELS := .cache/image-wheels
$(IMAGE_WHEELS)/.fetched: requirements-image.lock | $(STAMP)
	@rm -rf $(IMAGE_WHEELS)
	@$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
	  --python-version 3.11 --require-hashes -r $< -d $(IMAGE_WHEELS)
	@touch $@

image-wheels: $(IMAGE_WHEELS)/.fetched ## what goes into the image, into dist/image
	@$(MAKE) --no-print-directory wheels DIST=dist/image >/dev/null
	@cp $(IMAGE_WHEELS)/*.whl dist/image

image: image-wheels ## the container image, without a daemon (IMAGE=its name, BASE=what it is built on)
	@$(BIN)/python -m image $(IMAGE)

image-tools: ## for the image: Debian's packages that build and run one; needs root
	@apt-get update -qq
	@DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
	  buildah podman runc netavark iproute2 mmdebstrap >/dev/null

image-test: $(STAMP) ## the real image of each part, as Kubernetes would run it
	@$(BIN)/python -m pytest -n 2 --dist loadgroup tests/image

# What it builds is committed: neither a run nor an image needs Node.
.PHONY: web web-tools screenshots
WEB_PACKAGES := web/node_modules/.installed
$(WEB_PACKAGES): web/package-lock.json
	@cd web && npm ci --loglevel=error
	@cp $< $@

web: $(WEB_PACKAGES) ## check and build the pages, from web/src into web/dist; needs Node
	@cd web && npm run -s build

web-tools: $(WEB_PACKAGES) ## for the pages' tests: their packages, and Debian's Chromium; needs Node and root
	@test -x /usr/bin/chromium || { apt-get update -qq \
	  && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium fonts-noto-cjk > /dev/null; }

screenshots: $(STAMP) ## pictures of every page, into docs/screenshots, needs web-tools (SCREENSHOTS="box home": some)
	@$(BIN)/python -m tests.screenshots $(SCREENSHOTS)

openapi-tools: ## for its test: a TypeScript compiler, into .cache; needs Node
	@mkdir -p .cache/typescript
	@cp tests/contract/typescript/{package.json,package-lock.json} .cache/typescript
	@cd .cache/typescript && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error

GHZ := v0.121.0
ghz-tools: ## for its tests: ghz itself, and what it makes of our reports, into .cache; needs Go
	@mkdir -p .cache/ghz
	@cp tests/load/ghz/reference/main.go .cache/ghz
	@cd .cache/ghz && { test -f go.mod || go mod init reference 2> /dev/null; } \
	  && go get github.com/bojand/ghz@$(GHZ) && go mod tidy && go build -o reference . \
	  && GOBIN=$$PWD go install github.com/bojand/ghz/cmd/ghz@$(GHZ)

COMPILE := $(BIN)/uv pip compile --quiet --generate-hashes --no-header \
	--no-emit-index-url --no-emit-find-links --no-emit-package kuji --python-version 3.11
LOCK := $(COMPILE) --upgrade --universal
LOCK_IMAGE := $(COMPILE) --python-platform linux
lock: $(STAMP) ## refresh requirements.lock (what runs), -dev.lock (and tools), -image.lock (containers)
	@$(LOCK) --extra dev -o requirements-dev.lock pyproject.toml
	@$(LOCK) --extra checkout -c requirements-dev.lock -o requirements.lock pyproject.toml
	@$(LOCK_IMAGE) -c requirements.lock -o requirements-image.lock pyproject.toml
