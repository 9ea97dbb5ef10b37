# Everything a person types first. `make help` lists it.

ARGS ?=
export CARGO_TARGET_DIR ?= $(CURDIR)/target

.PHONY: help run test lint bench fuzz setup clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 18
	@echo '  ARGS="..." goes to the program: make run ARGS="--interface eth0"'

run: ## build and watch the interface of the default route; prints the address of its page
	@scripts/setup.sh build
	cargo build --locked --release
	@scripts/run.sh $(ARGS)

test: ## all tests; those that need root run through sudo
	@scripts/setup.sh build test
	@scripts/test.sh $(ARGS)

lint: ## formatting, clippy and documentation, warnings are errors
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

bench: ## measure against tcpdump, nfpcapd and softflowd on the same files
	@scripts/setup.sh build bench
	cargo build --locked --release --bin netmon --example genflows
	benches/peers.py $(ARGS)

fuzz: ## a minute of every fuzz target (needs a nightly toolchain and cargo-fuzz)
	@scripts/fuzz.sh 60

setup: ## get what building, testing and measuring need
	@scripts/setup.sh build test bench

clean: ## remove what was built and unpacked
	cargo clean
