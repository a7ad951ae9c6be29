//! `flow.community_id` against the values published with the specification.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::net::IpAddr;
use std::path::Path;

use flowtable::{Direction, Endpoint, Family, FlowKey, protocol};
use serde::Deserialize;
use tapspan::span::community_id::community_id;

/// One row of a baseline.
#[derive(Deserialize)]
struct Published {
    proto: u8,
    saddr: IpAddr,
    daddr: IpAddr,
    sport: Option<u16>,
    dport: Option<u16>,
    communityid: String,
}

fn baseline(name: &str) -> Vec<Published> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/captures/community-id");
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn endpoint(address: IpAddr, port: u16) -> (Family, Endpoint) {
    match address {
        IpAddr::V4(address) => (Family::V4, Endpoint { address: address.to_bits().into(), port }),
        IpAddr::V6(address) => (Family::V6, Endpoint { address: address.to_bits(), port }),
    }
}

/// The key a parser gives the packet that goes from source to destination.
fn key(protocol: u8, source: (IpAddr, u16), destination: (IpAddr, u16)) -> FlowKey {
    let (family, from) = endpoint(source.0, source.1);
    let (_, to) = endpoint(destination.0, destination.1);
    let (key, direction) = FlowKey::canonical(family, protocol, from, to);
    let one_way = is_one_way(protocol, source.1).then_some(direction);
    FlowKey { one_way, ..key }
}

/// ICMP messages that no other message answers, among those of the baseline.
fn is_one_way(protocol: u8, message: u16) -> bool {
    matches!((protocol, message), (protocol::ICMP, 3 | 11) | (protocol::ICMPV6, 1 | 3))
}

fn computed(row: &Published, seed: u16) -> String {
    let (source, destination) = (row.sport.unwrap_or(0), row.dport.unwrap_or(0));
    let key = key(row.proto, (row.saddr, source), (row.daddr, destination));
    community_id(&key, seed).as_str().to_owned()
}

#[test]
fn every_published_id_of_seed_0_is_computed() {
    let rows = baseline("baseline_deflt.json");
    assert_eq!(rows.len(), 23);
    for row in &rows {
        assert_eq!(computed(row, 0), row.communityid);
    }
}

#[test]
fn every_published_id_of_seed_1_is_computed() {
    for row in &baseline("baseline_seed1.json") {
        assert_eq!(computed(row, 1), row.communityid);
    }
}

#[test]
fn the_base64_stands_for_the_published_digest() {
    use base64::Engine;
    for row in &baseline("baseline_nob64.json") {
        let id = computed(row, 0);
        let digest = base64::engine::general_purpose::STANDARD.decode(&id[2..]).unwrap();
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(format!("1:{hex}"), row.communityid);
    }
}

#[test]
fn both_directions_have_one_id_and_one_way_messages_two() {
    let (low, high) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
    let (there, back) = (key(6, (low, 4000), (high, 80)), key(6, (high, 80), (low, 4000)));
    assert_eq!(community_id(&there, 0), community_id(&back, 0));

    let (there, back) = (key(1, (low, 11), (high, 0)), key(1, (high, 11), (low, 0)));
    assert_eq!(community_id(&there, 0).as_str(), "1:YHxtAirCG//0OzkcVAukqKQN9xM=");
    assert_eq!(back.one_way, Some(Direction::HiToLo));
    assert_eq!(community_id(&back, 0).as_str(), "1:c5iqfdGYsNWhMJVcYXWPNWbpnKs=");
}

#[test]
fn vlans_and_tunnels_do_not_change_the_id() {
    let (low, high) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
    let plain = key(17, (low, 53), (high, 53));
    let tagged = FlowKey { vlans: 5 << 12, tunnel: 9, ..plain };
    assert_eq!(community_id(&plain, 0), community_id(&tagged, 0));
}
