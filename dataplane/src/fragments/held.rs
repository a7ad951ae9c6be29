//! Packets that wait for the first part of their datagram: one pool, a list for each datagram.

use flowtable::{Packet, Tunnel};

/// No packet.
const NONE: u32 = u32::MAX;

/// The packets of one datagram, in the order they came.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeldList {
    head: u32,
    tail: u32,
    len: u32,
}

impl Default for HeldList {
    fn default() -> HeldList {
        HeldList { head: NONE, tail: NONE, len: 0 }
    }
}

impl HeldList {
    /// Packets in it.
    pub(super) fn len(&self) -> u32 {
        self.len
    }
}

/// A packet and what it has beside it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub packet: Packet,
    pub tunnel: Option<Tunnel>,
}

/// Room for the held packets of all datagrams. Never allocates after it is made.
#[derive(Debug)]
pub(super) struct Pool {
    /// A packet and the one behind it in its list. Grows to `capacity`, which was reserved.
    slots: Vec<(Held, u32)>,
    /// The free slots below `slots.len()`, as a list.
    free: u32,
    held: u32,
    capacity: u32,
}

impl Pool {
    /// Room for `capacity` packets.
    pub(super) fn new(capacity: u32) -> Pool {
        Pool { slots: Vec::with_capacity(capacity as usize), free: NONE, held: 0, capacity }
    }

    /// Packets held.
    #[inline]
    pub(super) fn held(&self) -> u32 {
        self.held
    }

    /// Whether there is no room.
    pub(super) fn is_full(&self) -> bool {
        self.held == self.capacity
    }

    /// Appends a packet to `list`. `false` where there is no room.
    pub(super) fn push(&mut self, list: &mut HeldList, held: Held) -> bool {
        if self.is_full() {
            return false;
        }
        let slot = self.place(held);
        match self.slots.get_mut(list.tail as usize) {
            Some((_, next)) => *next = slot,
            None => list.head = slot,
        }
        list.tail = slot;
        list.len += 1;
        self.held += 1;
        true
    }

    /// Takes the packet that came first out of `list`.
    pub(super) fn pop(&mut self, list: &mut HeldList) -> Option<Held> {
        let slot = list.head;
        let (held, next) = self.slots.get_mut(slot as usize)?;
        let held = *held;
        list.head = std::mem::replace(next, self.free);
        self.free = slot;
        list.len -= 1;
        if list.len == 0 {
            *list = HeldList::default();
        }
        self.held -= 1;
        Some(held)
    }

    /// Puts a packet into a free slot, of which the caller has seen that there is one.
    fn place(&mut self, held: Held) -> u32 {
        if let Some((place, next)) = self.slots.get_mut(self.free as usize) {
            *place = held;
            let slot = self.free;
            self.free = std::mem::replace(next, NONE);
            return slot;
        }
        self.slots.push((held, NONE));
        #[expect(clippy::cast_possible_truncation, reason = "below the capacity, which is 32 bits")]
        let slot = (self.slots.len() - 1) as u32;
        slot
    }
}
