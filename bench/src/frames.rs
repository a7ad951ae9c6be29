//! Minimal Ethernet frames of many TCP flows: one template, and for each packet the octets that tell flows apart.

use flowtable::protocol;

use crate::random::Random;

/// Octets a NIC hands over of the shortest Ethernet frame: 64 on the wire, less the frame check sequence.
pub const FRAME_LEN: usize = 60;
/// Most flows there are different stamps for.
pub const FLOWS_MAX: u32 = 1 << 27;
/// Clients of one block of addresses.
const BLOCK: u32 = 1 << 24;

/// Octets of payload in the shortest frame.
pub const PAYLOAD_LEN: u32 = 6;

const ADDRESSES_AT: usize = 26;
const STAMP_LEN: usize = 12;
const SEQUENCE_LEN: usize = 4;
const TAG_LEN: usize = 4;
/// Outer Ethernet, IPv4, UDP and VXLAN headers.
const VXLAN_OUTER_LEN: usize = 50;
/// The last word of an IPv6 source address.
const IPV6_STAMP_AT: usize = 34;
const FLAGS_AT: usize = 47;
/// Odd, so that multiplying by it modulo 2^24 gives every number once.
const SPREAD: u32 = 0x9e_3779;

/// Source and destination address, source and destination port, as they stand in an IPv4 frame without options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp([u8; STAMP_LEN]);

impl Stamp {
    /// A stamp of the two endpoints, each an address and a port.
    pub fn between(source: (u32, u16), destination: (u32, u16)) -> Stamp {
        let mut octets = [0; STAMP_LEN];
        octets[..4].copy_from_slice(&source.0.to_be_bytes());
        octets[4..8].copy_from_slice(&destination.0.to_be_bytes());
        octets[8..10].copy_from_slice(&source.1.to_be_bytes());
        octets[10..].copy_from_slice(&destination.1.to_be_bytes());
        Stamp(octets)
    }

    /// The octets as they stand in a frame.
    #[inline]
    pub fn octets(&self) -> &[u8; STAMP_LEN] {
        &self.0
    }

    /// Client to server of flow `number`, which must be below [`FLOWS_MAX`]; no two are alike. The servers' port is 443.
    pub fn of_flow(number: u32) -> Stamp {
        let [_, a, b, c] = (number.wrapping_mul(SPREAD) % BLOCK).to_be_bytes();
        let mixed = Random(u64::from(number)).word().to_le_bytes();
        // Servers in 8.0.0.0/14, clients in 10.0.0.0/8 and, every other one, 7.0.0.0/8: either may sort first. Every 2^24
        // flows the next such pair, 16 higher.
        let [block, ..] = number.to_be_bytes();
        let client = (if mixed[0] & 1 == 0 { 10 } else { 7 }) + block % 8 * 16;
        let [high, low] = 443u16.to_be_bytes();
        Stamp([client, a, b, c, 8, mixed[1] & 3, mixed[2], mixed[3], 0x80 | mixed[4], mixed[5], high, low])
    }

    /// The other direction of the same flow.
    #[must_use]
    pub fn reversed(self) -> Stamp {
        let Stamp([s0, s1, s2, s3, d0, d1, d2, d3, sp0, sp1, dp0, dp1]) = self;
        Stamp([d0, d1, d2, d3, s0, s1, s2, s3, dp0, dp1, sp0, sp1])
    }

    /// Makes `frame`, which began as [`template`], the segment `sequence` of this flow. A shorter one is left as it is.
    #[inline]
    pub fn press(&self, sequence: u32, frame: &mut [u8]) {
        self.press_at::<ADDRESSES_AT>(sequence, frame);
    }

    /// The same where the addresses begin at octet `AT`.
    #[inline]
    fn press_at<const AT: usize>(&self, sequence: u32, frame: &mut [u8]) {
        if let Some(octets) = frame.get_mut(AT..AT + STAMP_LEN + SEQUENCE_LEN) {
            octets[..STAMP_LEN].copy_from_slice(&self.0);
            octets[STAMP_LEN..].copy_from_slice(&sequence.to_be_bytes());
        }
    }

    /// The same for a datagram, which has no sequence.
    #[inline]
    fn press_datagram(&self, frame: &mut [u8]) {
        if let Some(octets) = frame.get_mut(ADDRESSES_AT..ADDRESSES_AT + STAMP_LEN) {
            octets.copy_from_slice(&self.0);
        }
    }

    /// The same for IPv6, whose addresses end in those of the stamp.
    #[inline]
    fn press_ipv6(&self, sequence: u32, frame: &mut [u8]) {
        if let Some(octets) = frame.get_mut(IPV6_STAMP_AT..IPV6_STAMP_AT + 28) {
            octets[..4].copy_from_slice(&self.0[..4]);
            octets[16..24].copy_from_slice(&self.0[4..]);
            octets[24..].copy_from_slice(&sequence.to_be_bytes());
        }
    }
}

/// Families of frames: what stands around the octets that tell flows apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// TCP in IPv4, 64 B on the wire with its frame check sequence.
    Tcp,
    /// UDP in IPv4, 64 B.
    Udp,
    /// TCP in IPv4 behind one IEEE 802.1Q tag.
    Vlan,
    /// TCP in IPv6.
    Ipv6,
    /// [`Shape::Tcp`] in VXLAN in IPv4.
    Vxlan,
}

impl Shape {
    /// A frame of this family; `flags` are TCP's.
    pub fn template(self, flags: u8) -> Vec<u8> {
        match self {
            Shape::Tcp => template(flags).to_vec(),
            Shape::Udp => udp_frame(),
            Shape::Vlan => tagged(&template(flags)),
            Shape::Ipv6 => in_ipv6(&template(flags)),
            Shape::Vxlan => in_vxlan(&template(flags)),
        }
    }

    /// Octets from the beginning of a frame to the end of its innermost header: what a parser reads.
    pub fn header_len(self) -> usize {
        match self {
            Shape::Tcp => 54,
            Shape::Udp => 42,
            Shape::Vlan => 58,
            Shape::Ipv6 => 74,
            Shape::Vxlan => 104,
        }
    }

    /// Makes `frame`, which began as the template, the segment `sequence` of the flow of `stamp`.
    #[inline]
    pub fn press(self, stamp: &Stamp, sequence: u32, frame: &mut [u8]) {
        match self {
            Shape::Tcp => stamp.press(sequence, frame),
            Shape::Udp => stamp.press_datagram(frame),
            Shape::Vlan => stamp.press_at::<{ ADDRESSES_AT + TAG_LEN }>(sequence, frame),
            Shape::Ipv6 => stamp.press_ipv6(sequence, frame),
            Shape::Vxlan => stamp.press_at::<{ ADDRESSES_AT + VXLAN_OUTER_LEN }>(sequence, frame),
        }
    }
}

/// An Ethernet, IPv4 and TCP header with `flags` and six octets of payload, which fill the shortest frame.
pub fn template(flags: u8) -> [u8; FRAME_LEN] {
    let mut frame = [0; FRAME_LEN];
    frame[..12].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
    frame[12..14].copy_from_slice(&0x0800u16.to_be_bytes());
    frame[14..26].copy_from_slice(&[0x45, 0, 0, 46, 0, 1, 0x40, 0, 64, 6, 0, 0]);
    Stamp::of_flow(0).press(0, &mut frame);
    frame[42..46].copy_from_slice(&[0, 0, 32, 0]);
    frame[46..50].copy_from_slice(&[0x50, flags, 0x20, 0]);
    debug_assert_eq!(frame[FLAGS_AT], flags);
    frame
}

/// `frame` behind one IEEE 802.1Q tag.
fn tagged(frame: &[u8]) -> Vec<u8> {
    [&frame[..12], &[0x81, 0, 0, 42], &frame[12..]].concat()
}

/// The TCP segment of `frame` in IPv6.
fn in_ipv6(frame: &[u8]) -> Vec<u8> {
    let segment = &frame[34..];
    let mut ip = vec![0x60, 0, 0, 0, 0, 26, 6, 64];
    for last in [1, 2] {
        ip.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    [&frame[..12], &[0x86, 0xdd], &ip, segment].concat()
}

/// `frame` in VXLAN between two tunnel ends, RFC 7348 §5.
fn in_vxlan(frame: &[u8]) -> Vec<u8> {
    let mut outer = vec![2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 4, 8, 0];
    outer.extend([0x45, 0, 0, 96, 0, 1, 0x40, 0, 64, 17, 0, 0, 172, 16, 0, 1, 172, 16, 0, 2]);
    outer.extend([0xc0, 0, 0x12, 0xb5, 0, 76, 0, 0]);
    outer.extend([8, 0, 0, 0, 0, 0x13, 0x88, 0]);
    debug_assert_eq!(outer.len(), VXLAN_OUTER_LEN);
    [&outer, frame].concat()
}

/// An Ethernet, IPv4 and UDP header with 18 octets of payload.
fn udp_frame() -> Vec<u8> {
    let mut frame = template(0).to_vec();
    frame[23] = protocol::UDP;
    frame[38..].fill(0);
    frame[39] = 26;
    frame
}

/// Client to server of each of `flows` flows, in the order of their numbers.
pub fn in_order(flows: u32) -> Vec<Stamp> {
    (0..flows).map(Stamp::of_flow).collect()
}

/// Each of `flows` flows once, in random order and random direction: the worst order for caches, as a flow comes back
/// only when all others have passed.
pub fn at_random(flows: u32) -> Vec<Stamp> {
    in_random_order(in_order(flows))
}

/// `stamps` in random order, every other one reversed at random.
pub fn in_random_order(mut stamps: Vec<Stamp>) -> Vec<Stamp> {
    let mut random = Random(stamps.len() as u64);
    random.shuffle(&mut stamps);
    for stamp in &mut stamps {
        if random.word() & 1 == 1 {
            *stamp = stamp.reversed();
        }
    }
    stamps
}

#[cfg(test)]
mod tests {
    use super::*;
    use dataplane::wire::{self, Beside, LinkType, ParseOptions};
    use flowtable::{Nanos, Packet, PortId, protocol, tcp_flag};
    use std::collections::HashSet;

    fn parsed(frame: &[u8]) -> Packet {
        let parsed = wire::parse(
            LinkType::Ethernet,
            frame,
            64,
            Nanos(0),
            PortId(0),
            &ParseOptions::default(),
            &mut Beside::default(),
        );
        let parsed = parsed.unwrap();
        assert_eq!(parsed.anomaly, None);
        parsed.packet
    }

    #[test]
    fn every_stamp_is_a_flow_of_its_own_whichever_way_it_goes() {
        let mut frame = template(tcp_flag::ACK);
        let keys: HashSet<_> = at_random(5_000)
            .iter()
            .map(|stamp| {
                stamp.press(0, &mut frame);
                let packet = parsed(&frame);
                stamp.reversed().press(0, &mut frame);
                let back = parsed(&frame);
                assert_eq!((packet.key, packet.direction), (back.key, back.direction.flipped()));
                packet.key
            })
            .collect();
        assert_eq!(keys.len(), 5_000);
    }

    #[test]
    fn the_frames_of_every_family_are_of_the_flow_of_their_stamp() {
        let stamp = Stamp::of_flow(77);
        let addresses = |packet: &Packet| {
            let low = |address: u128| u32::try_from(address & 0xffff_ffff).unwrap();
            let (lo, hi) = (packet.key.lo_address, packet.key.hi_address);
            let mut both = [(low(lo), packet.key.lo_port), (low(hi), packet.key.hi_port)];
            both.sort_unstable();
            both
        };
        let mut expected = template(tcp_flag::ACK);
        stamp.press(5, &mut expected);
        let expected = addresses(&parsed(&expected));
        for (shape, number, payload) in [
            (Shape::Tcp, protocol::TCP, 6),
            (Shape::Udp, protocol::UDP, 0),
            (Shape::Vlan, protocol::TCP, 6),
            (Shape::Ipv6, protocol::TCP, 6),
            (Shape::Vxlan, protocol::TCP, 6),
        ] {
            let mut frame = shape.template(tcp_flag::ACK);
            shape.press(&stamp, 0x0102_0304, &mut frame);
            let packet = parsed(&frame);
            assert_eq!((packet.key.protocol, packet.tcp.payload), (number, payload), "{shape:?}");
            assert_eq!(addresses(&packet), expected, "{shape:?}");
            let tcp = number == protocol::TCP;
            assert_eq!(packet.tcp.sequence, if tcp { 0x0102_0304 } else { 0 }, "{shape:?}");
            assert!(shape.header_len() <= frame.len());
            assert_eq!(packet.key.tunnel != 0, shape == Shape::Vxlan);
            assert_eq!(packet.key.vlans != 0, shape == Shape::Vlan);
        }
    }
}
