#!/usr/bin/env bash
# Installs what tapspan is built with; with --tests what its tests and its demonstration need as well, with --peers what it
# is compared with, with --valgrind what counts its instructions.
# Looks first: where nothing is missing it touches neither apt nor pip, and needs no rights.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
    cat <<'TEXT'
usage: scripts/setup.sh [--tests] [--peers] [--valgrind]

Installs what is missing to build tapspan: DPDK, libpcap, libclang, pkg-config (Debian 12 or later, with apt).
--tests     also what the tests and the demonstration need: tcpreplay, iproute2, receivers of spans in .venv
--peers     also what `bench/run.sh --peers` compares with: softflowd, nfdump, argus
--valgrind  also what `bench/instructions.sh` counts with: valgrind, binutils

As another user than root it asks sudo. It installs no Rust: see https://rustup.rs.
TEXT
}

build_packages=(gcc libc6-dev pkg-config libdpdk-dev libpcap-dev libclang-dev)
test_packages=(tcpreplay iproute2 ethtool procps curl)
peer_packages=(softflowd nfdump argus-server argus-client)
valgrind_packages=(valgrind binutils)
with_tests=no
with_peers=no
with_valgrind=no
for word in "$@"; do
    case $word in
        --tests) with_tests=yes ;;
        --peers) with_peers=yes ;;
        --valgrind) with_valgrind=yes ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
done

missing_packages() {
    local installed package
    # A package of another architecture is none to build with.
    installed=$(dpkg-query --show --showformat='${db:Status-Status} ${Architecture} ${Package}\n' 2>/dev/null |
        awk -v own="$(dpkg --print-architecture 2>/dev/null)" '$1 == "installed" && ($2 == own || $2 == "all") { print $3 }')
    for package in "$@"; do
        grep -qxF -- "$package" <<<"$installed" || printf '%s\n' "$package"
    done
}

install_packages() {
    local -a missing as_root=()
    mapfile -t missing < <(missing_packages "$@")
    ((${#missing[@]})) || return 0
    if ((EUID != 0)); then
        command -v sudo >/dev/null ||
            die "these packages are missing, and only root can install them: apt-get install ${missing[*]}"
        as_root=(sudo)
    fi
    step "Installing ${missing[*]}"
    local -a apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get --yes --quiet
        -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0)
    "${apt[@]}" update >/dev/null || warn "apt-get update failed; the package lists may be old"
    "${apt[@]}" install --no-install-recommends "${missing[@]}" >/dev/null ||
        die "apt-get could not install ${missing[*]}; its own words are above"
}

# Where there is no apt: says what is not there, and leaves the rest to the user.
check_without_apt() {
    pkg-config --atleast-version=22.11 libdpdk 2>/dev/null ||
        die "no DPDK 22.11 or later for pkg-config: install DPDK's development files, libclang and pkg-config"
    [[ $with_tests == no ]] && return
    local program
    for program in tcpreplay ip; do
        command -v "$program" >/dev/null || warn "no $program: tests that need it will say so"
    done
}

# The receivers of spans, in a folder of their own. The stamp says which list of packages is in it.
install_receivers() {
    local wanted
    wanted="$(python3 --version) $(sha256sum <"$root/tests/requirements.txt")"
    [[ -f $root/.venv/stamp && $(<"$root/.venv/stamp") == "$wanted" && -x $root/.venv/bin/python ]] && return
    step "Installing receivers of spans into .venv"
    rm -rf "$root/.venv"
    python3 -m venv "$root/.venv"
    "$root/.venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$root/tests/requirements.txt" ||
        die "pip could not install tests/requirements.txt; is the package index reachable?"
    printf '%s\n' "$wanted" >"$root/.venv/stamp"
}

if command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then
    packages=("${build_packages[@]}")
    if [[ $with_tests == yes ]]; then
        packages+=("${test_packages[@]}")
        # A Python that is not Debian's brings its own.
        python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3 python3-venv)
    fi
    [[ $with_peers == yes ]] && packages+=("${peer_packages[@]}")
    [[ $with_valgrind == yes ]] && packages+=("${valgrind_packages[@]}")
    install_packages "${packages[@]}"
else
    check_without_apt
fi

[[ -n ${TAPSPAN:-} ]] || command -v cargo >/dev/null ||
    die "no Rust: install 1.88 or later as https://rustup.rs says, then run this again"
[[ $with_tests == yes ]] && install_receivers
exit 0
