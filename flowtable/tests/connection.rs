//! What records say of a TCP connection, packet by packet; every figure worked out by hand. Times in milliseconds.
#![cfg(not(loom))]
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking, in its helpers too")]

mod packets;

use flowtable::{
    EndReason, Event, EventDetail, EventKind, FlowRecord, Nanos, NetworkError, Sweeper, TableConfig,
    TcpCounts, TcpRecord, TcpState, Timeouts, Timing, Writer, table, tcp_flag,
};
use packets::{MS, Tcp, config, tcp};

/// The client, whose address sorts first in half of the tests.
const CLIENT: (u32, u16) = (10, 40_000);
const SERVER: (u32, u16) = (20, 443);
const S: u8 = tcp_flag::SYN;
const A: u8 = tcp_flag::ACK;
const P: u8 = tcp_flag::PSH;
const F: u8 = tcp_flag::FIN;
const R: u8 = tcp_flag::RST;

struct Wire {
    writer: Writer,
    sweeper: Sweeper,
    records: Vec<FlowRecord>,
    client: (u32, u16),
    server: (u32, u16),
    window: u16,
}

impl Wire {
    fn new() -> Wire {
        Wire::with(&TableConfig { events: EventDetail::All, ..config(16) })
    }

    fn with(config: &TableConfig) -> Wire {
        let (writer, sweeper) = table(config).unwrap();
        Wire { writer, sweeper, records: Vec::new(), client: CLIENT, server: SERVER, window: 1_000 }
    }

    /// Client and server with their addresses exchanged, so that the canonical order is the other one.
    fn swapped() -> Wire {
        Wire { client: SERVER, server: CLIENT, ..Wire::new() }
    }

    fn without_exchanges() -> Wire {
        Wire::with(&TableConfig { events: EventDetail::All, exchanges: false, ..config(16) })
    }

    fn send(&mut self, from: (u32, u16), to: (u32, u16), at_ms: u64, header: Tcp) {
        let mut packet = tcp(from, to, at_ms, &header);
        packet.tcp.window = self.window;
        assert_eq!(self.writer.update_burst(&[packet]).in_flows, 1);
    }

    /// Client to server: flags, sequence, acknowledgment, payload.
    fn up(&mut self, at_ms: u64, flags: u8, sequence: u32, acknowledgment: u32, payload: u32) {
        self.send(self.client, self.server, at_ms, Tcp { sequence, acknowledgment, payload, flags });
    }

    /// Server to client.
    fn down(&mut self, at_ms: u64, flags: u8, sequence: u32, acknowledgment: u32, payload: u32) {
        self.send(self.server, self.client, at_ms, Tcp { sequence, acknowledgment, payload, flags });
    }

    /// SYN at 0, SYN/ACK at 30, ACK at 40 ms; both sides begin at 100 and 500.
    fn handshake(&mut self) {
        self.up(0, S, 100, 0, 0);
        self.down(30, S | A, 500, 101, 0);
        self.up(40, A, 101, 501, 0);
    }

    fn flush(&mut self, at_ms: u64) -> FlowRecord {
        self.sweeper.flush(Nanos(at_ms * MS), &mut self.records);
        assert_eq!(self.records.len(), 1, "{:#?}", self.records);
        self.records.remove(0)
    }

    fn flushed(&mut self) -> (FlowRecord, TcpRecord) {
        let record = self.flush(1_000_000);
        let tcp = record.tcp.unwrap();
        (record, tcp)
    }

    fn sweep(&mut self, at_ms: u64) -> Vec<FlowRecord> {
        self.sweeper.sweep(Nanos(at_ms * MS), &Timeouts::default(), &mut self.records);
        self.writer.serve_retirements(100);
        std::mem::take(&mut self.records)
    }
}

fn first(latency_ms: u64) -> Option<Timing> {
    Some(Timing { latency_ns: latency_ms * MS, jitter_ns: None })
}

fn kinds(record: &FlowRecord) -> Vec<(u64, EventKind)> {
    record.events.kept.iter().map(|Event { at, kind }| (at.0 / MS, *kind)).collect()
}

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
    for mut wire in [Wire::new(), Wire::swapped()] {
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
