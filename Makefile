# What people type; `make help` lists it. CI calls the same targets.

VERSION    ?= 0.4
ACCOUNT_ID ?= $(shell sed -n 's/^var AccountID = "\(.*\)"$$/\1/p' roles/network/network.go)
GO         ?= go
COMMIT     ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)

LDFLAGS := -s -w -X aspects-poc/roles.Version=$(VERSION) -X aspects-poc/roles.Commit=$(COMMIT) -X aspects-poc/roles/network.AccountID=$(ACCOUNT_ID)
# urfave/cli brings a Markdown parser along for documentation that the program does not write.
BUILD   := CGO_ENABLED=0 $(GO) build -trimpath -tags urfave_cli_no_docs,nethttpomithttp2 -ldflags '$(LDFLAGS)'
BINARY  := bin/aspects-poc

# The roles are the sections of the recipe.
ROLES  := $(shell sed -n '/^roles:/,$$s/^  \([a-z][a-z-]*\):$$/\1/p' snap/snapcraft.yaml)
MKSNAP := $(GO) run ./packaging/mksnap
STAMPS  = -version $(VERSION) -account $(ACCOUNT_ID) -commit $(COMMIT) $(if $(ARCH),-arch $(ARCH))
SUDO   := $(if $(filter-out 0,$(shell id -u)),sudo)

# Go keeps what it builds and fetches below HOME. Some users, such as services, have none, or one that is not theirs.
ifneq ($(shell [ -d "$$HOME" ] && [ -w "$$HOME" ] && echo yes),yes)
export HOME := $(shell home=$$(getent passwd "$$(id -u)" | cut -d: -f6); [ -d "$$home" ] && [ -w "$$home" ] && echo "$$home" || echo "$(CURDIR)/build/home")
endif

.DEFAULT_GOAL := all

.PHONY: all
all: ## the four snaps, for this machine or ARCH=amd64|arm64|armhf|ppc64el|riscv64|s390x
	@$(MKSNAP) pack $(STAMPS) all

# ROLE: ## the snap of one role: server, control, vpn, reporting
.PHONY: $(ROLES)
$(ROLES):
	@$(MKSNAP) pack $(STAMPS) $@

# install-ROLE: ## install the snap of one role on this machine, packed first if it is not there
.PHONY: $(ROLES:%=install-%)
$(ROLES:%=install-%): install-%:
	@file=$$($(MKSNAP) file $(STAMPS) $*) && { [ -f "$$file" ] || $(MAKE) --no-print-directory $*; } && \
		echo "Installing $* snap..." && $(SUDO) snap install --dangerous "./$$file"

.PHONY: install-all
install-all: $(ROLES:%=install-%) ## install the four snaps, as install-ROLE does

# snapcraft-ROLE: ## the snap of one role built by snapcraft, in build/snapcraft/ROLE
.PHONY: $(ROLES:%=snapcraft-%)
$(ROLES:%=snapcraft-%): snapcraft-%:
	@echo "Rendering build/snapcraft/$*..."
	@$(MKSNAP) project $(STAMPS) $* build/snapcraft/$*
	@command -v snapcraft >/dev/null || { echo "snapcraft is not installed: snap install snapcraft --classic" >&2; exit 1; }
	@file=$$($(MKSNAP) file $(STAMPS) $*) && arch=$${file##*_} && cd build/snapcraft/$* && \
		snapcraft pack --platform "$${arch%.snap}"

# compare-ROLE: ## tell where meta/ of snapcraft's snap differs from that of ours
.PHONY: $(ROLES:%=compare-%)
$(ROLES:%=compare-%): compare-%:
	@file=$$($(MKSNAP) file $(STAMPS) $*) && $(MKSNAP) compare "build/snapcraft/$*/$$file" "$$file"

.PHONY: $(ROLES:%=clean-%)
$(ROLES:%=clean-%): clean-%:
	@echo "Cleaning $* snap..."
	@rm -rf aspects-poc-$*_*.snap build/snapcraft/$*

.PHONY: clean-all
clean-all: $(ROLES:%=clean-%) clean ## remove the snaps and all else that was built

# KEY: a name of `snap keys`. DIALECT, REVISION, NO_ALIASES=1: as aspects-poc registry assertion --help has them.
DIALECT ?= confdb-schema
.PHONY: assertion
assertion: build ## sign the confdb-schema: KEY=NAME ACCOUNT_ID=ID; docs/devkit/publish.md tells how
	@.ci/sign-assertion $(BINARY) "$(KEY)" build/network.$(DIALECT).assert --account-id "$(ACCOUNT_ID)" \
		--dialect "$(DIALECT)" $(if $(REVISION),--revision "$(REVISION)") $(if $(NO_ALIASES),--no-aliases)

.PHONY: help
help: ## list what can be made
	@sed -n 's/^\(# \)\{0,1\}\([A-Za-z][A-Za-z0-9-]*\):.*## /\2\t/p' Makefile | awk -F'\t' '{ printf "  make %-15s %s\n", $$1, $$2 }'

.PHONY: build
build: ## the binary, bin/aspects-poc, and a link to it for each role
	@mkdir -p bin
	$(BUILD) -o $(BINARY) .
	@for role in $(ROLES); do ln -sf aspects-poc bin/aspects-poc-$$role; done

.PHONY: dist
dist: ## archives for amd64, arm64, armhf and riscv64, an OCI image, and their checksums, in dist/
	@$(GO) run ./packaging/mkdist -version $(VERSION) -account $(ACCOUNT_ID) -commit $(COMMIT) -output dist

.PHONY: demo
demo: build ## all four roles on this machine, until interrupted; ARGS=--once for one pass
	@$(BINARY) demo $(ARGS)

# ARGS: flags of go test and packages, ./... where it is not given.
.PHONY: test
test: ## every test, with the race detector where there is a C compiler; no root, no snapd; ARGS=... for a part of it
	@$(GO) run ./internal/testrun $(ARGS)

# LOADED: flags with which the linters load the packages, such as -race; what the tests have compiled, or will, is then shared.
.PHONY: check
check: ## vet, linters, formatting, modules, workflows, scripts, generated files
	$(GO) vet $(LOADED) ./...
	staticcheck=$$($(GO) tool -n staticcheck) && GOFLAGS="$$GOFLAGS $(LOADED)" "$$staticcheck" ./...
	errcheck=$$($(GO) tool -n errcheck) && GOFLAGS="$$GOFLAGS $(LOADED)" "$$errcheck" -exclude .ci/errcheck-exclude.txt -ignoretests ./...
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$unformatted" ] || { echo "not formatted: $$unformatted" >&2; exit 1; }
	$(GO) mod tidy -diff
	$(GO) tool actionlint -shellcheck= -pyflakes=
	.ci/shellcheck
	GOFLAGS="$$GOFLAGS $(LOADED)" .ci/generated

.PHONY: vulnerabilities
vulnerabilities: ## known vulnerabilities in what the program calls; needs the network
	GOFLAGS="$$GOFLAGS $(LOADED)" .ci/vulnerabilities

.PHONY: bench
bench: ## benchmarks, each beside its floor or peer in the same run
	$(GO) test -run '^$$' -bench . -benchmem -timeout 1h ./...

# DEVICES: how many, 100,000 where it is not given.
.PHONY: bench-fleet
bench-fleet: ## a simulated fleet's days, good and bad, on this machine; DEVICES=... for another number than 100,000
	ASPECTS_BENCH_DEVICES="$(DEVICES)" $(GO) test -run '^$$' -bench Fleet -benchtime 1x -timeout 1h ./roles/fleetsim ./roles/server/api

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (default 30s)
	.ci/fuzz $(or $(FUZZTIME),30s)

# SOAK: for how long; STORE: sqlite, postgres or both; SEED; PAGE=1 watches the page in a browser, too.
.PHONY: soak
soak: build ## random days of a fleet as processes, what is shown compared with what is so; SOAK=10m STORE=both SEED=... PAGE=1
	ASPECTS_SOAK="$(or $(SOAK),10m)" ASPECTS_STORE="$(STORE)" ASPECTS_BROWSER="$(PAGE)" ASPECTS_PROGRAM="$(CURDIR)/$(BINARY)" \
		$(GO) test -count=1 -timeout 0 -parallel 8 -v -run 'TestSoak$$' ./roles/fleetsim/oracle -seed $(or $(SEED),0)

.PHONY: e2e-database
e2e-database: ## the database fails over: a primary that stops, crashes or goes silent, and a standby that is away; needs PostgreSQL
	ASPECTS_E2E_DATABASE=1 ASPECTS_REQUIRE_POSTGRES=1 $(GO) test -count=1 -v -run 'TestFailover|TestStandbyAway' ./roles/server/fleet/postgres

.PHONY: soak-mutants
soak-mutants: ## faults put into the server on purpose, each of which the comparison has to find
	ASPECTS_MUTANTS=1 $(GO) test -count=1 -timeout 0 -v -run 'TestMutants$$' ./roles/fleetsim/oracle ./roles/serverapi/signed

.PHONY: docs
docs: build ## write again what is generated: the API description and docs/CLI.md
	$(GO) generate ./...
	.ci/cli-docs $(BINARY) > docs/CLI.md

.PHONY: screenshot
screenshot: ## the pictures in docs/images/, and in build/ others of the page and the Swagger UI; needs Chromium
	@mkdir -p build docs/images
	ASPECTS_REQUIRE_BROWSER=1 ASPECTS_SCREENSHOT=$(CURDIR)/build/swagger.png $(GO) test -count=1 -run Browser ./roles/server/api
	ASPECTS_REQUIRE_BROWSER=1 ASPECTS_SCREENSHOTS=$(CURDIR)/build ASPECTS_FLEET_PICTURE=$(CURDIR)/docs/images/fleet.png \
		$(GO) test -count=1 -run TestPageOfAFleet ./roles/server
	@$(MAKE) --no-print-directory build
	.ci/terminal-picture $(BINARY) docs/images/terminal.svg

# STAGES: some of contract,commands,transcripts,hooks,store,install,readme,refusals,lifecycle,faults,power,remove. E2E_KEEP=1 leaves the machine
# running, and takes the one that runs; E2E_HOST=1 takes this very machine, and spoils it. e2e/README.md has more.
E2E_ARCH := $(if $(E2E_HOST),$(shell $(GO) env GOARCH),amd64)
.PHONY: e2e
e2e: ## the README on a real snapd, in an emulated machine; STAGES=... for a part of it
	@rm -f aspects-poc-*_$(E2E_ARCH).snap
	@$(MAKE) --no-print-directory all ARCH=$(E2E_ARCH)
	E2E_STAGES="$(STAGES)" $(GO) test -tags e2e -count=1 -timeout 2h -v -run TestE2E ./e2e

.PHONY: e2e-image
e2e-image: ## build the emulated machine, once, as root; make e2e does it too where it is missing
	e2e/vm.sh image

.PHONY: clean
clean: ## remove what was built
	rm -rf bin build dist *.snap
