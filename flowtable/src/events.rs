//! The events of a flow: where each of them is kept, and how they are told again.
//!
//! Most connections begin with SYN, SYN/ACK and the ACK that completes the handshake, at times the slot has anyway: the flow's
//! start, and the handshake's two parts. As long as a flow's events are those, they are counted and no more. Those that come
//! after have a few words in the slot, all others a word in the flow's details: the first ones for good, then a ring.

use crate::connection::{Conn, Marks, Track};
use crate::details::DetailsCopy;
use crate::event::{Event, EventKind};
use crate::record::Events;
use crate::sync::Ordering;
use crate::time::Nanos;

/// Events beside those of the handshake that [`Conn::events`] keeps.
#[cfg(not(loom))]
pub(crate) const EVENTS_IN_CONN: usize = 2;
/// Events kept in the cold line of a flow whose key is narrow, where that of another has exchanges.
#[cfg(not(loom))]
pub(crate) const EVENTS_IN_COLD: usize = 3;
/// The first events of a flow, which later ones do not displace.
#[cfg(not(loom))]
const FIRST_EVENTS: usize = 7;
/// Of the others, as many as a record has at most.
#[cfg(not(loom))]
const LATEST_EVENTS: usize = Events::MAX;

#[cfg(loom)]
pub(crate) const EVENTS_IN_CONN: usize = 0;
#[cfg(loom)]
pub(crate) const EVENTS_IN_COLD: usize = 0;
#[cfg(loom)]
const FIRST_EVENTS: usize = 1;
#[cfg(loom)]
const LATEST_EVENTS: usize = 1;

/// Words for events in a slot.
const EVENTS_IN_SLOT: usize = EVENTS_IN_CONN + EVENTS_IN_COLD;
/// Of the first events, those the slot may have no word for.
const FIRST_IN_DETAILS: usize = FIRST_EVENTS - EVENTS_IN_CONN;
/// Places for events in a flow's details.
pub(crate) const EVENTS_IN_DETAILS: usize = FIRST_IN_DETAILS + LATEST_EVENTS;

const KIND_BITS: u32 = 8;
/// Latest event told apart: two years after the flow's first packet.
const OFFSET_MAX_NS: u64 = u64::MAX >> KIND_BITS;

/// An event as a word: its time since the flow's start above its kind.
fn pack(kind: EventKind, offset_ns: u64) -> u64 {
    offset_ns << KIND_BITS | kind as u64
}

/// What [`pack`] packed; `None` for a word that is none of its.
fn unpack(word: u64, first_seen: Nanos) -> Option<Event> {
    let [code, ..] = word.to_le_bytes();
    let kind = code.checked_sub(1).and_then(|place| EventKind::ALL.get(usize::from(place)))?;
    Some(Event { at: Nanos(first_seen.0.saturating_add(word >> KIND_BITS)), kind: *kind })
}

/// The handshake's `number`-th event, as its times tell it; `None` where `marks` say that they are not known.
fn of_handshake(number: usize, marks: Marks, [snd, cnd]: [u64; 2]) -> Option<u64> {
    match number {
        0 => Some(pack(EventKind::TcpSyn, 0)),
        1 if marks.has(Marks::SND) => Some(pack(EventKind::TcpSynAck, snd)),
        2 if marks.has(Marks::SND) && marks.has(Marks::CND) => {
            Some(pack(EventKind::TcpEstablished, snd + cnd))
        }
        _ => None,
    }
}

/// Where the event of a number is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the handshake's times.
    Handshake,
    /// Among [`Conn::events`].
    Conn(usize),
    /// Among those of the cold line.
    Cold(usize),
    /// Among the events of the flow's details.
    Details(usize),
}

/// The place of event `number` in a flow of which the first `told` are the handshake's, and whose key is `wide` or not. What is
/// told is fixed from the first other event on.
fn place(number: usize, told: usize, wide: bool) -> Place {
    let in_slot = if wide { EVENTS_IN_CONN } else { EVENTS_IN_SLOT };
    match (number.checked_sub(told), number.checked_sub(FIRST_EVENTS)) {
        (None, _) => Place::Handshake,
        (Some(_), Some(later)) => Place::Details(FIRST_IN_DETAILS + later % LATEST_EVENTS),
        (Some(at), None) if at < EVENTS_IN_CONN => Place::Conn(at),
        (Some(at), None) if at < in_slot => Place::Cold(at - EVENTS_IN_CONN),
        (Some(at), None) => Place::Details(at - in_slot),
    }
}

/// Counts an event `offset_ns` after the start of a flow whose key is `wide` or not. Gives its word and where that belongs;
/// [`Place::Handshake`] where no word is needed.
pub(crate) fn note(track: &Track, conn: &Conn, wide: bool, kind: EventKind, offset_ns: u64) -> (Place, u64) {
    let word = pack(kind, offset_ns.min(OFFSET_MAX_NS));
    let number = conn.events_total.load(Ordering::Relaxed);
    conn.events_total.store(number.saturating_add(1), Ordering::Relaxed);
    let marks = track.marks();
    let told = marks.events_told();
    // The handshake's times do not change once their marks stand.
    if number as usize == told && of_handshake(told, marks, conn.handshakes()) == Some(word) {
        track.set_marks(marks.with_event_told());
        return (Place::Handshake, word);
    }
    (place(number as usize, told, wide), word)
}

/// What a copy of a slot has of the flow's events.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EventsCopy {
    /// Events so far, also those that are kept nowhere.
    pub(crate) total: u32,
    pub(crate) in_conn: [u64; EVENTS_IN_CONN],
    /// Where the key is wide, none.
    pub(crate) in_cold: Option<[u64; EVENTS_IN_COLD]>,
    pub(crate) marks: Marks,
    pub(crate) handshake: [u64; 2],
}

impl EventsCopy {
    /// The events from number `from` on of a flow that began at `first_seen`: of those that are kept, the first and the latest,
    /// as many as a record takes.
    pub(crate) fn since(&self, from: u32, details: Option<&DetailsCopy>, first_seen: Nanos) -> Events {
        if from == self.total {
            return Events::default();
        }
        let words = self.words(from as usize, details);
        // As many as there may be: a list that grows is moved.
        let mut kept = Vec::with_capacity(words.size_hint().0);
        kept.extend(words.filter_map(|word| unpack(word, first_seen)));
        if let Some(more) = kept.len().checked_sub(Events::MAX).filter(|more| *more > 0) {
            let first = FIRST_EVENTS.saturating_sub(from as usize);
            kept.drain(first..first + more);
        }
        let all = self.total.saturating_sub(from);
        Events { dropped: all.saturating_sub(u32::try_from(kept.len()).unwrap_or(u32::MAX)), kept }
    }

    /// The words of the events from number `from` on that have a place, oldest first; 0 for those that found no room there.
    fn words<'a>(&'a self, from: usize, details: Option<&'a DetailsCopy>) -> impl Iterator<Item = u64> + 'a {
        let total = self.total as usize;
        let first = from.min(total)..total.min(FIRST_EVENTS);
        let latest = from.max(FIRST_EVENTS).max(total.saturating_sub(LATEST_EVENTS))..total;
        let (told, wide) = (self.marks.events_told(), self.in_cold.is_none());
        first.chain(latest).map(move |number| {
            let word = match place(number, told, wide) {
                Place::Handshake => of_handshake(number, self.marks, self.handshake),
                Place::Conn(at) => self.in_conn.get(at).copied(),
                Place::Cold(at) => self.in_cold.and_then(|words| words.get(at).copied()),
                Place::Details(at) => details.and_then(|details| details.events.get(at)).copied(),
            };
            word.unwrap_or(0)
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn events_survive_their_word() {
        let first = Nanos(1_700_000_000_000_000_000);
        for kind in EventKind::ALL {
            let at = Nanos(first.0 + 86_400_000_000_123);
            assert_eq!(unpack(pack(kind, at.since(first)), first), Some(Event { at, kind }));
        }
        assert_eq!(unpack(0, first), None);
    }

    /// A slot and its details, and every event that was noted there.
    struct Noted {
        track: Track,
        conn: Conn,
        in_cold: Option<[u64; EVENTS_IN_COLD]>,
        details: DetailsCopy,
        all: Vec<Event>,
    }

    const START: Nanos = Nanos(1_000);

    impl Noted {
        fn in_flow_with_a_key(wide: bool) -> Noted {
            let in_cold = (!wide).then_some([77; EVENTS_IN_COLD]);
            let (track, conn, details) = (Track::default(), Conn::default(), DetailsCopy::default());
            Noted { track, conn, in_cold, details, all: Vec::new() }
        }

        fn note(&mut self, kind: EventKind, offset: u64) -> Place {
            let (place, word) = note(&self.track, &self.conn, self.in_cold.is_none(), kind, offset);
            match place {
                Place::Handshake => {}
                Place::Conn(to) => self.conn.events[to].store(word, Ordering::Relaxed),
                Place::Cold(to) => self.in_cold.as_mut().expect("a narrow key")[to] = word,
                Place::Details(to) => self.details.events[to] = word,
            }
            self.all.push(Event { at: Nanos(START.0 + offset), kind });
            place
        }

        fn measured(&self, part: usize, mark: u16, ns: u64) {
            self.conn.set_handshake(part, ns);
            self.track.set_marks(self.track.marks().with(mark));
        }

        fn since(&self, from: usize, details: Option<&DetailsCopy>) -> Events {
            let copy = EventsCopy {
                total: self.conn.events_total.load(Ordering::Relaxed),
                in_conn: self.conn.events.each_ref().map(|word| word.load(Ordering::Relaxed)),
                in_cold: self.in_cold,
                marks: self.track.marks(),
                handshake: self.conn.handshakes(),
            };
            copy.since(u32::try_from(from).expect("a short list"), details, START)
        }
    }

    #[test]
    fn a_handshake_by_the_book_takes_no_word_and_others_do() {
        use EventKind::{TcpEstablished, TcpFin, TcpSyn, TcpSynAck};
        for (wide, closed) in [
            (true, [Place::Conn(0), Place::Conn(1), Place::Details(0), Place::Details(1)]),
            (false, [Place::Conn(0), Place::Conn(1), Place::Cold(0), Place::Cold(1)]),
        ] {
            let mut noted = Noted::in_flow_with_a_key(wide);
            assert_eq!(noted.note(TcpSyn, 0), Place::Handshake);
            noted.measured(0, Marks::SND, 30);
            assert_eq!(noted.note(TcpSynAck, 30), Place::Handshake);
            noted.measured(1, Marks::CND, 10);
            assert_eq!(noted.note(TcpEstablished, 40), Place::Handshake);
            assert_eq!([50, 60, 70, 80].map(|at| noted.note(TcpFin, at)), closed);
            assert_eq!(noted.since(0, Some(&noted.details)).kept, noted.all);
        }

        let mut noted = Noted::in_flow_with_a_key(true);
        assert_eq!(noted.note(TcpSyn, 0), Place::Handshake);
        assert_eq!(
            noted.note(TcpSyn, 20),
            Place::Conn(0),
            "sent again, so the handshake's times begin there"
        );
        noted.measured(0, Marks::SND, 30);
        assert_eq!(noted.note(TcpSynAck, 50), Place::Conn(1));
        noted.measured(1, Marks::CND, 10);
        assert_eq!(noted.note(TcpEstablished, 60), Place::Details(0));
        assert_eq!(noted.since(0, Some(&noted.details)).kept, noted.all);

        let mut noted = Noted::in_flow_with_a_key(false);
        assert_eq!(noted.note(TcpSyn, 0), Place::Handshake);
        assert_eq!(noted.note(TcpSynAck, 0), Place::Conn(0), "not before its time is known");
        assert_eq!(noted.note(TcpSyn, 0), Place::Conn(1));
        assert_eq!(noted.since(1, None).kept, noted.all[1..]);
    }

    proptest! {
        /// Whatever the first events are, seven are kept for good, and the latest 32.
        #[test]
        fn events_come_in_order_and_the_first_and_the_latest_are_kept(
            begun in 0usize..4, others in 0usize..200, from in 0usize..200, wide: bool,
        ) {
            use EventKind::{TcpEstablished, TcpRetransmission, TcpSyn, TcpSynAck};
            let mut noted = Noted::in_flow_with_a_key(wide);
            noted.measured(0, Marks::SND, 3);
            noted.measured(1, Marks::CND, 4);
            for (kind, at) in [(TcpSyn, 0), (TcpSynAck, 3), (TcpEstablished, 7)].into_iter().take(begun) {
                prop_assert_eq!(noted.note(kind, at), Place::Handshake);
            }
            (0..others).for_each(|at| { noted.note(TcpRetransmission, 10 + at as u64); });
            let total = noted.all.len();
            let from = from.min(total);
            let kept: Vec<_> = (from..total).filter(|at| *at < 7 || at + 32 >= total).collect();
            // A record takes 32 of them: those of the first seven, and the latest.
            let first = 7usize.saturating_sub(from).min(kept.len());
            let cut = kept.len().saturating_sub(32);
            let told = kept[..first].iter().chain(&kept[first + cut..]);
            let events = noted.since(from, Some(&noted.details));
            prop_assert_eq!(&events.kept, &told.map(|at| noted.all[*at]).collect::<Vec<_>>());
            prop_assert_eq!(events.dropped as usize, total - from - events.kept.len());
            let alone = noted.since(0, None);
            let in_slot = if wide { begun + 2 } else { 7.min(begun + 5) };
            prop_assert_eq!(&alone.kept, &noted.all[..total.min(in_slot)]);
        }
    }
}
