//! What only some flows have: a tunnel, lost segments, a handshake that was repeated, many events. Blocks of a pool, taken by
//! the Writer when a flow needs one and given back when the flow has ended.
//!
//! A block is part of its slot: written inside the slot's version, and read with it. Fields in pairs are by canonical direction.

use crate::connection::EVENTS_IN_SLOT;
use crate::key::{Direction, Endpoint, Family};
use crate::slot::{halves, joined};
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use crate::tunnel::{Tunnel, TunnelKind};

/// Events a block keeps: as many as a record has at most.
#[cfg(not(loom))]
pub(crate) const EVENTS_IN_DETAILS: usize = crate::record::Events::MAX;
#[cfg(loom)]
pub(crate) const EVENTS_IN_DETAILS: usize = 1;
/// Gaps in the sequence remembered in each direction.
pub(crate) const GAPS: usize = 4;

/// A block of the pool and one; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DetailsId(pub(crate) u32);

impl DetailsId {
    pub(crate) const NONE: DetailsId = DetailsId(0);
    /// Blocks a pool has at most: an id shares a word with an error code of four bits.
    pub(crate) const POOL_MAX: usize = (1 << 28) - 1;

    /// The place of the block.
    #[inline]
    pub(crate) fn place(self) -> Option<usize> {
        (self.0 as usize).checked_sub(1)
    }
}

/// What is counted of a direction's segments, in the order of [`Details::counts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    Retransmission = 0,
    OutOfOrder = 1,
    DuplicateAck = 2,
    ZeroWindow = 3,
}
pub(crate) const COUNTS: usize = 4;

/// A stretch of sequence numbers that was passed over; empty where start and end are equal.
#[derive(Debug, Default)]
pub(crate) struct Gap {
    pub(crate) start: AtomicU32,
    pub(crate) end: AtomicU32,
    /// When it came up, in units of 1,024 ns modulo 2^32: ages below 36 minutes are told apart.
    pub(crate) at: AtomicU32,
}

/// Times of a handshake that goes on after its first round.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    /// When the part began that waits for its answer; 0 = none waits.
    pub(crate) begun_at: AtomicU64,
    /// The latest sample, ns.
    pub(crate) sample: AtomicU64,
    /// Jitter of the samples, the bits of an `f64`.
    pub(crate) jitter: AtomicU64,
    /// Samples after the first.
    pub(crate) samples: AtomicU64,
}

/// One block.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct Details {
    outer_addresses: [AtomicU64; 4],
    /// [`TunnelKind`], outer protocol, family and which numbers are there, an octet each; outer ports above.
    tunnel: AtomicU64,
    /// Id, key, SPI, sender and receiver index.
    numbers: [AtomicU32; 5],
    /// The way of the packet the tunnel was read from.
    way: AtomicU32,
    pub(crate) counts: [[AtomicU32; COUNTS]; 2],
    pub(crate) gaps: [[Gap; GAPS]; 2],
    /// SYN to SYN/ACK, and SYN/ACK to ACK.
    pub(crate) rounds: [Rounds; 2],
    /// A ring of the events that do not fit into the slot.
    pub(crate) events: [AtomicU64; EVENTS_IN_DETAILS],
}
#[cfg(not(loom))]
const _: () = assert!(size_of::<Details>() == 512);

/// A consistent copy of a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DetailsCopy {
    /// The tunnel, and the way its ends stand.
    pub(crate) tunnel: Option<(Tunnel, Direction)>,
    pub(crate) counts: [[u32; COUNTS]; 2],
    /// Jitter of the handshake's two parts, ns.
    pub(crate) handshake_jitter: [Option<f64>; 2],
    pub(crate) events: [u64; EVENTS_IN_DETAILS],
}

impl Details {
    /// Makes the block ready for another flow.
    pub(crate) fn reset(&self) {
        self.tunnel.store(0, Ordering::Relaxed);
        self.counts.iter().flatten().for_each(|count| count.store(0, Ordering::Relaxed));
        for gap in self.gaps.iter().flatten() {
            gap.start.store(0, Ordering::Relaxed);
            gap.end.store(0, Ordering::Relaxed);
        }
        for rounds in &self.rounds {
            for word in [&rounds.begun_at, &rounds.jitter, &rounds.samples] {
                word.store(0, Ordering::Relaxed);
            }
        }
    }

    /// The kind of tunnel kept here.
    pub(crate) fn tunnel_kind(&self) -> Option<TunnelKind> {
        kind_of(self.tunnel.load(Ordering::Relaxed))
    }

    /// Keeps `tunnel`, read from a packet that travels `way`.
    pub(crate) fn put_tunnel(&self, tunnel: &Tunnel, way: Direction) {
        let [a, b] = halves(tunnel.source.address);
        let [c, d] = halves(tunnel.destination.address);
        for (word, value) in self.outer_addresses.iter().zip([a, b, c, d]) {
            word.store(value, Ordering::Relaxed);
        }
        let numbers = numbers(tunnel);
        let mut there = 0u64;
        for (place, (word, number)) in self.numbers.iter().zip(numbers).enumerate() {
            word.store(number.unwrap_or(0), Ordering::Relaxed);
            there |= u64::from(number.is_some()) << place;
        }
        let word = tunnel.kind as u64
            | u64::from(tunnel.protocol) << 8
            | (tunnel.family as u64) << 16
            | there << 24
            | u64::from(tunnel.source.port) << 32
            | u64::from(tunnel.destination.port) << 48;
        self.tunnel.store(word, Ordering::Relaxed);
        self.way.store(way as u32, Ordering::Relaxed);
    }

    /// Adds the numbers of `tunnel`, read from a packet that travels `way`, that are not known yet: WireGuard tells its indices
    /// in several messages.
    pub(crate) fn complete_tunnel(&self, tunnel: &Tunnel, way: Direction) {
        let tunnel = if way == self.way() { *tunnel } else { tunnel.reversed() };
        let mut kept = self.tunnel.load(Ordering::Relaxed);
        for (place, (word, number)) in self.numbers.iter().zip(numbers(&tunnel)).enumerate() {
            if let Some(number) = number.filter(|_| kept >> 24 >> place & 1 == 0) {
                word.store(number, Ordering::Relaxed);
                kept |= 1 << 24 << place;
            }
        }
        self.tunnel.store(kept, Ordering::Relaxed);
    }

    /// The words as they are; of one moment only inside the slot's version.
    pub(crate) fn copy(&self) -> DetailsCopy {
        DetailsCopy {
            tunnel: self.read_tunnel(),
            counts: [0, 1].map(|way: usize| self.counts[way].each_ref().map(|c| c.load(Ordering::Relaxed))),
            handshake_jitter: self.rounds.each_ref().map(|rounds| {
                let jitter = f64::from_bits(rounds.jitter.load(Ordering::Relaxed));
                (rounds.samples.load(Ordering::Relaxed) > 0).then_some(jitter)
            }),
            events: self.events.each_ref().map(|event| event.load(Ordering::Relaxed)),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "unpacking fields narrower than the word")]
    fn read_tunnel(&self) -> Option<(Tunnel, Direction)> {
        let word = self.tunnel.load(Ordering::Relaxed);
        let kind = kind_of(word)?;
        let address = |at: usize| self.outer_addresses[at].load(Ordering::Relaxed);
        let number = |place: usize| {
            (word >> 24 >> place & 1 == 1).then(|| self.numbers[place].load(Ordering::Relaxed))
        };
        let tunnel = Tunnel {
            kind,
            family: if (word >> 16) as u8 == Family::V6 as u8 { Family::V6 } else { Family::V4 },
            protocol: (word >> 8) as u8,
            source: Endpoint { address: joined(address(0), address(1)), port: (word >> 32) as u16 },
            destination: Endpoint { address: joined(address(2), address(3)), port: (word >> 48) as u16 },
            id: number(0),
            key: number(1),
            spi: number(2),
            sender_index: number(3),
            receiver_index: number(4),
        };
        Some((tunnel, self.way()))
    }

    fn way(&self) -> Direction {
        if self.way.load(Ordering::Relaxed) == 0 { Direction::LoToHi } else { Direction::HiToLo }
    }
}

fn numbers(tunnel: &Tunnel) -> [Option<u32>; 5] {
    [tunnel.id, tunnel.key, tunnel.spi, tunnel.sender_index, tunnel.receiver_index]
}

fn kind_of(word: u64) -> Option<TunnelKind> {
    let [code, ..] = word.to_le_bytes();
    code.checked_sub(1).and_then(|place| TunnelKind::ALL.get(usize::from(place))).copied()
}

/// The words of the events from number `from` up to `total`, oldest first, as far as they are kept: those in the slot
/// always, of those in the block the latest.
pub(crate) fn events_between<'a>(
    slot: &'a [u64; EVENTS_IN_SLOT],
    details: Option<&'a DetailsCopy>,
    from: u32,
    total: u32,
) -> impl Iterator<Item = u64> + 'a {
    let (from, total) = (from as usize, total as usize);
    let in_slot = slot[from.min(total).min(EVENTS_IN_SLOT)..total.min(EVENTS_IN_SLOT)].iter().copied();
    let first = from.max(EVENTS_IN_SLOT).max(total.saturating_sub(EVENTS_IN_DETAILS));
    let in_details = details.into_iter().flat_map(move |details| {
        (first..total.max(first)).map(move |at| details.events[(at - EVENTS_IN_SLOT) % EVENTS_IN_DETAILS])
    });
    in_slot.chain(in_details)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    prop_compose! {
        fn tunnels()(
            kind in 0usize..9, v6: bool, protocol: u8, source: (u128, u16), destination: (u128, u16),
            numbers: [Option<u32>; 5],
        ) -> Tunnel {
            let [id, key, spi, sender_index, receiver_index] = numbers;
            let end = |(address, port)| Endpoint { address, port };
            Tunnel {
                kind: TunnelKind::ALL[kind],
                family: if v6 { Family::V6 } else { Family::V4 },
                protocol, source: end(source), destination: end(destination),
                id, key, spi, sender_index, receiver_index,
            }
        }
    }

    proptest! {
        #[test]
        fn tunnels_survive_their_block(tunnel in tunnels(), back: bool) {
            let way = if back { Direction::HiToLo } else { Direction::LoToHi };
            let details = Details::default();
            details.put_tunnel(&tunnel, way);
            prop_assert_eq!(details.copy().tunnel, Some((tunnel, way)));
            details.complete_tunnel(&Tunnel { id: Some(1), key: Some(2), ..tunnel }, way);
            let (kept, _) = details.copy().tunnel.unwrap();
            prop_assert_eq!((kept.id, kept.key), (tunnel.id.or(Some(1)), tunnel.key.or(Some(2))));
            details.reset();
            prop_assert_eq!(details.copy().tunnel, None);
        }

        #[test]
        fn events_come_in_order_and_the_latest_are_kept(total in 0u32..200, from in 0u32..200) {
            let mut slot = [0; EVENTS_IN_SLOT];
            let details = Details::default();
            for event in 0..u64::from(total) {
                let at = usize::try_from(event).unwrap();
                match slot.get_mut(at) {
                    Some(word) => *word = event,
                    None => details.events[(at - EVENTS_IN_SLOT) % EVENTS_IN_DETAILS].store(event, Ordering::Relaxed),
                }
            }
            let copy = details.copy();
            let got: Vec<u64> = events_between(&slot, Some(&copy), from.min(total), total).collect();
            let kept = |event: u64| event < 7 || event + 32 >= u64::from(total);
            let want: Vec<u64> = (u64::from(from)..u64::from(total)).filter(|event| kept(*event)).collect();
            prop_assert_eq!(got, want);
            let none: Vec<u64> = events_between(&slot, None, 0, total).collect();
            prop_assert_eq!(none.len(), total.min(7) as usize);
        }
    }
}
