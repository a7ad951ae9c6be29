//! What the table has to know of nearly every packet, in one cache line: the key as the hot line holds it, and what is counted.
//!
//! A parser makes a [`Brief`] straight from the headers of a plain packet. Where its key is not narrow (IPv4, outside tunnels), and of
//! any other packet, the brief says where the [`Rest`] of it lies in the [`crate::Burst`].

use crate::key::{Direction, protocol};
use crate::key_words::{Addresses, KeyKind, halves, joined, key_of, ports_word};
use crate::packet::{FirstPacket, Packet, PortId, Role, TcpSegment};
use crate::slot::Meta;
use crate::time::Nanos;
use crate::tunnel::{PlainVxlan, Tunnel};

/// One packet of a burst.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Brief {
    /// The addresses of a narrow key, as the hot line holds them; of any other key they mean nothing.
    pub(crate) addresses: u64,
    /// Ports, protocol and VLANs, as the hot line holds them.
    pub(crate) ports: u64,
    pub(crate) at: Nanos,
    /// Source MAC address, and two octets that mean nothing.
    source_mac: [u8; 8],
    pub(crate) tcp: TcpSegment,
    /// Octets to count.
    pub(crate) bytes: u32,
    /// Where the rest of the packet lies among those of its burst, from 1; 0 where everything there is to know is here.
    pub(crate) rest: u32,
    pub(crate) direction: Direction,
    /// What [`Brief::LOOKED_AT`] is of the flow's [`Meta`] where it can be counted in one step; with [`Brief::ODD`] it cannot.
    expects: u8,
    ttl: u8,
    traffic_class: u8,
    port: PortId,
}
const _: () = assert!(size_of::<Brief>() == 64);

/// What the headers of a plain packet in Ethernet say beside addresses and TCP: no options, no fragment, and no tunnel that is not
/// told with it.
#[derive(Clone, Copy, Debug)]
pub struct PlainPacket {
    /// Source port in the upper half, destination in the lower.
    pub ports: u32,
    /// IP protocol number; not ICMP, whose ports are none.
    pub protocol: u8,
    /// As [`crate::FlowKey::vlans`].
    pub vlans: u32,
    /// As [`Packet::bytes`].
    pub bytes: u32,
    /// Source MAC address, and whatever two octets are behind it.
    pub source_mac: [u8; 8],
    /// As [`FirstPacket::ttl`].
    pub ttl: u8,
    /// As [`FirstPacket::traffic_class`].
    pub traffic_class: u8,
}

const ADDRESS_BITS: u32 = 32;
const PORT_BITS: u32 = 16;

impl Brief {
    /// Whose slot it is, and that there is nothing to note of a tunnel where the packet is in one.
    const LOOKED_AT: u32 = Meta::OWNER | Meta::TOLD;
    /// [`Brief::LOOKED_AT`] has not this bit.
    const ODD: u8 = 1;

    /// What a packet expects of its flow, whose key is of `kind`. `tunnel`: whether it has one beside it.
    #[expect(clippy::cast_possible_truncation, reason = "marks in the lowest octet")]
    #[inline(always)]
    const fn expecting(kind: KeyKind, tunnel: bool) -> u8 {
        (Meta::owner(kind) | if tunnel { Meta::TOLD } else { 0 }) as u8
    }

    /// A place for a brief.
    pub(crate) const NOTHING: Brief = Brief {
        addresses: 0,
        ports: 0,
        at: Nanos(0),
        source_mac: [0; 8],
        tcp: TcpSegment { sequence: 0, acknowledgment: 0, window: 0, flags: 0, payload: 0 },
        bytes: 0,
        rest: 0,
        direction: Direction::LoToHi,
        expects: Brief::expecting(KeyKind::Narrow, false),
        ttl: 0,
        traffic_class: 0,
        port: PortId(0),
    };

    /// Fills in when and where a packet came.
    #[inline(always)]
    pub fn begin(&mut self, at: Nanos, port: PortId) {
        self.at = at;
        self.port = port;
    }

    /// Says where the rest of the packet lies in its burst.
    #[inline(always)]
    pub(crate) fn set_rest(&mut self, number: u32) {
        self.rest = number;
    }

    /// Fills in a plain packet in IPv4 but for its TCP header and what [`Brief::begin`] does; `addresses` has the source in the
    /// upper half.
    ///
    /// Written where it lies, by the parser's branches, as each of them knows it: gathered first, it would be more than the
    /// registers hold.
    #[inline(always)]
    pub fn set_plain_ipv4(&mut self, addresses: u64, packet: &PlainPacket) {
        let (addresses, ports, swapped) = in_order(addresses, packet.ports);
        self.addresses = addresses;
        self.set_ends(packet, ports, swapped);
        self.set_facts(packet);
        self.expects = Brief::expecting(KeyKind::Narrow, false);
        self.rest = 0;
    }

    /// The same in IPv6, and its rest. `address` gives the source's or, where it is told so, the destination's.
    #[inline(always)]
    pub fn set_plain_ipv6(
        &mut self,
        rest: &mut Rest,
        address: impl Fn(bool) -> u128,
        flow_label: u32,
        packet: &PlainPacket,
    ) {
        rest.set_plain(false, flow_label);
        self.set_facts(packet);
        self.expects = Brief::expecting(KeyKind::V6, false);
        let ([lower, higher], ports, swapped) = in_order_ipv6(address, packet.ports);
        rest.addresses = Addresses::of_ipv6(lower, higher);
        self.set_ends(packet, ports, swapped);
    }

    /// The same in IPv4 and the outermost tunnel it came in, which is part of its key; `addresses` has the source in the
    /// upper half.
    #[inline(always)]
    pub fn set_plain_in(
        &mut self,
        rest: &mut Rest,
        tunnel: PlainVxlan,
        addresses: u64,
        packet: &PlainPacket,
    ) {
        rest.outer = Outer::Vxlan(tunnel);
        rest.set_plain(true, 0);
        self.set_facts(packet);
        self.expects = Brief::expecting(KeyKind::V4InTunnel, true);
        let (addresses, ports, swapped) = in_order(addresses, packet.ports);
        rest.addresses = Addresses::in_tunnel(addresses, tunnel.key_word());
        self.set_ends(packet, ports, swapped);
    }

    /// What the ends of a plain packet decide; `ports` are those of the key.
    #[inline(always)]
    fn set_ends(&mut self, packet: &PlainPacket, ports: u32, swapped: bool) {
        self.direction = if swapped { Direction::HiToLo } else { Direction::LoToHi };
        self.ports =
            u64::from(ports) << 32 | u64::from(packet.protocol) << 24 | u64::from(packet.vlans & 0x00ff_ffff);
    }

    /// What else plain packets have in common. Where the ends take much arithmetic it goes first, so that it need not be kept.
    #[inline(always)]
    fn set_facts(&mut self, packet: &PlainPacket) {
        self.source_mac = packet.source_mac;
        self.bytes = packet.bytes;
        self.ttl = packet.ttl;
        self.traffic_class = packet.traffic_class;
    }

    /// Fills in the TCP header; all zero for other protocols.
    #[inline(always)]
    pub fn set_tcp(&mut self, tcp: TcpSegment) {
        self.tcp = tcp;
    }

    /// The brief of `packet`, in a tunnel or not, the rest of which lies at `rest` in its burst.
    #[inline(always)]
    pub(crate) fn of(packet: &Packet, in_tunnel: bool, rest: u32) -> Brief {
        let addresses = Addresses::of(&packet.key);
        let kind = addresses.kind();
        // Says of who began the conversation what its TCP flags do, or nothing.
        let simple = packet.key.protocol == protocol::TCP || packet.role == Role::Unknown;
        let first = &packet.first;
        let [a, b, c, d, e, f] = first.source_mac.unwrap_or_default();
        Brief {
            addresses: if kind.is_wide() { 0 } else { addresses.low },
            ports: ports_word(&packet.key),
            at: packet.at,
            source_mac: [a, b, c, d, e, f, 0, 0],
            tcp: packet.tcp,
            bytes: packet.bytes,
            rest,
            direction: packet.direction,
            expects: Brief::expecting(kind, in_tunnel) | if simple { 0 } else { Brief::ODD },
            ttl: first.ttl,
            traffic_class: first.traffic_class,
            port: first.port,
        }
    }

    /// 0 where a flow with these marks, whose key is that of the packet, can have it counted in one step as far as they tell.
    #[inline(always)]
    pub(crate) fn misfit(&self, meta: Meta) -> u64 {
        u64::from(meta.0 & Brief::LOOKED_AT ^ u32::from(self.expects))
    }

    /// The kind of its key.
    #[inline(always)]
    pub(crate) fn kind(&self) -> KeyKind {
        Meta(self.expects.into()).kind()
    }

    /// Whether the key does not fit the hot line.
    #[inline(always)]
    pub(crate) fn is_wide(&self) -> bool {
        Meta(self.expects.into()).is_wide()
    }

    /// IP protocol number.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "one field of the word")]
    pub(crate) fn protocol(&self) -> u8 {
        (self.ports >> 24) as u8
    }

    /// The addresses in the key of the packet, which has `rest` beside its brief, if anything.
    #[inline]
    pub(crate) fn key_addresses(&self, rest: Option<&Rest>) -> Addresses {
        rest.map_or_else(|| Addresses::narrow(self.addresses), |rest| rest.addresses)
    }

    /// The whole packet, which has `rest` beside its brief, if anything.
    pub(crate) fn unfold(&self, rest: Option<&Rest>) -> Packet {
        let Rest { role, in_tunnel, flow_label, icmp, has_mac, .. } = *rest.unwrap_or(&Rest::NOTHING);
        let by_flags =
            || if self.protocol() == protocol::TCP { Role::of_tcp(self.tcp.flags) } else { Role::Unknown };
        let [mac @ .., _, _] = self.source_mac;
        Packet {
            key: key_of(self.ports, &self.key_addresses(rest)),
            direction: self.direction,
            at: self.at,
            bytes: self.bytes,
            role: role.unwrap_or_else(by_flags),
            tcp: self.tcp,
            first: FirstPacket {
                source_mac: has_mac.then_some(mac),
                port: self.port,
                ttl: self.ttl,
                traffic_class: self.traffic_class,
                flow_label,
                icmp,
            },
            tunnel: if in_tunnel { self.rest } else { 0 },
        }
    }
}

/// IPv4 addresses and ports, those of the source in the upper halves, with the lower end in front; and whether that is the
/// destination. Branchless: which one it is, is as good as random.
#[inline(always)]
fn in_order(addresses: u64, ports: u32) -> (u64, u32, bool) {
    let turned = (addresses.rotate_left(ADDRESS_BITS), ports.rotate_left(PORT_BITS));
    // Addresses decide, and ports where these are the same; with both ends exchanged the lower one is in front of the other.
    let swapped = joined(turned.0, turned.1.into()) < joined(addresses, ports.into());
    let (addresses, ports) = if swapped { turned } else { (addresses, ports) };
    (addresses, ports, swapped)
}

/// The same of IPv6, where `address` gives the source's or, where it is told so, the destination's. It is asked anew in their order,
/// as four words more would be more than the registers hold.
#[inline(always)]
fn in_order_ipv6(address: impl Fn(bool) -> u128, ports: u32) -> ([u128; 2], u32, bool) {
    let turned = ports.rotate_left(PORT_BITS);
    let [[s_high, s_low], [d_high, d_low]] = [false, true].map(|destination| halves(address(destination)));
    // As the last borrow of a subtraction of three words.
    let less = joined(d_low, turned.into()) < joined(s_low, ports.into());
    let (high, less_high) = d_high.overflowing_sub(s_high);
    let swapped = less_high | (high < u64::from(less));
    ([address(swapped), address(!swapped)], if swapped { turned } else { ports }, swapped)
}

/// What a packet that is not plain has beside its brief.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Rest {
    pub(crate) addresses: Addresses,
    flow_label: u32,
    /// Whether it is in the tunnel that is told here; else that means nothing.
    in_tunnel: bool,
    /// `None`: what its TCP flags prove, if anything.
    role: Option<Role>,
    has_mac: bool,
    icmp: Option<(u8, u8)>,
    /// In a line of its own.
    pub(crate) outer: Outer,
}

/// The outermost tunnel of a packet. Which of them it is stands in front, in the line that plain ones fit.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(crate) enum Outer {
    Any(Tunnel),
    Vxlan(PlainVxlan),
}

const _: () = assert!(size_of::<Rest>() == 192);

impl Rest {
    /// A place for one; that of a plain packet.
    pub(crate) const NOTHING: Rest = Rest {
        addresses: Addresses::narrow(0),
        flow_label: 0,
        in_tunnel: false,
        role: None,
        icmp: None,
        has_mac: true,
        outer: Outer::Vxlan(PlainVxlan { addresses: 0, ports: 0, vni: 0 }),
    };

    /// Fills in a plain packet, but for addresses and tunnel.
    #[inline(always)]
    fn set_plain(&mut self, in_tunnel: bool, flow_label: u32) {
        self.flow_label = flow_label;
        self.in_tunnel = in_tunnel;
        self.role = None;
        self.icmp = None;
        self.has_mac = true;
    }

    /// That of `packet`, in `tunnel` if there is one.
    #[inline(always)]
    pub(crate) fn of(packet: &Packet, tunnel: Option<Tunnel>) -> Rest {
        Rest {
            addresses: Addresses::of(&packet.key),
            in_tunnel: tunnel.is_some(),
            outer: tunnel.map_or(Rest::NOTHING.outer, Outer::Any),
            flow_label: packet.first.flow_label,
            role: Some(packet.role),
            icmp: packet.first.icmp,
            has_mac: packet.first.source_mac.is_some(),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::cold::tests::packets;
    use crate::key::{Endpoint, Family, FlowKey};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn unfolds_to_the_packet_its_headers_describe(
            source in any::<(u32, u16)>(), destination in any::<(u32, u16)>(), same in any::<bool>(),
            tcp in any::<bool>(), flags in any::<u8>(), vlans in 0u32..1 << 24, mac in any::<[u8; 6]>(),
            port in any::<u16>(), ttl in any::<u8>(), traffic_class in any::<u8>(), bytes in any::<u32>(),
        ) {
            let destination = if same { (source.0, destination.1) } else { destination };
            let protocol = if tcp { protocol::TCP } else { protocol::UDP };
            let segment = TcpSegment { sequence: 1, acknowledgment: 2, window: 3, flags, payload: 4 };
            let [a, b, c, d, e, f] = mac;
            let mut brief = Brief::NOTHING;
            brief.begin(Nanos(9), PortId(port));
            brief.set_tcp(if tcp { segment } else { TcpSegment::default() });
            brief.set_plain_ipv4(u64::from(source.0) << 32 | u64::from(destination.0), &PlainPacket {
                ports: u32::from(source.1) << 16 | u32::from(destination.1),
                protocol, vlans, bytes, source_mac: [a, b, c, d, e, f, 8, 0], ttl, traffic_class,
            });
            let end = |(address, port): (u32, u16)| Endpoint { address: address.into(), port };
            let (key, direction) = FlowKey::canonical(Family::V4, protocol, end(source), end(destination));
            let expected = Packet {
                key: FlowKey { vlans, ..key }, direction, at: Nanos(9), bytes,
                role: if tcp { Role::of_tcp(flags) } else { Role::Unknown },
                tcp: if tcp { segment } else { TcpSegment::default() },
                first: FirstPacket {
                    source_mac: Some(mac), port: PortId(port), ttl, traffic_class, flow_label: 0, icmp: None,
                },
                tunnel: 0,
            };
            prop_assert_eq!(brief.unfold(None), expected);
            let told = Brief::of(&expected, false, 1);
            prop_assert_eq!((told.addresses, told.ports, told.expects), (brief.addresses, brief.ports, brief.expects));
        }

        #[test]
        fn a_packet_is_its_brief_and_the_rest(
            packet in packets(), direction in any::<bool>(), role in prop::sample::select(vec![Role::Source, Role::Unknown]),
            tcp in any::<(u32, u32, u16, u8, u32)>(), bytes in any::<u32>(), in_tunnel: bool, rest in 1u32..,
        ) {
            let (sequence, acknowledgment, window, flags, payload) = tcp;
            let packet = Packet {
                direction: if direction { Direction::LoToHi } else { Direction::HiToLo },
                tcp: TcpSegment { sequence, acknowledgment, window, flags, payload },
                role, bytes, tunnel: if in_tunnel { rest } else { 0 }, ..packet
            };
            let tunnel = PlainVxlan { addresses: 1 << 32 | 2, ports: 3 << 16 | 4, vni: 5 }.into();
            let brief = Brief::of(&packet, in_tunnel, rest);
            prop_assert_eq!(brief.unfold(Some(&Rest::of(&packet, in_tunnel.then_some(tunnel)))), packet);
            prop_assert_eq!(brief.rest, rest);
        }
    }
}
