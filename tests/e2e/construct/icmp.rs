//! ICMP errors: what they are called, and what they say of the flows they quote.

use super::build::flag::{ACK, RST, SYN};
use super::build::{End, ethernet, icmp_error, tagged};
use super::expected::{Expected, Flow};
use super::talk::{ICMP, ICMPV6, MS, S, Talk, UDP, Way, client, client_v6, server, server_v6};
use super::tape::{Tape, gives};

/// Type, code, their names, and the failure of the flow that is quoted.
type Case = (u8, u8, &'static str, Option<&'static str>, Option<&'static str>);

/// RFC 792, RFC 1812 §5.2.7.1.
const V4: [Case; 16] = [
    (3, 0, "destination_unreachable", Some("net_unreachable"), Some("network_unreachable")),
    (3, 1, "destination_unreachable", Some("host_unreachable"), Some("host_unreachable")),
    (3, 3, "destination_unreachable", Some("port_unreachable"), Some("port_unreachable")),
    (
        3,
        4,
        "destination_unreachable",
        Some("fragmentation_needed_and_dont_fragment_was_set"),
        Some("fragmentation_needed"),
    ),
    (3, 6, "destination_unreachable", Some("destination_network_unknown"), Some("network_unreachable")),
    (3, 7, "destination_unreachable", Some("destination_host_unknown"), Some("host_unreachable")),
    (
        3,
        9,
        "destination_unreachable",
        Some("communication_with_destination_network_is_administratively_prohibited"),
        Some("network_unreachable"),
    ),
    (
        3,
        10,
        "destination_unreachable",
        Some("communication_with_destination_host_is_administratively_prohibited"),
        Some("host_unreachable"),
    ),
    (
        3,
        11,
        "destination_unreachable",
        Some("destination_network_unreachable_for_type_of_service"),
        Some("network_unreachable"),
    ),
    (
        3,
        12,
        "destination_unreachable",
        Some("destination_host_unreachable_for_type_of_service"),
        Some("host_unreachable"),
    ),
    (11, 0, "time_exceeded", Some("time_to_live_exceeded_in_transit"), Some("ttl_exceeded")),
    (4, 0, "source_quench", None, None),
    (5, 1, "redirect", Some("redirect_datagram_for_the_host"), None),
    (12, 0, "parameter_problem", Some("pointer_indicates_the_error"), None),
    // No standard names these.
    (3, 99, "destination_unreachable", None, None),
    (12, 77, "parameter_problem", None, None),
];
/// RFC 4443 §3.
const V6: [Case; 6] = [
    (1, 0, "destination_unreachable", Some("no_route_to_destination"), Some("network_unreachable")),
    (1, 3, "destination_unreachable", Some("address_unreachable"), Some("host_unreachable")),
    (1, 4, "destination_unreachable", Some("port_unreachable"), Some("port_unreachable")),
    (2, 0, "packet_too_big", None, Some("fragmentation_needed")),
    (3, 0, "time_exceeded", Some("hop_limit_exceeded_in_transit"), Some("ttl_exceeded")),
    (4, 0, "parameter_problem", Some("erroneous_header_field_encountered"), None),
];

fn router(v4: bool) -> End {
    End::new(if v4 { "10.9.0.1" } else { "2001:db8:9::1" }, 0, 0x99)
}

/// The error a router sends the source of `quoted`, as a conversation and its span.
fn error_about(quoted: &Talk, packet: &[u8], at: u64, case: Case) -> (Talk, Expected) {
    let (kind, code, kind_name, code_name, _) = case;
    let v4 = quoted.source.is_v4();
    let protocol = if v4 { ICMP } else { ICMPV6 };
    let from = router(v4).on_port(kind.into());
    let mut talk = Talk::new(from, quoted.source.on_port(code.into()), protocol);
    talk.send(at, Way::Up, &icmp_error(kind, code, packet));
    let flow = Flow { source: talk.source, destination: talk.destination, protocol };
    let span = talk
        .span("")
        .one_way(flow)
        .set("flow.icmp.type.id", u64::from(kind))
        .set("flow.icmp.type.name", kind_name)
        .set("flow.icmp.code.id", u64::from(code));
    (talk, if let Some(name) = code_name { span.set("flow.icmp.code.name", name) } else { span })
}

const HOST_UNREACHABLE: Case = V4[1];

fn failed(span: Expected, failure: Option<&str>, at: u64) -> Expected {
    match failure {
        Some(failure) => span.error(failure).events(&[(at, "icmp.error")]),
        None => span,
    }
}

#[test]
fn each_error_marks_the_flow_it_quotes_and_is_a_flow_itself() {
    let ends = [(client(), server(), &V4[..]), (client_v6(), server_v6(), &V6[..])];
    for (from, to, cases) in ends {
        for case in cases {
            let mut quoted = Talk::new(from, to.on_port(53), UDP);
            quoted.datagram(0, Way::Up, 100);
            let (error, told) = error_about(&quoted, quoted.ip_packet(0), 5 * MS, *case);
            let span = failed(quoted.span(""), case.4, 5 * MS);
            Tape::of([&quoted, &error]).replayed(&[]).gives([span, told]);
        }
    }
}

#[test]
fn eight_octets_behind_the_quoted_header_are_enough() {
    let mut quoted = Talk::tcp();
    quoted.up(0, SYN, 100, 0, 0);
    let packet = &quoted.ip_packet(0)[..20 + 8];
    let (error, told) = error_about(&quoted, packet, 5 * MS, HOST_UNREACHABLE);
    let span = quoted.span("syn_sent").events(&[(0, "tcp.syn")]);
    let span = failed(span, Some("host_unreachable"), 5 * MS);
    Tape::of([&quoted, &error]).replayed(&[]).gives([span, told]);
}

#[test]
fn an_error_about_a_packet_back_marks_the_same_flow() {
    let mut quoted = Talk::udp();
    quoted.datagram(0, Way::Up, 100);
    quoted.datagram(MS, Way::Down, 100);
    // As the client's host refuses the answer.
    let mut error = Talk::new(quoted.source.on_port(3), quoted.destination.on_port(3), ICMP);
    error.send(2 * MS, Way::Up, &icmp_error(3, 3, quoted.ip_packet(1)));
    let flow = Flow { source: error.source, destination: error.destination, protocol: ICMP };
    let told = error
        .span("")
        .one_way(flow)
        .set("flow.icmp.type.id", 3)
        .set("flow.icmp.type.name", "destination_unreachable")
        .set("flow.icmp.code.id", 3)
        .set("flow.icmp.code.name", "port_unreachable");
    let span = failed(quoted.span(""), Some("port_unreachable"), 2 * MS);
    Tape::of([&quoted, &error]).replayed(&[]).gives([span, told]);
}

#[test]
fn an_error_that_quotes_no_live_flow_marks_none() {
    let mut quoted = Talk::udp();
    quoted.datagram(0, Way::Up, 100);
    let mut other = Talk::udp();
    other.source.port += 1;
    other.datagram(0, Way::Up, 100);
    let (error, told) = error_about(&quoted, other.ip_packet(0), 5 * MS, HOST_UNREACHABLE);
    Tape::of([&quoted, &error]).replayed(&[]).gives([quoted.span(""), told]);
}

#[test]
fn an_error_in_another_vlan_is_about_another_flow() {
    for vlan in [7, 8] {
        let in_vlan = |talk: Talk, vlan| {
            let (source, destination) = (talk.source, talk.destination);
            talk.wrapped(move |packet, _| tagged(&ethernet(source, destination, packet), 0x8100, vlan))
        };
        let mut quoted = in_vlan(Talk::udp(), 7);
        quoted.datagram(0, Way::Up, 100);
        let mut plain = Talk::udp();
        plain.datagram(0, Way::Up, 100);
        let (error, told) = error_about(&quoted, plain.ip_packet(0), 5 * MS, HOST_UNREACHABLE);
        let packet = error.ip_packet(0).to_vec();
        let error = in_vlan(error, vlan).sends_only(5 * MS, &packet);
        let failure = (vlan == 7).then_some("host_unreachable");
        Tape::of([&quoted, &error]).replayed(&[]).gives([failed(quoted.span(""), failure, 5 * MS), told]);
    }
}

#[test]
fn the_first_failure_stands() {
    let mut quoted = Talk::tcp();
    quoted.up(0, SYN, 100, 0, 0);
    let (error, told) = error_about(&quoted, quoted.ip_packet(0), MS, HOST_UNREACHABLE);
    let told = told.ends_by("idle_timeout");
    let span = quoted.span("syn_sent").events(&[(0, "tcp.syn")]).ends_by("idle_timeout");
    let span = failed(span, Some("host_unreachable"), MS);
    Tape::of([&quoted, &error]).and_later(20 * S).replayed(&[]).gives([span, told]);
}

#[test]
fn a_packet_that_was_too_big_is_no_failure_where_a_worse_one_comes() {
    let mut quoted = Talk::tcp();
    quoted.handshake();
    quoted.up(50 * MS, ACK, 101, 501, 1_400);
    let (error, told) = error_about(&quoted, quoted.ip_packet(3), 60 * MS, V4[3]);
    // Another sweep, so that the reset is not of the same burst.
    quoted.down(2 * S, RST, 501, 0, 0);
    let span = quoted
        .span("closed")
        .ends_by("end_of_flow_detected")
        .handshake(30 * MS, 10 * MS)
        .error("connection_reset")
        .events(&[(0, "tcp.syn"), (30 * MS, "tcp.syn_ack"), (40 * MS, "tcp.established")])
        .events(&[(60 * MS, "icmp.error"), (2 * S, "tcp.rst")]);
    Tape::of([&quoted, &error]).replayed(&[]).gives([span, told]);
}

#[test]
fn events_are_in_the_order_of_their_times() {
    let mut quoted = Talk::tcp();
    quoted.up(0, SYN, 100, 0, 0);
    let (error, told) = error_about(&quoted, quoted.ip_packet(0), MS, HOST_UNREACHABLE);
    quoted.up(2 * MS, SYN, 100, 0, 0);
    let span = quoted
        .span("syn_sent")
        .set("flow.tcp.retransmissions", 1)
        .error("host_unreachable")
        .events(&[(0, "tcp.syn"), (MS, "icmp.error"), (2 * MS, "tcp.syn"), (2 * MS, "tcp.retransmission")]);
    Tape::of([&quoted, &error]).replayed(&[]).gives([span, told]);
}

#[test]
fn a_failure_before_a_rst_in_the_same_instant_of_reading_stands_too() {
    let mut quoted = Talk::tcp();
    quoted.up(0, SYN, 100, 0, 0);
    let (error, told) = error_about(&quoted, quoted.ip_packet(0), MS, HOST_UNREACHABLE);
    quoted.down(2 * MS, RST | ACK, 0, 101, 0);
    let span = quoted.span("closed").ends_by("end_of_flow_detected").error("host_unreachable").events(&[
        (0, "tcp.syn"),
        (MS, "icmp.error"),
        (2 * MS, "tcp.rst"),
    ]);
    Tape::of([&quoted, &error]).replayed(&[]).gives([span, told]);
}

#[test]
fn an_error_alone_is_a_flow() {
    let mut quoted = Talk::udp();
    quoted.datagram(0, Way::Up, 100);
    let (error, told) = error_about(&quoted, quoted.ip_packet(0), MS, HOST_UNREACHABLE);
    gives(&error, told);
}
