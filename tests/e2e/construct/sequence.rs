//! What went wrong on the way: segments sent again and out of order, duplicate acknowledgments, closed windows.

use super::build::flag::{ACK, FIN, RST, SYN};
use super::expected::{Expected, turned};
use super::talk::{BASE, MS, S, Talk, US};
use super::tape::{Tape, gives};

/// The span of a conversation that began with [`Talk::handshake`].
fn after_handshake(talk: &Talk, state: &'static str) -> Expected {
    let events = [(0, "tcp.syn"), (30 * MS, "tcp.syn_ack"), (40 * MS, "tcp.established")];
    talk.span(state).handshake(30 * MS, 10 * MS).events(&events)
}

#[test]
fn octets_that_were_seen_are_a_retransmission_whoever_sends_them() {
    for mut talk in Talk::tcp_both_orders() {
        talk.handshake();
        talk.up(50 * MS, ACK, 101, 501, 100);
        talk.up(51 * MS, ACK, 101, 501, 100);
        talk.up(52 * MS, ACK, 151, 501, 50);
        // Half of it is new.
        talk.up(53 * MS, ACK, 151, 501, 100);
        talk.up(54 * MS, ACK, 251, 501, 100);
        let span = after_handshake(&talk, "established").set("flow.tcp.retransmissions", 3).events(&[
            (51 * MS, "tcp.retransmission"),
            (52 * MS, "tcp.retransmission"),
            (53 * MS, "tcp.retransmission"),
        ]);
        gives(&talk, span);
    }
}

#[test]
fn a_gap_filled_within_the_round_trip_is_out_of_order_and_later_a_retransmission() {
    // The handshake took 30 + 10 ms.
    let cases = [
        (US, "out_of_order"),
        (40 * MS, "out_of_order"),
        (41 * MS, "retransmissions"),
        (3_000 * MS, "retransmissions"),
    ];
    for (after, count) in cases {
        let mut talk = Talk::tcp();
        talk.handshake();
        talk.up(100 * MS, ACK, 111, 501, 10);
        talk.up(100 * MS + after, ACK, 101, 501, 10);
        let event = if count == "out_of_order" { "tcp.out_of_order" } else { "tcp.retransmission" };
        let span = after_handshake(&talk, "established").set(&format!("flow.tcp.{count}"), 1);
        gives(&talk, span.events(&[(100 * MS + after, event)]));
    }
}

#[test]
fn without_a_handshake_a_gap_is_filled_out_of_order_within_3_ms() {
    for (after, count) in [(3 * MS, "out_of_order"), (4 * MS, "retransmissions")] {
        let mut talk = Talk::tcp();
        talk.down(0, ACK, 500, 101, 10);
        talk.up(MS, ACK, 101, 510, 10);
        talk.down(10 * MS, ACK, 520, 111, 10);
        talk.down(10 * MS + after, ACK, 510, 111, 10);
        let event = if count == "out_of_order" { "tcp.out_of_order" } else { "tcp.retransmission" };
        // The server's port tells that the other side began; the source is who was heard first.
        let span = talk.span("established");
        let span = turned(span).set("flow.initiator", "destination").set(&format!("flow.tcp.{count}"), 1);
        let span = span.time("svc", 9 * MS, None).events(&[(10 * MS + after, event)]);
        gives(&talk, span);
    }
}

#[test]
fn each_gap_has_its_own_time() {
    let mut talk = Talk::tcp();
    talk.handshake();
    // Two gaps 30 ms apart; the first is filled after 50 ms, the second 10 ms after that, 30 ms after it came up.
    talk.up(100 * MS, ACK, 111, 501, 10);
    talk.up(130 * MS, ACK, 131, 501, 10);
    talk.up(150 * MS, ACK, 101, 501, 10);
    talk.up(160 * MS, ACK, 121, 501, 10);
    let span = after_handshake(&talk, "established")
        .set("flow.tcp.retransmissions", 1)
        .set("flow.tcp.out_of_order", 1)
        .events(&[(150 * MS, "tcp.retransmission"), (160 * MS, "tcp.out_of_order")]);
    gives(&talk, span);
}

#[test]
fn three_segments_in_every_order_are_told_by_what_they_leave_and_fill() {
    // Segments 0, 1, 2 in the order they come, and how many of them fill a gap.
    let cases =
        [([0, 1, 2], 0), ([0, 2, 1], 1), ([1, 0, 2], 1), ([1, 2, 0], 1), ([2, 0, 1], 2), ([2, 1, 0], 2)];
    for (order, late) in cases {
        let mut talk = Talk::tcp();
        talk.handshake();
        let mut events = Vec::new();
        let mut next = 0;
        for (place, segment) in (0..).zip(order) {
            let at = (100 + place) * MS;
            talk.up(at, ACK, 101 + segment * 10, 501, 10);
            if segment < next {
                events.push((at, "tcp.out_of_order"));
            }
            next = next.max(segment + 1);
        }
        let span = after_handshake(&talk, "established").set("flow.tcp.out_of_order", late);
        gives(&talk, span.events(&events));
    }
}

#[test]
fn sequence_numbers_wrap() {
    let (client, server) = (0xffff_fffa_u32, 0xffff_ffff_u32);
    let mut talk = Talk::tcp();
    talk.up(0, SYN, client, 0, 0);
    talk.down(30 * MS, SYN | ACK, server, client.wrapping_add(1), 0);
    talk.up(40 * MS, ACK, client.wrapping_add(1), 0, 0);
    // 0xfffffffb and ten octets end at 5.
    talk.up(50 * MS, ACK, client.wrapping_add(1), 0, 10);
    talk.down(90 * MS, ACK, 0, 5, 10);
    talk.up(100 * MS, ACK, 5, 10, 10);
    talk.up(101 * MS, ACK, client.wrapping_add(1), 10, 10);
    talk.up(110 * MS, ACK | FIN, 15, 10, 0);
    talk.down(111 * MS, ACK | FIN, 10, 16, 0);
    talk.up(112 * MS, ACK, 16, 11, 0);
    let span = after_handshake(&talk, "time_wait")
        .ends_by("end_of_flow_detected")
        .time("svc", (90 - 50 - 30) * MS, None)
        .time("rndtrip", (90 - 50 + 10) * MS, None)
        .set("flow.tcp.retransmissions", 1)
        .events(&[(101 * MS, "tcp.retransmission"), (110 * MS, "tcp.fin"), (111 * MS, "tcp.fin")]);
    gives(&talk, span);
}

#[test]
fn a_gap_across_the_wrap_is_filled() {
    let mut talk = Talk::tcp();
    talk.up(0, SYN, 0xffff_ffef, 0, 0);
    talk.down(30 * MS, SYN | ACK, 500, 0xffff_fff0, 0);
    talk.up(40 * MS, ACK, 0xffff_fff0, 501, 0);
    talk.up(50 * MS, ACK, 0x10, 501, 10);
    talk.up(51 * MS, ACK, 0xffff_fff8, 501, 0x18);
    talk.up(52 * MS, ACK, 0xffff_fff0, 501, 8);
    let span = after_handshake(&talk, "established").set("flow.tcp.out_of_order", 2);
    gives(&talk, span.events(&[(51 * MS, "tcp.out_of_order"), (52 * MS, "tcp.out_of_order")]));
}

#[test]
fn duplicate_acknowledgments_are_those_of_rfc_5681() {
    for mut talk in Talk::tcp_both_orders() {
        talk.handshake();
        talk.up(50 * MS, ACK, 101, 501, 100);
        talk.down(60 * MS, ACK, 501, 151, 0);
        talk.down(61 * MS, ACK, 501, 151, 0);
        talk.down(62 * MS, ACK, 501, 151, 0);
        // An update of the window, and the way back from it.
        talk.window = 900;
        talk.down(63 * MS, ACK, 501, 151, 0);
        talk.window = 1_000;
        talk.down(64 * MS, ACK, 501, 151, 0);
        // With data, and with nothing outstanding.
        talk.down(65 * MS, ACK, 501, 151, 10);
        talk.down(66 * MS, ACK, 511, 201, 0);
        talk.down(67 * MS, ACK, 511, 201, 0);
        // The client repeats itself while the server's ten octets wait, twice.
        talk.up(70 * MS, ACK, 201, 501, 0);
        talk.up(71 * MS, ACK, 201, 501, 0);
        // The exchange ends with the first data back, 15 ms after the request.
        let span = after_handshake(&talk, "established")
            .time("svc", 0, None)
            .time("rndtrip", (65 - 50 + 10) * MS, None)
            .set("flow.reverse.tcp.duplicate_acks", 2)
            .set("flow.tcp.duplicate_acks", 2);
        gives(&talk, span);
    }
}

#[test]
fn windows_of_0_are_counted_and_told_each_way() {
    let mut talk = Talk::tcp();
    talk.handshake();
    talk.up(50 * MS, ACK, 101, 501, 100);
    talk.window = 0;
    talk.down(60 * MS, ACK, 501, 201, 0);
    talk.down(70 * MS, ACK, 501, 201, 0);
    talk.up(80 * MS, ACK, 201, 501, 0);
    let span = after_handshake(&talk, "established")
        .set("flow.reverse.tcp.zero_windows", 2)
        .set("flow.tcp.zero_windows", 1)
        .events(&[(60 * MS, "tcp.zero_window"), (70 * MS, "tcp.zero_window"), (80 * MS, "tcp.zero_window")]);
    gives(&talk, span);
}

#[test]
fn a_keep_alive_is_no_retransmission() {
    let mut talk = Talk::tcp();
    talk.handshake();
    talk.up(50 * MS, ACK, 101, 501, 10);
    talk.down(60 * MS, ACK, 501, 111, 0);
    talk.up(1_000 * MS, ACK, 110, 501, 1);
    talk.down(1_001 * MS, ACK, 501, 111, 0);
    talk.up(2_000 * MS, ACK, 110, 501, 0);
    talk.down(2_001 * MS, ACK, 501, 111, 0);
    gives(&talk, after_handshake(&talk, "established"));
}

#[test]
fn a_syn_or_fin_sent_again_is_a_retransmission() {
    let mut talk = Talk::tcp();
    talk.handshake();
    talk.up(50 * MS, FIN | ACK, 101, 501, 0);
    talk.up(300 * MS, FIN | ACK, 101, 501, 0);
    let span = after_handshake(&talk, "fin_wait_1").set("flow.tcp.retransmissions", 1).events(&[
        (50 * MS, "tcp.fin"),
        (300 * MS, "tcp.fin"),
        (300 * MS, "tcp.retransmission"),
    ]);
    gives(&talk, span);
}

#[test]
fn at_most_32_events_are_kept_and_the_rest_is_counted() {
    let mut talk = Talk::tcp();
    talk.handshake();
    talk.up(50 * MS, ACK, 101, 501, 10);
    let again: Vec<_> = (0..100).map(|n| (100 + n) * MS).collect();
    again.iter().for_each(|at| talk.up(*at, ACK, 101, 501, 10));
    let [seen] = &Tape::of([&talk]).replayed(&[]).seen()[..] else { panic!("one span") };
    // Which are kept is not said, but that a record tells how it begins and how it ends.
    assert_eq!((seen.events.len(), seen.dropped_events), (32, 3 + 100 - 32));
    let mut span = after_handshake(&talk, "established").set("flow.tcp.retransmissions", 100);
    assert_eq!(seen.events[..3], span.events[..]);
    assert_eq!(seen.events[31], (BASE + again[99], "tcp.retransmission".to_owned()));
    assert!(seen.events.is_sorted() && seen.events[3..].iter().all(|event| event.1 == "tcp.retransmission"));
    (span.events, span.dropped_events) = (seen.events.clone(), seen.dropped_events);
    assert!(span.differences(seen).is_empty(), "{:#?}", span.differences(seen));
}

#[test]
fn events_are_those_the_setting_says_and_the_counts_stay() {
    let mut talk = Talk::tcp();
    talk.handshake();
    talk.up(50 * MS, ACK, 101, 501, 10);
    talk.up(60 * MS, ACK, 101, 501, 10);
    for (setting, kept) in [("off", 0), ("state", 3), ("all", 4)] {
        let mut span = after_handshake(&talk, "established")
            .set("flow.tcp.retransmissions", 1)
            .events(&[(60 * MS, "tcp.retransmission")]);
        span.events.truncate(kept);
        let events = format!("span.events={setting}");
        Tape::of([&talk]).replayed(&["--set", &events]).gives([span]);
    }
}

#[test]
fn a_window_of_0_in_a_syn_or_rst_is_none() {
    let mut talk = Talk::tcp();
    talk.window = 0;
    talk.up(0, SYN, 100, 0, 0);
    talk.down(MS, RST | ACK, 0, 101, 0);
    let span = talk.span("closed").ends_by("end_of_flow_detected").error("connection_refused");
    gives(&talk, span.events(&[(0, "tcp.syn"), (MS, "tcp.rst")]));
}

#[test]
fn events_are_exact_long_after_the_start() {
    let mut talk = Talk::tcp();
    talk.handshake();
    let late = 23 * 3_600 * S + 123_456_789;
    talk.up(late, RST, 101, 0, 0);
    let span = after_handshake(&talk, "closed")
        .ends_by("end_of_flow_detected")
        .error("connection_reset")
        .events(&[(late, "tcp.rst")]);
    let flags = ["--set", "flow.active_timeout=24h", "--set", "flow.idle_timeout.tcp=24h"];
    Tape::of([&talk]).replayed(&flags).gives([span]);
}
