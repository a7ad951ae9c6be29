//! The slots no flow is in: a list linked through the slots themselves, and behind it those that never had a flow. The Writer's
//! own.
//!
//! The first of the list are known by number, so that their lines can be asked for some packets before a flow opens there.

use crate::mem::{Slab, prefetch};
use crate::slot::{Busy, Meta, SlotId};
use crate::sync::Ordering;

/// Slots of the list that are known by number, at most.
const KNOWN: usize = 16;

/// The free slots. The slot freed last is taken first: it is the warmest.
pub(crate) struct FreeSlots {
    /// The first `known` slots of the list in a ring, the very first at `first` and the others in the places before it.
    near: [SlotId; KNOWN],
    first: usize,
    /// 0 only where the list is empty.
    known: usize,
    /// No slot from this one on ever had a flow.
    fresh: u32,
}

/// Ends the list: no slot has this number, as capacity is at most 2^31.
const NO_SLOT: u64 = u64::MAX;

impl FreeSlots {
    /// All of a table in which there never was a flow.
    pub(crate) fn all() -> FreeSlots {
        FreeSlots { near: [SlotId(0); KNOWN], first: 0, known: 0, fresh: 0 }
    }

    /// A slot for another flow, if one is free.
    pub(crate) fn take(&mut self, slots: &Slab<Busy>) -> Option<SlotId> {
        if self.known == 0 {
            let fresh = SlotId(self.fresh);
            self.fresh += u32::from(slots.get(fresh.0 as usize).is_some());
            return (fresh.0 < self.fresh).then_some(fresh);
        }
        let slot = self.near[self.first];
        if self.known == 1 {
            self.look_on(slots);
        }
        self.first = self.place(1);
        self.known -= 1;
        Some(slot)
    }

    /// Whether none is free.
    #[inline]
    pub(crate) fn is_empty(&self, slots: &Slab<Busy>) -> bool {
        self.known == 0 && self.fresh as usize == slots.len()
    }

    /// Takes back a slot that is in no index, and marks it as free. Called inside an update.
    pub(crate) fn give_back(&mut self, slots: &Slab<Busy>, slot: SlotId) {
        let hot = &slots[slot.0 as usize].hot;
        let meta = hot.meta.load(Ordering::Relaxed);
        hot.meta.store(meta & !Meta::LIVE, Ordering::Relaxed);
        let before = if self.known == 0 { NO_SLOT } else { self.near[self.first].0.into() };
        hot.key[0].store(before, Ordering::Relaxed);
        // Where all places are taken this is that of the last one known, which is in the list all the same.
        self.first = (self.first + 1) % KNOWN;
        self.near[self.first] = slot;
        self.known = (self.known + 1).min(KNOWN);
    }

    /// Reads the link of the last slot known and asks for the line of the one it names, whose link is next. To be called now
    /// and then, before slots are wanted: each step waits for the one before.
    #[inline]
    pub(crate) fn look_on(&mut self, slots: &Slab<Busy>) {
        if self.known == 0 || self.known == KNOWN {
            return;
        }
        let last = self.near[self.place(self.known - 1)];
        let link = slots[last.0 as usize].hot.key[0].load(Ordering::Relaxed);
        if let Ok(next) = u32::try_from(link) {
            prefetch(&slots[next as usize].hot);
            let place = self.place(self.known);
            self.near[place] = SlotId(next);
            self.known += 1;
        }
    }

    /// The slot that is taken after `others` were, as far as that is known; it may be past the end of the table.
    #[inline]
    pub(crate) fn upcoming(&self, others: usize) -> SlotId {
        if others < self.known {
            return self.near[self.place(others)];
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most a round of packets")]
        SlotId(self.fresh.saturating_add((others - self.known) as u32))
    }

    /// Where slot `number` of those known is.
    #[inline]
    fn place(&self, number: usize) -> usize {
        (self.first + KNOWN - number % KNOWN) % KNOWN
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_slot_is_had_once_and_the_one_freed_last_is_had_first() {
        let slots: Slab<Busy> = Slab::zeroed(4).unwrap();
        let mut free = FreeSlots::all();
        assert_eq!([0, 1, 2].map(|_| free.take(&slots)), [0, 1, 2].map(|slot| Some(SlotId(slot))));
        slots[1].hot.meta.store(Meta::LIVE | Meta::TOLD, Ordering::Relaxed);
        for slot in [2, 0, 1] {
            free.give_back(&slots, SlotId(slot));
        }
        assert_eq!(slots[1].hot.meta.load(Ordering::Relaxed), Meta::TOLD);
        let taken: Vec<u32> = std::iter::from_fn(|| free.take(&slots)).map(|slot| slot.0).collect();
        assert_eq!(taken, [1, 0, 2, 3]);
        free.give_back(&slots, SlotId(3));
        assert_eq!([free.take(&slots), free.take(&slots)], [Some(SlotId(3)), None]);
    }

    proptest! {
        /// However far ahead it looks, and however many slots it knows.
        #[test]
        fn slots_come_and_go_as_from_a_stack(steps in prop::collection::vec((0usize..4, any::<prop::sample::Index>()), 0..400)) {
            const SLOTS: u32 = 64;
            let slots: Slab<Busy> = Slab::zeroed(SLOTS as usize).unwrap();
            let mut free = FreeSlots::all();
            let (mut stack, mut taken): (Vec<u32>, Vec<u32>) = ((0..SLOTS).rev().collect(), Vec::new());
            for (step, which) in steps {
                match step {
                    0 if !taken.is_empty() => {
                        let slot = taken.swap_remove(which.index(taken.len()));
                        free.give_back(&slots, SlotId(slot));
                        stack.push(slot);
                    }
                    1 => free.look_on(&slots),
                    _ => {
                        prop_assert_eq!(free.is_empty(&slots), stack.is_empty());
                        let next = stack.pop();
                        if let Some(next) = next {
                            prop_assert_eq!(free.upcoming(0), SlotId(next));
                            taken.push(next);
                        }
                        prop_assert_eq!(free.take(&slots), next.map(SlotId));
                    }
                }
            }
            let rest: Vec<u32> = std::iter::from_fn(|| free.take(&slots)).map(|slot| slot.0).collect();
            stack.reverse();
            prop_assert_eq!(rest, stack);
        }
    }
}
