//! What the table promises, one sentence a test; expectations worked out by hand.
#![cfg(not(loom))]
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking, in its helpers too")]

mod packets;

use flowtable::{
    EndReason, FlowRecord, Initiator, Nanos, Sweeper, TcpState, Timeouts, Writer, table, tcp_flag,
};
use packets::{MS, Tcp, config, tcp, udp};

const A: (u32, u16) = (10, 40_000);
const B: (u32, u16) = (20, 443);
const S: u8 = tcp_flag::SYN;
const K: u8 = tcp_flag::ACK;
const F: u8 = tcp_flag::FIN;
const R: u8 = tcp_flag::RST;
const P: u8 = tcp_flag::PSH;

struct Bed {
    writer: Writer,
    sweeper: Sweeper,
    records: Vec<FlowRecord>,
}

impl Bed {
    fn new(capacity: u32) -> Bed {
        let (writer, sweeper) = table(&config(capacity)).unwrap();
        Bed { writer, sweeper, records: Vec::new() }
    }

    fn packet(&mut self, packet: flowtable::Packet) {
        let outcome = self.writer.update_burst(&[packet]);
        assert_eq!(outcome.in_flows, 1);
    }

    fn tcp(
        &mut self,
        from: (u32, u16),
        to: (u32, u16),
        at_ms: u64,
        flags: u8,
        sequence: u32,
        acknowledgment: u32,
    ) {
        let payload = if flags & P != 0 { 10 } else { 0 };
        self.packet(tcp(from, to, at_ms, &Tcp { sequence, acknowledgment, payload, flags }));
    }

    /// Sweeps with the default timeouts and gives what was cut.
    fn sweep(&mut self, at_ms: u64) -> Vec<FlowRecord> {
        self.sweeper.sweep(Nanos(at_ms * MS), &Timeouts::default(), &mut self.records);
        self.writer.serve_retirements(100);
        std::mem::take(&mut self.records)
    }

    fn flush(&mut self, at_ms: u64) -> Vec<FlowRecord> {
        self.sweeper.flush(Nanos(at_ms * MS), &mut self.records);
        std::mem::take(&mut self.records)
    }
}

#[test]
fn idle_flow_is_exported_once_and_its_slot_reused() {
    let mut bed = Bed::new(2);
    bed.packet(udp(A, B, 1_000));
    bed.packet(udp(B, A, 2_000));
    assert!(bed.sweep(31_999).is_empty(), "29.999 s of silence");
    let records = bed.sweep(32_000);
    assert_eq!(records.len(), 1);
    let record = &records[0];
    assert_eq!(record.end_reason, EndReason::IdleTimeout);
    assert_eq!((record.start, record.end), (Nanos(1_000 * MS), Nanos(2_000 * MS)));
    assert_eq!((record.to_destination.packets_delta, record.to_source.packets_delta), (1, 1));
    assert_eq!(record.source().1, 40_000);
    assert_eq!(record.tcp, None);
    assert_eq!(bed.writer.stats().live, 0);
    bed.packet(udp((1, 1), (2, 2), 33_000));
    assert_eq!(
        bed.flush(33_000)[0].to_destination.packets_total,
        1,
        "the slot freed last serves the next flow, from zero"
    );
}

#[test]
fn a_packet_between_the_last_record_and_its_retirement_keeps_the_flow() {
    let mut bed = Bed::new(4);
    bed.packet(udp(A, B, 0));
    bed.sweeper.sweep(Nanos(30_000 * MS), &Timeouts::default(), &mut bed.records);
    bed.packet(udp(A, B, 30_001));
    bed.writer.serve_retirements(100);
    assert_eq!(bed.writer.stats().live, 1);
    let records = bed.flush(30_002);
    let reasons: Vec<_> = records.iter().map(|r| r.end_reason).collect();
    assert_eq!(reasons, [EndReason::IdleTimeout, EndReason::ForcedEnd]);
    let last = &records[1];
    assert_eq!(
        (last.number, last.to_destination.packets_delta, last.to_destination.packets_total),
        (1, 1, 2)
    );
}

#[test]
fn live_flow_gets_a_record_every_active_timeout_and_deltas_add_up() {
    let mut bed = Bed::new(4);
    let mut records = Vec::new();
    for second in 0..150 {
        bed.packet(udp(A, B, second * 1_000));
        records.extend(bed.sweep(second * 1_000));
    }
    records.extend(bed.flush(150_000));
    assert_eq!(records.len(), 3, "cut at 60 s and 120 s, and by force");
    assert_eq!(records[0].end_reason, EndReason::ActiveTimeout);
    assert_eq!(records[0].start, Nanos(0));
    assert_eq!(records[1].start, records[0].end, "a window starts where the one before ended");
    assert_eq!(records[2].end_reason, EndReason::ForcedEnd);
    assert_eq!(records.iter().map(|r| r.number).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(records.iter().map(|r| r.to_destination.packets_delta).sum::<u64>(), 150);
    assert_eq!(records[2].to_destination.packets_total, 150);
    assert_eq!(records[2].to_destination.bytes_total, 15_000);
}

#[test]
fn a_silent_window_makes_no_record() {
    let mut bed = Bed::new(4);
    bed.tcp(A, B, 0, K, 1, 1);
    assert_eq!(bed.sweep(60_000).len(), 1);
    assert!(bed.sweep(119_000).is_empty(), "nothing new and not idle yet");
    assert!(bed.sweep(120_000).is_empty(), "idle, but all of it is exported");
    assert_eq!(bed.writer.stats().live, 0, "and freed");
}

#[test]
fn tcp_connection_closed_by_the_initiator() {
    let mut bed = Bed::new(4);
    let state = |bed: &mut Bed| bed.flush(10)[0].tcp.unwrap().state;
    bed.tcp(A, B, 0, S, 100, 0);
    assert_eq!(state(&mut bed), TcpState::SynSent);
    bed.tcp(B, A, 1, S | K, 500, 101);
    assert_eq!(state(&mut bed), TcpState::SynSent, "the initiator has not answered yet");
    bed.tcp(A, B, 2, K, 101, 501);
    assert_eq!(state(&mut bed), TcpState::Established);
    bed.tcp(A, B, 3, F | K | P, 101, 501);
    assert_eq!(state(&mut bed), TcpState::FinWait1);
    bed.tcp(B, A, 4, K, 501, 111);
    assert_eq!(state(&mut bed), TcpState::FinWait1, "the FIN is at 111, acknowledged only by 112");
    bed.tcp(B, A, 5, K, 501, 112);
    assert_eq!(state(&mut bed), TcpState::FinWait2);
    bed.tcp(B, A, 6, F | K, 501, 112);
    assert_eq!(state(&mut bed), TcpState::TimeWait);
    assert!(bed.sweep(9_000).is_empty(), "the responder's FIN is not acknowledged");
    bed.tcp(A, B, 10_000, K, 112, 502);
    assert!(bed.sweep(11_999).is_empty(), "lingering");
    let records = bed.sweep(12_000);
    assert_eq!(records[0].end_reason, EndReason::EndOfFlowDetected);
    assert_eq!(records[0].tcp.unwrap().flags, K, "the flags of this window only");
    assert_eq!(bed.writer.stats().live, 0);
}

#[test]
fn responder_closing_first_and_both_at_once() {
    let mut bed = Bed::new(4);
    bed.tcp(A, B, 0, S, 0xffff_fff5, 0);
    bed.tcp(B, A, 0, S | K, 500, 0xffff_fff6);
    bed.tcp(A, B, 0, K, 0xffff_fff6, 501);
    bed.tcp(B, A, 1, F | K, 501, 0xffff_fff6);
    assert_eq!(bed.flush(1)[0].tcp.unwrap().state, TcpState::CloseWait);
    bed.tcp(A, B, 2, F | K | P, 0xffff_fff6, 502);
    assert_eq!(bed.flush(2)[0].tcp.unwrap().state, TcpState::LastAck);
    bed.tcp(B, A, 3, K, 502, 1);
    assert_eq!(bed.flush(3)[0].tcp.unwrap().state, TcpState::Closed, "0xfffffff6 + 10 + 1 wraps to 1");

    let mut bed = Bed::new(4);
    bed.tcp(A, B, 0, S, 0, 0);
    bed.tcp(B, A, 0, S | K, 500, 1);
    bed.tcp(A, B, 0, K, 1, 501);
    bed.tcp(A, B, 1, F | K, 1, 501);
    bed.tcp(B, A, 1, F | K, 501, 1);
    assert_eq!(bed.flush(1)[0].tcp.unwrap().state, TcpState::Closing);
    bed.tcp(A, B, 2, K, 2, 502);
    bed.tcp(B, A, 2, K, 502, 2);
    assert_eq!(bed.flush(2)[0].tcp.unwrap().state, TcpState::TimeWait);
}

#[test]
fn simultaneous_open_passes_through_syn_received() {
    let mut bed = Bed::new(4);
    bed.tcp(A, B, 0, S, 10, 0);
    bed.tcp(B, A, 1, S, 20, 0);
    assert_eq!(bed.flush(1)[0].tcp.unwrap().state, TcpState::SynReceived);
    bed.tcp(A, B, 2, S | K, 10, 21);
    bed.tcp(B, A, 2, K, 21, 11);
    assert_eq!(bed.flush(2)[0].tcp.unwrap().state, TcpState::Established);
}

#[test]
fn on_one_wire_the_responders_data_tells_that_the_handshake_is_over() {
    let mut bed = Bed::new(4);
    bed.tcp(B, A, 0, S | K, 500, 101);
    bed.tcp(B, A, 1, K, 501, 101);
    assert_eq!(bed.flush(1)[0].tcp.unwrap().state, TcpState::SynSent, "a bare ACK may be a challenge");
    bed.tcp(B, A, 2, P | K, 501, 120);
    assert_eq!(bed.flush(2)[0].tcp.unwrap().state, TcpState::Established);
}

#[test]
fn reset_closes_and_half_open_connections_idle_early() {
    let mut bed = Bed::new(4);
    bed.tcp(A, B, 0, S, 10, 0);
    bed.tcp(B, A, 1, R | K, 0, 11);
    let records = bed.sweep(2_001);
    assert_eq!(
        (records[0].end_reason, records[0].tcp.unwrap().state),
        (EndReason::EndOfFlowDetected, TcpState::Closed)
    );
    assert_eq!(records[0].tcp.unwrap().flags, S | R | K);

    bed.tcp(A, B, 10_000, S, 10, 0);
    assert!(bed.sweep(19_999).is_empty());
    assert_eq!(bed.sweep(20_000)[0].end_reason, EndReason::IdleTimeout, "10 s before establishment");
}

#[test]
fn a_closed_five_tuple_used_again_is_a_new_flow() {
    let mut bed = Bed::new(4);
    bed.tcp(A, B, 0, S, 10, 0);
    bed.tcp(B, A, 1, R | K, 0, 11);
    bed.tcp(A, B, 2, S, 10, 0);
    assert_eq!(bed.writer.stats().opened, 1, "the same initial sequence number: a retransmission");
    bed.tcp(A, B, 3, S, 99, 0);
    assert_eq!(bed.writer.stats().opened, 2);
    let records = bed.flush(4);
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].end_reason, EndReason::EndOfFlowDetected);
    assert_eq!((records[0].to_destination.packets_total, records[0].to_source.packets_total), (2, 1));
    assert_eq!(records[1].flow_start, Nanos(3 * MS), "its SYN");
    assert_eq!((records[1].number, records[1].to_destination.packets_total), (0, 1));
}

#[test]
fn syn_ack_first_makes_its_sender_the_destination() {
    let mut bed = Bed::new(4);
    bed.tcp(B, A, 0, S | K, 500, 101);
    bed.tcp(A, B, 1, S, 100, 0);
    let record = &bed.flush(1)[0];
    assert_eq!(record.source().1, A.1);
    assert_eq!(record.initiator, Initiator::Source);
    assert_eq!((record.to_destination.packets_delta, record.to_source.packets_delta), (1, 1));
}

#[test]
fn late_evidence_turns_every_value_but_never_after_a_record() {
    let mut bed = Bed::new(4);
    bed.tcp(B, A, 0, P | K, 500, 101);
    bed.tcp(B, A, 1, P | K, 510, 101);
    bed.tcp(A, B, 2, S, 100, 0);
    let first = &bed.flush(2)[0];
    assert_eq!(
        (first.source().1, first.to_destination.packets_total, first.to_source.packets_total),
        (A.1, 1, 2)
    );

    let mut bed = Bed::new(4);
    bed.tcp(B, A, 0, P | K, 500, 101);
    let first = &bed.flush(0)[0];
    assert_eq!(
        (first.source().1, first.initiator),
        (B.1, Initiator::Destination),
        "443 is the responder by its port"
    );
    bed.tcp(A, B, 2, S, 100, 0);
    let second = &bed.flush(2)[0];
    assert_eq!((second.source().1, second.to_source.packets_delta), (B.1, 1));
}

#[test]
fn time_never_runs_backwards() {
    let mut bed = Bed::new(4);
    bed.packet(udp(A, B, 100));
    bed.packet(udp(A, B, 40));
    let record = &bed.flush(100)[0];
    assert_eq!((record.start, record.end), (Nanos(100 * MS), Nanos(100 * MS)));
    bed.packet(udp(A, B, 30));
    let record = &bed.flush(100)[0];
    assert!(record.start <= record.end);
}

#[test]
fn two_flows_of_a_key_never_share_their_start() {
    let mut bed = Bed::new(4);
    bed.packet(udp(A, B, 100));
    let first = &bed.sweep(30_100)[0];
    bed.packet(udp(A, B, 100));
    let again = &bed.flush(30_100)[0];
    assert_eq!(first.flow_start, Nanos(100 * MS));
    assert_eq!(again.flow_start, Nanos(100 * MS + 1), "not before the end of the one before");
    assert_eq!((again.start, again.end), (again.flow_start, again.flow_start));

    let mut bed = Bed::new(4);
    bed.tcp(A, B, 7, S, 1, 0);
    bed.tcp(B, A, 7, R | K, 0, 2);
    bed.tcp(A, B, 7, S, 9, 0);
    let starts: Vec<_> = bed.flush(7).iter().map(|r| r.flow_start).collect();
    assert_eq!(starts, [Nanos(7 * MS), Nanos(7 * MS + 1)], "three packets of one burst, two connections");
}

#[test]
fn a_full_table_hands_over_the_stalest_flow_and_loses_nothing() {
    let mut bed = Bed::new(4);
    for flow in 0..4u16 {
        bed.packet(udp((1, flow), B, 100 - u64::from(flow)));
    }
    bed.packet(udp((1, 9), B, 200));
    let records = bed.flush(200);
    let evicted = records.iter().find(|r| r.end_reason == EndReason::LackOfResources).unwrap();
    assert_eq!(evicted.source().1, 3, "last seen at 97 ms, the stalest");
    assert_eq!(records.iter().map(|r| r.to_destination.packets_delta).sum::<u64>(), 5);
    assert_eq!(bed.writer.stats().evicted, 1);
}

#[test]
fn without_a_sweep_a_flooded_table_says_what_it_could_not_count() {
    let mut bed = Bed::new(16);
    let flood: Vec<_> = (0..20_000u32).map(|i| udp((1_000 + i, 7), B, u64::from(i))).collect();
    let outcome = bed.writer.update_burst(&flood);
    assert_eq!(outcome.in_flows + outcome.table_full, 20_000);
    assert!(outcome.table_full > 0);
    let records = bed.flush(20_000);
    let counted: u64 = records.iter().map(|r| r.to_destination.packets_delta).sum();
    assert_eq!(counted, u64::from(outcome.in_flows));
}

#[test]
fn a_flood_ends_no_more_flows_than_each_round_may() {
    let mut bed = Bed::new(16);
    bed.writer.limit_evictions(4);
    let flood: Vec<_> = (0..256u32).map(|i| udp((1_000 + i, 7), B, u64::from(i))).collect();
    let outcome = bed.writer.update_burst(&flood);
    // 16 find a free slot, and two rounds of 128 packets end four flows each.
    assert_eq!((outcome.in_flows, outcome.table_full), (24, 232));
    assert_eq!(bed.writer.stats().evicted, 8);
    let counted: u64 = bed.flush(256).iter().map(|r| r.to_destination.packets_delta).sum();
    assert_eq!(counted, 24);
}

#[test]
fn near_full_single_packet_flows_go_early_for_lack_of_resources() {
    let mut bed = Bed::new(1_000);
    for flow in 0..900u32 {
        bed.packet(udp((flow, 1), B, 0));
    }
    for _ in 0..2 {
        bed.packet(udp((0, 1), B, 0));
    }
    assert!(bed.sweep(3_749).is_empty(), "30 s shrink to an eighth, 3.75 s, at 90 % full");
    let records = bed.sweep(3_750);
    assert_eq!(records.len(), 899, "the flow of three packets stays");
    assert!(records.iter().all(|r| r.end_reason == EndReason::LackOfResources));
}

#[test]
fn one_way_icmp_and_families_and_vlans_keep_flows_apart() {
    let mut bed = Bed::new(16);
    let plain = udp((1, 5), (2, 5), 0);
    let mut tagged = plain;
    tagged.key.vlans = 100 << 12;
    let mut six = plain;
    six.key.family = flowtable::Family::V6;
    let mut tunnelled = plain;
    tunnelled.key.tunnel = 1 << 32 | 7;
    let mut icmp = plain;
    icmp.key.protocol = flowtable::protocol::ICMP;
    let mut one_way = icmp;
    one_way.key.one_way = Some(flowtable::Direction::LoToHi);
    let mut other_way = icmp;
    other_way.key.one_way = Some(flowtable::Direction::HiToLo);
    for packet in [plain, tagged, six, tunnelled, icmp, one_way, other_way, six, tunnelled] {
        bed.packet(packet);
    }
    assert_eq!(bed.writer.stats().live, 7);
    let keys: Vec<_> = bed.flush(0).iter().map(|r| r.key).collect();
    for packet in [plain, tagged, six, tunnelled, icmp, one_way, other_way] {
        assert!(keys.contains(&packet.key), "{:?}", packet.key);
    }
}

#[test]
fn an_observer_sees_live_flows_as_they_are() {
    let mut bed = Bed::new(16);
    bed.tcp(A, B, 5, S, 1, 0);
    bed.tcp(B, A, 6, S | K, 1, 2);
    let mut seen = Vec::new();
    bed.sweeper.observer().visit(|flow| seen.push(*flow));
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].packets, seen[0].bytes), ([1, 1], [100, 100]));
    assert_eq!((seen[0].first_seen, seen[0].last_seen), (Nanos(5 * MS), Nanos(6 * MS)));
    assert_eq!(seen[0].tcp_state, Some(TcpState::SynSent));
}
