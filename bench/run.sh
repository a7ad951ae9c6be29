#!/usr/bin/env bash
# Builds and measures tapspan, on virtual ports or on a network card with a generator outside.
# Prints a table beside the marks and beside what Ethernet carries; writes bench/results/latest.json, a list of
# {name, value, unit}, and bench/results/mpps.svg. bench/README.md says what is measured.
#
#   bench/run.sh                    everything but the peers, about ten minutes after the build
#   bench/run.sh --quick            the rx rows up to 4 M flows and the encoder, under a minute
#   bench/run.sh --only NAME[,NAME] rows by name, or by how their names begin; --list names them
#   bench/run.sh --peers            also softflowd, nfpcapd and argus on the same capture; scripts/setup.sh --peers has them
#   bench/run.sh --port DEVICE --generator-command 'CMD {rate} {seconds}'
#                                   the non-drop rate of a network card
#
# --help has the rest. Reserves huge pages for the packet buffers while it runs, where it may; without them it says so and
# goes on.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
results=$root/bench/results
huge_pages=/sys/kernel/mm/hugepages/hugepages-2048kB
# Pages of 2 MiB: 128 MiB of buffers, and as much again, as DPDK does not fill the gaps between its segments.
pages_wanted=128
pages_before=
bench_pid=
scratch=

clean_up() {
    status=$?
    trap - EXIT INT TERM
    if [ -n "$bench_pid" ]; then
        # With the programs it started: it is a process group of its own.
        kill -- "-$bench_pid" 2>/dev/null || true
        wait "$bench_pid" 2>/dev/null || true
    fi
    if [ -n "$pages_before" ]; then
        echo "$pages_before" >"$huge_pages/nr_hugepages" || true
    fi
    if [ -n "$scratch" ]; then
        rm -rf "$scratch"
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
cargo build --release --quiet --package bench --bin dataplane-bench --package tapspan --bin tapspan
target=${CARGO_TARGET_DIR:-target}

mkdir -p "$results"
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
reserve_huge_pages
case " $* " in
    # Neither measures rows.
    *" --port"* | *" --list "* | *" --help "* | *" -h "*) ;;
    # Made by this run or not at all.
    *)
        rm -f "$results/latest.json" "$results/mpps.svg" "$results/capacity.md"
        # Captures and spans: where files are memory, if there is such a place.
        scratch=$(mktemp -d /dev/shm/tapspan-bench.XXXXXX 2>/dev/null) || scratch=$(mktemp -d)
        set -- --json "$results/latest.json" --plot "$results/mpps.svg" --capacity-tables "$results/capacity.md" --scratch "$scratch" "$@"
        ;;
esac
set -m
"$target/release/dataplane-bench" "$@" &
bench_pid=$!
set +m
wait "$bench_pid" && status=0 || status=$?
bench_pid=
exit "$status"
