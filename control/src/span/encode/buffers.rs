//! Buffers for batches, used again once nobody reads the batch any more: a fresh one for each batch would cost a page fault
//! for every four kilobytes of it, and filling it with zeros once more.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Buffers kept for later at most; more than that many batches are rarely under way.
const MAX_KEPT: usize = 16;

/// The buffers of one encoder that nobody uses.
#[derive(Clone, Debug, Default)]
pub(super) struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

/// A batch; its buffer goes back where it came from.
struct Lent {
    buffer: Vec<u8>,
    batch: Range<usize>,
    home: Buffers,
}

impl Buffers {
    /// A buffer with whatever an earlier batch left in it; empty where there was none.
    pub(super) fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// That part of `buffer` as a batch; the buffer is back when the last clone of it is gone.
    pub(super) fn lend(&self, buffer: Vec<u8>, batch: Range<usize>) -> Bytes {
        Bytes::from_owner(Lent { buffer, batch, home: self.clone() })
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[self.batch.clone()]
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

    #[test]
    fn a_buffer_is_used_again_only_when_its_batch_is_gone() {
        let buffers = Buffers::default();
        let batch = buffers.lend(vec![1, 2, 3, 4], 1..3);
        let clone = batch.clone();
        drop(batch);
        assert!(buffers.take().is_empty());
        assert_eq!(clone, [2, 3].as_slice());
        drop(clone);
        assert_eq!(buffers.take(), [1, 2, 3, 4]);
    }
}
