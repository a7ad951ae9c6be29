//! A receive queue of a DPDK port as a source of packets.

use flowtable::PortId;

use crate::dpdk::{Burst, RxQueue};
use crate::worker::PacketSource;

/// One receive queue and its burst.
#[derive(Debug)]
pub struct PortSource {
    queue: RxQueue,
    burst: Burst,
    port: PortId,
}

impl PortSource {
    /// Packets of `queue`, which belongs to the probe's port `port`, at most `burst` at once.
    pub fn new(mut queue: RxQueue, port: PortId, burst: u16) -> PortSource {
        queue.set_limit(burst);
        PortSource { queue, burst: Burst::new(), port }
    }
}

impl PacketSource for PortSource {
    #[inline]
    fn receive(&mut self) -> usize {
        self.queue.burst(&mut self.burst)
    }

    #[inline]
    fn frame(&self, index: usize) -> (&[u8], u32) {
        let frame = self.burst.frame(index);
        (frame.data, frame.wire_len)
    }

    #[inline]
    fn prefetch(&self, index: usize) {
        self.burst.prefetch(index);
    }

    #[inline]
    fn release(&mut self) {
        self.burst.free();
    }

    #[inline]
    fn port(&self) -> PortId {
        self.port
    }
}
