//! Flows the Sweeper has exported, freed in groups: nobody has asked for their lines in a while, and those of a group come together.

use super::{Writer, bump};
use crate::index::KeyHash;
use crate::mem::prefetch;
use crate::slot::Meta;
use crate::sync::Ordering;
use crate::table::Retire;
use crate::time::Nanos;

/// Flows whose lines are asked for together: a slot's hot line each, and then a bucket each.
const GROUP: usize = 16;

/// Flows to be freed.
pub(super) struct Retiring {
    flows: [Retire; GROUP],
    hashes: [KeyHash; GROUP],
}

impl Retiring {
    pub(super) const NONE: Retiring = Retiring { flows: [Retire::NONE; GROUP], hashes: [KeyHash(0); GROUP] };
}

impl Writer {
    /// Frees flows the Sweeper has exported, `limit` at most; a flow that got a packet since lives on.
    pub fn serve_retirements(&mut self, limit: usize) -> usize {
        for _ in 0..limit {
            let Some(details) = self.shared.returned.take() else {
                break;
            };
            self.free_blocks.give_back(&self.shared.details, details);
        }
        let mut served = 0;
        while served < limit {
            let group = self.next_group(limit - served);
            if group == 0 {
                break;
            }
            self.find_buckets(group);
            for at in 0..group {
                self.retire(at);
            }
            served += group;
        }
        served
    }

    /// Takes up to `limit` of what the Sweeper asked for, and asks for the hot lines. Gives their number.
    fn next_group(&mut self, limit: usize) -> usize {
        let mut taken = 0;
        for place in self.retiring.flows.iter_mut().take(limit) {
            let Some(retire) = self.shared.retire.take() else {
                break;
            };
            prefetch(&self.shared.busy[retire.slot().0 as usize].hot);
            *place = retire;
            taken += 1;
        }
        taken
    }

    /// Asks for the buckets of a group. The hash is that of the flow, as long as its version has not moved.
    fn find_buckets(&mut self, group: usize) {
        let Retiring { flows, hashes } = &mut self.retiring;
        for (retire, hash) in flows.iter().zip(hashes).take(group) {
            let hot = &self.shared.busy[retire.slot().0 as usize].hot;
            *hash = self.hasher.hash(hot.key_words().hot);
            let _ = self.index.seek(*hash);
        }
    }

    fn retire(&mut self, at: usize) {
        let (retire, hash) = (self.retiring.flows[at], self.retiring.hashes[at]);
        let slot = retire.slot();
        let hot = &self.shared.busy[slot.0 as usize].hot;
        let unmoved = hot.version.own() == retire.version;
        if unmoved && Meta(hot.meta.load(Ordering::Relaxed)).has(Meta::LIVE) {
            self.ended(Nanos(hot.last_seen.load(Ordering::Relaxed)));
            self.release(slot, hash, retire.has_details());
            bump(&self.shared.tallies.freed);
        }
    }
}
