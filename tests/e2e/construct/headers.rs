//! Header fields of the first packet, octets that count, tags and labels below IP.

use super::build::flag::{ACK, CWR, ECE, FIN, PSH, RST, SYN, URG};
use super::build::{TCP_LEN, ethernet, in_session, labelled, tagged};
use super::expected::{Expected, turned};
use super::talk::{MS, S, Talk, UDP, Way, client, client_v6, server, server_v6};
use super::tape::{Tape, gives};

/// IANA "Differentiated Services Field Codepoints", pools 1 and 3.
const DSCP: [(u8, &str); 23] = [
    (0b00_0000, "cs0"),
    (0b00_1000, "cs1"),
    (0b01_0000, "cs2"),
    (0b01_1000, "cs3"),
    (0b10_0000, "cs4"),
    (0b10_1000, "cs5"),
    (0b11_0000, "cs6"),
    (0b11_1000, "cs7"),
    (0b00_1010, "af11"),
    (0b00_1100, "af12"),
    (0b00_1110, "af13"),
    (0b01_0010, "af21"),
    (0b01_0100, "af22"),
    (0b01_0110, "af23"),
    (0b01_1010, "af31"),
    (0b01_1100, "af32"),
    (0b01_1110, "af33"),
    (0b10_0010, "af41"),
    (0b10_0100, "af42"),
    (0b10_0110, "af43"),
    (0b10_1110, "ef"),
    (0b10_1100, "voice-admit"),
    (0b00_0001, "le"),
];
/// RFC 3168 §5.
const ECN: [&str; 4] = ["not-ect", "ect(1)", "ect(0)", "ce"];

#[test]
fn every_codepoint_has_its_number_and_where_it_has_one_its_name() {
    for (from, to) in [(client(), server()), (client_v6(), server_v6())] {
        let flows = (0..=u8::MAX).map(|class| {
            let mut talk = Talk::new(from.on_port(20_000 + u16::from(class)), to.on_port(53), UDP);
            talk.header.class = class;
            talk.datagram(u64::from(class) * MS, Way::Up, 10);
            // Later packets have other fields, of which nothing is said.
            talk.header.class = !class;
            talk.header.ttl = 3;
            talk.datagram(u64::from(class) * MS + 1, Way::Down, 10);
            talk
        });
        let flows: Vec<_> = flows.collect();
        let spans = flows.iter().zip(0..=u8::MAX).map(|(talk, class)| {
            let span = talk
                .span("")
                .set("flow.ip.ttl", 64)
                .set("flow.ip.dscp.id", u64::from(class >> 2))
                .set("flow.ip.ecn.id", u64::from(class & 3))
                .set("flow.ip.ecn.name", ECN[usize::from(class & 3)]);
            match DSCP.iter().find(|(codepoint, _)| *codepoint == class >> 2) {
                Some((_, name)) => span.set("flow.ip.dscp.name", *name),
                None => span.without("flow.ip.dscp.name"),
            }
        });
        Tape::of(&flows).replayed(&[]).gives(spans);
    }
}

#[test]
fn ttl_flow_label_and_mac_are_those_of_the_first_packet() {
    for first in [Way::Up, Way::Down] {
        let mut talk = Talk::new(client_v6(), server_v6(), UDP);
        (talk.header.ttl, talk.header.label) = (1, 0xa_bcde);
        talk.datagram(0, first, 10);
        (talk.header.ttl, talk.header.label) = (255, 0xf_ffff);
        talk.datagram(MS, first.turned(), 10);
        let mac = if first == Way::Up { "02:00:00:00:00:0a" } else { "02:00:00:00:00:0b" };
        let span = talk
            .span("")
            .set("flow.ip.ttl", 1)
            .set("flow.ip.flow_label", 0xa_bcde)
            .set("network.interface.mac", mac);
        // Heard from port 443 first, the flow's source is the server, and the client began it.
        let span = if first == Way::Up { span } else { turned(span) };
        let began = if first == Way::Up { "source" } else { "destination" };
        gives(&talk, span.set("flow.initiator", began));
    }
}

#[test]
fn all_flags_of_a_window_are_told_in_bit_order() {
    let mut talk = Talk::tcp();
    talk.up(0, SYN | ECE | CWR, 100, 0, 0);
    talk.down(MS, SYN | ACK | ECE, 500, 101, 0);
    talk.up(2 * MS, ACK, 101, 501, 0);
    talk.up(3 * MS, ACK | PSH | URG, 101, 501, 10);
    talk.down(4 * MS, ACK | FIN, 501, 111, 0);
    talk.down(5 * MS, RST, 502, 0, 0);
    let span = talk
        .span("closed")
        .ends_by("end_of_flow_detected")
        .handshake(MS, MS)
        .set("flow.tcp.flags.bits", 255)
        .error("connection_reset")
        .events(&[(0, "tcp.syn"), (MS, "tcp.syn_ack"), (2 * MS, "tcp.established")])
        .events(&[(4 * MS, "tcp.fin"), (5 * MS, "tcp.rst")]);
    gives(&talk, span);
}

/// The octets of a span whose packets each way have so many.
fn octets(span: Expected, up: u64, down: u64) -> Expected {
    let span = span.set("flow.bytes.total", up).set("flow.bytes.delta", up);
    span.set("flow.reverse.bytes.total", down).set("flow.reverse.bytes.delta", down)
}

#[test]
fn octets_are_those_of_ip_with_options_and_without_padding() {
    let ends = [(client(), server(), 20 + 4), (client_v6(), server_v6(), 40 + 8)];
    for (from, to, header) in ends {
        let mut talk = Talk::new(from, to.on_port(53), UDP).wrapped(move |packet, way| {
            let (from, to) = if way == Way::Up { (from, to) } else { (to, from) };
            let mut frame = ethernet(from, to, packet);
            frame.resize(frame.len().max(60) + 6, 0);
            frame
        });
        talk.header.options = true;
        talk.datagram(0, Way::Up, 1);
        talk.datagram(MS, Way::Down, 700);
        talk.datagram(2 * MS, Way::Up, 2);
        let span = octets(talk.span(""), 2 * (header + 8) + 3, header + 8 + 700);
        gives(&talk, span);
    }
}

#[test]
fn a_capture_cut_short_counts_what_was_on_the_wire() {
    let mut talk = Talk::tcp();
    talk.handshake();
    talk.up(50 * MS, ACK, 101, 501, 1_400);
    talk.up(51 * MS, ACK, 1_501, 501, 1_400);
    let header = 20 + TCP_LEN;
    let span = octets(talk.span("established"), 4 * header + 2 * 1_400, header)
        .handshake(30 * MS, 10 * MS)
        .events(&[(0, "tcp.syn"), (30 * MS, "tcp.syn_ack"), (40 * MS, "tcp.established")]);
    for snaplen in [14 + 20 + 32, 68, 96, 1_000] {
        Tape::of([&talk]).cut_to(snaplen).replayed(&[]).gives([span.clone()]);
    }
}

#[test]
fn whole_frames_count_where_the_setting_says_so() {
    let mut talk = Talk::udp();
    talk.datagram(0, Way::Up, 100);
    talk.datagram(MS, Way::Down, 50);
    let span = octets(talk.span(""), 14 + 20 + 8 + 100, 14 + 20 + 8 + 50);
    for snaplen in [60, 1_000] {
        let tape = Tape::of([&talk]).cut_to(snaplen);
        tape.replayed(&["--set", "flow.bytes=frame"]).gives([span.clone()]);
    }
}

/// A conversation over UDP whose frames are in `vlans`, the outer one first.
fn in_vlans(vlans: &'static [u16], at: u64) -> Talk {
    let mut talk = Talk::udp().wrapped(move |packet, way| {
        let (from, to) = if way == Way::Up { (client(), server()) } else { (server(), client()) };
        let frame = ethernet(from, to, packet);
        let tags = vlans.iter().rev().enumerate();
        tags.fold(frame, |frame, (place, vlan)| {
            // Priorities are no part of the id.
            tagged(&frame, if place == 0 { 0x8100 } else { 0x88a8 }, *vlan | 0x6000)
        })
    });
    talk.datagram(at, Way::Up, 100);
    talk.datagram(at + MS, Way::Down, 50);
    talk
}

#[test]
fn the_same_addresses_in_two_vlans_are_two_flows_unless_the_setting_says_otherwise() {
    let ids: [&[u16]; 5] = [&[], &[7], &[8], &[7, 8], &[8, 7]];
    let talks: Vec<_> = ids.iter().zip(0..).map(|(vlans, n)| in_vlans(vlans, n * 10 * MS)).collect();
    Tape::of(&talks).replayed(&[]).gives(talks.iter().map(|talk| talk.span("")));
    let mut one = Talk::udp();
    for n in 0..5 {
        one.datagram(n * 10 * MS, Way::Up, 100);
        one.datagram(n * 10 * MS + MS, Way::Down, 50);
    }
    Tape::of(&talks).replayed(&["--set", "flow.key_vlan=false"]).gives([one.span("")]);
}

#[test]
fn labels_and_sessions_below_ip_are_stepped_over_and_are_no_tunnel() {
    type Below = fn(&[u8]) -> Vec<u8>;
    let below: [Below; 6] = [
        |frame| labelled(frame, &[16]),
        |frame| labelled(frame, &[1_000_000, 17, 16]),
        |frame| in_session(frame, 7),
        |frame| tagged(&labelled(frame, &[16]), 0x8100, 5),
        |frame| tagged(&in_session(frame, 7), 0x8100, 5),
        |frame| tagged(&tagged(&tagged(&tagged(frame, 0x8100, 4), 0x8100, 3), 0x88a8, 2), 0x88a8, 1),
    ];
    for (from, to) in [(client(), server()), (client_v6(), server_v6())] {
        for below in below {
            let mut talk = Talk::new(from, to.on_port(53), UDP).wrapped(move |packet, way| {
                let (from, to) = if way == Way::Up { (from, to) } else { (to, from) };
                below(&ethernet(from, to, packet))
            });
            talk.datagram(0, Way::Up, 100);
            talk.datagram(MS, Way::Down, 50);
            talk.datagram(S, Way::Up, 100);
            gives(&talk, talk.span(""));
        }
    }
}

#[test]
fn a_tag_that_gives_a_priority_alone_is_no_vlan() {
    let mut one = Talk::udp();
    one.datagram(0, Way::Up, 100);
    let other = in_vlans(&[0], 10 * MS);
    let mut both = Talk::udp();
    both.datagram(0, Way::Up, 100);
    both.datagram(10 * MS, Way::Up, 100);
    both.datagram(11 * MS, Way::Down, 50);
    Tape::of([&one, &other]).replayed(&[]).gives([both.span("")]);
}
