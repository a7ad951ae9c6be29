//! Which flows are under way, so that a flow's records arrive in their order although several batches do at once.
//!
//! A receiver may take requests in any order, and one that failed is sent again after others. So a batch is not sent while
//! an earlier one that has records of one of its flows is neither taken nor lost.

use std::collections::VecDeque;

use ahash::RandomState;
use flowtable::FlowRecord;
use hashbrown::HashTable;

use super::queue::Taken;

/// The flows of every batch that is not settled, oldest batch first.
pub(super) struct Order {
    hasher: RandomState,
    open: VecDeque<Open>,
    /// Tables of batches that are settled, to be used again.
    spare: Vec<HashTable<u64>>,
}

/// A batch that is not settled.
struct Open {
    number: u64,
    /// Hashes of its flows. Two flows of one hash only wait for each other.
    flows: HashTable<u64>,
}

impl Order {
    pub(super) fn new() -> Order {
        Order { hasher: RandomState::new(), open: VecDeque::new(), spare: Vec::new() }
    }

    /// Enters batch `number`, the highest so far; gives the latest open batch it must not overtake.
    pub(super) fn enter(&mut self, number: u64, taken: &Taken) -> Option<u64> {
        let mut flows = self.spare.pop().unwrap_or_default();
        let mut after = None;
        for record in taken.parts().flatten() {
            let hash = self.hasher.hash_one(record.key);
            if continues(record) {
                after = after.max(self.latest_with(hash));
            }
            if flows.find(hash, |other| *other == hash).is_none() {
                flows.insert_unique(hash, hash, |hash| *hash);
            }
        }
        self.open.push_back(Open { number, flows });
        after
    }

    /// Batch `number` is taken or lost.
    pub(super) fn settle(&mut self, number: u64) {
        if let Some(place) = self.open.iter().position(|open| open.number == number)
            && let Some(mut settled) = self.open.remove(place)
        {
            settled.flows.clear();
            self.spare.push(settled.flows);
        }
    }

    /// Whether batch `number` is not settled.
    pub(super) fn is_open(&self, number: u64) -> bool {
        self.open.iter().any(|open| open.number == number)
    }

    fn latest_with(&self, flow: u64) -> Option<u64> {
        let with = |open: &&Open| open.flows.find(flow, |other| *other == flow).is_some();
        self.open.iter().rev().find(with).map(|open| open.number)
    }
}

/// Whether there is a record before this one of the same flow.
fn continues(record: &FlowRecord) -> bool {
    record.number > 0
}
