#!/usr/bin/env bash
# Shows the huge pages of this machine, and reserves some for packet buffers.
#   scripts/hugepages.sh        show
#   scripts/hugepages.sh N      make it N pages of 2 MiB on each NUMA node (0 gives them back)
# Lasts until the next boot; "vm.nr_hugepages = N" in /etc/sysctl.d keeps it.
set -euo pipefail

fail() { echo "hugepages.sh: $*" >&2; exit 1; }

show() {
    local pool found=0
    for pool in /sys/devices/system/node/node*/hugepages/hugepages-*; do
        [ -d "$pool" ] || continue
        found=1
        local node=${pool#/sys/devices/system/node/} size=${pool##*hugepages-}
        echo "${node%%/*}: $size pages: $(cat "$pool/nr_hugepages") reserved, $(cat "$pool/free_hugepages") free"
    done
    [ "$found" = 1 ] || fail "this kernel has no huge pages (CONFIG_HUGETLBFS); tapspan runs without, but slower"
}

reserve() {
    local pages=$1 pool got
    for pool in /sys/devices/system/node/node*/hugepages/hugepages-2048kB; do
        [ -d "$pool" ] || fail "this kernel has no 2 MiB pages; see 'scripts/hugepages.sh' for what it has"
        got=$(cat "$pool/nr_hugepages")
        [ "$got" = "$pages" ] && continue
        [ -w "$pool/nr_hugepages" ] || fail "reserving needs root: sudo scripts/hugepages.sh $pages"
        echo "$pages" > "$pool/nr_hugepages" || fail "the kernel refused $pages pages ($pool/nr_hugepages)"
        got=$(cat "$pool/nr_hugepages")
        if [ "$got" -lt "$pages" ]; then
            show
            fail "only $got of $pages pages could be had: memory is short or in pieces; ask for fewer or reboot"
        elif [ "$got" -gt "$pages" ]; then
            show
            fail "$got pages stay reserved, as programs use them; stop those first"
        fi
    done
}

case ${1-} in
    "") show ;;
    -h | --help) sed -n '2,5s/^# \{0,1\}//p' "$0" ;;
    *[!0-9]*) fail "'$1' is not a number of pages; usage: scripts/hugepages.sh [N]" ;;
    *) reserve "$1"; show ;;
esac
