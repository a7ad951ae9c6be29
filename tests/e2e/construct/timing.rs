//! Latencies of handshakes and exchanges, and their jitter.

use super::build::flag::{ACK, PSH, SYN};
use super::talk::{MS, Talk, US};
use super::tape::gives;

/// Events of [`Talk::handshake`].
const HANDSHAKE: [(u64, &str); 3] = [(0, "tcp.syn"), (30 * MS, "tcp.syn_ack"), (40 * MS, "tcp.established")];

/// RFC 3550 §6.4.1: J += (|D| - J) / 16, to the nearest nanosecond.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small, whole and not negative"
)]
fn jitter(samples: &[u64]) -> u64 {
    let mut jitter = 0.0;
    for pair in samples.windows(2) {
        jitter += (pair[0].abs_diff(pair[1]) as f64 - jitter) / 16.0;
    }
    jitter.round() as u64
}

fn mean(samples: &[u64]) -> u64 {
    let count = u64::try_from(samples.len()).expect("few");
    (samples.iter().sum::<u64>() + count / 2) / count
}

#[test]
fn a_handshake_alone_has_its_two_latencies_and_no_others() {
    for mut talk in Talk::tcp_both_orders() {
        talk.handshake();
        let span = talk.span("established").handshake(30 * MS, 10 * MS).events(&HANDSHAKE);
        gives(&talk, span);
    }
}

#[test]
fn latencies_are_exact_to_the_nanosecond() {
    let mut talk = Talk::tcp();
    talk.up(1, SYN, 100, 0, 0);
    talk.down(1 + 123_456_789, SYN | ACK, 500, 101, 0);
    talk.up(1 + 123_456_789 + 7, ACK, 101, 501, 0);
    let events = [(1, "tcp.syn"), (123_456_790, "tcp.syn_ack"), (123_456_797, "tcp.established")];
    gives(&talk, talk.span("established").handshake(123_456_789, 7).events(&events));
}

#[test]
fn a_syn_sent_again_is_timed_from_the_last_one_before_the_answer() {
    let mut talk = Talk::tcp();
    talk.up(0, SYN, 100, 0, 0);
    talk.up(1_000 * MS, SYN, 100, 0, 0);
    talk.up(3_000 * MS, SYN, 100, 0, 0);
    talk.down(3_025 * MS, SYN | ACK, 500, 101, 0);
    talk.up(3_026 * MS, ACK, 101, 501, 0);
    let span = talk
        .span("established")
        .handshake(25 * MS, MS)
        .set("flow.tcp.retransmissions", 2)
        .events(&[(0, "tcp.syn"), (1_000 * MS, "tcp.syn"), (1_000 * MS, "tcp.retransmission")])
        .events(&[(3_000 * MS, "tcp.syn"), (3_000 * MS, "tcp.retransmission")])
        .events(&[(3_025 * MS, "tcp.syn_ack"), (3_026 * MS, "tcp.established")]);
    gives(&talk, span);
}

#[test]
fn a_handshake_answered_twice_has_jitter() {
    let mut talk = Talk::tcp();
    talk.up(0, SYN, 100, 0, 0);
    talk.down(32 * MS, SYN | ACK, 500, 101, 0);
    // Lost on its way to the client, which asks again.
    talk.up(1_000 * MS, SYN, 100, 0, 0);
    talk.down(1_048 * MS, SYN | ACK, 500, 101, 0);
    talk.up(1_056 * MS, ACK, 101, 501, 0);
    let span = talk
        .span("established")
        .time("handshake.snd", 32 * MS, Some(jitter(&[32 * MS, 48 * MS])))
        .time("handshake.cnd", 8 * MS, None)
        .set("flow.tcp.retransmissions", 1)
        .set("flow.reverse.tcp.retransmissions", 1)
        .events(&[(0, "tcp.syn"), (32 * MS, "tcp.syn_ack")])
        .events(&[(1_000 * MS, "tcp.syn"), (1_000 * MS, "tcp.retransmission")])
        .events(&[(1_048 * MS, "tcp.syn_ack"), (1_048 * MS, "tcp.retransmission")])
        .events(&[(1_056 * MS, "tcp.established")]);
    gives(&talk, span);
}

#[test]
fn an_answer_answered_again_has_jitter_on_the_clients_side() {
    let mut talk = Talk::tcp();
    talk.handshake();
    // The ACK was lost: the SYN/ACK comes again, and its answer takes 3 ms longer, then 1 ms less than the first time.
    talk.down(1_000 * MS, SYN | ACK, 500, 101, 0);
    talk.up(1_013 * MS, ACK, 101, 501, 0);
    talk.down(3_000 * MS, SYN | ACK, 500, 101, 0);
    talk.up(3_009 * MS, ACK, 101, 501, 0);
    let span = talk
        .span("established")
        .time("handshake.snd", 30 * MS, None)
        .time("handshake.cnd", 10 * MS, Some(jitter(&[10 * MS, 13 * MS, 9 * MS])))
        .set("flow.reverse.tcp.retransmissions", 2)
        .events(&HANDSHAKE)
        .events(&[(1_000 * MS, "tcp.syn_ack"), (1_000 * MS, "tcp.retransmission")])
        .events(&[(3_000 * MS, "tcp.syn_ack"), (3_000 * MS, "tcp.retransmission")]);
    gives(&talk, span);
}

#[test]
fn exchanges_run_from_the_last_request_segment_to_the_first_of_the_response() {
    for mut talk in Talk::tcp_both_orders() {
        talk.handshake();
        talk.up(50 * MS, ACK, 101, 501, 10);
        talk.up(60 * MS + 1, ACK | PSH, 111, 501, 10);
        talk.down(150 * MS, ACK, 501, 121, 20);
        talk.down(160 * MS, ACK | PSH, 521, 121, 20);
        talk.up(170 * MS, ACK, 121, 541, 0);
        talk.up(200 * MS, ACK | PSH, 121, 541, 10);
        talk.down(250 * MS, ACK | PSH, 541, 131, 20);
        let samples = [(150 - 60) * MS - 1, (250 - 200) * MS];
        let span = talk
            .span("established")
            .handshake(30 * MS, 10 * MS)
            .time("svc", mean(&samples) - 30 * MS, Some(jitter(&samples)))
            .time("rndtrip", mean(&samples) + 10 * MS, Some(jitter(&samples)))
            .events(&HANDSHAKE);
        gives(&talk, span);
    }
}

#[test]
fn many_exchanges_have_the_mean_and_the_running_jitter() {
    // Delays without a pattern, all above snd.
    let samples: Vec<u64> = (0..50).map(|n| 31 * MS + n * n * 977 % 40_009 * US).collect();
    let mut talk = Talk::tcp();
    talk.handshake();
    let mut at = 100 * MS;
    for (n, sample) in (0..).zip(&samples) {
        talk.up(at, ACK | PSH, 101 + n * 10, 501 + n * 20, 10);
        talk.down(at + sample, ACK | PSH, 501 + n * 20, 111 + n * 10, 20);
        at += 200 * MS;
    }
    let span = talk
        .span("established")
        .handshake(30 * MS, 10 * MS)
        .time("svc", mean(&samples) - 30 * MS, Some(jitter(&samples)))
        .time("rndtrip", mean(&samples) + 10 * MS, Some(jitter(&samples)))
        .events(&HANDSHAKE);
    gives(&talk, span);
}

#[test]
fn a_constant_delay_has_a_jitter_of_0_and_a_single_one_has_none() {
    for (exchanges, expected) in [(1, None), (2, Some(0)), (9, Some(0))] {
        let mut talk = Talk::tcp();
        talk.handshake();
        for n in 0..exchanges {
            let at = u64::from(n + 1) * 100 * MS;
            talk.up(at, ACK, 101 + n * 10, 501 + n * 20, 10);
            talk.down(at + 50 * MS, ACK, 501 + n * 20, 111 + n * 10, 20);
        }
        let span = talk
            .span("established")
            .handshake(30 * MS, 10 * MS)
            .time("svc", 20 * MS, expected)
            .time("rndtrip", 60 * MS, expected)
            .events(&HANDSHAKE);
        gives(&talk, span);
    }
}

#[test]
fn a_request_or_response_sent_again_neither_ends_nor_begins_an_exchange() {
    let mut talk = Talk::tcp();
    talk.handshake();
    talk.up(50 * MS, ACK, 101, 501, 10);
    talk.up(90 * MS, ACK, 101, 501, 10);
    talk.down(100 * MS, ACK, 501, 111, 20);
    talk.up(200 * MS, ACK, 111, 521, 10);
    talk.down(210 * MS, ACK, 501, 111, 20);
    talk.down(270 * MS, ACK, 521, 121, 20);
    let samples = [50 * MS, 70 * MS];
    let span = talk
        .span("established")
        .handshake(30 * MS, 10 * MS)
        .time("svc", mean(&samples) - 30 * MS, Some(jitter(&samples)))
        .time("rndtrip", mean(&samples) + 10 * MS, Some(jitter(&samples)))
        .set("flow.tcp.retransmissions", 1)
        .set("flow.reverse.tcp.retransmissions", 1)
        .events(&HANDSHAKE)
        .events(&[(90 * MS, "tcp.retransmission"), (210 * MS, "tcp.retransmission")]);
    gives(&talk, span);
}

#[test]
fn a_service_faster_than_its_network_takes_no_time() {
    let mut talk = Talk::tcp();
    talk.handshake();
    talk.up(50 * MS, ACK, 101, 501, 10);
    talk.down(60 * MS, ACK, 501, 111, 20);
    let span = talk.span("established").handshake(30 * MS, 10 * MS).time("svc", 0, None);
    gives(&talk, span.time("rndtrip", 20 * MS, None).events(&HANDSHAKE));
}

#[test]
fn a_server_that_speaks_first_ends_no_exchange() {
    let mut talk = Talk::tcp();
    talk.handshake();
    talk.down(50 * MS, ACK, 501, 101, 30);
    talk.up(90 * MS, ACK, 101, 531, 10);
    talk.down(140 * MS, ACK, 531, 111, 20);
    let span = talk.span("established").handshake(30 * MS, 10 * MS).time("svc", 20 * MS, None);
    gives(&talk, span.time("rndtrip", 60 * MS, None).events(&HANDSHAKE));
}

#[test]
fn without_a_handshake_the_service_is_the_exchange_and_there_is_no_round_trip() {
    let mut talk = Talk::tcp();
    talk.up(0, ACK, 7_000, 9_000, 10);
    talk.down(25 * MS, ACK, 9_000, 7_010, 10);
    gives(&talk, talk.span("established").time("svc", 25 * MS, None));
}

#[test]
fn with_the_answer_alone_the_round_trip_is_known_but_not_the_servers_network() {
    for mut talk in Talk::tcp_both_orders() {
        talk.down(30 * MS, SYN | ACK, 500, 101, 0);
        talk.up(40 * MS, ACK, 101, 501, 0);
        talk.up(50 * MS, ACK, 101, 501, 10);
        talk.down(150 * MS, ACK, 501, 111, 20);
        let span = talk
            .span("established")
            .time("handshake.cnd", 10 * MS, None)
            .time("svc", 100 * MS, None)
            .time("rndtrip", 110 * MS, None)
            .events(&[(30 * MS, "tcp.syn_ack"), (40 * MS, "tcp.established")]);
        gives(&talk, span);
    }
}

#[test]
fn a_request_may_be_in_the_segment_that_ends_the_handshake() {
    for mut talk in Talk::tcp_both_orders() {
        talk.up(0, SYN, 100, 0, 0);
        talk.down(30 * MS, SYN | ACK, 500, 101, 0);
        talk.up(40 * MS, ACK | PSH, 101, 501, 10);
        talk.down(90 * MS, ACK | PSH, 501, 111, 20);
        let span = talk.span("established").handshake(30 * MS, 10 * MS).time("svc", 20 * MS, None);
        gives(&talk, span.time("rndtrip", 60 * MS, None).events(&HANDSHAKE));
    }
}

#[test]
fn a_server_that_speaks_before_the_handshake_ends_does_not_spoil_its_times() {
    for mut talk in Talk::tcp_both_orders() {
        talk.up(0, SYN, 100, 0, 0);
        talk.down(30 * MS, SYN | ACK, 500, 101, 0);
        talk.down(35 * MS, ACK | PSH, 501, 101, 20);
        talk.up(40 * MS, ACK, 101, 501, 0);
        talk.up(50 * MS, ACK | PSH, 101, 521, 10);
        talk.down(90 * MS, ACK | PSH, 521, 111, 20);
        let span = talk.span("established").handshake(30 * MS, 10 * MS).time("svc", 10 * MS, None);
        // Its data tells that it was answered, whichever way the ACK took.
        let events = [(0, "tcp.syn"), (30 * MS, "tcp.syn_ack"), (35 * MS, "tcp.established")];
        gives(&talk, span.time("rndtrip", 50 * MS, None).events(&events));
    }
}
