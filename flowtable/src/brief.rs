//! What the table has to know of nearly every packet, in one cache line: the key as the hot line holds it, and what is counted.
//!
//! A parser makes a [`Brief`] straight from the headers of a plain packet. Where its key is not narrow (IPv4, outside tunnels), and of
//! any other packet, the brief says where the [`Rest`] of it lies in the [`crate::Burst`].

use crate::key::{Direction, Endpoint, Family, FlowKey, protocol};
use crate::key_words::{WideKey, is_narrow, joined, key_of, narrow_addresses, ports_word};
use crate::packet::{FirstPacket, Packet, PortId, Role, TcpSegment};
use crate::slot::Meta;
use crate::time::Nanos;

/// One packet of a burst.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Brief {
    /// The addresses of a narrow key, as the hot line holds them; 0 of any other key.
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
    /// What [`Meta::OWNER`] is in the hot line of its flow; and [`Brief::ODD`] where it has to go the general way.
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
    /// As [`Packet::at`].
    pub at: Nanos,
    /// As [`Packet::bytes`].
    pub bytes: u32,
    /// Source MAC address, and whatever two octets are behind it.
    pub source_mac: [u8; 8],
    /// As [`FirstPacket::port`].
    pub port: PortId,
    /// As [`FirstPacket::ttl`].
    pub ttl: u8,
    /// As [`FirstPacket::traffic_class`].
    pub traffic_class: u8,
}

const ADDRESS_BITS: u32 = 32;
const PORT_BITS: u32 = 16;

impl Brief {
    /// No flow's [`Meta::OWNER`] has this bit.
    const ODD: u8 = 1;

    /// [`Meta::OWNER`] of the flow of a packet whose key is `wide`.
    #[expect(clippy::cast_possible_truncation, reason = "marks in the lowest octet")]
    const fn expecting(wide: bool) -> u8 {
        Meta::owner(wide) as u8
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
        expects: Brief::expecting(false),
        ttl: 0,
        traffic_class: 0,
        port: PortId(0),
    };

    /// Fills in a plain packet in IPv4 but for its TCP header; `addresses` has the source in the upper half. Branchless: which
    /// endpoint is the lower one is as good as random.
    ///
    /// Written where it lies, by the parser's branches, as each of them knows it: gathered first, it would be more than the
    /// registers hold.
    #[inline(always)]
    pub fn set_plain_ipv4(&mut self, addresses: u64, packet: &PlainPacket) {
        let ports = packet.ports;
        let turned = (addresses.rotate_left(ADDRESS_BITS), ports.rotate_left(PORT_BITS));
        // Addresses decide, and ports where these are the same; with both ends exchanged the lower one is in front of the other.
        let swapped = joined(turned.0, turned.1.into()) < joined(addresses, ports.into());
        let (addresses, ports) = if swapped { turned } else { (addresses, ports) };
        self.addresses = addresses;
        self.set_facts(packet, ports, swapped);
        self.expects = Brief::expecting(false);
        self.rest = 0;
    }

    /// Fills in a plain packet whose key is wide, but for its TCP header; what lies at `rest` in its burst says `swapped`.
    #[inline(always)]
    pub(crate) fn set_plain_wide(&mut self, rest: u32, swapped: bool, packet: &PlainPacket) {
        let ports = packet.ports.rotate_left(u32::from(swapped) * PORT_BITS);
        self.addresses = 0;
        self.set_facts(packet, ports, swapped);
        self.expects = Brief::expecting(true);
        self.rest = rest;
    }

    /// What plain packets have in common; `ports` are those of the key.
    #[inline(always)]
    fn set_facts(&mut self, packet: &PlainPacket, ports: u32, swapped: bool) {
        self.direction = if swapped { Direction::HiToLo } else { Direction::LoToHi };
        self.ports =
            u64::from(ports) << 32 | u64::from(packet.protocol) << 24 | u64::from(packet.vlans & 0x00ff_ffff);
        self.at = packet.at;
        self.source_mac = packet.source_mac;
        self.port = packet.port;
        self.bytes = packet.bytes;
        self.ttl = packet.ttl;
        self.traffic_class = packet.traffic_class;
    }

    /// Fills in the TCP header; all zero for other protocols.
    #[inline(always)]
    pub fn set_tcp(&mut self, tcp: TcpSegment) {
        self.tcp = tcp;
    }

    /// The brief of `packet`, the rest of which lies at `rest` in its burst.
    #[inline(always)]
    pub(crate) fn of(packet: &Packet, rest: u32) -> Brief {
        let narrow = is_narrow(&packet.key);
        // Says of who began the conversation what its TCP flags do, or nothing; and outside tunnels, unless its key is wide.
        let simple = (packet.tunnel == 0 || !narrow)
            && (packet.key.protocol == protocol::TCP || packet.role == Role::Unknown);
        let first = &packet.first;
        let [a, b, c, d, e, f] = first.source_mac.unwrap_or_default();
        Brief {
            addresses: if narrow { narrow_addresses(&packet.key) } else { 0 },
            ports: ports_word(&packet.key),
            at: packet.at,
            source_mac: [a, b, c, d, e, f, 0, 0],
            tcp: packet.tcp,
            bytes: packet.bytes,
            rest,
            direction: packet.direction,
            expects: Brief::expecting(!narrow) | if simple { 0 } else { Brief::ODD },
            ttl: first.ttl,
            traffic_class: first.traffic_class,
            port: first.port,
        }
    }

    /// What [`Meta::OWNER`] has to be for this to be counted in one step.
    #[inline(always)]
    pub(crate) fn expects(&self) -> u32 {
        self.expects.into()
    }

    /// Whether the key does not fit the hot line.
    #[inline(always)]
    pub(crate) fn is_wide(&self) -> bool {
        self.expects() & Meta::WIDE != 0
    }

    /// IP protocol number.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "one field of the word")]
    pub(crate) fn protocol(&self) -> u8 {
        (self.ports >> 24) as u8
    }

    /// The whole packet, which has `rest` beside its brief, if anything.
    pub(crate) fn unfold(&self, rest: Option<&Rest>) -> Packet {
        let Rest { key, role, tunnel, flow_label, icmp, has_mac } = match rest {
            Some(rest) => *rest,
            None => self.plain_rest(),
        };
        let [mac @ .., _, _] = self.source_mac;
        Packet {
            key: key_of(self.ports, &key),
            direction: self.direction,
            at: self.at,
            bytes: self.bytes,
            role,
            tcp: self.tcp,
            first: FirstPacket {
                source_mac: has_mac.then_some(mac),
                port: self.port,
                ttl: self.ttl,
                traffic_class: self.traffic_class,
                flow_label,
                icmp,
            },
            tunnel,
        }
    }

    /// What a plain packet would have as its rest.
    fn plain_rest(&self) -> Rest {
        let is_tcp = self.protocol() == protocol::TCP;
        Rest {
            key: WideKey::narrow(self.addresses),
            tunnel: 0,
            flow_label: 0,
            role: if is_tcp { Role::of_tcp(self.tcp.flags) } else { Role::Unknown },
            icmp: None,
            has_mac: true,
        }
    }
}

/// What a packet that is not plain has beside its brief.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(crate) struct Rest {
    pub(crate) key: WideKey,
    /// As [`Packet::tunnel`].
    pub(crate) tunnel: u32,
    flow_label: u32,
    role: Role,
    icmp: Option<(u8, u8)>,
    has_mac: bool,
}
const _: () = assert!(size_of::<Rest>() == 64);

impl Rest {
    /// That of a plain packet with a wide key, and whether its source is the higher end. `tunnel` is the tunnel's key word and its
    /// place, 0 and 0 outside.
    #[inline(always)]
    pub(crate) fn of_plain(
        family: Family,
        [source, destination]: [u128; 2],
        tunnel: (u64, u32),
        flow_label: u32,
        flags: u8,
        packet: &PlainPacket,
    ) -> (Rest, bool) {
        let [s0, s1, d0, d1] = packet.ports.to_be_bytes();
        let source = Endpoint { address: source, port: u16::from_be_bytes([s0, s1]) };
        let destination = Endpoint { address: destination, port: u16::from_be_bytes([d0, d1]) };
        let (key, direction) = FlowKey::canonical(family, packet.protocol, source, destination);
        let key = WideKey { tunnel: tunnel.0, ..WideKey::of(&key) };
        // Of a datagram, which has no flags, they prove nothing.
        let role = Role::of_tcp(flags);
        let rest = Rest { key, tunnel: tunnel.1, flow_label, role, icmp: None, has_mac: true };
        (rest, direction == Direction::HiToLo)
    }

    #[inline(always)]
    pub(crate) fn of(packet: &Packet) -> Rest {
        Rest {
            key: WideKey::of(&packet.key),
            tunnel: packet.tunnel,
            flow_label: packet.first.flow_label,
            role: packet.role,
            icmp: packet.first.icmp,
            has_mac: packet.first.source_mac.is_some(),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::cold::tests::packets;
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
            brief.set_tcp(if tcp { segment } else { TcpSegment::default() });
            brief.set_plain_ipv4(u64::from(source.0) << 32 | u64::from(destination.0), &PlainPacket {
                ports: u32::from(source.1) << 16 | u32::from(destination.1),
                protocol, vlans, at: Nanos(9), bytes,
                source_mac: [a, b, c, d, e, f, 8, 0],
                port: PortId(port), ttl, traffic_class,
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
            let told = Brief::of(&expected, 1);
            prop_assert_eq!((told.addresses, told.ports, told.expects), (brief.addresses, brief.ports, brief.expects));
        }

        #[test]
        fn a_packet_is_its_brief_and_the_rest(
            packet in packets(), direction in any::<bool>(), role in prop::sample::select(vec![Role::Source, Role::Unknown]),
            tcp in any::<(u32, u32, u16, u8, u32)>(), bytes in any::<u32>(), tunnel in 0u32..100, rest in any::<u32>(),
        ) {
            let (sequence, acknowledgment, window, flags, payload) = tcp;
            let packet = Packet {
                direction: if direction { Direction::LoToHi } else { Direction::HiToLo },
                tcp: TcpSegment { sequence, acknowledgment, window, flags, payload },
                role, bytes, tunnel, ..packet
            };
            let brief = Brief::of(&packet, rest);
            prop_assert_eq!(brief.unfold(Some(&Rest::of(&packet))), packet);
            prop_assert_eq!(brief.rest, rest);
        }
    }
}
