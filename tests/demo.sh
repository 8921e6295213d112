#!/usr/bin/env bash
# `make demo`: a whole story on real data, that ends by itself. Every package installed on this machine goes
# into a store over TCP, is read back, scanned, overwritten and deleted in part; the daemon is killed with
# SIGKILL in the middle of writing and restarted; everything acknowledged must be there.
#
#   tests/demo.sh DIRECTORY-OF-BINARIES
set -euo pipefail
export LC_ALL=C

bin=$(cd "${1:?usage: tests/demo.sh DIRECTORY-OF-BINARIES}" && pwd)
home=$(mktemp -d "${TMPDIR:-/tmp}/atlaskv-demo.XXXXXX")
daemon=
unset ATLASKV_ADDR ATLASKV_SOCKET

say() { printf '\n-- %s\n' "$*"; }
fail() { printf 'make demo: %s\n' "$*" >&2; exit 1; }
cleanup() {
    if [ -n "$daemon" ]; then kill -KILL "$daemon" 2>/dev/null || true; fi
    rm -rf "$home"
}
trap cleanup EXIT

# Starts the daemon on a free port and waits for its ready line.
start() {
    "$bin/atlaskvd" --data-dir "$home/data" --listen 127.0.0.1:0 \
        --admin-socket "$home/admin.sock" 2>"$home/daemon.log" &
    daemon=$!
    for _ in $(seq 600); do
        grep -q ' ready on ' "$home/daemon.log" && break
        kill -0 "$daemon" 2>/dev/null || fail "the daemon did not start: $(cat "$home/daemon.log")"
        sleep 0.1
    done
    address=$(sed -n 's/.* ready on \([0-9.:]*\),.*/\1/p' "$home/daemon.log")
    [ -n "$address" ] || fail "the daemon did not become ready: $(cat "$home/daemon.log")"
    sed 's/^/   /' "$home/daemon.log"
}

ctl() { "$bin/atlaskv-ctl" --addr "$address" --socket "$home/admin.sock" "$@"; }

# Every installed package, name to version and description; elsewhere the names of system files.
real_input() {
    if command -v dpkg-query >/dev/null 2>&1; then
        dpkg-query -W -f '${binary:Package}\t${Version} ${binary:Summary}\n'
    elif command -v rpm >/dev/null 2>&1; then
        rpm -qa --qf '%{NAME}.%{ARCH}\t%{VERSION} %{SUMMARY}\n'
    else
        find /usr/share /usr/lib -maxdepth 3 -type f -printf '%p\t%s bytes\n' 2>/dev/null || true
    fi | sed 's/\\/\\\\/g' | sort -u -t "$(printf '\t')" -k 1,1
}

say 'Real data: what is installed on this machine'
real_input >"$home/input.tsv"
entries=$(wc -l <"$home/input.tsv")
[ "$entries" -gt 0 ] || fail 'found nothing to import'
head -n 3 "$home/input.tsv" | cut -c 1-100
echo "   ... $entries entries"

say 'Start, import over TCP, read everything back'
start
ctl import "$home/input.tsv"
ctl export "$home/output.tsv"
cmp "$home/input.tsv" "$home/output.tsv" || fail 'what came back is not what was imported'
echo "   $entries entries came back, byte for byte"

say 'Scan by prefix'
first=$(cut -c 1 "$home/input.tsv" | sort | uniq -c | sort -rn | awk 'NR == 1 { print $2 }')
ctl scan --prefix "$first" --limit 3 | cut -c 1-100
found=$(ctl scan --prefix "$first" | wc -l)
expected=$(grep -c "^$first" "$home/input.tsv")
[ "$found" -eq "$expected" ] || fail "the scan found $found entries, not $expected"
echo "   $found entries begin with '$first'"

say 'Overwrite every second entry, delete every third, in atomic batches; flush; compact'
awk -F '\t' -v OFS='\t' 'NR % 2 == 0 { print "put", $1, "overwritten " NR }
    NR % 3 == 0 { print "delete", $1 }' "$home/input.tsv" | ctl batch
awk -F '\t' -v OFS='\t' 'NR % 3 == 0 { next } NR % 2 == 0 { print $1, "overwritten " NR; next } 1' \
    "$home/input.tsv" >"$home/expected.tsv"
ctl flush
ctl compact
ctl export - >"$home/output.tsv"
cmp "$home/expected.tsv" "$home/output.tsv" || fail 'the store is not what it should be'
echo "   $(wc -l <"$home/expected.tsv") entries are left, as they should be"

say 'kill -9 in the middle of writing'
seq -f 'load-%09.0f' 1 3000000 | awk -v OFS='\t' '{ print $1, "value " NR }' >"$home/load.tsv"
ctl --format json import "$home/load.tsv" >"$home/import.json" &
writer=$!
# Not before a good deal was written, so that the kill lands amid writing.
for _ in $(seq 600); do
    writes=$(ctl --format json stats | tr ',' '\n' | sed -n 's/.*"engine\.writes": *\([0-9]*\).*/\1/p')
    [ "${writes:-0}" -gt $((entries * 3)) ] && [ "${writes:-0}" -gt 20000 ] && break
    sleep 0.05
done
kill -KILL "$daemon"
wait "$daemon" 2>/dev/null || true
wait "$writer" && fail 'the import ended before the kill'
cat "$home/import.json"
acknowledged=$(tr ',' '\n' <"$home/import.json" | sed -n 's/.*"acknowledged": *\([0-9]*\).*/\1/p')
[ -n "$acknowledged" ] || fail 'the import did not say what was acknowledged'

say 'Restart: everything acknowledged is there'
start
ctl scan --prefix load- | head -n "$acknowledged" >"$home/output.tsv" || true
head -n "$acknowledged" "$home/load.tsv" | cmp - "$home/output.tsv" ||
    fail 'an acknowledged write is not there'
ctl export - | grep -v '^load-' | cmp "$home/expected.tsv" - || fail 'older data changed'
echo "   all $acknowledged acknowledged writes, and all that was there before"

say 'Stats, and a clean stop'
ctl stats | grep -E 'engine\.(state|last_lsn|tables|table_entries|log_)|recovery\.(epoch|replayed|cut)'
kill -TERM "$daemon"
wait "$daemon" || fail 'the daemon did not stop well'
daemon=
"$bin/atlaskv-verify" "$home/data"

say 'That was all: nothing acknowledged was lost'
