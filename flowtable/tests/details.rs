//! What only some flows have: tunnels, and the marks of ICMP errors. Expectations by hand; times in milliseconds.
#![cfg(not(loom))]
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking, in its helpers too")]

mod packets;

use flowtable::{
    Burst, Endpoint, EventKind, Exclusion, Exclusions, Family, FlowRecord, Nanos, NetworkError, Packet,
    Quote, Role, Sweeper, TableConfig, Timeouts, Tunnel, TunnelKind, Writer, protocol, table, tcp_flag,
};
use packets::{MS, Tcp, config, tcp, udp};

const A: (u32, u16) = (10, 40_000);
const B: (u32, u16) = (20, 53);

fn bed(capacity: u32) -> (Writer, Sweeper) {
    table(&config(capacity)).unwrap()
}

fn flush(sweeper: &mut Sweeper) -> Vec<FlowRecord> {
    let mut records = Vec::new();
    sweeper.flush(Nanos(1_000 * MS), &mut records);
    records
}

fn tunnel(kind: TunnelKind, source: u128, destination: u128) -> Tunnel {
    let end = |address| Endpoint { address, port: 4_789 };
    Tunnel {
        kind,
        family: Family::V4,
        protocol: protocol::UDP,
        source: end(source),
        destination: end(destination),
        id: None,
        key: None,
        spi: None,
        sender_index: None,
        receiver_index: None,
    }
}

fn inside(tunnel: &Tunnel, mut packet: Packet) -> Burst {
    packet.key.tunnel = tunnel.key_word();
    let mut burst = Burst::with_capacity(1);
    burst.push_in(*tunnel, packet);
    burst
}

#[test]
fn the_same_addresses_in_two_tunnels_are_two_flows_each_with_its_tunnel() {
    let (mut writer, mut sweeper) = bed(8);
    for id in [7, 8] {
        let there = Tunnel { id: Some(id), ..tunnel(TunnelKind::Vxlan, 1, 2) };
        let back = Tunnel { id: Some(id), ..tunnel(TunnelKind::Vxlan, 2, 1) };
        writer.update(&inside(&there, udp(A, B, 0)));
        writer.update(&inside(&back, udp(B, A, 1)));
    }
    let mut records = flush(&mut sweeper);
    records.sort_by_key(|record| record.key.tunnel);
    let tunnels: Vec<_> = records.iter().map(|record| *record.tunnel.as_deref().unwrap()).collect();
    let expected = |id| Tunnel { id: Some(id), ..tunnel(TunnelKind::Vxlan, 1, 2) };
    assert_eq!(tunnels, [expected(7), expected(8)]);
    assert!(records.iter().all(|record| record.to_source.packets_total == 1));
}

#[test]
fn the_ends_of_the_tunnel_turn_with_the_flow() {
    let (mut writer, mut sweeper) = bed(8);
    let mut answer = udp(B, A, 0);
    answer.role = Role::Destination;
    writer.update(&inside(&tunnel(TunnelKind::Geneve, 2, 1), answer));
    let records = flush(&mut sweeper);
    let tunnel = records[0].tunnel.as_deref().unwrap();
    assert_eq!(records[0].source().1, A.1);
    assert_eq!((tunnel.source.address, tunnel.destination.address), (1, 2));
}

#[test]
fn wireguard_tells_its_indices_in_several_messages() {
    let (mut writer, mut sweeper) = bed(8);
    let message = |sender_index, receiver_index| Tunnel {
        sender_index,
        receiver_index,
        ..tunnel(TunnelKind::Wireguard, 10, 20)
    };
    let begin = message(Some(1), None);
    assert_eq!(begin.key_word(), 0, "a flow of the outer headers");
    writer.update(&udp(A, B, 0).into());
    writer.update(&inside(&begin, udp(A, B, 1)));
    // The response: the responder's index first, then the initiator's.
    writer.update(&inside(&message(Some(2), Some(1)), udp(B, A, 2)));
    writer.update(&inside(&message(None, Some(3)), udp(A, B, 3)));
    let records = flush(&mut sweeper);
    let tunnel = records[0].tunnel.as_deref().unwrap();
    assert_eq!((records.len(), tunnel.sender_index, tunnel.receiver_index), (1, Some(1), Some(2)));
}

fn quote(packet: &Packet, error: NetworkError, at_ms: u64) -> Burst {
    let mut burst = Burst::with_capacity(1);
    burst.push_quote(Quote { key: packet.key, error, at: Nanos(at_ms * MS) });
    burst
}

#[test]
fn an_icmp_error_marks_the_flow_it_quotes_and_counts_nothing_there() {
    let (mut writer, mut sweeper) = bed(8);
    let asked = udp(A, B, 5);
    writer.update(&asked.into());
    writer.update(&quote(&udp(B, A, 0), NetworkError::PortUnreachable, 7));
    writer.update(&quote(&udp(A, (20, 54), 0), NetworkError::PortUnreachable, 8));
    let records = flush(&mut sweeper);
    assert_eq!((records.len(), records[0].error), (1, Some(NetworkError::PortUnreachable)));
    assert_eq!(records[0].end, Nanos(5 * MS));
    let events: Vec<_> = records[0].events.kept.iter().map(|event| (event.at, event.kind)).collect();
    assert_eq!(events, [(Nanos(7 * MS), EventKind::IcmpError)]);
}

#[test]
fn the_first_failure_stands_but_for_a_packet_too_big() {
    use NetworkError::{FragmentationNeeded, HostUnreachable, TtlExceeded};
    let last_of = |errors: &[NetworkError]| {
        let (mut writer, mut sweeper) = bed(8);
        writer.update(&udp(A, B, 0).into());
        for error in errors {
            writer.update(&quote(&udp(A, B, 0), *error, 1));
        }
        flush(&mut sweeper)[0].error
    };
    assert_eq!(last_of(&[]), None);
    assert_eq!(last_of(&[TtlExceeded, HostUnreachable]), Some(TtlExceeded));
    assert_eq!(last_of(&[FragmentationNeeded, HostUnreachable, TtlExceeded]), Some(HostUnreachable));
}

#[test]
fn an_error_among_the_packets_of_a_burst_is_told_in_its_turn() {
    let (mut writer, mut sweeper) = bed(8);
    let mut burst = quote(&udp(A, B, 0), NetworkError::HostUnreachable, 0);
    burst.push(udp(A, B, 1));
    burst.push_quote(Quote { key: udp(A, B, 0).key, error: NetworkError::TtlExceeded, at: Nanos(2 * MS) });
    burst.push(udp(B, A, 3));
    let outcome = writer.update(&burst);
    assert_eq!(outcome.in_flows, 2);
    let record = &flush(&mut sweeper)[0];
    let told: Vec<_> = record.events.kept.iter().map(|event| event.at).collect();
    assert_eq!((record.error, told), (Some(NetworkError::TtlExceeded), vec![Nanos(2 * MS)]), "no flow at 0");
}

#[test]
fn a_marked_flow_goes_on_and_stays_marked() {
    let (mut writer, mut sweeper) = bed(8);
    writer.update(&udp(A, B, 0).into());
    writer.update(&quote(&udp(A, B, 0), NetworkError::HostUnreachable, 1));
    let first = &flush(&mut sweeper)[0];
    writer.update(&udp(A, B, 2_000).into());
    let second = &flush(&mut sweeper)[0];
    assert_eq!((first.error, first.events.kept.len()), (Some(NetworkError::HostUnreachable), 1));
    assert_eq!((second.error, second.events.kept.len()), (Some(NetworkError::HostUnreachable), 0));
    let mut records = Vec::new();
    sweeper.sweep(Nanos(60_000 * MS), &Timeouts::default(), &mut records);
    writer.serve_retirements(10);
    assert_eq!(writer.stats().live, 0);
    writer.update(&udp(A, B, 60_001).into());
    assert_eq!(flush(&mut sweeper)[0].error, None, "another flow in the same slot");
}

#[test]
fn excluded_conversations_open_no_flow_and_are_counted() {
    let (mut writer, _sweeper) = bed(8);
    let exclusions = std::sync::Arc::new(Exclusions::default());
    writer.exclude(std::sync::Arc::clone(&exclusions));
    let outcome = writer.update_burst(&[udp(A, B, 0)]);
    assert_eq!((outcome.in_flows, outcome.excluded), (1, 0));
    exclusions.set(&[Exclusion {
        family: Family::V4,
        protocol: protocol::UDP,
        address: u128::from(A.0),
        endpoint: Endpoint { address: u128::from(B.0), port: B.1 },
    }]);
    let packets = [
        udp(A, B, 1),
        udp((A.0, 50_000), B, 2),
        udp(B, (A.0, 50_001), 3),
        udp(A, (B.0, 54), 4),
        udp((11, 1), B, 5),
    ];
    let outcome = writer.update_burst(&packets);
    assert_eq!((outcome.in_flows, outcome.excluded), (3, 2), "the flow that was there goes on");
    exclusions.set(&[]);
    assert_eq!(writer.update_burst(&[udp((A.0, 50_000), B, 6)]).in_flows, 1);
}

/// Whatever room there is: one flow fills the table, and none may be ended for another.
#[test]
fn a_full_table_tells_excluded_conversations_from_those_it_has_no_room_for() {
    let (mut writer, _sweeper) = bed(1);
    writer.limit_evictions(0);
    let exclusions = std::sync::Arc::new(Exclusions::default());
    writer.exclude(std::sync::Arc::clone(&exclusions));
    let (family, protocol) = (Family::V4, protocol::UDP);
    let endpoint = Endpoint { address: u128::from(B.0), port: B.1 };
    exclusions.set(&[Exclusion { family, protocol, address: u128::from(A.0), endpoint }]);
    let outcome =
        writer.update_burst(&[udp((11, 1), B, 0), udp((12, 1), B, 1), udp(B, A, 2), udp(B, (11, 1), 3)]);
    assert_eq!((outcome.in_flows, outcome.table_full, outcome.excluded), (2, 1, 1));
}

/// A segment of ten octets from `port`, or the other way.
fn segment(port: u16, back: bool, sequence: u32, at_ms: u64) -> Packet {
    let (from, to) = if back { (B, (A.0, port)) } else { ((A.0, port), B) };
    tcp(from, to, at_ms, &Tcp { sequence, acknowledgment: 1, payload: 10, flags: tcp_flag::ACK })
}

#[test]
fn a_flow_takes_a_block_for_each_thing_it_comes_to_tell_and_gives_all_of_them_back() {
    let (mut writer, mut sweeper) = table(&TableConfig { details: 3, ..config(8) }).unwrap();
    let mut missing = |packets: &[Packet]| {
        writer.serve_retirements(10);
        assert_eq!(writer.update_burst(packets).in_flows as usize, packets.len());
        writer.stats().details_missing
    };
    // Octets sent again take one for the counts; octets passed over, one for the gap.
    assert_eq!(missing(&[segment(1, false, 1, 0), segment(1, false, 1, 1), segment(1, false, 21, 2)]), 0);
    assert_eq!(missing(&[segment(2, false, 1, 3), segment(2, false, 1, 4)]), 0);
    assert_eq!(
        missing(&[segment(2, false, 21, 5)]),
        1,
        "two of the one flow, one of the other: none is left"
    );
    let mut records = Vec::new();
    sweeper.sweep(Nanos(130_000 * MS), &Timeouts::default(), &mut records);
    let sent_again = |r: &FlowRecord| r.tcp.unwrap().to_destination.retransmissions;
    assert_eq!(records.iter().map(sent_again).collect::<Vec<_>>(), [1, 1]);
    // Gaps both ways, filled at once: both out of order, and in counts of a block of their own.
    let both_ways = [1, 21, 11].map(|from| [false, true].map(|back| segment(3, back, from, 130_001)));
    assert_eq!(missing(both_ways.as_flattened()), 1);
    assert_eq!(missing(&[segment(4, false, 1, 130_002), segment(4, false, 1, 130_003)]), 2);
    let third = flush(&mut sweeper).into_iter().find(|record| record.source().1 == 3).unwrap().tcp.unwrap();
    assert_eq!((third.to_destination.out_of_order, third.to_source.out_of_order), (1, 1));
    assert_eq!(third.to_destination.retransmissions + third.to_source.retransmissions, 0);
}
