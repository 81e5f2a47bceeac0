# mesh. `make help` lists the targets. Needs Go, git and make; everything else is fetched by Go or by the target itself.
SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
GO          ?= go
BIN         := bin/mesh
VERSION     ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS     := -s -w -X main.version=$(VERSION)
BUILD       := CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)'
NODES       ?= 4
FUZZTIME    ?= 10s
LINT        := $(GO) tool -modfile=tools/go.mod golangci-lint

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: up
up: build ## a whole subnet on this machine: chain, bootnode, 4 nodes, a live table; Ctrl-C stops all of it
	@exec ./$(BIN) up --nodes $(NODES)

.PHONY: test
test: ## every test; needs nothing but Go
	$(GO) test $(TESTFLAGS) ./...

.PHONY: build
build: ## bin/mesh, static, and the original's command names beside it
	@mkdir -p bin
	$(BUILD) -o $(BIN) ./cmd/mesh
	@for n in mesh-dht mesh-server-mock keygen keyview generate-key register-subnet activate-subnet register-node activate-node; do ln -sf mesh bin/$$n; done

.PHONY: cross
cross: ## dist/: Linux, macOS and Windows on amd64 and arm64
	@mkdir -p dist
	for os in linux darwin windows; do for arch in amd64 arm64; do \
	  ext=; [ $$os = windows ] && ext=.exe; echo "dist/mesh-$$os-$$arch$$ext"; \
	  GOOS=$$os GOARCH=$$arch $(BUILD) -o dist/mesh-$$os-$$arch$$ext ./cmd/mesh; done; done

.PHONY: race
race: ## every test under the race detector (needs cgo)
	CGO_ENABLED=1 $(GO) test -race $(TESTFLAGS) ./...

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (10s)
	@$(GO) list -f '{{.Dir}} {{.ImportPath}}' ./... | while read -r dir pkg; do \
	  for f in $$(grep -hoE '^func Fuzz[A-Za-z0-9_]*' "$$dir"/*_test.go 2>/dev/null | cut -d' ' -f2 | sort -u); do \
	    echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) "$$pkg"; done; done

.PHONY: sim
sim: build ## the DHT under attack: 10,000 simulated nodes, 20 % forging, 30 % of the rest dead
	./$(BIN) sim dht --nodes 10000 --lookups 2000 --forging 0.2 --dead 0.3 --paths 8 --replicas 8 --seed 1

.PHONY: bench
bench: build ## every Go benchmark, a swarm of 16 hosts, then bench-compare; results in bench/results
	@mkdir -p bench/results
	$(GO) test -run '^$$' -bench . -benchmem ./... | tee bench/results/$$(date +%Y-%m-%d).txt
	./$(BIN) bench dht | tee -a bench/results/$$(date +%Y-%m-%d).txt
	@$(MAKE) --no-print-directory bench-compare

.PHONY: bench-compare
bench-compare: build ## ours beside go-libp2p-kad-dht, hivemind, polkadot.js and bare libp2p: a table with ratios in bench/results
	cd bench && $(GO) run ./cmd/table --mesh ../$(BIN) $(COMPAREFLAGS)

.PHONY: lint
lint: ## go vet and golangci-lint, pinned in tools/go.mod
	$(GO) vet ./...
	$(LINT) run ./...

.PHONY: proto
proto: ## regenerate internal/pb (needs protoc; the result is committed)
	@cd internal/pb && protoc --proto_path=. --go_out=. --go_opt=paths=source_relative */*.proto

.PHONY: interop
interop: interop-substrate interop-python interop-chopsticks interop-nat ## clients, peers, a runtime and routers that we did not write

.PHONY: interop-substrate
interop-substrate: build ## @polkadot/api and substrate-interface against the embedded chain (needs node, npm, python3)
	bash interop/substrate/run.sh $(BIN)

.PHONY: interop-python
interop-python: build ## swarms of Go nodes and real hivemind nodes, and the Python mesh's with MESH_PYTHON_MESH=checkout (needs python3; downloads hivemind, torch)
	bash interop/python/run.sh

.PHONY: interop-chopsticks
interop-chopsticks: ## our client against the real runtime in the raw chain specification MESH_CHAIN_SPEC (needs node, npm)
	@if [ -n "$$MESH_CHAIN_SPEC" ]; then bash interop/chopsticks/run.sh; else echo "skipped: MESH_CHAIN_SPEC names no raw chain specification"; fi

.PHONY: interop-nat
interop-nat: build ## nodes behind NAT routers: relay, hole punching (Linux; needs root, ip, nft; makes network namespaces)
	bash interop/nat/run.sh $(BIN)

.PHONY: check
check: lint test ## what must pass before a commit

.PHONY: ci
ci: ## what the build server runs
	bash .ci/run

.PHONY: clean
clean: ## remove what the other targets made
	rm -rf bin dist
