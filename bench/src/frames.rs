//! Minimal Ethernet frames of many TCP flows: one template, and for each packet the octets that tell flows apart.

use crate::random::Random;
use flowtable::tcp_flag;

/// Octets a NIC hands over of the shortest Ethernet frame: 64 on the wire, less the frame check sequence.
pub const FRAME_LEN: usize = 60;
/// Most flows there are different stamps for.
pub const FLOWS_MAX: u32 = 1 << 24;

/// Octets of payload in the shortest frame.
pub const PAYLOAD_LEN: u32 = 6;

const ADDRESSES_AT: usize = 26;
const STAMP_LEN: usize = 12;
const SEQUENCE_LEN: usize = 4;
const FLAGS_AT: usize = 47;
/// Odd, so that multiplying by it modulo 2^24 gives every number once.
const SPREAD: u32 = 0x9e_3779;

/// Source and destination address, source and destination port, as they stand in an IPv4 frame without options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp([u8; STAMP_LEN]);

impl Stamp {
    /// Client to server of flow `number`, which must be below [`FLOWS_MAX`]; no two are alike. The servers' port is 443.
    pub fn of_flow(number: u32) -> Stamp {
        let [_, a, b, c] = (number.wrapping_mul(SPREAD) % FLOWS_MAX).to_be_bytes();
        let mixed = Random(u64::from(number)).word().to_le_bytes();
        // Servers in 8.0.0.0/14, clients in 10.0.0.0/8 and, every other one, 7.0.0.0/8: either may sort first.
        let client = if mixed[0] & 1 == 0 { 10 } else { 7 };
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
        if let Some(octets) = frame.get_mut(ADDRESSES_AT..ADDRESSES_AT + STAMP_LEN + SEQUENCE_LEN) {
            octets[..STAMP_LEN].copy_from_slice(&self.0);
            octets[STAMP_LEN..].copy_from_slice(&sequence.to_be_bytes());
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

/// [`template`] behind one IEEE 802.1Q tag.
pub fn vlan_frame() -> Vec<u8> {
    let frame = template(tcp_flag::ACK);
    [&frame[..12], &[0x81, 0, 0, 42], &frame[12..]].concat()
}

/// A TCP segment like [`template`]'s in IPv6.
pub fn ipv6_frame() -> Vec<u8> {
    let frame = template(tcp_flag::ACK);
    let segment = &frame[34..];
    let mut ip = vec![0x60, 0, 0, 0, 0, 26, 6, 64];
    for last in [1, 2] {
        ip.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    [&frame[..12], &[0x86, 0xdd], &ip, segment].concat()
}

/// Client to server of each of `flows` flows, in the order of their numbers.
pub fn in_order(flows: u32) -> Vec<Stamp> {
    (0..flows).map(Stamp::of_flow).collect()
}

/// Each of `flows` flows once, in random order and random direction: the worst order for caches, as a flow comes back
/// only when all others have passed.
pub fn at_random(flows: u32) -> Vec<Stamp> {
    let mut random = Random(u64::from(flows));
    let mut stamps = in_order(flows);
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
    use flowtable::{Nanos, Packet, PortId, protocol};
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
    fn the_frames_are_tcp_with_a_little_data() {
        for frame in [template(tcp_flag::ACK).to_vec(), vlan_frame(), ipv6_frame()] {
            let packet = parsed(&frame);
            assert_eq!((packet.key.protocol, packet.tcp.flags), (protocol::TCP, tcp_flag::ACK));
            assert_eq!(packet.tcp.payload, 6);
        }
    }
}
