//! Tunnels: each kind by itself with all that is said of it, switched off, on other ports, turned with its flow, cut short.

use super::build::flag::{ACK, SYN};
use super::build::{
    End, Ip, ah, erspan_i, erspan_ii, erspan_iii, esp, ethernet, frame, geneve, gre, gre_with_key, gtp,
    nvgre, udp, vxlan, wireguard,
};
use super::expected::Expected;
use super::talk::{MS, TCP, Talk, UDP, Way, client, client_v6, server, server_v6};
use super::tape::{Tape, gives};

/// What is around an inner packet, or around an Ethernet frame with one.
type Header = fn(&[u8]) -> Vec<u8>;

/// A tunnel between two outer ends; each side sends from a port of its own to the one of the tunnel, or there are none.
#[derive(Clone, Copy)]
struct Tunnel {
    kind: &'static str,
    v6: bool,
    protocol: u8,
    transport: &'static str,
    port: Option<u16>,
    /// Whether an Ethernet frame is inside.
    frame: bool,
    header: Header,
    numbers: &'static [(&'static str, &'static str)],
}

const V4: Tunnel = Tunnel {
    kind: "",
    v6: false,
    protocol: 47,
    transport: "gre",
    port: None,
    frame: false,
    header: gre,
    numbers: &[],
};
const IN_UDP: Tunnel = Tunnel { protocol: UDP, transport: "udp", ..V4 };

fn kinds() -> Vec<Tunnel> {
    vec![
        Tunnel {
            kind: "vxlan",
            port: Some(4_789),
            frame: true,
            header: |frame| vxlan(0xff_fffe, frame),
            numbers: &[("tunnel.id", "16777214")],
            ..IN_UDP
        },
        Tunnel {
            kind: "geneve",
            port: Some(6_081),
            frame: true,
            header: |frame| geneve(70_000, frame),
            numbers: &[("tunnel.id", "70000")],
            ..IN_UDP
        },
        Tunnel {
            kind: "gtp",
            port: Some(2_152),
            header: |packet| gtp(0xffff_fffe, packet),
            numbers: &[("tunnel.id", "4294967294")],
            ..IN_UDP
        },
        Tunnel { kind: "gre", ..V4 },
        Tunnel {
            kind: "gre",
            header: |packet| gre_with_key(0x8000_0001, packet),
            numbers: &[("tunnel.key", "2147483649")],
            ..V4
        },
        Tunnel {
            kind: "gre",
            frame: true,
            header: |frame| nvgre(0x01_0203, 4, frame),
            numbers: &[("tunnel.key", "16909060"), ("tunnel.id", "66051")],
            ..V4
        },
        Tunnel { kind: "erspan", frame: true, header: erspan_i, ..V4 },
        Tunnel {
            kind: "erspan",
            frame: true,
            header: |frame| erspan_ii(1_023, frame),
            numbers: &[("tunnel.id", "1023")],
            ..V4
        },
        Tunnel {
            kind: "erspan",
            frame: true,
            header: |frame| erspan_iii(513, frame),
            numbers: &[("tunnel.id", "513")],
            ..V4
        },
        Tunnel {
            kind: "ah",
            protocol: 51,
            transport: "ah",
            header: |packet| ah(0xdead_beef, if packet[0] >> 4 == 4 { 4 } else { 41 }, packet),
            numbers: &[("tunnel.spi", "0xdeadbeef")],
            ..V4
        },
    ]
}

fn outer_ends(v6: bool) -> [End; 2] {
    let [a, b] = if v6 { ["2001:db8:f::1", "2001:db8:f::2"] } else { ["172.16.0.1", "172.16.0.2"] };
    [End::new(a, 51_001, 0xf1), End::new(b, 51_002, 0xf2)]
}

impl Tunnel {
    /// The frame of an inner packet that travels `way`.
    fn around(self, inner: &[u8], way: Way) -> Vec<u8> {
        let [near, far] = outer_ends(self.v6);
        let (from, to) = if way == Way::Up { (near, far) } else { (far, near) };
        let inner = if self.frame { ethernet(client(), server(), inner) } else { inner.to_vec() };
        let payload = (self.header)(&inner);
        let payload = match self.port {
            Some(port) => udp(from.port, port, &payload),
            None => payload,
        };
        ethernet(from, to, &Ip::new(from, to, self.protocol).packet(&payload))
    }

    fn talk(self, inner: Talk) -> Talk {
        inner.wrapped(move |packet, way| self.around(packet, way))
    }

    /// What is said of it where the first packet goes `way`.
    fn told(self, span: Expected, way: Way) -> Expected {
        let [near, far] = outer_ends(self.v6);
        let mut span = span
            .set("tunnel.type", self.kind)
            .set("tunnel.source.address", near.address.to_string())
            .set("tunnel.destination.address", far.address.to_string())
            .set("tunnel.network.transport", self.transport)
            .set("tunnel.network.type", if self.v6 { "ipv6" } else { "ipv4" })
            .set("network.interface.mac", if way == Way::Up { near } else { far }.mac_text());
        if let Some(port) = self.port {
            let ports = if way == Way::Up { [near.port, port] } else { [port, far.port] };
            span = span.set("tunnel.source.port", u64::from(ports[0]));
            span = span.set("tunnel.destination.port", u64::from(ports[1]));
        }
        self.numbers.iter().fold(span, |span, (key, text)| span.set(key, *text))
    }
}

fn inner(v6: bool) -> Talk {
    let (from, to) = if v6 { (client_v6(), server_v6()) } else { (client(), server()) };
    Talk::new(from, to.on_port(53), UDP)
}

#[test]
fn each_kind_is_entered_and_told_over_either_version_around_either_version() {
    for kind in kinds() {
        for (outer_v6, inner_v6) in [(false, false), (false, true), (true, false), (true, true)] {
            let tunnel = Tunnel { v6: outer_v6, ..kind };
            let mut talk = tunnel.talk(inner(inner_v6));
            talk.datagram(0, Way::Up, 100);
            talk.datagram(MS, Way::Down, 50);
            gives(&talk, tunnel.told(talk.span(""), Way::Up));
        }
    }
}

#[test]
fn ip_in_ip_is_one_kind_in_all_four_forms() {
    for (outer_v6, inner_v6) in [(false, false), (false, true), (true, false), (true, true)] {
        // The protocol says what is inside: 4, as the registry has it, `ipv4`, and 41 `ipv6`.
        let (protocol, transport) = if inner_v6 { (41, "ipv6") } else { (4, "ipv4") };
        let header: Header = <[u8]>::to_vec;
        let tunnel = Tunnel { kind: "ipip", v6: outer_v6, protocol, transport, header, ..V4 };
        let mut talk = tunnel.talk(inner(inner_v6));
        talk.datagram(0, Way::Up, 100);
        talk.datagram(MS, Way::Down, 50);
        gives(&talk, tunnel.told(talk.span(""), Way::Up));
    }
}

#[test]
fn outer_ends_turn_with_a_flow_that_begins_with_its_answer() {
    for kind in kinds() {
        let mut talk = kind.talk(Talk::new(client(), server(), TCP));
        talk.down(0, SYN | ACK, 500, 101, 0);
        talk.up(10 * MS, ACK, 101, 501, 0);
        let span = talk
            .span("established")
            .time("handshake.cnd", 10 * MS, None)
            .events(&[(0, "tcp.syn_ack"), (10 * MS, "tcp.established")]);
        gives(&talk, kind.told(span, Way::Down));
    }
}

#[test]
fn without_the_setting_nothing_is_said_of_tunnels() {
    let tunnel = kinds()[0];
    let mut talk = tunnel.talk(inner(false));
    talk.datagram(0, Way::Up, 100);
    let span = talk.span("").set("network.interface.mac", outer_ends(false)[0].mac_text());
    Tape::of([&talk]).replayed(&["--set", "span.include="]).gives([span]);
}

#[test]
fn an_authenticated_packet_is_a_flow_of_what_is_behind_its_header() {
    for (from, to) in [(client(), server()), (client_v6(), server_v6())] {
        let to = to.on_port(53);
        let mut talk = Talk::new(from, to, UDP);
        for (at, way, ends) in [(0, Way::Up, [from, to]), (MS, Way::Down, [to, from])] {
            let upper = ah(0x0000_beef, UDP, &udp(ends[0].port, ends[1].port, &[7; 90]));
            let packet = Ip::new(ends[0], ends[1], 51).packet(&upper);
            talk.packet(at, way, &packet, 0);
        }
        let span = talk
            .span("")
            .set("tunnel.type", "ah")
            .set("tunnel.source.address", from.address.to_string())
            .set("tunnel.destination.address", to.address.to_string())
            .set("tunnel.network.transport", "ah")
            .set("tunnel.network.type", if from.is_v4() { "ipv4" } else { "ipv6" })
            .set("tunnel.spi", "0x0000beef");
        gives(&talk, span);
    }
}

#[test]
fn what_is_encrypted_is_described_and_not_entered() {
    let ends = outer_ends(false).map(|end| end.on_port(0));
    let mut talk = Talk::new(ends[0], ends[1], 50);
    talk.send(0, Way::Up, &esp(0x0000_00ff, 120));
    talk.send(MS, Way::Down, &esp(0x1234_5678, 80));
    let described = |span: Expected, kind: &str, transport: &str, ends: [End; 2]| {
        span.set("tunnel.type", kind)
            .set("tunnel.source.address", ends[0].address.to_string())
            .set("tunnel.destination.address", ends[1].address.to_string())
            .set("tunnel.network.transport", transport)
            .set("tunnel.network.type", "ipv4")
    };
    gives(&talk, described(talk.span(""), "esp", "esp", ends).set("tunnel.spi", "0x000000ff"));
    let ends = outer_ends(false).map(|end| end.on_port(51_820));
    let with_ports = |span: Expected| {
        let span = described(span, "wireguard", "udp", ends);
        span.set("tunnel.source.port", 51_820).set("tunnel.destination.port", 51_820)
    };
    let mut begin = Talk::new(ends[0], ends[1], UDP);
    begin.send(0, Way::Up, &udp(51_820, 51_820, &wireguard(1, &[0xffff_fff0])));
    gives(&begin, with_ports(begin.span("")).set("tunnel.sender_index", 0xffff_fff0));
    let mut data = Talk::new(ends[0], ends[1], UDP);
    data.send(0, Way::Up, &udp(51_820, 51_820, &wireguard(4, &[0x0102_0304])));
    gives(&data, with_ports(data.span("")).set("tunnel.receiver_index", 0x0102_0304));
}

#[test]
fn a_tunnel_that_is_switched_off_is_a_flow_of_its_outer_headers() {
    for kind in kinds() {
        let mut inside = kind.talk(inner(false));
        inside.datagram(0, Way::Up, 100);
        let [near, far] = outer_ends(false);
        let ports = kind.port.map_or((0, 0), |port| (near.port, port));
        let mut outside = Talk::new(near.on_port(ports.0), far.on_port(ports.1), kind.protocol);
        outside.packet(0, Way::Up, inside.ip_packet(0), 0);
        let off = format!("tunnel.off={}", kind.kind);
        Tape::of([&inside]).replayed(&["--set", &off]).gives([outside.span("")]);
    }
}

#[test]
fn tunnels_over_udp_are_known_by_the_ports_that_are_set() {
    let cases =
        [(0, "vxlan_ports=8472,4789", 8_472), (1, "geneve_ports=7000", 7_000), (2, "gtp_ports=7001", 7_001)];
    for (place, setting, port) in cases {
        let tunnel = Tunnel { port: Some(port), ..kinds()[place] };
        let mut talk = tunnel.talk(inner(false));
        talk.datagram(0, Way::Up, 100);
        let setting = format!("tunnel.{setting}");
        let span = tunnel.told(talk.span(""), Way::Up);
        Tape::of([&talk]).replayed(&["--set", &setting]).gives([span]);
        // Without it, it is a flow over UDP as any other.
        let [near, far] = outer_ends(false);
        let mut outside = Talk::new(near, far.on_port(port), UDP);
        outside.packet(0, Way::Up, talk.ip_packet(0), 0);
        let began = if port < 32_768 { "source" } else { "destination" };
        gives(&talk, outside.span("").set("flow.initiator", began));
    }
}

#[test]
fn a_tunnel_without_a_packet_that_can_be_read_is_a_flow_of_its_outer_headers_and_told() {
    let tunnel = kinds()[0];
    let [near, far] = outer_ends(false);
    let outside = |packet: &[u8]| {
        let mut talk = Talk::new(near, far.on_port(4_789), UDP);
        talk.packet(0, Way::Up, packet, 0);
        talk
    };
    // ARP in VXLAN.
    let arp = frame(client(), server(), 0x0806, &[0; 28]);
    let packet = Ip::new(near, far, UDP).packet(&udp(near.port, 4_789, &vxlan(0xff_fffe, &arp)));
    let talk = outside(&packet);
    gives(&talk, tunnel.told(talk.span(""), Way::Up));
    // The capture ends in the inner IP header.
    let mut inside = tunnel.talk(inner(false));
    inside.datagram(0, Way::Up, 100);
    let talk = outside(inside.ip_packet(0));
    let tape = Tape::of([&inside]).cut_to(14 + 20 + 8 + 8 + 14 + 19);
    tape.replayed(&[]).gives([tunnel.told(talk.span(""), Way::Up)]);
}
