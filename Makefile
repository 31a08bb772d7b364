# Norn's targets. `make help` lists them; README.md says what they need.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

# The product is static; only `race` needs a C compiler.
export CGO_ENABLED := 0

PKGS     := . ./cmd/... ./internal/... ./web
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  := -s -w -X main.version=$(VERSION)
FUZZTIME ?= 20s
TOOLS    := $(CURDIR)/.cache/bin
LINTER   := github.com/golangci/golangci-lint/v2/cmd/golangci-lint
LINTER_VERSION := v2.15.0

UI_SOURCES := $(shell find web/src web/public web/index.html web/package.json web/package-lock.json web/tsconfig.json web/vite.config.ts -type f 2>/dev/null)

.PHONY: help build demo test unit race lint fuzz bench long e2e ui plugins plugins-check fmt clean install-check

help: ## list the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

build: bin/norn ## the binary bin/norn, with the console in it

# Go knows best what is stale: the rule always runs and is quick when nothing changed.
.PHONY: bin/norn
bin/norn: web/dist/index.html
	go build -ldflags '$(LDFLAGS)' -o bin/norn ./cmd/norn

demo: build ## build and run the demo: a small shop, faults, and the console
	bin/norn demo

ui: web/dist/index.html ## the console, into web/dist

web/dist/index.html: $(UI_SOURCES) web/node_modules/.package-lock.json
	@command -v npm >/dev/null || { echo "building the console needs Node.js 20.19 or newer with npm" >&2; exit 1; }
	npm --prefix web run build
	@touch $@

web/node_modules/.package-lock.json: web/package-lock.json
	@command -v npm >/dev/null || { echo "building the console needs Node.js 20.19 or newer with npm" >&2; exit 1; }
	npm --prefix web ci --no-audit --no-fund
	@touch $@

plugins: ## the example plugins: examples/plugins/*/*.wasm
	@command -v npm >/dev/null || { echo "building the AssemblyScript example needs Node.js with npm" >&2; exit 1; }
	npm --prefix examples/plugins/leak ci --no-audit --no-fund
	npm --prefix examples/plugins/leak run build
	cd examples/plugins/ewma && GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -trimpath -ldflags='-s -w' -o ewma.wasm .

plugins-check: plugins ## build them, and see that the committed one is what its source gives
	git diff --exit-code -- examples/plugins

install-check: ## look for what the tests need; install it where that is allowed
	test/install.sh

test: install-check ## all tests: unit, integration with real servers, console, browser
	test/run.sh

unit: ## the Go tests only
	go test $(PKGS)

race: ## the Go tests under the race detector (needs a C compiler)
	CGO_ENABLED=1 go test -race -timeout 40m $(PKGS)

e2e: build ## the browser test on a running demo
	test/e2e.sh

fuzz: ## every fuzz target for FUZZTIME (20s) each
	@grep -roHE '^func Fuzz[A-Za-z0-9_]*' --include='*_test.go' internal cmd | sort | while IFS=: read -r file func; do \
	  name=$${func#func }; dir=$$(dirname "$$file"); \
	  echo "--- $$dir $$name"; \
	  go test -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZTIME) "./$$dir" </dev/null; \
	done

bench: ## the Go benchmarks (the product's own: bin/norn bench --help)
	go test -run '^$$' -bench . -benchmem $(PKGS)

long: ## state over ten million points for every member: some minutes
	NORN_LONG=1 go test -timeout 60m -run 'Bounded|DoesNotGrow' ./internal/detect/...

lint: $(TOOLS)/golangci-lint-$(LINTER_VERSION) ## golangci-lint, or go vet where it cannot be had
	@if [ -x $(TOOLS)/golangci-lint-$(LINTER_VERSION) ]; then \
	  $(TOOLS)/golangci-lint-$(LINTER_VERSION) run $(PKGS); \
	else \
	  echo "golangci-lint $(LINTER_VERSION) could not be installed: only go vet runs" >&2; go vet $(PKGS); \
	fi

# A pinned version, built once, kept out of go.mod.
$(TOOLS)/golangci-lint-$(LINTER_VERSION):
	@mkdir -p $(TOOLS)
	-GOBIN=$(TOOLS)/tmp go install $(LINTER)@$(LINTER_VERSION) && mv $(TOOLS)/tmp/golangci-lint $@ && rmdir $(TOOLS)/tmp

fmt: ## gofmt all of our Go files
	gofmt -w $$(git ls-files -co --exclude-standard '*.go')

clean: ## remove what was built
	rm -rf bin test/out
	find web/dist -mindepth 1 ! -name .gitkeep -delete
