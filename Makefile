# Every line below is one thing to type; the work is done by the tool that the line names.
# make demo and make test work on a fresh machine: python3.11 or later with venv and pip, gcc, make.
PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
STAMPS := $(VENV)/stamps
LOCKED := flock $(VENV)/build.lock
# What is used is turned into bytecode when it is first imported; most of Django never is.
PIP    := flock $(VENV)/pip.lock $(PY) -m pip install -q --disable-pip-version-check --no-compile
# Wheels are unpacked while the extension is compiled.
MAKEFLAGS += --jobs=2
# When one of these changed, Cython and gcc are asked; and when a module is not there at all.
PYX    := $(shell find wsgistack -name '*.pyx')
PARTS  := $(PYX) $(shell find wsgistack -name '*.pxd') setup.py
ABSENT := $(foreach one,$(PYX),$(if $(wildcard $(one:.pyx=.*.so)),,absent))
UV     := uv==0.13.9

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

# Containers often set that variable: each start would compile Django and the rest again, half of what the demo costs.
demo: $(STAMPS)/demo build installed  ## three WSGI backends, the balancer, the admin port, until Ctrl-C (ONCE=1: by itself)
	@env -u PYTHONDONTWRITEBYTECODE $(PY) -m demo $(if $(ONCE),--once)

test: $(STAMPS)/dev $(STAMPS)/docs build installed  ## all tests, live ones included (ARGS='-k name' for some)
	@echo "-- tests"
	@$(PY) -m pytest -n 2 --dist worksteal $(ARGS)

lint: $(STAMPS)/dev $(STAMPS)/docs build installed  ## layout, imports, types
	@echo "-- ruff format, ruff check, mypy --strict"
	@$(PY) -m ruff format --check --quiet .; layout=$$?; $(PY) -m ruff check --quiet .; rules=$$?; \
		$(PY) -m mypy; test $$layout$$rules$$? = 000

build: $(STAMPS)/compiled  ## compile what changed, in place

$(STAMPS)/compiled: $(PARTS) $(STAMPS)/build $(firstword $(ABSENT))
	@echo "-- Cython and gcc"
	@CFLAGS="$$($(PY) -m tools.headers) $$CFLAGS" WSGISTACK_COMPILED=required \
		$(LOCKED) $(PY) setup.py -q build_ext --inplace
	@touch $@

fuzz: $(STAMPS)/dev build installed  ## seeded rounds of hostile visits and nodes at a real balancer (minutes; WSGISTACK_SEEDS=17:18 for one)
	@WSGISTACK_SEEDS=$${WSGISTACK_SEEDS:-300} $(PY) -m pytest -q -n 0 tests/live/test_edge.py $(ARGS)

sanitize: $(STAMPS)/dev build installed  ## the plane's tests under the address and undefined-behaviour sanitizers (minutes)
	@$(PY) -m tools.sanitize $(ARGS)

bench-proxy: $(STAMPS)/dev build installed  ## the balancer beside nginx, HAProxy and Perlbal, those that are here
	@$(PY) -m bench.proxy $(ARGS)

bench-store: $(STAMPS)/dev build installed  ## one operation of each local store, and hits beside LRU
	@$(PY) -m pytest bench/test_store.py -q --benchmark-enable --benchmark-columns=min,median --benchmark-sort=name $(ARGS)
	@$(PY) -m bench.store_traces

conformance-ring: $(STAMPS)/dev build installed  ## where pylibmc and nginx keep a key, and what pylibmc reads and writes, compared with our rings
	@$(PY) -m tools.ring_conformance $(ARGS)
	@$(PY) -m tools.ring_interop

bench-ring: $(STAMPS)/dev build installed  ## MemcacheRing beside pymemcache, pylibmc and meta-memcache, those that are here
	@$(PY) -m bench.ring $(ARGS)

bench-ratelimit: $(STAMPS)/dev build installed  ## the rate limiter beside limits and Flask-Limiter, those that are here
	@$(PY) -m bench.ratelimit $(ARGS)

bench-start: $(STAMPS)/dev $(STAMPS)/demo build installed  ## a start of the balancer beside nginx and HAProxy, of the demo, of commands
	@$(PY) -m bench.start $(ARGS)

race-limits: $(STAMPS)/dev build installed  ## how many a limit admits when 8 processes, or 64 threads, ask at once, 10^5 rounds (half an hour; ARGS='--rounds 1000')
	@$(PY) -m bench.races $(ARGS)

bench-ready: $(STAMPS)/dev build installed  ## a hit and a miss of the balancer's page cache beside HAProxy, nginx and Varnish, those that are here
	@$(PY) -m bench.ready $(ARGS)

bench-page-cache: $(STAMPS)/dev build installed  ## the page cache in process beside Django's, in memory and over memcached
	@$(PY) -m bench.page_cache $(ARGS)

bench-wrap: $(STAMPS)/dev build installed  ## what wrap adds to a request, and to the start of a program
	@$(PY) -m bench.wrap $(ARGS)

conformance-cache: $(STAMPS)/dev build installed  ## the HTTP caching cases at both edges, both profiles (ARGS=directory of the cases)
	@$(PY) -m tools.cache_conformance $(ARGS)

conformance-django: $(STAMPS)/dev build installed  ## Django's own cache tests over our backend
	@$(PY) -m tools.django_conformance

bench-limits: $(STAMPS)/dev build installed  ## what limits cost in the balancer, and a refusal beside nginx limit_req
	@$(PY) -m bench.limits $(ARGS)

bench-split: $(STAMPS)/dev build installed  ## what a split of the visitors costs in the balancer
	@$(PY) -m bench.split $(ARGS)

conformance-cookbook: $(STAMPS)/dev build installed  ## the cookbook's files of systemd, nginx, HAProxy and keepalived, looked at by those that are here
	@$(PY) -m tools.cookbook_conformance

conformance-python: $(STAMPS)/dev  ## the tests of plain Python under 3.12, 3.13 and 3.14 as WebAssembly, with node and npm (an hour; ARGS='--python 3.14 tests/http' for some)
	@$(PY) -m tools.pythons $(ARGS)

package: $(STAMPS)/dev build installed  ## the archive and the wheel, built anew, installed in empty environments, used (minutes)
	@$(PY) -m tools.package_check

conformance-servers: $(STAMPS)/dev build installed  ## wrapped sites under mod_wsgi; workers killed and reloaded under each server
	@$(PY) -m tools.server_conformance $(ARGS)

bench-pick: $(STAMPS)/dev build installed  ## what a choice of a node costs, by algorithm and size of the pool
	@$(PY) -m bench.pick

chaos: $(STAMPS)/dev build installed  ## nodes and workers fail under load: what visitors notice (ARGS=--short)
	@$(PY) -m bench.chaos $(ARGS)

docs: pages $(STAMPS)/docs  ## the site and the man pages, in build/docs
	@echo "-- sphinx: build/docs/html/index.html, build/docs/man"
	@$(PY) -m tools.site

.PHONY: pages
pages: $(STAMPS)/dev build installed
	@$(PY) -m tools.settings_page --write
	@$(PY) -m tools.commands_page --write
	@$(PY) -m tools.metrics_page --write
	@$(PY) -m tools.component_pages --write
	@$(PY) -m tools.man_pages --write

lock:  ## pin requirements/*.in again
	@$(PYTHON) -m venv .cache/lock && .cache/lock/bin/pip install -q --disable-pip-version-check '$(UV)'
	@.cache/lock/bin/python tools/lock.py

installed: $(STAMPS)/installed

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "wsgistack needs Python 3.11 or later: make PYTHON=python3.11 ...")'
	@echo "-- $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(STAMPS)/%: requirements/%.txt | $(PY)
	@echo "-- requirements/$*.txt, pinned and hashed"
	@$(PIP) --no-deps --require-hashes -r $<
	@mkdir -p $(STAMPS) && touch $@

# What compiles comes first; the rest is unpacked meanwhile.
$(STAMPS)/demo $(STAMPS)/dev $(STAMPS)/docs: | $(STAMPS)/build

$(STAMPS)/installed: pyproject.toml | $(STAMPS)/build
	@echo "-- wsgistack, editable"
	@WSGISTACK_COMPILED=present $(PIP) --no-build-isolation --no-deps -e .
	@mkdir -p $(STAMPS) && touch $@

.PHONY: absent help demo test lint build fuzz sanitize chaos package conformance-cookbook bench-proxy bench-ring bench-ratelimit bench-page-cache bench-wrap race-limits bench-store conformance-ring conformance-cache conformance-django conformance-python conformance-servers docs lock installed bench-limits bench-split bench-start
.SUFFIXES:
