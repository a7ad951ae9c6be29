//! The slots no flow is in: a list linked through the slots themselves, and behind it those that never had a flow. The Writer's
//! own.

use crate::mem::Slab;
use crate::slot::{Busy, Meta, SlotId};
use crate::sync::Ordering;

/// The free slots. The slot freed last is taken first: it is the warmest.
pub(crate) struct FreeSlots {
    /// The slot freed last, if the flows of any have ended; its hot line says which was freed before.
    last: Option<SlotId>,
    /// No slot from this one on ever had a flow.
    fresh: u32,
}

/// Ends the list: no slot has this number, as capacity is at most 2^31.
const NO_SLOT: u64 = u64::MAX;

impl FreeSlots {
    /// All of a table in which there never was a flow.
    pub(crate) fn all() -> FreeSlots {
        FreeSlots { last: None, fresh: 0 }
    }

    /// A slot for another flow, if one is free.
    pub(crate) fn take(&mut self, slots: &Slab<Busy>) -> Option<SlotId> {
        let Some(slot) = self.last else {
            let fresh = SlotId(self.fresh);
            self.fresh += u32::from(slots.get(fresh.0 as usize).is_some());
            return (fresh.0 < self.fresh).then_some(fresh);
        };
        let before = slots[slot.0 as usize].hot.key[0].load(Ordering::Relaxed);
        self.last = u32::try_from(before).ok().map(SlotId);
        Some(slot)
    }

    /// Takes back a slot that is in no index, and marks it as free. Called inside an update.
    pub(crate) fn give_back(&mut self, slots: &Slab<Busy>, slot: SlotId) {
        let hot = &slots[slot.0 as usize].hot;
        let meta = hot.meta.load(Ordering::Relaxed);
        hot.meta.store(meta & !Meta::LIVE, Ordering::Relaxed);
        hot.key[0].store(self.last.map_or(NO_SLOT, |last| last.0.into()), Ordering::Relaxed);
        self.last = Some(slot);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn each_slot_is_had_once_and_the_one_freed_last_is_had_first() {
        let slots: Slab<Busy> = Slab::zeroed(4).unwrap();
        let mut free = FreeSlots::all();
        assert_eq!([0, 1, 2].map(|_| free.take(&slots)), [0, 1, 2].map(|slot| Some(SlotId(slot))));
        slots[1].hot.meta.store(Meta::LIVE | Meta::WIDE, Ordering::Relaxed);
        for slot in [2, 0, 1] {
            free.give_back(&slots, SlotId(slot));
        }
        assert_eq!(slots[1].hot.meta.load(Ordering::Relaxed), Meta::WIDE);
        let taken: Vec<u32> = std::iter::from_fn(|| free.take(&slots)).map(|slot| slot.0).collect();
        assert_eq!(taken, [1, 0, 2, 3]);
        free.give_back(&slots, SlotId(3));
        assert_eq!([free.take(&slots), free.take(&slots)], [Some(SlotId(3)), None]);
    }
}
