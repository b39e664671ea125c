PYTHON ?= python3
VENV := .venv

build: $(VENV)/bin/python
	@flock .venv/build.lock $(VENV)/bin/python setup.py -q build_ext --inplace

.PHONY: build
