//! What a slot remembers of a TCP connection: one line for every segment, two for what seldom happens.
//!
//! Written by the Writer alone, inside the slot's version. Fields in pairs are by canonical direction.

use crate::event::EventKind;
use crate::key::Direction;
use crate::packet::tcp_flag;
use crate::sync::{AtomicU16, AtomicU32, AtomicU64, Ordering};
use crate::time::Nanos;

/// Events kept in the slot; more go to the flow's details.
#[cfg(not(loom))]
pub(crate) const EVENTS_IN_SLOT: usize = 7;
#[cfg(loom)]
pub(crate) const EVENTS_IN_SLOT: usize = 1;

/// Written by every TCP segment.
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
    /// Exchanges measured.
    pub(crate) exchanges: AtomicU32,
    /// When the initiator last sent a request; while [`Marks::CALLING`] stands, its last SYN.
    pub(crate) asked_at: AtomicU64,
    /// Sum of all exchanges, ns.
    pub(crate) exchange_sum: AtomicU64,
    /// The latest exchange in ns above 16 bits of [`Marks`].
    exchange_and_marks: AtomicU64,
    /// Their jitter in ns, the bits of an `f64`.
    pub(crate) exchange_jitter: AtomicU64,
}

/// Written by handshake, close and rare flags, and by what else is an event.
#[derive(Default)]
#[repr(C, align(64))]
pub(crate) struct Conn {
    /// As [`Track::common_flag_at`], for [`RARE_FLAGS`] in their order.
    pub(crate) rare_flag_at: [AtomicU32; 6],
    /// Sequence number after the FIN, where `Meta::FIN` says it was seen.
    pub(crate) fin_end: [AtomicU32; 2],
    /// When the connection was seen closed, where `Meta::CLOSED` is set.
    pub(crate) closed_at: AtomicU64,
    /// SYN to SYN/ACK in ns, where [`Marks::SND`] says so.
    pub(crate) handshake_snd: AtomicU64,
    /// SYN/ACK to ACK in ns, where [`Marks::CND`] says so; before, where [`Marks::ANSWERED`] does, when the SYN/ACK came.
    pub(crate) handshake_cnd: AtomicU64,
    /// The first events, see [`pack_event`].
    pub(crate) events: [AtomicU64; EVENTS_IN_SLOT],
    /// Events so far, also those that are kept elsewhere or nowhere.
    pub(crate) events_total: AtomicU32,
}
#[cfg(not(loom))]
const _: () = assert!(size_of::<Track>() == 64 && size_of::<Conn>() == 128);

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
    /// A SYN waits for its SYN/ACK.
    pub(crate) const CALLING: u16 = 1 << 5;
    /// A SYN/ACK waits for its ACK.
    pub(crate) const ANSWERED: u16 = 1 << 6;
    /// SYN to SYN/ACK was measured.
    pub(crate) const SND: u16 = 1 << 7;
    /// SYN/ACK to ACK was measured.
    pub(crate) const CND: u16 = 1 << 8;

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

    #[inline]
    #[must_use]
    pub(crate) fn without(self, mark: u16) -> Marks {
        Marks(self.0 & !mark)
    }
}

const MARK_BITS: u32 = 16;
/// Longest exchange told apart: 78 hours.
const EXCHANGE_MAX_NS: u64 = u64::MAX >> MARK_BITS;

impl Track {
    pub(crate) fn reset(&self) {
        for word in self.common_flag_at.iter().chain([&self.exchanges]) {
            word.store(0, Ordering::Relaxed);
        }
        for word in [&self.exchange_sum, &self.exchange_and_marks, &self.exchange_jitter] {
            word.store(0, Ordering::Relaxed);
        }
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the marks are the lowest bits")]
    pub(crate) fn marks(&self) -> Marks {
        Marks(self.exchange_and_marks.load(Ordering::Relaxed) as u16)
    }

    #[inline]
    pub(crate) fn set_marks(&self, marks: Marks) {
        self.put_exchange(self.exchange(), marks);
    }

    /// The latest exchange, ns.
    #[inline]
    pub(crate) fn exchange(&self) -> u64 {
        self.exchange_and_marks.load(Ordering::Relaxed) >> MARK_BITS
    }

    #[inline]
    pub(crate) fn put_exchange(&self, ns: u64, marks: Marks) {
        let word = ns.min(EXCHANGE_MAX_NS) << MARK_BITS | u64::from(marks.0);
        self.exchange_and_marks.store(word, Ordering::Relaxed);
    }
}

impl Conn {
    pub(crate) fn reset(&self) {
        self.rare_flag_at.iter().for_each(|word| word.store(0, Ordering::Relaxed));
        self.events_total.store(0, Ordering::Relaxed);
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

const KIND_BITS: u32 = 8;

/// An event as a word: its time since the flow's first packet above its kind. Good for two years.
pub(crate) fn pack_event(kind: EventKind, at: Nanos, first_seen: Nanos) -> u64 {
    at.since(first_seen).min(u64::MAX >> KIND_BITS) << KIND_BITS | kind as u64
}

/// What [`pack_event`] packed; `None` for a word that is none of its.
pub(crate) fn unpack_event(word: u64, first_seen: Nanos) -> Option<crate::event::Event> {
    let [code, ..] = word.to_le_bytes();
    let kind = code.checked_sub(1).and_then(|place| EventKind::ALL.get(usize::from(place)))?;
    Some(crate::event::Event { at: Nanos(first_seen.0.saturating_add(word >> KIND_BITS)), kind: *kind })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn events_survive_their_word() {
        let first = Nanos(1_700_000_000_000_000_000);
        for kind in EventKind::ALL {
            let at = Nanos(first.0 + 86_400_000_000_123);
            assert_eq!(
                unpack_event(pack_event(kind, at, first), first),
                Some(crate::event::Event { at, kind })
            );
        }
        assert_eq!(unpack_event(pack_event(EventKind::TcpFin, Nanos(5), first), first).unwrap().at, first);
        assert_eq!(unpack_event(0, first), None);
    }

    #[test]
    fn exchange_and_marks_do_not_disturb_each_other() {
        let track = Track::default();
        track.put_exchange(123_456_789, Marks(Marks::ASKED | Marks::SND));
        track.set_marks(track.marks().without(Marks::ASKED));
        assert_eq!((track.exchange(), track.marks()), (123_456_789, Marks(Marks::SND)));
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
