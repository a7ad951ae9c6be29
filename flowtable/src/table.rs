//! What Writer, Sweeper and Observer share: the slots, the two mailboxes and the counters. Fixed at start.

use crate::agenda::LOOK_BYTES;
use crate::details::{Block, DetailsCopy, DetailsId};
use crate::event::EventDetail;
use crate::hash::KeyHasher;
use crate::index::{INDEX_BYTES_PER_SLOT, Index};
use crate::mem::{MemoryError, Pages, Slab};
use crate::prefetching::Prefetching;
use crate::record::EndReason;
use crate::shadow::{DetailsShadow, Shadow};
use crate::slot::{Busy, Lines, Quiet, SlotId, Snapshot};
use crate::sweeper::Sweeper;
use crate::sync::{Arc, AtomicU32, AtomicU64, Mailbox, Ordering};
use crate::writer::Writer;

/// Slots a live counter covers: a sweep passes over regions without a live flow.
pub(crate) const REGION_SLOTS: usize = 1024;
/// Flows the Writer can have ended by itself before the Sweeper has to look.
#[cfg(not(any(loom, fuzzing)))]
const HANDOVER_CAPACITY: usize = 8_192;
// A slot's flows between two looks of the Sweeper all pass the mailbox, so two of one number never meet.
#[cfg(not(loom))]
const _: () = assert!(HANDOVER_CAPACITY + 1 < crate::slot::Meta::GENERATIONS as usize);
#[cfg(any(loom, fuzzing))]
const HANDOVER_CAPACITY: usize = 2;
/// Flows the Sweeper can have asked to be freed before the Writer has to look: a quarter of the table, so that a sweep
/// after a flood need not wait for the next one, and at most a million.
#[cfg(not(any(loom, fuzzing)))]
fn retire_capacity(capacity: usize) -> usize {
    (capacity / 4).clamp(1_024, 1 << 20)
}
#[cfg(any(loom, fuzzing))]
fn retire_capacity(_capacity: usize) -> usize {
    2
}

/// Memory a flow takes, in bytes: its four lines, shadow, when to look at it, and its share of the index. The same for IPv4
/// and IPv6.
pub const BYTES_PER_FLOW: usize =
    size_of::<Busy>() + size_of::<Quiet>() + size_of::<Shadow>() + LOOK_BYTES + INDEX_BYTES_PER_SLOT;

/// Memory of each of [`TableConfig::details`], in bytes: the block and its shadow.
pub const BYTES_PER_DETAILS: usize = size_of::<Block>() + size_of::<DetailsShadow>();

/// Size and seeds of a table.
#[derive(Clone, Debug)]
pub struct TableConfig {
    /// Flows the table can hold, 1 to 2^31.
    pub capacity: u32,
    /// Seed of the key hash.
    pub seed: u64,
    /// Ports that mark their side as the responder where the wire gives no better evidence, below 1024 always.
    pub service_ports: Vec<u16>,
    /// Blocks for what only some flows have. A tunnel takes one; counts of lost segments and the like one, and gaps in the
    /// sequence one for each direction; a handshake that is repeated one; and events beside those of the handshake and two more
    /// (five in IPv4 outside tunnels), seven in each.
    pub details: u32,
    /// Which events flows remember.
    pub events: EventDetail,
    /// Whether exchanges of requests and responses are timed; without, records have neither service nor round-trip time.
    pub exchanges: bool,
    /// How it asks for its lines where it is large. Changes how fast it is and nothing else.
    pub prefetching: Prefetching,
    /// When its memory is taken. The index is touched at start in any case: flows are all over it.
    pub pages: Pages,
}

impl Default for TableConfig {
    fn default() -> TableConfig {
        TableConfig {
            capacity: 65_536,
            seed: 0,
            service_ports: Vec::new(),
            details: 16_384,
            events: EventDetail::State,
            exchanges: true,
            prefetching: Prefetching::here(),
            pages: Pages::AtStart,
        }
    }
}

/// A flow the Writer ended: the last copy before its slot went to another one.
pub(crate) struct Handover {
    pub(crate) slot: SlotId,
    pub(crate) reason: EndReason,
    pub(crate) last: Snapshot,
}

/// A request to free a slot whose flow was exported, unless a packet moved its version since.
#[derive(Clone, Copy)]
pub(crate) struct Retire {
    /// Below [`Retire::DETAILS`] the slot, of which there are 2^31 at most.
    slot_and_details: u32,
    pub(crate) version: u32,
}

impl Retire {
    /// The flow has details: without, the Writer need not look at its cold line.
    const DETAILS: u32 = 1 << 31;
    /// A place for one.
    pub(crate) const NONE: Retire = Retire { slot_and_details: 0, version: 0 };

    /// Asks for the flow of which `last` is the copy to be freed.
    pub(crate) fn of(slot: SlotId, last: &Snapshot) -> Retire {
        let details = if last.details == DetailsId::NONE { 0 } else { Retire::DETAILS };
        Retire { slot_and_details: slot.0 | details, version: last.version }
    }

    pub(crate) fn slot(self) -> SlotId {
        SlotId(self.slot_and_details & !Retire::DETAILS)
    }

    pub(crate) fn has_details(self) -> bool {
        self.slot_and_details & Retire::DETAILS != 0
    }
}

/// Written by the Writer alone; Relaxed, because each is a figure of its own.
#[derive(Default)]
pub(crate) struct Tallies {
    pub(crate) live: AtomicU32,
    pub(crate) opened: AtomicU64,
    pub(crate) freed: AtomicU64,
    pub(crate) evicted: AtomicU64,
    pub(crate) reused: AtomicU64,
    pub(crate) details_missing: AtomicU64,
}

pub(crate) struct Shared {
    pub(crate) busy: Slab<Busy>,
    pub(crate) quiet: Slab<Quiet>,
    pub(crate) details: Slab<Block>,
    pub(crate) hasher: KeyHasher,
    /// Live flows of each region; a hint for the Sweeper.
    pub(crate) regions: Box<[AtomicU32]>,
    pub(crate) retire: Mailbox<Retire>,
    pub(crate) handover: Mailbox<Handover>,
    /// Blocks of flows handed over, the first of each chain, on their way back to the Writer.
    pub(crate) returned: Mailbox<DetailsId>,
    pub(crate) tallies: Tallies,
}

impl Shared {
    #[inline]
    pub(crate) fn lines(&self, slot: SlotId) -> Lines<'_> {
        let at = slot.0 as usize;
        let Busy { hot, track } = &self.busy[at];
        let Quiet { conn, cold } = &self.quiet[at];
        Lines { hot, track, conn, cold, hasher: &self.hasher }
    }

    /// The blocks from `first` on as they are; of one moment only inside the version of their slot, or once their flow was
    /// handed over.
    pub(crate) fn details(&self, first: DetailsId) -> Option<DetailsCopy> {
        DetailsCopy::of(&self.details, first)
    }

    /// Memory of everything shared, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.busy.bytes() + self.quiet.bytes() + self.details.bytes()
    }

    pub(crate) fn stats(&self) -> TableStats {
        TableStats {
            capacity: self.busy.len() as u64,
            live: u64::from(self.tallies.live.load(Ordering::Relaxed)),
            opened: self.tallies.opened.load(Ordering::Relaxed),
            freed: self.tallies.freed.load(Ordering::Relaxed),
            evicted: self.tallies.evicted.load(Ordering::Relaxed),
            reused: self.tallies.reused.load(Ordering::Relaxed),
            details_missing: self.tallies.details_missing.load(Ordering::Relaxed),
        }
    }
}

/// How full a table is and what happened in it since start. Counts of flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableStats {
    /// Flows the table can hold.
    pub capacity: u64,
    /// Flows in it now.
    pub live: u64,
    /// Flows opened.
    pub opened: u64,
    /// Flows freed after their last record.
    pub freed: u64,
    /// Flows ended early to make room.
    pub evicted: u64,
    /// Flows ended because their 5-tuple began anew.
    pub reused: u64,
    /// Times a flow wanted a block of details when none was free: a tunnel, a segment or an event that no record tells of.
    pub details_missing: u64,
}

/// Makes a table: the Writer goes to the worker, the Sweeper to the control thread.
///
/// Takes all memory now, [`BYTES_PER_FLOW`] a flow and [`BYTES_PER_DETAILS`] for each of the details, and touches it as
/// [`TableConfig::pages`] says.
///
/// # Errors
/// [`MemoryError`] when the system cannot give that memory.
pub fn table(config: &TableConfig) -> Result<(Writer, Sweeper), MemoryError> {
    let capacity = config.capacity.clamp(1, 1 << 31) as usize;
    let details = (config.details as usize).min(DetailsId::POOL_MAX);
    let pages = config.pages;
    let index = Index::new(capacity)?;
    let shared = Arc::new(Shared {
        busy: Slab::mapped(capacity, pages)?,
        quiet: Slab::mapped(capacity, pages)?,
        details: Slab::mapped(details, pages)?,
        hasher: KeyHasher::new(config.seed),
        regions: (0..capacity.div_ceil(REGION_SLOTS)).map(|_| AtomicU32::new(0)).collect(),
        retire: Mailbox::bounded(retire_capacity(capacity)),
        handover: Mailbox::bounded(HANDOVER_CAPACITY),
        returned: Mailbox::bounded(details.max(1)),
        tallies: Tallies::default(),
    });
    let sweeper = Sweeper::new(Arc::clone(&shared), pages)?;
    let writer = Writer::new(shared, index, config);
    Ok((writer, sweeper))
}
