# What the scripts share. To be sourced; does nothing on its own.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
    bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' yellow=$'\e[33m' cyan=$'\e[36m' plain=$'\e[0m'
else
    bold='' dim='' red='' green='' yellow='' cyan='' plain=''
fi

say()  { printf '%s\n' "$*"; }
step() { printf '\n%s==> %s%s\n' "$bold$cyan" "$*" "$plain"; }
note() { printf '%s    %s%s\n' "$dim" "$*" "$plain"; }
warn() { printf '%s    %s%s\n' "$yellow" "$*" "$plain" >&2; }
die()  { printf '%serror:%s %s\n' "$bold$red" "$plain" "$*" >&2; exit 1; }

# rustup's programs, also where the login shell has not put them on the path.
if ! command -v cargo >/dev/null && [[ -x ${CARGO_HOME:-$HOME/.cargo}/bin/cargo ]]; then
    PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
fi
# Programs for the administrator, such as ip and tcpreplay, are not on every user's path.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH

# The first namespace with a name makes `ip` mount a folder onto itself, and the last one leaves that behind.
netns_was_mounted=no
! grep -q ' /run/netns ' /proc/mounts 2>/dev/null || netns_was_mounted=yes

unmount_netns() {
    [[ $netns_was_mounted == no && -z $(ip netns list 2>/dev/null) ]] || return 0
    while grep -q ' /run/netns ' /proc/mounts; do umount /run/netns 2>/dev/null || return 0; done
    rmdir /run/netns 2>/dev/null || true
}
