//! Packets of many flows from a real port: `net_null` gives buffers, this source makes each a packet of its [`Traffic`].
//!
//! The buffers go round as through the ring of a network card, first in, first out, so that a header is as far from the
//! core as the card would have left it. Stamping stands for what the card does by itself and costs the same with the
//! table and without.

use std::collections::VecDeque;

use dataplane::dpdk::{Burst, MAX_BURST, RxQueue};
use dataplane::worker::PacketSource;
use flowtable::PortId;

use crate::traffic::Traffic;

/// Frame check sequence, which a card takes off.
const FCS_LEN: u32 = 4;

/// A queue of a `net_null` port, and the buffers that go round as its descriptors would.
#[derive(Debug)]
pub struct BufferRing {
    queue: RxQueue,
    /// What came last.
    current: Box<Burst>,
    /// The bursts of the round before it; each is freed when its turn comes again.
    earlier: VecDeque<Box<Burst>>,
}

impl BufferRing {
    /// Buffers of `queue`, `descriptors` of them going round.
    pub fn new(queue: RxQueue, descriptors: usize) -> BufferRing {
        let earlier = (1..descriptors.div_ceil(MAX_BURST)).map(|_| Box::default()).collect();
        BufferRing { queue, current: Box::default(), earlier }
    }

    /// Makes every buffer of the pool begin as `template`. For the thread that will receive.
    pub fn prime(&mut self, template: &[u8]) {
        self.current.free();
        self.earlier.iter_mut().for_each(|burst| burst.free());
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
}

/// A [`BufferRing`] whose buffers are packets of `T`.
#[derive(Debug)]
pub struct StampedSource<T> {
    /// Where buffers come from.
    pub ring: BufferRing,
    /// What they become.
    pub traffic: T,
}

impl<T: Traffic> PacketSource for StampedSource<T> {
    #[inline]
    fn receive(&mut self) -> usize {
        let BufferRing { queue, current, earlier } = &mut self.ring;
        if let Some(oldest) = earlier.pop_front() {
            earlier.push_back(std::mem::replace(current, oldest));
        }
        let received = queue.burst(current);
        self.traffic.press(current);
        received
    }

    #[inline]
    fn frame(&self, index: usize) -> (&[u8], u32) {
        let data = self.ring.current.frame(index).data;
        let length = self.traffic.frame_len(index);
        #[expect(clippy::cast_possible_truncation, reason = "the length of a frame")]
        let wire_len = length as u32 + FCS_LEN;
        (data.get(..length).unwrap_or(data), wire_len)
    }

    #[inline]
    fn prefetch(&self, index: usize) {
        self.ring.current.prefetch(index);
    }

    /// Nothing: the buffers stay in the ring until their turn comes again.
    #[inline]
    fn release(&mut self) {}

    #[inline]
    fn port(&self) -> PortId {
        PortId(0)
    }
}
