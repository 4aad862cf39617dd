# make build    ./bin/sqlite-checkpoint, one static binary
# make demo     takes a database that is being written to through restic and back
# make help     these lines
# make quick    format, vet, and the tests that need neither root nor anything installed: about a minute
# make check    format, vet, staticcheck, shellcheck, and what builds without cgo
# make test     check, then every test; installs what the tests need, and skips none
# make bench    compares it with the same steps by hand; BENCH='-size 8GB -pairs 3' are its flags
# make fuzz     the fuzz targets, with a bounded number of inputs each
# make faults   only the fault sweeps of make test: prints their table, integration/faults/FAULTS.md
# make soak     200 backups of each kind beside writers and an application that is killed now and then
# make dist     builds what is released, in bin/dist: static binaries, packages, an image, checksums
# make test-dist  installs, uses and removes each of them
# make mutants  breaks the program on purpose, in one place at a time: the named test must fail

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c

# go uses all cores itself, and only one apt can run at a time.
.NOTPARALLEL:

# Every go command below, and every one that a test starts, has the same flags: SQLite compiles for minutes, and again for
# each new set of them. Without cgo there would be a program, but no SQLite in it. The version is git describe's.
TAGS := sqlite_fts5,sqlite_math_functions,sqlite_dbstat,sqlite_omit_load_extension,netgo,osusergo
ours := -trimpath -buildvcs=false -tags=$(TAGS)
export GOFLAGS := $(filter-out -trimpath -buildvcs=% -tags=%,$(shell go env GOFLAGS)) $(ours)
export CGO_ENABLED := 1

VERSION     := $(shell git --git-dir=.git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS     := -s -w -X main.version=$(VERSION) -linkmode external -extldflags "-static -Wl,--build-id=none"
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
PORTABLE    := ./stream ./engine/atomicfile
UNIX        := ./engine/internal/...
FUZZ        := 200000x
# Many tests wait: for a timeout, a signal, another process.
OVERLAP     := -parallel 6

.PHONY: build help quick demo check test programs bench fuzz faults soak mutants flags dist test-dist clean format

build:
	go build -ldflags '$(LDFLAGS)' -o bin/sqlite-checkpoint ./cmd/sqlite-checkpoint

# A current restic: Debian's is older than --stdin-from-command.
bin/restic: integration/tools/go.mod integration/tools/go.sum
	CGO_ENABLED=0 go -C integration/tools build -ldflags '-s -w' -o ../../$@ github.com/restic/restic/cmd/restic

bin/gotestsum: integration/tools/go.mod integration/tools/go.sum
	CGO_ENABLED=0 go -C integration/tools build -ldflags '-s -w' -o ../../$@ gotest.tools/gotestsum

help:
	@sed -n '/^# make/s/^# //p' Makefile

# Tests of programs that are missing here are skipped. -short leaves out long repetitions.
quick: format
	go vet ./...
	go test -short -p 4 -parallel 12 ./engine/... ./cmd/... ./stream/... ./integration ./integration/mutants

demo: build
	integration/install.sh restic sqlite3
	integration/demo.sh

format:
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "gofmt -w these:"; echo "$$unformatted"; exit 1; }

check: format
	integration/install.sh shellcheck
	shellcheck .ci/run $(wildcard integration/*.sh integration/*/*.sh)
	go vet ./...
	go -C integration/tools vet ./...
	go run $(STATICCHECK) ./...
	CGO_ENABLED=0 go test ./stream ./engine/internal/sqlitefile
	for os in windows darwin freebsd; do GOOS=$$os CGO_ENABLED=0 go vet $(PORTABLE); done
	for os in darwin freebsd; do GOOS=$$os CGO_ENABLED=0 go vet $(UNIX); done
	mkdir -p bin; cp go.sum bin/portable.sum
	sed '$$a replace github.com/mattn/go-sqlite3 => ./integration/dist/driver' go.mod >bin/portable.mod
	for os in darwin freebsd; do \
		GOOS=$$os CGO_ENABLED=0 go build -modfile=bin/portable.mod -o /dev/null ./cmd/sqlite-checkpoint; done

# The second command runs even if the first fails; -count=1 because its outcome also depends on other programs.
# Without GORACE, each program that a test runs with the race detector would sleep for a second at its end.
define every_test
failed=0
export GORACE=atexit_sleep_ms=20
go test -json -race -timeout 30m $(OVERLAP) ./cmd/... ./engine/... ./stream/... || failed=1
go test -json -count=1 -timeout 60m ./integration/... || failed=1
exit $$failed
endef
export every_test

# A package that does not build, or panics, fails without a failed test. A skipped test counts as a failure here.
totals := /"Action":"pass".*"Test":/ { passed++ } /"Action":"skip".*"Test":/ { skipped++ } \
	/"Action":"fail"/ { if (/"Test":/) failed++; else broken++ } END { if (!failed) failed = broken; \
	printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped; exit !passed || failed || skipped }

test: programs check build bin/restic bin/gotestsum
	@status=0; \
	bin/gotestsum --format pkgname --jsonfile bin/tests.json --raw-command -- bash -c "$$every_test" || status=1; \
	awk '$(totals)' bin/tests.json || status=1; \
	exit $$status

programs:
	integration/install.sh

bench: build bin/restic
	integration/install.sh sqlite3 zstd
	go run ./integration/bench $(BENCH)

fuzz:
	go test -run '^$$' -fuzz '^FuzzReader$$' -fuzztime $(FUZZ) -fuzzminimizetime 10x ./stream
	go test -run '^$$' -fuzz '^FuzzWAL$$' -fuzztime $(FUZZ) -fuzzminimizetime 10x ./engine/internal/sqlitefile
	go test -run '^$$' -fuzz '^FuzzDatabase$$' -fuzztime 20000x -fuzzminimizetime 10x ./engine

faults: programs build bin/restic
	go test -count=1 -timeout 60m -run '^Test(Faults|SetAside|ErrorsAtEvery|SizeLimit|KilledAtEvery|Hostile)' ./integration/faults
	cp bin/faults.md integration/faults/FAULTS.md
	@cat bin/faults.md

soak: programs build
	SOAK=200 go test -count=1 -v -timeout 60m -run '^TestSoak' ./integration/faults

mutants: programs bin/restic
	go run ./integration/mutants -run '$(MUTANTS)'

# Sets what every go command needs: eval "$(make -s flags)".
flags:
	@echo "export GOFLAGS='$(GOFLAGS)' CGO_ENABLED=1"

dist:
	integration/install.sh aarch64-linux-gnu-gcc
	VERSION='$(VERSION)' LDFLAGS='$(LDFLAGS)' integration/dist/dist.sh

test-dist: dist
	integration/install.sh faketime
	VERSION='$(VERSION)' integration/dist/check.sh

clean:
	rm -rf bin
