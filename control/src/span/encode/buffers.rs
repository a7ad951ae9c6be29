//! Buffers for batches, used again once nobody reads the batch any more: a fresh one for each batch would cost a page fault
//! for every four kilobytes of it, and filling it with zeros once more.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Buffers kept for later at most; more than that many batches are rarely under way.
const MAX_KEPT: usize = 16;
/// What a buffer begins with, and grows by at least.
const BUFFER_STEP: usize = 1 << 16;

/// The buffers of one encoder that nobody uses.
#[derive(Clone, Debug, Default)]
pub(super) struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

/// A batch being written, from front to back.
pub(super) struct Draft {
    /// Behind `end` stands whatever an earlier batch left.
    buffer: Vec<u8>,
    end: usize,
    home: Buffers,
}

/// A batch; its buffer goes back where it came from.
struct Lent {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    home: Buffers,
}

impl Buffers {
    /// A batch that begins with `room` octets of any content.
    pub(super) fn draft(&self, room: usize) -> Draft {
        let buffer = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        let mut draft = Draft { buffer, end: room, home: self.clone() };
        if draft.buffer.len() < room {
            draft.grow();
        }
        draft
    }
}

impl Draft {
    /// Octets so far.
    pub(super) fn len(&self) -> usize {
        self.end
    }

    /// What is written so far.
    pub(super) fn written(&mut self) -> &mut [u8] {
        &mut self.buffer[..self.end]
    }

    /// Takes back the last `octets`.
    pub(super) fn take_back(&mut self, octets: usize) {
        self.end -= octets;
    }

    /// Has `write` write behind what is there and say how much it was. It is asked again with more room where it says `None`.
    #[inline]
    pub(super) fn put(&mut self, mut write: impl FnMut(&mut [u8]) -> Option<usize>) {
        loop {
            match write(&mut self.buffer[self.end..]) {
                Some(len) => break self.end += len,
                None => self.grow(),
            }
        }
    }

    /// The batch from `start` on; the buffer is back when the last clone of it is gone.
    pub(super) fn finish(self, start: usize) -> Bytes {
        let Draft { buffer, end, home } = self;
        Bytes::from_owner(Lent { buffer, start, end, home })
    }

    #[cold]
    fn grow(&mut self) {
        self.buffer.resize(self.end.max(self.buffer.len()) * 2 + BUFFER_STEP, 0);
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut kept = self.home.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < MAX_KEPT {
            kept.push(std::mem::take(&mut self.buffer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(out: &mut [u8]) -> Option<usize> {
        out.get_mut(..4)?.copy_from_slice(&[1, 2, 3, 4]);
        Some(4)
    }

    #[test]
    fn a_buffer_is_used_again_only_when_its_batch_is_gone() {
        let buffers = Buffers::default();
        let mut draft = buffers.draft(0);
        draft.put(write);
        draft.take_back(1);
        let batch = draft.finish(1);
        let clone = batch.clone();
        drop(batch);
        assert_ne!(buffers.draft(4).written(), [1, 2, 3, 4]);
        assert_eq!(clone, [2, 3].as_slice());
        drop(clone);
        assert_eq!(buffers.draft(4).written(), [1, 2, 3, 4]);
    }

    #[test]
    fn a_draft_grows_until_everything_has_room() {
        let mut draft = Buffers::default().draft(BUFFER_STEP - 1);
        let before = draft.len();
        draft.put(write);
        assert_eq!(draft.finish(before), [1, 2, 3, 4].as_slice());
    }
}
