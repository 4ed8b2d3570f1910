# The commands of the house. `make` alone lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# `make run PROFILE=release` is faster; its first build takes several times as long.
PROFILE ?= dev
ARGS ?=
# For `make install`: the prefix, the root folder (for packagers), and a command to write there, such as SUDO=sudo.
PREFIX ?= /usr/local
DESTDIR ?=
SUDO ?=
BENCHES := rules groups timers http batch kafka sinks isolation memory sqlite
BUILT := $(or $(CARGO_TARGET_DIR),target)
# For `make fuzz`.
TARGET ?= decode rules decide cel config
SECONDS ?= 60
# The output folder of cargo for this profile.
OUTPUT = $(BUILT)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))
# The folder of each shell's completions below PREFIX/share.
COMPLETIONS := bash:bash-completion/completions/acteon-server zsh:zsh/site-functions/_acteon-server \
	fish:fish/vendor_completions.d/acteon-server.fish
INSTALLED = $(DESTDIR)$(PREFIX)
say = @printf '\n==> %s\n' "$(1)"

.PHONY: help run demo install uninstall dist test bench fuzz services fmt lint tools-build tools-demo tools-dist tools-lint tools-test

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: tools-build ## Build and start the server on http://127.0.0.1:8080 (ARGS="-c acteon.toml", PROFILE=release)
	$(call say,Building the server (profile $(PROFILE); the first time takes a few minutes))
	@cargo build --locked --profile $(PROFILE) -p acteon-server --bin acteon-server
	@exec cargo run --quiet --locked --profile $(PROFILE) -p acteon-server --bin acteon-server -- $(ARGS)

demo: tools-demo ## Run the Kafka example of the README: broker, server, producer and receiver, until Ctrl-C
	$(call say,Building the server and the demo (profile $(PROFILE); the first time takes a while))
	@cargo build --locked --profile $(PROFILE) -p acteon-server --bin acteon-server
	@cargo build --locked --profile $(PROFILE) -p acteon-demo
	@exec $(OUTPUT)/acteon-demo

install dist: PROFILE := release

install: tools-build ## Build in release mode and install binary and completions (PREFIX=/usr/local, SUDO=sudo)
	$(call say,Building the server (profile $(PROFILE)))
	@cargo build --locked --profile $(PROFILE) -p acteon-server --bin acteon-server
	$(call say,Installing below $(INSTALLED))
	@$(SUDO) install -D -s -m 755 $(OUTPUT)/acteon-server $(INSTALLED)/bin/acteon-server
	@for file in $(COMPLETIONS); do \
		$(OUTPUT)/acteon-server completions $${file%%:*} \
			| $(SUDO) install -D -m 644 /dev/stdin $(INSTALLED)/share/$${file#*:}; \
	done

uninstall: ## Remove the files of `make install` (PREFIX=/usr/local, SUDO=sudo)
	@$(SUDO) rm -f $(INSTALLED)/bin/acteon-server $(foreach file,$(COMPLETIONS),$(INSTALLED)/share/$(lastword $(subst :, ,$(file))))

dist: tools-dist ## Pack the server as tarball and Debian package, with licences, unit and completions
	$(call say,Building the server (profile $(PROFILE)))
	@cargo build --locked --profile $(PROFILE) -p acteon-server --bin acteon-server
	$(call say,Packing)
	@mkdir -p $(BUILT)/dist
	@cargo run --quiet --locked -p acteon-dist -- $(HOST) > $(BUILT)/dist/THIRD-PARTY-LICENSES.txt
	@dist/pack $(OUTPUT)/acteon-server $(BUILT)/dist/THIRD-PARTY-LICENSES.txt $(BUILT)/dist

test: tools-test ## Run everything: format, lints, laws, unit, contract and end-to-end tests
	$(call say,Format)
	@cargo fmt --all --check
	$(call say,Lints)
	@cargo clippy --locked --workspace --all-targets -- -D warnings
	$(call say,Building the binaries for the end-to-end tests)
	@cargo build --locked -p acteon-server --bin acteon-server
	@cargo build --locked -p acteon-demo
	@cargo build --locked -p acteon-dist
	$(call say,Services)
	@$(MAKE) --no-print-directory services
	$(call say,Tests)
	@cargo test --locked --workspace --no-fail-fast
	$(call say,All is well)

bench: tools-test ## Run all benches, each against its floor (also one by one: make bench-rules, -http, ..., -outage)
	@for name in $(BENCHES); do $(MAKE) --no-print-directory bench-$$name; done

bench-%: tools-test
	$(call say,Bench $*)
	@cargo build --locked --release -p acteon-server -p acteon-bench
	@$(BUILT)/release/acteon-bench $* $(ARGS)

# The fuzzer follows the branches that an input takes: the compiler instruments them. `--target` excludes build scripts.
HOST = $(shell rustc -vV | sed -n 's/^host: //p')
FUZZ_BUILT = $(BUILT)/fuzz
FUZZ_FLAGS := -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
	-Cllvm-args=-sanitizer-coverage-trace-compares

fuzz: tools-build ## Fuzz decode, rules, decide, cel and config (TARGET=rules SECONDS=60 for one of them)
	$(call say,Building the fuzzer (the first time takes a few minutes))
	@RUSTFLAGS='$(FUZZ_FLAGS)' cargo build --locked --profile fuzz -p acteon-fuzz --features fuzzer --bin fuzz \
		--target $(HOST) --target-dir $(FUZZ_BUILT)
	@for name in $(TARGET); do \
		printf '\n==> %s, for $(SECONDS) s\n' "$$name"; \
		tests/fuzz/run $(FUZZ_BUILT)/$(HOST)/fuzz/fuzz $(FUZZ_BUILT) "$$name" -max_total_time=$(SECONDS) $(ARGS); \
	done

services: tools-test ## Fetch the servers of tests and benches, so that a later run needs no network
	@cargo run --quiet --locked -p acteon-services -- fetch

fmt: ## Format all code
	@cargo fmt --all

lint: tools-lint ## Format check, lints and the laws of the house
	@cargo fmt --all --check
	@cargo clippy --locked --workspace --all-targets -- -D warnings
	@cargo test --locked --quiet -p acteon-tests laws::

tools-build:
	@.ci/tools build

tools-dist:
	@.ci/tools dist

tools-demo:
	@.ci/tools demo

tools-lint:
	@.ci/tools lint

tools-test:
	@.ci/tools test
