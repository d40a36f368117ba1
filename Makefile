# Casemate's everyday commands. `make install` needs cargo and python3 (>= 3.11); as root (or with sudo)
# it installs missing Debian packages itself.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := install

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTHON_TREES := $(wildcard src tests examples bench)
# Set once here so that cargo and the copying below agree on the place.
export CARGO_TARGET_DIR ?= $(CURDIR)/target
# rustflags from the environment would silently replace the ones that make the two binaries freestanding.
unexport RUSTFLAGS
unexport CARGO_ENCODED_RUSTFLAGS
unexport CARGO_BUILD_RUSTFLAGS

TRIPLE := x86_64-unknown-linux-gnu
FREESTANDING := --config runtime/freestanding.toml --profile freestanding --target $(TRIPLE)
STATIC := --config runtime/init/static.toml --profile init --target $(TRIPLE)
FREESTANDING_CRATES := casemate-enclave casemate-host casemate-quoting-enclave
# Crates without a test harness on the host: the freestanding binaries, and the extension module, which pytest tests.
HOST_UNTESTED := casemate-enclave casemate-quoting-enclave casemate-python
RUNTIME := src/casemate/_runtime
FUZZ_TARGETS := index survey manifest evidence structures verifier messages protected_file
FUZZ_SECONDS ?= 60
# What libFuzzer needs of the compiler, without a nightly one: counters, and a table of what they count.
FUZZ_FLAGS := -Cpasses=sancov-module $(addprefix -Cllvm-args=-sanitizer-coverage-,level=4 inline-8bit-counters pc-table trace-compares) \
  -Ccodegen-units=1
RUST_SOURCES := $(shell find runtime -name '*.rs' -o -name '*.toml' -o -name '*.S' -o -name '*.ld' 2>/dev/null) Cargo.toml Cargo.lock

.PHONY: install demo test test-long fuzz bench lint format clean packages runtime wheel
.PHONY: system-build system-test compatibility

install: $(BIN)/.installed runtime
	@echo "casemate is in $(BIN)/casemate"

# --- Python ----------------------------------------------------------------------------------------

$(BIN)/python: | system-build
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

# The extension module and the package; again only when the Rust sources or the dependencies change.
$(BIN)/.installed: pyproject.toml $(RUST_SOURCES) | $(BIN)/python
	$(BIN)/python -m pip install --quiet 'maturin>=1.7,<2'
	PIP_QUIET=1 VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/maturin develop --release --extras dev --quiet
	touch $@

wheel: install
	$(BIN)/maturin build --release --out dist

# --- The runtime: the loader and the enclave image ---------------------------------------------------

# Cargo decides whether there is something to do; a file is replaced only when its bytes changed. Where the crates' sources lie on
# this machine must not show in what is measured.
runtime: | system-build
	cargo fetch --quiet --locked
	remap=""; for place in "$${CARGO_HOME:-$$HOME/.cargo}"/registry/src/*; do remap="$$remap\"--remap-path-prefix=$$place=/crates\","; done; \
	flags="target.$(TRIPLE).rustflags=[$$remap]"; \
	cargo build --quiet $(FREESTANDING) --config "$$flags" $(addprefix -p ,$(FREESTANDING_CRATES)); \
	cargo build --quiet $(STATIC) --config "$$flags" -p casemate-init
	cargo build --quiet --release -p casemate-quoting-host
	mkdir -p $(RUNTIME)
	for pair in $(TRIPLE)/freestanding/casemate-host:casemate-host $(TRIPLE)/freestanding/casemate-enclave:enclave \
	  $(TRIPLE)/freestanding/casemate-quoting-enclave:quoting-enclave $(TRIPLE)/init/casemate-init:init \
	  release/casemate-quoting:casemate-quoting; do \
	  built="$$CARGO_TARGET_DIR/$${pair%%:*}"; to="$(RUNTIME)/$${pair##*:}"; \
	  cmp -s "$$built" "$$to" || { cp "$$built" "$$to.new"; chmod 755 "$$to.new"; mv "$$to.new" "$$to"; }; \
	done

# --- System packages -----------------------------------------------------------------------------------

# command:package pairs; only what is missing is asked for.
BUILD_TOOLS := cc:gcc
TEST_TOOLS := mmdebstrap:mmdebstrap umoci:umoci skopeo:skopeo musl-gcc:musl-tools busybox:busybox-static \
  fsverity:fsverity podman:podman crun:crun runc:runc dockerd:docker.io setfattr:attr ip:iproute2 \
  pg_ctlcluster:postgresql

define need
	@missing=""; for pair in $(1); do \
	  PATH="$$PATH:/usr/sbin:/sbin" command -v "$${pair%%:*}" >/dev/null || missing="$$missing $${pair##*:}"; done; \
	if [ -n "$$missing" ]; then \
	  as=""; if [ "$$(id -u)" != 0 ]; then as=sudo; command -v sudo >/dev/null || as=false; fi; \
	  command -v apt-get >/dev/null || as=false; \
	  if [ "$$as" = false ]; then echo "missing$$missing: install them with your package manager"; exit $(2); fi; \
	  export DEBIAN_FRONTEND=noninteractive; \
	  $$as apt-get update -qq && $$as apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	fi
endef

system-build:
	@command -v cargo >/dev/null || { echo "cargo is missing: install Rust 1.88 or newer"; exit 1; }
	@test -e /usr/include/stdio.h || $(MAKE) --no-print-directory packages PACKAGES=libc6-dev
	$(call need,$(BUILD_TOOLS),1)

# Tests that lack a tool skip themselves and say so, hence 0.
system-test:
	$(call need,$(TEST_TOOLS),0)

packages:
	$(call need,$(foreach package,$(PACKAGES),no-such-command:$(package)),1)

# --- Checks --------------------------------------------------------------------------------------------

# Every interleaving of a few threads; loom is another build of the crate.
LOOM := RUSTFLAGS="--cfg loom" cargo test --quiet --release -p casemate-exitless --test loom --target-dir $(CURDIR)/target/loom

test: install system-test
	cargo test --quiet --workspace $(addprefix --exclude ,$(HOST_UNTESTED))
	$(LOOM)
	$(BIN)/python -m pytest -m "not long"

test-long: install system-test fuzz
	CASEMATE_LIES=10000000 CASEMATE_MUTATIONS=20000 cargo test --quiet --release --workspace $(addprefix --exclude ,$(HOST_UNTESTED))
	$(LOOM)
	cargo test --quiet --release -p casemate-softsgx --features mutation -- mutation::
	$(BIN)/python -m pytest

# Inputs that reach something new stay in fuzz/corpus; an input that breaks something is named and kept in fuzz/artifacts.
fuzz: | system-build
	$(call need,c++:g++,1)
	mkdir -p fuzz/artifacts
	RUSTFLAGS="$(FUZZ_FLAGS)" cargo build --quiet --release --manifest-path fuzz/Cargo.toml --target $(TRIPLE)
	"$$CARGO_TARGET_DIR/$(TRIPLE)/release/seeds" fuzz/corpus
	for target in $(FUZZ_TARGETS); do \
	  echo "fuzzing $$target for $(FUZZ_SECONDS) s"; log=fuzz/artifacts/$$target.log; \
	  "$$CARGO_TARGET_DIR/$(TRIPLE)/release/$$target" -max_total_time=$(FUZZ_SECONDS) -timeout=20 -max_len=65536 \
	    -artifact_prefix=fuzz/artifacts/$$target- fuzz/corpus/$$target >$$log 2>&1 || { tail -40 $$log; exit 1; }; \
	  tail -1 $$log; \
	done

lint: install
	$(BIN)/ruff check $(PYTHON_TREES)
	$(BIN)/ruff format --check $(PYTHON_TREES)
	$(BIN)/mypy
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --quiet --workspace --all-targets $(addprefix --exclude ,casemate-enclave casemate-host) -- -D warnings
	cargo clippy --quiet $(FREESTANDING) $(addprefix -p ,$(FREESTANDING_CRATES)) -- -D warnings
	cargo clippy --quiet $(FREESTANDING) -p casemate-host --features hostile -- -D warnings
	cargo clippy --quiet -p casemate-softsgx --all-targets --features mutation -- -D warnings
	cargo clippy --quiet --manifest-path fuzz/Cargo.toml -- -D warnings

format:
	$(BIN)/ruff check --fix $(PYTHON_TREES)
	$(BIN)/ruff format $(PYTHON_TREES)
	cargo fmt --all
	cargo fmt --manifest-path fuzz/Cargo.toml

demo: install system-test
	$(BIN)/python examples/demo.py

bench: install system-test
	$(BIN)/python -m bench

# CPython's own test suite, natively and inside: the better part of an hour. Goes on where it was cut short; ARGS=--all begins anew.
compatibility: install system-test
	$(BIN)/python -m tests.compatibility $(ARGS)

clean:
	rm -rf target dist $(RUNTIME) .cache
