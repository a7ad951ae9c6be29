//! TCP and UDP in IPv4 without options or fragments, whole and sound, with one VLAN tag or none: nearly every packet of most
//! links, with one check of the length and no step between the layers. All else goes the general
//! way; where this gives a packet, the general way gives the same.

use super::{ByteCount, ParseOptions, ethertype::number, octets, tunnel};
use flowtable::{Brief, Nanos, PlainIpv4, PortId, TcpSegment, protocol};

const ETHERNET_LEN: usize = 14;
const TAG_LEN: usize = 4;
/// IPv4 and TCP headers without options. A frame that was not cut short or taken without its padding holds as much, so this
/// is what is asked of UDP too.
const HEADERS_LEN: usize = 20 + 20;
/// The Ethernet type, version 4 and a header of five words, above the type of service.
const PLAIN_IPV4: u32 = 0x08_0045;
/// "More fragments" and the fragment offset.
const FRAGMENT_BITS: u16 = 0x3fff;
const VLAN_ID: u32 = 0x0fff;

/// Writes an Ethernet frame's brief; `false` where it has to go the general way, and `brief` is then worth nothing.
#[inline(always)]
pub(super) fn brief(
    frame: &[u8],
    wire_len: u32,
    at: Nanos,
    port: PortId,
    options: &ParseOptions,
    brief: &mut Brief,
) -> bool {
    let Some(ethernet) = frame.first_chunk::<{ ETHERNET_LEN + HEADERS_LEN }>() else { return false };
    let Some((header, vlans, link_octets)) = ipv4(frame, ethernet) else { return false };
    let wire_len = wire_len.max(octets(frame));
    let total_length = u32::from(word16(header, 2));
    let payload_octets = total_length.wrapping_sub(20);
    let whole = total_length >= 20 && total_length <= wire_len.wrapping_sub(link_octets);
    if !whole || word16(header, 6) & FRAGMENT_BITS != 0 {
        return false;
    }
    let (protocol, ports) = (header[9], word32(header, 20));
    let sound = match protocol {
        protocol::TCP => segment(header, payload_octets, brief),
        protocol::UDP => {
            datagram(header, payload_octets, brief) && !tunnel::has_port_of_one(ports, &options.tunnels)
        }
        _ => false,
    };
    if !sound {
        return false;
    }
    brief.set_plain_ipv4(&PlainIpv4 {
        addresses: word64(header, 12),
        ports,
        protocol,
        vlans: if options.key_vlan { vlans } else { 0 },
        at,
        bytes: match options.count {
            ByteCount::Ip => total_length,
            ByteCount::Frame => wire_len,
        },
        source_mac: word64(ethernet, 4) & 0xffff_ffff_ffff,
        port,
        ttl: header[8],
        traffic_class: header[1],
    });
    true
}

/// The headers from a plain IPv4 header on, the VLAN key, and the octets before.
#[inline(always)]
fn ipv4<'a>(
    frame: &'a [u8],
    ethernet: &'a [u8; ETHERNET_LEN + HEADERS_LEN],
) -> Option<(&'a [u8; HEADERS_LEN], u32, u32)> {
    let typed = word32(ethernet, 12);
    if typed >> 8 == PLAIN_IPV4 {
        return Some((ethernet.last_chunk()?, 0, 14));
    }
    if typed >> 16 != u32::from(number::VLAN) {
        return None;
    }
    let tagged = frame.first_chunk::<{ ETHERNET_LEN + TAG_LEN + HEADERS_LEN }>()?;
    if word32(tagged, 16) >> 8 != PLAIN_IPV4 {
        return None;
    }
    Some((tagged.last_chunk()?, (typed & VLAN_ID) << 12, 18))
}

/// Writes the TCP header's part, if it fits the packet.
#[inline(always)]
fn segment(header: &[u8; HEADERS_LEN], payload_octets: u32, brief: &mut Brief) -> bool {
    let header_octets = u32::from(header[32] >> 4 << 2);
    brief.set_tcp(TcpSegment {
        sequence: word32(header, 24),
        acknowledgment: word32(header, 28),
        window: word16(header, 34),
        flags: header[33],
        payload: payload_octets.wrapping_sub(header_octets),
    });
    header_octets >= 20 && header_octets <= payload_octets
}

/// Writes that there is no TCP header. Gives whether the length in the UDP header is one and fits the packet.
#[inline(always)]
fn datagram(header: &[u8; HEADERS_LEN], payload_octets: u32, brief: &mut Brief) -> bool {
    brief.set_tcp(TcpSegment::default());
    (8..=payload_octets).contains(&u32::from(word16(header, 24)))
}

/// The octets from a constant `at` on, which lie inside: the compiler sees that, and leaves the check out.
#[inline(always)]
fn chunk<const N: usize, const LEN: usize>(header: &[u8; LEN], at: usize) -> [u8; N] {
    header.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

#[inline(always)]
fn word16<const LEN: usize>(header: &[u8; LEN], at: usize) -> u16 {
    u16::from_be_bytes(chunk(header, at))
}

#[inline(always)]
fn word32<const LEN: usize>(header: &[u8; LEN], at: usize) -> u32 {
    u32::from_be_bytes(chunk(header, at))
}

#[inline(always)]
fn word64<const LEN: usize>(header: &[u8; LEN], at: usize) -> u64 {
    u64::from_be_bytes(chunk(header, at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Beside, LinkType, parse};
    use flowtable::{Burst, Packet};
    use proptest::prelude::*;

    /// Ethernet, IPv4 and TCP with six octets of payload.
    const SOUND: [u8; 60] = [
        2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 46, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1,
        10, 0, 0, 2, 0x9c, 0x40, 1, 0xbb, 0, 0, 0, 7, 0, 0, 0, 9, 0x50, 0x10, 2, 0, 0, 0, 0, 0, 1, 2, 3, 4,
        5, 6,
    ];

    /// What the table is told of a frame that takes the short way.
    fn fast(frame: &[u8], wire_len: u32, options: &ParseOptions) -> Option<Packet> {
        let mut burst = Burst::with_capacity(1);
        burst.push_plain(|place| brief(frame, wire_len, Nanos(7), PortId(3), options, place));
        burst.packets().next()
    }

    /// `SOUND` with UDP in the place of TCP, and with a tag of VLAN 0xabc where wanted.
    fn frame(udp: bool, tagged: bool) -> Vec<u8> {
        let mut frame = SOUND.to_vec();
        if udp {
            frame[23] = protocol::UDP;
            frame[38..42].copy_from_slice(&[0, 26, 0, 0]);
        }
        if tagged {
            frame.splice(12..12, [0x81, 0, 0x1a, 0xbc]);
        }
        frame
    }

    #[test]
    fn sound_frames_take_the_short_way() {
        for (udp, tagged) in [(false, false), (false, true), (true, false), (true, true)] {
            let packet = fast(&frame(udp, tagged), 64, &ParseOptions::default()).unwrap();
            assert_eq!(packet.key.protocol, if udp { protocol::UDP } else { protocol::TCP });
            assert_eq!(packet.key.vlans, if tagged { 0xabc << 12 } else { 0 });
        }
    }

    proptest! {
        #[test]
        fn what_is_given_is_what_the_general_way_gives(
            udp in any::<bool>(), tagged in any::<bool>(), port in prop::sample::select(vec![None, Some(4_789u16), Some(2_152)]),
            changes in prop::collection::vec((6usize..60, any::<u8>()), 0..4), addresses in any::<[u8; 12]>(),
            cut in 0usize..30, missing in 0u32..80, frame_octets in any::<bool>(), key_vlan in any::<bool>(),
        ) {
            let mut frame = frame(udp, tagged);
            let network = if tagged { 18 } else { 14 };
            frame[network + 12..network + 24].copy_from_slice(&addresses);
            if let Some(port) = port {
                frame[network + 22..network + 24].copy_from_slice(&port.to_be_bytes());
            }
            for (at, octet) in changes {
                frame[at] = octet;
            }
            // Most are long enough.
            let frame = &frame[..frame.len() - cut.saturating_sub(20)];
            let count = if frame_octets { ByteCount::Frame } else { ByteCount::Ip };
            let options = ParseOptions { count, key_vlan, ..ParseOptions::default() };
            if let Some(packet) = fast(frame, missing, &options) {
                let general = parse(LinkType::Ethernet, frame, missing, Nanos(7), PortId(3), &options, &mut Beside::default()).unwrap();
                prop_assert_eq!((general.packet, general.anomaly), (packet, None));
            }
        }
    }
}
