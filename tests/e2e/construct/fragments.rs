//! Datagrams in parts, in whatever order they come.

use std::ops::Range;

use super::build::{Segment, echo, flag, udp};
use super::talk::{ICMP, MS, S, Talk, UDP, Way, client, client_v6, server, server_v6};
use super::tape::{Tape, gives};

const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
/// The parts of a datagram of 2,008 octets.
const PARTS: [Range<usize>; 3] = [0..800, 800..1_600, 1_600..2_008];

fn both_versions() -> [Talk; 2] {
    [(client(), server()), (client_v6(), server_v6())].map(|(from, to)| Talk::new(from, to.on_port(53), UDP))
}

fn datagram(talk: &Talk) -> Vec<u8> {
    udp(talk.source.port, talk.destination.port, &[b'd'; 2_000])
}

/// Sends `parts` of `upper`, 1 ms apart, as parts of the datagram `id`.
fn send(talk: &mut Talk, at: u64, id: u32, upper: &[u8], parts: &[Range<usize>]) {
    talk.header.id = id;
    for (place, part) in (0..).zip(parts) {
        let packet = talk.ip(Way::Up).part(upper, part.clone());
        talk.packet(at + place * MS, Way::Up, &packet, 0);
    }
}

#[test]
fn three_parts_in_every_order_are_packets_of_one_flow() {
    for order in ORDERS {
        for mut talk in both_versions() {
            let upper = datagram(&talk);
            send(&mut talk, 0, 7, &upper, &order.map(|part| PARTS[part].clone()));
            talk.datagram(10 * MS, Way::Down, 50);
            // Behind three headers, in IPv6 with that of a fragment.
            let header = if talk.source.is_v4() { 20 } else { 40 + 8 };
            let span = talk.span("").set("flow.bytes.total", 2_008 + 3 * header);
            let replayed = Tape::of([&talk]).replayed(&[]);
            replayed.gives([span]);
            for row in ["odd: fragment orphan", "odd: fragment overlap", "fragment waiting"] {
                assert_eq!(replayed.row(row), 0, "{row}");
            }
        }
    }
}

#[test]
fn without_its_first_part_a_datagram_is_of_a_flow_without_ports_after_30_s() {
    for mut talk in both_versions() {
        (talk.source.port, talk.destination.port) = (0, 0);
        let upper = datagram(&talk);
        send(&mut talk, 0, 7, &upper, &PARTS[1..]);
        let span = talk.span("");
        for (clock, reason) in [(29 * S, "forced_end"), (32 * S, "idle_timeout")] {
            let replayed = Tape::of([&talk]).and_later(clock).replayed(&[]);
            replayed.gives([span.clone().ends_by(reason)]);
            assert_eq!(replayed.row("odd: fragment orphan"), 2);
            assert_eq!(replayed.row("in flows"), 3);
        }
    }
}

#[test]
fn a_first_part_that_comes_after_30_s_is_of_its_own_flow() {
    let mut late = Talk::udp();
    let upper = datagram(&late);
    send(&mut late, 31 * S, 7, &upper, &PARTS[..1]);
    let mut lost = Talk::udp();
    (lost.source.port, lost.destination.port) = (0, 0);
    send(&mut lost, 0, 7, &upper, &PARTS[1..]);
    let replayed = Tape::of([&late, &lost]).replayed(&[]);
    replayed.gives([late.span(""), lost.span("").ends_by("idle_timeout")]);
}

#[test]
fn parts_that_overlap_are_counted_and_noted() {
    for order in ORDERS {
        for mut talk in both_versions() {
            let upper = datagram(&talk);
            let parts = [0..800, 600..1_600, 1_600..2_008];
            send(&mut talk, 0, 7, &upper, &order.map(|part| parts[part].clone()));
            let replayed = Tape::of([&talk]).replayed(&[]);
            replayed.gives([talk.span("")]);
            assert_eq!(replayed.row("odd: fragment overlap"), 1, "{order:?}");
        }
    }
}

#[test]
fn two_datagrams_whose_parts_mingle_stay_apart() {
    for version in [0, 1] {
        for order in ORDERS {
            let parts = order.map(|part| PARTS[part].clone());
            let [mut one, mut other] = [both_versions(), both_versions()].map(|talks| {
                let [v4, v6] = talks;
                if version == 0 { v4 } else { v6 }
            });
            other.source.port += 1;
            let (a, b) = (datagram(&one), datagram(&other));
            send(&mut one, 0, 7, &a, &PARTS);
            send(&mut other, MS / 2, 8, &b, &parts);
            Tape::of([&one, &other]).replayed(&[]).gives([one.span(""), other.span("")]);
        }
    }
}

#[test]
fn the_same_id_of_another_protocol_or_of_the_other_end_is_another_datagram() {
    let mut talk = Talk::udp();
    let upper = datagram(&talk);
    send(&mut talk, 0, 7, &upper, &PARTS);
    let mut message = Talk::new(client().on_port(8), server().on_port(0), ICMP);
    send(&mut message, MS / 2, 7, &echo(8, 2_000), &PARTS);
    // The parts of the way back, on other ports.
    let mut back = Talk::new(server().on_port(60_000), client().on_port(60_001), UDP);
    let upper = datagram(&back);
    send(&mut back, MS / 4, 7, &upper, &[PARTS[2].clone(), PARTS[1].clone(), PARTS[0].clone()]);
    let told = message.span("").set("flow.icmp.type.id", 8).set("flow.icmp.type.name", "echo");
    let told = told.set("flow.icmp.code.id", 0);
    Tape::of([&talk, &message, &back]).replayed(&[]).gives([talk.span(""), told, back.span("")]);
}

#[test]
fn an_id_used_again_is_a_new_datagram() {
    for mut talk in both_versions() {
        let mut other = Talk::new(talk.source.on_port(50_000), talk.destination, UDP);
        let (a, b) = (datagram(&talk), datagram(&other));
        send(&mut talk, 0, 7, &a, &PARTS);
        send(&mut other, 10 * MS, 7, &b, &[PARTS[2].clone(), PARTS[0].clone(), PARTS[1].clone()]);
        Tape::of([&talk, &other]).replayed(&[]).gives([talk.span(""), other.span("")]);
    }
}

#[test]
fn a_segment_in_parts_leaves_the_connection_as_it_is() {
    let mut talk = Talk::tcp();
    talk.handshake();
    let segment =
        Segment { flags: flag::ACK, sequence: 101, acknowledgment: 501, payload: 2_000, window: 1_000 };
    let upper = segment.octets(talk.source.port, talk.destination.port);
    talk.header.id = 7;
    for (part, at) in [(800..1_600, 50 * MS), (0..800, 51 * MS), (1_600..upper.len(), 52 * MS)] {
        let packet = talk.ip(Way::Up).part(&upper, part);
        talk.packet(at, Way::Up, &packet, 0);
    }
    talk.header.id = 0;
    talk.up(53 * MS, flag::ACK, 2_101, 501, 10);
    talk.down(100 * MS, flag::ACK, 501, 2_111, 20);
    let span = talk
        .span("established")
        .handshake(30 * MS, 10 * MS)
        .time("svc", (100 - 53 - 30) * MS, None)
        .time("rndtrip", (100 - 53 + 10) * MS, None)
        .events(&[(0, "tcp.syn"), (30 * MS, "tcp.syn_ack"), (40 * MS, "tcp.established")]);
    gives(&talk, span);
}

#[test]
fn a_packet_that_is_the_whole_datagram_is_no_part() {
    // An atomic fragment, RFC 6946.
    let mut talk = Talk::new(client_v6(), server_v6().on_port(53), UDP);
    let upper = udp(40_000, 53, &[0; 100]);
    let whole = 0..upper.len();
    send(&mut talk, 0, 7, &upper, &[whole.clone(), whole]);
    let replayed = Tape::of([&talk]).replayed(&[]);
    replayed.gives([talk.span("")]);
    assert_eq!(replayed.row("odd: fragment overlap"), 0);
}
