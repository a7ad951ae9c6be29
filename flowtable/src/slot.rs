//! One flow in memory: a hot line every packet writes, a cold line written at open, and the lines of [`crate::connection`].
//!
//! All words are atomics written by the Writer alone, so no update needs a read-modify-write. The Writer brackets each
//! update with the hot line's version (odd while it writes); a reader takes the words between two equal even versions.

use crate::connection::{Conn, EVENTS_IN_SLOT, Marks, Track, flags_at};
use crate::details::DetailsId;
use crate::event::NetworkError;
use crate::key::{Direction, Family, FlowKey, protocol};
use crate::packet::{FirstPacket, Packet, PortId};
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use crate::tcp::TcpState;
use crate::time::Nanos;
use crate::version::Version;

/// The place of a flow in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotId(pub(crate) u32);

/// Written by every packet of the flow.
#[derive(Default)]
#[repr(C, align(64))]
pub(crate) struct Hot {
    pub(crate) version: Version,
    pub(crate) meta: AtomicU32,
    pub(crate) last_seen: AtomicU64,
    /// Packets by canonical direction.
    pub(crate) packets: [AtomicU64; 2],
    /// Octets by canonical direction.
    pub(crate) bytes: [AtomicU64; 2],
    /// [`KeyWords::hot`]; written at open.
    pub(crate) key: [AtomicU64; 2],
}
#[cfg(not(loom))]
const _: () = assert!(size_of::<Hot>() == 64);

/// The two lines most packets write, beside each other: one page to find, and a pair of lines that some cores fetch together.
#[derive(Default)]
#[repr(C, align(128))]
pub(crate) struct Busy {
    pub(crate) hot: Hot,
    pub(crate) track: Track,
}
#[cfg(not(loom))]
const _: () = assert!(size_of::<Busy>() == 128);

/// Written when the flow opens; after that, only the word of details and error, and that the tunnel is told.
#[derive(Default)]
#[repr(C, align(64))]
pub(crate) struct Cold {
    addresses: [AtomicU64; 4],
    /// Id of the tunnel in the key; its kind is among the facts.
    tunnel_id: AtomicU32,
    /// The flow's block of details in the lower 28 bits, what its conversation failed at in the upper four.
    details_and_error: AtomicU32,
    first_seen: AtomicU64,
    /// Source MAC in the upper 48 bits, port in the lower 16.
    mac_and_port: AtomicU64,
    facts: AtomicU64,
}
#[cfg(not(loom))]
const _: () = assert!(size_of::<Cold>() == 64);

/// The flow's details tell its tunnel, and no packet in it has more to tell of that; among the facts.
const TUNNEL_TOLD: u64 = 1 << 55;
/// Where the tunnel's kind begins in the facts; it has the uppermost eight bits.
const TUNNEL_KIND_SHIFT: u32 = 56;
const ERROR_SHIFT: u32 = 28;
const DETAILS_MASK: u32 = (1 << ERROR_SHIFT) - 1;

/// State and marks of a flow in one word: what a look at the hot line has to tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Meta(pub(crate) u32);

impl Meta {
    const STATE_BITS: u32 = 0xf;
    pub(crate) const LIVE: u32 = 1 << 4;
    /// The key does not fit the hot line: compare the cold line too.
    pub(crate) const WIDE: u32 = 1 << 5;
    /// Source to destination is [`Direction::HiToLo`].
    pub(crate) const FORWARD_HI: u32 = 1 << 6;
    /// The destination started the conversation.
    pub(crate) const DESTINATION_INITIATED: u32 = 1 << 7;
    /// Orientation stands on definitive evidence.
    pub(crate) const EVIDENCE: u32 = 1 << 8;
    /// Both FINs acknowledged, or reset.
    pub(crate) const CLOSED: u32 = 1 << 9;
    /// A FIN was seen; shift by the canonical direction.
    pub(crate) const FIN: u32 = 1 << 10;
    /// The FIN was acknowledged; shift by the canonical direction.
    pub(crate) const FIN_ACKED: u32 = 1 << 12;
    /// A SYN was seen; shift by the canonical direction.
    pub(crate) const SYN: u32 = 1 << 14;
    /// An established connection of which sequence numbers and acknowledgments of a side are known, and no SYN/ACK waits for
    /// its answer: what [`crate::plain`] asks first. Shift by the canonical direction.
    pub(crate) const STEADY: u32 = 1 << 16;

    /// Flows of a slot before their number comes again.
    pub(crate) const GENERATIONS: u32 = 1 << (32 - Meta::GENERATION_SHIFT);
    const GENERATION_SHIFT: u32 = 18;

    /// The `generation`-th flow of its slot, modulo [`Meta::GENERATIONS`].
    pub(crate) fn live(generation: u16) -> Meta {
        Meta(u32::from(generation) << Meta::GENERATION_SHIFT | Meta::LIVE)
    }

    #[inline]
    pub(crate) fn has(self, mark: u32) -> bool {
        self.0 & mark != 0
    }

    #[inline]
    pub(crate) fn has_by(self, mark: u32, direction: Direction) -> bool {
        self.has(mark << direction as u32)
    }

    #[inline]
    pub(crate) fn set(&mut self, mark: u32) {
        self.0 |= mark;
    }

    #[inline]
    pub(crate) fn set_by(&mut self, mark: u32, direction: Direction) {
        self.set(mark << direction as u32);
    }

    pub(crate) fn put(&mut self, mark: u32, on: bool) {
        self.0 = if on { self.0 | mark } else { self.0 & !mark };
    }

    #[inline]
    pub(crate) fn generation(self) -> u16 {
        (self.0 >> Meta::GENERATION_SHIFT) as u16
    }

    #[inline]
    pub(crate) fn state(self) -> TcpState {
        TcpState::ALL.get((self.0 & Meta::STATE_BITS) as usize).copied().unwrap_or_default()
    }

    #[inline]
    pub(crate) fn set_state(&mut self, state: TcpState) {
        self.0 = self.0 & !Meta::STATE_BITS | state as u32;
    }

    #[inline]
    pub(crate) fn forward(self) -> Direction {
        if self.has(Meta::FORWARD_HI) { Direction::HiToLo } else { Direction::LoToHi }
    }

    #[inline]
    pub(crate) fn initiator_direction(self) -> Direction {
        if self.initiator_bit() != 0 { Direction::HiToLo } else { Direction::LoToHi }
    }

    /// [`Meta::initiator_direction`] as a number. One bit against the other, so that there is nothing to predict.
    #[inline(always)]
    pub(crate) fn initiator_bit(self) -> u32 {
        ((self.0 / Meta::FORWARD_HI) ^ (self.0 / Meta::DESTINATION_INITIATED)) & 1
    }
}

/// A key as the slot holds it.
///
/// Narrow (IPv4 outside tunnels): everything is in `hot`. Wide: `hot[0]` is a fingerprint, addresses and tunnel are in
/// the cold line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyWords {
    pub(crate) hot: [u64; 2],
    pub(crate) wide: bool,
}

const ONE_WAY_PORT_BIT: u64 = 1 << 15;

/// Ports, protocol and VLANs; for ICMP, whose port words stay below 256, bit 15 of a port marks a one-way type.
#[inline]
pub(crate) fn ports_word(key: &FlowKey) -> u64 {
    let word = u64::from(key.lo_port) << 48
        | u64::from(key.hi_port) << 32
        | u64::from(key.protocol) << 24
        | u64::from(key.vlans & 0x00ff_ffff);
    match key.one_way {
        None => word,
        Some(Direction::LoToHi) => word | ONE_WAY_PORT_BIT << 48,
        Some(Direction::HiToLo) => word | ONE_WAY_PORT_BIT << 32,
    }
}

/// The protocol in a [`ports_word`].
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "one field of the word")]
pub(crate) fn protocol_of(ports_word: u64) -> u8 {
    (ports_word >> 24) as u8
}

#[inline]
pub(crate) fn is_narrow(key: &FlowKey) -> bool {
    key.family == Family::V4 && key.tunnel == 0
}

/// Both IPv4 addresses of a narrow key in one word.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "an IPv4 address lives in the low 32 bits")]
pub(crate) fn narrow_addresses(key: &FlowKey) -> u64 {
    u64::from(key.lo_address as u32) << 32 | u64::from(key.hi_address as u32)
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves of 128 bits")]
pub(crate) fn halves(address: u128) -> [u64; 2] {
    [(address >> 64) as u64, address as u64]
}

pub(crate) fn joined(high: u64, low: u64) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

impl Cold {
    pub(crate) fn open(&self, packet: &Packet) {
        let [a, b] = halves(packet.key.lo_address);
        let [c, d] = halves(packet.key.hi_address);
        for (word, value) in self.addresses.iter().zip([a, b, c, d]) {
            word.store(value, Ordering::Relaxed);
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
            | u64::from(packet.key.family == Family::V6) << 54
            | (packet.key.tunnel >> 32) << TUNNEL_KIND_SHIFT;
        self.facts.store(facts, Ordering::Relaxed);
    }

    /// Whether the parts of a wide key kept here are `key`'s.
    #[inline]
    pub(crate) fn holds(&self, key: &FlowKey) -> bool {
        let word = |i: usize| self.addresses[i].load(Ordering::Relaxed);
        joined(word(0), word(1)) == key.lo_address
            && joined(word(2), word(3)) == key.hi_address
            && self.tunnel() == key.tunnel
            && (self.facts.load(Ordering::Relaxed) >> 54 & 1 == 1) == (key.family == Family::V6)
    }

    fn tunnel(&self) -> u64 {
        let kind = self.facts.load(Ordering::Relaxed) >> TUNNEL_KIND_SHIFT;
        kind << 32 | u64::from(self.tunnel_id.load(Ordering::Relaxed))
    }

    /// Whether there is nothing to note of the tunnel of a packet.
    #[inline]
    pub(crate) fn tunnel_is_told(&self) -> bool {
        self.facts.load(Ordering::Relaxed) & TUNNEL_TOLD != 0
    }

    pub(crate) fn set_tunnel_told(&self) {
        self.facts.store(self.facts.load(Ordering::Relaxed) | TUNNEL_TOLD, Ordering::Relaxed);
    }

    pub(crate) fn details(&self) -> DetailsId {
        DetailsId(self.details_and_error.load(Ordering::Relaxed) & DETAILS_MASK)
    }

    pub(crate) fn set_details(&self, id: DetailsId) {
        let error = self.details_and_error.load(Ordering::Relaxed) & !DETAILS_MASK;
        self.details_and_error.store(error | id.0, Ordering::Relaxed);
    }

    /// What the conversation failed at.
    pub(crate) fn error(&self) -> Option<NetworkError> {
        let code = self.details_and_error.load(Ordering::Relaxed) >> ERROR_SHIFT;
        code.checked_sub(1).and_then(|place| NetworkError::ALL.get(place as usize)).copied()
    }

    pub(crate) fn set_error(&self, error: NetworkError) {
        let details = self.details_and_error.load(Ordering::Relaxed) & DETAILS_MASK;
        self.details_and_error.store((error as u32) << ERROR_SHIFT | details, Ordering::Relaxed);
    }

    pub(crate) fn first_seen(&self) -> Nanos {
        Nanos(self.first_seen.load(Ordering::Relaxed))
    }

    #[expect(clippy::cast_possible_truncation, reason = "unpacking fields narrower than the word")]
    fn first_packet(&self) -> FirstPacket {
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

    /// The key of the flow, from this line and the hot line's second key word.
    #[expect(clippy::cast_possible_truncation, reason = "unpacking fields narrower than the word")]
    pub(crate) fn key(&self, ports_word: u64) -> FlowKey {
        let word = |i: usize| self.addresses[i].load(Ordering::Relaxed);
        let family = if self.facts.load(Ordering::Relaxed) >> 54 & 1 == 1 { Family::V6 } else { Family::V4 };
        let protocol = protocol_of(ports_word);
        let mut key = FlowKey {
            lo_address: joined(word(0), word(1)),
            hi_address: joined(word(2), word(3)),
            lo_port: (ports_word >> 48) as u16,
            hi_port: (ports_word >> 32) as u16,
            protocol,
            family,
            one_way: None,
            vlans: ports_word as u32 & 0x00ff_ffff,
            tunnel: self.tunnel(),
        };
        if matches!(protocol, protocol::ICMP | protocol::ICMPV6) {
            let bit = ONE_WAY_PORT_BIT as u16;
            if key.lo_port & bit != 0 {
                key.one_way = Some(Direction::LoToHi);
            } else if key.hi_port & bit != 0 {
                key.one_way = Some(Direction::HiToLo);
            }
            key.lo_port &= !bit;
            key.hi_port &= !bit;
        }
        key
    }
}

/// The lines of one slot.
#[derive(Clone, Copy)]
pub(crate) struct Lines<'a> {
    pub(crate) hot: &'a Hot,
    pub(crate) track: &'a Track,
    pub(crate) conn: &'a Conn,
    pub(crate) cold: &'a Cold,
}

/// A consistent copy of a slot: every word belongs to the same moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Snapshot {
    pub(crate) version: u32,
    pub(crate) meta: Meta,
    pub(crate) key: FlowKey,
    pub(crate) first: FirstPacket,
    pub(crate) first_seen: Nanos,
    pub(crate) last_seen: Nanos,
    pub(crate) packets: [u64; 2],
    pub(crate) bytes: [u64; 2],
    pub(crate) details: DetailsId,
    pub(crate) error: Option<NetworkError>,
    pub(crate) connection: Connection,
}

/// The part of a copy that only TCP fills, but for the events.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Connection {
    /// Each flag and when it was last seen.
    pub(crate) flags_at: [(u8, u32); 8],
    pub(crate) closed_at: Nanos,
    pub(crate) marks: Marks,
    pub(crate) handshake: [u64; 2],
    pub(crate) exchanges: u32,
    pub(crate) exchange_sum: u64,
    pub(crate) exchange_jitter: f64,
    pub(crate) events: [u64; EVENTS_IN_SLOT],
    pub(crate) events_total: u32,
}

impl Connection {
    /// Of other protocols than TCP no more than the events: the lines hold what an earlier flow left there.
    fn read(track: &Track, conn: &Conn, protocol: u8) -> Connection {
        let word = |w: &AtomicU64| w.load(Ordering::Relaxed);
        let events_total = conn.events_total.load(Ordering::Relaxed);
        let events = if events_total > 0 { conn.events.each_ref().map(word) } else { [0; EVENTS_IN_SLOT] };
        let events = Connection { events, events_total, ..Connection::default() };
        if protocol != protocol::TCP {
            return events;
        }
        Connection {
            flags_at: flags_at(track, conn),
            closed_at: Nanos(word(&conn.closed_at)),
            marks: track.marks(),
            handshake: [word(&conn.handshake_snd), word(&conn.handshake_cnd)],
            exchanges: track.exchanges.load(Ordering::Relaxed),
            exchange_sum: word(&track.exchange_sum),
            exchange_jitter: f64::from_bits(word(&track.exchange_jitter)),
            ..events
        }
    }
}

impl Snapshot {
    /// The words as they are; of one moment only inside [`Version::read`], which also tells the version.
    fn read(lines: Lines<'_>) -> Snapshot {
        let Lines { hot, track, conn, cold } = lines;
        let word = |w: &AtomicU64| w.load(Ordering::Relaxed);
        let ports = word(&hot.key[1]);
        Snapshot {
            version: 0,
            meta: Meta(hot.meta.load(Ordering::Relaxed)),
            key: cold.key(ports),
            first: cold.first_packet(),
            first_seen: cold.first_seen(),
            last_seen: Nanos(word(&hot.last_seen)),
            packets: [word(&hot.packets[0]), word(&hot.packets[1])],
            bytes: [word(&hot.bytes[0]), word(&hot.bytes[1])],
            details: cold.details(),
            error: cold.error(),
            connection: Connection::read(track, conn, protocol_of(ports)),
        }
    }

    pub(crate) fn packets_total(&self) -> u64 {
        self.packets[0] + self.packets[1]
    }
}

/// Attempts at a consistent copy before a reader gives a busy slot up until its next round.
#[cfg(not(loom))]
const SNAPSHOT_ATTEMPTS: usize = 64;
/// In the model a second attempt is enough to reach every path.
#[cfg(loom)]
const SNAPSHOT_ATTEMPTS: usize = 2;

impl Lines<'_> {
    /// A consistent copy of the slot and what `more` reads beside it, or `None` when the Writer kept changing it.
    pub(crate) fn snapshot<R>(self, more: impl Fn(&Snapshot) -> R) -> Option<(Snapshot, R)> {
        for _ in 0..SNAPSHOT_ATTEMPTS {
            let read = || {
                let copy = Snapshot::read(self);
                let beside = more(&copy);
                (copy, beside)
            };
            if let Some(((copy, beside), version)) = self.hot.version.read(read) {
                return Some((Snapshot { version, ..copy }, beside));
            }
            std::hint::spin_loop();
        }
        None
    }

    /// The Writer's own copy: nobody else writes, so no version is needed.
    pub(crate) fn own_copy(self) -> Snapshot {
        Snapshot { version: self.hot.version.own(), ..Snapshot::read(self) }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::packet::{Role, TcpSegment};
    use proptest::prelude::*;

    prop_compose! {
        fn packets()(
            lo in any::<u128>(), hi in any::<u128>(), ports in any::<(u16, u16)>(), protocol in any::<u8>(),
            v6 in any::<bool>(), vlans in 0u32..1 << 24, tunnel in 0u64..1 << 40, mac in any::<Option<[u8; 6]>>(),
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
        fn key_and_first_packet_survive_the_slot(packet in packets()) {
            let cold = Cold::default();
            cold.open(&packet);
            prop_assert_eq!(cold.key(ports_word(&packet.key)), packet.key);
            prop_assert_eq!(cold.first_packet(), packet.first);
            prop_assert_eq!(cold.first_seen(), packet.at);
            prop_assert!(cold.holds(&packet.key));
            cold.set_details(DetailsId(77));
            cold.set_error(NetworkError::FragmentationNeeded);
            cold.set_details(DetailsId(78));
            prop_assert_eq!((cold.details(), cold.error()), (DetailsId(78), Some(NetworkError::FragmentationNeeded)));
        }
    }
}
