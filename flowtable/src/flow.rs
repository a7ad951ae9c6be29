//! A flow under the Writer's pen: the lines of its slot, and blocks of details as it comes to need them. Used inside an
//! update of the slot's version alone.

use crate::cold::Cold;
use crate::connection::{Conn, Track};
use crate::details::{Block, Count, Kind, block_of};
use crate::event::{EventDetail, EventKind, NetworkError};
use crate::events::{self, Place};
use crate::exchanges::Exchanges;
use crate::free_blocks::FreeBlocks;
use crate::key::Direction;
use crate::slot::{Hot, Lines, Meta, SlotId};
use crate::sync::{AtomicU64, Ordering};
use crate::table::Shared;
use crate::time::Nanos;
use crate::tunnel::{Tunnel, TunnelKind};

/// What is followed of a flow where that is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Followed {
    pub(crate) events: EventDetail,
    /// As [`crate::TableConfig::exchanges`].
    pub(crate) exchanges: bool,
}

/// One flow.
pub(crate) struct Flow<'a> {
    pub(crate) hot: &'a Hot,
    pub(crate) track: &'a Track,
    pub(crate) conn: &'a Conn,
    pub(crate) cold: &'a Cold,
    pub(crate) blocks: &'a [Block],
    pub(crate) free: &'a mut FreeBlocks,
    /// Times a flow wanted a block when none was free.
    pub(crate) missing: &'a AtomicU64,
    pub(crate) followed: Followed,
}

impl<'a> Flow<'a> {
    /// The flow at `slot`.
    #[inline]
    pub(crate) fn of(
        shared: &'a Shared,
        slot: SlotId,
        free: &'a mut FreeBlocks,
        followed: Followed,
    ) -> Flow<'a> {
        let Lines { hot, track, conn, cold, .. } = shared.lines(slot);
        let missing = &shared.tallies.details_missing;
        Flow { hot, track, conn, cold, blocks: &shared.details, free, missing, followed }
    }

    #[inline]
    pub(crate) fn meta(&self) -> Meta {
        Meta(self.hot.meta.load(Ordering::Relaxed))
    }

    #[inline]
    pub(crate) fn set_meta(&self, meta: Meta) {
        self.hot.meta.store(meta.0, Ordering::Relaxed);
    }

    pub(crate) fn exchanges(&self) -> Exchanges<'a> {
        Exchanges::of(self.meta().is_wide(), self.track, self.cold)
    }

    /// The flow's block of `kind`, if it has one.
    pub(crate) fn own_block(&self, kind: Kind) -> Option<&'a Block> {
        block_of(self.blocks, self.cold.details(), kind)
    }

    /// The flow's block of `kind`, a new one where it has none; `None` where none is free.
    #[cold]
    pub(crate) fn block(&mut self, kind: Kind) -> Option<&'a Block> {
        if let Some(own) = self.own_block(kind) {
            return Some(own);
        }
        let Some((id, block)) = self.free.take(self.blocks) else {
            self.missing.store(self.missing.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            return None;
        };
        block.begin(kind, self.cold.details());
        self.cold.set_details(id);
        Some(block)
    }

    /// Remembers an event, if events of its kind are.
    #[cold]
    pub(crate) fn event(&mut self, kind: EventKind, at: Nanos) {
        if !self.followed.events.keeps(kind) {
            return;
        }
        let (wide, offset_ns) = (self.meta().is_wide(), at.since(self.cold.first_seen()));
        match events::note(self.track, self.conn, wide, kind, offset_ns) {
            (Place::Handshake, _) => {}
            (Place::Conn(place), word) => self.conn.events[place].store(word, Ordering::Relaxed),
            (Place::Cold(place), word) => self.cold.put_event(place, word),
            (Place::Details(place), word) => {
                if let Some(block) = self.block(Kind::events(place)) {
                    block.put_event(place, word);
                }
            }
        }
    }

    /// Counts a segment of `way`.
    #[cold]
    pub(crate) fn count(&mut self, count: Count, way: Direction) {
        if let Some(block) = self.block(Kind::COUNTS) {
            block.count(count, way);
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
        match self.own_block(Kind::TUNNEL).and_then(Block::tunnel_kind) {
            None => {
                if let Some(block) = self.block(Kind::TUNNEL) {
                    block.put_tunnel(tunnel, way);
                    // WireGuard's later messages add to the first.
                    if tunnel.kind != TunnelKind::Wireguard {
                        let mut meta = self.meta();
                        meta.set(Meta::TOLD);
                        self.set_meta(meta);
                    }
                }
            }
            Some(TunnelKind::Wireguard) if tunnel.kind == TunnelKind::Wireguard => {
                if let Some(block) = self.own_block(Kind::TUNNEL) {
                    block.complete_tunnel(tunnel, way);
                }
            }
            Some(_) => {}
        }
    }
}
