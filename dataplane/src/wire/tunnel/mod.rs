//! Encapsulations: which of them are entered, and where each is looked for. A tunnel is one file here and one row in a
//! table below.
//!
//! [`super::Beside::tunnel`] is the outermost tunnel whose own header could be read, whether or not a packet inside it
//! could. The flow is that of the innermost IP packet that could be read, and its key has the tunnel's
//! [`Tunnel::key_word`] only where that packet is inside the tunnel. What is no IP (ARP in VXLAN), cut short or encrypted
//! belongs to the one flow of the outer headers, whatever the id: the outer addresses are in no tunnel, so no id is
//! needed to tell them from those of others. A header that does not check out is not a tunnel, and nothing is said of it.

mod ah;
mod erspan;
mod esp;
mod geneve;
mod gre;
mod gtp;
mod ipip;
mod mpls;
mod nsh;
mod pppoe;
mod vxlan;
mod wireguard;

use flowtable::{Endpoint, Tunnel, TunnelKind, protocol};

use super::{Ip, Level, Network, Payload, Reason, Upper, ethertype::number};

/// Reads the header at the start of a payload; `None` where it is not one of this kind.
type Open = for<'a> fn(Payload<'a>) -> Option<Encapsulation<'a>>;
/// Reads the header behind an Ethernet type.
type OpenBelow = for<'a> fn(&'a [u8]) -> Result<Below<'a>, Reason>;
/// Where the operator says which ports a tunnel has.
type Ports = fn(&TunnelOptions) -> &PortList;
/// Where the operator says whether a tunnel is entered.
type Entered = fn(&TunnelOptions) -> bool;

/// The port a tunnel is known by.
enum Side {
    Destination,
    Either,
}

impl Side {
    #[inline]
    fn is_among(&self, ports: &PortList, source: u16, destination: u16) -> bool {
        ports.has(destination) || matches!(self, Side::Either) && ports.has(source)
    }
}

/// What runs directly in an IP packet, by protocol number (IANA "Assigned Internet Protocol Numbers").
const IN_IP: [(u8, Open); 5] = [
    (4, ipip::v4),
    (41, ipip::v6),
    (47, gre::encapsulation),
    (50, esp::encapsulation),
    (51, ah::encapsulation),
];

/// What runs in UDP, by the ports the operator gives it.
const IN_UDP: [(Side, Ports, Open); 4] = [
    (Side::Destination, |options| &options.vxlan_ports, vxlan::encapsulation),
    (Side::Destination, |options| &options.geneve_ports, geneve::encapsulation),
    (Side::Either, |options| &options.gtp_ports, gtp::encapsulation),
    (Side::Either, |options| &options.wireguard_ports, wireguard::encapsulation),
];

/// What stands between Ethernet and IP, by Ethernet type: whether it is entered, the reason where it is not, its parser.
const BELOW_IP: [(u16, Entered, Reason, OpenBelow); 4] = [
    (number::MPLS, |options| options.mpls, Reason::Mpls, mpls::below),
    (number::MPLS_UPSTREAM, |options| options.mpls, Reason::Mpls, mpls::below),
    (number::PPPOE_SESSION, |options| options.pppoe, Reason::Pppoe, pppoe::below),
    (number::PPPOE_DISCOVERY, |options| options.pppoe, Reason::Pppoe, pppoe::discovery),
];

/// UDP ports of one encapsulation, four at most; 0 where there are fewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortList(pub [u16; 4]);

impl PortList {
    /// Whether `port` is one of them.
    #[inline]
    pub fn has(&self, port: u16) -> bool {
        port != 0 && self.0.contains(&port)
    }
}

/// Which encapsulations are entered, and where they are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TunnelOptions {
    /// Kinds that are recognised, a bit each at the place of [`TunnelKind`]'s discriminant. A packet of another kind is a
    /// flow of its outer headers, and nothing is said of the tunnel.
    pub kinds: u16,
    /// Whether MPLS labels are stepped over.
    pub mpls: bool,
    /// Whether PPPoE sessions are entered.
    pub pppoe: bool,
    /// UDP destination ports of VXLAN.
    pub vxlan_ports: PortList,
    /// UDP destination ports of Geneve.
    pub geneve_ports: PortList,
    /// UDP ports of GTP-U, of either side.
    pub gtp_ports: PortList,
    /// UDP ports of WireGuard, of either side.
    pub wireguard_ports: PortList,
}

impl Default for TunnelOptions {
    fn default() -> TunnelOptions {
        TunnelOptions {
            kinds: TunnelKind::ALL.into_iter().fold(0, |kinds, kind| kinds | 1 << kind as u8),
            mpls: true,
            pppoe: true,
            vxlan_ports: PortList([4_789, 0, 0, 0]),
            geneve_ports: PortList([6_081, 0, 0, 0]),
            gtp_ports: PortList([2_152, 0, 0, 0]),
            wireguard_ports: PortList([51_820, 0, 0, 0]),
        }
    }
}

impl TunnelOptions {
    /// Whether tunnels of `kind` are recognised.
    #[inline]
    pub fn enters(&self, kind: TunnelKind) -> bool {
        self.kinds & 1 << kind as u8 != 0
    }
}

/// A tunnel header in the terms of [`Tunnel`], and where it leads. Numbers are `None` where the header does not carry
/// them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Encapsulation<'a> {
    kind: TunnelKind,
    id: Option<u32>,
    key: Option<u32>,
    spi: Option<u32>,
    sender_index: Option<u32>,
    receiver_index: Option<u32>,
    pub inner: Inner<'a>,
}

/// What a tunnel carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inner<'a> {
    /// An Ethernet frame.
    Frame(Payload<'a>),
    /// What an Ethernet type says.
    Typed(u16, Payload<'a>),
    /// A packet that says its IP version itself.
    Ip(Payload<'a>),
    /// A PPP frame.
    Ppp(Payload<'a>),
    /// The next header of the same IP packet.
    NextHeader(u8, Payload<'a>),
    /// Nothing that could be read: encrypted, or of a kind that is not followed.
    Sealed,
}

/// What follows an encapsulation between Ethernet and IP.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Below<'a> {
    Ip(Network, &'a [u8]),
    /// An Ethernet frame in a pseudowire.
    Frame(&'a [u8]),
}

impl<'a> Encapsulation<'a> {
    fn new(kind: TunnelKind, inner: Inner<'a>) -> Encapsulation<'a> {
        Encapsulation {
            kind,
            id: None,
            key: None,
            spi: None,
            sender_index: None,
            receiver_index: None,
            inner,
        }
    }

    /// What a flow tells of this tunnel, which was found in the packet `outer`.
    pub(super) fn tunnel(&self, outer: &Level<'_>) -> Tunnel {
        Tunnel {
            kind: self.kind,
            family: outer.ip.family,
            protocol: outer.ip.protocol,
            source: Endpoint { address: outer.ip.source, port: outer.upper.source_port },
            destination: Endpoint { address: outer.ip.destination, port: outer.upper.destination_port },
            id: self.id,
            key: self.key,
            spi: self.spi,
            sender_index: self.sender_index,
            receiver_index: self.receiver_index,
        }
    }
}

/// Whether there may be a tunnel in a packet, by its protocol and ports alone.
#[inline]
pub(super) fn is_possible(ip: &Ip, upper: &Upper<'_>, options: &TunnelOptions) -> bool {
    let (source, destination) = (upper.source_port, upper.destination_port);
    match ip.protocol {
        protocol::TCP | protocol::SCTP => false,
        protocol::UDP => {
            IN_UDP.iter().any(|(side, ports, _)| side.is_among(ports(options), source, destination))
        }
        number => IN_IP.iter().any(|(row, _)| *row == number),
    }
}

/// Whether either of two UDP ports, the source above the destination, is one of any tunnel's. Says so also where the port is
/// 0, or a destination's in the source: without a branch, for those who then ask more exactly.
#[inline(never)]
pub(super) fn has_port_of_one(ports: u32, options: &TunnelOptions) -> bool {
    let TunnelOptions { vxlan_ports, geneve_ports, gtp_ports, wireguard_ports, .. } = options;
    let [s0, s1, d0, d1] = ports.to_be_bytes();
    let (source, destination) = (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]));
    [vxlan_ports, geneve_ports, gtp_ports, wireguard_ports].into_iter().fold(false, |found, list| {
        list.0.iter().fold(found, |found, &port| found | (port == source) | (port == destination))
    })
}

/// The tunnel in the packet `level`, if there is one of a kind that `options` say is recognised.
pub(super) fn find<'a>(level: &Level<'a>, options: &TunnelOptions) -> Option<Encapsulation<'a>> {
    let found = match level.ip.protocol {
        protocol::TCP | protocol::ICMP | protocol::ICMPV6 => None,
        protocol::UDP => in_udp(level, options),
        _ if level.ip.is_later_fragment() => None,
        number => {
            let (_, open) = IN_IP.iter().find(|(row, _)| *row == number)?;
            open(level.upper.rest)
        }
    }?;
    options.enters(found.kind).then_some(found)
}

/// The tunnel behind a UDP header. In a later fragment there is none, and its ports are 0, which no list has.
fn in_udp<'a>(level: &Level<'a>, options: &TunnelOptions) -> Option<Encapsulation<'a>> {
    let (source, destination) = (level.upper.source_port, level.upper.destination_port);
    IN_UDP.iter().find_map(|(side, ports, open)| {
        if side.is_among(ports(options), source, destination) { open(level.upper.rest) } else { None }
    })
}

/// Follows `ethertype` where it is that of an encapsulation between Ethernet and IP.
pub(super) fn below_ip<'a>(
    ethertype: u16,
    bytes: &'a [u8],
    options: &TunnelOptions,
) -> Option<Result<Below<'a>, Reason>> {
    let (_, entered, reason, open) = BELOW_IP.iter().find(|(row, ..)| *row == ethertype)?;
    Some(if entered(options) { open(bytes) } else { Err(*reason) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_of_any_tunnel_is_found_on_either_side() {
        let options = TunnelOptions {
            vxlan_ports: PortList([1_001, 1_002, 1_003, 1_004]),
            geneve_ports: PortList([1_005, 1_006, 1_007, 1_008]),
            gtp_ports: PortList([1_009, 1_010, 1_011, 1_012]),
            wireguard_ports: PortList([1_013, 1_014, 1_015, 1_016]),
            ..TunnelOptions::default()
        };
        let listed: Vec<u16> = IN_UDP.iter().flat_map(|(_, ports, _)| ports(&options).0).collect();
        assert_eq!(listed.len(), 16);
        for port in listed.into_iter().map(u32::from) {
            assert!(has_port_of_one(port << 16 | 7, &options), "{port} as a source");
            assert!(has_port_of_one(7 << 16 | port, &options), "{port} as a destination");
        }
        assert!(!has_port_of_one(1_000 << 16 | 1_017, &options));
    }
}
