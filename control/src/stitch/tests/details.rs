//! What halves tell beside their counters, joined.

use flowtable::{Event, EventKind, NetworkError, TcpCounts, Timing, Tunnel, TunnelKind};

use super::*;

const SYN: u8 = tcp_flag::SYN;
const ACK: u8 = tcp_flag::ACK;
const RST: u8 = tcp_flag::RST;

/// The initiator's half, from the lower endpoint; a table saw `flags` on its way.
fn there(flags: u8, end_reason: EndReason) -> FlowRecord {
    tcp(half(LoToHi, 2, (10, 80), end_reason), LoToHi, TcpState::SynSent, flags)
}

/// The responder's half of the same connection.
fn back(flags: u8, end_reason: EndReason) -> FlowRecord {
    tcp(half(HiToLo, 3, (20, 90), end_reason), LoToHi, TcpState::SynSent, flags)
}

fn joined(there: &FlowRecord, back: &FlowRecord) -> FlowRecord {
    let mut bed = Bed::new(8);
    bed.offer(0, there, 100);
    one(bed.offer(1, back, 100))
}

fn events(at_ms: &[u64], kind: EventKind, dropped: u32) -> Events {
    let kept = at_ms.iter().map(|at| Event { at: Nanos(at * MS), kind }).collect();
    Events { kept, dropped }
}

fn vxlan(source: u128, destination: u128) -> Option<Box<Tunnel>> {
    Some(Box::new(Tunnel {
        kind: TunnelKind::Vxlan,
        family: Family::V4,
        protocol: protocol::UDP,
        source: Endpoint { address: source, port: 50_000 },
        destination: Endpoint { address: destination, port: 4_789 },
        id: Some(42),
        key: None,
        spi: None,
        sender_index: None,
        receiver_index: None,
    }))
}

#[test]
fn events_of_both_halves_stand_in_time_order_in_the_record_of_their_window() {
    let mut bed = Bed::new(8);
    let first = FlowRecord { events: events(&[10, 40], EventKind::TcpSyn, 0), ..there(SYN, ActiveTimeout) };
    let answer =
        FlowRecord { events: events(&[20], EventKind::TcpSynAck, 2), ..back(SYN | ACK, ActiveTimeout) };
    bed.offer(0, &first, 60_000);
    let record = one(bed.offer(1, &answer, 60_000));
    let told: Vec<_> =
        record.events.kept.iter().map(|event| (event.at.0 / MS, event.kind.as_str())).collect();
    assert_eq!(told, [(10, "tcp.syn"), (20, "tcp.syn_ack"), (40, "tcp.syn")]);
    assert_eq!(record.events.dropped, 2);
    bed.offer(0, &FlowRecord { events: Events::default(), ..next(&first, 60_500, ActiveTimeout) }, 120_000);
    assert_eq!(one(bed.expire(121_000)).events, Events::default(), "told once");
}

#[test]
fn a_record_has_at_most_as_many_events_as_any_and_counts_the_others() {
    let many: Vec<u64> = (10..40).collect();
    let one = FlowRecord { events: events(&many, EventKind::TcpZeroWindow, 0), ..there(ACK, ActiveTimeout) };
    let other = FlowRecord { events: events(&many, EventKind::TcpZeroWindow, 1), ..back(ACK, ActiveTimeout) };
    let record = joined(&one, &other);
    assert_eq!((record.events.kept.len(), record.events.dropped), (Events::MAX, 29));
}

#[test]
fn a_syn_that_one_table_saw_unanswered_timed_out_only_while_nothing_answers() {
    let unanswered = FlowRecord { error: Some(NetworkError::TimedOut), ..there(SYN, IdleTimeout) };
    let mut bed = Bed::new(8);
    bed.offer(0, &unanswered, 10_100);
    assert_eq!(one(bed.expire(11_100)).error, Some(NetworkError::TimedOut));
    assert_eq!(joined(&unanswered, &back(SYN | ACK, ActiveTimeout)).error, None);
}

#[test]
fn a_reset_seen_alone_refuses_the_syn_the_other_table_saw() {
    let unanswered = FlowRecord { error: Some(NetworkError::TimedOut), ..there(SYN, IdleTimeout) };
    let reset =
        FlowRecord { error: Some(NetworkError::ConnectionReset), ..back(RST | ACK, EndOfFlowDetected) };
    assert_eq!(joined(&unanswered, &reset).error, Some(NetworkError::ConnectionRefused));
    let silent = FlowRecord { error: None, ..reset.clone() };
    assert_eq!(joined(&unanswered, &silent).error, Some(NetworkError::ConnectionRefused));
    let talked = there(SYN | ACK, ActiveTimeout);
    assert_eq!(joined(&talked, &reset).error, Some(NetworkError::ConnectionReset), "after an ACK");
    let opened = FlowRecord { error: reset.error, ..back(SYN | ACK | RST, EndOfFlowDetected) };
    assert_eq!(joined(&there(SYN, ActiveTimeout), &opened).error, Some(NetworkError::ConnectionReset));
}

#[test]
fn an_error_of_any_half_stays_with_the_conversation() {
    let unreachable = FlowRecord { error: Some(NetworkError::HostUnreachable), ..there(ACK, ActiveTimeout) };
    let too_big = FlowRecord { error: Some(NetworkError::FragmentationNeeded), ..back(ACK, ActiveTimeout) };
    let mut bed = Bed::new(8);
    bed.offer(1, &too_big, 60_000);
    assert_eq!(one(bed.offer(0, &unreachable, 60_000)).error, Some(NetworkError::HostUnreachable));
    bed.offer(1, &FlowRecord { error: None, ..next(&too_big, 60_500, ActiveTimeout) }, 120_000);
    assert_eq!(one(bed.expire(121_000)).error, Some(NetworkError::HostUnreachable));
}

#[test]
fn the_tunnel_of_the_earliest_half_is_told_as_the_conversation_is_oriented() {
    let mut bed = Bed::new(8);
    // Began first, in the middle, so it takes its own sender for the source.
    let mut early = half(HiToLo, 3, (5, 90), ActiveTimeout);
    early = FlowRecord { tunnel: vxlan(22, 11), ..tcp(early, HiToLo, TcpState::Established, ACK) };
    let late = FlowRecord { tunnel: vxlan(33, 44), ..there(SYN, ActiveTimeout) };
    bed.offer(0, &late, 100);
    let record = one(bed.offer(1, &early, 100));
    assert_eq!(record.forward, LoToHi, "the SYN's");
    let ends = |record: &FlowRecord| {
        record.tunnel.as_ref().map(|tunnel| (tunnel.source.address, tunnel.destination.address))
    };
    assert_eq!(ends(&record), Some((11, 22)));
    bed.offer(0, &FlowRecord { tunnel: vxlan(55, 66), ..next(&late, 200, ActiveTimeout) }, 300);
    assert_eq!(ends(&one(bed.expire(1_300))), Some((11, 22)), "the same in every record");
}

#[test]
fn counts_of_segments_add_up_by_direction_for_one_window() {
    let counts =
        |retransmissions, zero_windows| TcpCounts { retransmissions, zero_windows, ..TcpCounts::default() };
    let with = |record: FlowRecord, to_destination, to_source| {
        let tcp = record.tcp.map(|tcp| TcpRecord { to_destination, to_source, ..tcp });
        FlowRecord { tcp, ..record }
    };
    let mut bed = Bed::new(8);
    let one_way = with(there(ACK, ActiveTimeout), counts(3, 0), counts(0, 0));
    // A half oriented the other way.
    let mut other = half(HiToLo, 3, (20, 90), ActiveTimeout);
    other = tcp(other, HiToLo, TcpState::Established, ACK);
    bed.offer(0, &one_way, 60_000);
    let record = one(bed.offer(1, &with(other, counts(5, 1), counts(1, 0)), 60_000));
    let told = |record: &FlowRecord| record.tcp.map(|tcp| (tcp.to_destination, tcp.to_source)).unwrap();
    assert_eq!(record.forward, LoToHi);
    assert_eq!(told(&record), (counts(4, 0), counts(5, 1)));
    bed.offer(0, &with(next(&one_way, 60_500, ActiveTimeout), counts(0, 2), counts(0, 0)), 120_000);
    assert_eq!(told(&one(bed.expire(121_000))), (counts(0, 2), counts(0, 0)));
}

#[test]
fn timings_are_those_of_the_half_that_measured_them_and_stay_until_it_says_more() {
    let timing = |latency_ns| Some(Timing { latency_ns, jitter_ns: None });
    let mut measured = there(SYN | ACK, ActiveTimeout);
    measured.tcp = measured.tcp.map(|tcp| TcpRecord { handshake_snd: timing(7), svc: timing(9), ..tcp });
    let mut bed = Bed::new(8);
    bed.offer(0, &measured, 60_000);
    let told = |record: &FlowRecord| {
        let tcp = record.tcp.unwrap();
        [tcp.handshake_snd, tcp.handshake_cnd, tcp.svc].map(|timing| timing.map(|timing| timing.latency_ns))
    };
    let other = back(ACK, ActiveTimeout);
    assert_eq!(told(&one(bed.offer(1, &other, 60_000))), [Some(7), None, Some(9)]);
    let mut later = next(&measured, 60_500, ActiveTimeout);
    later.tcp = later.tcp.map(|tcp| TcpRecord { svc: timing(8), ..tcp });
    bed.offer(0, &later, 120_000);
    assert_eq!(
        told(&one(bed.offer(1, &next(&other, 60_500, ActiveTimeout), 120_000))),
        [Some(7), None, Some(8)]
    );
}
