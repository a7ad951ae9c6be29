//! Atomics and the bounded queues between Writer and Sweeper; loom's own under `cfg(loom)`, so the same code is modelled.

#[cfg(not(loom))]
pub(crate) use std::sync::{
    Arc,
    atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering, fence},
};

#[cfg(loom)]
pub(crate) use loom::sync::{
    Arc,
    atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering, fence},
};

/// A bounded queue that neither side ever waits on: [`Mailbox::put`] gives the message back when there is no room.
#[cfg(not(loom))]
pub(crate) struct Mailbox<T>(crossbeam::queue::ArrayQueue<T>);

#[cfg(not(loom))]
impl<T> Mailbox<T> {
    pub(crate) fn bounded(capacity: usize) -> Self {
        Mailbox(crossbeam::queue::ArrayQueue::new(capacity))
    }

    #[inline]
    pub(crate) fn put(&self, message: T) -> Result<(), T> {
        self.0.push(message)
    }

    /// Asks first whether there is anything, which is two loads: of an empty queue `pop` finds that out behind a full fence, and
    /// waits for all stores before it.
    #[inline]
    pub(crate) fn take(&self) -> Option<T> {
        if self.0.is_empty() { None } else { self.0.pop() }
    }

    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.0.is_full()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// loom cannot look into crossbeam's queue; a mutex gives the model the same edges.
#[cfg(loom)]
pub(crate) struct Mailbox<T> {
    messages: loom::sync::Mutex<std::collections::VecDeque<T>>,
    capacity: usize,
}

#[cfg(loom)]
impl<T> Mailbox<T> {
    pub(crate) fn bounded(capacity: usize) -> Self {
        Mailbox { messages: loom::sync::Mutex::new(std::collections::VecDeque::new()), capacity }
    }

    pub(crate) fn put(&self, message: T) -> Result<(), T> {
        let mut messages = self.messages.lock().expect("no holder panics");
        if messages.len() == self.capacity {
            return Err(message);
        }
        messages.push_back(message);
        Ok(())
    }

    pub(crate) fn take(&self) -> Option<T> {
        self.messages.lock().expect("no holder panics").pop_front()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.messages.lock().expect("no holder panics").len() == self.capacity
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages.lock().expect("no holder panics").is_empty()
    }
}
