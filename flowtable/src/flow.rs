//! A flow under the Writer's pen: the lines of its slot, and a block of details when it comes to need one. Used inside an
//! update of the slot's version alone.

use crate::cold::Cold;
use crate::connection::{Conn, EVENTS_IN_SLOT, Track, pack_event};
use crate::details::{Count, Details, DetailsId, EVENTS_IN_DETAILS};
use crate::event::{EventDetail, EventKind, NetworkError};
use crate::key::Direction;
use crate::mem::{MemoryError, Slab};
use crate::slot::{Hot, Lines, Meta, SlotId};
use crate::sync::{AtomicU64, Ordering};
use crate::table::Shared;
use crate::time::Nanos;
use crate::tunnel::{Tunnel, TunnelKind};

/// The blocks of the pool no flow has; the Writer's own.
pub(crate) struct FreeDetails {
    ids: Slab<u32>,
    len: usize,
}

impl FreeDetails {
    /// A pool of `blocks`, all of them free.
    pub(crate) fn new(blocks: usize) -> Result<FreeDetails, MemoryError> {
        let mut ids: Slab<u32> = Slab::zeroed(blocks.max(1))?;
        for (id, entry) in (1..).zip(ids.iter_mut().take(blocks).rev()) {
            *entry = id;
        }
        Ok(FreeDetails { ids, len: blocks })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.ids.bytes()
    }

    fn take(&mut self) -> Option<DetailsId> {
        self.len = self.len.checked_sub(1)?;
        Some(DetailsId(self.ids[self.len]))
    }

    /// Takes a block back; [`DetailsId::NONE`] is none.
    #[inline]
    pub(crate) fn give_back(&mut self, id: DetailsId) {
        if id != DetailsId::NONE {
            debug_assert!(self.len < self.ids.len(), "each block is given back once");
            self.ids[self.len] = id.0;
            self.len += 1;
        }
    }
}

/// One flow.
pub(crate) struct Flow<'a> {
    pub(crate) hot: &'a Hot,
    pub(crate) track: &'a Track,
    pub(crate) conn: &'a Conn,
    pub(crate) cold: &'a Cold,
    pub(crate) blocks: &'a [Details],
    pub(crate) free: &'a mut FreeDetails,
    /// Times a flow wanted details when none were free.
    pub(crate) missing: &'a AtomicU64,
    pub(crate) events: EventDetail,
}

impl<'a> Flow<'a> {
    /// The flow at `slot`.
    #[inline]
    pub(crate) fn of(
        shared: &'a Shared,
        slot: SlotId,
        free: &'a mut FreeDetails,
        events: EventDetail,
    ) -> Flow<'a> {
        let Lines { hot, track, conn, cold, .. } = shared.lines(slot);
        let missing = &shared.tallies.details_missing;
        Flow { hot, track, conn, cold, blocks: &shared.details, free, missing, events }
    }

    #[inline]
    pub(crate) fn meta(&self) -> Meta {
        Meta(self.hot.meta.load(Ordering::Relaxed))
    }

    #[inline]
    pub(crate) fn set_meta(&self, meta: Meta) {
        self.hot.meta.store(meta.0, Ordering::Relaxed);
    }

    /// The flow's block, if it has one.
    pub(crate) fn own_details(&self) -> Option<&'a Details> {
        self.cold.details().place().and_then(|place| self.blocks.get(place))
    }

    /// The flow's block, a new one where it has none; `None` where none is free.
    #[cold]
    pub(crate) fn details(&mut self) -> Option<&'a Details> {
        if let Some(own) = self.own_details() {
            return Some(own);
        }
        let Some(id) = self.free.take() else {
            self.missing.store(self.missing.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            return None;
        };
        let block = self.blocks.get(id.place()?)?;
        block.reset();
        self.cold.set_details(id);
        Some(block)
    }

    /// Remembers an event, if events of its kind are.
    #[cold]
    pub(crate) fn event(&mut self, kind: EventKind, at: Nanos) {
        if !self.events.keeps(kind) {
            return;
        }
        let total = self.conn.events_total.load(Ordering::Relaxed);
        let word = pack_event(kind, at, self.cold.first_seen());
        match (total as usize).checked_sub(EVENTS_IN_SLOT) {
            None => self.conn.events[total as usize].store(word, Ordering::Relaxed),
            Some(beyond) => {
                if let Some(details) = self.details() {
                    details.events[beyond % EVENTS_IN_DETAILS].store(word, Ordering::Relaxed);
                }
            }
        }
        self.conn.events_total.store(total.saturating_add(1), Ordering::Relaxed);
    }

    /// Counts a segment of `way`.
    #[cold]
    pub(crate) fn count(&mut self, count: Count, way: Direction) {
        if let Some(details) = self.details() {
            let word = &details.counts[way as usize][count as usize];
            word.store(word.load(Ordering::Relaxed).saturating_add(1), Ordering::Relaxed);
        }
    }

    /// Notes what the conversation failed at. The first failure stands, but for a packet that was too big: its sender can
    /// do better.
    pub(crate) fn fail(&self, error: NetworkError) {
        if matches!(self.cold.error(), None | Some(NetworkError::FragmentationNeeded)) {
            self.cold.set_error(error);
        }
    }

    /// Keeps the tunnel of a packet that travels `way`: the first, and of WireGuard what later messages add.
    #[cold]
    pub(crate) fn note_tunnel(&mut self, tunnel: &Tunnel, way: Direction) {
        match self.own_details().and_then(Details::tunnel_kind) {
            None => {
                if let Some(details) = self.details() {
                    details.put_tunnel(tunnel, way);
                    // WireGuard's later messages add to the first.
                    if tunnel.kind != TunnelKind::Wireguard {
                        self.cold.set_tunnel_told();
                    }
                }
            }
            Some(TunnelKind::Wireguard) if tunnel.kind == TunnelKind::Wireguard => {
                if let Some(details) = self.own_details() {
                    details.complete_tunnel(tunnel, way);
                }
            }
            Some(_) => {}
        }
    }
}
