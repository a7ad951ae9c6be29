//! What records say of a TCP connection's latencies, packet by packet; every figure worked out by hand. Times in milliseconds.
#![cfg(not(loom))]
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking, in its helpers too")]

mod packets;
mod wire;

use flowtable::{EventKind, FlowRecord, Nanos, TcpRecord, TcpState, Timing};
use packets::MS;
use wire::{A, P, R, S, Wire, first, kinds};

#[test]
fn a_handshake_is_timed_on_both_sides_whichever_address_sorts_first() {
    for mut wire in [Wire::new(), Wire::swapped()] {
        wire.handshake();
        let (record, tcp) = wire.flushed();
        assert_eq!((tcp.handshake_snd, tcp.handshake_cnd), (first(30), first(10)));
        assert_eq!((tcp.svc, tcp.rndtrip), (None, None), "nothing was asked");
        assert_eq!(record.source().1, wire.client.1);
        let expected = [(0, EventKind::TcpSyn), (30, EventKind::TcpSynAck), (40, EventKind::TcpEstablished)];
        assert_eq!(kinds(&record), expected);
    }
}

#[test]
fn snd_runs_from_the_last_syn_before_the_first_answer() {
    let mut wire = Wire::new();
    wire.up(0, S, 100, 0, 0);
    wire.up(1_000, S, 100, 0, 0);
    wire.down(1_025, S | A, 500, 101, 0);
    wire.up(1_026, A, 101, 501, 0);
    let (record, tcp) = wire.flushed();
    assert_eq!((tcp.handshake_snd, tcp.handshake_cnd), (first(25), first(1)));
    assert_eq!(tcp.to_destination.retransmissions, 1, "the SYN was sent again");
    assert_eq!(
        record.events.kept[1..3].iter().map(|e| e.kind).collect::<Vec<_>>(),
        [EventKind::TcpSyn, EventKind::TcpRetransmission]
    );
}

/// The responder's greeting completes the handshake for the probe before the initiator's ACK has come by.
#[test]
fn a_server_that_speaks_before_the_ack_does_not_hide_when_its_syn_ack_came() {
    for mut wire in [Wire::new(), Wire::swapped()] {
        wire.up(5_000, S, 100, 0, 0);
        wire.down(5_030, S | A, 500, 101, 0);
        wire.down(5_035, A, 501, 101, 20);
        wire.up(5_040, A, 101, 521, 0);
        wire.up(5_050, A, 101, 521, 10);
        wire.down(5_100, A, 521, 111, 10);
        let (_, tcp) = wire.flushed();
        assert_eq!((tcp.handshake_snd, tcp.handshake_cnd), (first(30), first(10)));
        assert_eq!((tcp.svc, tcp.rndtrip), (first(20), first(60)));
    }
}

/// Nor does an initiator whose first ACK acknowledges something else.
#[test]
fn an_ack_of_something_else_does_not_hide_when_the_syn_ack_came() {
    let mut wire = Wire::new();
    wire.up(5_000, S, 100, 0, 0);
    wire.down(5_030, S | A, 500, 101, 0);
    wire.up(5_035, A, 101, 400, 0);
    wire.up(5_040, A, 101, 501, 0);
    let (_, tcp) = wire.flushed();
    assert_eq!((tcp.handshake_snd, tcp.handshake_cnd), (first(30), first(10)));
}

#[test]
fn a_handshake_answered_twice_has_jitter_by_rfc_3550() {
    let mut wire = Wire::new();
    wire.up(0, S, 100, 0, 0);
    wire.down(32, S | A, 500, 101, 0);
    // The SYN again, and its answer after 48 ms; the ACK comes 8 ms after that answer, and 24 ms after a third one.
    wire.up(1_000, S, 100, 0, 0);
    wire.down(1_048, S | A, 500, 101, 0);
    wire.up(1_056, A, 101, 501, 0);
    wire.down(2_000, S | A, 500, 101, 0);
    wire.up(2_024, A, 101, 501, 0);
    let (_, tcp) = wire.flushed();
    // snd: 32, then 48 ms: J = 16/16 = 1 ms. cnd: 8, then 24 ms: J = 16/16 = 1 ms.
    assert_eq!(tcp.handshake_snd, Some(Timing { latency_ns: 32 * MS, jitter_ns: Some(MS) }));
    assert_eq!(tcp.handshake_cnd, Some(Timing { latency_ns: 8 * MS, jitter_ns: Some(MS) }));
}

#[test]
fn exchanges_run_from_the_last_request_segment_to_the_first_of_the_response() {
    for mut wire in [Wire::new(), Wire::swapped(), Wire::in_ipv6()] {
        wire.handshake();
        // A request in two segments, a response in two: 150 - 60 = 90 ms.
        wire.up(50, A, 101, 501, 10);
        wire.up(60, A, 111, 501, 10);
        wire.down(150, A, 501, 121, 20);
        wire.down(160, A, 521, 121, 20);
        wire.up(170, A, 121, 541, 0);
        // A second one: 250 - 200 = 50 ms.
        wire.up(200, A, 121, 541, 10);
        wire.down(250, A, 541, 131, 20);
        let (_, tcp) = wire.flushed();
        // Mean 70 ms; less snd 30, with cnd 10; J = |50 - 90|/16 = 2.5 ms.
        let jitter_ns = Some(2_500_000);
        assert_eq!(tcp.svc, Some(Timing { latency_ns: 40 * MS, jitter_ns }));
        assert_eq!(tcp.rndtrip, Some(Timing { latency_ns: 80 * MS, jitter_ns }));
    }
}

/// Longer than 32 bits of nanoseconds, of which the latest exchange has another word.
#[test]
fn exchanges_of_many_seconds_are_told_apart() {
    for mut wire in [Wire::new(), Wire::in_ipv6()] {
        wire.handshake();
        wire.up(1_000, A, 101, 501, 10);
        wire.down(10_000, A, 501, 111, 20);
        wire.up(20_000, A, 111, 521, 10);
        wire.down(28_000, A, 521, 121, 20);
        let (_, tcp) = wire.flushed();
        // 9 and 8 seconds: 8,500 ms less snd 30; J = 1,000/16 ms.
        assert_eq!(tcp.svc, Some(Timing { latency_ns: 8_470 * MS, jitter_ns: Some(62_500_000) }));
    }
}

#[test]
fn one_exchange_has_no_jitter_and_a_constant_one_has_none_either() {
    let mut wire = Wire::new();
    wire.handshake();
    wire.up(100, A, 101, 501, 10);
    wire.down(150, A, 501, 111, 20);
    assert_eq!(wire.flushed().1.svc, first(20));
    for exchange in 1..20 {
        let (asked, answered) = (101 + exchange * 10, 501 + exchange * 20);
        wire.up(u64::from(exchange) * 1_000, A, asked, answered, 10);
        wire.down(u64::from(exchange) * 1_000 + 50, A, answered, asked + 10, 20);
    }
    assert_eq!(wire.flushed().1.svc, Some(Timing { latency_ns: 20 * MS, jitter_ns: Some(0) }));
}

#[test]
fn a_retransmission_neither_ends_nor_begins_an_exchange() {
    let mut wire = Wire::new();
    wire.handshake();
    wire.down(45, A, 501, 101, 5);
    wire.up(50, A, 101, 506, 10);
    wire.up(80, A, 101, 506, 10);
    wire.down(85, A, 501, 101, 5);
    wire.down(90, A, 506, 111, 20);
    let (_, tcp) = wire.flushed();
    // 90 - 50 = 40 ms less snd 30.
    assert_eq!(tcp.svc, first(10));
    assert_eq!((tcp.to_destination.retransmissions, tcp.to_source.retransmissions), (1, 1));
}

/// A flow begins no earlier than another has ended; in a file whose packets are not in the order of their times it did.
#[test]
fn a_start_that_is_moved_does_not_move_what_is_measured() {
    let mut wire = Wire::new();
    wire.up(5_000, S, 7, 0, 0);
    wire.down(5_001, R | A, 0, 8, 0);
    wire.sweep(8_000);
    wire.handshake();
    wire.up(50, A, 101, 501, 10);
    wire.down(150, A, 501, 111, 10);
    let (record, tcp) = wire.flushed();
    assert_eq!((record.start, record.end), (Nanos(5_001 * MS + 1), Nanos(5_001 * MS + 1)));
    assert_eq!((tcp.handshake_snd, tcp.handshake_cnd, tcp.svc), (first(30), first(10), first(70)));
}

#[test]
fn a_flow_seen_from_the_middle_has_exchanges_but_no_handshake() {
    let mut wire = Wire::new();
    wire.up(0, A, 7_000, 9_000, 10);
    wire.down(25, A, 9_000, 7_010, 10);
    let (record, tcp) = wire.flushed();
    assert_eq!((tcp.state, tcp.handshake_snd, tcp.handshake_cnd), (TcpState::Established, None, None));
    assert_eq!((tcp.svc, tcp.rndtrip), (first(25), None));
    assert_eq!(kinds(&record), []);
}

#[test]
fn a_service_faster_than_its_network_takes_no_time() {
    let mut wire = Wire::new();
    wire.handshake();
    wire.up(50, A, 101, 501, 10);
    wire.down(60, A, 501, 111, 20);
    let (_, tcp) = wire.flushed();
    assert_eq!((tcp.svc, tcp.rndtrip), (first(0), first(20)));
}

#[test]
fn a_responder_that_speaks_before_the_handshake_ends_does_not_spoil_its_times() {
    for mut wire in [Wire::new(), Wire::swapped()] {
        wire.up(0, S, 100, 0, 0);
        wire.down(30, S | A, 500, 101, 0);
        wire.down(35, A, 501, 101, 20);
        wire.up(40, A, 101, 501, 0);
        wire.up(50, A, 101, 521, 10);
        wire.down(90, A, 521, 111, 20);
        let (_, tcp) = wire.flushed();
        assert_eq!((tcp.handshake_snd, tcp.handshake_cnd), (first(30), first(10)));
        assert_eq!((tcp.svc, tcp.rndtrip), (first(10), first(50)));
    }
}

#[test]
fn an_answer_to_the_syn_that_comes_after_a_request_is_not_timed() {
    for mut wire in [Wire::new(), Wire::without_exchanges()] {
        wire.up(0, S, 100, 0, 0);
        wire.up(40, A, 101, 501, 0);
        wire.up(50, A, 101, 501, 10);
        wire.down(60, S | A, 500, 101, 0);
        let (_, tcp) = wire.flushed();
        assert_eq!((tcp.state, tcp.handshake_snd, tcp.handshake_cnd), (TcpState::Established, None, None));
    }
}

#[test]
fn an_answer_to_the_syn_that_comes_after_a_response_is_not_timed_either() {
    for (mut wire, svc) in
        [(Wire::new(), first(5)), (Wire::swapped(), first(5)), (Wire::without_exchanges(), None)]
    {
        wire.up(0, S, 100, 0, 0);
        wire.up(40, A, 101, 501, 0);
        wire.up(50, A, 101, 501, 10);
        wire.down(55, A, 501, 111, 20);
        wire.down(60, S | A, 500, 101, 0);
        let (_, tcp) = wire.flushed();
        assert_eq!((tcp.handshake_snd, tcp.handshake_cnd, tcp.svc), (None, None, svc));
    }
}

#[test]
fn where_exchanges_are_not_wanted_all_else_is_the_same() {
    let [with, without] = [Wire::new(), Wire::without_exchanges()].map(|mut wire| {
        wire.handshake();
        wire.up(50, A | P, 101, 501, 10);
        wire.down(150, A | P, 501, 111, 20);
        wire.up(160, A, 111, 521, 0);
        wire.up(170, A | P, 111, 521, 10);
        wire.up(180, A | P, 111, 521, 10);
        wire.down(190, A | P, 521, 121, 20);
        wire.flushed()
    });
    // 100 and 20 ms, 60 in the mean, less the 30 of the handshake; they differ by 80, a sixteenth of which is the jitter.
    assert_eq!(with.1.svc, Some(Timing { latency_ns: 30 * MS, jitter_ns: Some(5 * MS) }));
    assert_eq!(without.1, TcpRecord { svc: None, rndtrip: None, ..with.1 });
    assert_eq!(without.0, FlowRecord { tcp: without.0.tcp, ..with.0 });
}

#[test]
fn a_flow_that_begins_with_its_syn_ack_is_turned_with_all_its_values() {
    for mut wire in [Wire::new(), Wire::swapped()] {
        wire.down(30, S | A, 500, 101, 0);
        wire.up(40, A, 101, 501, 0);
        wire.up(50, A, 101, 501, 10);
        wire.up(60, A, 101, 501, 10);
        wire.down(150, A, 501, 111, 20);
        let (record, tcp) = wire.flushed();
        assert_eq!(record.source().1, wire.client.1);
        assert_eq!((record.to_destination.packets_delta, record.to_source.packets_delta), (3, 2));
        assert_eq!((tcp.handshake_snd, tcp.handshake_cnd), (None, first(10)));
        assert_eq!((tcp.to_destination.retransmissions, tcp.to_source.retransmissions), (1, 0));
        assert_eq!((tcp.svc, tcp.rndtrip), (first(100), first(110)));
    }
}
