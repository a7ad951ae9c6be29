//! Fragments to the flow of their datagram: the first part has the ports, the later ones get its flow.
//!
//! A later part that comes before the first is held until that comes, and emitted before it; where it does not come in
//! time it is counted in the flow its own header gives, whose ports are 0. A datagram is forgotten once all of it has
//! come, so that its id can be used again.
//!
//! Everything is bounded and allocated when it is made. Reads no clock: time is an argument, and one that runs backwards
//! only makes datagrams live longer.

mod coverage;
mod held;
mod table;

use flowtable::{Burst, Nanos, Packet, Tunnel};

use crate::ledger::Tally;
use crate::wire::{Anomaly, Fragment};
use coverage::Coverage;
use held::{Held, Pool};
use table::{DatagramKey, First, Table};

/// How long a datagram is remembered: from its first part, or where that has not come, from the earliest of the others.
pub const LIFETIME_NS: u64 = 30_000_000_000;
/// Parts of one datagram that are held, at most: 64 KiB need 45 of them over Ethernet.
pub const MAX_HELD_PARTS: u32 = 64;
/// Datagrams given up for their age in one call, so that a worker is not kept from its queues.
const EXPIRED_PER_CALL: usize = 64;

/// How much is remembered of fragments, for each worker. 0 counts as 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentOptions {
    /// Datagrams of which not all parts have come, some 370 octets each.
    pub datagrams: u32,
    /// Packets held until the first part of theirs comes, some 260 octets each.
    pub held: u32,
}

impl Default for FragmentOptions {
    fn default() -> FragmentOptions {
        FragmentOptions { datagrams: 8_192, held: 1_024 }
    }
}

/// Where packets go once their flow is known.
#[derive(Debug)]
pub struct Emit<'a> {
    /// Takes the packets, in order.
    pub burst: &'a mut Burst,
    /// Takes what was odd about them.
    pub tally: &'a mut Tally,
}

impl Emit<'_> {
    pub(crate) fn packet(&mut self, packet: Packet, tunnel: Option<Tunnel>) {
        match tunnel {
            Some(tunnel) => self.burst.push_in(tunnel, packet),
            None => self.burst.push(packet),
        }
    }
}

/// The datagrams of which parts have come, and the packets that wait for a first part.
#[derive(Debug)]
pub struct Fragments {
    table: Table,
    pool: Pool,
    /// The latest time seen.
    clock: Nanos,
}

impl Fragments {
    /// With no datagram in it. `seed` keys the hash that finds them.
    pub fn new(options: FragmentOptions, seed: u64) -> Fragments {
        Fragments {
            table: Table::new(options.datagrams.clamp(1, u32::MAX - 1), seed),
            pool: Pool::new(options.held.clamp(1, u32::MAX - 1)),
            clock: Nanos(0),
        }
    }

    /// Packets held.
    #[inline]
    pub fn held(&self) -> u32 {
        self.pool.held()
    }

    /// Datagrams remembered.
    pub fn datagrams(&self) -> usize {
        self.table.len()
    }

    /// Takes a packet that is a fragment, and emits it and what waited for it, holds it, or emits it without its ports.
    pub fn take(&mut self, fragment: &Fragment, packet: Packet, tunnel: Option<Tunnel>, emit: &mut Emit<'_>) {
        // The whole packet, whatever else has its id (RFC 6946 §4).
        if fragment.offset == 0 && !fragment.more {
            emit.packet(packet, tunnel);
            return;
        }
        self.expire(packet.at, emit);
        let slot = self.datagram(fragment, emit);
        if fragment.offset == 0 {
            self.first(slot, fragment, &packet, emit);
            emit.packet(packet, tunnel);
        } else {
            self.later(slot, fragment, packet, tunnel, emit);
        }
        if self.table[slot].coverage.is_complete() {
            self.table.close(slot);
        }
    }

    /// Gives up datagrams that are too old at `now`, some at a time. `true` while there may be more of them.
    pub fn expire(&mut self, now: Nanos, emit: &mut Emit<'_>) -> bool {
        self.clock = self.clock.max(now);
        for _ in 0..EXPIRED_PER_CALL {
            match self.table.oldest() {
                Some(slot) if self.is_expired(slot) => self.give_up(slot, emit),
                _ => return false,
            }
        }
        true
    }

    /// Gives up every datagram, at the end of the packets.
    pub fn give_up_all(&mut self, emit: &mut Emit<'_>) {
        // Bounded by the datagrams remembered.
        while let Some(slot) = self.table.oldest() {
            self.give_up(slot, emit);
        }
    }

    fn is_expired(&self, slot: u32) -> bool {
        self.table[slot].expires <= self.clock
    }

    fn expires(&self) -> Nanos {
        Nanos(self.clock.0.saturating_add(LIFETIME_NS))
    }

    /// The datagram `fragment` is part of, remembered from now on, with room for one more held packet should it need that.
    fn datagram(&mut self, fragment: &Fragment, emit: &mut Emit<'_>) -> u32 {
        let key = DatagramKey::of(fragment);
        let mut found = self.table.find(&key);
        if let Some(slot) = found.filter(|slot| self.is_expired(*slot)) {
            self.give_up(slot, emit);
            found = None;
        }
        let known = found.is_some_and(|slot| self.table[slot].first.is_some());
        if fragment.offset > 0 && !known && self.pool.is_full() {
            self.make_room(self.table.oldest_waiting(), emit);
            // It may have been this very one.
            found = self.table.find(&key);
        }
        found.unwrap_or_else(|| {
            if self.table.is_full() {
                self.make_room(self.table.oldest(), emit);
            }
            self.table.open(key, self.expires())
        })
    }

    /// Notes the first part of a datagram and emits the later ones that wait for it.
    fn first(&mut self, slot: u32, fragment: &Fragment, packet: &Packet, emit: &mut Emit<'_>) {
        let before = self.table[slot].first.map(|first| first.flow);
        if before != Some(fragment.flow) {
            if before.is_some() {
                // The id was used again before all of the datagram had come.
                self.table[slot].coverage = Coverage::default();
            }
            let icmp = packet.first.icmp.filter(|_| packet.key == fragment.flow.0);
            self.table.know(slot, First { flow: fragment.flow, icmp }, self.expires());
        }
        self.cover(slot, fragment, emit);
        let first = self.table[slot].first;
        while let Some(held) = self.pool.pop(&mut self.table[slot].held) {
            emit.packet(of_flow(held.packet, first), held.tunnel);
        }
    }

    fn later(
        &mut self,
        slot: u32,
        fragment: &Fragment,
        packet: Packet,
        tunnel: Option<Tunnel>,
        emit: &mut Emit<'_>,
    ) {
        self.cover(slot, fragment, emit);
        let datagram = &mut self.table[slot];
        if datagram.first.is_some() {
            emit.packet(of_flow(packet, datagram.first), tunnel);
        } else if datagram.held.len() == MAX_HELD_PARTS
            || !self.pool.push(&mut datagram.held, Held { packet, tunnel })
        {
            emit.tally.note(Anomaly::FragmentOrphan);
            emit.packet(packet, tunnel);
        }
    }

    fn cover(&mut self, slot: u32, fragment: &Fragment, emit: &mut Emit<'_>) {
        if self.table[slot].coverage.add(fragment.offset, fragment.length, !fragment.more) {
            emit.tally.note(Anomaly::FragmentOverlap);
        }
    }

    fn make_room(&mut self, oldest: Option<u32>, emit: &mut Emit<'_>) {
        if let Some(slot) = oldest {
            emit.tally.note(Anomaly::FragmentTableFull);
            self.give_up(slot, emit);
        }
    }

    /// Forgets a datagram; the packets that wait for its first part are counted without it.
    fn give_up(&mut self, slot: u32, emit: &mut Emit<'_>) {
        while let Some(held) = self.pool.pop(&mut self.table[slot].held) {
            emit.tally.note(Anomaly::FragmentOrphan);
            emit.packet(held.packet, held.tunnel);
        }
        self.table.close(slot);
    }
}

/// A later part as a packet of the first one's flow.
fn of_flow(packet: Packet, first: Option<First>) -> Packet {
    let Some(First { flow: (key, direction), icmp }) = first else {
        return packet;
    };
    Packet { key, direction, first: flowtable::FirstPacket { icmp, ..packet.first }, ..packet }
}
