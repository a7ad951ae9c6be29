#!/usr/bin/env bash
# Everything that must hold before a change goes in: format, lints, all tests, loom, documentation.
# Runs every stage also where one fails, says at the end what passed, and leaves nothing behind.
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root" || exit 1

usage() {
    cat <<'TEXT'
usage: scripts/test.sh [STAGE...]

Stages, all in this order where none is named: scripts format lints lints-without-dpdk lints-aarch64 tests doc-tests loom docs.
As root it also runs the tests on virtual ports, and then a test that lacks a tool fails; as another user those tests
say what they lack, and pass.
TEXT
}

all=(scripts format lints lints-without-dpdk lints-aarch64 tests doc-tests loom docs)
stages=()
for word in "$@"; do
    case $word in
        -h | --help) usage; exit 0 ;;
        *) [[ " ${all[*]} " == *" $word "* ]] || { usage >&2; exit 2; }
           stages+=("$word") ;;
    esac
done
((${#stages[@]})) || stages=("${all[@]}")

# Names of namespaces and interfaces of this run begin with it, so that the clean-up finds them and no others.
tag=$(printf '%05x' $((RANDOM * 32 + RANDOM % 32)))
temporary=$(mktemp -d "${TMPDIR:-/tmp}/tapspan-test.XXXXXX") || die "no temporary folder"
# Tests that give up their rights still have to get at it.
chmod 755 "$temporary"
reserved=0
stage_group=''
pages=/proc/sys/vm/nr_hugepages

# 256 MiB for each test that runs at a time, so that none finds them gone after it looked; at most a quarter of what is
# available.
reserve_huge_pages() {
    ((EUID == 0)) && [[ -w $pages ]] && grep -q '^Hugepagesize: *2048 kB' /proc/meminfo || return
    local before after available wanted
    available=$(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo)
    wanted=$((128 * $(nproc)))
    ((wanted * 2 <= available / 4)) || { note "too little memory for huge pages: none reserved"; return; }
    before=$(<"$pages")
    ((before < wanted)) || return
    echo "$wanted" 2>/dev/null >"$pages" || return
    after=$(<"$pages")
    reserved=$((after - before))
}

# A stage is a process group of its own: what it leaves running ends with it, and a signal ends it at once.
run_stage() {
    local code
    set -m
    "$1" &
    stage_group=$!
    set +m
    wait "$stage_group"
    code=$?
    end_stage
    return "$code"
}

end_stage() {
    [[ -z $stage_group ]] || kill -KILL -- "-$stage_group" 2>/dev/null
    stage_group=''
}

clean_up() {
    local name
    trap - EXIT INT TERM
    end_stage
    if ((EUID == 0)) && command -v ip >/dev/null; then
        for name in $(ip -o link show 2>/dev/null | sed -n "s/^[0-9]*: \(t${tag}[^@:]*\).*/\1/p"); do
            ip link delete "$name" 2>/dev/null
        done
        for name in $(ip netns list 2>/dev/null | sed -n "s/^\(tapspan-${tag}[^ ]*\).*/\1/p"); do
            ip netns delete "$name" 2>/dev/null
        done
        unmount_netns
    fi
    rm -rf "$temporary"
    if ((reserved > 0)); then
        local now
        now=$(<"$pages")
        echo $((now > reserved ? now - reserved : 0)) 2>/dev/null >"$pages"
    fi
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

stage_scripts() {
    local script
    for script in scripts/*.sh .ci/run; do bash -n "$script" || return; done
    python3 - tests/receiver/*.py <<'PY'
import ast, sys
for path in sys.argv[1:]:
    ast.parse(open(path, encoding="utf-8").read(), path)
PY
}

stage_format() { cargo fmt --all --check; }

stage_lints() { cargo clippy --workspace --all-targets -- -D warnings; }

stage_lints_without_dpdk() {
    cargo clippy --package dataplane --package tapspan --no-default-features --all-targets -- -D warnings
}

# The flow table has code of its own for it; everything else has none, and would take C libraries of that architecture.
stage_lints_aarch64() {
    local target=aarch64-unknown-linux-gnu
    if ! rustup target list --installed 2>/dev/null | grep -qx "$target" && ! timeout 120 rustup target add "$target" 2>/dev/null; then
        note "rustup has no standard library for $target here: what is only compiled there is not looked at"
        return 0
    fi
    cargo clippy --package flowtable --all-targets --target "$target" -- -D warnings
}

stage_tests() {
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run --workspace --no-fail-fast --final-status-level slow
    else
        cargo test --workspace --no-fail-fast --lib --bins --tests --examples
    fi
}

stage_doc_tests() { cargo test --workspace --doc; }

stage_loom() {
    RUSTFLAGS="--cfg loom" cargo test --package flowtable --test loom --release --target-dir target/loom
}

stage_docs() { RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps; }

scripts/setup.sh --tests || exit 1
reserve_huge_pages

export TMPDIR=$temporary TAPSPAN_E2E_TAG=$tag
# What a developer has set must not decide what the tests see.
while IFS= read -r name; do unset "$name"; done < <(compgen -e | grep -E '^(OTEL_|RUST_LOG$)')
# One namespace for the whole run: it shows that they can be made, and keeps the folder of their names mounted.
if ((EUID == 0)) && ip netns add "tapspan-$tag" 2>/dev/null; then
    export TAPSPAN_E2E=full
else
    note "no network namespace can be made here: tests on virtual wires say so and are left out"
fi

names=() results=() failed=0
for stage in "${stages[@]}"; do
    step "$stage"
    began=$SECONDS
    if run_stage "stage_${stage//-/_}"; then
        result="${green}ok${plain}    "
    else
        result="${red}FAILED${plain}"
        failed=$((failed + 1))
    fi
    names+=("$stage")
    results+=("$result $((SECONDS - began)) s")
done

step "Summary"
for index in "${!names[@]}"; do printf '    %-20s %s\n' "${names[$index]}" "${results[$index]}"; done
if ((failed)); then
    say "${bold}${red}test.sh: ${failed} of ${#names[@]} stages failed${plain} after $SECONDS s"
    exit 1
fi
say "${bold}${green}test.sh: all ${#names[@]} stages passed${plain} in $SECONDS s"
