//! Words written by one thread and read by any, of one moment: the version that brackets each update.
//!
//! The writer makes the version odd, writes, and makes it even again; a reader uses what it read between two equal even
//! versions. One writer, so no read-modify-write: on x86-64 every step is a plain move. The words themselves are atomics,
//! read and written Relaxed inside the brackets.

use crate::sync::{AtomicU32, Ordering, fence};

/// The version of a group of words. Even while nobody writes them.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct Version(AtomicU32);

/// An update under way, to be ended by [`Version::end`]; the version before it.
#[must_use]
pub(crate) struct Update(u32);

impl Version {
    /// Does `write`, which stores the words, so that readers see all of it or nothing. For the one writer alone.
    #[inline]
    pub fn update<R>(&self, write: impl FnOnce() -> R) -> R {
        let update = self.begin();
        let result = write();
        self.end(update);
        result
    }

    /// Begins what [`Version::update`] does, for the way of most packets: a closure may become a function of its own, which is
    /// handed what it captures through memory. Gives what [`Version::end`] takes.
    #[inline(always)]
    pub(crate) fn begin(&self) -> Update {
        let version = self.0.load(Ordering::Relaxed);
        self.0.store(version.wrapping_add(1), Ordering::Relaxed);
        // Pairs with the reader's Acquire fence: a reader that sees a store below also sees the odd version.
        fence(Ordering::Release);
        Update(version)
    }

    /// Ends an update.
    #[inline(always)]
    pub(crate) fn end(&self, Update(version): Update) {
        // Release: pairs with the reader's Acquire load of the version; everything above is visible with it.
        self.0.store(version.wrapping_add(2), Ordering::Release);
    }

    /// What `read` gives, and the version it belongs to; `None` where an update came in between. Does not wait.
    #[inline]
    pub fn read<R>(&self, read: impl FnOnce() -> R) -> Option<(R, u32)> {
        // Acquire: pairs with the Release store that ends an update, so the words read are at least that update's.
        let version = self.0.load(Ordering::Acquire);
        if version & 1 != 0 {
            return None;
        }
        let words = read();
        // Pairs with the writer's fence after the odd version: had a word come from a later update, the load below would
        // see a newer version.
        fence(Ordering::Acquire);
        (self.0.load(Ordering::Relaxed) == version).then_some((words, version))
    }

    /// The version as the writer left it; nobody else changes it.
    #[inline]
    pub(crate) fn own(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}
