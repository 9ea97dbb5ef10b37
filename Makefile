# Everything a person types first. `make help` lists it.

ARGS ?=
export CARGO_TARGET_DIR ?= $(CURDIR)/target

.PHONY: help run test soak lint bench fuzz containers portability reference setup install uninstall deb tarball clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20
	@echo '  ARGS="..." goes to the program: make run ARGS="--interface eth0"'

run: ## build and watch the interface of the default route; prints the address of its page
	@scripts/setup.sh build
	cargo build --locked --release
	@scripts/run.sh $(ARGS)

test: ## all tests; those that need root run through sudo
	@scripts/setup.sh build test
	@scripts/test.sh $(ARGS)

soak: ## the long forms of the tests, as root: capture truth, kills of alerts and of the history; prints figures
	@scripts/setup.sh build test
	@scripts/soak.sh $(ARGS)

lint: ## formatting, clippy and documentation, warnings are errors
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

bench: ## measure against tcpdump, nfpcapd and softflowd on the same files and, as root, on the same wire
	@scripts/setup.sh build bench
	cargo build --locked --release --bin netmon --example genflows --example sendframes
	benches/peers.py $(ARGS)
	benches/live.py $(ARGS)

fuzz: ## a minute of every fuzz target (needs a nightly toolchain and cargo-fuzz)
	@scripts/fuzz.sh 60

containers: ## build the image without a registry and test netmon in it, as root with buildah, podman and runc
	@scripts/setup.sh build containers
	@scripts/containers.sh $(ARGS)

portability: ## build for Windows and run it under wine, type-check for macOS; gets 1.6 GB of compilers the first time
	@scripts/setup.sh portability
	@scripts/portability.sh $(ARGS)

reference: ## write docs/reference anew from the code
	UPDATE_GOLDEN=1 cargo test --locked --test reference

setup: ## get what building, testing and measuring need
	@scripts/setup.sh build test browser bench

# Given on the command line or not; scripts/install.sh has the defaults.
export PREFIX DESTDIR sysconfdir zshdir BINARY

install: ## put the program, its service and a first configuration in place; starts nothing
	@scripts/install.sh install

uninstall: ## take them away again, but for the configuration
	@scripts/install.sh uninstall

deb: ## a package for Debian and Ubuntu, in target/dist
	@scripts/setup.sh build package
	@scripts/package.sh deb

tarball: ## an archive that needs glibc only, in target/dist
	@scripts/setup.sh build package
	@scripts/package.sh tarball

clean: ## remove what was built and unpacked
	cargo clean
