//! Where a span is written.

/// Octets that are copied at once.
pub(super) const BLOCK_LEN: usize = 64;
/// So many of them.
pub(super) type Block = [u8; BLOCK_LEN];

/// A place in a slice that is written from front to back. What does not fit is not written and gives `None`.
pub(super) struct Cursor<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    #[inline]
    pub(super) fn new(out: &'a mut [u8]) -> Cursor<'a> {
        Cursor { out, at: 0 }
    }

    /// The next `N` octets, to be written as far as [`Cursor::advance`] then says.
    #[inline]
    pub(super) fn window<const N: usize>(&mut self) -> Option<&mut [u8; N]> {
        self.out.get_mut(self.at..)?.first_chunk_mut()
    }

    #[inline]
    pub(super) fn advance(&mut self, octets: usize) {
        self.at += octets;
    }

    /// Writes `octets`.
    #[inline]
    pub(super) fn put(&mut self, octets: &[u8]) -> Option<()> {
        self.out.get_mut(self.at..)?.get_mut(..octets.len())?.copy_from_slice(octets);
        self.at += octets.len();
        Some(())
    }

    /// Writes the first `len` octets of `blocks`, and behind them whatever else is there: whole blocks take no call of a function.
    #[inline]
    pub(super) fn put_blocks(&mut self, blocks: &[Block], len: usize) -> Option<()> {
        let (places, _) = self.out.get_mut(self.at..)?.as_chunks_mut();
        for (place, block) in places.get_mut(..blocks.len())?.iter_mut().zip(blocks) {
            *place = *block;
        }
        self.at += len;
        Some(())
    }

    /// Takes back the last `octets`.
    #[inline]
    pub(super) fn take_back(&mut self, octets: usize) {
        self.at -= octets;
    }

    /// How much is written.
    #[inline]
    pub(super) fn written(&self) -> usize {
        self.at
    }
}
