//! What only some flows have: a tunnel, lost segments, a handshake that was repeated, many events. A pool of blocks, one line
//! each; the Writer takes one for each kind of thing a flow comes to tell, and all are given back when the flow has ended.
//!
//! A flow's blocks are a chain that begins in its cold line. They are part of its slot: written inside the slot's version, and
//! read with it. The first fifteen words of a block are laid out by its kind.

use crate::events::EVENTS_IN_DETAILS;
use crate::key::Direction;
use crate::sync::{AtomicU32, Ordering};
use crate::tunnel::Tunnel;

/// Gaps in the sequence remembered in each direction.
pub(crate) const GAPS: usize = 4;

/// A block of the pool and one; 0 is none. Of a flow, the first of its chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DetailsId(pub(crate) u32);

impl DetailsId {
    pub(crate) const NONE: DetailsId = DetailsId(0);
    /// An id shares its word with a kind, or with an error code, of four bits.
    pub(crate) const BITS: u32 = 28;
    pub(crate) const MASK: u32 = (1 << DetailsId::BITS) - 1;
    /// Blocks a pool has at most.
    pub(crate) const POOL_MAX: usize = DetailsId::MASK as usize;

    /// The place of the block.
    #[inline]
    pub(crate) fn place(self) -> Option<usize> {
        (self.0 as usize).checked_sub(1)
    }
}

/// What a block holds; a flow has one block of each at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind(u32);

impl Kind {
    /// See [`crate::tunnel_block`].
    pub(crate) const TUNNEL: Kind = Kind(0);
    /// The counts of both directions, in the order of [`Count`].
    pub(crate) const COUNTS: Kind = Kind(1);
    /// The two [`Rounds`] of a handshake.
    pub(crate) const ROUNDS: Kind = Kind(2);
    const GAPS: u32 = 3;
    const EVENTS: u32 = 5;

    /// The gaps of a direction.
    pub(crate) fn gaps(way: Direction) -> Kind {
        Kind(Kind::GAPS + way as u32)
    }

    /// The block with the event at `place` among those that are not in the slot.
    #[expect(clippy::cast_possible_truncation, reason = "the ring is short")]
    pub(crate) fn events(place: usize) -> Kind {
        Kind(Kind::EVENTS + (place / EVENTS_A_BLOCK) as u32)
    }
}

/// Blocks a flow has at most: one of each kind.
const CHAIN_MAX: usize = Kind::EVENTS as usize + EVENTS_IN_DETAILS.div_ceil(EVENTS_A_BLOCK);
const _: () = assert!(CHAIN_MAX <= 1 << (u32::BITS - DetailsId::BITS));

/// What is counted of a direction's segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    Retransmission = 0,
    OutOfOrder = 1,
    DuplicateAck = 2,
    ZeroWindow = 3,
}
pub(crate) const COUNTS: usize = 4;

/// A stretch of sequence numbers that was passed over; empty where start and end are equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// When it came up, in units of 1,024 ns modulo 2^32: ages below 36 minutes are told apart.
    pub(crate) at: u32,
}

impl Gap {
    #[inline]
    pub(crate) fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// Times of a part of the handshake that goes on after its first round.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rounds {
    /// When the round began that waits for its answer; 0 = none waits.
    pub(crate) begun_at: u64,
    /// The latest sample, ns.
    pub(crate) sample: u64,
    /// Jitter of the samples, ns.
    pub(crate) jitter: f64,
    /// Samples after the first, as far as they can be counted.
    pub(crate) samples: u32,
}

const WORDS: usize = 15;
const WORDS_A_GAP: usize = 3;
const WORDS_OF_ROUNDS: usize = 7;
const WORDS_AN_EVENT: usize = 2;
pub(crate) const EVENTS_A_BLOCK: usize = WORDS / WORDS_AN_EVENT;
const _: () = assert!(2 * COUNTS <= WORDS && GAPS * WORDS_A_GAP <= WORDS && 2 * WORDS_OF_ROUNDS <= WORDS);

/// One block.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct Block {
    words: [AtomicU32; WORDS],
    /// The next block of the flow, or of the free list, in the lower 28 bits; the [`Kind`] of this one above.
    link: AtomicU32,
}
#[cfg(not(loom))]
const _: () = assert!(size_of::<Block>() == 64);

impl Block {
    /// Empties the block for what is of `kind` in a flow whose chain begins with `next`.
    pub(crate) fn begin(&self, kind: Kind, next: DetailsId) {
        self.words.iter().for_each(|word| word.store(0, Ordering::Relaxed));
        self.link.store(kind.0 << DetailsId::BITS | next.0, Ordering::Relaxed);
    }

    pub(crate) fn next(&self) -> DetailsId {
        DetailsId(self.link.load(Ordering::Relaxed) & DetailsId::MASK)
    }

    pub(crate) fn set_next(&self, next: DetailsId) {
        let kind = self.link.load(Ordering::Relaxed) & !DetailsId::MASK;
        self.link.store(kind | next.0, Ordering::Relaxed);
    }

    fn kind(&self) -> Kind {
        Kind(self.link.load(Ordering::Relaxed) >> DetailsId::BITS)
    }

    #[inline]
    pub(crate) fn word(&self, at: usize) -> u32 {
        self.words[at].load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn set_word(&self, at: usize, value: u32) {
        self.words[at].store(value, Ordering::Relaxed);
    }

    /// The 64 bits at `at` and the word after it.
    #[inline]
    pub(crate) fn pair(&self, at: usize) -> u64 {
        u64::from(self.word(at)) | u64::from(self.word(at + 1)) << 32
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of 64 bits")]
    pub(crate) fn set_pair(&self, at: usize, value: u64) {
        self.set_word(at, value as u32);
        self.set_word(at + 1, (value >> 32) as u32);
    }

    /// Counts a segment of `way`, in a block of [`Kind::COUNTS`].
    pub(crate) fn count(&self, count: Count, way: Direction) {
        let at = way as usize * COUNTS + count as usize;
        self.set_word(at, self.word(at).saturating_add(1));
    }

    fn counts(&self) -> [[u32; COUNTS]; 2] {
        [0, COUNTS].map(|way| std::array::from_fn(|count| self.word(way + count)))
    }

    /// The gaps in a block of [`Kind::gaps`].
    pub(crate) fn gaps(&self) -> [Gap; GAPS] {
        std::array::from_fn(|place| {
            let at = place * WORDS_A_GAP;
            Gap { start: self.word(at), end: self.word(at + 1), at: self.word(at + 2) }
        })
    }

    pub(crate) fn put_gap(&self, place: usize, gap: Gap) {
        for (word, value) in [gap.start, gap.end, gap.at].into_iter().enumerate() {
            self.set_word(place * WORDS_A_GAP + word, value);
        }
    }

    /// The rounds of SYN to SYN/ACK (0) or SYN/ACK to ACK (1), in a block of [`Kind::ROUNDS`].
    pub(crate) fn rounds(&self, part: usize) -> Rounds {
        let at = part * WORDS_OF_ROUNDS;
        Rounds {
            begun_at: self.pair(at),
            sample: self.pair(at + 2),
            jitter: f64::from_bits(self.pair(at + 4)),
            samples: self.word(at + 6),
        }
    }

    pub(crate) fn put_rounds(&self, part: usize, rounds: Rounds) {
        let at = part * WORDS_OF_ROUNDS;
        self.set_pair(at, rounds.begun_at);
        self.set_pair(at + 2, rounds.sample);
        self.set_pair(at + 4, rounds.jitter.to_bits());
        self.set_word(at + 6, rounds.samples);
    }

    /// Keeps the event at `place`, in the block that [`Kind::events`] says.
    pub(crate) fn put_event(&self, place: usize, event: u64) {
        self.set_pair(place % EVENTS_A_BLOCK * WORDS_AN_EVENT, event);
    }
}

/// The blocks of the chain that begins with `first`, each with its place in the pool.
pub(crate) fn chain(blocks: &[Block], first: DetailsId) -> impl Iterator<Item = (usize, &Block)> {
    let block = move |id: DetailsId| id.place().and_then(|place| Some((place, blocks.get(place)?)));
    // A reader that meets a chain in the making is bounded too.
    std::iter::successors(block(first), move |(_, before)| block(before.next())).take(CHAIN_MAX)
}

/// The block of `kind` in the chain that begins with `first`.
pub(crate) fn block_of(blocks: &[Block], first: DetailsId, kind: Kind) -> Option<&Block> {
    chain(blocks, first).map(|(_, block)| block).find(|block| block.kind() == kind)
}

/// A consistent copy of a flow's blocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DetailsCopy {
    /// The tunnel, and the way its ends stand.
    pub(crate) tunnel: Option<(Tunnel, Direction)>,
    /// What was counted, and the place of the block that was in.
    pub(crate) counts: Option<(usize, [[u32; COUNTS]; 2])>,
    /// Jitter of the handshake's two parts, ns.
    pub(crate) handshake_jitter: [Option<f64>; 2],
    /// 0 where there is none.
    pub(crate) events: [u64; EVENTS_IN_DETAILS],
}

impl Default for DetailsCopy {
    fn default() -> DetailsCopy {
        DetailsCopy {
            tunnel: None,
            counts: None,
            handshake_jitter: [None; 2],
            events: [0; EVENTS_IN_DETAILS],
        }
    }
}

impl DetailsCopy {
    /// The words as they are, of the chain that begins with `first`; of one moment only inside the slot's version.
    pub(crate) fn of(blocks: &[Block], first: DetailsId) -> Option<DetailsCopy> {
        first.place()?;
        let mut copy = DetailsCopy::default();
        for (place, block) in chain(blocks, first) {
            match block.kind() {
                Kind::TUNNEL => copy.tunnel = block.tunnel(),
                Kind::COUNTS => copy.counts = Some((place, block.counts())),
                Kind::ROUNDS => {
                    copy.handshake_jitter = [0, 1].map(|part| {
                        let Rounds { jitter, samples, .. } = block.rounds(part);
                        (samples > 0).then_some(jitter)
                    });
                }
                Kind(kind) => copy.take_events(kind, block),
            }
        }
        Some(copy)
    }

    /// Takes over what a block of [`Kind::events`] has.
    fn take_events(&mut self, kind: u32, block: &Block) {
        let Some(of_events) = kind.checked_sub(Kind::EVENTS) else { return };
        if let Some(events) = self.events.chunks_mut(EVENTS_A_BLOCK).nth(of_events as usize) {
            for (place, event) in events.iter_mut().enumerate() {
                *event = block.pair(place * WORDS_AN_EVENT);
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pool(blocks: usize) -> Vec<Block> {
        (0..blocks).map(|_| Block::default()).collect()
    }

    #[test]
    fn each_kind_of_a_chain_is_found_and_copied_whatever_their_order() {
        let blocks = pool(6);
        let first_of = |order: &[(u32, Kind)]| {
            order.iter().fold(DetailsId::NONE, |next, &(id, kind)| {
                blocks[id as usize - 1].begin(kind, next);
                DetailsId(id)
            })
        };
        let first = first_of(&[
            (4, Kind::events(0)),
            (2, Kind::gaps(Direction::HiToLo)),
            (6, Kind::COUNTS),
            (1, Kind::ROUNDS),
            (3, Kind::events(31)),
        ]);
        let block = |kind| block_of(&blocks, first, kind).unwrap();
        block(Kind::COUNTS).count(Count::ZeroWindow, Direction::HiToLo);
        block(Kind::events(5)).put_event(5, 1 << 40 | 55);
        block(Kind::events(31)).put_event(31, 31);
        block(Kind::ROUNDS).put_rounds(1, Rounds { begun_at: 1, sample: 2, jitter: 2.5, samples: 1 });
        assert!(block_of(&blocks, first, Kind::TUNNEL).is_none());
        assert!(block_of(&blocks, first, Kind::gaps(Direction::LoToHi)).is_none());
        assert!(block_of(&blocks, first, Kind::events(7)).is_none(), "the second block of events");
        let copy = DetailsCopy::of(&blocks, first).unwrap();
        assert_eq!(copy.counts, Some((5, [[0; 4], [0, 0, 0, 1]])));
        assert_eq!(copy.handshake_jitter, [None, Some(2.5)]);
        assert_eq!((copy.tunnel, copy.events[5], copy.events[31]), (None, 1 << 40 | 55, 31));
        assert_eq!(copy.events.iter().filter(|event| **event != 0).count(), 2);
        assert!(DetailsCopy::of(&blocks, DetailsId::NONE).is_none());
    }

    #[test]
    fn a_chain_that_runs_in_a_circle_ends() {
        let blocks = pool(2);
        blocks[0].begin(Kind::TUNNEL, DetailsId(2));
        blocks[1].begin(Kind::COUNTS, DetailsId(1));
        assert_eq!(chain(&blocks, DetailsId(1)).count(), CHAIN_MAX);
        blocks[1].set_next(DetailsId(9));
        assert_eq!(chain(&blocks, DetailsId(1)).count(), 2, "nor does one out of the pool go on");
    }

    proptest! {
        #[test]
        fn gaps_and_rounds_survive_their_block(
            gaps in any::<[(u32, u32, u32); GAPS]>(), rounds in any::<[(u64, u64, u32); 2]>(),
        ) {
            let block = Block::default();
            let gaps = gaps.map(|(start, end, at)| Gap { start, end, at });
            gaps.iter().enumerate().for_each(|(place, gap)| block.put_gap(place, *gap));
            prop_assert_eq!(block.gaps(), gaps);
            for (part, (begun_at, sample, samples)) in rounds.into_iter().enumerate() {
                block.put_rounds(part, Rounds { begun_at, sample, jitter: 0.5, samples });
            }
            for (part, (begun_at, sample, samples)) in rounds.into_iter().enumerate() {
                let kept = block.rounds(part);
                prop_assert_eq!((kept.begun_at, kept.sample, kept.samples), (begun_at, sample, samples));
            }
        }
    }
}
