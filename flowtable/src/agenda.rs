//! When the Sweeper has to look at each slot again: a byte a slot. The Sweeper's own.
//!
//! A flow that has nothing to tell at one sweep has nothing to tell before its own timeouts have passed, and none whose state
//! changes meanwhile before the shortest of all timeouts has. Until then its lines stay with the core that counts.

use crate::mem::{MemoryError, Pages, Slab};
use crate::table::REGION_SLOTS;
use crate::time::Nanos;
use crate::timeouts::Timeouts;

/// Memory of a slot's time.
pub(crate) const LOOK_BYTES: usize = size_of::<u8>();

/// Ticks in the longest time a slot is left alone.
const TICKS: u64 = 16;
/// A slot is left alone for 8 s at most: the window of one that gets all packets of a link ends in time.
const ALONE_MAX_NS: u64 = 8_000_000_000;
/// Ticks after which the time of a slot could be taken for one to come.
const TICKS_TOLD_APART: u64 = 100;

/// The time of each slot, as the lowest eight bits of a number of ticks.
pub(crate) struct Agenda {
    looks: Slab<u8>,
    /// When each region was last gone through, by the clock and the timeouts of now.
    visited: Box<[Option<Nanos>]>,
    timeouts: Timeouts,
    now: Nanos,
    alone_ns: u64,
    tick_ns: u64,
    /// In this sweep no slot is passed over.
    all: bool,
}

impl Agenda {
    pub(crate) fn of(slots: usize, pages: Pages) -> Result<Agenda, MemoryError> {
        let timeouts = Timeouts::default();
        let (alone_ns, tick_ns) = spans(&timeouts);
        Ok(Agenda {
            looks: Slab::mapped(slots, pages)?,
            visited: vec![None; slots.div_ceil(REGION_SLOTS)].into(),
            timeouts,
            now: Nanos(0),
            alone_ns,
            tick_ns,
            all: false,
        })
    }

    /// Begins a sweep. `early`: flows may end before their timeouts have passed.
    pub(crate) fn begin(&mut self, now: Nanos, timeouts: &Timeouts, early: bool) {
        self.all = early;
        if now < self.now || *timeouts != self.timeouts {
            self.visited.fill(None);
        }
        self.timeouts = *timeouts;
        self.now = now;
        (self.alone_ns, self.tick_ns) = spans(timeouts);
    }

    /// Puts the slots of `region` whose time has come into `places`, as distances from the first one. Gives their number.
    pub(crate) fn due(&mut self, region: usize, places: &mut [u16; REGION_SLOTS]) -> usize {
        let before = self.visited[region].replace(self.now);
        let long_ago = |at| self.now.since(at) / self.tick_ns > TICKS_TOLD_APART;
        let (all, tick) = (self.all || before.is_none_or(long_ago), self.tick(self.now));
        let from = region * REGION_SLOTS;
        let looks = &self.looks[from..self.looks.len().min(from + REGION_SLOTS)];
        let mut due = 0;
        for (look, place) in looks.iter().zip(0..) {
            places[due % REGION_SLOTS] = place;
            due += usize::from(all | (tick.wrapping_sub(*look).cast_signed() >= 0));
        }
        due
    }

    /// The slot is to be looked at in the next sweep.
    #[inline]
    pub(crate) fn keep(&mut self, slot: usize) {
        self.looks[slot] = self.tick(self.now);
    }

    /// The slot is to be looked at from `earliest` on.
    #[inline]
    pub(crate) fn put_off(&mut self, slot: usize, earliest: Nanos) {
        let latest = Nanos(self.now.0.saturating_add(self.alone_ns));
        self.looks[slot] = self.tick(earliest.clamp(self.now, latest));
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "compared modulo 2^8 only")]
    fn tick(&self, at: Nanos) -> u8 {
        (at.0 / self.tick_ns) as u8
    }
}

/// How long a slot may be left alone, and the length of a tick, in ns.
fn spans(timeouts: &Timeouts) -> (u64, u64) {
    let alone = timeouts.shortest_ns().min(ALONE_MAX_NS);
    (alone, (alone / TICKS).max(1))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn due(agenda: &mut Agenda, now_ms: u64) -> Vec<u16> {
        agenda.begin(Nanos(now_ms * 1_000_000), &Timeouts::default(), false);
        let mut places = [0; REGION_SLOTS];
        let number = agenda.due(0, &mut places);
        places[..number].to_vec()
    }

    /// By hand: the shortest timeout is 2 s and a tick 125 ms.
    #[test]
    fn a_slot_is_due_from_its_time_on_and_no_later_than_the_shortest_timeout() {
        let mut agenda = Agenda::of(4, Pages::AtStart).unwrap();
        assert_eq!(due(&mut agenda, 10_000), [0, 1, 2, 3]);
        agenda.put_off(0, Nanos(10_500 * 1_000_000));
        agenda.put_off(1, Nanos(60 * SECOND));
        agenda.put_off(2, Nanos(3));
        agenda.keep(3);
        assert_eq!(due(&mut agenda, 10_124), [2, 3]);
        assert_eq!(due(&mut agenda, 10_499), [2, 3]);
        assert_eq!(due(&mut agenda, 10_500), [0, 2, 3]);
        assert_eq!(due(&mut agenda, 11_999), [0, 2, 3]);
        assert_eq!(due(&mut agenda, 12_000), [0, 1, 2, 3]);
    }

    #[test]
    fn every_slot_is_due_after_a_long_time_where_time_or_rules_change_and_under_pressure() {
        let all = [0, 1];
        let mut agenda = Agenda::of(2, Pages::AtStart).unwrap();
        let put_off = |agenda: &mut Agenda| (0..2).for_each(|slot| agenda.put_off(slot, Nanos(u64::MAX)));
        assert_eq!(due(&mut agenda, 10_000), all);
        put_off(&mut agenda);
        assert!(due(&mut agenda, 11_000).is_empty());
        // 256 ticks of 125 ms later the bits are the same.
        assert_eq!(due(&mut agenda, 43_000), all);
        put_off(&mut agenda);
        assert_eq!(due(&mut agenda, 9_000), all, "time ran backwards");
        let mut places = [0; REGION_SLOTS];
        put_off(&mut agenda);
        agenda.begin(Nanos(9 * SECOND), &Timeouts::default(), true);
        assert_eq!(agenda.due(0, &mut places), 2, "flows may end early");
        put_off(&mut agenda);
        let timeouts = Timeouts { udp_ns: SECOND, ..Timeouts::default() };
        agenda.begin(Nanos(9 * SECOND), &timeouts, false);
        assert_eq!(agenda.due(0, &mut places), 2, "other timeouts");
    }
}
