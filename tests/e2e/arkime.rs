//! Sessions of Arkime against spans: Community ID, packets each side sent, TCP flags and windows, the initial round trip,
//! tunnels, VLANs.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::support::{FlowSpan, Pcap, folder, read_file, replay, repository, shared};

/// Captures whose sessions are not compared, and why.
const CAPTURES_LEFT_OUT: [(&str, &str); 1] = [("80211http", "IEEE 802.11 is not read")];

/// Sessions that are not compared, by Community ID, and why.
const SESSIONS_LEFT_OUT: [(&str, &str); 9] = [
    ("1:Nk/oKoK/lv8ZLK4Pnc+afcBFVDs=", "NSH and Cisco metadata in Ethernet are other Ethernet types"),
    ("1:Ymtm3YQjywobuzKtr4Y42SrOwwQ=", "ERSPAN straight in Ethernet, without GRE, is another Ethernet type"),
    ("1:DdgAlUXStLaoesHKj7JCXRbqz6E=", "inside VXLAN-GPE on a port that is not configured"),
    ("1:I2w63mD2xefFkS1TwNGFrn61NcI=", "one of its two packets is in VXLAN-GPE, which Arkime enters"),
    ("1:9uNdsDdNvLKTmin0AyKIJEYCe2Y=", "ESP: Arkime hashes ports of 0, the published algorithm no ports"),
    (
        "1:A7Xl4ONhedu0l7yxqNdAvDtpru8=",
        "a UDP datagram with a length of 0: its ports are whole, Arkime ignores them",
    ),
    ("1:t9O1j0qj71O4wJM7gnaHtgmfev8=", "DHCP, which Arkime tells apart by transaction rather than by tuple"),
    (
        "1:4qiuUiapfKrMDVDHhw0iOgvogqI=",
        "Arkime has one session of all ICMP between two hosts; here its errors are a flow of their own",
    ),
    (
        "1:R7F0MUT6ZV1iG5f3xJ0Pro45tts=",
        "an ICMPv6 error: Arkime sorts its ends, the published algorithm leaves one-way messages as they are",
    ),
];

/// Sessions whose initial round trip is not compared, by Community ID, and why.
const ROUND_TRIPS_LEFT_OUT: [(&str, &str); 5] = [
    ("1:lQu4eItRVzJPMdKYJOGUd2KVJeY=", DATA_COMPLETES),
    ("1:PowNG+/w9R70G1zQYppCilWCIbA=", DATA_COMPLETES),
    ("1:6dv0o7rP+P7JpwsdDB2XcwJUdj0=", "the ACK that ends it for Arkime is a challenge of the responder"),
    ("1:tlps7r8++nxT2UM66HmKbovFgDA=", "the ACK that ends it for Arkime acknowledges something else"),
    ("1:fokf25l3IkqiI1m2piIzRALLx78=", "the SYN/ACK comes before the SYN: only its answer is timed"),
];

const DATA_COMPLETES: &str =
    "the SYN/ACK is answered by a segment with data; Arkime waits for the next one without";

/// Arkime's way of telling flows apart: neither by VLAN nor by tunnel.
const AS_ARKIME: [&str; 4] = ["--set", "flow.key_vlan=false", "--set", "flow.key_tunnel=false"];

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

/// Packets each side sent. What is no IP, or has no id because Arkime knows none for its protocol, cannot be looked up among
/// spans and is left out.
fn packets_of(sessions: &[&Value]) -> Packets {
    let mut packets = Packets::default();
    for session in sessions {
        for side in ["source", "destination"] {
            if let Some(address) = session[side]["ip"].as_str() {
                packets.add(address, session[side]["packets"].as_u64().unwrap_or(0));
            }
        }
    }
    packets
}

fn packets_in(spans: &[&FlowSpan]) -> Packets {
    let mut packets = Packets::default();
    for span in spans {
        let [there, back] = span.packets();
        packets.add(span.text("source.address"), there);
        packets.add(span.text("destination.address"), back);
    }
    packets
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

/// What is held against the spans of a session.
type Check = fn(&[&Value], &[&FlowSpan]) -> Result<(), String>;

/// Replays every capture and holds each of its sessions against the spans with its Community ID; both may be several.
fn each_session(flags: &[&str], left_out: &[(&str, &str)], check: Check) {
    let (folder, mut compared, mut wrong) = (folder(), 0, Vec::new());
    for file in tests_in(&shared("captures/arkime").unwrap_or_else(own)) {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        if CAPTURES_LEFT_OUT.iter().any(|(left_out, _)| *left_out == name) {
            continue;
        }
        let spans = folder.path().join(&name);
        replay(&[&in_order(&file.with_extension("pcap"), folder.path())], &spans, flags).ok().balanced();
        let spans = read_file(&spans);
        let sessions = sessions(&file);
        let ids: BTreeSet<_> = sessions.iter().filter_map(community_id).collect();
        for id in
            ids.into_iter().filter(|id| ![left_out, &SESSIONS_LEFT_OUT].iter().any(|list| is_in(list, id)))
        {
            let sessions: Vec<_> =
                sessions.iter().filter(|session| community_id(session) == Some(id)).collect();
            let spans: Vec<_> = spans.iter().filter(|span| span.text("flow.community_id") == id).collect();
            compared += 1;
            wrong.extend(check(&sessions, &spans).err().map(|fault| format!("{name}: {id}: {fault}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    eprintln!("{compared} sessions compared");
    assert!(compared >= 7);
}

fn community_id(session: &Value) -> Option<&str> {
    session["network"]["community_id"].as_str()
}

fn is_in(list: &[(&str, &str)], id: &str) -> bool {
    list.iter().any(|(left_out, _)| *left_out == id)
}

/// The same capture with its packets in the order of their times: latencies of packets stamped years before others of the
/// file are not those of the network.
fn in_order(capture: &Path, folder: &Path) -> PathBuf {
    let Some(mut pcap) = Pcap::read(capture) else { return capture.to_owned() };
    if pcap.is_in_order() {
        return capture.to_owned();
    }
    pcap.sort();
    let sorted = folder.join("sorted.pcap");
    pcap.write(&sorted);
    sorted
}

#[test]
fn packets_of_each_side_of_every_session_are_those_of_the_spans_with_its_id() {
    each_session(&[], &[], |sessions, spans| agree(&packets_of(sessions), &packets_in(spans)));
}

fn agree<T: PartialEq + std::fmt::Debug>(expected: &T, found: &T) -> Result<(), String> {
    if expected == found { Ok(()) } else { Err(format!("Arkime says {expected:?}, spans {found:?}")) }
}

/// Arkime counts ACK only where it stands alone or with SYN, so where it counts none there may still be some.
#[test]
fn flags_of_every_connection_are_those_arkime_counts() {
    each_session(&[], &[], |sessions, spans| {
        let counted =
            |flag: &str| sessions.iter().any(|session| session["tcpflags"][flag].as_u64() > Some(0));
        let tags: BTreeSet<_> = spans.iter().flat_map(|span| span.texts("flow.tcp.flags.tags")).collect();
        let has = |tag: &str| tags.contains(tag);
        let mut wrong = Vec::new();
        for flag in ["fin", "rst", "psh", "urg", "ece", "cwr"] {
            if counted(flag) != has(&flag.to_uppercase()) {
                wrong.push(flag);
            }
        }
        if (counted("syn") || counted("syn-ack")) != has("SYN") {
            wrong.push("syn");
        }
        if (counted("ack") || counted("syn-ack")) && !has("ACK") {
            wrong.push("ack");
        }
        if wrong.is_empty() { Ok(()) } else { Err(format!("{wrong:?} of {tags:?}")) }
    });
}

#[test]
fn zero_windows_of_each_side_are_those_arkime_counts() {
    each_session(&[], &[], |sessions, spans| {
        let (mut expected, mut found) = (Packets::default(), Packets::default());
        for session in sessions {
            for (side, count) in [("source", "srcZero"), ("destination", "dstZero")] {
                expected.add(
                    session[side]["ip"].as_str().unwrap(),
                    session["tcpflags"][count].as_u64().unwrap_or(0),
                );
            }
        }
        for span in spans {
            found.add(span.text("source.address"), span.number("flow.tcp.zero_windows"));
            found.add(span.text("destination.address"), span.number("flow.reverse.tcp.zero_windows"));
        }
        agree(&expected, &found)
    });
}

/// Arkime's is half of what lies between the SYN and the first ACK after it, each cut to whole milliseconds before.
#[test]
fn the_initial_round_trip_of_every_connection_is_that_of_arkime_to_its_last_digit() {
    each_session(&AS_ARKIME, &ROUND_TRIPS_LEFT_OUT, |sessions, spans| {
        let measured = |span: &&FlowSpan| {
            let (snd, cnd) = ("flow.tcp.handshake.snd.latency", "flow.tcp.handshake.cnd.latency");
            (span.has(snd) && span.has(cnd)).then(|| (span.number(snd) + span.number(cnd)) / 1_000_000)
        };
        let measured: BTreeSet<u64> = spans.iter().filter_map(measured).collect();
        for expected in sessions.iter().filter_map(|session| session["initRTT"].as_u64()) {
            // Cutting both ends moves the difference to the next millisecond at most.
            if !measured.iter().any(|ms| [ms / 2, ms.div_ceil(2)].contains(&expected)) {
                return Err(format!("Arkime says {expected} ms, twice that is not among {measured:?} ms"));
            }
        }
        Ok(())
    });
}

/// Also: where Arkime knows of no tunnel, there is none.
#[test]
fn tunnels_of_every_session_have_the_outer_addresses_and_ids_arkime_gives() {
    each_session(&["--set", "span.include=tunnel.*"], &[], |sessions, spans| {
        let ends = ["tunnel.source.address", "tunnel.destination.address"];
        let found = |keys: &[&str]| -> BTreeSet<String> {
            let values = spans
                .iter()
                .flat_map(|span| keys.iter().filter(|key| span.has(key)).map(|key| span.text(key)));
            values.map(str::to_owned).collect()
        };
        let given = |fields: &[&str]| -> BTreeSet<String> {
            let lists = sessions
                .iter()
                .flat_map(|session| fields.iter().filter_map(|field| session[*field].as_array()));
            lists
                .flatten()
                .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
                .collect()
        };
        agree(&given(&["srcOuterIp", "dstOuterIp"]), &found(&ends))?;
        // Of VNIs it leaves out 0, of other ids it gives none.
        let known = spans.iter().filter(|span| span.has("tunnel.type"));
        let has_vni = known.clone().any(|span| ["vxlan", "geneve"].contains(&span.text("tunnel.type")));
        let ids = if has_vni { found(&["tunnel.id"]) } else { BTreeSet::new() };
        agree(&given(&["vni"]), &ids.into_iter().filter(|id| id != "0").collect())
    });
}

/// Arkime keeps one session whatever the tags and tunnels; here each VLAN and each VNI of it is a flow, unless the setting
/// says otherwise.
#[test]
fn a_session_in_two_vlans_or_tunnels_is_two_flows_or_one_as_the_setting_says() {
    for (name, setting) in [("oracle", "flow.key_vlan"), ("tcpdump-geneve", "flow.key_tunnel")] {
        let sessions = sessions(&own().join(name).with_extension("test"));
        let folder = folder();
        for (value, flows) in [("true", 2), ("false", 1)] {
            let spans = folder.path().join(value);
            let flag = format!("{setting}={value}");
            replay(&[&own().join(name).with_extension("pcap")], &spans, &["--set", &flag]).ok();
            let spans = read_file(&spans);
            for session in &sessions {
                let id = community_id(session).unwrap();
                let spans: Vec<_> =
                    spans.iter().filter(|span| span.text("flow.community_id") == id).collect();
                let traces: HashSet<_> = spans.iter().map(|span| &span.trace_id).collect();
                assert_eq!(traces.len(), flows, "{name} with {flag}: {id}");
                assert_eq!(packets_in(&spans), packets_of(&[session]), "{name} with {flag}: {id}");
            }
        }
    }
}
