//! One flow in memory: a hot line every packet writes, the lines of [`crate::connection`], and [`crate::cold`].
//!
//! All words are atomics written by the Writer alone, so no update needs a read-modify-write. The Writer brackets each
//! update with the hot line's version (odd while it writes); a reader takes the words between two equal even versions.

use crate::cold::Cold;
use crate::connection::{Conn, Marks, Track, flags_at};
use crate::details::DetailsId;
use crate::event::NetworkError;
use crate::events::EventsCopy;
use crate::exchanges::{Exchanges, ExchangesCopy};
use crate::hash::KeyHasher;
use crate::key::{Direction, Endpoint, Family, FlowKey, protocol};
use crate::key_words::{Addresses, KeyKind, KeyWords, key_of};
use crate::packet::FirstPacket;
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
    /// [`KeyWords::hot`]; written at open. The first of a free slot is the link of [`crate::free_slots`].
    pub(crate) key: [AtomicU64; 2],
}
#[cfg(not(loom))]
const _: () = assert!(size_of::<Hot>() == 64);

impl Hot {
    /// 0 where these are [`KeyWords::hot`] of its flow, if there is one.
    #[inline(always)]
    pub(crate) fn other_words(&self, words: [u64; 2]) -> u64 {
        let [first, second] = self.key.each_ref().map(|word| word.load(Ordering::Relaxed));
        (first ^ words[0]) | (second ^ words[1])
    }

    /// What this line has of the flow's key.
    pub(crate) fn key_words(&self) -> KeyWords {
        let kind = Meta(self.meta.load(Ordering::Relaxed)).kind();
        KeyWords { hot: self.key.each_ref().map(|word| word.load(Ordering::Relaxed)), kind }
    }
}

/// The two lines most packets write, beside each other: one page to find, and a pair of lines that some cores fetch together.
#[derive(Default)]
#[repr(C, align(128))]
pub(crate) struct Busy {
    pub(crate) hot: Hot,
    pub(crate) track: Track,
}

/// The two lines few packets write, beside each other: an opening, a close or an event finds one page for both.
#[derive(Default)]
#[repr(C, align(128))]
pub(crate) struct Quiet {
    pub(crate) conn: Conn,
    pub(crate) cold: Cold,
}
#[cfg(not(loom))]
const _: () = assert!(size_of::<Busy>() == 128 && size_of::<Quiet>() == 128);

/// State and marks of a flow in one word: what a look at the hot line has to tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Meta(pub(crate) u32);

impl Meta {
    const STATE_BITS: u32 = 0xf;
    pub(crate) const LIVE: u32 = 1 << 4;
    /// The [`KeyKind`]: two bits.
    const KIND_BITS: u32 = 3 << Meta::KIND_SHIFT;
    const KIND_SHIFT: u32 = 5;
    /// What tells, beside the words of the key, whose slot it is.
    pub(crate) const OWNER: u32 = Meta::LIVE | Meta::KIND_BITS;
    /// The flow's details tell its tunnel, and no packet in it has more to tell of that.
    pub(crate) const TOLD: u32 = 1 << 7;
    /// Source to destination is [`Direction::HiToLo`].
    pub(crate) const FORWARD_HI: u32 = 1 << 8;
    /// The destination started the conversation.
    pub(crate) const DESTINATION_INITIATED: u32 = 1 << 9;
    /// Orientation stands on definitive evidence.
    pub(crate) const EVIDENCE: u32 = 1 << 10;
    /// Both FINs acknowledged, or reset.
    pub(crate) const CLOSED: u32 = 1 << 11;
    /// A FIN was seen; shift by the canonical direction.
    pub(crate) const FIN: u32 = 1 << 12;
    /// A SYN was seen; shift by the canonical direction.
    pub(crate) const SYN: u32 = 1 << 14;
    /// An established connection of which sequence numbers and acknowledgments of a side are known, and no SYN/ACK waits for
    /// its answer: what [`crate::plain`] asks first. Shift by the canonical direction.
    pub(crate) const STEADY: u32 = 1 << Meta::STEADY_BIT;
    const STEADY_BIT: u32 = 16;

    /// Flows of a slot before their number comes again.
    #[cfg(not(loom))]
    pub(crate) const GENERATIONS: u32 = 1 << (32 - Meta::GENERATION_SHIFT);
    const GENERATION_SHIFT: u32 = 18;

    /// The `generation`-th flow of its slot, modulo [`Meta::GENERATIONS`].
    pub(crate) fn live(generation: u16, kind: KeyKind) -> Meta {
        Meta(u32::from(generation) << Meta::GENERATION_SHIFT | Meta::owner(kind))
    }

    /// [`Meta::OWNER`] of a live flow.
    #[inline(always)]
    pub(crate) const fn owner(kind: KeyKind) -> u32 {
        Meta::LIVE | (kind as u32) << Meta::KIND_SHIFT
    }

    #[inline(always)]
    pub(crate) fn kind(self) -> KeyKind {
        KeyKind::ALL[(self.0 >> Meta::KIND_SHIFT) as usize % KeyKind::ALL.len()]
    }

    /// Whether the key does not fit the hot line.
    #[inline(always)]
    pub(crate) fn is_wide(self) -> bool {
        self.has(Meta::KIND_BITS)
    }

    /// Whether [`Meta::STEADY`] is set of `direction`.
    #[inline(always)]
    pub(crate) fn is_steady(self, direction: Direction) -> bool {
        self.0 >> (Meta::STEADY_BIT + direction as u32) & 1 != 0
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

/// The lines of one slot.
#[derive(Clone, Copy)]
pub(crate) struct Lines<'a> {
    pub(crate) hot: &'a Hot,
    pub(crate) track: &'a Track,
    pub(crate) conn: &'a Conn,
    pub(crate) cold: &'a Cold,
    /// Turns the hot line's part of a wide key back into an address.
    pub(crate) hasher: &'a KeyHasher,
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
    pub(crate) exchanges: ExchangesCopy,
    pub(crate) events: EventsCopy,
}

impl Connection {
    /// Of other protocols than TCP no more than the events: the lines hold what an earlier flow left there.
    fn read(&mut self, lines: Lines<'_>, protocol: u8, wide: bool) {
        let Lines { track, conn, cold, .. } = lines;
        let word = |w: &AtomicU64| w.load(Ordering::Relaxed);
        let total = conn.events_total.load(Ordering::Relaxed);
        if protocol == protocol::TCP {
            self.flags_at = flags_at(track, conn);
            self.closed_at = conn.closed_at();
            self.marks = track.marks();
            self.handshake = conn.handshakes();
            self.exchanges = Exchanges::of(wide, track, cold).copy();
        } else {
            *self = Connection::default();
        }
        let events = &mut self.events;
        (events.total, events.marks, events.handshake) = (total, self.marks, self.handshake);
        // Where there are none, nothing is asked of the words, which may be those of an earlier copy.
        if total > 0 {
            events.in_conn = conn.events.each_ref().map(word);
            events.in_cold = (!wide).then(|| cold.events());
        }
    }
}

impl Snapshot {
    /// A copy of nothing yet.
    pub(crate) fn blank() -> Snapshot {
        let nowhere = Endpoint { address: 0, port: 0 };
        let (key, _) = FlowKey::canonical(Family::V4, 0, nowhere, nowhere);
        Snapshot {
            version: 0,
            meta: Meta::default(),
            key,
            first: FirstPacket::default(),
            first_seen: Nanos(0),
            last_seen: Nanos(0),
            packets: [0; 2],
            bytes: [0; 2],
            details: DetailsId::NONE,
            error: None,
            connection: Connection::default(),
        }
    }

    /// Takes the words as they are, one by one, so that no copy is copied; of one moment only inside [`Version::read`], which
    /// also tells the version.
    fn read(&mut self, lines: Lines<'_>) {
        let Lines { hot, cold, .. } = lines;
        let word = |w: &AtomicU64| w.load(Ordering::Relaxed);
        self.meta = Meta(hot.meta.load(Ordering::Relaxed));
        self.key = lines.key();
        self.first = cold.first_packet();
        self.first_seen = cold.first_seen();
        self.last_seen = Nanos(word(&hot.last_seen));
        self.packets = hot.packets.each_ref().map(word);
        self.bytes = hot.bytes.each_ref().map(word);
        self.details = cold.details();
        self.error = cold.error();
        self.connection.read(lines, self.key.protocol, KeyKind::of(&self.key).is_wide());
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
    /// The flow's key, from the lines it is spread over.
    fn key(self) -> FlowKey {
        let Lines { hot, track, cold, hasher, .. } = self;
        let KeyWords { hot: [first, ports], kind } = hot.key_words();
        if kind == KeyKind::Narrow {
            return key_of(ports, &Addresses::narrow(first));
        }
        let kept = track.kept();
        let tunnel = if kind == KeyKind::V6InTunnel { cold.tunnel() } else { 0 };
        let low = hasher.fingerprint(&Addresses::new(kind, first, kept, tunnel));
        key_of(ports, &Addresses::new(kind, low, kept, tunnel))
    }

    /// Makes `copy` a consistent copy of the slot and gives what `more` reads beside it; `None` when the Writer kept changing it,
    /// and then `copy` is of no moment.
    pub(crate) fn snapshot<R>(self, copy: &mut Snapshot, more: impl Fn(&Snapshot) -> R) -> Option<R> {
        for _ in 0..SNAPSHOT_ATTEMPTS {
            let read = || {
                copy.read(self);
                more(copy)
            };
            if let Some((beside, version)) = self.hot.version.read(read) {
                copy.version = version;
                return Some(beside);
            }
            std::hint::spin_loop();
        }
        None
    }

    /// The Writer's own copy: nobody else writes, so no version is needed.
    pub(crate) fn own_copy(self) -> Snapshot {
        let mut copy = Snapshot::blank();
        copy.read(self);
        copy.version = self.hot.version.own();
        copy
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::cold::tests::packets;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_key_survives_the_lines_of_its_slot(packet in packets(), seed: u64) {
            let (busy, cold, hasher) = (Busy::default(), Cold::default(), KeyHasher::new(seed));
            let words = hasher.words(&packet.key);
            cold.open(&packet);
            busy.track.open(Addresses::of(&packet.key).kept);
            busy.hot.meta.store(Meta::live(7, words.kind).0, Ordering::Relaxed);
            for (word, value) in busy.hot.key.iter().zip(words.hot) {
                word.store(value, Ordering::Relaxed);
            }
            let lines = Lines { hot: &busy.hot, track: &busy.track, conn: &Conn::default(), cold: &cold, hasher: &hasher };
            prop_assert_eq!(lines.key(), packet.key);
        }
    }
}
