//! Who is the source, and who began.

use super::build::flag::{ACK, SYN};
use super::build::{End, echo, icmp};
use super::expected::{Expected, Flow, turned};
use super::talk::{ICMP, ICMPV6, MS, TCP, Talk, UDP, Way, client, client_v6, server, server_v6};
use super::tape::{Tape, gives};

/// Ports of the first sender and of the other side, the service ports, and whether the other side began.
const BY_PORTS: [(u16, u16, &str, bool); 12] = [
    (40_000, 53, "", false),
    (53, 40_000, "", true),
    // Exactly one side below 1024 goes over all that follows.
    (1_023, 1_024, "", true),
    (1_024, 1_023, "", false),
    (123, 53, "", false),
    (53, 123, "", false),
    // One side at or above 32768 and the other below.
    (8_080, 32_768, "", true),
    (8_080, 32_767, "", false),
    (32_768, 8_080, "", false),
    (50_000, 60_000, "", false),
    // Configured service ports.
    (50_000, 60_000, "50000", true),
    (5_060, 5_070, "5060,5070", false),
];

#[test]
fn without_evidence_the_first_sender_is_the_source_and_the_ports_tell_who_began() {
    for (first, other, services, by_other) in BY_PORTS {
        for (low, high) in [(client(), server()), (server(), client())] {
            let mut talk = Talk::new(low.on_port(first), high.on_port(other), UDP);
            talk.datagram(0, Way::Up, 10);
            talk.datagram(MS, Way::Down, 20);
            let span = talk.span("").set("flow.initiator", if by_other { "destination" } else { "source" });
            let services = format!("flow.service_ports={services}");
            let flags = ["--set", &services];
            let flags = if services.ends_with('=') { &[][..] } else { &flags };
            Tape::of([&talk]).replayed(flags).gives([span]);
        }
    }
}

#[test]
fn a_connection_seen_from_its_middle_is_measured_from_the_side_that_began() {
    // The server's data is heard first: it is the source, but its port says that the client began.
    for mut talk in Talk::tcp_both_orders() {
        talk.down(0, ACK, 500, 101, 10);
        talk.up(10 * MS, ACK, 101, 510, 10);
        talk.down(35 * MS, ACK, 510, 111, 30);
        talk.up(60 * MS, ACK, 111, 540, 10);
        talk.down(81 * MS, ACK, 540, 121, 30);
        // 25 and 21 ms: |D| / 16 = 0.25 ms.
        let span = turned(talk.span("established")).set("flow.initiator", "destination").time(
            "svc",
            23 * MS,
            Some(MS / 4),
        );
        gives(&talk, span);
    }
}

#[test]
fn both_ways_seen_from_the_middle_with_high_ports_begin_with_the_first_sender() {
    for first in [Way::Up, Way::Down] {
        let mut talk = Talk::new(client(), server().on_port(50_000), TCP);
        let side = |way, at, talk: &mut Talk| match way {
            Way::Up => talk.up(at, ACK, 101, 501, 0),
            Way::Down => talk.down(at, ACK, 501, 101, 0),
        };
        side(first, 0, &mut talk);
        side(first.turned(), MS, &mut talk);
        let span = talk.span("established");
        gives(&talk, if first == Way::Up { span } else { turned(span) });
    }
}

#[test]
fn the_sender_of_a_syn_is_the_source_whatever_the_ports_say() {
    for (from, to) in [(443, 40_000), (40_000, 443), (50_000, 50_000)] {
        let mut talk = Talk::new(client().on_port(from), server().on_port(to), TCP);
        talk.up(0, SYN, 100, 0, 0);
        gives(&talk, talk.span("syn_sent").events(&[(0, "tcp.syn")]));
        let mut talk = Talk::new(client().on_port(from), server().on_port(to), TCP);
        talk.down(0, SYN | ACK, 500, 101, 0);
        let events = [(0, "tcp.syn_ack")];
        gives(&talk, talk.span("syn_sent").events(&events));
    }
}

#[test]
fn evidence_that_comes_late_turns_every_value() {
    for mut talk in Talk::tcp_both_orders() {
        // The client's first SYN passed elsewhere, and one segment overtook the SYN/ACK.
        talk.down(0, ACK, 501, 101, 7);
        talk.down(MS, SYN | ACK, 500, 101, 0);
        talk.up(11 * MS, ACK, 101, 508, 10);
        talk.up(12 * MS, ACK, 101, 508, 10);
        talk.down(51 * MS, ACK, 508, 111, 20);
        let span = talk
            .span("established")
            .time("handshake.cnd", 10 * MS, None)
            .time("svc", 40 * MS, None)
            .time("rndtrip", 50 * MS, None);
        let seen = Tape::of([&talk]).replayed(&[]).seen();
        assert_eq!(seen.len(), 1);
        for key in ["source.address", "source.port", "flow.packets.total", "flow.reverse.packets.total"] {
            assert_eq!(seen[0].attributes[key], span.attributes[key], "{key}");
        }
        for key in ["flow.bytes.delta", "flow.reverse.bytes.delta", "flow.initiator"] {
            assert_eq!(seen[0].attributes[key], span.attributes[key], "{key}");
        }
        assert_eq!(seen[0].attributes["flow.tcp.retransmissions"], 1.into());
    }
}

/// Protocol, type of the request, its name, type of the answer, its name.
const MESSAGES: [(u8, u8, &str, u8, &str); 5] = [
    (ICMP, 8, "echo", 0, "echo_reply"),
    (ICMP, 13, "timestamp", 14, "timestamp_reply"),
    (ICMPV6, 128, "echo_request", 129, "echo_reply"),
    (ICMPV6, 133, "router_solicitation", 134, "router_advertisement"),
    (ICMPV6, 135, "neighbor_solicitation", 136, "neighbor_advertisement"),
];

/// An ICMP conversation between ends whose ports are message types.
fn conversation(protocol: u8, request: u8, answer: u8) -> Talk {
    let (from, to) = if protocol == ICMP { (client(), server()) } else { (client_v6(), server_v6()) };
    Talk::new(from.on_port(request.into()), to.on_port(answer.into()), protocol)
}

fn message(span: Expected, kind: u8, name: &str) -> Expected {
    let span = span.set("flow.icmp.type.id", u64::from(kind)).set("flow.icmp.type.name", name);
    span.set("flow.icmp.code.id", 0)
}

#[test]
fn icmp_requests_come_from_the_source_also_where_the_answer_is_seen_first() {
    for (protocol, request, request_name, answer, answer_name) in MESSAGES {
        let mut talk = conversation(protocol, request, answer);
        talk.echo(0, Way::Up, request, 32);
        talk.echo(MS, Way::Down, answer, 56);
        gives(&talk, message(talk.span(""), request, request_name));
        let mut talk = conversation(protocol, request, answer);
        talk.echo(0, Way::Down, answer, 56);
        talk.echo(MS, Way::Up, request, 32);
        gives(&talk, message(talk.span(""), answer, answer_name));
    }
}

#[test]
fn messages_without_an_answer_are_a_flow_each_way_with_type_and_code_for_ports() {
    let mut there = Talk::new(client().on_port(5), server().on_port(1), ICMP);
    there.send(0, Way::Up, &icmp(5, 1, &[0; 24]));
    let mut back = Talk::new(server().on_port(5), client().on_port(1), ICMP);
    back.send(MS, Way::Up, &icmp(5, 1, &[0; 24]));
    let spans = [&there, &back].map(|talk| {
        let flow = Flow { source: talk.source, destination: talk.destination, protocol: ICMP };
        message(talk.span(""), 5, "redirect")
            .one_way(flow)
            .set("flow.icmp.code.id", 1)
            .set("flow.icmp.code.name", "redirect_datagram_for_the_host")
    });
    Tape::of([&there, &back]).replayed(&[]).gives(spans);
}

#[test]
fn a_flow_within_one_address_has_two_ways_by_its_ports() {
    let end = End::new("127.0.0.1", 40_000, 1);
    let mut talk = Talk::new(end, end.on_port(53), UDP);
    talk.datagram(0, Way::Up, 10);
    talk.datagram(MS, Way::Down, 20);
    gives(&talk, talk.span(""));
    // An echo within one address: the types tell the ways apart.
    let mut talk = Talk::new(end.on_port(8), end.on_port(0), ICMP);
    talk.send(0, Way::Up, &echo(8, 10));
    talk.send(MS, Way::Down, &echo(0, 20));
    gives(&talk, message(talk.span(""), 8, "echo"));
}
