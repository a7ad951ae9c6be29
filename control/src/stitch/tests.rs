//! The stitcher on records made by hand: what comes out, when, and how it is numbered. Times are milliseconds.

use flowtable::{
    Counters, Direction, EndReason, Endpoint, Events, Family, FirstPacket, FlowKey, FlowRecord, Initiator,
    Nanos, TcpRecord, TcpState, Timeouts, protocol, tcp_flag,
};

use super::{StitchConfig, Stitcher};

mod details;

use Direction::{HiToLo, LoToHi};
use EndReason::{ActiveTimeout, EndOfFlowDetected, ForcedEnd, IdleTimeout, LackOfResources};

const MS: u64 = 1_000_000;
const HOLD_MS: u64 = 1_000;

struct Bed {
    stitcher: Stitcher,
    out: Vec<FlowRecord>,
}

impl Bed {
    fn new(capacity: u32) -> Bed {
        let config = StitchConfig { hold_ns: HOLD_MS * MS, capacity, seed: 7 };
        Bed { stitcher: Stitcher::new(config, Timeouts::default()), out: Vec::new() }
    }

    fn offer(&mut self, worker: u16, record: &FlowRecord, now_ms: u64) -> Vec<FlowRecord> {
        self.stitcher.offer(worker, record.clone(), Nanos(now_ms * MS), &mut self.out);
        std::mem::take(&mut self.out)
    }

    fn expire(&mut self, now_ms: u64) -> Vec<FlowRecord> {
        self.stitcher.expire(Nanos(now_ms * MS), &mut self.out);
        std::mem::take(&mut self.out)
    }

    fn finish(&mut self) -> Vec<FlowRecord> {
        self.stitcher.finish(&mut self.out);
        std::mem::take(&mut self.out)
    }

    fn remembered(&self) -> u64 {
        self.stitcher.stats().conversations
    }
}

/// A half of the flow between 1:(40000 + `flow`) and 2:53 whose packets all travel `way`, from a table that saw no proof.
fn half(way: Direction, packets: u64, span_ms: (u64, u64), end_reason: EndReason) -> FlowRecord {
    let counters = Counters {
        packets_delta: packets,
        bytes_delta: packets * 100,
        packets_total: packets,
        bytes_total: packets * 100,
    };
    FlowRecord {
        key: key(protocol::UDP, 0),
        forward: way,
        initiator: if way == LoToHi { Initiator::Source } else { Initiator::Destination },
        first: FirstPacket { ttl: if way == LoToHi { 64 } else { 57 }, ..FirstPacket::default() },
        flow_start: Nanos(span_ms.0 * MS),
        start: Nanos(span_ms.0 * MS),
        end: Nanos(span_ms.1 * MS),
        number: 0,
        end_reason,
        tcp: None,
        to_destination: counters,
        to_source: Counters::default(),
        error: None,
        tunnel: None,
        events: Events::default(),
    }
}

fn key(protocol: u8, flow: u16) -> FlowKey {
    let lo = Endpoint { address: 1, port: 40_000 + flow };
    FlowKey::canonical(Family::V4, protocol, lo, Endpoint { address: 2, port: 53 }).0
}

/// The record after `before`, of as many packets, over the time up to `end_ms`.
fn next(before: &FlowRecord, end_ms: u64, end_reason: EndReason) -> FlowRecord {
    let more = |counters: Counters| Counters {
        packets_total: counters.packets_total + counters.packets_delta,
        bytes_total: counters.bytes_total + counters.bytes_delta,
        ..counters
    };
    FlowRecord {
        number: before.number + 1,
        start: before.end,
        end: Nanos(end_ms * MS),
        end_reason,
        to_destination: more(before.to_destination),
        to_source: more(before.to_source),
        ..before.clone()
    }
}

/// `record` as the TCP half of a table that was told `source` by a handshake.
fn tcp(mut record: FlowRecord, source: Direction, state: TcpState, flags: u8) -> FlowRecord {
    record.key = key(protocol::TCP, 0);
    record.initiator = Initiator::Source;
    record.tcp = Some(TcpRecord { state, flags, ..TcpRecord::default() });
    if record.forward != source {
        record.forward = source;
        std::mem::swap(&mut record.to_destination, &mut record.to_source);
    }
    record
}

/// The one record of `out`.
fn one(out: Vec<FlowRecord>) -> FlowRecord {
    let [record] = <[FlowRecord; 1]>::try_from(out).expect("one record");
    record
}

fn deltas(record: &FlowRecord) -> (u64, u64) {
    (record.to_destination.packets_delta, record.to_source.packets_delta)
}

fn totals(record: &FlowRecord) -> (u64, u64) {
    (record.to_destination.packets_total, record.to_source.packets_total)
}

fn span_ms(record: &FlowRecord) -> (u64, u64) {
    (record.start.0 / MS, record.end.0 / MS)
}

#[test]
fn two_halves_make_one_record_at_once() {
    let mut bed = Bed::new(8);
    assert!(bed.offer(1, &half(HiToLo, 3, (20, 90), IdleTimeout), 30_200).is_empty());
    let out = bed.offer(0, &half(LoToHi, 2, (10, 80), IdleTimeout), 30_200);
    assert_eq!(out.len(), 1);
    let record = &out[0];
    assert_eq!(record.flow_start, Nanos(10 * MS), "the earlier half's");
    assert_eq!((record.forward, record.initiator), (LoToHi, Initiator::Source));
    assert_eq!(record.first.ttl, 64, "facts of the flow's first packet");
    assert_eq!((span_ms(record), deltas(record), totals(record)), ((10, 90), (2, 3), (2, 3)));
    assert_eq!((record.number, record.end_reason), (0, IdleTimeout));
    assert_eq!(record.to_source.bytes_total, 300);
    assert_eq!(bed.remembered(), 1);
    assert!(bed.expire(31_200).is_empty());
    assert_eq!(bed.remembered(), 0, "forgotten when both halves have ended");
    assert_eq!(bed.stitcher.stats().joined, 1);
}

#[test]
fn a_half_alone_goes_out_when_the_hold_is_over() {
    let mut bed = Bed::new(8);
    bed.offer(0, &half(LoToHi, 2, (10, 80), IdleTimeout), 30_200);
    assert!(bed.expire(31_199).is_empty());
    let out = bed.expire(31_200);
    assert_eq!((deltas(&out[0]), out[0].end_reason), ((2, 0), IdleTimeout));
    assert_eq!(bed.remembered(), 1, "the other half may still report");
    bed.expire(92_200);
    assert_eq!(bed.remembered(), 0, "an active timeout later it would have");
}

#[test]
fn a_late_half_joins_the_same_conversation_as_its_next_record() {
    let mut bed = Bed::new(8);
    bed.offer(0, &half(LoToHi, 2, (10, 80), LackOfResources), 100);
    let first = one(bed.expire(1_100));
    bed.offer(1, &half(HiToLo, 5, (20, 60), IdleTimeout), 30_100);
    let second = one(bed.expire(31_100));
    assert_eq!((first.number, second.number), (0, 1));
    assert_eq!((second.flow_start, second.forward), (first.flow_start, first.forward));
    assert_eq!(span_ms(&second), (80, 80), "starts where the first ended, never ends before");
    assert_eq!((deltas(&second), totals(&second)), ((0, 5), (2, 5)));
    assert_eq!(second.end_reason, LackOfResources, "the more telling of the two");
}

#[test]
fn a_living_conversation_gives_one_record_a_window() {
    let mut bed = Bed::new(8);
    let (mut there, mut back) =
        (half(LoToHi, 4, (0, 59_000), ActiveTimeout), half(HiToLo, 6, (5, 59_005), ActiveTimeout));
    let mut records = Vec::new();
    for minute in 1..=3 {
        assert!(bed.offer(0, &there, minute * 60_000).is_empty());
        records.extend(bed.offer(1, &back, minute * 60_000 + 500));
        bed.expire(minute * 60_000 + 500);
        there = next(&there, minute * 60_000 + 59_000, ActiveTimeout);
        back = next(&back, minute * 60_000 + 59_005, ActiveTimeout);
    }
    let numbers: Vec<_> = records.iter().map(|record| record.number).collect();
    assert_eq!(numbers, [0, 1, 2]);
    assert_eq!(
        records.iter().map(span_ms).collect::<Vec<_>>(),
        [(0, 59_005), (59_005, 119_005), (119_005, 179_005)]
    );
    assert_eq!(totals(&records[2]), (12, 18));
    assert!(records.iter().all(|record| record.end_reason == ActiveTimeout));
}

#[test]
fn a_record_of_both_ways_passes_and_the_other_worker_adds_to_it() {
    let mut bed = Bed::new(8);
    let mut both = half(LoToHi, 4, (0, 50), ActiveTimeout);
    both.to_source = both.to_destination;
    assert_eq!(bed.offer(0, &both, 60_000).len(), 1);
    bed.offer(1, &half(HiToLo, 1, (30, 40), IdleTimeout), 60_100);
    let second = one(bed.expire(61_100));
    assert_eq!((second.number, deltas(&second), totals(&second)), (1, (0, 1), (4, 5)));
    assert_eq!(second.end_reason, ActiveTimeout, "the other worker's half lives");
}

#[test]
fn a_handshake_orients_both_halves_whoever_comes_first() {
    const SK: u8 = tcp_flag::SYN | tcp_flag::ACK;
    let mut bed = Bed::new(8);
    // The SYN/ACK was stamped before the SYN.
    let called = tcp(half(LoToHi, 3, (9, 60_000), ActiveTimeout), HiToLo, TcpState::SynSent, SK);
    let caller = tcp(half(HiToLo, 2, (10, 60_000), ActiveTimeout), HiToLo, TcpState::Established, SK);
    bed.offer(0, &called, 60_500);
    let record = one(bed.offer(1, &caller, 60_500));
    assert_eq!((record.forward, record.initiator), (HiToLo, Initiator::Source));
    assert_eq!((deltas(&record), record.flow_start), ((2, 3), Nanos(9 * MS)));
    assert_eq!(
        record.tcp,
        Some(TcpRecord { state: TcpState::Established, flags: SK, ..TcpRecord::default() })
    );
}

#[test]
fn a_half_that_began_in_the_middle_yields_to_a_handshake_but_not_after_a_record() {
    let middle =
        tcp(half(LoToHi, 3, (5, 60_000), ActiveTimeout), LoToHi, TcpState::Established, tcp_flag::ACK);
    let caller = tcp(half(HiToLo, 2, (10, 60_000), ActiveTimeout), HiToLo, TcpState::SynSent, tcp_flag::SYN);
    let mut bed = Bed::new(8);
    bed.offer(0, &middle, 60_500);
    assert_eq!(bed.offer(1, &caller, 60_500)[0].forward, HiToLo);

    let mut bed = Bed::new(8);
    bed.offer(0, &middle, 60_500);
    assert_eq!(bed.expire(61_500)[0].forward, LoToHi);
    bed.offer(1, &caller, 61_600);
    let second = one(bed.expire(62_600));
    assert_eq!((second.forward, deltas(&second)), (LoToHi, (0, 2)));
}

#[test]
fn both_fins_in_silent_halves_are_an_end_detected() {
    const FK: u8 = tcp_flag::FIN | tcp_flag::ACK;
    let mut bed = Bed::new(8);
    bed.offer(0, &tcp(half(LoToHi, 3, (0, 100), IdleTimeout), LoToHi, TcpState::FinWait1, FK), 120_100);
    let back = tcp(half(HiToLo, 3, (1, 99), IdleTimeout), LoToHi, TcpState::CloseWait, FK);
    let record = one(bed.offer(1, &back, 120_100));
    assert_eq!(
        (record.end_reason, record.tcp.map(|tcp| tcp.state)),
        (EndOfFlowDetected, Some(TcpState::TimeWait))
    );
}

#[test]
fn a_reset_half_is_joined_by_the_one_that_never_saw_the_reset() {
    let mut bed = Bed::new(8);
    bed.offer(
        0,
        &tcp(half(LoToHi, 2, (0, 100), EndOfFlowDetected), LoToHi, TcpState::Closed, tcp_flag::RST),
        2_100,
    );
    assert_eq!(bed.expire(3_100)[0].end_reason, EndOfFlowDetected);
    let back = tcp(half(HiToLo, 2, (1, 99), ActiveTimeout), LoToHi, TcpState::SynSent, tcp_flag::ACK);
    bed.offer(1, &back, 60_500);
    let second = one(bed.expire(61_500));
    assert_eq!((second.number, second.end_reason, totals(&second)), (1, ActiveTimeout, (2, 2)));
    assert_eq!(second.tcp.map(|tcp| tcp.state), Some(TcpState::Closed));
}

#[test]
fn a_five_tuple_used_again_after_a_close_is_a_new_conversation() {
    let syn =
        |at, end_reason| tcp(half(LoToHi, 1, (at, at), end_reason), LoToHi, TcpState::SynSent, tcp_flag::SYN);
    let mut bed = Bed::new(8);
    bed.offer(0, &syn(0, EndOfFlowDetected), 100);
    let out = bed.offer(0, &syn(50, ActiveTimeout), 200);
    assert_eq!((out.len(), out[0].flow_start, out[0].end_reason), (1, Nanos(0), EndOfFlowDetected));
    let second = one(bed.expire(1_200));
    assert_eq!((second.flow_start, second.number, totals(&second)), (Nanos(50 * MS), 0, (1, 0)));
}

#[test]
fn a_half_whose_table_let_go_early_goes_on_in_the_living_conversation() {
    let mut bed = Bed::new(8);
    let there =
        tcp(half(LoToHi, 9, (0, 59_000), ActiveTimeout), LoToHi, TcpState::Established, tcp_flag::SYN);
    bed.offer(
        1,
        &tcp(half(HiToLo, 2, (1, 20), IdleTimeout), LoToHi, TcpState::SynSent, tcp_flag::SYN),
        10_100,
    );
    assert_eq!(bed.expire(11_100).len(), 1, "10 s idle, the responder's half looks half open");
    bed.offer(0, &there, 60_000);
    assert_eq!(bed.expire(61_000)[0].number, 1);
    let anew =
        tcp(half(HiToLo, 4, (30_000, 58_000), ActiveTimeout), HiToLo, TcpState::Established, tcp_flag::ACK);
    bed.offer(1, &anew, 90_000);
    let third = one(bed.expire(91_000));
    assert_eq!((third.number, third.flow_start, totals(&third)), (2, Nanos(MS), (9, 6)));
}

#[test]
fn a_flow_that_begins_after_the_idle_timeout_is_a_new_conversation() {
    let mut bed = Bed::new(8);
    bed.offer(0, &half(LoToHi, 2, (0, 1_000), IdleTimeout), 31_000);
    bed.expire(32_000);
    bed.offer(1, &half(HiToLo, 2, (31_001, 31_001), IdleTimeout), 61_100);
    let record = one(bed.expire(62_100));
    assert_eq!((record.number, record.flow_start), (0, Nanos(31_001 * MS)));
    assert_eq!(bed.remembered(), 1);
}

#[test]
fn a_flush_reports_and_the_conversation_lives_on() {
    let mut bed = Bed::new(8);
    let (there, back) = (half(LoToHi, 2, (0, 80), ForcedEnd), half(HiToLo, 3, (5, 90), ForcedEnd));
    bed.offer(0, &there, 100);
    assert_eq!(bed.offer(1, &back, 100)[0].end_reason, ForcedEnd);
    bed.expire(30_000);
    bed.offer(0, &next(&there, 60_000, IdleTimeout), 90_000);
    let record = one(bed.offer(1, &next(&back, 60_001, IdleTimeout), 90_001));
    assert_eq!((record.number, span_ms(&record), totals(&record)), (1, (90, 60_001), (4, 6)));
    assert_eq!(record.end_reason, IdleTimeout);
}

#[test]
fn a_full_stitcher_gives_out_the_oldest_held_and_goes_on_under_a_new_identity() {
    let mut bed = Bed::new(2);
    let flow =
        |flow| FlowRecord { key: key(protocol::UDP, flow), ..half(LoToHi, 1, (10, 10), ActiveTimeout) };
    assert!(bed.offer(0, &flow(1), 100).is_empty());
    assert!(bed.offer(0, &flow(2), 200).is_empty());
    let out = bed.offer(0, &flow(3), 300);
    assert_eq!((out.len(), out[0].key.lo_port, out[0].end_reason), (1, 40_001, LackOfResources));
    assert_eq!((bed.remembered(), bed.stitcher.stats().evicted), (2, 1));
    bed.offer(0, &next(&flow(1), 70, ActiveTimeout), 400);
    let out = bed.finish();
    let again = out.iter().find(|record| record.key.lo_port == 40_001).unwrap();
    assert_eq!((again.number, again.flow_start, totals(again)), (0, Nanos(10 * MS + 1), (1, 0)));
    assert_eq!((again.end_reason, bed.remembered()), (ForcedEnd, 0));
}

#[test]
fn between_two_records_living_conversations_are_kept_until_no_timeout_can_bring_more() {
    let mut bed = Bed::new(8);
    bed.offer(0, &half(LoToHi, 2, (0, 60_000), ActiveTimeout), 60_000);
    assert_eq!(bed.expire(61_000).len(), 1);
    bed.expire(61_000 + 180_000);
    assert_eq!(bed.remembered(), 1, "120 s idle and 60 s active timeout, and the hold");
    bed.expire(61_000 + 181_000);
    assert_eq!(bed.remembered(), 0);
}

#[test]
fn keys_of_one_way_do_not_wait() {
    let mut bed = Bed::new(8);
    let mut record = half(LoToHi, 2, (0, 10), IdleTimeout);
    record.key.one_way = Some(LoToHi);
    assert_eq!(bed.offer(0, &record, 10_100).len(), 1);
}

#[test]
fn of_too_many_halves_the_one_quiet_longest_is_no_longer_followed_but_counted() {
    let mut bed = Bed::new(8);
    let living = half(LoToHi, 1, (0, 100), ActiveTimeout);
    for worker in [0, 1, 2, 3, 0, 4] {
        // Worker 0 is heard again before the fifth half takes the place of worker 1's.
        bed.offer(
            worker,
            &if bed.stitcher.stats().offered == 4 {
                next(&living, 110, ActiveTimeout)
            } else {
                living.clone()
            },
            200,
        );
    }
    for worker in [2, 3, 0, 4] {
        bed.offer(worker, &next(&living, 120, IdleTimeout), 300);
    }
    let record = one(bed.expire(1_300));
    assert_eq!((record.end_reason, totals(&record)), (IdleTimeout, (10, 0)));
}

#[test]
fn a_worker_that_closed_its_half_or_sees_a_syn_begins_a_new_conversation_while_the_other_half_lives() {
    let there = |at, end_reason, flags| {
        tcp(half(LoToHi, 1, (at, at), end_reason), LoToHi, TcpState::Established, flags)
    };
    let back = tcp(half(HiToLo, 2, (1, 5_000), ActiveTimeout), LoToHi, TcpState::SynSent, tcp_flag::ACK);
    let cases = [
        (EndOfFlowDetected, tcp_flag::ACK, 0),
        (IdleTimeout, tcp_flag::SYN, 0),
        (IdleTimeout, tcp_flag::ACK, 1),
    ];
    for (end_reason, flags, number) in cases {
        let mut bed = Bed::new(8);
        bed.offer(0, &there(0, end_reason, tcp_flag::SYN), 10_000);
        assert_eq!(bed.offer(1, &back, 10_000).len(), 1);
        bed.offer(0, &there(8_000, ActiveTimeout, flags), 20_000);
        assert_eq!(bed.expire(21_000)[0].number, number, "{end_reason:?}, flags {flags:#x}");
    }
}

#[test]
fn a_living_half_may_bridge_a_gap_it_has_not_reported_yet_but_not_for_ever() {
    // Last heard of at 59 s; packets within 30 s of that one would be reported by 150 s.
    for (begins, now, number) in [(95_000, 96_000, 1), (149_000, 150_000, 1), (149_000, 150_001, 0)] {
        for worker in [0, 1] {
            let mut bed = Bed::new(8);
            bed.offer(0, &half(LoToHi, 2, (0, 58_000), ActiveTimeout), 60_000);
            bed.offer(2, &half(HiToLo, 2, (0, 59_000), ActiveTimeout), 60_000);
            bed.offer(worker, &half(LoToHi, 1, (begins, begins), LackOfResources), now);
            assert_eq!(bed.finish()[0].number, number, "worker {worker}, from {begins} ms, at {now} ms");
        }
    }
}

#[test]
fn a_flush_speaks_for_a_half_that_has_nothing_to_tell() {
    let mut bed = Bed::new(8);
    let there = half(LoToHi, 2, (0, 80), ActiveTimeout);
    bed.offer(0, &there, 60_000);
    bed.offer(1, &half(HiToLo, 2, (0, 80), ActiveTimeout), 60_000);
    bed.offer(0, &next(&there, 60_500, ForcedEnd), 61_000);
    assert_eq!(bed.expire(62_000)[0].end_reason, ForcedEnd);
}

#[test]
fn flags_of_all_halves_add_up_for_one_window() {
    let mut bed = Bed::new(8);
    let there = tcp(half(LoToHi, 2, (0, 80), ActiveTimeout), LoToHi, TcpState::SynSent, tcp_flag::SYN);
    bed.offer(0, &there, 60_000);
    let back = tcp(half(HiToLo, 2, (0, 80), ActiveTimeout), LoToHi, TcpState::SynSent, tcp_flag::ACK);
    let flags = |record: &FlowRecord| record.tcp.map(|tcp| tcp.flags);
    assert_eq!(flags(&bed.offer(1, &back, 60_000)[0]), Some(tcp_flag::SYN | tcp_flag::ACK));
    let later = TcpRecord { state: TcpState::Established, flags: tcp_flag::PSH, ..TcpRecord::default() };
    bed.offer(0, &FlowRecord { tcp: Some(later), ..next(&there, 90_000, ActiveTimeout) }, 120_000);
    assert_eq!(flags(&bed.expire(121_000)[0]), Some(tcp_flag::PSH));
}
