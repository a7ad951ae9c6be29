//! Tunnels in tunnels, and tenants that share addresses.

use super::build::flag::ACK;
use super::build::{End, Ip, ethernet, gre_with_key, gtp, icmp_error, labelled, tagged, udp, vxlan};
use super::expected::{Expected, Flow};
use super::talk::{ICMP, MS, Talk, UDP, Way, client, server};
use super::tape::{Tape, gives};

fn end(address: &str) -> End {
    End::new(address, 0, 0xe0)
}

/// An IP packet between the ends of tunnel `n`.
fn outer(n: u8, v6: bool, way: Way, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let side = |side| if v6 { format!("2001:db8:ffff::{n}:{side}") } else { format!("172.16.{n}.{side}") };
    let [a, b] = [1, 2].map(side);
    let (from, to) = if way == Way::Up { (end(&a), end(&b)) } else { (end(&b), end(&a)) };
    Ip::new(from, to, protocol).packet(payload)
}

/// VXLAN around GRE in IPv4, around GTP in IPv6, around IP in IP.
fn four_deep(packet: &[u8], way: Way) -> Vec<u8> {
    let ipip = outer(4, false, way, 4, packet);
    let gtp = outer(3, true, way, UDP, &udp(2_152, 2_152, &gtp(9, &ipip)));
    let gre = outer(2, false, way, 47, &gre_with_key(7, &gtp));
    outer(1, false, way, UDP, &udp(51_001, 4_789, &vxlan(5, &ethernet(end("1.1.1.1"), end("1.1.1.2"), &gre))))
}

/// What is said of the outermost tunnel of [`four_deep`].
fn in_vxlan(span: Expected) -> Expected {
    span.set("tunnel.type", "vxlan")
        .set("tunnel.source.address", "172.16.1.1")
        .set("tunnel.source.port", 51_001)
        .set("tunnel.destination.address", "172.16.1.2")
        .set("tunnel.destination.port", 4_789)
        .set("tunnel.network.transport", "udp")
        .set("tunnel.network.type", "ipv4")
        .set("tunnel.id", "5")
}

#[test]
fn four_tunnels_deep_the_flow_is_the_innermost_and_the_tunnel_the_outermost() {
    let mut talk = Talk::udp().wrapped(|packet, way| ethernet(client(), server(), &four_deep(packet, way)));
    // Those of the innermost header; all others have 64 and 0.
    (talk.header.ttl, talk.header.class) = (17, 46 << 2);
    talk.datagram(0, Way::Up, 100);
    talk.datagram(MS, Way::Down, 50);
    gives(&talk, in_vxlan(talk.span("")).set("flow.ip.dscp.name", "ef"));
}

#[test]
fn tags_and_labels_on_the_way_are_no_depth() {
    let mut talk = Talk::udp().wrapped(|packet, way| {
        let frame = ethernet(client(), server(), &four_deep(packet, way));
        tagged(&tagged(&labelled(&frame, &[16, 17, 18]), 0x8100, 6), 0x88a8, 5)
    });
    talk.datagram(0, Way::Up, 100);
    gives(&talk, in_vxlan(talk.span("")));
}

#[test]
fn five_tunnels_deep_the_flow_is_the_last_that_is_followed() {
    // GRE around the four others: the flow is that of the fifth tunnel's outer header, IP in IP.
    let mut inside = Talk::udp().wrapped(|packet, way| {
        let packet = outer(0, true, way, 47, &gre_with_key(0, &four_deep(packet, way)));
        ethernet(client(), server(), &packet)
    });
    inside.datagram(0, Way::Up, 100);
    inside.datagram(MS, Way::Down, 50);
    let ends = ["172.16.4.1", "172.16.4.2"].map(end);
    let mut told = Talk::new(End { mac: client().mac, ..ends[0] }, ends[1], 4);
    told.packet(0, Way::Up, &[0; 20 + 20 + 8 + 100], 0);
    told.packet(MS, Way::Down, &[0; 20 + 20 + 8 + 50], 0);
    let span = told
        .span("")
        .set("tunnel.type", "gre")
        .set("tunnel.source.address", "2001:db8:ffff::1")
        .set("tunnel.destination.address", "2001:db8:ffff::2")
        .set("tunnel.network.transport", "gre")
        .set("tunnel.network.type", "ipv6")
        .set("tunnel.key", "0");
    gives(&inside, span);
}

/// A conversation in VXLAN `vni`, that of the same tenant addresses in each.
fn of_tenant(vni: u32, at: u64) -> Talk {
    let mut talk = Talk::udp().wrapped(move |packet, way| {
        let packet = vxlan(vni, &ethernet(client(), server(), packet));
        ethernet(client(), server(), &outer(1, false, way, UDP, &udp(51_001, 4_789, &packet)))
    });
    talk.datagram(at, Way::Up, 100);
    talk.datagram(at + MS, Way::Down, 50);
    talk
}

#[test]
fn tenants_with_the_same_addresses_are_two_flows_unless_the_setting_says_otherwise() {
    let tenants = [of_tenant(5, 0), of_tenant(6, 10 * MS)];
    let spans = [("5", &tenants[0]), ("6", &tenants[1])]
        .map(|(id, talk)| in_vxlan(talk.span("")).set("tunnel.id", id));
    Tape::of(&tenants).replayed(&[]).gives(spans);
    let mut one = of_tenant(5, 0);
    one.datagram(10 * MS, Way::Up, 100);
    one.datagram(11 * MS, Way::Down, 50);
    Tape::of(&tenants).replayed(&["--set", "flow.key_tunnel=false"]).gives([in_vxlan(one.span(""))]);
}

#[test]
fn the_same_addresses_in_no_tunnel_in_gre_and_under_two_keys_are_four_flows() {
    let keyed = |key: Option<u32>, at| {
        let mut talk = Talk::udp();
        if let Some(key) = key {
            talk = talk.wrapped(move |packet, way| {
                ethernet(client(), server(), &outer(1, false, way, 47, &gre_with_key(key, packet)))
            });
        }
        talk.datagram(at, Way::Up, 100);
        talk
    };
    let talks = [keyed(None, 0), keyed(Some(1), MS), keyed(Some(2), 2 * MS), of_tenant(1, 3 * MS)];
    let in_gre = |span: Expected, key: &str| {
        span.set("tunnel.type", "gre")
            .set("tunnel.source.address", "172.16.1.1")
            .set("tunnel.destination.address", "172.16.1.2")
            .set("tunnel.network.transport", "gre")
            .set("tunnel.network.type", "ipv4")
            .set("tunnel.key", key)
    };
    let spans = [
        talks[0].span(""),
        in_gre(talks[1].span(""), "1"),
        in_gre(talks[2].span(""), "2"),
        in_vxlan(talks[3].span("")).set("tunnel.id", "1"),
    ];
    Tape::of(&talks).replayed(&[]).gives(spans);
}

#[test]
fn an_error_in_a_tunnel_is_about_the_flow_of_its_tenant() {
    let tenants = [of_tenant(5, 0), of_tenant(6, 0)];
    let mut plain = Talk::udp();
    plain.datagram(0, Way::Up, 100);
    let router = End::new("10.9.0.1", 11, 0x99);
    let wrap = |packet: &[u8], way| {
        let packet = vxlan(6, &ethernet(client(), server(), packet));
        ethernet(client(), server(), &outer(1, false, way, UDP, &udp(51_001, 4_789, &packet)))
    };
    let mut error = Talk::new(router, client().on_port(0), ICMP).wrapped(wrap);
    error.send(2 * MS, Way::Up, &icmp_error(11, 0, plain.ip_packet(0)));
    let flow = Flow { source: error.source, destination: error.destination, protocol: ICMP };
    let told = in_vxlan(error.span(""))
        .one_way(flow)
        .set("network.interface.mac", client().mac_text())
        .set("tunnel.id", "6")
        .set("flow.icmp.type.id", 11)
        .set("flow.icmp.type.name", "time_exceeded")
        .set("flow.icmp.code.id", 0)
        .set("flow.icmp.code.name", "time_to_live_exceeded_in_transit");
    let failed = in_vxlan(tenants[1].span("")).set("tunnel.id", "6").error("ttl_exceeded");
    let spans = [in_vxlan(tenants[0].span("")), failed.events(&[(2 * MS, "icmp.error")]), told];
    Tape::of(tenants.iter().chain([&error])).replayed(&[]).gives(spans);
}

#[test]
fn a_connection_in_a_tunnel_is_measured_as_any_other() {
    let mut talk = Talk::tcp().wrapped(|packet, way| ethernet(client(), server(), &four_deep(packet, way)));
    talk.handshake();
    talk.up(50 * MS, ACK, 101, 501, 10);
    talk.down(90 * MS, ACK, 501, 111, 20);
    let span = in_vxlan(talk.span("established"))
        .handshake(30 * MS, 10 * MS)
        .time("svc", 10 * MS, None)
        .time("rndtrip", 50 * MS, None)
        .events(&[(0, "tcp.syn"), (30 * MS, "tcp.syn_ack"), (40 * MS, "tcp.established")]);
    gives(&talk, span);
}

#[test]
fn a_kind_that_is_switched_off_ends_the_way_inwards() {
    let mut inside = Talk::udp().wrapped(|packet, way| ethernet(client(), server(), &four_deep(packet, way)));
    inside.datagram(0, Way::Up, 100);
    let ends = ["172.16.2.1", "172.16.2.2"].map(end);
    let mut told = Talk::new(End { mac: client().mac, ..ends[0] }, ends[1], 47);
    // GRE with key, checksum and sequence number; GTP in UDP in IPv6; IP in IP; UDP.
    told.packet(0, Way::Up, &[0; 20 + 16 + 40 + 8 + 12 + 20 + 20 + 8 + 100], 0);
    Tape::of([&inside]).replayed(&["--set", "tunnel.off=gre"]).gives([in_vxlan(told.span(""))]);
}
