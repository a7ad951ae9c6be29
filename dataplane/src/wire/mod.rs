//! Bytes of a frame to a [`Packet`]: link layer, VLAN tags, IP, transport.
//!
//! One file a protocol, all of one shape: the header's length, a struct of its fields, and `parse`, which checks once
//! and gives the fields and the bytes that follow. Knows no table and no source. Never allocates, never panics, never
//! reads a clock; every loop is bounded by a named constant.

#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

mod ethertype;
mod fast;
mod icmp;
mod icmpv6;
mod ipv4;
mod ipv6;
pub mod link;
mod llc;
mod pbb;
mod sctp;
mod tcp;
mod tunnel;
mod udp;
mod vlan;

use flowtable::{
    Direction, Endpoint, Family, FirstPacket, FlowKey, Nanos, Packet, PortId, Quote, Role, TcpSegment,
    Tunnel, protocol, tcp_flag,
};

pub use crate::reason::{Anomaly, Reason};
pub use link::LinkType;
pub use tunnel::{PortList, TunnelOptions};

/// Which octets a flow counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ByteCount {
    /// IP octets: IPv4 total length, IPv6 payload length + 40. Padding does not count.
    #[default]
    Ip,
    /// The whole frame as it was on the wire.
    Frame,
}

/// What the operator decides about parsing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseOptions {
    /// Whether VLAN ids keep flows apart.
    pub key_vlan: bool,
    /// Whether the id of the outermost tunnel keeps flows apart.
    pub key_tunnel: bool,
    /// Which octets a flow counts.
    pub count: ByteCount,
    /// Which encapsulations are entered.
    pub tunnels: TunnelOptions,
}

impl Default for ParseOptions {
    fn default() -> ParseOptions {
        ParseOptions {
            key_vlan: true,
            key_tunnel: true,
            count: ByteCount::Ip,
            tunnels: TunnelOptions::default(),
        }
    }
}

/// A packet that belongs to a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// What the table is told.
    pub packet: Packet,
    /// What was wrong behind the IP header, where something was.
    pub anomaly: Option<Anomaly>,
    /// Whether there is more to know, in the [`Beside`] handed to [`parse`].
    pub beside: bool,
}

/// What only some packets have. Written only for those, see [`Parsed::beside`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// The outermost encapsulation.
    pub tunnel: Option<Tunnel>,
    /// The fragment, where the innermost IP packet that can be read is one.
    pub fragment: Option<Fragment>,
    /// What an ICMP error says of another flow.
    pub quote: Option<Quote>,
}

/// One fragment of an IP packet, RFC 791 §3.2 and RFC 8200 §4.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Source of the fragmented IP packet, in host order.
    pub source: u128,
    /// Destination of the fragmented IP packet.
    pub destination: u128,
    /// IP version of the fragmented packet.
    pub family: Family,
    /// Protocol of what was cut into fragments: the IPv4 protocol field, or the next header of the IPv6 fragment header.
    pub protocol: u8,
    /// Identification: 16 bits in IPv4, 32 in IPv6.
    pub id: u32,
    /// Where this part begins, in octets.
    pub offset: u32,
    /// Octets of this part.
    pub length: u32,
    /// Whether more parts follow.
    pub more: bool,
    /// The flow of the fragmented packet itself and this fragment's way in it: with the ports where this is the first
    /// part, with ports of 0 where it is a later one. Not that of a packet inside it.
    pub flow: (FlowKey, Direction),
}

/// Parses one frame.
///
/// `frame` are the octets captured, `wire_len` how many there were on the wire; a frame cut short by the capture counts
/// with the length its IP header gives. Where the transport header is cut short, the ports are still taken if they can
/// be read; where they cannot, and for later fragments and protocols without ports, the packet is of the port-0 flow of
/// its protocol.
///
/// A [`Parsed`] is 144 octets: look at it where it lies (`Ok(ref parsed)`), for a move costs half as much as
/// the parsing.
///
/// # Errors
/// The [`Reason`] the packet is in no flow.
#[inline]
pub fn parse(
    link: LinkType,
    frame: &[u8],
    wire_len: u32,
    at: Nanos,
    port: PortId,
    options: &ParseOptions,
    beside: &mut Beside,
) -> Result<Parsed, Reason> {
    if link == LinkType::Ethernet
        && let Some(packet) = fast::tcp_in_ipv4(frame, wire_len, at, port, options)
    {
        return Ok(Parsed { packet, anomaly: None, beside: false });
    }
    parse_any(link, frame, wire_len, at, port, options, beside)
}

/// [`parse`] for every link layer, protocol and kind of damage.
#[inline(never)]
fn parse_any(
    link: LinkType,
    frame: &[u8],
    wire_len: u32,
    at: Nanos,
    port: PortId,
    options: &ParseOptions,
    _beside: &mut Beside,
) -> Result<Parsed, Reason> {
    let framed = link::parse(link, frame)?;
    let wire_len = wire_len.max(octets(frame));
    let wire_rest = wire_len.saturating_sub(octets(frame)).saturating_add(octets(framed.rest));
    let (ip, payload) = match framed.network {
        Network::V4 => {
            ipv4::parse(framed.rest, wire_rest).map(|(header, payload)| (Ip::from(header), payload))?
        }
        Network::V6 => {
            ipv6::parse(framed.rest, wire_rest).map(|(header, payload)| (Ip::from(header), payload))?
        }
    };
    let upper = if ip.later_fragment { Upper::default() } else { upper(&ip, payload) };

    let source = Endpoint { address: ip.source, port: upper.source_port };
    let destination = Endpoint { address: ip.destination, port: upper.destination_port };
    let (mut key, direction) = FlowKey::canonical(ip.family, ip.protocol, source, destination);
    key.one_way = if upper.one_way { Some(direction) } else { None };
    key.vlans = if options.key_vlan { framed.vlans } else { 0 };
    let packet = Packet {
        key,
        direction,
        at,
        bytes: match options.count {
            ByteCount::Ip => ip.octets,
            ByteCount::Frame => wire_len,
        },
        role: upper.role,
        tcp: upper.tcp,
        first: FirstPacket {
            source_mac: framed.source_mac,
            port,
            ttl: ip.ttl,
            traffic_class: ip.traffic_class,
            flow_label: ip.flow_label,
            icmp: upper.icmp,
        },
        tunnel: 0,
    };
    Ok(Parsed { packet, anomaly: ip.anomaly.or(upper.anomaly), beside: false })
}

/// The IP version the layer below announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Network {
    V4,
    V6,
}

/// What both IP versions say, in the terms of a flow.
struct Ip {
    family: Family,
    source: u128,
    destination: u128,
    protocol: u8,
    ttl: u8,
    traffic_class: u8,
    flow_label: u32,
    /// Octets of the whole IP packet by its own header.
    octets: u32,
    /// Octets behind the IP headers by the IP length; the capture may hold fewer.
    payload_octets: u32,
    /// A fragment, first or later.
    fragment: bool,
    /// A fragment without the transport header.
    later_fragment: bool,
    anomaly: Option<Anomaly>,
}

impl From<ipv4::Ipv4> for Ip {
    #[inline]
    fn from(header: ipv4::Ipv4) -> Ip {
        Ip {
            family: Family::V4,
            source: u128::from(header.source),
            destination: u128::from(header.destination),
            protocol: header.protocol,
            ttl: header.ttl,
            traffic_class: header.traffic_class,
            flow_label: 0,
            octets: header.total_length,
            payload_octets: header.payload_octets,
            fragment: header.fragment_offset != 0 || header.more_fragments,
            later_fragment: header.fragment_offset != 0,
            anomaly: header.anomaly,
        }
    }
}

impl From<ipv6::Ipv6> for Ip {
    #[inline]
    fn from(header: ipv6::Ipv6) -> Ip {
        Ip {
            family: Family::V6,
            source: header.source,
            destination: header.destination,
            protocol: header.protocol,
            ttl: header.hop_limit,
            traffic_class: header.traffic_class,
            flow_label: header.flow_label,
            octets: header.octets,
            payload_octets: header.payload_octets,
            fragment: header.fragment_offset != 0 || header.more_fragments,
            later_fragment: header.fragment_offset != 0,
            anomaly: header.anomaly,
        }
    }
}

/// What the header behind IP says, in the terms of a flow.
#[derive(Default)]
struct Upper {
    source_port: u16,
    destination_port: u16,
    one_way: bool,
    role: Role,
    tcp: TcpSegment,
    icmp: Option<(u8, u8)>,
    anomaly: Option<Anomaly>,
}

#[inline]
fn upper(ip: &Ip, payload: &[u8]) -> Upper {
    match ip.protocol {
        protocol::TCP => match tcp::parse(payload, ip.payload_octets) {
            Ok((tcp, _)) => Upper {
                source_port: tcp.source_port,
                destination_port: tcp.destination_port,
                role: tcp_role(tcp.segment.flags),
                tcp: tcp.segment,
                ..Upper::default()
            },
            Err(anomaly) => ports_only(payload, anomaly),
        },
        protocol::UDP => match udp::parse(payload, ip.payload_octets, ip.fragment) {
            Ok((udp, _)) => Upper {
                source_port: udp.source_port,
                destination_port: udp.destination_port,
                ..Upper::default()
            },
            Err(anomaly) => ports_only(payload, anomaly),
        },
        protocol::SCTP => match sctp::parse(payload) {
            Ok((sctp, _)) => Upper {
                source_port: sctp.source_port,
                destination_port: sctp.destination_port,
                ..Upper::default()
            },
            Err(anomaly) => ports_only(payload, anomaly),
        },
        protocol::ICMP => match icmp::parse(payload) {
            Ok((icmp, _)) => {
                message(icmp.kind, icmp.code, icmp::counterpart(icmp.kind), icmp::role(icmp.kind))
            }
            Err(anomaly) => Upper { anomaly: Some(anomaly), ..Upper::default() },
        },
        protocol::ICMPV6 => match icmpv6::parse(payload) {
            Ok((icmp, _)) => {
                message(icmp.kind, icmp.code, icmpv6::counterpart(icmp.kind), icmpv6::role(icmp.kind))
            }
            Err(anomaly) => Upper { anomaly: Some(anomaly), ..Upper::default() },
        },
        _ => Upper::default(),
    }
}

/// The ports of a transport header that cannot be read in full: both are in its first four octets.
#[cold]
fn ports_only(payload: &[u8], anomaly: Anomaly) -> Upper {
    let &[s0, s1, d0, d1] = payload.first_chunk().unwrap_or(&[0; 4]);
    Upper {
        source_port: u16::from_be_bytes([s0, s1]),
        destination_port: u16::from_be_bytes([d0, d1]),
        anomaly: Some(anomaly),
        ..Upper::default()
    }
}

/// An ICMP message in the place of ports, as Community ID v1 has it: type and counterpart, or type and code where the
/// type has no counterpart and the two directions are flows of their own.
fn message(kind: u8, code: u8, counterpart: Option<u8>, role: Role) -> Upper {
    Upper {
        source_port: u16::from(kind),
        destination_port: u16::from(counterpart.unwrap_or(code)),
        one_way: counterpart.is_none(),
        role,
        icmp: Some((kind, code)),
        ..Upper::default()
    }
}

#[inline]
fn tcp_role(flags: u8) -> Role {
    match (flags & tcp_flag::SYN != 0, flags & tcp_flag::ACK != 0) {
        (true, false) => Role::Source,
        (true, true) => Role::Destination,
        (false, _) => Role::Unknown,
    }
}

/// The length of `bytes` as the width lengths have on the wire.
#[inline]
fn octets(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// The first `length` octets of `bytes`, or all of them where there are fewer.
#[inline]
fn up_to(bytes: &[u8], length: u32) -> &[u8] {
    usize::try_from(length).ok().and_then(|length| bytes.get(..length)).unwrap_or(bytes)
}
