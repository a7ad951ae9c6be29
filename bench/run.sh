#!/bin/sh
# Builds and measures tapspan: packets a second of one worker core, spans a second of one encoder core.
# Prints a table; writes bench/results/latest.json, a list of {name, value, unit}. bench/README.md says what is measured.
#
#   bench/run.sh [--quick] [--flows LIST] [--runs N] [--slice-ms MS] [--worker-cpu CPU]
#
# --quick takes less than a minute after the build. Reserves huge pages for the packet buffers while it runs, where it
# may; without them it says so and goes on.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
results=$root/bench/results
huge_pages=/sys/kernel/mm/hugepages/hugepages-2048kB
# Pages of 2 MiB: 64 MiB of buffers, and as much again, as DPDK does not fill the gaps between its segments.
pages_wanted=64
pages_before=
bench_pid=

clean_up() {
    status=$?
    trap - EXIT INT TERM
    if [ -n "$bench_pid" ]; then
        kill "$bench_pid" 2>/dev/null || true
        wait "$bench_pid" 2>/dev/null || true
    fi
    if [ -n "$pages_before" ]; then
        echo "$pages_before" >"$huge_pages/nr_hugepages" || true
    fi
    exit "$status"
}

reserve_huge_pages() {
    [ -r "$huge_pages/free_hugepages" ] || return 0
    free=$(cat "$huge_pages/free_hugepages")
    if [ "$free" -ge "$pages_wanted" ] || [ ! -w "$huge_pages/nr_hugepages" ]; then
        return 0
    fi
    before=$(cat "$huge_pages/nr_hugepages")
    if echo $((before + pages_wanted - free)) 2>/dev/null >"$huge_pages/nr_hugepages"; then
        pages_before=$before
    fi
}

if ! pkg-config --exists libdpdk; then
    echo "bench/run.sh: DPDK is missing: apt-get install libdpdk-dev pkg-config clang" >&2
    exit 1
fi

cd "$root"
echo "commit      $(git describe --always --dirty 2>/dev/null || echo unknown)"
echo "flags       ${RUSTFLAGS:-(no RUSTFLAGS)}, $(rustc --version)"
cargo build --release --quiet --package bench --bin dataplane-bench
target=${CARGO_TARGET_DIR:-target}

mkdir -p "$results"
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
reserve_huge_pages
"$target/release/dataplane-bench" --json "$results/latest.json" "$@" &
bench_pid=$!
wait "$bench_pid" && status=0 || status=$?
bench_pid=
exit "$status"
