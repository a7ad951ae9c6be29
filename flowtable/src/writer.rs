//! The worker's half of the table. Finds or opens the flow of each packet and counts it there.
//!
//! Never allocates, locks, logs or reads a clock. Works through a burst in stages, so that cache misses overlap: hash and
//! prefetch buckets, compare tags and prefetch slots, then compare keys and write.

use crate::burst::Burst;
use crate::details::DetailsId;
use crate::event::{EventDetail, EventKind};
use crate::exclusions::Exclusions;
use crate::flow::{Flow, FreeDetails};
use crate::hash::KeyHasher;
use crate::index::{Index, KeyHash};
use crate::key::protocol;
use crate::mem::{MemoryError, Slab, prefetch};
use crate::packet::{Packet, Quote, Role, tcp_flag};
use crate::record::EndReason;
use crate::shadow::{DetailsShadow, Shadow};
use crate::slot::{Busy, Hot, KeyWords, Lines, Meta, SlotId};
use crate::sync::{Arc, Ordering};
use crate::table::{Handover, REGION_SLOTS, Shared, TableConfig, TableStats};
use crate::time::Nanos;
use crate::tunnel::Tunnel;
use crate::{orientation, plain, tcp};

/// Packets worked through in one round of stages.
pub const MAX_BURST: usize = 64;
/// Flows an eviction chooses the stalest from.
const EVICTION_CANDIDATES: usize = 16;

/// The one writer of a table.
pub struct Writer {
    shared: Arc<Shared>,
    index: Index,
    hasher: KeyHasher,
    /// Free slots, a stack: the slot freed last is the warmest.
    free: Slab<u32>,
    free_len: usize,
    service_ports: Box<[u16]>,
    /// No flow starts before this: the end of the latest one that ended, and a nanosecond. Time does not run backwards, and
    /// no two flows of a key share their start.
    floor: Nanos,
    /// One for each packet of a round; away from here while a round is worked through.
    staged: Vec<Staged>,
    exclusions: Arc<Exclusions>,
    free_details: FreeDetails,
    events: EventDetail,
}

/// What the first stages found out about a packet.
#[derive(Clone, Copy)]
struct Staged {
    words: KeyWords,
    hash: KeyHash,
    /// The slot its home bucket names, to be checked against the key.
    guess: SlotId,
}

/// No slot has this number: capacity is at most 2^31.
const NO_SLOT: SlotId = SlotId(u32::MAX);
const NOTHING_STAGED: Staged =
    Staged { words: KeyWords { hot: [0; 2], wide: false }, hash: KeyHash(0), guess: NO_SLOT };

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
    pub(crate) fn new(shared: Arc<Shared>, index: Index, config: &TableConfig) -> Result<Self, MemoryError> {
        let capacity = shared.busy.len();
        let mut free: Slab<u32> = Slab::zeroed(capacity)?;
        for (slot, entry) in (0..).zip(free.iter_mut().rev()) {
            *entry = slot;
        }
        Ok(Writer {
            free_details: FreeDetails::new(shared.details.len())?,
            hasher: KeyHasher::new(config.seed),
            index,
            free,
            free_len: capacity,
            service_ports: config.service_ports.clone().into_boxed_slice(),
            floor: Nanos(0),
            staged: vec![NOTHING_STAGED; MAX_BURST],
            shared,
            exclusions: Arc::default(),
            events: config.events,
        })
    }

    /// Counts every packet in its flow, opening flows as needed, and marks the flows that ICMP errors quote, in the order
    /// they were pushed. Bursts longer than [`MAX_BURST`] take several rounds.
    pub fn update(&mut self, burst: &Burst) -> BurstOutcome {
        let mut outcome = BurstOutcome::default();
        let mut packets = burst.packets();
        let mut counted = 0;
        for (before, quote) in burst.quotes() {
            let (earlier, later) = packets.split_at((before - counted).min(packets.len()));
            outcome += self.update_all(earlier, burst.tunnels());
            self.mark(quote);
            (packets, counted) = (later, *before);
        }
        outcome += self.update_all(packets, burst.tunnels());
        outcome
    }

    /// [`Writer::update`] for packets outside tunnels.
    pub fn update_burst(&mut self, packets: &[Packet]) -> BurstOutcome {
        self.update_all(packets, &[])
    }

    fn update_all(&mut self, packets: &[Packet], tunnels: &[Tunnel]) -> BurstOutcome {
        let mut outcome = BurstOutcome::default();
        let mut all_staged = std::mem::take(&mut self.staged);
        for burst in packets.chunks(MAX_BURST) {
            for (packet, staged) in burst.iter().zip(&mut all_staged) {
                staged.words = self.hasher.words(&packet.key);
                staged.hash = self.hasher.hash(&staged.words);
                self.index.prefetch(staged.hash);
            }
            for (packet, staged) in burst.iter().zip(&mut all_staged) {
                staged.guess = self.index.guess(staged.hash).unwrap_or(NO_SLOT);
                let slot = staged.guess.0 as usize;
                let Some(busy) = self.shared.busy.get(slot) else { continue };
                prefetch(&busy.hot);
                if packet.key.protocol == protocol::TCP {
                    prefetch(&busy.track);
                }
                if staged.words.wide {
                    prefetch(&self.shared.cold[slot]);
                }
            }
            for (packet, staged) in burst.iter().zip(&all_staged) {
                let tunnel = packet.tunnel_among(tunnels);
                match self.count(packet, tunnel, staged) {
                    Admission::Counted => outcome.in_flows += 1,
                    Admission::Full => outcome.table_full += 1,
                    Admission::Excluded => outcome.excluded += 1,
                }
            }
        }
        self.staged = all_staged;
        outcome
    }

    /// Keeps conversations from opening flows; those that have one keep it.
    pub fn exclude(&mut self, exclusions: Arc<Exclusions>) {
        self.exclusions = exclusions;
    }

    /// Frees flows the Sweeper has exported, `limit` at most; a flow that got a packet since lives on.
    pub fn serve_retirements(&mut self, limit: usize) -> usize {
        for _ in 0..limit {
            let Some(details) = self.shared.returned.take() else {
                break;
            };
            self.free_details.give_back(details);
        }
        for served in 0..limit {
            let Some(retire) = self.shared.retire.take() else {
                return served;
            };
            let hot = &self.shared.busy[retire.slot.0 as usize].hot;
            let unmoved = hot.version.own() == retire.version;
            if unmoved && Meta(hot.meta.load(Ordering::Relaxed)).has(Meta::LIVE) {
                let last_seen = Nanos(hot.last_seen.load(Ordering::Relaxed));
                self.ended(last_seen);
                self.release(retire.slot);
                bump(&self.shared.tallies.freed);
            }
        }
        limit
    }

    /// How full the table is and what happened in it.
    pub fn stats(&self) -> TableStats {
        self.shared.stats()
    }

    /// Bytes of memory the table takes, all parts together, the Sweeper's shadows included.
    pub fn memory_bytes(&self) -> usize {
        let shared = &self.shared;
        let shadows =
            shared.busy.len() * size_of::<Shadow>() + shared.details.len() * size_of::<DetailsShadow>();
        shared.bytes() + self.index.bytes() + self.free.bytes() + self.free_details.bytes() + shadows
    }

    #[inline]
    fn count(&mut self, packet: &Packet, tunnel: Option<&Tunnel>, staged: &Staged) -> Admission {
        let shared = &self.shared;
        let Staged { words, hash, guess } = staged;
        let hash = *hash;
        let is_it = |slot: SlotId| {
            holds(&shared.busy[slot.0 as usize].hot, words, || {
                shared.cold[slot.0 as usize].holds(&packet.key)
            })
        };
        // What was guessed a stage ago may have been freed since, for a packet of this burst.
        let guessed = shared.busy.get(guess.0 as usize).is_some_and(|Busy { hot, .. }| {
            Meta(hot.meta.load(Ordering::Relaxed)).has(Meta::LIVE) && is_it(*guess)
        });
        let found = if guessed { Some(*guess) } else { self.index.find(hash, is_it) };
        match found {
            Some(slot) if begins_anew(&self.shared, slot, packet) && !self.shared.handover.is_full() => {
                self.hand_over(slot, EndReason::EndOfFlowDetected);
                bump(&self.shared.tallies.reused);
                self.open(slot, packet, tunnel, words);
                Admission::Counted
            }
            Some(slot) => {
                self.count_in(slot, packet, tunnel);
                Admission::Counted
            }
            None => self.admit(packet, tunnel, words, hash),
        }
    }

    #[cold]
    #[inline(never)]
    fn admit(
        &mut self,
        packet: &Packet,
        tunnel: Option<&Tunnel>,
        words: &KeyWords,
        hash: KeyHash,
    ) -> Admission {
        if self.exclusions.covers(packet) {
            return Admission::Excluded;
        }
        if self.free_len == 0 && !self.evict(hash) {
            return Admission::Full;
        }
        let slot = SlotId(self.free[self.free_len - 1]);
        let entered = self.index.insert(hash, slot) || (self.evict(hash) && self.index.insert(hash, slot));
        if !entered {
            return Admission::Full;
        }
        // An eviction just now put its slot on top of the stack; take the one that was entered.
        if self.free[self.free_len - 1] != slot.0 {
            self.free.swap_top(self.free_len);
        }
        self.free_len -= 1;
        let tallies = &self.shared.tallies;
        tallies.live.store(tallies.live.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        let region = &self.shared.regions[slot.0 as usize / REGION_SLOTS];
        region.store(region.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.open(slot, packet, tunnel, words);
        Admission::Counted
    }

    fn open(&mut self, slot: SlotId, packet: &Packet, tunnel: Option<&Tunnel>, words: &KeyWords) {
        // Only the flow's start is moved: what is measured between packets goes by their own times.
        let began = packet.at.max(self.floor);
        let Lines { hot, track, conn, cold } = self.shared.lines(slot);
        let generation = Meta(hot.meta.load(Ordering::Relaxed)).generation().wrapping_add(1);
        let mut meta = Meta::live(generation);
        orientation::at_open(&mut meta, packet, &self.service_ports);
        meta.put(Meta::WIDE, words.wide);
        meta.set_state(tcp::opening_state(packet));
        hot.version.update(|| {
            cold.open(&Packet { at: began, ..*packet });
            track.reset();
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
        self.touch(slot, packet, tunnel);
    }

    /// Counts `packet` in the flow at `slot`: in one step where that will do.
    #[inline]
    fn count_in(&mut self, slot: SlotId, packet: &Packet, tunnel: Option<&Tunnel>) {
        let at = slot.0 as usize;
        let Busy { hot, track } = &self.shared.busy[at];
        if tunnel.is_none() {
            if packet.key.protocol != protocol::TCP {
                return plain::datagram(hot, packet);
            }
            if plain::segment(hot, track, packet) {
                return;
            }
        }
        self.touch(slot, packet, tunnel);
    }

    /// Counts `packet` in the flow at `slot`, whatever it is.
    #[inline(never)]
    fn touch(&mut self, slot: SlotId, packet: &Packet, tunnel: Option<&Tunnel>) {
        let mut flow = Flow::of(&self.shared, slot, &mut self.free_details, self.events);
        let hot = flow.hot;
        hot.version.update(|| {
            let ordinal = plain::add(hot, packet);
            if packet.key.protocol == protocol::TCP {
                tcp::follow(&mut flow, packet, ordinal);
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
        let shared = &self.shared;
        let is_it = |slot: SlotId| {
            holds(&shared.busy[slot.0 as usize].hot, &words, || {
                shared.cold[slot.0 as usize].holds(&quote.key)
            })
        };
        let Some(slot) = self.index.find(self.hasher.hash(&words), is_it) else {
            return;
        };
        let mut flow = Flow::of(&self.shared, slot, &mut self.free_details, self.events);
        let hot = flow.hot;
        hot.version.update(|| {
            flow.fail(quote.error);
            flow.event(EventKind::IcmpError, quote.at);
        });
    }

    /// Ends the stalest flow near `hash`. `false` when the Sweeper has no room for it.
    fn evict(&mut self, hash: KeyHash) -> bool {
        if self.shared.handover.is_full() {
            return false;
        }
        let last_seen =
            |slot: &SlotId| self.shared.busy[slot.0 as usize].hot.last_seen.load(Ordering::Relaxed);
        let Some(stalest) = self.index.group(hash).take(EVICTION_CANDIDATES).min_by_key(last_seen) else {
            return false;
        };
        self.hand_over(stalest, EndReason::LackOfResources);
        self.release(stalest);
        bump(&self.shared.tallies.evicted);
        true
    }

    /// Gives the Sweeper the last copy of a flow. The caller has made sure of room, and only the Writer fills it.
    fn hand_over(&mut self, slot: SlotId, reason: EndReason) {
        let last = self.shared.lines(slot).own_copy();
        if last.details != DetailsId::NONE {
            // The block goes along; the Sweeper sends it back when it has read it.
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

    fn release(&mut self, slot: SlotId) {
        let at = slot.0 as usize;
        let hot = &self.shared.busy[at].hot;
        self.free_details.give_back(self.shared.cold[at].details());
        let wide = Meta(hot.meta.load(Ordering::Relaxed)).has(Meta::WIDE);
        let words = KeyWords { hot: [0, 1].map(|i| hot.key[i].load(Ordering::Relaxed)), wide };
        let removed = self.index.remove(self.hasher.hash(&words), slot);
        debug_assert!(removed, "every live slot is in the index");
        hot.version.update(|| {
            let meta = hot.meta.load(Ordering::Relaxed);
            hot.meta.store(meta & !Meta::LIVE, Ordering::Relaxed);
        });
        self.free[self.free_len] = slot.0;
        self.free_len += 1;
        let live = &self.shared.tallies.live;
        live.store(live.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
        let region = &self.shared.regions[at / REGION_SLOTS];
        region.store(region.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
    }
}

impl Slab<u32> {
    /// Exchanges the two topmost of the first `len` entries.
    fn swap_top(&mut self, len: usize) {
        if len >= 2 {
            self.swap(len - 1, len - 2);
        }
    }
}

#[inline]
fn bump(tally: &crate::sync::AtomicU64) {
    tally.store(tally.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

#[inline]
fn holds(hot: &Hot, words: &KeyWords, cold_holds: impl FnOnce() -> bool) -> bool {
    hot.key[0].load(Ordering::Relaxed) == words.hot[0]
        && hot.key[1].load(Ordering::Relaxed) == words.hot[1]
        && Meta(hot.meta.load(Ordering::Relaxed)).has(Meta::WIDE) == words.wide
        && (!words.wide || cold_holds())
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
    let initial = shared.conn[at].initial_sequence[packet.direction as usize].load(Ordering::Relaxed);
    meta.has(Meta::CLOSED) && !(known && initial == packet.tcp.sequence)
}
