//! TCP and UDP in IPv4 without options or fragments, whole and sound, with one VLAN tag or none: nearly every packet of most
//! links. Written as a brief where it will lie.

use super::{
    ETHERNET_LEN, IPV4_LEN, Outcome, PLAIN_IPV4, TAG_LEN, TCP_LEN, behind_link, is_datagram, segment,
    source_mac, total_length, word32, word64,
};
use crate::wire::{ByteCount, ParseOptions, tunnel};
use flowtable::{Brief, Nanos, PlainPacket, PortId, TcpSegment, protocol};

/// IPv4 and TCP. A frame that was not cut short or taken without its padding holds as much, so this is asked of UDP too.
const HEADERS_LEN: usize = IPV4_LEN + TCP_LEN;

/// Writes an Ethernet frame's brief, which is worth nothing where it has to go another way.
#[inline(always)]
pub(super) fn write(
    frame: &[u8],
    wire_len: u32,
    at: Nanos,
    port: PortId,
    options: &ParseOptions,
    brief: &mut Brief,
) -> Outcome {
    let found = behind_link::<
        HEADERS_LEN,
        { ETHERNET_LEN + HEADERS_LEN },
        { ETHERNET_LEN + TAG_LEN + HEADERS_LEN },
    >(frame, |typed| typed >> 8 == PLAIN_IPV4);
    let Some((header, vlans, link_octets)) = found else { return Outcome::Other };
    let limit = wire_len.wrapping_sub(link_octets);
    let Some(total_length) = total_length(header, limit) else { return Outcome::Other };
    let (protocol, ports) = (header[9], word32(header, IPV4_LEN));
    match protocol {
        protocol::TCP => match segment(header, IPV4_LEN, total_length, 20) {
            Some(tcp) => brief.set_tcp(tcp),
            None => return Outcome::Other,
        },
        protocol::UDP if is_datagram(header, IPV4_LEN, total_length, 20) => {
            if tunnel::has_port_of_one(ports, &options.tunnels) {
                return tunnel_at(ports, options);
            }
            brief.set_tcp(TcpSegment::default());
        }
        _ => return Outcome::Other,
    }
    let packet = PlainPacket {
        ports,
        protocol,
        vlans: if options.key_vlan { vlans } else { 0 },
        bytes: match options.count {
            ByteCount::Ip => total_length,
            ByteCount::Frame => wire_len,
        },
        source_mac: source_mac(frame),
        ttl: header[8],
        traffic_class: header[1],
    };
    brief.begin(at, port);
    brief.set_plain_ipv4(word64(header, 12), &packet);
    Outcome::Written
}

/// Which way a datagram with a port of some tunnel has to go.
#[inline(always)]
fn tunnel_at(ports: u32, options: &ParseOptions) -> Outcome {
    let [_, _, d0, d1] = ports.to_be_bytes();
    let vxlan = options.tunnels.vxlan_ports.has(u16::from_be_bytes([d0, d1]));
    if vxlan { Outcome::Vxlan } else { Outcome::Tunnel }
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
        let place = burst.place()?;
        if write(frame, wire_len, Nanos(7), PortId(3), options, place.brief) == Outcome::Written {
            place.push();
        }
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
            cut in 0usize..30, wire_len in 0u32..80, frame_octets in any::<bool>(), key_vlan in any::<bool>(),
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
            let wire_len = wire_len.max(frame.len().try_into().unwrap());
            let count = if frame_octets { ByteCount::Frame } else { ByteCount::Ip };
            let options = ParseOptions { count, key_vlan, ..ParseOptions::default() };
            if let Some(packet) = fast(frame, wire_len, &options) {
                let general = parse(LinkType::Ethernet, frame, wire_len, Nanos(7), PortId(3), &options, &mut Beside::default()).unwrap();
                prop_assert_eq!((general.packet, general.anomaly), (packet, None));
            }
        }
    }
}
