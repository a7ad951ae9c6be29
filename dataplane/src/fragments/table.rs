//! The datagrams remembered: found by key, and in two queues by age.

use std::ops::{Index, IndexMut};

use flowtable::{Direction, Family, FlowKey, Nanos};

use super::coverage::Coverage;
use super::held::HeldList;
use crate::chains::Chains;
use crate::seeded;
use crate::wire::Fragment;

/// No slot.
const NONE: u32 = u32::MAX;
/// Sets these hashes apart from those of other tables.
const PURPOSE: u64 = 1;

/// What the parts of one datagram have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct DatagramKey {
    source: u128,
    destination: u128,
    family: Family,
    /// 0 for IPv6, where parts of one datagram may name different headers (RFC 8200 §4.5).
    protocol: u8,
    id: u32,
    vlans: u32,
    tunnel: u64,
}

impl DatagramKey {
    pub(super) fn of(fragment: &Fragment) -> DatagramKey {
        let flow = &fragment.flow.0;
        DatagramKey {
            source: fragment.source,
            destination: fragment.destination,
            family: fragment.family,
            protocol: if fragment.family == Family::V4 { fragment.protocol } else { 0 },
            id: fragment.id,
            vlans: flow.vlans,
            tunnel: flow.tunnel,
        }
    }
}

/// What the first part tells of the others.
#[derive(Clone, Copy, Debug)]
pub(super) struct First {
    pub flow: (FlowKey, Direction),
    /// ICMP type and code, should a later part open the flow.
    pub icmp: Option<(u8, u8)>,
}

/// One datagram of which not all parts have come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Datagram {
    key: DatagramKey,
    hash: u64,
    /// When it is forgotten.
    pub expires: Nanos,
    /// `None` while it waits for its first part.
    pub first: Option<First>,
    pub coverage: Coverage,
    pub held: HeldList,
    /// Neighbours in its queue.
    older: u32,
    newer: u32,
}

/// Datagrams in the order in which they expire.
#[derive(Clone, Copy, Debug)]
struct Queue {
    oldest: u32,
    newest: u32,
}

const EMPTY: Queue = Queue { oldest: NONE, newest: NONE };

/// Room for datagrams. Never allocates after it is made.
#[derive(Debug)]
pub(super) struct Table {
    /// Grows to the capacity, which was reserved.
    datagrams: Vec<Datagram>,
    free: Vec<u32>,
    capacity: u32,
    chains: Chains,
    hasher: ahash::RandomState,
    /// Datagrams whose first part has not come.
    waiting: Queue,
    /// Datagrams whose first part is known.
    known: Queue,
}

impl Table {
    /// Room for `capacity` datagrams.
    pub(super) fn new(capacity: u32, seed: u64) -> Table {
        Table {
            datagrams: Vec::with_capacity(capacity as usize),
            free: Vec::with_capacity(capacity as usize),
            capacity,
            chains: Chains::new(capacity),
            hasher: seeded::hasher(seed, PURPOSE),
            waiting: EMPTY,
            known: EMPTY,
        }
    }

    /// Datagrams remembered.
    pub(super) fn len(&self) -> usize {
        self.datagrams.len() - self.free.len()
    }

    /// Whether there is room for no other.
    pub(super) fn is_full(&self) -> bool {
        self.len() == self.capacity as usize
    }

    /// The datagram with this key.
    pub(super) fn find(&self, key: &DatagramKey) -> Option<u32> {
        self.chains.find(self.hasher.hash_one(key), |slot| self[slot].key == *key)
    }

    /// Remembers a datagram that waits for its first part. The caller has made room.
    pub(super) fn open(&mut self, key: DatagramKey, expires: Nanos) -> u32 {
        let hash = self.hasher.hash_one(key);
        let datagram = Datagram {
            key,
            hash,
            expires,
            first: None,
            coverage: Coverage::default(),
            held: HeldList::default(),
            older: NONE,
            newer: NONE,
        };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.datagrams.push(datagram);
            #[expect(clippy::cast_possible_truncation, reason = "at most the capacity, which is 32 bits")]
            let slot = (self.datagrams.len() - 1) as u32;
            slot
        });
        self[slot] = datagram;
        self.chains.insert(hash, slot);
        self.enqueue(slot);
        slot
    }

    /// Notes the first part of a datagram, which from now on expires at `expires`.
    pub(super) fn know(&mut self, slot: u32, first: First, expires: Nanos) {
        self.dequeue(slot);
        let datagram = &mut self[slot];
        datagram.first = Some(first);
        datagram.expires = expires;
        self.enqueue(slot);
    }

    /// Forgets a datagram.
    pub(super) fn close(&mut self, slot: u32) {
        self.dequeue(slot);
        self.chains.remove(self[slot].hash, slot);
        self.free.push(slot);
    }

    /// The oldest datagram that waits for its first part.
    pub(super) fn oldest_waiting(&self) -> Option<u32> {
        self.datagrams.get(self.waiting.oldest as usize).map(|_| self.waiting.oldest)
    }

    /// The datagram that expires first.
    pub(super) fn oldest(&self) -> Option<u32> {
        let heads = [self.waiting.oldest, self.known.oldest];
        heads.into_iter().filter(|slot| *slot != NONE).min_by_key(|slot| self[*slot].expires)
    }

    fn queue_of(&mut self, slot: u32) -> &mut Queue {
        if self[slot].first.is_some() { &mut self.known } else { &mut self.waiting }
    }

    fn enqueue(&mut self, slot: u32) {
        let queue = self.queue_of(slot);
        let older = std::mem::replace(&mut queue.newest, slot);
        if older == NONE {
            queue.oldest = slot;
        } else {
            self[older].newer = slot;
        }
        (self[slot].older, self[slot].newer) = (older, NONE);
    }

    fn dequeue(&mut self, slot: u32) {
        let Datagram { older, newer, .. } = self[slot];
        if older == NONE {
            self.queue_of(slot).oldest = newer;
        } else {
            self[older].newer = newer;
        }
        if newer == NONE {
            self.queue_of(slot).newest = older;
        } else {
            self[newer].older = older;
        }
    }
}

impl Index<u32> for Table {
    type Output = Datagram;

    fn index(&self, slot: u32) -> &Datagram {
        &self.datagrams[slot as usize]
    }
}

impl IndexMut<u32> for Table {
    fn index_mut(&mut self, slot: u32) -> &mut Datagram {
        &mut self.datagrams[slot as usize]
    }
}
