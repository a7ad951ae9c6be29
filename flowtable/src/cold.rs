//! What a slot keeps of the flow's first packets, and what its other lines have no room for: one line.
//!
//! Written by the Writer alone, inside the slot's version.

use crate::details::DetailsId;
use crate::event::NetworkError;
use crate::events::EVENTS_IN_COLD;
use crate::key_words::KeyKind;
use crate::packet::{FirstPacket, Packet, PortId};
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use crate::time::Nanos;

/// Written when the flow opens; after that by SYNs their numbers, by events or exchanges their words, and seldom the word of
/// details and error.
#[derive(Default)]
#[repr(C, align(64))]
pub(crate) struct Cold {
    /// Of a flow whose key is narrow: events, see [`crate::events`]. Of any other: exchanges, see [`crate::exchanges`].
    pub(crate) events_or_exchanges: [AtomicU64; 3],
    /// Id of the tunnel in the key; its kind is among the facts. Read where the key has no other place for it.
    tunnel_id: AtomicU32,
    /// The first of the flow's blocks of details in the lower 28 bits, what its conversation failed at in the upper four.
    details_and_error: AtomicU32,
    first_seen: AtomicU64,
    /// Source MAC in the upper 48 bits, port in the lower 16.
    mac_and_port: AtomicU64,
    facts: AtomicU64,
    /// Initial sequence number by canonical direction, where `Meta::SYN` says it is known.
    pub(crate) initial_sequence: [AtomicU32; 2],
}
#[cfg(not(loom))]
const _: () = assert!(size_of::<Cold>() == 64);

/// Where the tunnel's kind begins in the facts; it has the uppermost eight bits.
const TUNNEL_KIND_SHIFT: u32 = 56;

impl Cold {
    pub(crate) fn open(&self, packet: &Packet) {
        if KeyKind::of(&packet.key).is_wide() {
            self.events_or_exchanges.iter().for_each(|word| word.store(0, Ordering::Relaxed));
        }
        #[expect(clippy::cast_possible_truncation, reason = "the lower half is the id")]
        self.tunnel_id.store(packet.key.tunnel as u32, Ordering::Relaxed);
        self.details_and_error.store(0, Ordering::Relaxed);
        self.first_seen.store(packet.at.0, Ordering::Relaxed);
        let first = &packet.first;
        let mac = first.source_mac.map_or(0, |m| {
            let [a, b, c, d, e, f] = m;
            u64::from_be_bytes([0, 0, a, b, c, d, e, f])
        });
        self.mac_and_port.store(mac << 16 | u64::from(first.port.0), Ordering::Relaxed);
        let (kind, code) = first.icmp.unwrap_or_default();
        let facts = u64::from(first.ttl)
            | u64::from(first.traffic_class) << 8
            | u64::from(kind) << 16
            | u64::from(code) << 24
            | u64::from(first.flow_label & 0x000f_ffff) << 32
            | u64::from(first.source_mac.is_some()) << 52
            | u64::from(first.icmp.is_some()) << 53
            | (packet.key.tunnel >> 32) << TUNNEL_KIND_SHIFT;
        self.facts.store(facts, Ordering::Relaxed);
    }

    /// The words for events of a flow whose key is narrow.
    pub(crate) fn events(&self) -> [u64; EVENTS_IN_COLD] {
        let words = self.events_or_exchanges.each_ref().map(|word| word.load(Ordering::Relaxed));
        std::array::from_fn(|at| words[at])
    }

    pub(crate) fn put_event(&self, place: usize, event: u64) {
        self.events_or_exchanges[place].store(event, Ordering::Relaxed);
    }

    /// [`crate::FlowKey::tunnel`].
    #[inline]
    pub(crate) fn tunnel(&self) -> u64 {
        let kind = self.facts.load(Ordering::Relaxed) >> TUNNEL_KIND_SHIFT;
        kind << 32 | u64::from(self.tunnel_id.load(Ordering::Relaxed))
    }

    pub(crate) fn details(&self) -> DetailsId {
        DetailsId(self.details_and_error.load(Ordering::Relaxed) & DetailsId::MASK)
    }

    pub(crate) fn set_details(&self, id: DetailsId) {
        let error = self.details_and_error.load(Ordering::Relaxed) & !DetailsId::MASK;
        self.details_and_error.store(error | id.0, Ordering::Relaxed);
    }

    /// What the conversation failed at.
    pub(crate) fn error(&self) -> Option<NetworkError> {
        let code = self.details_and_error.load(Ordering::Relaxed) >> DetailsId::BITS;
        code.checked_sub(1).and_then(|place| NetworkError::ALL.get(place as usize)).copied()
    }

    pub(crate) fn set_error(&self, error: NetworkError) {
        let details = self.details_and_error.load(Ordering::Relaxed) & DetailsId::MASK;
        self.details_and_error.store((error as u32) << DetailsId::BITS | details, Ordering::Relaxed);
    }

    pub(crate) fn first_seen(&self) -> Nanos {
        Nanos(self.first_seen.load(Ordering::Relaxed))
    }

    #[expect(clippy::cast_possible_truncation, reason = "unpacking fields narrower than the word")]
    pub(crate) fn first_packet(&self) -> FirstPacket {
        let facts = self.facts.load(Ordering::Relaxed);
        let mac_and_port = self.mac_and_port.load(Ordering::Relaxed);
        let [_, _, a, b, c, d, e, f] = (mac_and_port >> 16).to_be_bytes();
        FirstPacket {
            source_mac: (facts >> 52 & 1 == 1).then_some([a, b, c, d, e, f]),
            port: PortId(mac_and_port as u16),
            ttl: facts as u8,
            traffic_class: (facts >> 8) as u8,
            flow_label: (facts >> 32) as u32 & 0x000f_ffff,
            icmp: (facts >> 53 & 1 == 1).then_some(((facts >> 16) as u8, (facts >> 24) as u8)),
        }
    }
}

#[cfg(all(test, not(loom)))]
pub(crate) mod tests {
    use super::*;
    use crate::key::{Direction, Family, FlowKey, protocol};
    use crate::packet::{Role, TcpSegment};
    use proptest::prelude::*;

    prop_compose! {
        pub(crate) fn packets()(
            lo in any::<u128>(), hi in any::<u128>(), ports in any::<(u16, u16)>(), protocol in any::<u8>(),
            v6 in any::<bool>(), vlans in 0u32..1 << 24, tunnel in prop_oneof![Just(0), 0u64..1 << 40], mac in any::<Option<[u8; 6]>>(),
            ttl in any::<u8>(), class in any::<u8>(), label in 0u32..1 << 20, icmp in any::<Option<(u8, u8)>>(),
            one_way in any::<Option<bool>>(), port in any::<u16>(), at in any::<u64>(),
        ) -> Packet {
            let is_icmp = matches!(protocol, protocol::ICMP | protocol::ICMPV6);
            let narrow = |p: u16| if is_icmp { p & 0xff } else { p };
            Packet {
                key: FlowKey {
                    lo_address: if v6 { lo } else { lo & 0xffff_ffff },
                    hi_address: if v6 { hi } else { hi & 0xffff_ffff },
                    lo_port: narrow(ports.0), hi_port: narrow(ports.1), protocol,
                    family: if v6 { Family::V6 } else { Family::V4 },
                    one_way: one_way.filter(|_| is_icmp)
                        .map(|lo| if lo { Direction::LoToHi } else { Direction::HiToLo }),
                    vlans, tunnel,
                },
                direction: Direction::LoToHi, at: Nanos(at), bytes: 0, role: Role::Unknown,
                tcp: TcpSegment::default(),
                first: FirstPacket {
                    source_mac: mac, port: PortId(port), ttl, traffic_class: class, flow_label: label, icmp,
                },
                tunnel: 0,
            }
        }
    }

    proptest! {
        #[test]
        fn the_first_packet_survives_the_line(packet in packets()) {
            let cold = Cold::default();
            cold.open(&packet);
            prop_assert_eq!((cold.first_packet(), cold.first_seen()), (packet.first, packet.at));
            prop_assert_eq!(cold.tunnel(), packet.key.tunnel);
            cold.set_details(DetailsId(77));
            cold.set_error(NetworkError::FragmentationNeeded);
            cold.set_details(DetailsId(78));
            prop_assert_eq!((cold.details(), cold.error()), (DetailsId(78), Some(NetworkError::FragmentationNeeded)));
        }
    }
}
