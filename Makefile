# Everything a developer and CI run. Two commands suffice for users: make run and make test.

GO        ?= go
VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT    ?= $(shell git rev-parse HEAD 2>/dev/null)
# Of the commit, so that the same commit gives the same program.
DATE      ?= $(shell TZ=UTC0 git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd 2>/dev/null)
LDFLAGS   := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT) -X main.date=$(DATE)
LINTER    := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
LINT      := bin/golangci-lint
NFPM      := github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2
VULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
# A copy of the database on this machine is file:///…/data/osv of github.com/golang/vulndb.
VULNDB    ?= https://vuln.go.dev
FUZZTIME  ?= 20s
# What torture may leave out: what mounts file systems needs root. Any other mode
# that cannot run on a machine is an error there.
MAY_SKIP  ?= power,full-disk

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: build ## Build and run the demonstration (config/postrider.yaml)
	bin/postrider serve --config config/postrider.yaml

.PHONY: test
test: ## Run all tests
	$(GO) test -shuffle=on ./...

.PHONY: build
build: ## Build bin/postrider
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/postrider ./cmd/postrider

.PHONY: release
release: bin/nfpm ## Build archives, Debian packages and checksums of this commit into dist/
	VERSION=$(VERSION) COMMIT=$(COMMIT) DATE=$(DATE) LDFLAGS='$(LDFLAGS)' deploy/release

.PHONY: deb
deb: bin/nfpm ## Build the Debian package for this machine into dist/
	VERSION=$(VERSION) COMMIT=$(COMMIT) DATE=$(DATE) LDFLAGS='$(LDFLAGS)' deploy/release linux/$(shell $(GO) env GOHOSTARCH)

.PHONY: docker
docker: ## Build the container image postrider:latest
	@if ! docker info >/dev/null 2>&1; then \
		echo "docker is not installed, or its daemon does not answer: no image is built"; \
	else \
		docker build --build-arg VERSION=$(VERSION) --build-arg COMMIT=$(COMMIT) --build-arg DATE=$(DATE) \
			-t postrider:$(VERSION) -t postrider:latest .; \
	fi

.PHONY: vulncheck
vulncheck: bin/govulncheck ## Look for known vulnerabilities that can be reached (needs vuln.go.dev, or VULNDB=file:///…)
	bin/govulncheck -db $(VULNDB) ./...
	cd cmd/versus && $(CURDIR)/bin/govulncheck -db $(VULNDB) ./...

.PHONY: check
check: tidy-diff lint test race check-versus ## What CI runs: format, tidy, lint, vet, tests, tests with the race detector

.PHONY: race
race: ## Run all tests with the race detector (needs a C compiler)
	$(GO) vet ./...
	CGO_ENABLED=1 $(GO) test -race -shuffle=on ./...

.PHONY: check-versus
check-versus: $(LINT) ## The same for cmd/versus, which is a module of its own
	cd cmd/versus && $(GO) mod tidy -diff && $(CURDIR)/$(LINT) run && $(GO) test -shuffle=on ./...

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME
	@set -e; for package in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			echo "$$package $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x $$package; \
		done; \
	done

.PHONY: generated
generated: ## Send every operation of the API 2,000 generated requests, over the whole program too (a minute)
	$(GO) test -count=1 -run '^TestGeneratedRequests$$' ./http
	$(GO) test -count=1 -v -run '^TestGeneratedRequests$$' ./cmd/postrider -generated 2000

.PHONY: scenario
scenario: build ## Measure the figures of ARCHITECTURE.md, all or NAME=dead (an hour or two at full size)
	$(GO) run ./cmd/scenario $(or $(NAME),all)

.PHONY: torture
torture: build ## Break the program and look for what is lost: a short pass that needs no root (four minutes)
	$(GO) run ./cmd/torture all --pass short --may-skip $(MAY_SKIP)

.PHONY: torture-long
torture-long: build ## The long pass and the controls, noted in var/torture.jsonl; as root also with file systems of its own (two hours)
	@mkdir -p var
	$(GO) run ./cmd/torture all --pass long --may-skip $(MAY_SKIP) --journal var/torture.jsonl

.PHONY: torture-controls
torture-controls: ## Programs that break a promise each, which the harness must find out; as root all (ten minutes)
	@mkdir -p var
	$(GO) run ./cmd/torture controls --may-skip $(MAY_SKIP) --journal var/torture.jsonl

.PHONY: bench
bench: build ## Measure against what this machine allows, in less than three minutes
	cd cmd/versus && $(GO) run . bench --binary ../../bin/postrider

.PHONY: versus
versus: build ## Measure side by side with peers; those whose server is not installed are skipped (a quarter of an hour)
	cd cmd/versus && $(GO) run . --binary ../../bin/postrider

.PHONY: microbench
microbench: ## Run the micro benchmarks of the packages
	$(GO) test -run '^$$' -bench . -benchmem ./...

.PHONY: cover
cover: ## Show the coverage by function
	$(GO) test -coverprofile=coverage.out ./...
	$(GO) tool cover -func=coverage.out

.PHONY: fmt
fmt: $(LINT) ## Format the code
	$(LINT) fmt

.PHONY: lint
lint: $(LINT) ## Check format and style
	$(LINT) fmt --diff
	$(LINT) run

.PHONY: tidy
tidy: ## Tidy go.mod and go.sum
	$(GO) mod tidy

.PHONY: tidy-diff
tidy-diff:
	$(GO) mod tidy -diff

.PHONY: clean
clean: ## Remove what was built (the store in var/ stays)
	rm -rf bin dist coverage.out

$(LINT): Makefile
	GOBIN=$(CURDIR)/bin $(GO) install $(LINTER)
	@touch $@

bin/nfpm: Makefile
	GOBIN=$(CURDIR)/bin $(GO) install $(NFPM)
	@touch $@

bin/govulncheck: Makefile
	GOBIN=$(CURDIR)/bin $(GO) install $(VULNCHECK)
	@touch $@
