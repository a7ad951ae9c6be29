//! Whole frames made by hand, and what the table is told about each.

use dataplane::wire::{self, Anomaly, Beside, ByteCount, LinkType, ParseOptions, Parsed, Reason};
use flowtable::{
    Direction, Endpoint, Family, FirstPacket, Nanos, Packet, PortId, Role, TcpSegment, tcp_flag,
};

const SOURCE_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0xaa];
const V4_TYPE: [u8; 2] = [0x08, 0x00];
const V6_TYPE: [u8; 2] = [0x86, 0xdd];

fn ethernet(ethertype: [u8; 2], payload: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 0xbb][..], &SOURCE_MAC, &ethertype, payload].concat()
}

fn tagged(id: u16, ethertype: [u8; 2], payload: &[u8]) -> Vec<u8> {
    [&id.to_be_bytes()[..], &ethertype, payload].concat()
}

/// From 10.0.0.9 to 10.0.0.1.
fn ipv4(protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let total = u16::try_from(20 + payload.len()).unwrap_or(u16::MAX).to_be_bytes();
    let fragment = fragment.to_be_bytes();
    let header = [0x45, 0x2e, total[0], total[1], 0, 7, fragment[0], fragment[1], 63, protocol, 0, 0];
    [&header[..], &[10, 0, 0, 9, 10, 0, 0, 1], payload].concat()
}

/// From 2001:db8::9 to 2001:db8::1.
fn ipv6(next_header: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap_or(u16::MAX).to_be_bytes();
    let address = |host: u128| (0x2001_0db8_u128 << 96 | host).to_be_bytes();
    let header = [0x62, 0xe0, 0x00, 0x05, length[0], length[1], next_header, 62];
    [&header[..], &address(9), &address(1), payload].concat()
}

fn tcp(flags: u8, payload: &[u8]) -> Vec<u8> {
    let header = [0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, flags, 0x04, 0, 0, 0, 0, 0];
    [&header[..], payload].concat()
}

fn udp(payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&[0x9c, 0x40, 0, 53, length[0], length[1], 0, 0][..], payload].concat()
}

fn parse_with(frame: &[u8], options: &ParseOptions) -> Result<Parsed, Reason> {
    let wire_len = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    wire::parse(LinkType::Ethernet, frame, wire_len, Nanos(5), PortId(3), options, &mut Beside::default())
}

fn parse(frame: &[u8]) -> Result<Parsed, Reason> {
    parse_with(frame, &ParseOptions::default())
}

fn packet(frame: &[u8]) -> Packet {
    parse(frame).expect("a packet of a flow").packet
}

fn ports(packet: &Packet) -> (u16, u16) {
    (packet.key.sender(packet.direction).port, packet.key.sender(packet.direction.flipped()).port)
}

#[test]
fn tcp_over_ipv4_is_told_in_full() {
    let flags = tcp_flag::PSH | tcp_flag::ACK;
    let frame = ethernet(V4_TYPE, &ipv4(6, 0x4000, &tcp(flags, &[9; 10])));
    let Parsed { packet, anomaly, beside } = parse(&frame).expect("a packet of a flow");
    assert_eq!((anomaly, beside), (None, false));
    assert_eq!(packet.key.family, Family::V4);
    assert_eq!(packet.direction, Direction::HiToLo);
    assert_eq!(packet.key.sender(Direction::HiToLo), Endpoint { address: 0x0a00_0009, port: 40_000 });
    assert_eq!(packet.key.sender(Direction::LoToHi), Endpoint { address: 0x0a00_0001, port: 80 });
    assert_eq!((packet.key.protocol, packet.key.vlans, packet.key.tunnel), (6, 0, 0));
    assert_eq!((packet.at, packet.bytes, packet.role), (Nanos(5), 50, Role::Unknown));
    let segment = TcpSegment { sequence: 1, acknowledgment: 2, window: 1024, flags, payload: 10 };
    assert_eq!(packet.tcp, segment);
    let first = FirstPacket {
        source_mac: Some(SOURCE_MAC),
        port: PortId(3),
        ttl: 63,
        traffic_class: 0x2e,
        flow_label: 0,
        icmp: None,
    };
    assert_eq!(packet.first, first);
}

#[test]
fn udp_over_ipv6_is_told_in_full() {
    let packet = packet(&ethernet(V6_TYPE, &ipv6(17, &udp(&[9; 10]))));
    assert_eq!((packet.key.family, packet.key.protocol, packet.bytes), (Family::V6, 17, 58));
    assert_eq!(ports(&packet), (40_000, 53));
    assert_eq!((packet.first.ttl, packet.first.traffic_class, packet.first.flow_label), (62, 0x2e, 5));
    assert_eq!(packet.tcp, TcpSegment::default());
}

#[test]
fn syn_comes_from_the_source_and_syn_ack_from_the_destination() {
    let role = |flags| packet(&ethernet(V4_TYPE, &ipv4(6, 0, &tcp(flags, &[])))).role;
    assert_eq!(role(tcp_flag::SYN), Role::Source);
    assert_eq!(role(tcp_flag::SYN | tcp_flag::ECE | tcp_flag::CWR), Role::Source);
    assert_eq!(role(tcp_flag::SYN | tcp_flag::ACK), Role::Destination);
    assert_eq!(role(tcp_flag::ACK), Role::Unknown);
}

#[test]
fn vlan_ids_keep_flows_apart_unless_switched_off() {
    let ip = ipv4(17, 0, &udp(&[]));
    let frame = ethernet([0x88, 0xa8], &tagged(0x6064, [0x81, 0x00], &tagged(7, V4_TYPE, &ip)));
    assert_eq!(packet(&frame).key.vlans, 100 << 12 | 7);
    let options = ParseOptions { key_vlan: false, ..ParseOptions::default() };
    assert_eq!(parse_with(&frame, &options).map(|parsed| parsed.packet.key.vlans), Ok(0));
    assert_eq!(packet(&frame).bytes, 28);
}

#[test]
fn whole_frames_are_counted_where_asked_for() {
    let mut frame = ethernet(V4_TYPE, &ipv4(17, 0, &udp(&[])));
    frame.resize(60, 0);
    assert_eq!(packet(&frame).bytes, 28);
    let options = ParseOptions { count: ByteCount::Frame, ..ParseOptions::default() };
    assert_eq!(parse_with(&frame, &options).map(|parsed| parsed.packet.bytes), Ok(60));
    let cut =
        wire::parse(LinkType::Ethernet, &frame, 1514, Nanos(0), PortId(0), &options, &mut Beside::default());
    assert_eq!(cut.map(|parsed| parsed.packet.bytes), Ok(1514));
}

#[test]
fn two_way_icmp_types_are_one_flow_and_one_way_types_two() {
    let echo = packet(&ethernet(V4_TYPE, &ipv4(1, 0, &[8, 0, 0, 0, 0, 1, 0, 1])));
    assert_eq!((ports(&echo), echo.role, echo.key.one_way), ((8, 0), Role::Source, None));
    assert_eq!(echo.first.icmp, Some((8, 0)));
    let reply = packet(&ethernet(V4_TYPE, &ipv4(1, 0, &[0, 0, 0, 0, 0, 1, 0, 1])));
    assert_eq!((ports(&reply), reply.role), ((0, 8), Role::Destination));
    let unreachable = packet(&ethernet(V4_TYPE, &ipv4(1, 0, &[3, 1, 0, 0, 0, 0, 0, 0])));
    assert_eq!((ports(&unreachable), unreachable.role), ((3, 1), Role::Unknown));
    assert_eq!(unreachable.key.one_way, Some(Direction::HiToLo));
    let too_big = packet(&ethernet(V6_TYPE, &ipv6(58, &[2, 0, 0, 0, 0, 0, 5, 0])));
    assert_eq!((ports(&too_big), too_big.key.one_way), ((2, 0), Some(Direction::HiToLo)));
    let solicitation = packet(&ethernet(V6_TYPE, &ipv6(58, &[135, 0, 0, 0, 0, 0, 0, 0])));
    assert_eq!((ports(&solicitation), solicitation.role), ((135, 136), Role::Source));
}

#[test]
fn protocols_without_ports_and_tunnels_are_flows_of_their_ip_header() {
    for protocol in [2, 4, 41, 47, 50, 51, 89, 103, 112, 136, 253] {
        let packet = packet(&ethernet(V4_TYPE, &ipv4(protocol, 0, &[0xff; 40])));
        assert_eq!((packet.key.protocol, ports(&packet)), (protocol, (0, 0)));
    }
}

#[test]
fn first_fragment_has_ports_and_later_ones_none() {
    let datagram = udp(&[9; 100]);
    let first = parse(&ethernet(V4_TYPE, &ipv4(17, 0x2000, &datagram[..48]))).expect("a packet of a flow");
    assert_eq!((ports(&first.packet), first.anomaly), ((40_000, 53), None));
    let later = parse(&ethernet(V4_TYPE, &ipv4(17, 6, &datagram[48..]))).expect("a packet of a flow");
    assert_eq!((ports(&later.packet), later.packet.key.protocol, later.anomaly), ((0, 0), 17, None));
    let fragment = |offset: u8, data: &[u8]| [&[17, 0, 0, offset, 0, 0, 0, 1][..], data].concat();
    assert_eq!(ports(&packet(&ethernet(V6_TYPE, &ipv6(44, &fragment(1, &datagram[..48]))))), (40_000, 53));
    let later = packet(&ethernet(V6_TYPE, &ipv6(44, &fragment(48, &datagram[48..]))));
    assert_eq!((ports(&later), later.key.protocol), ((0, 0), 17));
}

#[test]
fn what_is_wrong_behind_ip_is_counted_beside_the_flow() {
    let anomaly = |frame: &[u8]| parse(frame).map(|parsed| (ports(&parsed.packet), parsed.anomaly));
    let v4 = |protocol, payload: &[u8]| anomaly(&ethernet(V4_TYPE, &ipv4(protocol, 0, payload)));
    assert_eq!(v4(6, &tcp(0, &[])[..3]), Ok(((0, 0), Some(Anomaly::TcpCut))));
    assert_eq!(v4(6, &tcp(0, &[])[..4]), Ok(((40_000, 80), Some(Anomaly::TcpCut))));
    assert_eq!(v4(17, &udp(&[])[..7]), Ok(((40_000, 53), Some(Anomaly::UdpCut))));
    assert_eq!(v4(17, &[0, 1, 0, 2, 0, 99, 0, 0]), Ok(((1, 2), Some(Anomaly::UdpBadLength))));
    assert_eq!(v4(132, &[0, 1, 0, 2, 0]), Ok(((1, 2), Some(Anomaly::SctpCut))));
    assert_eq!(v4(1, &[8, 0]), Ok(((0, 0), Some(Anomaly::IcmpCut))));
    assert_eq!(anomaly(&ethernet(V6_TYPE, &ipv6(58, &[]))), Ok(((0, 0), Some(Anomaly::Icmpv6Cut))));
}

#[test]
fn what_is_no_ip_packet_is_told_by_reason() {
    let reason = |frame: &[u8]| parse(frame).err();
    assert_eq!(reason(&[0; 13]), Some(Reason::EthernetTruncated));
    assert_eq!(reason(&ethernet([0x08, 0x06], &[0; 28])), Some(Reason::Arp));
    assert_eq!(reason(&ethernet([0x88, 0x47], &[0; 28])), Some(Reason::MplsTruncated));
    assert_eq!(reason(&ethernet([0x88, 0x64], &[0; 28])), Some(Reason::PppoeBadHeader));
    assert_eq!(reason(&ethernet([0x81, 0x00], &[0; 3])), Some(Reason::VlanTruncated));
    assert_eq!(reason(&ethernet([0x88, 0xe7], &[0; 3])), Some(Reason::PbbTruncated));
    assert_eq!(reason(&ethernet([0x88, 0xe7], &[0; 12])), Some(Reason::EthernetTruncated));
    assert_eq!(reason(&ethernet([0, 38], &[0x42, 0x42, 3])), Some(Reason::Llc));
    assert_eq!(reason(&ethernet(V4_TYPE, &[0x45])), Some(Reason::Ipv4Truncated));
    assert_eq!(reason(&ethernet(V6_TYPE, &[0x60])), Some(Reason::Ipv6Truncated));
    let deep = [[0x81, 0x00, 0, 1]; 6].concat();
    assert_eq!(reason(&ethernet([0x81, 0x00], &deep[2..])), Some(Reason::VlanTooDeep));
}
