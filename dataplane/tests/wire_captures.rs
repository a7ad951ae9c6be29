//! Reader and parser against independent counts: every packet of a capture is in the flow, with the octets and at the
//! time, that tshark gives it (`NAME.expected.json` beside the capture), in tunnels and out of them; the tunnels are those
//! tshark tells; ICMP errors quote flows of their capture, and ICMP has the "ports" of the Community ID baseline.

#![expect(clippy::unwrap_used, reason = "test helpers outside of test functions")]

use dataplane::source::capture::{CaptureError, CaptureReader};
use dataplane::wire::{self, Beside, ParseOptions};
use flowtable::{Direction, FlowKey, NetworkError, Packet, PortId, TunnelKind};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

#[path = "../../tests/captures/exceptions.rs"]
mod exceptions;

use exceptions::EXCEPTIONS;

/// What tshark tells of the outermost tunnels of a capture: their kind and id, how many packets are in one, and in how
/// many of them is an IP packet.
const TUNNELS: [(&str, TunnelKind, Option<u32>, usize, usize); 14] = [
    ("arkime/gtp-u.pcap", TunnelKind::Gtp, Some(1), 102, 102),
    ("zeek/4in6.pcap", TunnelKind::Ipip, None, 1, 1),
    ("zeek/6in4.pcap", TunnelKind::Ipip, None, 1, 1),
    ("zeek/erspanII.pcap", TunnelKind::Erspan, Some(100), 4, 4),
    ("zeek/erspanIII.pcap", TunnelKind::Erspan, Some(0), 2, 2),
    ("zeek/geneve-arp.pcap", TunnelKind::Geneve, Some(1), 1, 0),
    ("zeek/geneve-ipv6.pcap", TunnelKind::Geneve, Some(0x12_3456), 2, 2),
    ("zeek/geneve-vxlan-dns-truncated.pcap", TunnelKind::Geneve, Some(4242), 2, 2),
    ("zeek/geneve.pcap", TunnelKind::Geneve, Some(0), 6, 6),
    ("zeek/gre-erspan3-dot1q.pcap", TunnelKind::Erspan, Some(0), 2, 2),
    ("zeek/gre-sample.pcap", TunnelKind::Gre, None, 40, 40),
    ("zeek/gtp7_ipv6.pcap", TunnelKind::Gtp, Some(0x9136_4467), 2, 2),
    ("zeek/ping6-in-ipv4.pcap", TunnelKind::Ipip, None, 10, 10),
    ("zeek/vxlan.pcap", TunnelKind::Vxlan, Some(123), 10, 8),
];

/// Protocol (`None` for those that are not told apart), addresses and ports of a flow as the counts are keyed.
type Key = (Option<u8>, IpAddr, u16, IpAddr, u16);
/// Packets and octets one way, packets and octets the other.
type Counts = [u64; 4];

/// What is compared of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    counts: Counts,
    first_ns: u64,
    last_ns: u64,
}

impl Default for Seen {
    fn default() -> Seen {
        Seen { counts: [0; 4], first_ns: u64::MAX, last_ns: 0 }
    }
}

impl Seen {
    fn during(&mut self, first_ns: u64, last_ns: u64) {
        self.first_ns = self.first_ns.min(first_ns);
        self.last_ns = self.last_ns.max(last_ns);
    }
}

#[test]
fn captures_of_this_repository_agree_with_tshark() {
    let compared = compare_folder(&workspace().join("tests/captures"));
    assert!(compared >= 25, "only {compared} captures were compared");
}

#[test]
fn captures_beside_the_workspace_agree_with_tshark() {
    let beside = std::env::var_os("TAPSPAN_CAPTURES")
        .map_or_else(|| workspace().join("../shared/captures"), PathBuf::from);
    if beside.is_dir() {
        println!("{} captures compared in {}", compare_folder(&beside), beside.display());
    }
}

#[test]
fn tunnels_of_captures_are_those_tshark_tells() {
    for (name, kind, id, inside, reached) in TUNNELS {
        let mut tunnels = Vec::new();
        each_packet(&workspace().join("tests/captures").join(name), |packet, beside| {
            tunnels.extend(beside.tunnel.map(|tunnel| (tunnel, packet.key.tunnel)));
        })
        .unwrap();
        assert_eq!(tunnels.len(), inside, "{name}");
        assert!(tunnels.iter().all(|(tunnel, _)| (tunnel.kind, tunnel.id) == (kind, id)), "{name}");
        let keyed = tunnels.iter().filter(|(tunnel, word)| *word == tunnel.key_word());
        assert_eq!(keyed.count(), reached, "{name}");
    }
}

#[test]
fn icmp_errors_in_a_tunnel_quote_flows_in_it() {
    let (mut keys, mut quotes) = (HashSet::new(), Vec::new());
    each_packet(&workspace().join("tests/captures/zeek/gre-sample.pcap"), |packet, beside| {
        keys.insert(packet.key);
        quotes.extend(beside.quote);
    })
    .unwrap();
    assert_eq!(
        quotes.iter().map(|quote| quote.error).collect::<Vec<_>>(),
        [NetworkError::PortUnreachable; 2]
    );
    assert!(quotes.iter().all(|quote| keys.contains(&quote.key)));
}

#[test]
fn icmp_has_the_ports_of_the_community_id_baseline() {
    let folder = workspace().join("tests/captures/community-id");
    let baseline = read_json(&folder.join("baseline_deflt.json"));
    let mut found = HashSet::new();
    for name in ["icmp", "icmp6", "ipv6", "rsvp", "sctp", "tcp", "udp"] {
        for packet in packets(&folder.join(name).with_extension("pcap")).unwrap() {
            let source = packet.key.sender(packet.direction);
            let destination = packet.key.sender(packet.direction.flipped());
            let addresses = (packet.key.ip(source.address), packet.key.ip(destination.address));
            found.insert((packet.key.protocol, addresses.0, source.port, addresses.1, destination.port));
        }
    }
    for tuple in baseline.as_array().unwrap().iter().map(baseline_tuple) {
        assert!(found.contains(&tuple), "{tuple:?} is not among the packets");
    }
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn baseline_tuple(row: &Value) -> (u8, IpAddr, u16, IpAddr, u16) {
    let address = |name: &str| row[name].as_str().unwrap().parse().unwrap();
    let port = |name: &str| u16::try_from(row[name].as_u64().unwrap_or(0)).unwrap();
    let protocol = u8::try_from(row["proto"].as_u64().unwrap()).unwrap();
    (protocol, address("saddr"), port("sport"), address("daddr"), port("dport"))
}

/// Reads every capture under `root` and compares it unless all of it is excepted; gives the number compared.
fn compare_folder(root: &Path) -> usize {
    let mut compared = 0;
    let mut faults = Vec::new();
    for expected in expectations(root) {
        let capture = PathBuf::from(expected.to_str().unwrap().strip_suffix(".expected.json").unwrap());
        let name = capture.strip_prefix(root).unwrap().to_str().unwrap();
        let expected = read_json(&expected);
        let excepted = EXCEPTIONS.iter().filter(|(exception, ..)| *exception == name);
        let excepted: Vec<&str> = excepted.map(|(_, address, _)| *address).collect();
        let got = packets(&capture);
        if excepted != [""] {
            compared += 1;
            faults.extend(
                compare(&got.unwrap(), &expected, &excepted).iter().map(|fault| format!("{name}: {fault}")),
            );
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    compared
}

fn expectations(root: &Path) -> Vec<PathBuf> {
    let entries = |folder: &Path| {
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>()
    };
    let mut found: Vec<PathBuf> = entries(root)
        .iter()
        .filter(|path| path.is_dir())
        .flat_map(|folder| entries(folder))
        .filter(|path| path.to_str().unwrap().ends_with(".expected.json"))
        .collect();
    found.sort();
    found
}

/// Shows each packet of a flow in `capture` to `look`, with what there is beside it.
fn each_packet(capture: &Path, mut look: impl FnMut(Packet, &Beside)) -> Result<(), CaptureError> {
    let mut reader = CaptureReader::open(capture)?;
    let options = ParseOptions::default();
    let (nothing, mut beside) = (Beside::default(), Beside::default());
    while let Some(frame) = reader.next()? {
        let (data, wire_len) = (frame.data, frame.wire_len);
        let parsed = wire::parse(frame.link, data, wire_len, frame.at, PortId(0), &options, &mut beside);
        if let Ok(parsed) = parsed {
            look(parsed.packet, if parsed.beside { &beside } else { &nothing });
        }
    }
    Ok(())
}

fn packets(capture: &Path) -> Result<Vec<Packet>, CaptureError> {
    let mut packets = Vec::new();
    each_packet(capture, |packet, _| packets.push(packet))?;
    Ok(packets)
}

/// What differs between `packets` and the `expected` counts, but for flows of one of the `excepted` addresses.
fn compare(packets: &[Packet], expected: &Value, excepted: &[&str]) -> Vec<String> {
    let notes = &expected["notes"];
    let coarse = ["fragments", "odd", "truncated"].iter().any(|note| notes.get(note).is_some());
    let (want, got) = (counted_by_tshark(expected, coarse), counted(packets, coarse));
    let keys: BTreeSet<Key> = want.keys().chain(got.keys()).copied().collect();
    let is_excepted = |key: &&Key| {
        excepted.iter().any(|address| [key.1.to_string(), key.3.to_string()].iter().any(|end| end == address))
    };
    let mut faults = Vec::new();
    for &key in keys.iter().filter(|key| !is_excepted(key)) {
        let [want, got] = [&want, &got].map(|flows| undirected(key, flows.get(&key).copied()));
        if want != got {
            faults.push(format!("{key:?}: expected {want:?}, got {got:?}"));
        }
    }
    faults
}

fn counted(packets: &[Packet], coarse: bool) -> BTreeMap<Key, Seen> {
    let mut flows: BTreeMap<Key, Seen> = BTreeMap::new();
    for packet in packets {
        let place = match packet.direction {
            Direction::LoToHi => 0,
            Direction::HiToLo => 2,
        };
        let seen = flows.entry(fold(flow(&packet.key), coarse)).or_default();
        seen.counts[place] += 1;
        seen.counts[place + 1] += u64::from(packet.bytes);
        seen.during(packet.at.0, packet.at.0);
    }
    flows
}

fn counted_by_tshark(expected: &Value, coarse: bool) -> BTreeMap<Key, Seen> {
    let mut flows: BTreeMap<Key, Seen> = BTreeMap::new();
    for (key, entry) in expected["flows"].as_object().unwrap() {
        let seen = flows.entry(fold(expected_flow(key), coarse)).or_default();
        let values = ["a2b", "b2a"].iter().flat_map(|way| entry[way].as_array().unwrap());
        for (count, value) in seen.counts.iter_mut().zip(values) {
            *count += value.as_u64().unwrap();
        }
        seen.during(entry["first"].as_u64().unwrap(), entry["last"].as_u64().unwrap());
    }
    flows
}

fn flow(key: &FlowKey) -> Key {
    (Some(key.protocol), key.ip(key.lo_address), key.lo_port, key.ip(key.hi_address), key.hi_port)
}

/// A flow written as "protocol|address|port|address|port"; protocol -1 is one tshark gave no number for.
fn expected_flow(key: &str) -> Key {
    let parts: Vec<&str> = key.split('|').collect();
    let address = |part: usize| parts[part].parse().unwrap();
    let port = |part: usize| parts[part].parse().unwrap();
    (parts[0].parse().ok(), address(1), port(2), address(3), port(4))
}

/// Takes away what the counts do not tell apart: ports of protocols without, and protocols other than the usual.
fn fold((protocol, a, a_port, b, b_port): Key, coarse: bool) -> Key {
    let ported = matches!(protocol, Some(6 | 17 | 132)) && !coarse;
    let protocol = protocol.filter(|protocol| matches!(protocol, 6 | 17 | 132 | 1 | 58));
    (protocol, a, if ported { a_port } else { 0 }, b, if ported { b_port } else { 0 })
}

/// Between two equal ends there are no directions to tell apart.
fn undirected((_, a, a_port, b, b_port): Key, seen: Option<Seen>) -> Option<Seen> {
    let mut seen = seen?;
    if (a, a_port) == (b, b_port) {
        let [packets, octets, packets_back, octets_back] = seen.counts;
        seen.counts = [packets + packets_back, octets + octets_back, 0, 0];
    }
    Some(seen)
}
