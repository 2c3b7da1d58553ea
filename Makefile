# Oxicorn's daily commands. `make run` and `make test` are all that a fresh machine needs: Rust,
# CPython >= 3.10, a C compiler and make must be there; the rest is installed inside the checkout.
#
# PYTHON chooses the interpreter; each version has a virtual environment of its own:
#     make test PYTHON=python3.12

PYTHON ?= python3
BIND ?= 127.0.0.1:8000
# The cargo profile of the extension: `release`, or `dev` where the build time matters more.
PROFILE ?= release

RUFF := ruff==0.17.6
MYPY := mypy==2.4.1
GUNICORN := gunicorn==27.0.1 setproctitle==1.3.8

PYTHON_VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
VENV := $(CURDIR)/.venv-$(PYTHON_VERSION)
BIN := $(VENV)/bin
GUNICORN_VENV := $(VENV)-gunicorn
APPLICATIONS_VENV := $(VENV)-applications
export PYO3_PYTHON := $(BIN)/python

# Rust tests of the python crate embed the interpreter: they need its shared library, which some
# builds of CPython do not have. Elsewhere that crate is tested from Python alone.
LIBPYTHON := $(shell $(PYTHON) -c 'import sysconfig as s; print(s.get_config_var("LIBDIR") if s.get_config_var("Py_ENABLE_SHARED") else "")')
CARGO_TEST := $(if $(LIBPYTHON),LD_LIBRARY_PATH="$(LIBPYTHON):$$LD_LIBRARY_PATH" cargo test --workspace,cargo test --workspace --exclude oxicorn-python)

.DEFAULT_GOAL := help
.PHONY: help run build applications test test-parity test-gunicorn lint bench bench-quick conformance soak format clean

help:
	@echo "make run          build Oxicorn and serve examples/hello on http://$(BIND)"
	@echo "make test         run every Rust and Python test      (PYTHON=python3.12 chooses the interpreter)"
	@echo "make test-parity  run the tests of what Gunicorn promises as well against both servers"
	@echo "make lint         rustfmt, clippy, tidy, ruff, mypy, stubtest"
	@echo "make build        build the extension into $(notdir $(VENV))"
	@echo "make bench        measure CPU per request beside the peers (about 30 minutes)"
	@echo "make bench-quick  compare this checkout with commit BASE=HEAD~1 by instructions and CPU time"
	@echo "make conformance  run the Autobahn test suite against the WebSockets (needs CPython 2.7)"
	@echo "make soak         look whether memory grows over a million requests (about 10 minutes)"
	@echo "make format       rewrite the sources as lint wants them"
	@echo "make clean        remove everything that was built"

$(BIN)/maturin:
	@$(PYTHON) -c 'import sys; sys.exit("Oxicorn needs CPython 3.10 or newer; PYTHON=$(PYTHON) is " + sys.version if sys.version_info < (3, 10) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "maturin>=1.9.4,<2"

build: $(BIN)/maturin
	VIRTUAL_ENV=$(VENV) $(BIN)/maturin develop --quiet --profile $(PROFILE)

run: build
	$(BIN)/python -m pip install --quiet --disable-pip-version-check flask
	@echo "Serving examples/hello on http://$(BIND) (Ctrl+C stops it)"
	@$(BIN)/oxicorn --chdir examples/hello --bind $(BIND) app:app

test: build applications $(GUNICORN_VENV)/bin/gunicorn
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	test -d $(VENV)/old-packages || $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $(VENV)/old-packages -r tests/requirements-old.txt
	$(CARGO_TEST)
	$(BIN)/python -m pytest tests/

# Applications that bring servers of their own along have an environment of their own, which finds Oxicorn where it was
# built. It is made anew where what it has is no longer what is asked for.
applications: build $(APPLICATIONS_VENV)/requirements.txt

$(APPLICATIONS_VENV)/requirements.txt: tests/requirements-applications.txt
	$(PYTHON) -m venv --clear $(APPLICATIONS_VENV)
	$(APPLICATIONS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	$(APPLICATIONS_VENV)/bin/python -c 'import pathlib, sysconfig; pathlib.Path(sysconfig.get_path("purelib"), "oxicorn.pth").write_text("$(CURDIR)/python\n")'
	cp $< $@

# The same tests, two servers: what is marked `parity` passes on both, what is marked `better` fails on
# Gunicorn. CI runs the second half alone, because `make test` has run the first.
test-parity: build
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	$(BIN)/python -m pytest tests/ -m "parity or better"
	$(MAKE) test-gunicorn

# Gunicorn has an environment of its own, so that nothing of it can be imported by Oxicorn; its
# control socket has one path for all servers of a user, so it stays off. It has races of its own: what
# fails is run once more, alone.
test-gunicorn: $(GUNICORN_VENV)/bin/gunicorn
	export OXICORN_TEST_SERVER="$(GUNICORN_VENV)/bin/gunicorn --no-control-socket"; \
	$(BIN)/python -m pytest tests/ -m "parity or better" -r fE || \
	$(BIN)/python -m pytest tests/ -m "parity or better" -r fE --last-failed -n 0

$(GUNICORN_VENV)/bin/gunicorn:
	$(PYTHON) -m venv $(GUNICORN_VENV)
	$(GUNICORN_VENV)/bin/python -m pip install --quiet --disable-pip-version-check $(GUNICORN)

# What needs no build comes first, so that a slip of formatting is told at once.
lint: $(BIN)/maturin
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(RUFF) $(MYPY)
	cargo fmt --all --check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	cargo test --quiet --package xtask
	cargo clippy --workspace --all-targets -- -D warnings
	$(MAKE) build
	$(BIN)/python -m mypy.stubtest oxicorn._oxicorn --concise

format: $(BIN)/maturin
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(RUFF)
	cargo fmt --all
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Beside the peers, in an environment of its own; needs wrk and libev-dev.
bench:
	$(PYTHON) bench/run.py --setup --rounds 5

# Each build has an environment of its own, with the frameworks of the cases; needs valgrind and wrk.
BASE ?= HEAD~1
BENCH_BEFORE := $(CURDIR)/.venv-bench-before
BENCH_AFTER := $(CURDIR)/.venv-bench-after
BENCH_PACKAGES := fastapi uvloop

bench-quick:
	rm -rf $(BENCH_BEFORE)/source
	$(PYTHON) -m venv $(BENCH_BEFORE) && $(PYTHON) -m venv $(BENCH_AFTER)
	mkdir $(BENCH_BEFORE)/source && git archive $(BASE) | tar -x -C $(BENCH_BEFORE)/source
	$(BENCH_BEFORE)/bin/python -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps $(BENCH_BEFORE)/source
	$(BENCH_AFTER)/bin/python -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps .
	$(BENCH_BEFORE)/bin/python -m pip install --quiet --disable-pip-version-check $(BENCH_PACKAGES)
	$(BENCH_AFTER)/bin/python -m pip install --quiet --disable-pip-version-check $(BENCH_PACKAGES)
	$(PYTHON) bench/quick.py $(BENCH_BEFORE) $(BENCH_AFTER)

# The suite of others, which runs on CPython 2.7 alone, in an environment of its own.
conformance: build
	$(BIN)/python conformance/run.py

soak: build
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	$(BIN)/python soak/run.py

clean:
	cargo clean
	rm -rf .venv-* dist python/oxicorn/*.so .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
