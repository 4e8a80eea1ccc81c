# The commands of this repository. `make` lists them.

SHELL     := /bin/sh
HOST      := .build/host
FUNCTIONS := $(notdir $(wildcard functions/*))
BUNDLES   := $(FUNCTIONS:%=dist/%/bootstrap)
FOLDERS   := $(wildcard functions infra pkg testdata)

# The release is in the command, and in the stack's environment, tags and outputs; the functions'
# bundles do not have it, so that a release of the same code is the same bundle.
# A tag may be named like a command of the shell: recipes have it from the environment.
VERSION   ?= $(shell git describe --always --dirty 2>/dev/null || echo dev)
export VERSION

# Functions are built the same way for this machine and for Lambda: without Lambda's old RPC
# mode, and without a stamp, so that two builds of one source are identical.
GOBUILD := CGO_ENABLED=0 go build -tags lambda.norpc -trimpath -buildvcs=false

FUZZTIME  ?= 10s
BENCH     ?= .
COUNT     ?= 1
SCHEDULES ?= 100000
SEEDS     ?= 1000
WORLDS    ?= 2000
EVENTS    ?= 20000
RECORDS   ?= 1000000
TESTFLAGS ?=
ARGS      ?=
STAGE     ?= test

# The newest command of the library's major version: npm's 3.0.0 is deprecated.
CDK := npx --yes aws-cdk@2.1148.1
export CDK_DISABLE_CLI_TELEMETRY := true
# CDK's kernel prints a warning about node 20 on every run.
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 20

.DEFAULT_GOAL := help
.PHONY: help dev host build synth diff bootstrap preview deploy destroy test lint sim mutants lossy orders crash rollback-test figures fuzz conformance bench bench-cold bench-e2e bench-send cost measure console-bench screenshots rename clean needs-node FORCE

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

dev: host ## run the whole system on this machine (ARGS="--listen 127.0.0.1:4242 …")
	@exec $(HOST)/tollgate dev $(ARGS)

host: ## build the tollgate command and the functions for this machine into .build/host
	@mkdir -p $(HOST)
	@[ -x $(HOST)/tollgate ] || echo "building into $(HOST): about a minute the first time" >&2
	@case "$$VERSION" in *[!A-Za-z0-9._+/@-]*) echo "make: VERSION has more than letters, digits and ._+-/@"; exit 2;; esac
	@$(GOBUILD) -ldflags "./pkg/cmd/tollgate=-X main.version=$$VERSION" -o $(HOST)/ ./functions/... ./pkg/cmd/tollgate

build: $(BUNDLES) ## build the Lambda bundles (linux, arm64) into dist/<function>/bootstrap

dist/%/bootstrap: FORCE
	GOOS=linux GOARCH=arm64 $(GOBUILD) -ldflags "-s -w" -o $@ ./functions/$*
	@chmod 755 $@ # whatever the umask is: Lambda runs it as another user

synth: needs-node build ## write the stack's template into cdk.out (STAGE=live: infra/stages/live.json; go run ./infra -h)
	@rm -rf cdk.out
	go run ./infra -o cdk.out -stage $(STAGE) -version "$$VERSION"

diff: needs-node ## compare the stack with the golden templates (ARGS=-update rewrites them)
	@go test -count=1 -run '^TestGolden$$' ./infra/stack $(ARGS)

bootstrap: synth ## prepare the account and its Region for CDK (once)
	$(CDK) bootstrap --app cdk.out $(ARGS)

preview: synth ## show what deploy would change: in the account, or without one in a saved template (TEMPLATE=deployed.json)
	$(CDK) diff --app cdk.out $(TEMPLATE:%=--template %)

deploy: synth ## deploy the stage to the account (STAGE=…; without a terminal ARGS="--require-approval never")
	$(CDK) deploy --app cdk.out $(ARGS)

destroy: synth ## delete the stage's stack, except its table and secrets
	$(CDK) destroy --app cdk.out
	@echo "make: wait 60 s before you deploy this stage again: SQS keeps its queues' names that long (QueueDeletedRecently)"

needs-node:
	@command -v node >/dev/null || { echo "make: install node, which CDK's kernel runs on"; exit 1; }

# infra is tested without the race detector: it starts no goroutine, and compiling CDK for it
# takes longer than all other tests. The system tests run alone: they time out on a busy machine.
RACED = $$(go list ./... | grep -vE '/infra(/|$$)|/pkg/local/e2e$$')

test: ## run all tests, with the race detector if a C compiler is installed (TESTFLAGS="-run …")
	@if command -v "$$(go env CC)" >/dev/null 2>&1; then \
		CGO_ENABLED=1 go test -race -timeout 8m $(TESTFLAGS) $(RACED) && go test -timeout 8m $(TESTFLAGS) ./infra/... && \
		CGO_ENABLED=1 go test -race -timeout 12m $(TESTFLAGS) ./pkg/local/e2e; \
	else \
		echo "make test: no C compiler ($$(go env CC)): testing without the race detector"; \
		go test -timeout 8m $(TESTFLAGS) ./...; \
	fi

lint: ## check format, go vet and staticcheck
	@bad=$$(gofmt -l $(FOLDERS)); if [ -n "$$bad" ]; then echo "lint: run gofmt -w on:"; echo "$$bad"; exit 1; fi
	go vet ./...
	go vet -tags failpoints ./pkg/failpoint ./pkg/run/... ./functions/... ./pkg/local/... ./pkg/cmd/...
	go tool staticcheck ./...

# The fuzzer fails if its time ends during a slow input. Without a failing input this is not
# a finding.
TIMEISUP = { grep -q '^ *context deadline exceeded$$' .build/fuzz.log && ! grep -q 'Failing input' .build/fuzz.log; }

# make test detects races; here the number of schedules counts.
sim: ## run the real code in seeded simulations with faults (SCHEDULES=100000), event scenarios (SEEDS=1000), and the sender (WORLDS=2000)
	go test -count=1 -timeout 24h -v -run '^TestSchedules$$' ./pkg/simulation -schedules $(SCHEDULES) -counts
	go test -count=1 -timeout 2h -v -run '^TestScenes$$' ./pkg/simulation/scenes -seeds $(SEEDS)
	go test -count=1 -timeout 2h -v -run '^TestWorlds$$' ./pkg/simulation/sending -worlds $(WORLDS)

mutants: ## show that the simulation finds seeded bugs, and how soon
	go test -count=1 -timeout 2h -v -run '^TestMutants$$' ./pkg/simulation -mutants

lossy: ## run the real consumer through proxies that lose, repeat and delay requests, with paused workers: minutes (EVENTS=20000)
	go test -count=1 -timeout 60m -v -run '^TestLossy$$' ./pkg/simulation/lossy -events $(EVENTS) -workers 24

orders: ## apply every order of real event sequences, with a fault at each step: minutes
	go test -count=1 -timeout 60m -v ./pkg/simulation/ordering -all

crash: ## kill and pause real processes at every failpoint, under load: 30 minutes (ARGS="-point claim -repeats 5", ARGS=-mutants)
	go test -count=1 -tags failpoints ./pkg/failpoint
	go test -count=1 -v -timeout 60m ./pkg/local/crash -all $(ARGS)

rollback-test: ## run the functions of an earlier commit on queue and table of this one, and back: four minutes (FROM=v1.2.0)
	@[ -n "$(FROM)" ] || { echo "make rollback-test: set FROM to the commit or tag of the deployed release"; exit 2; }
	TOLLGATE_ROLLBACK_FROM="$(FROM)" go test -count=1 -timeout 30m -v -run '^(TestRollback|TestPauseAcrossReleases)$$' ./pkg/local/e2e

# Each run prints a line "figure: command | figures"; a command that the log lacks keeps its row.
figures: ## write the figures of runs into pkg/simulation/README.md (make sim … 2>&1 | tee .build/figures.log)
	@awk -F ' *[|] *' 'NR == FNR { if (sub(/.*figure: /, "")) new[$$1] = $$0; next } \
		/^<!-- end of figures/ { for (k in new) print "| `" k "` | " substr(new[k], index(new[k], "|") + 2) " |"; inside = 0 } \
		/^<!-- figures/ { inside = 1 } \
		inside && /^[|] `/ { k = $$2; gsub(/`/, "", k); if (k in new) { print "| `" k "` | " substr(new[k], index(new[k], "|") + 2) " |"; delete new[k]; next } } \
		{ print }' .build/figures.log pkg/simulation/README.md >.build/figures.md
	@cp .build/figures.md pkg/simulation/README.md

fuzz: ## fuzz each target for FUZZTIME (10s, 1m, 5000x)
	@mkdir -p .build
	@grep -rHo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' $(FOLDERS) | sort | while IFS=: read -r file target; do \
		target=$${target#func }; echo "fuzz: $$target in $$(dirname $$file)"; \
		go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "./$$(dirname $$file)" >.build/fuzz.log 2>&1; failed=$$?; \
		cat .build/fuzz.log; [ $$failed = 0 ] || $(TIMEISUP) || exit 1; \
	done

conformance: ## install independent SQS and DynamoDB implementations and compare with ours
	@sh pkg/local/aws/conformance/install-oracles.sh || echo "make conformance: missing implementations are skipped"
	go test -count=1 -v ./pkg/local/aws/conformance

bench: ## time each step of an event next to its floor, at 1 to 250 KB (BENCH=Parse COUNT=6)
	go test -run '^$$' -bench 'BenchmarkStep/$(BENCH)' -count $(COUNT) ./pkg/bench

# The programs of the measurements are built as the functions are.
measure: host
	@$(GOBUILD) -o $(HOST)/ ./pkg/bench/hello ./pkg/bench/measure ./pkg/local/e2e/trialconsumer

bench-cold: measure ## time the functions' start next to a function that does nothing (ARGS="-starts 1000")
	$(HOST)/measure cold -results .build/results.jsonl $(ARGS)

bench-e2e: measure ## load tollgate dev and its floors: two minutes (ARGS="-growth 1000000 -soak 10m -document infra/COST.md")
	$(HOST)/measure e2e -results .build/results.jsonl $(ARGS)

bench-send: measure ## load healthy destinations with and without broken ones: three minutes (ARGS="-rate 20 -for 2m")
	$(HOST)/measure send -results .build/results.jsonl $(ARGS)

cost: ## count what AWS bills for an event, price it, and print the capacity (ARGS="-document infra/COST.md")
	@go test -count=1 -v -run '^Test(Cost|Capacity)$$' ./pkg/bench $(ARGS)

console-bench: ## time the console's pages and scan steps with a full table, and its script at 200 events/s: six minutes (RECORDS=1000000)
	go test -count=1 -timeout 60m -v -run '^TestConsoleBench$$' ./pkg/local/e2e -records $(RECORDS)

screenshots: ## make pictures of the console's pages at two widths, light and dark, in .build/screenshots
	go test -count=1 -timeout 20m -v -run '^TestScreenshots$$' ./pkg/local/e2e -screenshots "$(CURDIR)/.build/screenshots"

# The path is replaced before a top folder, not inside a longer path.
rename: ## give the module your own path (MODULE=github.com/acme/payments)
	@[ -n "$(MODULE)" ] || { echo "make rename: set MODULE=github.com/acme/payments"; exit 2; }
	@old=$$(go list -m | sed 's/[.]/[.]/g'); go mod edit -module "$(MODULE)"; \
	grep -rlE "(^|[^A-Za-z0-9_./-])$$old/(functions|infra|pkg|testdata)" --exclude-dir=.git --exclude-dir=.build --exclude-dir=dist --exclude-dir=cdk.out . | while read -r file; do \
		sed -E "s#(^|[^A-Za-z0-9_./-])$$old/(functions|infra|pkg|testdata)#\1$(MODULE)/\2#g" "$$file" >"$$file.renamed" && cat "$$file.renamed" >"$$file" && rm "$$file.renamed"; \
	done
	@gofmt -w $(FOLDERS)

clean: ## remove what was built
	rm -rf .build dist cdk.out
