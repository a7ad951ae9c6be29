//! Tunnels, fragments and ICMP errors in whole frames: which flow the packet is in, and what is told beside it.

mod wire_support;

use dataplane::wire::{
    self, Beside, Fragment, LinkType, ParseOptions, Parsed, PortList, Reason, TunnelOptions,
};
use flowtable::{
    Direction, Endpoint, Family, Nanos, NetworkError, Packet, PortId, Tunnel, TunnelKind, protocol,
};
use wire_support::{Ends, WRAPS, Wrap, frame};

const OUTER: Ends = Ends { from: 0x0a00_0001, to: 0x0a00_0002, v6: false };
const INNER: Ends = Ends { from: 0xc0a8_0009, to: 0xc0a8_0001, v6: false };
/// Ports 40,000 to 53 and one octet.
const UDP: [u8; 9] = [0x9c, 0x40, 0, 53, 0, 9, 0, 0, 7];

fn parse_with(frame: &[u8], options: &ParseOptions) -> Result<(Parsed, Beside), Reason> {
    let wire_len = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    let mut beside = left_over();
    let parsed = wire::parse(LinkType::Ethernet, frame, wire_len, Nanos(5), PortId(3), options, &mut beside)?;
    assert_eq!(parsed.packet.tunnel, 0, "the place in a burst is not the parser's");
    if !parsed.beside {
        return Ok((parsed, Beside::default()));
    }
    assert_ne!(beside, Beside::default());
    Ok((parsed, beside))
}

/// What an earlier packet has left.
fn left_over() -> Beside {
    let part = wire_parse_of(&frame(&INNER.fragment(17, 8, true, &UDP)));
    let error = wire_parse_of(&frame(&WRAPS[0].around(OUTER, &icmp_error(3, 3, &INNER.packet(17, &UDP)))));
    Beside { fragment: part.fragment, ..error }
}

fn wire_parse_of(frame: &[u8]) -> Beside {
    let mut beside = Beside::default();
    let options = ParseOptions::default();
    let parsed = wire::parse(LinkType::Ethernet, frame, 0, Nanos(5), PortId(3), &options, &mut beside);
    assert!(parsed.is_ok_and(|parsed| parsed.beside));
    beside
}

fn parse(frame: &[u8]) -> (Parsed, Beside) {
    parse_with(frame, &ParseOptions::default()).expect("a packet of a flow")
}

fn tunnel(packet: &[u8]) -> Option<Tunnel> {
    parse(&frame(packet)).1.tunnel
}

fn ends(packet: &Packet) -> (Endpoint, Endpoint) {
    (packet.key.sender(packet.direction), packet.key.sender(packet.direction.flipped()))
}

fn endpoint(address: u32, port: u16) -> Endpoint {
    Endpoint { address: u128::from(address), port }
}

/// [`UDP`] with 33 octets.
fn long_datagram() -> Vec<u8> {
    let mut datagram = UDP.to_vec();
    datagram[5] = 41;
    datagram.resize(41, 7);
    datagram
}

fn icmp_error(kind: u8, code: u8, quoted: &[u8]) -> Vec<u8> {
    INNER.packet(1, &[&[kind, code, 0, 0, 0, 0, 0, 0], quoted].concat())
}

fn wrap(name: &str) -> &'static Wrap {
    WRAPS.iter().find(|wrap| wrap.name == name).expect("a tunnel of this name")
}

#[test]
fn every_tunnel_leads_to_the_inner_packet_and_is_told_beside_it() {
    for wrap in &WRAPS {
        for (outer_v6, inner_v6) in [(false, false), (false, true), (true, false), (true, true)] {
            let inner = Ends { v6: inner_v6, ..INNER }.packet(17, &UDP);
            let (parsed, beside) = parse(&frame(&wrap.around(Ends { v6: outer_v6, ..OUTER }, &inner)));
            let packet = parsed.packet;
            assert_eq!(parsed.anomaly, None, "{}", wrap.name);
            assert_eq!((ends(&packet).0.port, ends(&packet).1.port), (40_000, 53), "{}", wrap.name);
            assert_eq!(packet.key.family == Family::V6, inner_v6, "{}", wrap.name);
            assert_eq!(usize::try_from(packet.bytes), Ok(inner.len()), "{}", wrap.name);
            assert_eq!(packet.key.vlans, 0, "{}", wrap.name);
            let tunnel = beside.tunnel.expect("a tunnel");
            assert_eq!((tunnel.kind, tunnel.id), (wrap.kind, wrap.id), "{}", wrap.name);
            assert_eq!(tunnel.family == Family::V6, outer_v6, "{}", wrap.name);
            assert_eq!(packet.key.tunnel, tunnel.key_word(), "{}", wrap.name);
            assert_eq!((beside.fragment, beside.quote), (None, None), "{}", wrap.name);
        }
    }
}

#[test]
fn outermost_tunnel_is_told_in_full() {
    let vxlan = wrap("VXLAN").around(OUTER, &wrap("IP in IP").around(INNER, &INNER.packet(17, &UDP)));
    let expected = Tunnel {
        kind: TunnelKind::Vxlan,
        family: Family::V4,
        protocol: protocol::UDP,
        source: endpoint(OUTER.from, 50_000),
        destination: endpoint(OUTER.to, 4789),
        id: Some(42),
        key: None,
        spi: None,
        sender_index: None,
        receiver_index: None,
    };
    assert_eq!(tunnel(&vxlan), Some(expected));
    let gre = tunnel(&wrap("GRE with all fields").around(OUTER, &INNER.packet(17, &UDP)));
    let expected = Tunnel {
        kind: TunnelKind::Gre,
        protocol: 47,
        source: endpoint(OUTER.from, 0),
        destination: endpoint(OUTER.to, 0),
        id: None,
        key: Some(0x0707_0707),
        ..expected
    };
    assert_eq!(gre, Some(expected));
    let ah = tunnel(&wrap("AH").around(OUTER, &INNER.packet(17, &UDP)));
    assert_eq!(ah, Some(Tunnel { kind: TunnelKind::Ah, protocol: 51, key: None, spi: Some(9), ..expected }));
}

#[test]
fn header_authenticated_alone_is_a_flow_of_its_own_ip_header() {
    let transport = [&[17, 1, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1][..], &UDP].concat();
    for v6 in [false, true] {
        let ends = Ends { v6, ..OUTER };
        let (parsed, beside) = parse(&frame(&ends.packet(51, &transport)));
        assert_eq!((parsed.packet.key.protocol, parsed.packet.key.hi_port), (17, 53));
        assert_eq!(parsed.packet.key.tunnel, 7 << 32);
        assert_eq!(beside.tunnel.map(|tunnel| (tunnel.protocol, tunnel.spi)), Some((51, Some(9))));
    }
    let chain = [&[60, 1, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, 17, 0, 1, 4, 0, 0, 0, 0][..], &UDP].concat();
    let (parsed, _) = parse(&frame(&Ends { v6: true, ..OUTER }.packet(51, &chain)));
    assert_eq!((parsed.packet.key.protocol, parsed.packet.key.hi_port), (17, 53));
}

#[test]
fn opaque_tunnels_are_told_and_not_entered() {
    let (parsed, beside) = parse(&frame(&OUTER.packet(50, &[0, 0, 1, 2, 0, 0, 0, 1, 9, 9])));
    assert_eq!((parsed.packet.key.protocol, parsed.packet.key.tunnel), (50, 0));
    assert_eq!(beside.tunnel.map(|tunnel| (tunnel.kind, tunnel.spi)), Some((TunnelKind::Esp, Some(0x102))));

    let mut wireguard = [0; 40];
    wireguard[..16].copy_from_slice(&[0xca, 0x6c, 0x9c, 0x40, 0, 40, 0, 0, 4, 0, 0, 0, 1, 2, 3, 4]);
    let (parsed, beside) = parse(&frame(&OUTER.packet(17, &wireguard)));
    assert_eq!(ends(&parsed.packet), (endpoint(OUTER.from, 51_820), endpoint(OUTER.to, 40_000)));
    let told = beside.tunnel.map(|tunnel| (tunnel.kind, tunnel.sender_index, tunnel.receiver_index));
    assert_eq!(told, Some((TunnelKind::Wireguard, None, Some(0x0403_0201))));
}

#[test]
fn nesting_is_followed_to_depth_four() {
    let nested = |depth: u32| {
        (0..depth).fold(INNER.packet(17, &UDP), |packet, level| {
            wrap("VXLAN").around(Ends { from: level + 1, ..OUTER }, &packet)
        })
    };
    let (deepest, beside) = parse(&frame(&nested(4)));
    assert_eq!(ends(&deepest.packet).0, endpoint(INNER.from, 40_000));
    assert_eq!(beside.tunnel.map(|tunnel| tunnel.source), Some(endpoint(4, 50_000)));
    let (deeper, beside) = parse(&frame(&nested(5)));
    assert_eq!(ends(&deeper.packet), (endpoint(1, 50_000), endpoint(OUTER.to, 4789)));
    assert_eq!(beside.tunnel.map(|tunnel| tunnel.source), Some(endpoint(5, 50_000)));
    assert_eq!(deeper.packet.key.tunnel, deepest.packet.key.tunnel);
}

#[test]
fn what_cannot_be_entered_is_a_flow_of_the_outer_headers_in_no_tunnel() {
    let arp = [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x06][..], &[0; 28]].concat();
    let datagram = |header: &[u8], payload: &[u8]| {
        let length = u16::try_from(8 + header.len() + payload.len()).unwrap_or(0).to_be_bytes();
        OUTER.packet(17, &[&[0xc3, 0x50, 0x12, 0xb5, length[0], length[1], 0, 0], header, payload].concat())
    };
    let (parsed, beside) = parse(&frame(&datagram(&[8, 0, 0, 0, 0, 0, 42, 0], &arp)));
    assert_eq!(ends(&parsed.packet), (endpoint(OUTER.from, 50_000), endpoint(OUTER.to, 4789)));
    assert_eq!((parsed.packet.key.tunnel, parsed.anomaly), (0, None));
    assert_eq!(beside.tunnel.and_then(|tunnel| tunnel.id), Some(42));

    let (parsed, beside) = parse(&frame(&datagram(&[0, 0, 0, 0, 0, 0, 42, 0], &arp)));
    assert_eq!(ends(&parsed.packet).1, endpoint(OUTER.to, 4789));
    assert_eq!(beside, Beside::default());

    let nested = wrap("Geneve with options").around(OUTER, &datagram(&[8, 0, 0, 0, 0, 0, 42, 0], &arp));
    let (parsed, beside) = parse(&frame(&nested));
    assert_eq!(ends(&parsed.packet).1, endpoint(OUTER.to, 4789));
    assert_eq!(parsed.packet.key.tunnel, beside.tunnel.map_or(0, |tunnel| tunnel.key_word()));
    assert_eq!(beside.tunnel.map(|tunnel| tunnel.kind), Some(TunnelKind::Geneve));
}

#[test]
fn every_kind_can_be_switched_off_and_its_ports_changed() {
    let inner = INNER.packet(17, &UDP);
    for wrap in &WRAPS {
        let packet = frame(&wrap.around(OUTER, &inner));
        let all = TunnelOptions::default();
        let tunnels = TunnelOptions { kinds: all.kinds & !(1 << wrap.kind as u8), ..all };
        let options = ParseOptions { tunnels, ..ParseOptions::default() };
        let (parsed, beside) = parse_with(&packet, &options).expect("a packet of a flow");
        assert_eq!(ends(&parsed.packet).0.address, u128::from(OUTER.from), "{}", wrap.name);
        assert_eq!(beside, Beside::default(), "{}", wrap.name);
        let options = ParseOptions { key_tunnel: false, ..ParseOptions::default() };
        let (parsed, beside) = parse_with(&packet, &options).expect("a packet of a flow");
        assert_eq!((parsed.packet.key.tunnel, beside.tunnel.is_some()), (0, true), "{}", wrap.name);
    }
    let elsewhere = PortList([1, 2, 3, 8472]);
    let tunnels = TunnelOptions { vxlan_ports: elsewhere, ..TunnelOptions::default() };
    let options = ParseOptions { tunnels, ..ParseOptions::default() };
    let mut packet = frame(&wrap("VXLAN").around(OUTER, &inner));
    assert_eq!(parse_with(&packet, &options).map(|(_, beside)| beside.tunnel), Ok(None));
    packet[36..38].copy_from_slice(&8472_u16.to_be_bytes());
    assert!(parse_with(&packet, &options).is_ok_and(|(_, beside)| beside.tunnel.is_some()));
}

#[test]
fn tags_of_the_outer_frame_keep_flows_apart_and_those_inside_do_not() {
    let packet = wrap("tagged in VXLAN").around(OUTER, &INNER.packet(17, &UDP));
    let mut outer = frame(&packet);
    outer.splice(12..12, [0x81, 0, 0, 7]);
    let (parsed, _) = parse(&outer);
    assert_eq!(parsed.packet.key.vlans, 7 << 12);
    assert_eq!(parsed.packet.first.source_mac, Some([2, 0, 0, 0, 0, 2]));
    assert_eq!(parsed.packet.first.ttl, 60);
}

#[test]
fn mpls_and_pppoe_are_stepped_over() {
    let packet = INNER.packet(17, &UDP);
    let ethernet = |ethertype: [u8; 2], rest: &[&[u8]]| {
        [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], &ethertype, &rest.concat()].concat()
    };
    let flow = |frame: &[u8]| ends(&parse(frame).0.packet).1;
    let label: &[u8] = &[0, 1, 0x01, 64];
    assert_eq!(flow(&ethernet([0x88, 0x47], &[label, &packet])), endpoint(INNER.to, 53));
    assert_eq!(flow(&ethernet([0x88, 0x48], &[label, &[0; 4], &frame(&packet)])), endpoint(INNER.to, 53));
    let session: &[u8] = &[0x11, 0, 0, 1, 0, 31, 0, 0x21];
    assert_eq!(flow(&ethernet([0x88, 0x64], &[session, &packet])), endpoint(INNER.to, 53));
    let (parsed, beside) = parse(&ethernet([0x88, 0x64], &[session, &packet, &[0; 9]]));
    assert_eq!((parsed.packet.bytes, parsed.anomaly, beside), (29, None, Beside::default()));
}

#[test]
fn parts_of_a_packet_are_told_with_its_flow() {
    for v6 in [false, true] {
        let ends = Ends { v6, ..OUTER };
        let (whole, beside) = parse(&frame(&ends.packet(17, &UDP)));
        assert_eq!(beside.fragment, None);
        let (first, beside) = parse(&frame(&ends.fragment(17, 0, true, &long_datagram()[..24])));
        let expected = Fragment {
            source: first.packet.key.sender(first.packet.direction).address,
            destination: first.packet.key.sender(first.packet.direction.flipped()).address,
            family: if v6 { Family::V6 } else { Family::V4 },
            protocol: 17,
            id: if v6 { 0x1_0007 } else { 7 },
            offset: 0,
            length: 24,
            more: true,
            flow: (whole.packet.key, whole.packet.direction),
        };
        assert_eq!((beside.fragment, first.anomaly), (Some(expected), None));
        let (later, beside) = parse(&frame(&ends.fragment(17, 24, false, &[7; 17])));
        let flow = (later.packet.key, later.packet.direction);
        let expected = Fragment { offset: 24, length: 17, more: false, flow, ..expected };
        assert_eq!((beside.fragment, later.anomaly), (Some(expected), None));
        assert_eq!((later.packet.key.lo_port, later.packet.key.hi_port), (0, 0));
        let (_, beside) = parse(&frame(&ends.fragment(17, 0, false, &UDP)));
        assert_eq!(beside.fragment, None, "the only part of a packet is the packet");
    }
}

#[test]
fn first_part_of_a_tunnelled_packet_is_entered_and_later_ones_belong_to_the_tunnel() {
    let outer = wrap("VXLAN").around(OUTER, &INNER.packet(17, &long_datagram()));
    let (first_part, last_part) = outer[20..].split_at(64);
    let (first, beside) = parse(&frame(&OUTER.fragment(17, 0, true, first_part)));
    assert_eq!((ends(&first.packet).0, first.anomaly), (endpoint(INNER.from, 40_000), None));
    let fragment = beside.fragment.expect("a fragment");
    assert_eq!(fragment.flow.0.sender(fragment.flow.1), endpoint(OUTER.from, 50_000));
    assert_eq!((fragment.flow.0.tunnel, beside.tunnel.is_some()), (0, true));
    let (later, beside) = parse(&frame(&OUTER.fragment(17, 64, false, last_part)));
    assert_eq!(ends(&later.packet).0, endpoint(OUTER.from, 0));
    assert_eq!((beside.tunnel, beside.fragment.map(|part| part.offset)), (None, Some(64)));
}

#[test]
fn lengths_that_run_on_beyond_a_first_fragment_are_no_fault() {
    let inner = INNER.packet(
        6,
        &[&[0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 4, 0, 0, 0, 0, 0][..], &[9; 100]].concat(),
    );
    let outer = wrap("IP in IP").around(OUTER, &inner);
    let (first, beside) = parse(&frame(&OUTER.fragment(4, 0, true, &outer[20..20 + 64])));
    assert_eq!((first.anomaly, first.packet.bytes, first.packet.tcp.payload), (None, 140, 100));
    assert_eq!(ends(&first.packet).0, endpoint(INNER.from, 40_000));
    assert_eq!(beside.fragment.map(|part| part.flow.0.protocol), Some(4));
}

#[test]
fn innermost_fragment_is_the_one_told() {
    let inner = INNER.fragment(17, 8, false, &UDP);
    let (parsed, beside) = parse(&frame(&wrap("VXLAN").around(OUTER, &inner)));
    let fragment = beside.fragment.expect("a fragment");
    assert_eq!((fragment.source, fragment.offset), (u128::from(INNER.from), 8));
    assert_eq!(fragment.flow, (parsed.packet.key, parsed.packet.direction));
    assert_eq!(fragment.flow.0.tunnel, beside.tunnel.map_or(0, |tunnel| tunnel.key_word()));
}

#[test]
fn icmp_error_names_the_flow_of_the_packet_it_quotes() {
    let quoted = INNER.turned().packet(17, &UDP);
    let mut outer = frame(&wrap("VXLAN").around(OUTER, &icmp_error(3, 1, &quoted[..28])));
    outer.splice(12..12, [0x81, 0, 0, 7]);
    let (error, beside) = parse(&outer);
    let quote = beside.quote.expect("a quote");
    assert_eq!((quote.error, quote.at), (NetworkError::HostUnreachable, Nanos(5)));
    let mut answer = frame(&wrap("VXLAN").around(OUTER.turned(), &quoted));
    answer.splice(12..12, [0x81, 0, 0, 7]);
    let (whole, _) = parse(&answer);
    assert_eq!(quote.key, whole.packet.key);
    assert_ne!(quote.key, error.packet.key);
    assert_eq!((error.packet.first.icmp, error.packet.direction), (Some((3, 1)), Direction::HiToLo));
    let (_, beside) = parse(&frame(&icmp_error(8, 0, &quoted)));
    assert_eq!(beside.quote, None);
}
