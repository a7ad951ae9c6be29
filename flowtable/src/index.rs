//! Where a key's slot is: fixed buckets of one cache line, searched by 16-bit tags. Belongs to the Writer alone.
//!
//! A full bucket passes the entry on to the next one and counts that in `overflow`, so a search ends at the first bucket
//! nothing was passed on from. Removal undoes the counts: no tombstones, no growth, no rehash, nothing allocated after start.

use crate::mem::{LANES, MemoryError, Slab, lanes_equal, prefetch};
use crate::slot::SlotId;

/// Buckets a search looks at, at most.
pub(crate) const PROBE_LIMIT: usize = 16;
/// Slots of the table for each bucket, so that of a full table's buckets one in twenty-three overflows, and of one that is four
/// fifths full one in a hundred.
const SLOTS_PER_BUCKET: usize = 6;
/// Index memory for each slot of the table, rounded up.
pub(crate) const INDEX_BYTES_PER_SLOT: usize = size_of::<Bucket>().div_ceil(SLOTS_PER_BUCKET);

/// One cache line: ten tags, their slots, and how many entries were passed on to later buckets.
#[derive(Default)]
#[repr(C, align(64))]
pub(crate) struct Bucket {
    tags: [u16; LANES],
    slots: [u32; LANES],
    overflow: u32,
}
const _: () = assert!(size_of::<Bucket>() == 64);

impl Bucket {
    /// Lanes whose tag is `tag`, one bit a lane.
    #[inline(always)]
    fn lanes_with(&self, tag: u16) -> u32 {
        lanes_equal(self.tags, tag)
    }

    /// The first slot whose tag is `tag`.
    #[inline(always)]
    fn first_with(&self, tag: u16) -> Option<SlotId> {
        let lanes = self.lanes_with(tag);
        (lanes != 0).then(|| SlotId(self.slots[lanes.trailing_zeros() as usize % LANES]))
    }
}

/// The hash of a key, seeded; the upper 32 bits choose the bucket, the 16 below them are the tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyHash(pub(crate) u64);

impl KeyHash {
    /// Never 0, which marks an empty lane.
    #[inline]
    fn tag(self) -> u16 {
        ((self.0 >> 16 & 0xffff) as u32).max(1) as u16
    }
}

/// The bucket a search begins in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Home(u32);

impl Home {
    pub(crate) const FIRST: Home = Home(0);
}

pub(crate) struct Index {
    buckets: Slab<Bucket>,
}

impl Index {
    pub(crate) fn new(capacity: usize) -> Result<Self, MemoryError> {
        Ok(Index { buckets: Slab::zeroed(capacity.div_ceil(SLOTS_PER_BUCKET).max(1))? })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.buckets.bytes()
    }

    #[inline]
    fn home(&self, hash: KeyHash) -> usize {
        (((hash.0 >> 32) * self.buckets.len() as u64) >> 32) as usize
    }

    #[inline]
    fn next(&self, bucket: usize) -> usize {
        if bucket + 1 == self.buckets.len() { 0 } else { bucket + 1 }
    }

    /// Asks for the bucket a search for `hash` begins in, and gives its number.
    #[inline(always)]
    pub(crate) fn seek(&self, hash: KeyHash) -> Home {
        let home = self.home(hash);
        prefetch(&self.buckets[home]);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a sixth of the slots, whose numbers have 32 bits"
        )]
        Home(home as u32)
    }

    /// The first slot whose tag fits: a guess for prefetching, to be checked against the key.
    #[inline(always)]
    pub(crate) fn guess(&self, hash: KeyHash, home: Home) -> Option<SlotId> {
        let bucket = &self.buckets[home.0 as usize];
        match bucket.first_with(hash.tag()) {
            None if bucket.overflow > 0 => self.guess_further(hash, home),
            guess => guess,
        }
    }

    /// The same behind the home bucket, for few flows. Nobody has asked for these buckets, but to wait for one here takes less than
    /// to find the flow's lines missing later.
    #[cold]
    #[inline(never)]
    fn guess_further(&self, hash: KeyHash, home: Home) -> Option<SlotId> {
        let mut at = home.0 as usize;
        for _ in 1..PROBE_LIMIT {
            at = self.next(at);
            let bucket = &self.buckets[at];
            let guess = bucket.first_with(hash.tag());
            if guess.is_some() || bucket.overflow == 0 {
                return guess;
            }
        }
        None
    }

    /// The slot with this hash for which `is_it` says yes.
    #[inline]
    pub(crate) fn find(&self, hash: KeyHash, mut is_it: impl FnMut(SlotId) -> bool) -> Option<SlotId> {
        let mut at = self.home(hash);
        for _ in 0..PROBE_LIMIT {
            let bucket = &self.buckets[at];
            let mut lanes = bucket.lanes_with(hash.tag());
            while lanes != 0 {
                let slot = SlotId(bucket.slots[lanes.trailing_zeros() as usize % LANES]);
                if is_it(slot) {
                    return Some(slot);
                }
                lanes &= lanes - 1;
            }
            if bucket.overflow == 0 {
                return None;
            }
            at = self.next(at);
        }
        None
    }

    /// Enters `slot`, which must not be in the index. `false` when every bucket within reach is full.
    pub(crate) fn insert(&mut self, hash: KeyHash, slot: SlotId) -> bool {
        let Some((bucket, lane, passed)) = self.locate(hash, |tag, _| tag == 0) else {
            return false;
        };
        self.buckets[bucket].tags[lane] = hash.tag();
        self.buckets[bucket].slots[lane] = slot.0;
        self.shift_overflow(hash, passed, 1);
        true
    }

    /// Takes `slot` out. `false` when it was not there.
    pub(crate) fn remove(&mut self, hash: KeyHash, slot: SlotId) -> bool {
        let tag = hash.tag();
        let Some((bucket, lane, passed)) = self.locate(hash, |t, s| t == tag && s == slot.0) else {
            return false;
        };
        self.buckets[bucket].tags[lane] = 0;
        self.shift_overflow(hash, passed, -1);
        true
    }

    /// Slots in the buckets a search for `hash` goes through, nearest first: what an eviction chooses from.
    pub(crate) fn group(&self, hash: KeyHash) -> impl Iterator<Item = SlotId> + '_ {
        let home = self.home(hash);
        let path = std::iter::successors(Some(home), |&at| Some(self.next(at))).take(PROBE_LIMIT);
        path.flat_map(|at| {
            let bucket = &self.buckets[at];
            bucket.tags.iter().zip(bucket.slots).filter(|(tag, _)| **tag != 0).map(|(_, slot)| SlotId(slot))
        })
    }

    /// The home bucket and the tag of an entry.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn place_and_tag(&self, hash: KeyHash) -> (usize, u16) {
        (self.home(hash), hash.tag())
    }

    /// Times an entry was passed on by a full bucket.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn displaced(&self) -> usize {
        self.buckets.iter().map(|bucket| bucket.overflow as usize).sum()
    }

    fn locate(&self, hash: KeyHash, fits: impl Fn(u16, u32) -> bool) -> Option<(usize, usize, usize)> {
        let mut at = self.home(hash);
        for passed in 0..PROBE_LIMIT {
            let bucket = &self.buckets[at];
            if let Some(lane) = (0..LANES).find(|&lane| fits(bucket.tags[lane], bucket.slots[lane])) {
                return Some((at, lane, passed));
            }
            at = self.next(at);
        }
        None
    }

    fn shift_overflow(&mut self, hash: KeyHash, passed: usize, by: i32) {
        let mut at = self.home(hash);
        for _ in 0..passed {
            let overflow = &mut self.buckets[at].overflow;
            *overflow = overflow.wrapping_add_signed(by);
            at = self.next(at);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[test]
    fn every_tag_is_found_in_every_lane() {
        for lane in 0..LANES {
            for tag in [1u16, 0x7fff, 0x8000, 0xffff] {
                let mut bucket = Bucket::default();
                bucket.tags[lane] = tag;
                assert_eq!(bucket.lanes_with(tag), 1 << lane, "tag {tag:#x}");
            }
        }
    }

    proptest! {
        /// Few distinct hashes, so that buckets overflow and tags collide.
        #[test]
        fn behaves_like_a_map_under_random_operations(
            operations in prop::collection::vec((any::<bool>(), 0u64..96), 1..400),
        ) {
            let mut index = Index::new(64).unwrap();
            let mut model: HashMap<u64, u32> = HashMap::new();
            let hash = |key: u64| KeyHash((key % 3) << 61 | (key % 5) << 16);
            for (insert, key) in operations {
                let found = index.find(hash(key), |slot| model.get(&key) == Some(&slot.0));
                prop_assert_eq!(found.map(|slot| slot.0), model.get(&key).copied());
                match (insert, found) {
                    (true, None) => {
                        let slot = u32::try_from(key).unwrap() + 1_000;
                        if index.insert(hash(key), SlotId(slot)) {
                            model.insert(key, slot);
                        }
                    }
                    (false, Some(slot)) => {
                        prop_assert!(index.remove(hash(key), slot));
                        model.remove(&key);
                    }
                    _ => {}
                }
            }
            for key in model.keys().copied().collect::<Vec<_>>() {
                prop_assert!(index.remove(hash(key), SlotId(model[&key])));
            }
            prop_assert!(index.buckets.iter().all(|b| b.overflow == 0 && b.tags == [0; LANES]));
        }
    }
}
