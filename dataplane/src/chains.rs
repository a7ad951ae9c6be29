//! Slots found by hash: a chain for each bucket, linked through the slots themselves.
//!
//! Never allocates after it is made and never grows. Removal leaves nothing behind, so no insert ever has to tidy up.
//! Hashes come from a seeded hasher, so nobody can aim at one chain.

/// No slot.
const NONE: u32 = u32::MAX;

/// Which slots have a hash. The slots' contents are the caller's.
#[derive(Debug)]
pub(crate) struct Chains {
    /// The first slot of each bucket; a power of two of them.
    heads: Box<[u32]>,
    /// The slot behind each slot in its chain.
    next: Box<[u32]>,
}

impl Chains {
    /// Chains for slots below `slots`, one a bucket or fewer on average.
    pub(crate) fn new(slots: u32) -> Chains {
        let slots = slots as usize;
        Chains {
            heads: vec![NONE; slots.next_power_of_two()].into_boxed_slice(),
            next: vec![NONE; slots].into_boxed_slice(),
        }
    }

    /// The slot under `hash` that `is_it`, the one entered last where several are.
    #[inline]
    pub(crate) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mut at = self.heads[self.bucket(hash)];
        // A chain holds a slot once, so it ends after `next.len()` steps.
        while at != NONE {
            if is_it(at) {
                return Some(at);
            }
            at = self.next[at as usize];
        }
        None
    }

    /// Enters `slot`, which is in no chain, under `hash`.
    pub(crate) fn insert(&mut self, hash: u64, slot: u32) {
        let bucket = self.bucket(hash);
        self.next[slot as usize] = self.heads[bucket];
        self.heads[bucket] = slot;
    }

    /// Takes `slot` out, which was entered under `hash`.
    pub(crate) fn remove(&mut self, hash: u64, slot: u32) {
        let bucket = self.bucket(hash);
        let behind = self.next[slot as usize];
        if self.heads[bucket] == slot {
            self.heads[bucket] = behind;
            return;
        }
        let mut at = self.heads[bucket];
        while at != NONE {
            if self.next[at as usize] == slot {
                self.next[at as usize] = behind;
                return;
            }
            at = self.next[at as usize];
        }
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the low bits choose the bucket")]
    fn bucket(&self, hash: u64) -> usize {
        hash as usize & (self.heads.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_of_one_chain_are_found_and_removed_in_any_order() {
        let mut chains = Chains::new(3);
        for slot in 0..3 {
            chains.insert(8, slot);
        }
        assert_eq!(chains.find(8, |_| true), Some(2));
        chains.remove(8, 1);
        assert_eq!(chains.find(8, |slot| slot < 2), Some(0));
        chains.remove(8, 2);
        chains.remove(8, 0);
        assert_eq!(chains.find(8, |_| true), None);
        chains.insert(8, 1);
        assert_eq!(chains.find(8, |slot| slot == 1), Some(1));
        assert_eq!(chains.find(9, |_| true), None);
    }
}
