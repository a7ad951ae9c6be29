//! Packets of many flows from a real port: `net_null` gives buffers, this source makes each a packet of the next flow.
//!
//! The buffers go round as through the ring of a network card, first in, first out, so that a header is as far from the
//! core as the card would have left it. Stamping stands for what the card does by itself and costs the same with the
//! table and without.

use std::sync::Arc;

use dataplane::dpdk::{Burst, MAX_BURST, RxQueue};
use dataplane::worker::PacketSource;
use flowtable::PortId;

use crate::frames::{PAYLOAD_LEN, Stamp};

/// Octets of the shortest frame on the wire.
const WIRE_LEN: u32 = 64;
/// Buffers asked for ahead of the one being stamped.
const PREFETCH_AHEAD: usize = 8;

/// A queue of a `net_null` port whose packets are stamped.
#[derive(Debug)]
pub struct StampedSource {
    queue: RxQueue,
    /// The bursts of the last round; each is freed when its turn comes again.
    ring: Box<[Burst]>,
    current: usize,
    /// A whole number of bursts.
    stamps: Arc<[Stamp]>,
    place: Place,
}

/// How far a source is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    next: usize,
    /// Sequence number of the packets of this round: every flow sends its next segment.
    sequence: u32,
}

impl StampedSource {
    /// Packets of `queue`, with `descriptors` buffers going round.
    pub fn new(queue: RxQueue, descriptors: usize) -> StampedSource {
        let bursts = descriptors.div_ceil(MAX_BURST).max(1);
        let ring = (0..bursts).map(|_| Burst::new()).collect();
        StampedSource { queue, ring, current: 0, stamps: Arc::new([]), place: Place::default() }
    }

    /// Makes every buffer of the pool begin as `template`. For the thread that will receive.
    pub fn prime(&mut self, template: &[u8]) {
        self.ring.iter_mut().for_each(Burst::free);
        let mut all = Vec::new();
        loop {
            let mut burst = Burst::new();
            if self.queue.burst(&mut burst) == 0 {
                return;
            }
            for index in 0..burst.len() {
                let data = burst.data_mut(index);
                let length = data.len().min(template.len());
                data[..length].copy_from_slice(&template[..length]);
            }
            all.push(burst);
        }
    }

    /// Takes `stamps` in order from now on, over and over; the last ones that do not fill a burst are left out.
    pub fn load(&mut self, stamps: &[Stamp]) {
        let whole = stamps.len() - stamps.len() % MAX_BURST;
        self.stamps = stamps.iter().take(whole).copied().collect();
        self.begin_round();
    }

    /// How far it is, to come back to with [`StampedSource::rewind`] after packets that no table saw.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Goes on at `place`.
    pub fn rewind(&mut self, place: Place) {
        self.place = place;
    }

    /// Moves the sequence on by the octet a SYN takes.
    pub fn after_syn(&mut self) {
        self.place.sequence = self.place.sequence.wrapping_add(1);
    }

    #[inline]
    fn begin_round(&mut self) {
        self.place = Place { next: 0, sequence: self.place.sequence.wrapping_add(PAYLOAD_LEN) };
    }

    /// Polls until every stamp has been used once.
    pub fn polls_a_round(&self) -> usize {
        self.stamps.len() / MAX_BURST
    }
}

impl PacketSource for StampedSource {
    #[inline]
    fn receive(&mut self) -> usize {
        self.current = if self.current + 1 < self.ring.len() { self.current + 1 } else { 0 };
        let burst = &mut self.ring[self.current];
        let received = self.queue.burst(burst);
        if self.place.next + received > self.stamps.len() {
            self.begin_round();
        }
        let burst = &mut self.ring[self.current];
        let Place { next, sequence } = self.place;
        let Some(stamps) = self.stamps.get(next..next + received) else {
            return 0;
        };
        for index in 0..PREFETCH_AHEAD {
            burst.prefetch(index);
        }
        for (index, stamp) in stamps.iter().enumerate() {
            burst.prefetch(index + PREFETCH_AHEAD);
            stamp.press(sequence, burst.data_mut(index));
        }
        self.place.next += received;
        received
    }

    #[inline]
    fn frame(&self, index: usize) -> (&[u8], u32) {
        (self.ring[self.current].frame(index).data, WIRE_LEN)
    }

    #[inline]
    fn prefetch(&self, index: usize) {
        self.ring[self.current].prefetch(index);
    }

    /// Nothing: the buffers stay in the ring until their turn comes again.
    #[inline]
    fn release(&mut self) {}

    #[inline]
    fn port(&self) -> PortId {
        PortId(0)
    }
}
