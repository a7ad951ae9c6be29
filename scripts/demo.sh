#!/usr/bin/env bash
# The main job on real traffic: packets of captures over a virtual wire into a DPDK port, and out as flow spans to a
# receiver. Takes a minute at most after the build, and leaves nothing behind.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

usage() {
    cat <<'TEXT'
usage: scripts/demo.sh [--port af_packet|af_xdp|pcap] [--stay]

--port    the DPDK port to receive on: af_packet (the default for root), af_xdp, or pcap, which reads the capture itself
          and needs no rights (the default for everybody else)
--stay    keep the probe running until Enter, to try out its control endpoint

TAPSPAN names the program to show; by default it is built from this folder.
TEXT
}

kind='' stay=no
while (($#)); do
    case $1 in
        --port) kind=${2:-}; shift 2 || { usage >&2; exit 2; } ;;
        --stay) stay=yes; shift ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
done
case $kind in
    '' | af_packet | af_xdp | pcap) ;;
    *) usage >&2; exit 2 ;;
esac

work='' namespace='' wire='' probe_pid='' receiver_pid='' replay_pid=''

clean_up() {
    trap - EXIT INT TERM
    local pid
    for pid in $replay_pid $probe_pid $receiver_pid; do kill "$pid" 2>/dev/null || true; done
    for pid in $replay_pid $probe_pid $receiver_pid; do
        # One that does not end within 5 s is not asked a second time.
        timeout 5 tail --pid="$pid" --follow /dev/null 2>/dev/null || kill -KILL "$pid" 2>/dev/null || true
    done
    [[ -z $wire ]] || ip link delete "${wire}p" 2>/dev/null || true
    if [[ -n $namespace ]]; then
        ip netns delete "$namespace" 2>/dev/null || true
        unmount_netns
    fi
    [[ -z $work ]] || rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Repeats a command until it succeeds: until_true WHAT SECONDS COMMAND...
until_true() {
    local what=$1 deadline=$((SECONDS + $2))
    shift 2
    until "$@" 2>/dev/null; do
        ((SECONDS < deadline)) || die "$what: not in time$(last_words)"
        [[ -z $probe_pid ]] || kill -0 "$probe_pid" 2>/dev/null || die "tapspan has ended$(last_words)"
        sleep 0.05
    done
}

last_words() {
    [[ ! -s $work/probe.log ]] || printf '; its log:\n%s' "$(<"$work/probe.log")"
}

api() { curl --silent --show-error --fail --max-time 5 "$@"; }

# --- set-up ----------------------------------------------------------------------------------------------------------

scripts/setup.sh --tests
if [[ -z ${TAPSPAN:-} ]]; then
    step "Building tapspan (some minutes the first time, a moment from then on)"
    cargo build --release --bin tapspan
    TAPSPAN=${CARGO_TARGET_DIR:-$root/target}/release/tapspan
fi
[[ -x $TAPSPAN ]] || die "no program $TAPSPAN"
began=$SECONDS
work=$(mktemp -d "${TMPDIR:-/tmp}/tapspan-demo.XXXXXX")

if [[ -z $kind ]]; then
    kind=pcap
    ((EUID != 0)) || kind=af_packet
fi

# A quiet wire: one end here for the probe, the other in a namespace for tcpreplay. The kernel must not send on it.
lay_wire() {
    wire=$(printf 'tsd%05x' $((RANDOM * 32 + RANDOM % 32)))
    namespace=tapspan-demo-$wire
    ip netns add "$namespace" || { namespace=''; return 1; }
    ip link add "${wire}p" type veth peer name "${wire}s" netns "$namespace" || return 1
    sysctl --quiet --write "net.ipv6.conf.${wire}p.disable_ipv6=1" || true
    ip netns exec "$namespace" sysctl --quiet --write "net.ipv6.conf.${wire}s.disable_ipv6=1" || true
    # As wide as an XDP program on such a wire takes.
    ip link set "${wire}p" arp off mtu 3400 up && ip -n "$namespace" link set "${wire}s" arp off mtu 3400 up
}

if [[ $kind != pcap ]] && ! lay_wire 2>"$work/wire.log"; then
    warn "no virtual wire can be made here ($(tail -1 "$work/wire.log")): a port that reads the capture shows the same"
    kind=pcap
fi

# Captures of Ethernet frames, from the larger collection where it lies beside this folder.
captures=()
for name in ipfixprobe/mixed.pcap ipfixprobe/http.pcap ipfixprobe/dns.pcap ipfixprobe/ntp.pcap ipfixprobe/rtsp.pcap \
    ipfixprobe/sip.pcap ipfixprobe/smtp.pcap zeek/sshguess.pcap zeek/ipv4.pcap community-id/icmp.pcap \
    community-id/icmp6.pcap community-id/sctp.pcap community-id/tcp.pcap arkime/tcp_handshake_synthetic.pcap; do
    for folder in ../shared/captures tests/captures; do
        [[ -f $folder/$name ]] || continue
        captures+=("$folder/$name")
        break
    done
done
((${#captures[@]})) || die "no captures in tests/captures"

# --- receiver --------------------------------------------------------------------------------------------------------

step "1  A receiver of spans: OTLP over gRPC, every span checked"
.venv/bin/python tests/receiver/otlp_receiver.py --ready "$work/port" --show 12 >"$work/spans.txt" 2>"$work/receiver.log" &
receiver_pid=$!
until_true "the receiver" 15 test -f "$work/port"
receiver=grpc://127.0.0.1:$(<"$work/port")
note "listens on ${receiver#grpc://}"

# --- probe -----------------------------------------------------------------------------------------------------------

case $kind in
    pcap) ports=() number=0 sent=0
          for capture in "${captures[@]:0:4}"; do
              ports+=(--port "net_pcap$number,rx_pcap=$root/$capture,name=wire$number")
              number=$((number + 1))
              # The independent counts beside it know how many packets it has.
              sent=$((sent + $(sed -n 's/^ *"packets": \([0-9]*\).*/\1/p' "$capture.expected.json")))
          done ;;
    *) ports=(--port "net_${kind}0,iface=${wire}p,name=span") ;;
esac
step "2  The probe: a DPDK port polled on a core of its own"
command=("$TAPSPAN" run "${ports[@]}" --export "$receiver" --http 127.0.0.1:0 --capacity 64k)
note "tapspan run ${ports[*]} --export $receiver"
"${command[@]}" >"$work/ledger.txt" 2>"$work/probe.log" &
probe_pid=$!
until_true "the probe" 30 grep -q 'polling' "$work/probe.log"
endpoint=$(sed -n 's/.*control endpoint on \(http:[^ ]*\).*/\1/p' "$work/probe.log" | head -1)
until_true "the probe" 10 api --output /dev/null "$endpoint/readyz"
note "control endpoint on $endpoint"

# --- traffic ---------------------------------------------------------------------------------------------------------

rx_at_least() { (($(api "$endpoint/api/v1/ledger" | sed 's/.*"rx_packets":\([0-9]*\).*/\1/') >= $1)); }

if [[ $kind == pcap ]]; then
    step "3  Traffic: the ports read $number real captures"
else
    step "3  Traffic: ${#captures[@]} real captures, sent into the other end of the wire"
    ip netns exec "$namespace" tcpreplay --quiet --pps=2000 --intf1 "${wire}s" "${captures[@]}" >"$work/replay.log" 2>&1 &
    replay_pid=$!
    wait "$replay_pid" || die "tcpreplay failed: $(tail -3 "$work/replay.log")"
    replay_pid=''
    sent=$(sed -n 's/^Actual: \([0-9]*\) packets.*/\1/p' "$work/replay.log")
fi
until_true "all packets" 10 rx_at_least "$sent"
note "$sent packets sent, all of them received"

step "4  While it runs: GET $endpoint/api/v1/ledger"
api "$endpoint/api/v1/ledger" | python3 -m json.tool --indent 2 | sed 's/^/    /'
step "   and the busiest conversations now: GET $endpoint/api/v1/flows?limit=3&sort=packets"
api "$endpoint/api/v1/flows?limit=3&sort=packets" | python3 -c '
import json, sys
for flow in json.load(sys.stdin)["flows"]:
    ends = ["{address} port {port}".format(**flow[side]) for side in ("source", "destination")]
    there, back = (flow[way]["packets"] for way in ("forward", "reverse"))
    print("   ", flow["transport"], " with ".join(ends) + ":", there, "packets there,", back, "back")' || true

if [[ $stay == yes ]]; then
    step "   The probe goes on. Try, in another terminal:"
    cat <<TEXT
    curl -s $endpoint/api/v1/status
    curl -s $endpoint/api/v1/flows?transport=tcp
    curl -s $endpoint/metrics
    curl -s -X POST $endpoint/api/v1/flush
    curl -s -X PATCH -H 'content-type: application/json' -d '{"active_timeout": "5s"}' $endpoint/api/v1/timeouts
TEXT
    read -r -p "    Enter ends it. " || true
fi

# --- end -------------------------------------------------------------------------------------------------------------

step "5  SIGTERM: the probe drains, exports what it knows, and prints its ledger"
kill -TERM "$probe_pid"
code=0
wait "$probe_pid" || code=$?
probe_pid=''
sed 's/^/    /' "$work/ledger.txt"
((code == 0)) || die "tapspan ended with $code$(last_words)"

step "6  What arrived at the receiver"
kill -TERM "$receiver_pid"
wait "$receiver_pid" || die "the receiver refused spans: $(<"$work/receiver.log")"
receiver_pid=''
sed 's/^\(.\)/    \1/' "$work/spans.txt"

step "Done in $((SECONDS - began)) s"
cat <<TEXT
    A probe of your own:     target/release/tapspan run --port net_af_packet0,iface=eth1 --export grpc://localhost:4317
    Its control endpoint:    curl -s http://127.0.0.1:8277/api/v1/ledger   (status, ports, workers, flows, latency, ...)
                             curl -s http://127.0.0.1:8277/metrics
    A capture file:          target/release/tapspan replay capture.pcap
    The same, to look round: scripts/demo.sh --stay
TEXT
