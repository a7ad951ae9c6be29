#!/usr/bin/env bash
# Gives a network card to DPDK, or back to the kernel.
#   scripts/bind-nic.sh                                      list the cards and who drives them
#   scripts/bind-nic.sh PCI vfio-pci|uio_pci_generic [--force]
#   scripts/bind-nic.sh PCI restore
# PCI is an address as lspci prints it (0000:01:00.0, or 01:00.0). A card that carries an active route is refused
# without --force: this shell may be connected through it. Lasts until the next boot.
set -euo pipefail

bus=/sys/bus/pci
fail() { echo "bind-nic.sh: $*" >&2; exit 1; }

driver_of() { [ -e "$bus/devices/$1/driver" ] && basename "$(readlink -f "$bus/devices/$1/driver")" || true; }

# The kernel's interfaces on a card; a virtio card keeps its interface one folder deeper.
interfaces_of() {
    local folder
    for folder in "$bus/devices/$1"/net/* "$bus/devices/$1"/virtio*/net/*; do
        [ -e "$folder" ] && basename "$folder"
    done
    return 0
}

list() {
    local device address found=0
    for device in "$bus"/devices/*; do
        [ -e "$device" ] && [[ $(cat "$device/class") == 0x02* ]] || continue
        found=1
        address=$(basename "$device")
        echo "$address $(cat "$device/vendor"):$(cat "$device/device") driver=$(driver_of "$address")" \
            "node=$(cat "$device/numa_node") interfaces=$(interfaces_of "$address" | paste -sd, -)"
    done
    [ "$found" = 1 ] || echo "no network cards on the PCI bus; use a virtual device, as net_af_packet0,iface=INTERFACE"
}

routed_interface() {
    local interface
    for interface in $(interfaces_of "$1"); do
        if [ -n "$(ip route show dev "$interface"; ip -6 route show dev "$interface" | grep -v '^fe80::' || true)" ]; then
            echo "$interface"
            return
        fi
    done
}

unbind() {
    local driver
    driver=$(driver_of "$1")
    [ -z "$driver" ] && return
    echo "$1: released from $driver"
    echo "$1" > "$bus/devices/$1/driver/unbind"
}

bind() {
    local address=$1 driver=$2
    if [ "$(driver_of "$address")" = "$driver" ]; then
        echo "$address: bound to $driver already"
        return
    fi
    modprobe "$driver" || fail "the kernel has no module $driver (apt-get install linux-modules-extra-\$(uname -r), or use the other driver)"
    if [ "$driver" = vfio-pci ] && [ ! -e "$bus/devices/$address/iommu_group" ]; then
        local unsafe=/sys/module/vfio/parameters/enable_unsafe_noiommu_mode
        [ -w "$unsafe" ] || fail "$address has no IOMMU, which vfio-pci needs: switch it on (BIOS, intel_iommu=on), or use uio_pci_generic"
        echo "$address: no IOMMU: vfio-pci in its unsafe mode without one"
        echo 1 > "$unsafe"
    fi
    unbind "$address"
    echo "$driver" > "$bus/devices/$address/driver_override"
    echo "$address" > "$bus/drivers_probe"
    [ "$(driver_of "$address")" = "$driver" ] || fail "$address did not go to $driver; 'dmesg | tail' says why, 'scripts/bind-nic.sh $address restore' takes it back"
    echo "$address: bound to $driver; use it as: tapspan run --port $address"
}

restore() {
    local address=$1
    unbind "$address"
    # An empty line takes the override away, and the kernel chooses by the card's ids again.
    echo > "$bus/devices/$address/driver_override"
    echo "$address" > "$bus/drivers_probe"
    local driver
    driver=$(driver_of "$address")
    [ -n "$driver" ] || fail "no kernel driver took $address; load its module with modprobe"
    echo "$address: back with $driver, interfaces: $(interfaces_of "$address" | paste -sd' ' -)"
}

case ${1-} in
    "") list; exit ;;
    -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit ;;
esac
address=$(tr '[:upper:]' '[:lower:]' <<< "$1")
[[ $address == *:*:* ]] || address=0000:$address
[[ $address =~ ^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f]$ ]] || fail "'$1' is no PCI address, as 0000:01:00.0"
[ -d "$bus/devices/$address" ] || fail "there is no device $address; 'scripts/bind-nic.sh' lists the network cards"
[[ $(cat "$bus/devices/$address/class") == 0x02* ]] || fail "$address is not a network card"
[ "$(id -u)" = 0 ] || fail "binding needs root: sudo scripts/bind-nic.sh $*"

case ${2-} in
    vfio-pci | uio_pci_generic)
        routed=$(routed_interface "$address")
        [ -z "$routed" ] || [ "${3-}" = --force ] || fail "$routed on $address carries a route; add --force if nothing depends on it"
        bind "$address" "$2"
        ;;
    restore) restore "$address" ;;
    *) fail "say what to bind it to: vfio-pci, uio_pci_generic or restore" ;;
esac
