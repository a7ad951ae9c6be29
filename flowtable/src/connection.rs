//! What a slot remembers of a TCP connection: one line for every segment, one for what seldom happens.
//!
//! Written by the Writer alone, inside the slot's version. Fields in pairs are by canonical direction.

use crate::events::EVENTS_IN_CONN;
use crate::key::Direction;
use crate::key_words::KEPT;
use crate::packet::tcp_flag;
use crate::sync::{AtomicU16, AtomicU32, AtomicU64, Ordering};
use crate::time::Nanos;

/// Written by every TCP segment. Of wide keys every packet reads it.
#[derive(Default)]
#[repr(C, align(64))]
pub(crate) struct Track {
    /// For PSH and ACK, the low 32 bits of the flow's packet count at the last packet that had it; 0 = never.
    pub(crate) common_flag_at: [AtomicU32; 2],
    /// Highest sequence number seen and one, where [`Marks::SEQUENCE`] says so.
    pub(crate) next_sequence: [AtomicU32; 2],
    /// The latest acknowledgment sent, where [`Marks::ACKED`] says so.
    pub(crate) acknowledged: [AtomicU32; 2],
    /// The window announced with it.
    pub(crate) windows: [AtomicU16; 2],
    /// [`Marks`] in the lower half, and 16 bits of the latest exchange.
    marks_and_exchange: AtomicU32,
    /// When the initiator last sent a request; while [`Marks::CALLING`] stands, its last SYN.
    pub(crate) asked_at: AtomicU64,
    /// Of a flow whose key is narrow: exchanges, see [`crate::exchanges`]. Of any other, whatever its protocol, what the hot line
    /// has not of its key: [`crate::key_words::Addresses::kept`], written when it opens.
    pub(crate) exchanges_or_key: [AtomicU64; KEPT],
}

/// Written by handshake, close and rare flags, and by what else is an event.
#[derive(Default)]
#[repr(C, align(64))]
pub(crate) struct Conn {
    /// As [`Track::common_flag_at`], for [`RARE_FLAGS`] in their order.
    pub(crate) rare_flag_at: [AtomicU32; 6],
    /// Until `Meta::CLOSED` is set, the sequence numbers after the FINs, where `Meta::FIN` says they were seen: what is
    /// acknowledged of a closed connection changes nothing. From then on, when it was seen closed.
    end: AtomicU64,
    /// Events beside those of the handshake, see [`crate::events`].
    pub(crate) events: [AtomicU64; EVENTS_IN_CONN],
    handshake_low: [AtomicU32; 2],
    /// Events so far, also those that are kept elsewhere or nowhere.
    pub(crate) events_total: AtomicU32,
    handshake_high: [AtomicU16; 2],
}
#[cfg(not(loom))]
const _: () = assert!(size_of::<Track>() == 64 && size_of::<Conn>() == 64);

/// The parts of a handshake, in the order of [`Conn::handshake`].
pub(crate) const SND: usize = 0;
pub(crate) const CND: usize = 1;
/// Longest part of a handshake told apart: 78 hours.
pub(crate) const HANDSHAKE_MAX_NS: u64 = (1 << 48) - 1;

/// The flags that have their place in [`Track::common_flag_at`].
const COMMON_FLAGS: [u8; 2] = [tcp_flag::PSH, tcp_flag::ACK];
/// The flags that have their place in [`Conn::rare_flag_at`].
const RARE_FLAGS: [u8; 6] =
    [tcp_flag::FIN, tcp_flag::SYN, tcp_flag::RST, tcp_flag::URG, tcp_flag::ECE, tcp_flag::CWR];

/// What is known of a connection beside its state, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks(pub(crate) u16);

impl Marks {
    /// A sequence number was seen; shift by the canonical direction.
    pub(crate) const SEQUENCE: u16 = 1;
    /// An acknowledgment was seen; shift by the canonical direction.
    pub(crate) const ACKED: u16 = 1 << 2;
    /// A request waits for its response.
    pub(crate) const ASKED: u16 = 1 << Marks::ASKED_BIT;
    pub(crate) const ASKED_BIT: u32 = 4;
    /// A SYN waits for its SYN/ACK; in vain where a request came.
    pub(crate) const CALLING: u16 = 1 << 5;
    /// A SYN/ACK waits for its ACK.
    pub(crate) const ANSWERED: u16 = 1 << 6;
    /// SYN to SYN/ACK was measured.
    pub(crate) const SND: u16 = 1 << 7;
    /// SYN/ACK to ACK was measured.
    pub(crate) const CND: u16 = 1 << 8;
    /// Of the flow's events, how many the handshake's times tell: two bits.
    const EVENT_TOLD: u16 = 1 << Marks::EVENT_TOLD_BIT;
    const EVENT_TOLD_BIT: u16 = 9;
    /// The side that asks, the initiator; shift by the canonical direction.
    pub(crate) const ASKS: u16 = 1 << Marks::ASKS_BIT;
    const ASKS_BIT: u32 = 11;
    /// The FIN, of which `Meta::FIN` tells, was acknowledged; shift by the canonical direction of the FIN.
    pub(crate) const FIN_ACKED: u16 = 1 << 13;

    #[inline]
    pub(crate) fn has(self, mark: u16) -> bool {
        self.0 & mark != 0
    }

    #[inline]
    pub(crate) fn has_by(self, mark: u16, direction: Direction) -> bool {
        self.has(mark << direction as u16)
    }

    #[inline]
    #[must_use]
    pub(crate) fn with(self, mark: u16) -> Marks {
        Marks(self.0 | mark)
    }

    /// Of the flow's first events, how many are told by the times of the handshake; 3 at most.
    #[inline]
    pub(crate) fn events_told(self) -> usize {
        usize::from(self.0 >> Marks::EVENT_TOLD_BIT & 3)
    }

    /// One more of them, of which there are less than 3.
    #[must_use]
    pub(crate) fn with_event_told(self) -> Marks {
        Marks(self.0 + Marks::EVENT_TOLD)
    }

    #[inline]
    #[must_use]
    pub(crate) fn without(self, mark: u16) -> Marks {
        Marks(self.0 & !mark)
    }
}

const MARK_BITS: u32 = 16;

impl Track {
    /// Begins a flow; `kept` is what this line has of its key, zeros of a narrow one.
    pub(crate) fn open(&self, kept: [u64; KEPT]) {
        for word in self.common_flag_at.iter().chain([&self.marks_and_exchange]) {
            word.store(0, Ordering::Relaxed);
        }
        for (word, value) in self.exchanges_or_key.iter().zip(kept) {
            word.store(value, Ordering::Relaxed);
        }
    }

    /// What this line has of a wide key.
    #[inline(always)]
    pub(crate) fn kept(&self) -> [u64; KEPT] {
        self.exchanges_or_key.each_ref().map(|word| word.load(Ordering::Relaxed))
    }

    /// Whether `kept` is what this line has of the flow's key, which is wide.
    #[inline(always)]
    pub(crate) fn holds(&self, kept: &[u64; KEPT]) -> bool {
        self.kept().iter().zip(kept).fold(0, |other, (word, wanted)| other | word ^ wanted) == 0
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the marks are the lowest bits")]
    pub(crate) fn marks(&self) -> Marks {
        Marks(self.marks_and_exchange.load(Ordering::Relaxed) as u16)
    }

    #[inline]
    pub(crate) fn set_marks(&self, marks: Marks) {
        self.put_marks(self.beside_marks(), marks);
    }

    /// The 16 bits that [`Track::end_request`] was told.
    #[inline]
    pub(crate) fn beside_marks(&self) -> u16 {
        (self.marks_and_exchange.load(Ordering::Relaxed) >> MARK_BITS) as u16
    }

    /// No request waits any more. Keeps 16 bits of the exchange.
    #[inline]
    pub(crate) fn end_request(&self, beside: u16) {
        self.put_marks(beside, self.marks().without(Marks::ASKED));
    }

    #[inline]
    fn put_marks(&self, beside: u16, marks: Marks) {
        let word = u32::from(beside) << MARK_BITS | u32::from(marks.0);
        self.marks_and_exchange.store(word, Ordering::Relaxed);
    }

    /// Notes which side asks.
    #[inline]
    pub(crate) fn set_asker(&self, initiator: Direction) {
        let peer = Marks::ASKS << initiator.flipped() as u16;
        self.set_marks(self.marks().without(peer).with(Marks::ASKS << initiator as u16));
    }

    /// Notes what `way` sent at `at_ns` as data of a request where `data` is 1 and that side asks. Gives [`Marks::ASKED`] as it was
    /// before where `data` is 1 and that side answers, else 0. Directions are hard to predict, so there is no branch. In words of 64
    /// bits: as one of 32, `data` would be kept from where a caller has already asked for it, 7 instructions more a segment.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the word it was, and one of its lower bits")]
    pub(crate) fn ask(&self, data: u64, way: Direction, at_ns: u64) -> u64 {
        let before = u64::from(self.marks_and_exchange.load(Ordering::Relaxed));
        let asks = data & before >> (Marks::ASKS_BIT + way as u32);
        let asked_at = self.asked_at.load(Ordering::Relaxed);
        self.asked_at.store(std::hint::select_unpredictable(asks != 0, at_ns, asked_at), Ordering::Relaxed);
        self.marks_and_exchange.store((before | asks << Marks::ASKED_BIT) as u32, Ordering::Relaxed);
        before & (data ^ asks) << Marks::ASKED_BIT
    }
}

impl Conn {
    pub(crate) fn reset(&self) {
        self.rare_flag_at.iter().for_each(|word| word.store(0, Ordering::Relaxed));
        self.events_total.store(0, Ordering::Relaxed);
    }

    /// The sequence number after the FIN of `way`, where `Meta::FIN` says it was seen, and until `Meta::CLOSED` is set.
    #[expect(clippy::cast_possible_truncation, reason = "one half of the word")]
    pub(crate) fn fin_end(&self, way: Direction) -> u32 {
        (self.end.load(Ordering::Relaxed) >> (u32::BITS * way as u32)) as u32
    }

    pub(crate) fn set_fin_end(&self, way: Direction, end: u32) {
        let shift = u32::BITS * way as u32;
        let other = self.end.load(Ordering::Relaxed) & !(u64::from(u32::MAX) << shift);
        self.end.store(other | u64::from(end) << shift, Ordering::Relaxed);
    }

    /// When the connection was seen closed, where `Meta::CLOSED` is set.
    pub(crate) fn closed_at(&self) -> Nanos {
        Nanos(self.end.load(Ordering::Relaxed))
    }

    pub(crate) fn set_closed_at(&self, at: Nanos) {
        self.end.store(at.0, Ordering::Relaxed);
    }

    /// A part of the handshake in ns: SYN to SYN/ACK, where [`Marks::SND`] says so, and SYN/ACK to ACK, where [`Marks::CND`]
    /// does; before, where [`Marks::ANSWERED`] does, when the SYN/ACK came, modulo 2^48.
    pub(crate) fn handshake(&self, part: usize) -> u64 {
        let high = u64::from(self.handshake_high[part].load(Ordering::Relaxed));
        high << u32::BITS | u64::from(self.handshake_low[part].load(Ordering::Relaxed))
    }

    pub(crate) fn handshakes(&self) -> [u64; 2] {
        [SND, CND].map(|part| self.handshake(part))
    }

    #[expect(clippy::cast_possible_truncation, reason = "the lower 48 bits are what is kept")]
    pub(crate) fn set_handshake(&self, part: usize, ns: u64) {
        self.handshake_low[part].store(ns as u32, Ordering::Relaxed);
        self.handshake_high[part].store((ns >> u32::BITS) as u16, Ordering::Relaxed);
    }
}

/// Notes at `stamp` the flags of a segment.
#[inline]
pub(crate) fn note_flags(track: &Track, conn: &Conn, flags: u8, stamp: u32) {
    for (word, flag) in track.common_flag_at.iter().zip(COMMON_FLAGS) {
        if flags & flag != 0 {
            word.store(stamp, Ordering::Relaxed);
        }
    }
    if flags & !(tcp_flag::PSH | tcp_flag::ACK) != 0 {
        for (word, flag) in conn.rare_flag_at.iter().zip(RARE_FLAGS) {
            if flags & flag != 0 {
                word.store(stamp, Ordering::Relaxed);
            }
        }
    }
}

/// Each flag and when it was last seen, as [`Track::common_flag_at`] counts.
pub(crate) fn flags_at(track: &Track, conn: &Conn) -> [(u8, u32); 8] {
    let [p, a] = [0, 1].map(|at| (COMMON_FLAGS[at], track.common_flag_at[at].load(Ordering::Relaxed)));
    let [f, s, r, u, e, c] =
        [0, 1, 2, 3, 4, 5].map(|at| (RARE_FLAGS[at], conn.rare_flag_at[at].load(Ordering::Relaxed)));
    [p, a, f, s, r, u, e, c]
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_handshake_and_of_a_close_do_not_disturb_each_other() {
        let conn = Conn::default();
        conn.set_handshake(SND, HANDSHAKE_MAX_NS);
        conn.set_handshake(CND, 1 << 48 | 5 << 40 | 7);
        assert_eq!(conn.handshakes(), [HANDSHAKE_MAX_NS, 5 << 40 | 7]);
        conn.set_fin_end(Direction::LoToHi, u32::MAX);
        conn.set_fin_end(Direction::HiToLo, 9);
        conn.set_fin_end(Direction::LoToHi, 8);
        assert_eq!((conn.fin_end(Direction::LoToHi), conn.fin_end(Direction::HiToLo)), (8, 9));
        conn.set_closed_at(Nanos(u64::MAX - 1));
        assert_eq!(conn.closed_at(), Nanos(u64::MAX - 1));
    }

    #[test]
    fn marks_count_the_events_told_beside_the_other_marks() {
        let mut marks = Marks(Marks::CND | Marks::ASKED);
        for told in 0..3 {
            assert_eq!(marks.events_told(), told);
            marks = marks.with_event_told().with(Marks::SND);
        }
        assert_eq!((marks.events_told(), marks.has(Marks::CND), marks.has(Marks::ASKED)), (3, true, true));
    }

    #[test]
    fn each_flag_is_remembered_by_itself() {
        let (track, conn) = (Track::default(), Conn::default());
        for bit in 0..8u8 {
            note_flags(&track, &conn, 1 << bit, u32::from(bit) + 1);
        }
        for (flag, at) in flags_at(&track, &conn) {
            assert_eq!(at, flag.trailing_zeros() + 1);
        }
    }
}
