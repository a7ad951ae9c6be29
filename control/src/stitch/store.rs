//! The conversations remembered: found by key, queued by what is awaited of them, oldest first. Bounded by the capacity.

use ahash::RandomState;
use flowtable::{FlowKey, Nanos};
use hashbrown::HashTable;

use super::conversation::Conversation;

/// Place of a conversation; its own until it is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id(u32);

/// What is awaited of a conversation. Each is in exactly one queue, behind those that came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queue {
    /// The other half of a window.
    Held = 0,
    /// The next record of a half that lives.
    Living = 1,
    /// The other half of a conversation whose known halves, all of one direction, have ended.
    OneWay = 2,
    /// Nothing but a revival.
    Ended = 3,
}
const QUEUES: usize = 4;

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct List {
    first: u32,
    last: u32,
    len: usize,
}

struct Entry {
    conversation: Conversation,
    queue: Queue,
    /// When it came into its queue.
    since: Nanos,
    before: u32,
    after: u32,
}

pub(super) struct Store {
    hasher: RandomState,
    index: HashTable<u32>,
    /// Grows with the need, up to the capacity.
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    lists: [List; QUEUES],
    capacity: usize,
}

impl Store {
    pub(super) fn new(capacity: u32, seed: u64) -> Store {
        Store {
            hasher: RandomState::with_seeds(seed, !seed, seed.rotate_left(32), seed.wrapping_mul(31)),
            index: HashTable::new(),
            entries: Vec::new(),
            free: Vec::new(),
            lists: [List { first: NONE, last: NONE, len: 0 }; QUEUES],
            capacity: capacity.clamp(1, 1 << 31) as usize,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn queued(&self, queue: Queue) -> usize {
        self.lists[queue as usize].len
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() >= self.capacity
    }

    pub(super) fn find(&self, key: &FlowKey) -> Option<Id> {
        let is_it = |&at: &u32| self.entry(at).conversation.key() == key;
        self.index.find(self.hasher.hash_one(key), is_it).map(|&at| Id(at))
    }

    /// Enters a conversation whose key is not there yet, into [`Queue::Held`]. The caller has made sure of room.
    pub(super) fn insert(&mut self, conversation: Conversation, now: Nanos) -> Id {
        debug_assert!(!self.is_full() && self.find(conversation.key()).is_none());
        let hash = self.hasher.hash_one(conversation.key());
        let entry = Entry { conversation, queue: Queue::Held, since: now, before: NONE, after: NONE };
        let at = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            u32::try_from(self.entries.len() - 1).expect("the capacity is at most 2^31")
        });
        self.entries[at as usize] = Some(entry);
        let (hasher, entries) = (&self.hasher, &self.entries);
        self.index.insert_unique(hash, at, |&at| hasher.hash_one(occupied(entries, at).conversation.key()));
        self.link(at);
        Id(at)
    }

    pub(super) fn conversation_mut(&mut self, id: Id) -> &mut Conversation {
        &mut self.entry_mut(id.0).conversation
    }

    /// Puts `id` at the end of `queue`; one that is held already keeps its place among the held.
    pub(super) fn file(&mut self, id: Id, queue: Queue, now: Nanos) {
        if queue == Queue::Held && self.entry(id.0).queue == Queue::Held {
            return;
        }
        self.unlink(id.0);
        let entry = self.entry_mut(id.0);
        (entry.queue, entry.since) = (queue, now);
        self.link(id.0);
    }

    pub(super) fn remove(&mut self, id: Id) {
        self.unlink(id.0);
        let hash = self.hasher.hash_one(self.entry(id.0).conversation.key());
        if let Ok(found) = self.index.find_entry(hash, |&at| at == id.0) {
            found.remove();
        }
        self.entries[id.0 as usize] = None;
        self.free.push(id.0);
    }

    pub(super) fn oldest(&self, queue: Queue) -> Option<Id> {
        let first = self.lists[queue as usize].first;
        (first != NONE).then_some(Id(first))
    }

    /// The oldest of `queue` if it has been there for `keep_ns`.
    pub(super) fn due(&self, queue: Queue, now: Nanos, keep_ns: u64) -> Option<Id> {
        self.oldest(queue).filter(|id| now.since(self.entry(id.0).since) >= keep_ns)
    }

    fn entry(&self, at: u32) -> &Entry {
        occupied(&self.entries, at)
    }

    fn entry_mut(&mut self, at: u32) -> &mut Entry {
        self.entries[at as usize].as_mut().expect("only removal empties an entry, and it takes the id out")
    }

    fn link(&mut self, at: u32) {
        let queue = self.entry(at).queue as usize;
        let last = std::mem::replace(&mut self.lists[queue].last, at);
        let entry = self.entry_mut(at);
        (entry.before, entry.after) = (last, NONE);
        match last {
            NONE => self.lists[queue].first = at,
            last => self.entry_mut(last).after = at,
        }
        self.lists[queue].len += 1;
    }

    fn unlink(&mut self, at: u32) {
        let &Entry { queue, before, after, .. } = self.entry(at);
        match before {
            NONE => self.lists[queue as usize].first = after,
            before => self.entry_mut(before).after = after,
        }
        match after {
            NONE => self.lists[queue as usize].last = before,
            after => self.entry_mut(after).before = before,
        }
        self.lists[queue as usize].len -= 1;
    }
}

fn occupied(entries: &[Option<Entry>], at: u32) -> &Entry {
    entries[at as usize].as_ref().expect("index and lists hold occupied entries alone")
}
