//! Sending, for tests and traffic generators: frames are copied into buffers of the port's pool.

use std::sync::Arc;

use super::port::OpenPort;

const BURST: usize = dpdk_sys::TAPSPAN_TX_MAX as usize;

/// A transmit queue of a port. There is one handle for each queue.
#[derive(Debug)]
pub struct TxQueue {
    port: Arc<OpenPort>,
    queue: u16,
}

impl TxQueue {
    /// The handle for `queue`; the caller makes sure that there is only one for each queue of `port`.
    pub(super) fn new(port: Arc<OpenPort>, queue: u16) -> TxQueue {
        TxQueue { port, queue }
    }

    /// Sends a copy of each frame, in order, until the device or the pool is full. Returns how many went, always the
    /// first ones.
    pub fn send(&mut self, frames: &[&[u8]]) -> usize {
        let mut sent = 0;
        for burst in frames.chunks(BURST) {
            let taken = self.send_burst(burst);
            sent += taken;
            if taken < burst.len() {
                break;
            }
        }
        sent
    }

    /// `frames` holds at most `BURST`.
    fn send_burst(&mut self, frames: &[&[u8]]) -> usize {
        let mut data = [std::ptr::null(); BURST];
        let mut lengths = [0; BURST];
        let mut count: u16 = 0;
        for (frame, (data, length)) in frames.iter().zip(data.iter_mut().zip(&mut lengths)) {
            let Ok(bytes) = u32::try_from(frame.len()) else { break };
            *data = frame.as_ptr();
            *length = bytes;
            count += 1;
        }
        // SAFETY: the port is started and has this queue, and `self.port` keeps both it and its pool; the first
        // `count` entries describe readable bytes, which are copied; the handle is unique and `&mut`.
        let sent = unsafe {
            dpdk_sys::tapspan_tx_burst(
                self.port.id(),
                self.queue,
                self.port.pool().as_ptr(),
                data.as_ptr(),
                lengths.as_ptr(),
                count,
            )
        };
        usize::from(sent)
    }
}
