#!/usr/bin/env bash
# Instructions a packet, by family of frames and by stage: callgrind counts them by address, and addr2line says whose each is,
# inlined functions included. How many there are, not how long they take; the same count on every machine with the same
# compiler, and no hardware counter is asked.
#
#   bench/instructions.sh [FAMILY...]   tcp, udp, vlan, ipv6, vxlan; all of them where none is named
set -euo pipefail

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
# Flows, few enough for a short run, and the rounds of two runs, whose difference leaves out what is done once.
flows=4096
few=2
many=10

for program in valgrind addr2line; do
    if ! command -v "$program" >/dev/null; then
        echo "bench/instructions.sh: no $program: scripts/setup.sh --valgrind, or apt-get install valgrind binutils" >&2
        exit 1
    fi
done
families=("$@")
((${#families[@]})) || families=(tcp udp vlan ipv6 vxlan)

cd "$root"
cargo build --release --quiet --package bench --example worker_loop
program=${CARGO_TARGET_DIR:-target}/release/examples/worker_loop
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# What family $1 takes in $2 rounds: lines of address and instructions. What libraries take is left out.
count() {
    valgrind --quiet --tool=callgrind --dump-instr=yes --compress-pos=no --compress-strings=no \
        --callgrind-out-file="$scratch/callgrind" "$program" "$1" "$flows" "$2"
    awk '
        /^ob=/ { own = $0 ~ /worker_loop$/ }
        # The line behind a call has what was called, which has lines of its own.
        /^calls=/ { getline; next }
        own && /^0x/ { count[$1] += $3 }
        END { for (address in count) print address, count[address] }
    ' "$scratch/callgrind"
}

# Behind each address of standard input its stage, by the functions it is in, from the innermost outwards: two lines each, a name
# and a place in a file.
stages() {
    addr2line --exe="$program" --addresses --functions --inlines --demangle | awk '
        function flush() { if (address != "") print address, stage != "" ? stage : outermost }
        /^0x/ { flush(); sub(/^0x0*/, "0x"); address = $0; stage = ""; outermost = "rest"; next }
        { name = $0; sub(/.*::/, "", name); getline file }
        stage != "" { next }
        file ~ /writer\/stages\.rs:/ {
            stage = name == "hash" ? "hash" : name == "guess" ? "find" : name == "count" ? "count" : "turns"
            # A function in one of them; what it is in comes next.
            if (stage == "turns" && name ~ /^[{]/) stage = ""
        }
        file ~ /dataplane\/src\/(intake|ledger)\.rs:/ { stage = name ~ /^take/ ? "parse" : name ~ /^[{]/ ? "" : "turns" }
        file ~ /dataplane\/src\/wire\// { stage = "parse" }
        file ~ /writer\.rs:/ && name == "update" { stage = "turns" }
        # Functions that are in none of these: the ways of rare packets and of tunnels.
        file ~ /flowtable\/src\// { outermost = file ~ /burst\.rs:/ ? "parse" : "count" }
        END { flush() }
    '
}

printf '%-8s%8s%8s%8s%8s%8s%8s\n' "" parse hash find count turns all
for family in "${families[@]}"; do
    count "$family" "$few" >"$scratch/few"
    count "$family" "$many" >"$scratch/many"
    awk -v packets=$((flows * (many - few))) '
        NR == FNR { few[$1] = $2; next }
        $2 > few[$1] { print $1, ($2 - few[$1]) / packets }
    ' "$scratch/few" "$scratch/many" >"$scratch/packet"
    cut -d ' ' -f 1 "$scratch/packet" | stages >"$scratch/stages"
    awk -v family="$family" '
        NR == FNR { stage[$1] = $2; next }
        { sum[stage[$1]] += $2 }
        END {
            split("parse hash find count turns", stages)
            for (at = 1; at <= 5; at++) { line = line sprintf("%8.0f", sum[stages[at]]); all += sum[stages[at]] }
            printf "%-8s%s%8.0f\n", family, line, all
        }
    ' "$scratch/stages" "$scratch/packet"
done
