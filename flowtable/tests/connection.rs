//! What records say of a TCP connection, packet by packet; every figure worked out by hand. Times in milliseconds.
#![cfg(not(loom))]
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking, in its helpers too")]

mod packets;
mod wire;

use flowtable::{
    EndReason, EventDetail, EventKind, FlowRecord, Nanos, NetworkError, TableConfig, TcpCounts, TcpState,
};
use packets::{MS, config};
use wire::{A, CLIENT, F, R, S, Wire, first, kinds};

#[test]
fn segments_out_of_order_are_told_from_retransmissions_by_the_round_trip() {
    let mut wire = Wire::new();
    wire.handshake();
    // A gap of ten octets, filled after 20 ms: less than the round trip of 40 ms.
    wire.up(100, A, 111, 501, 10);
    wire.up(120, A, 101, 501, 10);
    // Another, filled after 41 ms: its sender may have heard of the loss.
    wire.up(200, A, 131, 501, 10);
    wire.up(241, A, 121, 501, 10);
    // Octets that were seen.
    wire.up(300, A, 131, 501, 10);
    let (record, tcp) = wire.flushed();
    let expected = TcpCounts { retransmissions: 2, out_of_order: 1, ..TcpCounts::default() };
    assert_eq!((tcp.to_destination, tcp.to_source), (expected, TcpCounts::default()));
    let odd = [
        (120, EventKind::TcpOutOfOrder),
        (241, EventKind::TcpRetransmission),
        (300, EventKind::TcpRetransmission),
    ];
    assert_eq!(kinds(&record)[3..], odd);
}

#[test]
fn without_a_handshake_reordering_lasts_3_ms() {
    let mut wire = Wire::new();
    wire.up(0, A, 1_000, 1, 10);
    wire.up(1, A, 1_020, 1, 10);
    wire.up(4, A, 1_010, 1, 10);
    wire.up(10, A, 1_050, 1, 10);
    wire.up(14, A, 1_030, 1, 20);
    let (_, tcp) = wire.flushed();
    assert_eq!((tcp.to_destination.out_of_order, tcp.to_destination.retransmissions), (1, 1));
}

#[test]
fn sequence_numbers_wrap() {
    let mut wire = Wire::new();
    wire.up(0, S, 0xffff_fffa, 0, 0);
    wire.down(30, S | A, 0xffff_ffff, 0xffff_fffb, 0);
    wire.up(40, A, 0xffff_fffb, 0, 0);
    wire.up(50, A, 0xffff_fffb, 0, 10);
    wire.down(90, A, 0, 5, 10);
    wire.up(100, A, 5, 10, 10);
    wire.up(101, A, 0xffff_fffb, 10, 10);
    wire.up(110, A | F, 15, 10, 0);
    wire.down(111, A | F, 10, 16, 0);
    wire.up(112, A, 16, 11, 0);
    let (_, tcp) = wire.flushed();
    assert_eq!((tcp.handshake_cnd, tcp.svc), (first(10), first(10)));
    assert_eq!((tcp.to_destination.retransmissions, tcp.to_destination.out_of_order), (1, 0));
    assert_eq!(tcp.state, TcpState::TimeWait);
}

#[test]
fn duplicate_acknowledgments_are_those_of_rfc_5681() {
    let mut wire = Wire::new();
    wire.handshake();
    wire.up(50, A, 101, 501, 100);
    wire.down(60, A, 501, 151, 0);
    wire.down(61, A, 501, 151, 0);
    wire.down(62, A, 501, 151, 0);
    wire.window = 900;
    wire.down(63, A, 501, 151, 0);
    wire.window = 1_000;
    wire.down(64, A, 501, 151, 10);
    wire.down(65, A, 511, 201, 0);
    wire.down(66, A, 511, 201, 0);
    let (_, tcp) = wire.flushed();
    assert_eq!(
        tcp.to_source.duplicate_acks, 2,
        "not the window update, not with data, not when all is acknowledged"
    );
    assert_eq!(tcp.to_destination, TcpCounts::default());
}

#[test]
fn a_keep_alive_is_no_retransmission() {
    let mut wire = Wire::new();
    wire.handshake();
    wire.up(50, A, 101, 501, 10);
    wire.down(60, A, 501, 111, 0);
    wire.up(10_000, A, 110, 501, 1);
    wire.up(20_000, A, 110, 501, 0);
    assert_eq!(wire.flushed().1.to_destination, TcpCounts::default());
}

#[test]
fn a_window_of_0_is_counted_and_an_event() {
    let mut wire = Wire::new();
    wire.handshake();
    wire.window = 0;
    wire.down(50, A, 501, 101, 0);
    wire.down(60, A, 501, 101, 0);
    let (record, tcp) = wire.flushed();
    assert_eq!((tcp.to_source.zero_windows, tcp.to_destination.zero_windows), (2, 0));
    assert_eq!(kinds(&record)[3..], [(50, EventKind::TcpZeroWindow), (60, EventKind::TcpZeroWindow)]);
}

#[test]
fn counts_are_of_the_window_and_latencies_of_the_flow() {
    let mut wire = Wire::new();
    wire.handshake();
    wire.up(50, A, 101, 501, 10);
    wire.up(60, A, 101, 501, 10);
    wire.up(61, A, 101, 501, 10);
    assert_eq!(wire.flushed().1.to_destination.retransmissions, 2);
    wire.up(70, A, 101, 501, 10);
    let (record, tcp) = wire.flushed();
    assert_eq!((tcp.to_destination.retransmissions, tcp.handshake_snd), (1, first(30)));
    assert_eq!(kinds(&record), [(70, EventKind::TcpRetransmission)]);
}

#[test]
fn at_most_32_events_are_kept_and_the_rest_is_counted() {
    let mut wire = Wire::new();
    wire.handshake();
    wire.up(50, A, 101, 501, 10);
    for again in 0..100 {
        wire.up(100 + again, A, 101, 501, 10);
    }
    let (record, _) = wire.flushed();
    assert_eq!((record.events.kept.len(), record.events.dropped), (32, 103 - 32));
    assert_eq!(
        kinds(&record)[..3],
        [(0, EventKind::TcpSyn), (30, EventKind::TcpSynAck), (40, EventKind::TcpEstablished)]
    );
    assert_eq!(kinds(&record)[31], (199, EventKind::TcpRetransmission));
    assert!(record.events.kept.is_sorted_by_key(|event| event.at));
}

#[test]
fn events_are_kept_as_the_setting_says() {
    let of = |events| {
        let mut wire = Wire::with(&TableConfig { events, ..config(16) });
        wire.handshake();
        wire.up(50, A, 101, 501, 10);
        wire.up(60, A, 101, 501, 10);
        let (record, tcp) = wire.flushed();
        assert_eq!(tcp.to_destination.retransmissions, 1, "counted all the same");
        record.events.kept.len()
    };
    assert_eq!([EventDetail::Off, EventDetail::State, EventDetail::All].map(of), [0, 3, 4]);
}

#[test]
fn a_refused_connection_is_told_from_one_that_is_reset_or_called_off() {
    let error = |steps: fn(&mut Wire)| {
        let mut wire = Wire::new();
        steps(&mut wire);
        let record = wire.flush(1_000);
        assert_eq!(record.tcp.unwrap().state, TcpState::Closed);
        record.error
    };
    let refused = error(|wire| {
        wire.up(0, S, 100, 0, 0);
        wire.down(1, R | A, 0, 101, 0);
    });
    assert_eq!(refused, Some(NetworkError::ConnectionRefused));
    let reset_by: [fn(&mut Wire); 2] = [|wire| wire.up(50, R, 101, 0, 0), |wire| wire.down(50, R, 501, 0, 0)];
    for by in reset_by {
        let mut wire = Wire::new();
        wire.handshake();
        by(&mut wire);
        let record = wire.flush(1_000);
        assert_eq!(record.error, Some(NetworkError::ConnectionReset));
        assert_eq!(kinds(&record)[3..], [(50, EventKind::TcpRst)]);
    }
    let half_open = error(|wire| {
        wire.up(0, S, 100, 0, 0);
        wire.down(1, S | A, 500, 101, 0);
        wire.up(2, R, 101, 0, 0);
    });
    assert_eq!(half_open, None, "a scanner's way of hanging up");
    let after_close = error(|wire| {
        wire.handshake();
        wire.up(50, F | A, 101, 501, 0);
        wire.down(51, F | A, 501, 102, 0);
        wire.up(52, A, 102, 502, 0);
        wire.down(53, R, 502, 0, 0);
    });
    assert_eq!(after_close, None);
}

#[test]
fn a_syn_nobody_answers_times_out_and_only_then() {
    let mut wire = Wire::new();
    wire.up(0, S, 100, 0, 0);
    let records = wire.sweep(10_000);
    assert_eq!(
        (records[0].end_reason, records[0].error),
        (EndReason::IdleTimeout, Some(NetworkError::TimedOut))
    );
    let mut wire = Wire::new();
    wire.up(0, S, 100, 0, 0);
    assert_eq!(wire.flush(5_000).error, None, "it may still be answered");
    let mut wire = Wire::new();
    wire.up(0, S, 100, 0, 0);
    wire.down(1, S | A, 500, 101, 0);
    assert_eq!(wire.sweep(10_001)[0].error, None, "half open, but answered");
}

#[test]
fn a_simultaneous_open_is_established_by_the_answers() {
    let mut wire = Wire::new();
    wire.up(0, S, 100, 0, 0);
    wire.down(5, S, 500, 0, 0);
    assert_eq!(wire.flush(6).tcp.unwrap().state, TcpState::SynReceived);
    wire.up(30, S | A, 100, 501, 0);
    wire.down(31, S | A, 500, 101, 0);
    let (record, tcp) = wire.flushed();
    assert_eq!(tcp.state, TcpState::Established);
    assert_eq!((record.source().1, record.error), (CLIENT.1, None));
    assert_eq!(tcp.handshake_snd, first(31), "from the initiator's SYN to the responder's answer");
}

#[test]
fn a_used_port_begins_anew_with_everything() {
    let mut wire = Wire::new();
    wire.handshake();
    wire.up(50, A, 101, 501, 10);
    wire.up(51, A, 101, 501, 10);
    wire.down(60, R, 501, 0, 0);
    wire.up(1_000, S, 9_000, 0, 0);
    wire.down(1_003, S | A, 77, 9_001, 0);
    wire.sweeper.flush(Nanos(2_000 * MS), &mut wire.records);
    let [old, new] = &wire.records[..] else { panic!("two flows: {:#?}", wire.records) };
    assert_eq!(
        (old.error, old.tcp.unwrap().to_destination.retransmissions),
        (Some(NetworkError::ConnectionReset), 1)
    );
    assert_eq!(old.events.kept.len(), 5);
    let tcp = new.tcp.unwrap();
    assert_eq!((new.error, tcp.handshake_snd, tcp.handshake_cnd), (None, first(3), None));
    assert_eq!(tcp.to_destination, TcpCounts::default());
    assert_eq!(kinds(new), [(1_000, EventKind::TcpSyn), (1_003, EventKind::TcpSynAck)]);
}

#[test]
fn flows_without_details_are_counted_and_get_them_back_from_flows_that_ended() {
    let mut wire = Wire::with(&TableConfig { details: 1, ..config(16) });
    let lose = |wire: &mut Wire, port: u16, at_ms: u64| {
        wire.client = (10, port);
        wire.up(at_ms, A, 1, 1, 10);
        wire.up(at_ms + 1, A, 1, 1, 10);
    };
    lose(&mut wire, 1_001, 0);
    lose(&mut wire, 1_002, 0);
    assert_eq!(wire.writer.stats().details_missing, 1);
    let counted = |records: &[FlowRecord]| {
        records.iter().map(|record| record.tcp.unwrap().to_destination.retransmissions).sum::<u64>()
    };
    let records = wire.sweep(121_000);
    assert_eq!((records.len(), counted(&records)), (2, 1));
    lose(&mut wire, 1_003, 122_000);
    assert_eq!(wire.writer.stats().details_missing, 1);
    assert_eq!(counted(&wire.sweep(300_000)), 1, "and nothing of the flow that had them before");
}

#[test]
fn details_of_a_flow_that_is_evicted_come_back() {
    let mut wire = Wire::with(&TableConfig { details: 1, ..config(1) });
    for flow in 0..10u16 {
        wire.client = (10, 1_000 + flow);
        let at_ms = u64::from(flow) * 10;
        wire.up(at_ms, A, 1, 1, 10);
        wire.up(at_ms + 1, A, 1, 1, 10);
        wire.sweeper.drain_handovers(&mut wire.records);
        wire.writer.serve_retirements(10);
    }
    wire.sweeper.flush(Nanos(MS), &mut wire.records);
    assert_eq!(wire.records.len(), 10);
    // Every other flow finds the block still on its way back from the one it evicted.
    let total: u64 = wire.records.iter().map(|r| r.tcp.unwrap().to_destination.retransmissions).sum();
    assert_eq!((total, wire.writer.stats().details_missing), (5, 5));
}
