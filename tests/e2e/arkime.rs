//! Sessions of Arkime against spans: Community ID, packets each side sent, VLANs.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::support::{FlowSpan, folder, read_file, replay, repository, shared};

/// Captures whose sessions are not compared, and why.
const CAPTURES_LEFT_OUT: &[(&str, &str)] = &[
    ("80211http", "IEEE 802.11 is not read"),
    ("gre-sample", "its sessions are inside GRE, which is not entered yet"),
    ("gtp-iphone", "its sessions are inside GTP, which is not entered yet"),
    ("gtp-u", "its session is inside GTP, which is not entered yet"),
    ("tcpdump-geneve", "its sessions are inside Geneve, which is not entered yet"),
];

const IN_TUNNEL: &str = "inside a tunnel that is not entered yet";

/// Sessions that are not compared, by Community ID, and why.
const SESSIONS_LEFT_OUT: &[(&str, &str)] = &[
    ("1:7xHB7MWKM0J/sHdibLFAey3nit8=", IN_TUNNEL),
    ("1:3zHsalox686dE0F9nRKkkKuf4B8=", IN_TUNNEL),
    ("1:Ymtm3YQjywobuzKtr4Y42SrOwwQ=", IN_TUNNEL),
    ("1:W7ZhN5L5iPrziadD2arlpRzMS50=", IN_TUNNEL),
    ("1:YcNEMA/rq/U0SAW6QE33tlnNRcY=", IN_TUNNEL),
    ("1:Nk/oKoK/lv8ZLK4Pnc+afcBFVDs=", IN_TUNNEL),
    ("1:oho3/Sf11N/E9Lx7WeGERUAqPz4=", IN_TUNNEL),
    ("1:aEIVqm70S0yZzEOF7P4Rz9xjbHc=", IN_TUNNEL),
    ("1:TcShqzqeYZxSHxZ0jyxZLwcyenk=", IN_TUNNEL),
    ("1:aBAgm5InfkEqEKG2FpH7Q9PBYxo=", IN_TUNNEL),
    ("1:sm9oShS7cbceSegW0D/O9hflRsM=", IN_TUNNEL),
    ("1:DdgAlUXStLaoesHKj7JCXRbqz6E=", IN_TUNNEL),
    ("1:Dv/x9XhMY8YC/aOsSRRusSZf2+w=", IN_TUNNEL),
    ("1:I2w63mD2xefFkS1TwNGFrn61NcI=", "one of its two packets is in VXLAN-GPE, which Arkime enters"),
    ("1:ZcJitzVbIp2mHGVKPGnhx/pghMY=", "one of its two packets is in Geneve, which Arkime enters"),
    ("1:9uNdsDdNvLKTmin0AyKIJEYCe2Y=", "ESP: Arkime hashes ports of 0, the published algorithm no ports"),
    (
        "1:A7Xl4ONhedu0l7yxqNdAvDtpru8=",
        "a UDP datagram with a length of 0: its ports are whole, Arkime ignores them",
    ),
    ("1:t9O1j0qj71O4wJM7gnaHtgmfev8=", "DHCP, which Arkime tells apart by transaction rather than by tuple"),
];

/// What a session and the spans of its flows have to agree on.
#[derive(Debug, Default, PartialEq, Eq)]
struct Packets(BTreeMap<IpAddr, u64>);

impl Packets {
    fn add(&mut self, address: &str, packets: u64) {
        let address = address.split('%').next().unwrap_or(address).parse().expect("an address");
        if packets > 0 {
            *self.0.entry(address).or_default() += packets;
        }
    }
}

fn sessions(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap();
    let test: Value = serde_json::from_str(&text).unwrap();
    test["sessions3"].as_array().unwrap().iter().map(|session| session["body"].clone()).collect()
}

/// Packets each side sent, by Community ID. What is no IP, or has no id because Arkime knows none for its protocol,
/// cannot be looked up among spans and is left out.
fn expected(sessions: &[Value]) -> BTreeMap<String, Packets> {
    let mut expected = BTreeMap::<String, Packets>::new();
    for session in sessions {
        let Some(id) = session["network"]["community_id"].as_str() else { continue };
        if SESSIONS_LEFT_OUT.iter().any(|(left_out, _)| *left_out == id) {
            continue;
        }
        let packets = expected.entry(id.to_owned()).or_default();
        for side in ["source", "destination"] {
            if let Some(address) = session[side]["ip"].as_str() {
                packets.add(address, session[side]["packets"].as_u64().unwrap_or(0));
            }
        }
    }
    expected
}

fn found(spans: &[FlowSpan]) -> BTreeMap<String, Packets> {
    let mut found = BTreeMap::<String, Packets>::new();
    for span in spans {
        let packets = found.entry(span.text("flow.community_id").to_owned()).or_default();
        let [there, back] = span.packets();
        packets.add(span.text("source.address"), there);
        packets.add(span.text("destination.address"), back);
    }
    found
}

fn own() -> PathBuf {
    repository().join("tests/e2e/data/arkime")
}

fn tests_in(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "test"));
    files.sort();
    files
}

#[test]
fn packets_of_each_side_of_every_session_are_those_of_the_spans_with_its_id() {
    let folder = folder();
    let mut compared = 0;
    for file in tests_in(&shared("captures/arkime").unwrap_or_else(own)) {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        if CAPTURES_LEFT_OUT.iter().any(|(left_out, _)| *left_out == name) {
            continue;
        }
        let spans = folder.path().join(&name);
        replay(&[&file.with_extension("pcap")], &spans, &[]).ok().balanced();
        let found = found(&read_file(&spans));
        for (id, packets) in expected(&sessions(&file)) {
            assert_eq!(found.get(&id), Some(&packets), "{name}: {id}");
            compared += 1;
        }
    }
    eprintln!("{compared} sessions compared");
    assert!(compared >= 5);
}

/// Arkime keeps one session whatever the tag; with `flow.key_vlan` each VLAN of it is a flow, without it is one.
#[test]
fn a_session_in_two_vlans_is_two_flows_or_one_as_the_setting_says() {
    let file = own().join("oracle.test");
    let sessions = sessions(&file);
    let [session] = &sessions[..] else { panic!("one session") };
    let vlans = session["network"]["vlan"]["id"].as_array().unwrap().len();
    assert_eq!(vlans, 2);
    let folder = folder();
    for (setting, flows) in [("flow.key_vlan=true", vlans), ("flow.key_vlan=false", 1)] {
        let spans = folder.path().join(setting);
        replay(&[&file.with_extension("pcap")], &spans, &["--set", setting]).ok();
        let spans = read_file(&spans);
        let traces: HashSet<_> = spans.iter().map(|span| &span.trace_id).collect();
        assert_eq!(traces.len(), flows, "{setting}");
        assert_eq!(found(&spans), expected(&sessions), "{setting}");
    }
}
