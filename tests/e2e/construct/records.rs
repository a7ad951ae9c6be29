//! A flow in several records: windows that meet, deltas that add up, what is of the window and what of the flow.

use super::build::flag::{ACK, FIN, PSH, RST, SYN};
use super::build::udp;
use super::expected::{Is, turned};
use super::talk::{ICMP, MS, S, Talk, Way, client, server};
use super::tape::Tape;

/// The tables are looked through every 500 ms of the capture's clock, so that a window of 10 s ends at the next half second.
const ACTIVE: [&str; 2] = ["--set", "flow.active_timeout=10s"];

#[test]
fn a_long_conversation_is_a_record_every_active_timeout_each_linked_to_the_one_before() {
    for mut talk in Talk::tcp_both_orders() {
        talk.handshake();
        talk.up(5 * S, ACK | PSH, 101, 501, 10);
        talk.up(6 * S, ACK | PSH, 101, 501, 10);
        talk.down(6 * S + 7 * MS, ACK, 501, 111, 20);
        let first = talk.len();
        talk.up(12 * S, ACK, 111, 521, 10);
        talk.down(12 * S + 100 * MS, ACK, 521, 121, 30);
        talk.down(12 * S + 150 * MS, ACK, 521, 121, 30);
        talk.down(12 * S + 200 * MS, ACK, 521, 121, 30);
        let second = talk.len();
        talk.up(25 * S, ACK | FIN, 121, 551, 0);
        talk.down(25 * S + MS, ACK | FIN, 551, 122, 0);
        talk.up(25 * S + 2 * MS, ACK, 122, 552, 0);
        // The request was sent again, so the first exchange lasted for 1,007 ms, the second for 100 ms; a sixteenth of the
        // difference is whole.
        let samples = [S + 7 * MS, 100 * MS];
        let (mean, jitter) = ((samples[0] + samples[1]) / 2, (samples[0] - samples[1]) / 16);
        let records = [
            talk.record(0..first, "established")
                .ends_by("active_timeout")
                .time("svc", samples[0] - 30 * MS, None)
                .time("rndtrip", samples[0] + 10 * MS, None)
                .set("flow.tcp.retransmissions", 1)
                .events(&[(0, "tcp.syn"), (30 * MS, "tcp.syn_ack"), (40 * MS, "tcp.established")])
                .events(&[(6 * S, "tcp.retransmission")]),
            talk.record(first..second, "established")
                .ends_by("active_timeout")
                .time("svc", mean - 30 * MS, Some(jitter))
                .time("rndtrip", mean + 10 * MS, Some(jitter))
                .set("flow.reverse.tcp.retransmissions", 2)
                .events(&[(12 * S + 150 * MS, "tcp.retransmission")])
                .events(&[(12 * S + 200 * MS, "tcp.retransmission")]),
            talk.record(second..talk.len(), "time_wait")
                .ends_by("end_of_flow_detected")
                .time("svc", mean - 30 * MS, Some(jitter))
                .time("rndtrip", mean + 10 * MS, Some(jitter))
                .events(&[(25 * S, "tcp.fin"), (25 * S + MS, "tcp.fin")]),
        ];
        let records = records.map(|record| record.handshake(30 * MS, 10 * MS));
        let tape = Tape::of([&talk]).and_later(11 * S).and_later(22 * S).and_later(40 * S);
        tape.replayed(&ACTIVE).gives(records);
    }
}

#[test]
fn deltas_of_the_records_add_up_to_the_totals_of_the_last() {
    let mut talk = Talk::udp();
    let mut cuts = vec![0];
    let mut tape_ends = Vec::new();
    for window in 0..5u64 {
        for packet in 0..=window {
            let at = window * 12 * S + packet * 100 * MS;
            talk.datagram(at, Way::Up, 10 + 7 * talk.len());
            talk.datagram(at + MS, Way::Down, 1_000 - 13 * talk.len());
        }
        cuts.push(talk.len());
        tape_ends.push(window * 12 * S + 11 * S);
    }
    let records: Vec<_> =
        cuts.windows(2).map(|cut| talk.record(cut[0]..cut[1], "").ends_by("active_timeout")).collect();
    let tape = tape_ends.into_iter().fold(Tape::of([&talk]), Tape::and_later);
    let replayed = tape.replayed(&ACTIVE);
    for way in ["flow", "flow.reverse"] {
        for unit in ["packets", "bytes"] {
            let of = |kind: &str| {
                let key = format!("{way}.{unit}.{kind}");
                let numbers = replayed.seen().into_iter().map(move |span| match span.attributes[&key] {
                    Is::Number(number) => number,
                    ref other => panic!("{other:?}"),
                });
                numbers.collect::<Vec<_>>()
            };
            assert_eq!(of("delta").iter().sum::<u64>(), *of("total").iter().max().unwrap(), "{way} {unit}");
        }
    }
    replayed.gives(records);
}

#[test]
fn a_window_without_packets_has_no_record() {
    let mut talk = Talk::udp();
    talk.datagram(0, Way::Up, 10);
    talk.datagram(S, Way::Down, 10);
    talk.datagram(50 * S, Way::Up, 10);
    let records =
        [talk.record(0..2, "").ends_by("active_timeout"), talk.record(2..3, "").ends_by("active_timeout")];
    let flags = [&ACTIVE[..], &["--set", "flow.idle_timeout.udp=60s"]].concat();
    let tape = [11, 21, 31, 41, 49, 52, 100, 111, 120].into_iter();
    tape.fold(Tape::of([&talk]), |tape, at| tape.and_later(at * S)).replayed(&flags).gives(records);
}

#[test]
fn an_idle_flow_ends_with_all_that_was_told_already_and_no_empty_record() {
    let mut talk = Talk::udp();
    talk.datagram(0, Way::Up, 10);
    let record = talk.record(0..1, "").ends_by("active_timeout");
    let tape = Tape::of([&talk]).and_later(11 * S).and_later(31 * S).and_later(62 * S);
    tape.replayed(&ACTIVE).gives([record]);
}

#[test]
fn each_protocol_has_its_idle_timeout() {
    let echo = |mut talk: Talk| {
        talk.echo(0, Way::Up, 8, 10);
        let span = talk.span("").set("flow.icmp.type.id", 8).set("flow.icmp.type.name", "echo");
        (talk, span.set("flow.icmp.code.id", 0))
    };
    let plain = |mut talk: Talk, upper: &[u8]| {
        talk.send(0, Way::Up, upper);
        let span = talk.span("");
        (talk, span)
    };
    let icmp = Talk::new(client().on_port(8), server().on_port(0), ICMP);
    let other = Talk::new(client().on_port(0), server().on_port(0), 47);
    let datagram = udp(40_000, 53, &[0; 9]);
    // A GRE header of a version nobody knows: the flow is GRE's own.
    let cases = [(echo(icmp), 10), (plain(other, &[0, 5, 8, 0, 1]), 30), (plain(Talk::udp(), &datagram), 30)];
    for ((talk, span), idle) in cases {
        Tape::of([&talk]).and_later(idle * S - 1).replayed(&[]).gives([span.clone()]);
        let ended = Tape::of([&talk]).and_later(idle * S).replayed(&[]);
        ended.gives([span.ends_by("idle_timeout")]);
    }
}

#[test]
fn orientation_does_not_change_between_records_whatever_is_seen_later() {
    // Data of the server first; then, in another window, a SYN of the client without a close before it.
    let mut talk = Talk::tcp();
    talk.down(0, ACK, 501, 101, 10);
    talk.down(S, ACK, 511, 101, 10);
    let first = talk.len();
    talk.up(12 * S, SYN, 900, 0, 0);
    talk.down(12 * S + MS, RST | ACK, 0, 901, 0);
    let seen = Tape::of([&talk]).and_later(11 * S).and_later(40 * S).replayed(&ACTIVE).seen();
    assert_eq!(seen.len(), 2);
    let records =
        [talk.record(0..first, "established"), talk.record(first..talk.len(), "closed")].map(turned);
    for (seen, record) in seen.iter().zip(&records) {
        for key in ["source.address", "destination.port", "flow.packets.delta", "flow.reverse.packets.total"]
        {
            assert_eq!(seen.attributes[key], record.attributes[key], "{key}");
        }
        assert_eq!(seen.attributes["flow.initiator"], "destination".into());
    }
    assert_eq!((seen[0].end, seen[1].start), (records[0].end, records[0].end));
}

#[test]
fn a_packet_stamped_earlier_than_the_one_before_does_not_turn_time_back() {
    let mut talk = Talk::udp();
    talk.datagram(10 * MS, Way::Up, 10);
    talk.datagram(30 * MS, Way::Down, 10);
    talk.datagram(20 * MS, Way::Up, 10);
    let mut tape = Tape::default();
    tape.append_unsorted(&talk);
    tape.replayed(&[]).gives([talk.span("")]);
    let mut talk = Talk::udp();
    talk.datagram(10 * MS, Way::Up, 10);
    talk.datagram(5 * MS, Way::Down, 10);
    let mut tape = Tape::default();
    tape.append_unsorted(&talk);
    tape.replayed(&[]).gives([talk.span("")]);
}
