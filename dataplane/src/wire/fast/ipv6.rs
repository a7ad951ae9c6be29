//! TCP and UDP in IPv6 without extension headers, whole and sound, with one VLAN tag or none.

use super::{ETHERNET_LEN, TAG_LEN, TCP_LEN, behind_link, chunk, source_mac, transport, word16, word32};
use crate::wire::{ByteCount, ParseOptions};
use flowtable::{Burst, Nanos, PlainPacket, PortId};

const IPV6_LEN: usize = 40;
/// The Ethernet type and version 6.
const PLAIN_IPV6: u32 = 0x8_6dd6;
/// IPv6 and TCP; asked of UDP too.
const HEADERS_LEN: usize = IPV6_LEN + TCP_LEN;

/// Adds the packet of an Ethernet frame to `burst`; `false` where it has to go the general way.
#[inline(always)]
pub(super) fn push(
    frame: &[u8],
    wire_len: u32,
    at: Nanos,
    port: PortId,
    options: &ParseOptions,
    burst: &mut Burst,
) -> bool {
    let Some(place) = burst.whole_place(at, port) else { return false };
    let found = behind_link::<
        HEADERS_LEN,
        { ETHERNET_LEN + HEADERS_LEN },
        { ETHERNET_LEN + TAG_LEN + HEADERS_LEN },
    >(frame, |typed| typed >> 12 == PLAIN_IPV6);
    let Some((header, vlans, link_octets)) = found else { return false };
    let (first_word, length) = (word32(header, 0), u32::from(word16(header, 4)));
    // Of a frame so long; no more than that and the headers is looked at. Length 0 stands for another one, see RFC 2675.
    let limit = wire_len.wrapping_sub(link_octets.wrapping_add(40));
    if length.wrapping_sub(1) >= limit {
        return false;
    }
    let protocol = header[6];
    let Some(tcp) = transport(header, IPV6_LEN, protocol, length, 0, options) else { return false };
    place.brief.set_tcp(tcp);
    let packet = PlainPacket {
        ports: word32(header, IPV6_LEN),
        protocol,
        vlans: if options.key_vlan { vlans } else { 0 },
        bytes: match options.count {
            ByteCount::Ip => length.wrapping_add(40),
            ByteCount::Frame => wire_len,
        },
        source_mac: source_mac(frame),
        ttl: header[7],
        traffic_class: (first_word >> 20 & 0xff) as u8,
    };
    let address = |destination| u128::from_be_bytes(chunk(header, if destination { 24 } else { 8 }));
    place.brief.set_plain_ipv6(place.rest, address, first_word & 0x000f_ffff, &packet);
    place.push();
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Beside, LinkType, parse};
    use flowtable::Packet;
    use proptest::prelude::*;

    /// What the table is told of a frame that takes the short way.
    fn fast(frame: &[u8], wire_len: u32, options: &ParseOptions) -> Option<Packet> {
        let mut burst = Burst::with_capacity(1);
        push(frame, wire_len, Nanos(7), PortId(3), options, &mut burst);
        burst.packets().next()
    }

    /// Ethernet, IPv6 from 2001:db8::1 to 2001:db8::2, and TCP with six octets, or UDP with eighteen.
    fn frame(udp: bool, tagged: bool) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        if tagged {
            frame.extend([0x81, 0, 0x1a, 0xbc]);
        }
        frame.extend([0x86, 0xdd, 0x6b, 0x81, 0x23, 0x45, 0, 26, if udp { 17 } else { 6 }, 64]);
        for last in [1, 2] {
            frame.extend([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
        }
        frame.extend([0x9c, 0x40, 1, 0xbb]);
        frame.extend(if udp { [0, 26, 0, 0] } else { [0, 0, 0, 7] });
        frame.extend([0, 0, 0, 9, 0x50, 0x18, 2, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6]);
        frame
    }

    #[test]
    fn sound_frames_take_the_short_way() {
        for (udp, tagged) in [(false, false), (false, true), (true, false), (true, true)] {
            let taken = fast(&frame(udp, tagged), 84, &ParseOptions::default()).unwrap();
            assert_eq!(
                (taken.bytes, taken.first.flow_label, taken.first.traffic_class),
                (66, 0x1_2345, 0xb8)
            );
            assert_eq!(taken.key.vlans, if tagged { 0xabc << 12 } else { 0 });
        }
    }

    proptest! {
        #[test]
        fn what_is_given_is_what_the_general_way_gives(
            udp in any::<bool>(), tagged in any::<bool>(), swapped in any::<bool>(),
            changes in prop::collection::vec((6usize..80, any::<u8>()), 0..4),
            cut in 0usize..30, wire_len in 0u32..90, frame_octets in any::<bool>(), key_vlan in any::<bool>(),
        ) {
            let mut frame = frame(udp, tagged);
            if swapped {
                let last = frame.len() - 46 + 15;
                frame[last] = 200;
            }
            for (at, octet) in changes {
                frame[at] = octet;
            }
            let frame = &frame[..frame.len() - cut.saturating_sub(20)];
            let wire_len = wire_len.max(frame.len().try_into().unwrap());
            let count = if frame_octets { ByteCount::Frame } else { ByteCount::Ip };
            let options = ParseOptions { count, key_vlan, ..ParseOptions::default() };
            if let Some(packet) = fast(frame, wire_len, &options) {
                let mut beside = Beside::default();
                let general =
                    parse(LinkType::Ethernet, frame, wire_len, Nanos(7), PortId(3), &options, &mut beside);
                let general = general.unwrap();
                prop_assert_eq!((general.packet, general.anomaly, general.beside), (packet, None, false));
            }
        }
    }
}
