# AtlasKV. `make help` says what there is; `make run` and `make test` need only Rust and make.

CARGO   ?= cargo
DESTDIR ?=
PREFIX  ?= /usr/local
SYSCONFDIR ?= /etc
INSTALL ?= install

BINARIES := atlaskvd atlaskv-ctl atlaskv-verify atlaskv-compact-offline atlaskv-bench
RELEASE  := target/release

# No directory of this machine stands in the release binaries, so that they are the same from any.
export CARGO_HOME  ?= $(HOME)/.cargo
export RUSTUP_HOME ?= $(HOME)/.rustup
REMAP := --remap-path-prefix=$(CURDIR)=/usr/src/atlaskv --remap-path-prefix=$(CARGO_HOME)=/usr/share/cargo

.PHONY: help build run demo test test-system lint audit bench bench-peers bench-check soak soak-powercut every-bit much-data interleavings guards mutants broken-builds fuzz install stage clean

help:
	@echo 'AtlasKV: a durable, ordered key-value store.'
	@echo
	@echo '  make run          build and run the daemon here: 127.0.0.1:7390, data in ./atlaskv-data'
	@echo '  make demo         a whole story on real data, with a kill -9 in the middle; ends by itself'
	@echo '  make test         all tests that need no root'
	@echo '  make lint         formatting, clippy and documentation, warnings are errors'
	@echo '  make bench        beside fjall, and beside Redis if it is installed: small, some minutes'
	@echo '  make bench-peers  beside RocksDB, fjall and Redis in full: hours (installs what it needs; ARGS=...)'
	@echo '  make soak         the randomized suites with large budgets (hours; SEED=n repeats one)'
	@echo '  make interleavings  the engine under a scheduler that tries orders of its threads'
	@echo '  make guards       takes away each sync, check and lock of the engine: which test notices (ONLY=wal/, ALL=1)'
	@echo '  make mutants      the mutants of cargo-mutants in log, manifest, recovery, compaction (ONLY=wal/, ALL=1)'
	@echo '  make broken-builds  builds the daemon with a stale read, then with a lost update: its histories are found out'
	@echo '  make soak-powercut  450 power cuts on ext4, XFS and Btrfs (root; IMAGES for each of nine)'
	@echo '  make every-bit    every bit, length, sector and pair of files of a small store damaged (minutes)'
	@echo '  make much-data    verifies MIB=4096 of tables in bounded memory (minutes)'
	@echo '  make fuzz         every fuzz target for SECONDS=60 (TARGETS="table manifest" chooses; installs cargo-fuzz)'
	@echo '  make build        the release binaries, in $(RELEASE)'
	@echo '  make install      all that the packages carry, under DESTDIR, PREFIX'
	@echo '  make deb          the Debian package, in target/packages'
	@echo '  make rpm          the RPM package, in target/packages'
	@echo '  make apt-repo     a signed apt repository of target/packages'
	@echo '  make lint-packages  lintian, rpmlint, the units, the manual, the oldest glibc'
	@echo '  make manual       man pages and completions anew, from --help'
	@echo '  make audit        dependencies against advisories and licences (needs cargo-deny)'
	@echo '  make test-system  the packages, proven in booted systems (root on Debian; elsewhere it skips)'

build:
	RUSTFLAGS='$(REMAP)' $(CARGO) build --release --locked

run: build
	@echo
	@echo 'Talk to it from another terminal:'
	@echo '  $(RELEASE)/atlaskv-ctl put greeting hello'
	@echo '  $(RELEASE)/atlaskv-ctl get greeting'
	@echo
	@exec $(RELEASE)/atlaskvd

demo: build
	@tests/demo.sh $(RELEASE)

# The binaries are built before the tests that run them.
test:
	$(CARGO) test --locked

# Builds the packages and proves them in booted systems; skips, saying why, where no system can be booted.
test-system:
	@tests/system/run

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --no-deps --document-private-items
	tests/broken-builds --list >/dev/null

audit:
	@$(CARGO) deny --version >/dev/null 2>&1 || \
	    { echo 'make audit needs cargo-deny: cargo install --locked cargo-deny' >&2; exit 1; }
	$(CARGO) deny check

# The comparison is a crate of its own: benches/peers. DIR is on the disk to be measured.
PEERS := $(CARGO) run --release --locked --manifest-path benches/peers/Cargo.toml --target-dir target/peers
PEERS_ARGS = --dir $(or $(DIR),target/peers-data) --binaries $(RELEASE)

bench: build
	$(PEERS) -- run --size small $(PEERS_ARGS) $(ARGS)

bench-peers: build
	@packaging/need g++ libclang-dev redis-server gnuplot-nox
	$(PEERS) --features rocksdb -- run --size full $(PEERS_ARGS) --save target/performance.json --plot docs $(ARGS)

# Whether all of the comparison works, with what is built and installed; its figures say nothing.
bench-check: build
	$(CARGO) test --locked --manifest-path benches/peers/Cargo.toml --target-dir target/peers
	$(PEERS) -- check $(PEERS_ARGS)

# Large budgets of what `make test` runs small: RUNS in percent of it. Without SEED each run takes a new
# one and prints it.
soak: every-bit much-data
	$(if $(SEED),ATLASKV_TEST_SEED=$(SEED)) ATLASKV_TEST_RUNS=$(or $(RUNS),5000) \
	    ATLASKV_KILL_ROUNDS=$(or $(KILLS),3334) ATLASKV_HISTORIES=$(or $(HISTORIES),2000) \
	    $(CARGO) test --locked --release -- --nocapture

# The engine's threads under a scheduler that tries interleavings: SCHEDULES in percent of the usual.
interleavings:
	$(if $(SEED),ATLASKV_TEST_SEED=$(SEED)) ATLASKV_TEST_RUNS=$(or $(SCHEDULES),100) \
	    RUSTFLAGS='--cfg atlaskv_shuttle' CARGO_TARGET_DIR=target/interleavings \
	    $(CARGO) test --locked --test engine interleavings -- --nocapture

# Which test notices that a guard is away; in a copy, under target/guards.
guards:
	@tests/guards $(if $(ONLY),--only '$(ONLY)') $(if $(ALL),--all)

# The mutants of cargo-mutants in log, manifest, recovery and compaction; in a copy, under target/mutants.
mutants:
	@tests/mutants $(if $(ONLY),--only '$(ONLY)') $(if $(ALL),--all)

# Whether real builds that are broken are caught, and the sound one is not; in a copy, under target/broken-builds.
broken-builds:
	@tests/broken-builds $(if $(HISTORIES),--histories $(HISTORIES))

# Nothing left out of what `make test` samples; prints how many damaged copies came to which outcome.
every-bit:
	$(CARGO) test --locked --release --test engine every_bit -- --ignored --nocapture

# Verifies MIB (4096) of tables under a limit on memory that one of them would not fit.
much-data:
	$(if $(MIB),ATLASKV_TEST_MIB=$(MIB)) $(CARGO) test --locked --test offline_tools much_data -- --ignored

# What `cargo test --test corpus` looks for with a small budget, for as long as wanted.
fuzz:
	@fuzz/run $(or $(SECONDS),60) $(TARGETS)

install: build stage

# Needs root: crash images of real file systems, by the hundred.
soak-powercut: build
	ATLASKV_POWERCUT_IMAGES=$(or $(IMAGES),50) $(if $(SEED),ATLASKV_TEST_SEED=$(SEED)) \
	    tests/system/run --no-build powercut

include packaging/packages.mk

clean:
	$(CARGO) clean
