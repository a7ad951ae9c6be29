//! Reader and parser against independent counts: every packet of a capture is in the flow, with the octets and at the
//! time, that tshark gives it (`NAME.expected.json` beside the capture), and ICMP has the "ports" of the Community ID
//! baseline.

#![expect(clippy::unwrap_used, reason = "test helpers outside of test functions")]

use dataplane::source::capture::{CaptureError, CaptureReader};
use dataplane::wire::{self, Beside, ParseOptions};
use flowtable::{Direction, FlowKey, Packet, PortId};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Captures whose counts are not compared, and why.
const EXCEPTIONS: [(&str, &str); 1] = [("arkime/80211http.pcap", "IEEE 802.11 frames are refused")];

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

/// Compares every capture under `root` that has neither tunnels nor fragments; gives their number.
fn compare_folder(root: &Path) -> usize {
    let mut compared = 0;
    let mut faults = Vec::new();
    for expected in expectations(root) {
        let capture = PathBuf::from(expected.to_str().unwrap().strip_suffix(".expected.json").unwrap());
        let name = capture.strip_prefix(root).unwrap().to_str().unwrap();
        let expected = read_json(&expected);
        let notes = &expected["notes"];
        if notes.get("tunnelled").is_some() || notes.get("fragments").is_some() {
            assert!(packets(&capture).is_ok(), "{name} is read to its end");
            continue;
        }
        if EXCEPTIONS.iter().any(|(exception, _)| *exception == name) {
            continue;
        }
        match compare(&capture, &expected) {
            Ok(()) => compared += 1,
            Err(fault) => faults.push(format!("{name}: {fault}")),
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

fn packets(capture: &Path) -> Result<Vec<Packet>, CaptureError> {
    let mut reader = CaptureReader::open(capture)?;
    let options = ParseOptions::default();
    let mut packets = Vec::new();
    while let Some(frame) = reader.next()? {
        let parsed = wire::parse(
            frame.link,
            frame.data,
            frame.wire_len,
            frame.at,
            PortId(0),
            &options,
            &mut Beside::default(),
        );
        packets.extend(parsed.ok().map(|parsed| parsed.packet));
    }
    Ok(packets)
}

fn compare(capture: &Path, expected: &Value) -> Result<(), String> {
    let notes = &expected["notes"];
    let coarse = notes.get("odd").is_some() || notes.get("truncated").is_some();
    let mut got: BTreeMap<Key, Seen> = BTreeMap::new();
    for packet in packets(capture).map_err(|error| error.to_string())? {
        let place = match packet.direction {
            Direction::LoToHi => 0,
            Direction::HiToLo => 2,
        };
        let seen = got.entry(fold(flow(&packet.key), coarse)).or_default();
        seen.counts[place] += 1;
        seen.counts[place + 1] += u64::from(packet.bytes);
        seen.during(packet.at.0, packet.at.0);
    }
    let mut want: BTreeMap<Key, Seen> = BTreeMap::new();
    for (key, entry) in expected["flows"].as_object().unwrap() {
        let seen = want.entry(fold(expected_flow(key), coarse)).or_default();
        let values = ["a2b", "b2a"].iter().flat_map(|way| entry[way].as_array().unwrap());
        for (count, value) in seen.counts.iter_mut().zip(values) {
            *count += value.as_u64().unwrap();
        }
        seen.during(entry["first"].as_u64().unwrap(), entry["last"].as_u64().unwrap());
    }
    let keys: BTreeSet<_> = want.keys().chain(got.keys()).copied().collect();
    for key in keys {
        let [want, got] = [&want, &got].map(|flows| undirected(key, flows.get(&key).copied()));
        if want != got {
            return Err(format!("{key:?}: expected {want:?}, got {got:?}"));
        }
    }
    Ok(())
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
