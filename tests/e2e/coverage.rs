//! Which capture shows which attribute: each one of the convention that a probe on the wire can know comes out of a capture
//! of this repository, with the convention's type.
//!
//! `tests/spec/coverage.md` is the list. `TAPSPAN_GOLDEN=rewrite` writes it anew; else it is compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::support::{
    Capture, FlowSpan, Pcap, Tapspan, captures, folder, own_captures, read_file, replay, repository,
};

/// The one group of the convention a probe on the wire knows nothing of.
const NOT_PRODUCED: &str = "Kubernetes & Application Attributes";
const TUNNELS_TOO: [&str; 2] = ["--set", "span.include=tunnel.*"];
/// Captures named for one attribute.
const NAMED: usize = 3;

/// Name and type of every attribute a capture has to show, in the order of the convention.
fn wanted() -> Vec<(&'static str, &'static str)> {
    const TABLE: &str = include_str!("../spec/attributes.csv");
    let rows = TABLE.lines().skip(1).filter(|line| !line.ends_with(NOT_PRODUCED));
    let row = |line: &'static str| {
        let mut columns = line.split(',');
        (columns.next().expect("a name"), columns.next().expect("a type"))
    };
    rows.map(row).collect()
}

#[test]
fn every_attribute_of_the_convention_comes_out_of_a_capture() {
    let mut shown = BTreeMap::<String, BTreeSet<String>>::new();
    let mut show = |name: &str, spans: &[FlowSpan]| {
        for (key, _) in spans.iter().flat_map(FlowSpan::types) {
            shown.entry(key.to_owned()).or_default().insert(name.to_owned());
        }
    };
    let folder = folder();
    let captures: Vec<_> = own_captures().into_iter().filter(|capture| !capture.is_refused()).collect();
    for capture in &captures {
        show(&capture.name, &spans_of(&capture.path, folder.path()));
    }
    for (name, frames) in made() {
        let file = folder.path().join("made.pcap");
        Pcap::of_frames(&frames).write(&file);
        show(&format!("(made) {name}"), &spans_of(&file, folder.path()));
    }
    let on_port = &captures[0];
    show(&format!("(on a port) {}", on_port.name), &on_a_port(on_port, folder.path()));

    let missing: Vec<_> = wanted().into_iter().filter(|(key, _)| !shown.contains_key(*key)).collect();
    assert!(missing.is_empty(), "no capture shows {missing:?}");
    let list = list(&shown);
    eprintln!("{list}");
    golden(&repository().join("tests/spec/coverage.md"), &list);
}

fn spans_of(capture: &Path, folder: &Path) -> Vec<FlowSpan> {
    let spans = folder.join("spans");
    // The exporter appends.
    let _ = fs::remove_file(&spans);
    replay(&[capture], &spans, &TUNNELS_TOO).ok().balanced();
    read_file(&spans)
}

/// An interface has an index only where it is one.
fn on_a_port(capture: &Capture, folder: &Path) -> Vec<FlowSpan> {
    let spans = folder.join("on-a-port");
    let port = format!("net_pcap0,rx_pcap={}", capture.path.display());
    let probe = Tapspan::polling(["--port", &port, "--export", &format!("file:{}", spans.display())]);
    probe.endpoint().ledger_with(capture.noted("packets"));
    probe.drain();
    read_file(&spans)
}

fn list(shown: &BTreeMap<String, BTreeSet<String>>) -> String {
    let mut page = String::from("# Captures that show each attribute\n\n");
    page.push_str("Those of `tests/captures`; \"made\" ones are built by `tests/e2e/coverage.rs`.\n\n");
    page.push_str("| Attribute | Captures, such as |\n|:--|:--|\n");
    for (key, _) in wanted() {
        let such: Vec<_> = shown[key].iter().rev().take(NAMED).map(String::as_str).collect();
        writeln!(page, "| `{key}` | {} |", such.join(", ")).expect("a String takes it");
    }
    page
}

/// Compares what is `found` with what is kept, or keeps it where that is asked for.
fn golden(path: &Path, found: &str) {
    if std::env::var("TAPSPAN_GOLDEN").is_ok_and(|value| value == "rewrite") {
        fs::write(path, found).expect("the repository can be written to");
    }
    let kept = fs::read_to_string(path).unwrap_or_default();
    assert!(kept == found, "{} is out of date: run with TAPSPAN_GOLDEN=rewrite", path.display());
}

#[test]
fn every_attribute_of_every_capture_has_the_type_of_the_convention() {
    let wanted: BTreeMap<_, _> = wanted().into_iter().collect();
    let folder = folder();
    for capture in captures().iter().filter(|capture| !capture.is_refused()) {
        for span in &spans_of(&capture.path, folder.path()) {
            for (key, found) in span.types() {
                assert!(
                    wanted.get(key).is_none_or(|kind| *kind == found),
                    "{}: {key} is a {found}",
                    capture.name
                );
            }
        }
    }
}

/// What no real capture of a fitting size shows: a name, and frames a millisecond apart.
fn made() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let (client, server) = (Host(1, 40_000), Host(2, 443));
    let datagram = || ipv4(UDP, client, server, &udp(client.1, server.1, b"inside"));
    let key = [&[0x20, 0, 0x08, 0, 0, 0, 0, 7][..], &datagram()].concat();
    let wireguard = |from: Host, to: Host, message: &[u8]| ipv4(UDP, from, to, &udp(from.1, to.1, message));
    let peers = (Host(3, 51_820), Host(4, 51_820));
    let mut initiation = [0; 148];
    initiation[..8].copy_from_slice(&[1, 0, 0, 0, 11, 0, 0, 0]);
    let mut response = [0; 92];
    response[..12].copy_from_slice(&[2, 0, 0, 0, 22, 0, 0, 0, 11, 0, 0, 0]);
    let esp = [&[0, 0, 0x10, 1, 0, 0, 0, 1][..], &[0; 32]].concat();
    // UDP follows; six words in all; SPI, sequence, and a check value of twelve octets.
    let ah =
        [&[UDP, 4, 0, 0, 0, 0, 0x10, 2, 0, 0, 0, 1][..], &[0; 12], &udp(client.1, server.1, b"under AH")];
    let syn = || ipv4(TCP, client, server, &tcp(client.1, server.1, 100, 0, SYN));
    let syn_ack = || ipv4(TCP, server, client, &tcp(server.1, client.1, 500, 101, SYN | ACK));
    let ack = || ipv4(TCP, client, server, &tcp(client.1, server.1, 101, 501, ACK));
    vec![
        ("GRE with a key", vec![ipv4(GRE, Host(5, 0), Host(6, 0), &key)]),
        (
            "WireGuard handshake",
            vec![wireguard(peers.0, peers.1, &initiation), wireguard(peers.1, peers.0, &response)],
        ),
        ("ESP", vec![ipv4(ESP, client, server, &esp)]),
        ("AH", vec![ipv4(AH, client, server, &ah.concat())]),
        ("SYN/ACK sent twice and answered twice", vec![syn(), syn_ack(), ack(), syn_ack(), ack()]),
    ]
    .into_iter()
    .map(|(name, packets): (_, Vec<Vec<u8>>)| (name, packets.iter().map(|packet| ethernet(packet)).collect()))
    .collect()
}

const TCP: u8 = 6;
const UDP: u8 = 17;
const GRE: u8 = 47;
const ESP: u8 = 50;
const AH: u8 = 51;
const SYN: u8 = 2;
const ACK: u8 = 16;

/// The last octet of an address, and a port.
#[derive(Clone, Copy)]
struct Host(u8, u16);

fn ethernet(packet: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0][..], packet].concat()
}

fn ipv4(protocol: u8, from: Host, to: Host, payload: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(20 + payload.len()).expect("a packet is short").to_be_bytes();
    let (from, to) = ([192, 0, 2, from.0], [192, 0, 2, to.0]);
    [&[0x45, 0, high, low, 0, 0, 0, 0, 64, protocol, 0, 0][..], &from, &to, payload].concat()
}

fn udp(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).expect("a datagram is short");
    [&from.to_be_bytes()[..], &to.to_be_bytes(), &length.to_be_bytes(), &[0, 0], payload].concat()
}

fn tcp(from: u16, to: u16, sequence: u32, acknowledgment: u32, flags: u8) -> Vec<u8> {
    let ports = [from.to_be_bytes(), to.to_be_bytes()].concat();
    let numbers = [sequence.to_be_bytes(), acknowledgment.to_be_bytes()].concat();
    [&ports[..], &numbers, &[0x50, flags, 0xff, 0xff, 0, 0, 0, 0]].concat()
}
