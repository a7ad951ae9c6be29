//! TCP in IPv4 without options, fragments or tags, whole and sound: nearly every packet of most links, with one check of
//! the length and no step between the layers. Gives `None` for all else, which goes the general way; where it gives a
//! packet, the general way gives the same.

use super::{ByteCount, ParseOptions, ethertype::number, octets, tcp_role};
use flowtable::{Direction, Family, FirstPacket, FlowKey, Nanos, Packet, PortId, TcpSegment, protocol};

/// Ethernet, IPv4 and TCP headers without options.
const HEADERS_LEN: usize = 14 + 20 + 20;
/// Version 4, header of five words.
const PLAIN_IPV4: u8 = 0x45;
/// "More fragments" and the fragment offset.
const FRAGMENT_BITS: u16 = 0x3fff;

#[inline]
pub(super) fn tcp_in_ipv4(
    frame: &[u8],
    wire_len: u32,
    at: Nanos,
    port: PortId,
    options: &ParseOptions,
) -> Option<Packet> {
    let header = frame.first_chunk::<HEADERS_LEN>()?;
    let word16 = |a: u8, b: u8| u16::from_be_bytes([a, b]);
    let wire_len = wire_len.max(octets(frame));
    let total_length = u32::from(word16(header[16], header[17]));
    let tcp_octets = u32::from(header[46] >> 4 << 2);
    let payload = total_length.checked_sub(20)?.checked_sub(tcp_octets)?;
    let plain = word16(header[12], header[13]) == number::IPV4
        && header[14] == PLAIN_IPV4
        && header[23] == protocol::TCP
        && word16(header[20], header[21]) & FRAGMENT_BITS == 0
        && tcp_octets >= 20
        && total_length <= wire_len.wrapping_sub(14);
    if !plain {
        return None;
    }
    let source = u32::from_be_bytes([header[26], header[27], header[28], header[29]]);
    let destination = u32::from_be_bytes([header[30], header[31], header[32], header[33]]);
    let (source_port, destination_port) = (word16(header[34], header[35]), word16(header[36], header[37]));
    let from = u64::from(source) << 16 | u64::from(source_port);
    let to = u64::from(destination) << 16 | u64::from(destination_port);
    let (lo, hi, direction) =
        if from <= to { (from, to, Direction::LoToHi) } else { (to, from, Direction::HiToLo) };
    let flags = header[47];
    let [_, _, _, _, _, _, source_mac @ .., _, _] = header.first_chunk::<14>()?;
    Some(Packet {
        key: narrow_key(lo, hi),
        direction,
        at,
        bytes: match options.count {
            ByteCount::Ip => total_length,
            ByteCount::Frame => wire_len,
        },
        role: tcp_role(flags),
        tcp: TcpSegment {
            sequence: u32::from_be_bytes([header[38], header[39], header[40], header[41]]),
            acknowledgment: u32::from_be_bytes([header[42], header[43], header[44], header[45]]),
            window: word16(header[48], header[49]),
            flags,
            payload,
        },
        first: FirstPacket {
            source_mac: Some(*source_mac),
            port,
            ttl: header[22],
            traffic_class: header[15],
            flow_label: 0,
            icmp: None,
        },
        tunnel: 0,
    })
}

/// The key of two endpoints, each an address above a port of 16 bits.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the port is the low 16 bits")]
fn narrow_key(lo: u64, hi: u64) -> FlowKey {
    FlowKey {
        lo_address: u128::from(lo >> 16),
        hi_address: u128::from(hi >> 16),
        lo_port: lo as u16,
        hi_port: hi as u16,
        protocol: protocol::TCP,
        family: Family::V4,
        one_way: None,
        vlans: 0,
        tunnel: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Beside, LinkType, parse_any};
    use proptest::prelude::*;

    /// Ethernet, IPv4 and TCP with six octets of payload.
    const SOUND: [u8; 60] = [
        2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 46, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1,
        10, 0, 0, 2, 0x9c, 0x40, 1, 0xbb, 0, 0, 0, 7, 0, 0, 0, 9, 0x50, 0x10, 2, 0, 0, 0, 0, 0, 1, 2, 3, 4,
        5, 6,
    ];

    fn fast(frame: &[u8], wire_len: u32, options: &ParseOptions) -> Option<Packet> {
        tcp_in_ipv4(frame, wire_len, Nanos(7), PortId(3), options)
    }

    #[test]
    fn a_sound_frame_takes_the_short_way() {
        assert!(fast(&SOUND, 60, &ParseOptions::default()).is_some());
    }

    proptest! {
        #[test]
        fn what_is_given_is_what_the_general_way_gives(
            changes in prop::collection::vec((12usize..60, any::<u8>()), 0..4),
            addresses in any::<[u8; 12]>(), length in 0usize..=60, missing in 0u32..80, frame_octets in any::<bool>(),
        ) {
            let mut frame = SOUND;
            frame[26..38].copy_from_slice(&addresses);
            for (at, octet) in changes {
                frame[at] = octet;
            }
            let frame = &frame[..length];
            let count = if frame_octets { ByteCount::Frame } else { ByteCount::Ip };
            let options = ParseOptions { count, ..ParseOptions::default() };
            if let Some(packet) = fast(frame, missing, &options) {
                let general = parse_any(LinkType::Ethernet, frame, missing, Nanos(7), PortId(3), &options, &mut Beside::default()).unwrap();
                prop_assert_eq!((general.packet, general.anomaly), (packet, None));
            }
        }
    }
}
