//! What a packet asks of memory and no more: the line of a bucket, then the two lines of the slot that the bucket names, which
//! are written. Prefetched as the flow table does where it is large, as many at once as it does; the table's
//! instructions are left out, and others of a known number can stand in their place.

use std::hint::black_box;
use std::io;

use flowtable::{Cache, Prefetching, prefetch, prefetch_into};

use crate::lines::{Line, Lines};
use crate::random::Random;

/// Lines of a slot that a TCP packet writes.
const LINES_A_SLOT: usize = 2;
/// Flows that share a bucket's line, in 24ths: six of a table with a quarter more room than flows.
const FLOWS_A_BUCKET: (usize, usize) = (5, 24);

/// Buckets and slots.
#[derive(Debug)]
pub struct Memory {
    buckets: Lines,
    slots: Lines,
}

impl Memory {
    /// Memory for up to `flows`.
    ///
    /// # Errors
    /// Where the system has no room.
    pub fn of(flows: u32) -> io::Result<Memory> {
        let slots = Lines::zeroed(flows as usize * LINES_A_SLOT)?;
        Ok(Memory { buckets: Lines::zeroed(buckets(flows))?, slots })
    }
}

fn buckets(flows: u32) -> usize {
    let (parts, of) = FLOWS_A_BUCKET;
    (flows as usize * parts / of).max(1)
}

/// Packets of some flows, each flow once in a round, in random order.
#[derive(Debug)]
pub struct Passing {
    flows: Vec<u32>,
    buckets: u64,
    /// As in the table.
    prefetching: Prefetching,
    /// The group to be counted next.
    next: usize,
}

impl Passing {
    /// Packets of the flows from 0 to `flows`, of which the last that fill no group are left out.
    ///
    /// # Panics
    /// Where they fill none.
    pub fn of(flows: u32, prefetching: Prefetching) -> Passing {
        let group = prefetching.packets();
        let whole = flows as usize / group * group;
        assert!(whole > 0, "a group has {group} flows");
        let mut order: Vec<u32> = (0..flows).take(whole).collect();
        Random(u64::from(flows)).shuffle(&mut order);
        Passing { flows: order, buckets: buckets(flows) as u64, prefetching, next: 0 }
    }

    /// Takes about `packets`, whole groups of them, through `memory`, and does `work` for each packet when its lines should have come.
    #[inline(always)]
    pub fn pass(&mut self, memory: &mut Memory, packets: u32, mut work: impl FnMut()) {
        let (group, cache) = (self.prefetching.packets(), self.prefetching.cache());
        let all = self.flows.len() / group;
        let flows_of = |number: usize| &self.flows[number * group..][..group];
        let buckets = self.buckets;
        let bucket_lines = memory.buckets.all();
        let slot_lines = memory.slots.all_mut();
        for _ in 0..packets as usize / group {
            let [counted, found, looked_for] = [0, 1, 2].map(|ahead| flows_of((self.next + ahead) % all));
            for &flow in looked_for {
                prefetch(&bucket_lines[bucket_of(flow, buckets)]);
            }
            for &flow in found {
                let at = slot_of(flow, &bucket_lines[bucket_of(flow, buckets)]);
                prefetch_into(&slot_lines[at], cache);
                prefetch_into(&slot_lines[at + 1], cache);
            }
            for (at, &flow) in counted.iter().enumerate() {
                if cache != Cache::First
                    && let Some(&soon) = counted.get(at + Prefetching::CLOSER_AHEAD)
                {
                    let at = soon as usize * LINES_A_SLOT;
                    prefetch(&slot_lines[at]);
                    prefetch(&slot_lines[at + 1]);
                }
                work();
                let at = flow as usize * LINES_A_SLOT;
                count(&mut slot_lines[at]);
                count(&mut slot_lines[at + 1]);
            }
            self.next = (self.next + 1) % all;
        }
    }
}

/// Numbers in a row go far apart and as many to each bucket.
#[inline(always)]
fn bucket_of(flow: u32, buckets: u64) -> usize {
    let spread = u64::from(flow).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    ((spread * buckets) >> 32) as usize
}

/// The first line of the slot, which is not known before the bucket's line has come. Its first octet is 0.
#[inline(always)]
fn slot_of(flow: u32, bucket: &Line) -> usize {
    (flow as usize + usize::from(bucket[0])) * LINES_A_SLOT
}

#[inline(always)]
fn count(line: &mut Line) {
    if let Some(word) = line.first_chunk_mut() {
        *word = (u64::from_le_bytes(*word) + 1).to_le_bytes();
    }
}

/// Operations of a packet's work, four chains of them, each waiting for nothing but the one before.
pub const OPERATIONS: u32 = 320;

/// Work of [`OPERATIONS`] on integers a packet, none of it on memory.
#[derive(Debug)]
pub struct Work {
    chains: [u64; 4],
    by: [u64; 4],
}

impl Default for Work {
    fn default() -> Work {
        Work { chains: black_box([1, 2, 3, 4]), by: black_box([5, 6, 7, 8]) }
    }
}

impl Work {
    /// That of one packet.
    #[inline(always)]
    pub fn packet(&mut self) {
        // A rotation and an addition: neither folds into the next, and vectors of the baseline have no rotation.
        for _ in 0..OPERATIONS / 8 {
            for (chain, by) in self.chains.iter_mut().zip(self.by) {
                *chain = chain.rotate_left(7).wrapping_add(by);
            }
        }
    }
}

impl Drop for Work {
    /// What came out is used.
    fn drop(&mut self) {
        black_box(self.chains);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flow_is_counted_once_in_a_round_in_both_lines_of_its_slot() {
        let mut memory = Memory::of(804).unwrap();
        let mut passing = Passing::of(804, Prefetching::ByEights);
        let mut packets = 0;
        passing.pass(&mut memory, 2 * 800, || packets += 1);
        assert_eq!(packets, 2 * 800);
        let counted: Vec<u64> =
            memory.slots.all().iter().map(|line| u64::from_le_bytes(line[..8].try_into().unwrap())).collect();
        assert_eq!(counted[..2 * 800], [2; 2 * 800]);
        assert_eq!(counted[2 * 800..], [0; 2 * 4], "these fill no group");
    }

    /// 24 flows for 5 buckets.
    #[test]
    fn flows_are_spread_over_all_buckets_and_evenly() {
        let flows = 9_600;
        let all = buckets(flows);
        assert_eq!(all, 2_000);
        let mut in_bucket = vec![0; all];
        for flow in 0..flows {
            in_bucket[bucket_of(flow, all as u64)] += 1;
        }
        assert!(in_bucket.iter().all(|count| (3..=6).contains(count)), "{:?}", in_bucket.iter().max());
    }

    #[test]
    fn the_work_of_a_packet_is_forty_steps_of_every_chain() {
        let mut work = Work::default();
        work.packet();
        // Rotating by 7 is multiplying by 128 modulo 2^64 - 1.
        let step = |chain: u64| u64::try_from(u128::from(chain) * 128 % u128::from(u64::MAX)).unwrap();
        for (first, by, chain) in [(1, 5, work.chains[0]), (4, 8, work.chains[3])] {
            assert_eq!(chain, (0..40).fold(first, |chain, _| step(chain).wrapping_add(by)));
        }
    }
}
