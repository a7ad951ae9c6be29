//! Events of a connection, however its handshake goes: the same whether the slot has a word for each or tells them by its times.
//! Expectations by hand; times in milliseconds.
#![cfg(not(loom))]
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking, in its helpers too")]

mod packets;

use flowtable::{
    EndReason, EventDetail, EventKind, Family, FlowRecord, Nanos, Sweeper, TableConfig, TcpState, Timeouts,
    Timing, Writer, table, tcp_flag,
};
use packets::{MS, Tcp, config, tcp};

const CLIENT: (u32, u16) = (10, 40_000);
const SERVER: (u32, u16) = (20, 443);
const S: u8 = tcp_flag::SYN;
const A: u8 = tcp_flag::ACK;
const F: u8 = tcp_flag::FIN;
const R: u8 = tcp_flag::RST;
const UP: bool = true;
const DOWN: bool = false;

/// A segment without payload: which way, when, flags, sequence, acknowledgment.
type Segment = (bool, u64, u8, u32, u32);

const SYN: Segment = (UP, 0, S, 100, 0);
const SYN_ACK: Segment = (DOWN, 30, S | A, 500, 101);
const ACK: Segment = (UP, 40, A, 101, 501);

struct Wire {
    writer: Writer,
    sweeper: Sweeper,
    family: Family,
}

impl Wire {
    fn new(family: Family, details: u32) -> Wire {
        let (writer, sweeper) =
            table(&TableConfig { details, events: EventDetail::All, ..config(16) }).unwrap();
        Wire { writer, sweeper, family }
    }

    fn send(&mut self, segments: &[Segment]) {
        for &(up, at_ms, flags, sequence, acknowledgment) in segments {
            let (from, to) = if up { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
            let mut packet = tcp(from, to, at_ms, &Tcp { sequence, acknowledgment, payload: 0, flags });
            packet.key.family = self.family;
            self.writer.update_burst(&[packet]);
        }
    }

    fn flushed(&mut self) -> FlowRecord {
        let mut records = Vec::new();
        self.sweeper.flush(Nanos(1_000_000 * MS), &mut records);
        records.pop().unwrap()
    }

    fn swept(&mut self, at_ms: u64) -> Vec<FlowRecord> {
        let mut records = Vec::new();
        self.sweeper.sweep(Nanos(at_ms * MS), &Timeouts::default(), &mut records);
        self.writer.serve_retirements(100);
        records
    }
}

fn kinds(record: &FlowRecord) -> Vec<(u64, EventKind)> {
    record.events.kept.iter().map(|event| (event.at.0 / MS, event.kind)).collect()
}

fn told_of(segments: &[Segment]) -> Vec<(u64, EventKind)> {
    let both = [Family::V4, Family::V6].map(|family| {
        let mut wire = Wire::new(family, 16);
        wire.send(segments);
        kinds(&wire.flushed())
    });
    assert_eq!(both[0], both[1]);
    both[0].clone()
}

use EventKind::{TcpEstablished, TcpFin, TcpRetransmission, TcpRst, TcpSyn, TcpSynAck};

#[test]
fn a_handshake_and_a_close_by_the_book_are_told_without_details() {
    let fins = [(UP, 50, F | A, 101, 501), (DOWN, 60, F | A, 501, 102), (UP, 70, A, 102, 502)];
    let resets = [(DOWN, 80, R, 502, 0), (DOWN, 90, R, 502, 0)];
    let expected = [
        (0, TcpSyn),
        (30, TcpSynAck),
        (40, TcpEstablished),
        (50, TcpFin),
        (60, TcpFin),
        (80, TcpRst),
        (90, TcpRst),
    ];
    for (family, told, lost) in [(Family::V4, 7, 0), (Family::V6, 5, 2)] {
        let mut wire = Wire::new(family, 0);
        wire.send(&[SYN, SYN_ACK, ACK]);
        wire.send(&fins);
        assert_eq!(wire.writer.stats().details_missing, 0);
        wire.send(&resets);
        let record = wire.flushed();
        assert_eq!((kinds(&record), record.events.dropped), (expected[..told].to_vec(), lost));
        assert_eq!(wire.writer.stats().details_missing, u64::from(lost));
    }
    assert_eq!(told_of(&[&[SYN, SYN_ACK, ACK], &fins[..], &resets].concat()), expected);
}

#[test]
fn a_handshake_of_which_a_part_comes_again_is_told_in_its_order() {
    let again = |segment: Segment, at_ms| (segment.0, at_ms, segment.2, segment.3, segment.4);
    let expected = [
        (0, TcpSyn),
        (10, TcpSyn),
        (10, TcpRetransmission),
        (30, TcpSynAck),
        (35, TcpSynAck),
        (35, TcpRetransmission),
        (40, TcpEstablished),
    ];
    assert_eq!(told_of(&[SYN, again(SYN, 10), SYN_ACK, again(SYN_ACK, 35), ACK]), expected);
    let expected =
        [(0, TcpSyn), (30, TcpSynAck), (35, TcpSynAck), (35, TcpRetransmission), (40, TcpEstablished)];
    assert_eq!(told_of(&[SYN, SYN_ACK, again(SYN_ACK, 35), ACK]), expected);
    let expected =
        [(0, TcpSyn), (30, TcpSynAck), (40, TcpEstablished), (45, TcpSynAck), (45, TcpRetransmission)];
    assert_eq!(told_of(&[SYN, SYN_ACK, ACK, again(SYN_ACK, 45)]), expected);
}

#[test]
fn a_handshake_in_another_order_is_told_in_that() {
    assert_eq!(told_of(&[SYN_ACK, ACK]), [(30, TcpSynAck), (40, TcpEstablished)]);
    assert_eq!(
        told_of(&[SYN, ACK, (DOWN, 45, S | A, 500, 101)])[..3],
        [(0, TcpSyn), (40, TcpEstablished), (45, TcpSynAck)]
    );
    let crossed = [SYN, (DOWN, 5, S, 500, 0), (UP, 30, S | A, 100, 501), (DOWN, 31, S | A, 500, 101)];
    let told: Vec<_> = told_of(&crossed).into_iter().filter(|(_, kind)| *kind != TcpRetransmission).collect();
    let expected = [(0, TcpSyn), (5, TcpSyn), (30, TcpSynAck), (31, TcpSynAck), (31, TcpEstablished)];
    assert_eq!(told, expected);
}

/// The flow begins where the one before it ended, later than its own packets.
#[test]
fn events_before_a_start_that_was_moved_are_told_at_the_start() {
    let mut wire = Wire::new(Family::V4, 16);
    wire.send(&[(UP, 20, S, 7, 0), (DOWN, 21, R | A, 0, 8)]);
    assert_eq!(wire.swept(5_000).len(), 1);
    wire.send(&[SYN, SYN_ACK, ACK]);
    let record = wire.flushed();
    assert_eq!(record.start, Nanos(21 * MS + 1));
    let first = |latency_ms| Some(Timing { latency_ns: latency_ms * MS, jitter_ns: None });
    let tcp = record.tcp.unwrap();
    assert_eq!((tcp.handshake_snd, tcp.handshake_cnd), (first(30), first(10)));
    assert_eq!(kinds(&record), [(21, TcpSyn), (30, TcpSynAck), (40, TcpEstablished)]);
    assert_eq!(record.events.kept[0].at, record.start);
}

/// Nor does it keep the flow from being taken for closed since the RST.
#[test]
fn what_comes_after_a_reset_is_told_and_changes_no_state() {
    let mut wire = Wire::new(Family::V4, 16);
    wire.send(&[SYN, SYN_ACK, ACK, (DOWN, 50, R, 501, 0)]);
    wire.send(&[(UP, 60, F | A, 101, 501), (DOWN, 70, F | A, 501, 102), (UP, 80, A, 102, 502)]);
    assert!(wire.swept(2_049).is_empty());
    let record = wire.swept(2_050).pop().unwrap();
    assert_eq!(
        (record.end_reason, record.tcp.unwrap().state),
        (EndReason::EndOfFlowDetected, TcpState::Closed)
    );
    assert_eq!(kinds(&record)[3..], [(50, TcpRst), (60, TcpFin), (70, TcpFin)]);
}
