//! The worker's half of the table. Finds or opens the flow of each packet and counts it there.
//!
//! Never allocates, locks, logs or reads a clock. The packets of a burst go through `stages`.

mod retire;
mod stages;

use retire::Retiring;
use stages::{NO_SLOT, Order, Staged};

use crate::agenda::LOOK_BYTES;
use crate::brief::Brief;
use crate::burst::Burst;
use crate::connection::Track;
use crate::details::DetailsId;
use crate::event::EventKind;
use crate::exchanges::Exchanges;
use crate::exclusions::Exclusions;
use crate::flow::{Flow, Followed};
use crate::free_blocks::FreeBlocks;
use crate::free_slots::FreeSlots;
use crate::hash::KeyHasher;
use crate::index::{Index, KeyHash};
use crate::key::protocol;
use crate::key_words::{Addresses, KeyKind, KeyWords, key_of};
use crate::mem::prefetch;
use crate::packet::{Packet, Quote, Role, tcp_flag};
use crate::record::EndReason;
use crate::shadow::{DetailsShadow, Shadow};
use crate::slot::{Busy, Lines, Meta, SlotId};
use crate::sync::{Arc, Ordering};
use crate::table::{Handover, REGION_SLOTS, Shared, TableConfig, TableStats};
use crate::time::Nanos;
use crate::tunnel::Tunnel;
use crate::{orientation, plain, tcp};

/// Packets worked through in one round of stages: so many that what begins and ends a stage is little of it, and few enough that
/// their lines stay close.
pub const MAX_BURST: usize = 128;
/// Flows an eviction chooses the stalest from. Each is a line that nobody asked for before.
const EVICTION_CANDIDATES: usize = 8;

/// The one writer of a table.
pub struct Writer {
    shared: Arc<Shared>,
    index: Index,
    hasher: KeyHasher,
    free: FreeSlots,
    service_ports: Box<[u16]>,
    /// No flow starts before this: the end of the latest one that ended, and a nanosecond. Time does not run backwards, and
    /// no two flows of a key share their start.
    floor: Nanos,
    order: Order,
    /// One for each packet of a round.
    staged: [Staged; MAX_BURST],
    retiring: Retiring,
    /// Packets of this round that are likely to open a flow and were not counted yet.
    openings_ahead: usize,
    /// Packets of this round that are likely to open a flow, and whether there were enough in the one before.
    misses: usize,
    churning: bool,
    /// Evictions a round of stages may make, and those it still may.
    evictions: u32,
    evictions_left: u32,
    exclusions: Arc<Exclusions>,
    free_blocks: FreeBlocks,
    followed: Followed,
}

/// What a burst came to, in packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BurstOutcome {
    /// Counted in a flow.
    pub in_flows: u32,
    /// Not counted: no slot was free and the Sweeper has yet to take earlier evictions.
    pub table_full: u32,
    /// Not counted: of a conversation that is to open no flow, see [`Exclusions`].
    pub excluded: u32,
}

impl std::ops::AddAssign for BurstOutcome {
    fn add_assign(&mut self, other: BurstOutcome) {
        self.in_flows += other.in_flows;
        self.table_full += other.table_full;
        self.excluded += other.excluded;
    }
}

/// What became of a packet.
enum Admission {
    Counted,
    Full,
    Excluded,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, index: Index, config: &TableConfig) -> Writer {
        Writer {
            free_blocks: FreeBlocks::all(),
            hasher: shared.hasher.clone(),
            index,
            free: FreeSlots::all(),
            service_ports: config.service_ports.clone().into_boxed_slice(),
            floor: Nanos(0),
            order: Order::of(shared.busy.len(), config.prefetching),
            staged: [Staged::NOTHING; MAX_BURST],
            retiring: Retiring::NONE,
            openings_ahead: 0,
            misses: 0,
            churning: false,
            shared,
            evictions: u32::MAX,
            evictions_left: 0,
            exclusions: Arc::default(),
            followed: Followed { events: config.events, exchanges: config.exchanges },
        }
    }

    /// Counts every packet in its flow, opening flows as needed, and marks the flows that ICMP errors quote, in the order
    /// they were pushed. Bursts longer than [`MAX_BURST`] take several rounds.
    pub fn update(&mut self, burst: &Burst) -> BurstOutcome {
        let mut outcome = BurstOutcome::default();
        let mut briefs = burst.briefs();
        let mut counted = 0;
        for (before, quote) in burst.quotes() {
            let (earlier, later) = briefs.split_at((before - counted).min(briefs.len()));
            outcome += self.update_all(earlier, burst);
            self.mark(quote);
            (briefs, counted) = (later, *before);
        }
        outcome += self.update_all(briefs, burst);
        outcome
    }

    /// [`Writer::update`] for packets outside tunnels, gathered anew: for a few of them.
    pub fn update_burst(&mut self, packets: &[Packet]) -> BurstOutcome {
        self.update(&packets.iter().copied().collect())
    }

    /// Lets a full table end at most `flows` for new ones with each [`MAX_BURST`] packets; others are counted as
    /// [`BurstOutcome::table_full`]. Without a limit at first. An eviction takes as long as twenty packets of flows that are
    /// there: a flood of new ones must not keep a worker from its ring, nor push out all that the table holds.
    pub fn limit_evictions(&mut self, flows: u32) {
        self.evictions = flows;
    }

    /// Keeps conversations from opening flows; those that have one keep it.
    pub fn exclude(&mut self, exclusions: Arc<Exclusions>) {
        self.exclusions = exclusions;
    }

    /// How full the table is and what happened in it.
    pub fn stats(&self) -> TableStats {
        self.shared.stats()
    }

    /// Bytes of memory the table takes, all parts together, the Sweeper's shadows included.
    pub fn memory_bytes(&self) -> usize {
        let shared = &self.shared;
        let shadows = shared.busy.len() * (size_of::<Shadow>() + LOOK_BYTES)
            + shared.details.len() * size_of::<DetailsShadow>();
        shared.bytes() + self.index.bytes() + shadows
    }

    /// Counts the packet in its flow in one step; `false`, having done nothing, where that will not do.
    #[inline(always)]
    fn count_plain(&self, brief: &Brief, at: usize, burst: &Burst) -> bool {
        let Staged { first, guess, .. } = self.staged[at % MAX_BURST];
        let Some(Busy { hot, track }) = self.shared.busy.get(guess.0 as usize) else { return false };
        let meta = Meta(hot.meta.load(Ordering::Relaxed));
        // What was guessed a stage ago may have been freed since, for a packet of this burst.
        if hot.other_words([first, brief.ports]) | brief.misfit(meta) != 0 {
            return false;
        }
        if brief.is_wide()
            && !burst.rest(brief).is_some_and(|rest| self.has_rest_of(&rest.addresses, guess, track))
        {
            return false;
        }
        if brief.protocol() == protocol::TCP {
            return plain::segment(hot, track, meta, brief, &self.followed, || self.end_exchange(brief, at));
        }
        plain::datagram(hot, brief);
        true
    }

    /// Takes the exchange that a segment ends, inside the update of its flow. Knows no more of that than has to be at hand for any
    /// segment.
    #[cold]
    #[inline(never)]
    fn end_exchange(&self, brief: &Brief, at: usize) {
        let Lines { track, cold, .. } = self.shared.lines(self.staged[at % MAX_BURST].guess);
        Exchanges::of(brief.is_wide(), track, cold).end(brief.at.0);
    }

    /// Whether the flow at `slot`, of which the hot line has words and kind of the key of these `addresses`, has the rest of it. Of
    /// two keys that share what is kept and the first word of the hot line, the one is the other.
    #[inline(always)]
    fn has_rest_of(&self, addresses: &Addresses, slot: SlotId, track: &Track) -> bool {
        track.holds(&addresses.kept)
            && (addresses.kind() != KeyKind::V6InTunnel
                || self.shared.quiet[slot.0 as usize].cold.tunnel() == addresses.tunnel())
    }

    /// Counts the packet in its flow, whatever it is and whether or not there is one.
    #[inline(never)]
    fn count_any(&mut self, brief: &Brief, at: usize, burst: &Burst) -> Admission {
        let Staged { first, hash, guess, .. } = self.staged[at % MAX_BURST];
        if guess == NO_SLOT {
            self.openings_ahead = self.openings_ahead.saturating_sub(1);
        }
        let words = &KeyWords { hot: [first, brief.ports], kind: brief.kind() };
        let addresses = &burst.addresses(brief);
        let found = self.find(hash, guess, words, addresses);
        if found.is_none() {
            if self.exclusions.covers(|| key_of(brief.ports, addresses)) {
                return Admission::Excluded;
            }
            if !self.has_room() {
                return Admission::Full;
            }
        }
        let packet = &burst.packet(brief);
        let tunnel = &burst.tunnel_of(packet);
        match found {
            Some(slot) if begins_anew(&self.shared, slot, packet) && !self.shared.handover.is_full() => {
                self.hand_over(slot, EndReason::EndOfFlowDetected);
                bump(&self.shared.tallies.reused);
                self.open(slot, brief, packet, tunnel, words);
                Admission::Counted
            }
            Some(slot) => {
                self.touch(slot, brief, packet, tunnel);
                Admission::Counted
            }
            None => self.admit(brief, packet, tunnel, words, hash),
        }
    }

    /// The slot of the live flow with `addresses`, which has `words` in the hot line: `guess`, or else what the index has.
    fn find(&self, hash: KeyHash, guess: SlotId, words: &KeyWords, addresses: &Addresses) -> Option<SlotId> {
        let is_it = |slot: SlotId| {
            self.shared.busy.get(slot.0 as usize).is_some_and(|Busy { hot, track }| {
                let meta = Meta(hot.meta.load(Ordering::Relaxed));
                hot.other_words(words.hot) == 0
                    && meta.0 & Meta::OWNER == Meta::owner(words.kind)
                    && (!words.kind.is_wide() || self.has_rest_of(addresses, slot, track))
            })
        };
        if is_it(guess) { Some(guess) } else { self.index.find(hash, is_it) }
    }

    #[cold]
    #[inline(never)]
    fn admit(
        &mut self,
        brief: &Brief,
        packet: &Packet,
        tunnel: &Option<Tunnel>,
        words: &KeyWords,
        hash: KeyHash,
    ) -> Admission {
        let Some(slot) = self.vacant(hash) else {
            return Admission::Full;
        };
        let entered = self.index.insert(hash, slot) || (self.evict(hash) && self.index.insert(hash, slot));
        if !entered {
            let hot = &self.shared.busy[slot.0 as usize].hot;
            hot.version.update(|| self.free.give_back(&self.shared.busy, slot));
            return Admission::Full;
        }
        let tallies = &self.shared.tallies;
        tallies.live.store(tallies.live.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        let region = &self.shared.regions[slot.0 as usize / REGION_SLOTS];
        region.store(region.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.open(slot, brief, packet, tunnel, words);
        Admission::Counted
    }

    /// Whether a flow that is not there yet has a chance: of a flood most are turned away before anything else is read of them.
    #[inline]
    fn has_room(&self) -> bool {
        !self.free.is_empty(&self.shared.busy) || self.may_evict()
    }

    #[inline]
    fn may_evict(&self) -> bool {
        self.evictions_left > 0 && !self.shared.handover.is_full()
    }

    /// A slot for a flow of `hash`: a free one, or that of a flow it ends.
    fn vacant(&mut self, hash: KeyHash) -> Option<SlotId> {
        if let Some(slot) = self.free.take(&self.shared.busy) {
            return Some(slot);
        }
        if self.evict(hash) { self.free.take(&self.shared.busy) } else { None }
    }

    fn open(
        &mut self,
        slot: SlotId,
        brief: &Brief,
        packet: &Packet,
        tunnel: &Option<Tunnel>,
        words: &KeyWords,
    ) {
        // Only the flow's start is moved: what is measured between packets goes by their own times.
        let began = packet.at.max(self.floor);
        let Lines { hot, track, conn, cold, .. } = self.shared.lines(slot);
        let generation = Meta(hot.meta.load(Ordering::Relaxed)).generation().wrapping_add(1);
        let mut meta = Meta::live(generation, words.kind);
        orientation::at_open(&mut meta, packet, &self.service_ports);
        meta.set_state(tcp::opening_state(packet));
        hot.version.update(|| {
            cold.open(&Packet { at: began, ..*packet });
            track.open(Addresses::of(&packet.key).kept);
            conn.reset();
            for side in 0..2 {
                hot.packets[side].store(0, Ordering::Relaxed);
                hot.bytes[side].store(0, Ordering::Relaxed);
                hot.key[side].store(words.hot[side], Ordering::Relaxed);
            }
            hot.last_seen.store(began.0, Ordering::Relaxed);
            hot.meta.store(meta.0, Ordering::Relaxed);
        });
        bump(&self.shared.tallies.opened);
        self.touch(slot, brief, packet, tunnel);
    }

    /// Counts `packet` in the flow at `slot`, whatever it is.
    #[inline]
    fn touch(&mut self, slot: SlotId, brief: &Brief, packet: &Packet, tunnel: &Option<Tunnel>) {
        let mut flow = Flow::of(&self.shared, slot, &mut self.free_blocks, self.followed);
        let hot = flow.hot;
        hot.version.update(|| {
            let ordinal = plain::add(hot, brief);
            if packet.key.protocol == protocol::TCP {
                tcp::follow(&mut flow, packet, ordinal);
                tcp::settle(&flow);
            } else if packet.role != Role::Unknown {
                orientation::on_evidence(hot, packet);
            }
            if let Some(tunnel) = tunnel {
                flow.note_tunnel(tunnel, packet.direction);
            }
        });
    }

    /// Marks the flow an ICMP error quotes, if it is live.
    #[cold]
    fn mark(&mut self, quote: &Quote) {
        let words = self.hasher.words(&quote.key);
        let addresses = Addresses::of(&quote.key);
        let Some(slot) = self.find(self.hasher.hash(words.hot), NO_SLOT, &words, &addresses) else {
            return;
        };
        let mut flow = Flow::of(&self.shared, slot, &mut self.free_blocks, self.followed);
        let hot = flow.hot;
        hot.version.update(|| {
            flow.fail(quote.error);
            flow.event(EventKind::IcmpError, quote.at);
        });
    }

    /// Ends the stalest flow near `hash`. `false` when the Sweeper has no room for it, or enough were ended.
    fn evict(&mut self, hash: KeyHash) -> bool {
        if !self.may_evict() {
            return false;
        }
        self.evictions_left -= 1;
        // Nobody asked for any of these lines; they had better come together.
        for slot in self.index.group(hash).take(EVICTION_CANDIDATES) {
            prefetch(&self.shared.busy[slot.0 as usize].hot);
        }
        let last_seen =
            |slot: &SlotId| self.shared.busy[slot.0 as usize].hot.last_seen.load(Ordering::Relaxed);
        let Some(stalest) = self.index.group(hash).take(EVICTION_CANDIDATES).min_by_key(last_seen) else {
            return false;
        };
        let Lines { track, conn, cold, .. } = self.shared.lines(stalest);
        prefetch(conn);
        prefetch(cold);
        prefetch(track);
        self.hand_over(stalest, EndReason::LackOfResources);
        let words = self.shared.busy[stalest.0 as usize].hot.key_words();
        self.release(stalest, self.hasher.hash(words.hot), false);
        bump(&self.shared.tallies.evicted);
        true
    }

    /// Gives the Sweeper the last copy of a flow. The caller has made sure of room, and only the Writer fills it.
    fn hand_over(&mut self, slot: SlotId, reason: EndReason) {
        let last = self.shared.lines(slot).own_copy();
        if last.details != DetailsId::NONE {
            // The blocks go along; the Sweeper sends them back when it has read them.
            let Lines { hot, cold, .. } = self.shared.lines(slot);
            hot.version.update(|| cold.set_details(DetailsId::NONE));
        }
        self.ended(last.last_seen);
        let given = self.shared.handover.put(Handover { slot, reason, last });
        debug_assert!(given.is_ok(), "room was checked and there is one Writer");
    }

    /// Notes that a flow whose last packet came at `last_seen` has ended.
    fn ended(&mut self, last_seen: Nanos) {
        self.floor = self.floor.max(Nanos(last_seen.0.saturating_add(1)));
    }

    /// Frees the slot of a live flow with `hash`. `details`: whether it has any.
    fn release(&mut self, slot: SlotId, hash: KeyHash, details: bool) {
        let at = slot.0 as usize;
        let hot = &self.shared.busy[at].hot;
        let removed = self.index.remove(hash, slot);
        debug_assert!(removed, "every live slot is in the index");
        hot.version.update(|| self.free.give_back(&self.shared.busy, slot));
        // After the update, whose fence stands between: a reader that sees a link of the free list sees a newer version too.
        if details {
            self.free_blocks.give_back(&self.shared.details, self.shared.quiet[at].cold.details());
        }
        let live = &self.shared.tallies.live;
        live.store(live.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
        let region = &self.shared.regions[at / REGION_SLOTS];
        region.store(region.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
    }
}

#[inline]
fn bump(tally: &crate::sync::AtomicU64) {
    tally.store(tally.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// A SYN with another initial sequence number on a connection that was closed: the 5-tuple is used again.
#[inline]
fn begins_anew(shared: &Shared, slot: SlotId, packet: &Packet) -> bool {
    if packet.tcp.flags & (tcp_flag::SYN | tcp_flag::ACK) != tcp_flag::SYN {
        return false;
    }
    let at = slot.0 as usize;
    let meta = Meta(shared.busy[at].hot.meta.load(Ordering::Relaxed));
    let known = meta.has_by(Meta::SYN, packet.direction);
    let initial = shared.quiet[at].cold.initial_sequence[packet.direction as usize].load(Ordering::Relaxed);
    meta.has(Meta::CLOSED) && !(known && initial == packet.tcp.sequence)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::hash::KeyHasher;
    use crate::key::{Direction, Family, FlowKey};
    use crate::packet::{FirstPacket, TcpSegment};
    use crate::table::table;

    fn key(family: Family, lo_address: u128, hi_address: u128, tunnel: u64) -> FlowKey {
        let (lo_port, hi_port, protocol) = (1, 2, protocol::UDP);
        FlowKey {
            lo_address,
            hi_address,
            lo_port,
            hi_port,
            protocol,
            family,
            one_way: None,
            vlans: 0,
            tunnel,
        }
    }

    fn packet(key: FlowKey, at: u64) -> Packet {
        Packet {
            key,
            direction: Direction::LoToHi,
            at: Nanos(at),
            bytes: 100,
            role: Role::Unknown,
            tcp: TcpSegment::default(),
            first: FirstPacket::default(),
            tunnel: 0,
        }
    }

    /// Who knows the seed can make keys that have the same words in the hot line, so the rest of them has to tell.
    #[test]
    fn keys_that_share_their_words_in_the_hot_line_are_told_apart() {
        const SEED: u64 = 11;
        let hasher = KeyHasher::new(SEED);
        let first_word = |key: &FlowKey| u128::from(hasher.words(key).hot[0]);
        let pairs = [
            [key(Family::V6, 5, 6, 0), key(Family::V6, 5 | 1 << 64, 6, 0)],
            [key(Family::V6, 5, 6, 0), key(Family::V6, 5, 6 | 1 << 64, 0)],
            [key(Family::V6, 5, 6, 0), key(Family::V6, 5, 7, 0)],
            [key(Family::V6, 5, 6, 0), key(Family::V6, 5, 6, 4 << 32 | 1)],
            [key(Family::V6, 5, 6, 4 << 32 | 1), key(Family::V6, 5, 6, 4 << 32 | 2)],
            [key(Family::V6, 5, 6, 4 << 32 | 1), key(Family::V6, 5, 6, 5 << 32 | 1)],
        ];
        for [one, mut other] in pairs {
            // The fingerprint goes with the lower half of the lower address, bit by bit.
            other.lo_address ^= first_word(&one) ^ first_word(&other);
            assert_eq!(hasher.words(&one).hot, hasher.words(&other).hot);
            let config = TableConfig { capacity: 16, seed: SEED, ..TableConfig::default() };
            let (mut writer, mut sweeper) = table(&config).expect("a small table");
            for round in 0..3 {
                writer.update_burst(&[packet(one, round), packet(other, round)]);
            }
            let mut records = Vec::new();
            sweeper.flush(Nanos(10), &mut records);
            let mut counted: Vec<_> =
                records.iter().map(|r| (r.key, r.to_destination.packets_total)).collect();
            counted.sort_by_key(|(key, _)| key.lo_address != one.lo_address);
            assert_eq!(counted, [(one, 3), (other, 3)]);
        }
    }
}
