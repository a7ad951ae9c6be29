use super::*;
use flowtable::{Counters, Direction, Endpoint, Events, Family, FirstPacket, FlowKey, Initiator, Nanos};

/// 10.0.0.7:40000 to 192.0.2.1:443, three packets of 300 octets there and two of 200 back.
fn record(protocol: u8) -> FlowRecord {
    let client = Endpoint { address: 0x0a00_0007, port: 40_000 };
    let server = Endpoint { address: 0xc000_0201, port: 443 };
    let counters = |packets, bytes| Counters {
        packets_delta: packets,
        bytes_delta: bytes,
        packets_total: 1_000,
        bytes_total: 1_000_000,
    };
    FlowRecord {
        key: FlowKey::canonical(Family::V4, protocol, client, server).0,
        forward: Direction::LoToHi,
        initiator: Initiator::Source,
        first: FirstPacket::default(),
        flow_start: Nanos(1),
        start: Nanos(1),
        end: Nanos(2),
        number: 0,
        end_reason: EndReason::IdleTimeout,
        tcp: None,
        to_destination: counters(3, 300),
        to_source: counters(2, 200),
        error: None,
        tunnel: None,
        events: Events::default(),
    }
}

fn passes(conditions: Conditions) -> bool {
    RecordFilter::new(conditions, 1).verdict(&record(protocol::TCP)) == Verdict::Export
}

fn networks(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| network(text).unwrap()).collect()
}

#[test]
fn without_conditions_everything_is_exported() {
    assert_eq!(RecordFilter::new(Conditions::default(), 1), RecordFilter::default());
    assert!(passes(Conditions::default()));
}

#[test]
fn either_end_may_be_in_a_network_and_neither_in_an_excluded_one() {
    for (wanted, excluded, expected) in [
        (&["192.0.2.0/24"][..], &[][..], true),
        (&["10.0.0.7"], &[], true),
        (&["10.0.0.8", "::/0"], &[], false),
        (&["10.9.9.9/8"], &[], true),
        (&[], &["192.0.2.1"], false),
        (&[], &["192.0.2.2"], true),
        (&["10.0.0.0/8"], &["0.0.0.0/0"], false),
    ] {
        let conditions = Conditions {
            networks: networks(wanted),
            excluded_networks: networks(excluded),
            ..Conditions::default()
        };
        assert_eq!(passes(conditions), expected, "{wanted:?} but {excluded:?}");
    }
}

#[test]
fn either_end_may_have_a_port_and_neither_an_excluded_one() {
    let ports = |ports: &[u16], excluded: &[u16]| {
        passes(Conditions {
            ports: ports.to_vec(),
            excluded_ports: excluded.to_vec(),
            ..Conditions::default()
        })
    };
    assert!(ports(&[443], &[]) && ports(&[40_000, 1], &[]) && ports(&[], &[80]));
    assert!(!ports(&[80], &[]) && !ports(&[], &[443]) && !ports(&[443], &[40_000]));
}

#[test]
fn what_stands_in_the_place_of_icmps_ports_is_no_port() {
    let wanted = Conditions { ports: vec![443], ..Conditions::default() };
    let excluded = Conditions { excluded_ports: vec![443], ..Conditions::default() };
    let icmp = record(protocol::ICMP);
    assert_eq!(RecordFilter::new(wanted, 1).verdict(&icmp), Verdict::Filtered);
    assert_eq!(RecordFilter::new(excluded, 1).verdict(&icmp), Verdict::Export);
}

#[test]
fn protocols_reasons_and_least_counts_of_the_window_are_held_against_the_record() {
    let all = Conditions {
        protocols: vec![17, 6],
        end_reasons: vec![EndReason::ForcedEnd, EndReason::IdleTimeout],
        min_packets: 5,
        min_bytes: 500,
        ..Conditions::default()
    };
    assert!(passes(all.clone()));
    assert!(!passes(Conditions { protocols: vec![17], ..all.clone() }));
    assert!(!passes(Conditions { end_reasons: vec![EndReason::ForcedEnd], ..all.clone() }));
    assert!(!passes(Conditions { min_packets: 6, ..all.clone() }));
    assert!(!passes(Conditions { min_bytes: 501, ..all }));
}

#[test]
fn a_record_is_left_out_for_one_reason_and_conditions_come_first() {
    let never = Conditions { min_packets: 6, ..Conditions::default() };
    let record = record(protocol::TCP);
    assert_eq!(RecordFilter::new(never, u32::MAX).verdict(&record), Verdict::Filtered);
    assert_eq!(RecordFilter::new(Conditions::default(), u32::MAX).verdict(&record), Verdict::SampledOut);
}

#[test]
fn networks_and_transports_are_read_as_people_write_them() {
    assert_eq!(network("10.0.0.1").unwrap().to_string(), "10.0.0.1/32");
    assert_eq!(network("2001:db8::/32").unwrap().to_string(), "2001:db8::/32");
    let contains =
        |text: &str, address: &str| network(text).unwrap().contains(&address.parse::<IpAddr>().unwrap());
    assert!(contains("0.0.0.0/0", "255.255.255.255") && !contains("0.0.0.0/0", "::"));
    assert!(contains("2001:db8::/32", "2001:db8:ffff::1") && contains("::/0", "ffff::"));
    for text in ["", "10.0.0.1/33", "10.0.0", "::/129", "10.0.0.0/", "10.0.0.0/-1", "host"] {
        assert_eq!(network(text), None, "{text}");
    }
    assert_eq!((transport("tcp"), transport("ICMPv6"), transport("47")), (Some(6), Some(58), Some(47)));
    assert_eq!((transport("256"), transport("tpc"), transport("")), (None, None, None));
}
