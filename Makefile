# What people type; `make help` lists it. CI calls the same targets.

VERSION    ?= 0.3
ACCOUNT_ID ?= $(shell sed -n 's/^var AccountID = "\(.*\)"$$/\1/p' registry/network/network.go)
GO         ?= go
COMMIT     ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)

LDFLAGS := -s -w -X aspects-poc/roles.Version=$(VERSION) -X aspects-poc/roles.Commit=$(COMMIT) -X aspects-poc/registry/network.AccountID=$(ACCOUNT_ID)
BUILD   := CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)'
BINARY  := bin/aspects-poc

.DEFAULT_GOAL := build

.PHONY: help
help: ## list what can be made
	@sed -n 's/^\([a-z][a-z-]*\):.*## /\1\t/p' Makefile | awk -F'\t' '{ printf "  make %-12s %s\n", $$1, $$2 }'

.PHONY: build
build: ## the binary, bin/aspects-poc, and a link to it for each role
	@mkdir -p bin
	$(BUILD) -o $(BINARY) .
	@for role in server control vpn reporting; do ln -sf aspects-poc bin/aspects-poc-$$role; done

.PHONY: demo
demo: build ## all four roles on this machine, until interrupted; ARGS=--once for one pass
	@$(BINARY) demo $(ARGS)

.PHONY: test
test: ## every test, with the race detector; no root, no snapd
	$(GO) test -race ./...

.PHONY: check
check: ## vet, linters, formatting, modules, generated files
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) tool errcheck -exclude .ci/errcheck-exclude.txt -ignoretests ./...
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$unformatted" ] || { echo "not formatted: $$unformatted" >&2; exit 1; }
	$(GO) mod tidy -diff
	.ci/generated

.PHONY: bench
bench: ## benchmarks, each beside its floor or peer in the same run
	$(GO) test -run '^$$' -bench . -benchmem ./...

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (default 30s)
	.ci/fuzz $(or $(FUZZTIME),30s)

.PHONY: docs
docs: build ## write again what is generated: the API description and docs/CLI.md
	$(GO) generate ./...
	.ci/cli-docs $(BINARY) > docs/CLI.md

.PHONY: screenshot
screenshot: ## drive the Swagger UI in a real Chromium and keep a picture: build/swagger.png
	@mkdir -p build
	ASPECTS_REQUIRE_BROWSER=1 ASPECTS_SCREENSHOT=$(CURDIR)/build/swagger.png $(GO) test -count=1 -run Browser ./roles/server

.PHONY: clean
clean: ## remove what was built
	rm -rf bin build *.snap
