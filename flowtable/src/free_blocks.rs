//! The blocks of the pool of details that no flow has: a list linked through the blocks themselves, and behind it those that no
//! flow ever had. The Writer's own.

use crate::details::{Block, DetailsId, chain};

/// The free list.
pub(crate) struct FreeBlocks {
    first: DetailsId,
    /// No block from this place on was ever taken.
    fresh: u32,
}

impl FreeBlocks {
    /// All of a pool from which none was ever taken.
    pub(crate) fn all() -> FreeBlocks {
        FreeBlocks { first: DetailsId::NONE, fresh: 0 }
    }

    /// A block that is free, if there is one. Its link is still that of the list.
    pub(crate) fn take<'a>(&mut self, blocks: &'a [Block]) -> Option<(DetailsId, &'a Block)> {
        if let Some(place) = self.first.place() {
            let (id, block) = (self.first, blocks.get(place)?);
            self.first = block.next();
            return Some((id, block));
        }
        let block = blocks.get(self.fresh as usize)?;
        self.fresh += 1;
        Some((DetailsId(self.fresh), block))
    }

    /// Takes back the chain that begins with `first`, of which nobody makes use any more: its slot's version has moved since.
    #[inline]
    pub(crate) fn give_back(&mut self, blocks: &[Block], first: DetailsId) {
        if let Some((_, last)) = chain(blocks, first).last() {
            last.set_next(self.first);
            self.first = first;
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::details::Kind;

    #[test]
    fn each_block_is_had_once_and_again_after_it_came_back() {
        let blocks: Vec<Block> = (0..5).map(|_| Block::default()).collect();
        let mut free = FreeBlocks::all();
        let taken = |free: &mut FreeBlocks| {
            let mut ids: Vec<u32> = std::iter::from_fn(|| free.take(&blocks).map(|(id, _)| id.0)).collect();
            ids.sort_unstable();
            ids
        };
        assert_eq!(taken(&mut free), [1, 2, 3, 4, 5]);
        blocks[1].begin(Kind::COUNTS, DetailsId::NONE);
        blocks[3].begin(Kind::TUNNEL, DetailsId(2));
        free.give_back(&blocks, DetailsId(4));
        blocks[0].begin(Kind::COUNTS, DetailsId::NONE);
        free.give_back(&blocks, DetailsId(1));
        free.give_back(&blocks, DetailsId::NONE);
        assert_eq!(taken(&mut free), [1, 2, 4]);
        assert!(FreeBlocks::all().take(&[]).is_none());
    }
}
