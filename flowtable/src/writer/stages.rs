//! The stages packets of a burst go through, some packets apart, so that cache misses overlap with each other and with the work:
//! hash and prefetch the bucket, compare tags and prefetch the slot, then compare keys and count.

use super::{Admission, BurstOutcome, MAX_BURST, Writer};
use crate::brief::Brief;
use crate::burst::Burst;
use crate::index::{Home, KeyHash};
use crate::key::protocol;
use crate::key_words::KeyKind;
use crate::mem::{Cache, prefetch, prefetch_into};
use crate::prefetching::Prefetching;
use crate::slot::{Busy, Meta, Quiet, SlotId};
use crate::sync::Ordering;
use crate::tcp;

/// Packets between the stages in [`Order::Steps`].
const STEPS_APART: usize = 10;
/// Packets of a round of a large table that find no tag in their bucket, from which on the next round looks at the state of each
/// flow a group ahead: with new flows come handshakes, and their packets need lines that others do not.
const CHURN_LEAST: usize = 2;

/// How the packets of a round go through the stages.
///
/// A prefetch waits for the translation of its address, and the core finishes nothing that is behind it. Far out of reach of the
/// caches the prefetches of a group had better wait together; with a small table single steps take less. What one stage asked
/// for has to come before the next looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Each packet alone, [`STEPS_APART`] packets between the stages.
    Steps,
    /// Groups of as many packets as the processor takes prefetches for, each stage a group behind the one before it.
    Groups(Prefetching),
}

impl Order {
    /// That of a table of `slots` on a processor that does best with `prefetching`.
    pub(super) fn of(slots: usize, prefetching: Prefetching) -> Order {
        if slots < prefetching.large_table() { Order::Steps } else { Order::Groups(prefetching) }
    }
}

/// What the first stages found out about a packet.
#[derive(Clone, Copy)]
pub(super) struct Staged {
    /// [`crate::key_words::KeyWords::hot`], the first.
    pub(super) first: u64,
    pub(super) hash: KeyHash,
    home: Home,
    /// The slot its home bucket names, to be checked against the key.
    pub(super) guess: SlotId,
}

impl Staged {
    pub(super) const NOTHING: Staged =
        Staged { first: 0, hash: KeyHash(0), home: Home::FIRST, guess: NO_SLOT };
}

/// No slot has this number: capacity is at most 2^31.
pub(super) const NO_SLOT: SlotId = SlotId(u32::MAX);

impl Writer {
    /// Takes all of `briefs` through the stages.
    pub(super) fn update_all(&mut self, briefs: &[Brief], burst: &Burst) -> BurstOutcome {
        self.update_in(self.order, briefs, burst)
    }

    /// The same in `order`, [`MAX_BURST`] in a round.
    fn update_in(&mut self, order: Order, briefs: &[Brief], burst: &Burst) -> BurstOutcome {
        let mut outcome = BurstOutcome::default();
        for briefs in briefs.chunks(MAX_BURST) {
            self.evictions_left = self.evictions;
            self.openings_ahead = 0;
            self.churning = self.misses >= CHURN_LEAST;
            self.misses = 0;
            match order {
                Order::Steps => self.step_by_step(briefs, burst, &mut outcome),
                Order::Groups(Prefetching::ByEights) => {
                    self.by_groups::<{ Prefetching::EIGHT }, false>(briefs, burst, &mut outcome);
                }
                Order::Groups(Prefetching::ByBursts) => {
                    self.by_groups::<MAX_BURST, false>(briefs, burst, &mut outcome);
                }
                Order::Groups(Prefetching::ByBurstsTwice) => {
                    self.by_groups::<MAX_BURST, true>(briefs, burst, &mut outcome);
                }
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "a burst is short")]
        let all = briefs.len() as u32;
        outcome.in_flows = all - outcome.table_full - outcome.excluded;
        outcome
    }

    /// As groups of one it would be the same, but take a sixth longer.
    #[inline(never)]
    fn step_by_step(&mut self, briefs: &[Brief], burst: &Burst, outcome: &mut BurstOutcome) {
        // As the caller sees to; the compiler does not see that.
        let briefs = &briefs[..briefs.len().min(MAX_BURST)];
        for step in 0..briefs.len() + 2 * STEPS_APART {
            if let Some(brief) = briefs.get(step) {
                self.hash(brief, step, burst);
            }
            let [second, third] = [1, 2].map(|stages| step.wrapping_sub(stages * STEPS_APART));
            if let Some(brief) = briefs.get(second) {
                self.guess(brief, second, Cache::First);
            }
            if let Some(brief) = briefs.get(third) {
                self.count(brief, third, burst, outcome);
            }
        }
    }

    /// `TWICE`: lines of slots go to the second cache, and are asked for once more.
    #[inline(never)]
    fn by_groups<const PACKETS: usize, const TWICE: bool>(
        &mut self,
        briefs: &[Brief],
        burst: &Burst,
        outcome: &mut BurstOutcome,
    ) {
        let first = const { if TWICE { Cache::Second } else { Cache::First } };
        // Before the first group and behind the last there are empty ones.
        let group = |number: usize| {
            let from = number.saturating_mul(PACKETS).min(briefs.len());
            from..briefs.len().min(from + PACKETS)
        };
        let counted = 2 + usize::from(self.churning);
        for step in 0..briefs.len().div_ceil(PACKETS) + counted {
            self.free.look_on(&self.shared.busy);
            for at in group(step) {
                self.hash(&briefs[at], at, burst);
            }
            for at in group(step.wrapping_sub(1)) {
                self.guess(&briefs[at], at, first);
            }
            if self.churning {
                for at in group(step.wrapping_sub(2)) {
                    self.peek(&briefs[at], at);
                }
            }
            for at in group(step.wrapping_sub(counted)) {
                let ahead = at + Prefetching::CLOSER_AHEAD;
                if TWICE && let Some(soon) = briefs.get(ahead) {
                    self.ask(soon, self.staged[ahead % MAX_BURST].guess, Cache::First);
                }
                self.count(&briefs[at], at, burst, outcome);
            }
        }
    }

    /// First stage: where to look for the flow; asks for its bucket.
    #[inline(always)]
    fn hash(&mut self, brief: &Brief, at: usize, burst: &Burst) {
        let staged = &mut self.staged[at % MAX_BURST];
        staged.first = brief.addresses;
        if brief.is_wide()
            && let Some(rest) = burst.rest(brief)
        {
            staged.first = self.hasher.fingerprint(&rest.addresses);
        }
        staged.hash = self.hasher.hash([staged.first, brief.ports]);
        staged.home = self.index.seek(staged.hash);
    }

    /// Second stage: which slot the bucket names; asks for its lines.
    #[inline(always)]
    fn guess(&mut self, brief: &Brief, at: usize, cache: Cache) {
        let staged = &mut self.staged[at % MAX_BURST];
        staged.guess = self.index.guess(staged.hash, staged.home).unwrap_or(NO_SLOT);
        let slot = staged.guess;
        if !self.ask(brief, slot, cache) {
            self.expect_opening();
        }
    }

    /// Asks for the lines of `slot` that a packet of its flow will most likely write; `false` where there is no such slot.
    #[inline(always)]
    fn ask(&self, brief: &Brief, slot: SlotId, cache: Cache) -> bool {
        let slot = slot.0 as usize;
        let Some(busy) = self.shared.busy.get(slot) else { return false };
        prefetch_into(&busy.hot, cache);
        let flags = brief.tcp.flags;
        if brief.is_wide() {
            prefetch_into(&busy.track, cache);
            if brief.kind() == KeyKind::V6InTunnel {
                prefetch_into(&self.shared.quiet[slot].cold, cache);
            }
        } else if flags != 0 {
            prefetch_into(&busy.track, cache);
        }
        if flags & tcp::STATE_FLAGS != 0 {
            let Quiet { conn, cold } = &self.shared.quiet[slot];
            prefetch_into(cold, cache);
            prefetch_into(conn, cache);
        }
        true
    }

    /// Asks for the lines that few packets write where the state of the flow says that this one will.
    #[inline(always)]
    fn peek(&self, brief: &Brief, at: usize) {
        let slot = self.staged[at % MAX_BURST].guess.0 as usize;
        let Some(busy) = self.shared.busy.get(slot) else { return };
        let meta = Meta(busy.hot.meta.load(Ordering::Relaxed));
        if brief.protocol() == protocol::TCP && !meta.has_by(Meta::STEADY, brief.direction) {
            let Quiet { conn, cold } = &self.shared.quiet[slot];
            prefetch(cold);
            prefetch(conn);
        }
    }

    /// Asks for the lines of the slot that a flow will most likely open in.
    #[inline(never)]
    fn expect_opening(&mut self) {
        let slot = self.free.upcoming(self.openings_ahead).0 as usize;
        self.openings_ahead += 1;
        self.misses += 1;
        self.free.look_on(&self.shared.busy);
        if let (Some(Busy { hot, track }), Some(Quiet { conn, cold })) =
            (self.shared.busy.get(slot), self.shared.quiet.get(slot))
        {
            prefetch(hot);
            prefetch(track);
            prefetch(conn);
            prefetch(cold);
        }
    }

    /// Third stage: compares the key and counts.
    #[inline(always)]
    fn count(&mut self, brief: &Brief, at: usize, burst: &Burst, outcome: &mut BurstOutcome) {
        if !self.count_plain(brief, at, burst) {
            match self.count_any(brief, at, burst) {
                Admission::Counted => {}
                Admission::Full => outcome.table_full += 1,
                Admission::Excluded => outcome.excluded += 1,
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::key::{Endpoint, Family, FlowKey};
    use crate::packet::{FirstPacket, Packet, Role, TcpSegment};
    use crate::{FlowRecord, Nanos, TableConfig, table};
    use proptest::prelude::*;

    /// A packet of one of 48 flows, which do not all fit into the table.
    fn packet(number: u64, flow: u32, v6: bool, flags: Option<u8>) -> Packet {
        let family = if v6 { Family::V6 } else { Family::V4 };
        let protocol = if flags.is_some() { protocol::TCP } else { protocol::UDP };
        let end = |address: u32, port| Endpoint { address: address.into(), port };
        let (key, direction) = FlowKey::canonical(family, protocol, end(flow, 1_024), end(1_000, 443));
        let flags = flags.unwrap_or(0);
        Packet {
            key,
            direction,
            at: Nanos(1_000 + number),
            bytes: 100,
            role: if protocol == protocol::TCP { Role::of_tcp(flags) } else { Role::Unknown },
            tcp: TcpSegment { flags, ..TcpSegment::default() },
            first: FirstPacket::default(),
            tunnel: 0,
        }
    }

    fn counted(
        order: Order,
        bursts: &[Vec<(u32, bool, Option<u8>)>],
    ) -> (Vec<BurstOutcome>, Vec<FlowRecord>) {
        let config = TableConfig { capacity: 32, seed: 7, ..TableConfig::default() };
        let (mut writer, mut sweeper) = table(&config).expect("a small table");
        writer.evictions = 2;
        let mut numbers = 0..;
        let outcomes = bursts.iter().map(|burst| {
            let packets = burst.iter().zip(&mut numbers);
            let burst: Burst =
                packets.map(|(&(flow, v6, flags), number)| packet(number, flow, v6, flags)).collect();
            writer.update_in(order, burst.briefs(), &burst)
        });
        let outcomes = outcomes.collect();
        let mut records = Vec::new();
        sweeper.flush(Nanos(1 << 40), &mut records);
        (outcomes, records)
    }

    proptest! {
        /// Of what comes after what nothing may change, in bursts of any length.
        #[test]
        fn each_order_counts_what_the_others_count(bursts in prop::collection::vec(
            prop::collection::vec((0u32..24, any::<bool>(), any::<Option<u8>>()), 0..300), 1..5,
        )) {
            let steps = counted(Order::Steps, &bursts);
            let packets: usize = bursts.iter().map(Vec::len).sum();
            let told: u32 = steps.0.iter().map(|o| o.in_flows + o.table_full + o.excluded).sum();
            prop_assert_eq!(told as usize, packets);
            for prefetching in [Prefetching::ByEights, Prefetching::ByBursts, Prefetching::ByBurstsTwice] {
                prop_assert_eq!(&steps, &counted(Order::Groups(prefetching), &bursts));
            }
        }
    }

    #[test]
    fn the_order_follows_the_size_of_the_table_and_the_processor() {
        let small = |prefetching, slots| Order::of(slots, prefetching) == Order::Steps;
        for (prefetching, large) in [
            (Prefetching::ByEights, 65_536),
            (Prefetching::ByBursts, 131_072),
            (Prefetching::ByBurstsTwice, 65_536),
        ] {
            assert!(small(prefetching, large - 1) && !small(prefetching, large), "{prefetching:?}");
        }
    }
}
