#!/usr/bin/env bash
# Runs the fuzz targets of tests/fuzz, one after the other. tests/fuzz/README.md says what they are and what came of them.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

fuzz=tests/fuzz
targets=(packet capture filter)

usage() {
    cat <<'TEXT'
usage: scripts/fuzz.sh [TARGET] [SECONDS]
       scripts/fuzz.sh --keep TARGET

Runs one target (packet, capture, filter) or all of them, each for SECONDS, 1200 where none are given. Needs a nightly
toolchain of Rust beside the stable one, and installs cargo-fuzz where it is missing.

What a run finds new is kept in tests/fuzz/target/corpus, and the next run goes on from there. An input that makes a target
fail is written to tests/fuzz/artifacts/TARGET, and ends the run.
--keep    chooses from all that was found the few inputs that go into tests/fuzz/corpus/TARGET
TEXT
}

check_tools() {
    cargo +nightly --version >/dev/null 2>&1 ||
        die "no nightly toolchain: rustup toolchain install nightly --profile minimal"
    if ! cargo fuzz --version >/dev/null 2>&1; then
        step "Installing cargo-fuzz"
        cargo install --quiet --locked cargo-fuzz
    fi
    scripts/setup.sh
}

# Inputs made of the captures, to begin with.
make_seeds() {
    [[ -d $fuzz/target/seeds ]] && return
    step "Making inputs of tests/captures"
    cargo run --quiet --manifest-path "$fuzz/Cargo.toml" --example seeds -- "$fuzz/target/seeds"
}

run_target() {
    local target=$1 seconds=$2 folder
    local -a folders=("$fuzz/target/corpus/$target") options=()
    mkdir -p "${folders[0]}"
    for folder in "$fuzz/corpus/$target" "$fuzz/fixtures/$target" "$fuzz/target/seeds/$target"; do
        [[ ! -d $folder ]] || folders+=("$folder")
    done
    [[ ! -f $fuzz/$target.dict ]] || options+=("-dict=$fuzz/$target.dict")
    case $target in
        packet) options+=(-max_len=3072) ;;
        # Reading a file takes half a MiB, whatever is in it.
        capture) options+=(-max_len=8192 -malloc_limit_mb=64) ;;
        filter) options+=(-max_len=512) ;;
    esac
    step "$target for $seconds s"
    cargo +nightly fuzz run --fuzz-dir "$fuzz" "$target" "${folders[@]}" -- \
        "-max_total_time=$seconds" -print_final_stats=1 "${options[@]}"
}

keep() {
    local target=$1 merged=$fuzz/target/keep
    rm -rf "$merged"
    mkdir -p "$merged" "$fuzz/target/corpus/$target"
    cp -r "$fuzz/target/corpus/$target" "$merged/all"
    [[ ! -d $fuzz/corpus/$target ]] || cp "$fuzz/corpus/$target"/* "$merged/all"
    cargo +nightly fuzz cmin --fuzz-dir "$fuzz" "$target" "$merged/all"
    mkdir "$merged/none"
    cargo +nightly fuzz run --fuzz-dir "$fuzz" "$target" "$merged/none" "$merged/all" -- \
        -set_cover_merge=1 "-merge_control_file=$merged/control"
    python3 "$fuzz/keep.py" "$merged/control" "$fuzz/corpus/$target"
}

case ${1:-} in
    -h | --help) usage; exit 0 ;;
    --keep)
        [[ " ${targets[*]} " == *" ${2:-none} "* ]] || { usage >&2; exit 2; }
        check_tools
        keep "$2"
        exit 0 ;;
    '' | *[!0-9]*) ;;
    *) set -- all "$1" ;;
esac
chosen=("${targets[@]}")
if [[ -n ${1:-} && $1 != all ]]; then
    [[ " ${targets[*]} " == *" $1 "* ]] || { usage >&2; exit 2; }
    chosen=("$1")
fi
seconds=${2:-1200}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { usage >&2; exit 2; }

check_tools
make_seeds
for target in "${chosen[@]}"; do run_target "$target" "$seconds"; done
say "${bold}${green}fuzz.sh: nothing found${plain} by ${chosen[*]} in $seconds s each"
