//! TCP and UDP in IPv4 in Ethernet in VXLAN (RFC 7348 §5) in UDP in IPv4, all without options or fragments, whole and sound,
//! with one outer VLAN tag or none.

use super::{
    ETHERNET_LEN, IPV4_LEN, PLAIN_IPV4, TAG_LEN, TCP_LEN, behind_link, source_mac, total_length, transport,
    word16, word32, word64,
};
use crate::wire::{ByteCount, ParseOptions};
use flowtable::{Burst, Nanos, PlainPacket, PlainVxlan, PortId, TunnelKind};

const UDP_LEN: usize = 8;
const VXLAN_LEN: usize = 8;
/// Where the VXLAN header and the inner frame begin behind the link layer.
const VXLAN_AT: usize = IPV4_LEN + UDP_LEN;
const FRAME_AT: usize = VXLAN_AT + VXLAN_LEN;
const HEADERS_LEN: usize = FRAME_AT + ETHERNET_LEN + IPV4_LEN + TCP_LEN;
/// Octets from the outer UDP header to the inner packet.
const BETWEEN: u32 = 8 + 8 + 14;
/// Flags: the VNI is valid, and the generic extension is not used.
const FLAGS_LOOKED_AT: u8 = 0x0c;
const VNI_ALONE: u8 = 0x08;

/// Adds the inner packet of an Ethernet frame, and its tunnel, to `burst`; `false` where it has to go the general way, as all do
/// whose tunnel is not in the key. The frame has been found to be [`Outcome::Vxlan`](super::Outcome::Vxlan).
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
    >(frame, |typed| typed >> 8 == PLAIN_IPV4);
    let Some((header, vlans, _)) = found else { return false };
    let is_vxlan =
        options.tunnels.enters(TunnelKind::Vxlan) && header[VXLAN_AT] & FLAGS_LOOKED_AT == VNI_ALONE;
    if !is_vxlan || !options.key_tunnel || word32(header, FRAME_AT.wrapping_add(12)) >> 8 != PLAIN_IPV4 {
        return false;
    }
    let Some(inner) = header.last_chunk::<{ IPV4_LEN + TCP_LEN }>() else { return false };
    let carried = u32::from(word16(header, IPV4_LEN.wrapping_add(4)));
    let Some(bytes) = total_length(inner, carried.saturating_sub(BETWEEN)) else { return false };
    let protocol = inner[9];
    let Some(tcp) = transport(inner, IPV4_LEN, protocol, bytes, 20, options) else { return false };
    place.brief.set_tcp(tcp);
    let packet = PlainPacket {
        ports: word32(inner, IPV4_LEN),
        protocol,
        vlans: if options.key_vlan { vlans } else { 0 },
        bytes: match options.count {
            ByteCount::Ip => bytes,
            ByteCount::Frame => wire_len,
        },
        source_mac: source_mac(frame),
        ttl: inner[8],
        traffic_class: inner[1],
    };
    let tunnel = PlainVxlan {
        addresses: word64(header, 12),
        ports: word32(header, IPV4_LEN),
        vni: word32(header, VXLAN_AT.wrapping_add(4)) >> 8,
    };
    place.brief.set_plain_in(place.rest, tunnel, word64(inner, 12), &packet);
    place.push();
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Beside, LinkType, PortList, TunnelOptions, parse};
    use flowtable::{Packet, Tunnel};
    use proptest::prelude::*;

    /// What the table is told of a frame that takes the short way.
    fn fast(frame: &[u8], wire_len: u32, options: &ParseOptions) -> Option<(Packet, Option<Tunnel>)> {
        let mut burst = Burst::with_capacity(1);
        super::super::push(frame, wire_len, Nanos(7), PortId(3), options, &mut burst);
        let packet = burst.packets().next()?;
        Some((packet, burst.tunnel_of(&packet)))
    }

    /// TCP with six octets, or UDP with eighteen, in VNI 0x010203.
    fn frame(udp: bool, tagged: bool) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        if tagged {
            frame.extend([0x81, 0, 0x1a, 0xbc]);
        }
        frame.extend([8, 0, 0x45, 0, 0, 96, 0, 1, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
        frame.extend([0xc0, 0x01, 0x12, 0xb5, 0, 76, 0, 0, 8, 0, 0, 0, 1, 2, 3, 0]);
        frame.extend([2, 0, 0, 0, 1, 1, 2, 0, 0, 0, 1, 2]);
        frame.extend([8, 0, 0x45, 0xb8, 0, 46, 0, 1, 0x40, 0, 63, if udp { 17 } else { 6 }, 0, 0]);
        frame.extend([10, 0, 0, 1, 10, 0, 0, 2, 0x9c, 0x40, 1, 0xbb]);
        frame.extend(if udp { [0, 26, 0, 0] } else { [0, 0, 0, 7] });
        frame.extend([0, 0, 0, 9, 0x50, 0x18, 2, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6]);
        frame
    }

    #[test]
    fn sound_frames_take_the_short_way() {
        for (udp, tagged) in [(false, false), (false, true), (true, false), (true, true)] {
            let (packet, tunnel) = fast(&frame(udp, tagged), 114, &ParseOptions::default()).unwrap();
            assert_eq!((packet.bytes, packet.first.ttl, tunnel.unwrap().id), (46, 63, Some(0x01_0203)));
            assert_eq!(packet.key.vlans, if tagged { 0xabc << 12 } else { 0 });
        }
    }

    proptest! {
        #[test]
        fn what_is_given_is_what_the_general_way_gives(
            udp in any::<bool>(), tagged in any::<bool>(), inner_port in prop::sample::select(vec![443u16, 4_789, 2_152]),
            changes in prop::collection::vec((6usize..110, any::<u8>()), 0..4),
            cut in 0usize..30, wire_len in 0u32..120, frame_octets in any::<bool>(), keyed in any::<(bool, bool)>(),
            off in any::<bool>(), geneve_too in any::<bool>(),
        ) {
            let mut frame = frame(udp, tagged);
            let port_at = frame.len() - 24;
            frame[port_at..port_at + 2].copy_from_slice(&inner_port.to_be_bytes());
            for (at, octet) in changes {
                frame[at] = octet;
            }
            let frame = &frame[..frame.len() - cut.saturating_sub(20)];
            let wire_len = wire_len.max(frame.len().try_into().unwrap());
            let count = if frame_octets { ByteCount::Frame } else { ByteCount::Ip };
            let mut tunnels = TunnelOptions::default();
            if off {
                tunnels.kinds &= !(1 << TunnelKind::Vxlan as u8);
            }
            if geneve_too {
                tunnels.geneve_ports = PortList([4_789, 0, 0, 0]);
            }
            let options = ParseOptions { count, key_vlan: keyed.0, key_tunnel: keyed.1, tunnels };
            if let Some((packet, tunnel)) = fast(frame, wire_len, &options) {
                let mut beside = Beside::default();
                let general =
                    parse(LinkType::Ethernet, frame, wire_len, Nanos(7), PortId(3), &options, &mut beside);
                let general = general.unwrap();
                let packet = Packet { tunnel: 0, ..packet };
                prop_assert_eq!((general.packet, general.anomaly, general.beside), (packet, None, tunnel.is_some()));
                prop_assert_eq!(beside, Beside { tunnel, fragment: None, quote: None });
            }
        }
    }
}
