//! Receiving: one call for each burst of packets. Never allocates, never panics, reads no clock.

use std::sync::Arc;

use super::port::OpenPort;

/// Packets one burst can hold: a round of the table.
pub const MAX_BURST: usize = flowtable::MAX_BURST;
/// `MAX_BURST` as DPDK takes it.
#[expect(clippy::cast_possible_truncation, reason = "looked at below")]
pub(super) const MAX_BURST_U16: u16 = MAX_BURST as u16;
const _: () = assert!(MAX_BURST == MAX_BURST_U16 as usize);

/// One received packet.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The bytes to parse: the whole packet, or its first segment where a long one came in several.
    pub data: &'a [u8],
    /// Length of the whole packet as received, in bytes; never less than `data.len()`.
    pub wire_len: u32,
}

/// A receive queue of a port. There is one handle for each queue, so it is polled from one thread at a time.
#[derive(Debug)]
pub struct RxQueue {
    port: Arc<OpenPort>,
    queue: u16,
    /// Packets taken at once, 1 to `MAX_BURST`.
    limit: u16,
}

impl RxQueue {
    /// The handle for `queue`; the caller makes sure that there is only one for each queue of `port`.
    pub(super) fn new(port: Arc<OpenPort>, queue: u16) -> RxQueue {
        RxQueue { port, queue, limit: MAX_BURST_U16 }
    }

    /// The number of this queue on its port.
    pub fn index(&self) -> u16 {
        self.queue
    }

    /// Takes at most `packets` at once from now on, held to 1 to [`MAX_BURST`], which is what it begins with.
    pub fn set_limit(&mut self, packets: u16) {
        self.limit = packets.clamp(1, MAX_BURST_U16);
    }

    /// Frees what `burst` holds and receives the packets that are waiting, [`MAX_BURST`] at most. Does not block.
    ///
    /// Returns how many came. Give each queue a burst of its own: one that changes ports costs a reference count.
    #[inline]
    pub fn burst(&mut self, burst: &mut Burst) -> usize {
        burst.free();
        burst.belong_to(&self.port);
        let mbufs = burst.mbufs.as_mut_ptr();
        let frames = burst.frames.as_mut_ptr();
        // SAFETY: the port is started and has this queue (checked when the handle was made) and `self.port` keeps it
        // so; both arrays hold MAX_BURST entries, `limit` is no more; nobody else polls the queue, as the handle is unique and `&mut`.
        let received =
            unsafe { dpdk_sys::tapspan_rx_burst(self.port.id(), self.queue, mbufs, frames, self.limit) };
        burst.pool = received.pool;
        burst.len = usize::from(received.count).min(MAX_BURST);
        burst.len
    }
}

/// A reusable array of received packets. Frames are valid until it is freed, filled again or dropped.
#[derive(Debug)]
pub struct Burst {
    /// The first `len` are owned by this burst.
    mbufs: [*mut dpdk_sys::rte_mbuf; MAX_BURST],
    /// The first `len` describe the mbufs.
    frames: [dpdk_sys::tapspan_frame; MAX_BURST],
    /// Never more than `MAX_BURST`.
    len: usize,
    /// As received with the mbufs.
    pool: *mut dpdk_sys::rte_mempool,
    /// Keeps the pool of the mbufs.
    port: Option<Arc<OpenPort>>,
}

// SAFETY: mbufs belong to no thread: they may be read and freed on any, and the burst owns its own exclusively.
unsafe impl Send for Burst {}

impl Default for Burst {
    fn default() -> Self {
        Burst::new()
    }
}

impl Burst {
    /// An empty burst.
    pub fn new() -> Burst {
        let none = dpdk_sys::tapspan_frame { data: std::ptr::null_mut(), data_len: 0, wire_len: 0 };
        Burst {
            mbufs: [std::ptr::null_mut(); MAX_BURST],
            frames: [none; MAX_BURST],
            len: 0,
            pool: std::ptr::null_mut(),
            port: None,
        }
    }

    /// Packets held.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no packet is held.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Packet `index`; an empty frame where there is none.
    #[inline]
    pub fn frame(&self, index: usize) -> Frame<'_> {
        match self.held().get(index) {
            Some(frame) => as_frame(frame),
            None => Frame { data: &[], wire_len: 0 },
        }
    }

    /// All packets held, in order of arrival.
    #[inline]
    pub fn frames(&self) -> impl ExactSizeIterator<Item = Frame<'_>> {
        self.held().iter().map(as_frame)
    }

    /// The bytes of packet `index` for writing, as a generator does to make flows out of one template; empty where
    /// there is none.
    #[inline]
    pub fn data_mut(&mut self, index: usize) -> &mut [u8] {
        let Some(&frame) = self.held().get(index) else { return &mut [] };
        // SAFETY: the entries held describe mbufs this burst owns: `data_len` initialised bytes at `data`, in one segment.
        // `&mut self` makes this the only access through the burst, and a received mbuf has one owner.
        unsafe { std::slice::from_raw_parts_mut(frame.data, frame.data_len as usize) }
    }

    /// Asks the processor to fetch the headers of packet `index`; nothing where there is none.
    #[inline]
    pub fn prefetch(&self, index: usize) {
        if let Some(frame) = self.held().get(index) {
            prefetch(frame.data);
        }
    }

    /// Gives all buffers back to their pool.
    #[inline]
    pub fn free(&mut self) {
        if self.len == 0 {
            return;
        }
        #[expect(clippy::cast_possible_truncation, reason = "len is at most MAX_BURST")]
        let count = self.len as u16;
        self.len = 0;
        // SAFETY: the first `count` entries are mbufs the driver handed over, `pool` is what came with them, and nothing has
        // changed them since; `len` is 0 now, so they are freed once. Their pool lives, as `port` holds it.
        unsafe { dpdk_sys::tapspan_free_burst(self.pool, self.mbufs.as_mut_ptr(), count) }
    }

    #[inline]
    fn held(&self) -> &[dpdk_sys::tapspan_frame] {
        debug_assert!(self.len <= MAX_BURST, "burst() clamps it");
        // SAFETY: `len` is at most MAX_BURST, the length of the array: `burst` clamps it, `free` sets it to 0.
        unsafe { self.frames.get_unchecked(..self.len) }
    }

    /// Holds on to `port`, whose mbufs come next. Only for an empty burst.
    #[inline]
    fn belong_to(&mut self, port: &Arc<OpenPort>) {
        let same = self.port.as_ref().is_some_and(|held| Arc::ptr_eq(held, port));
        if !same {
            self.port = Some(Arc::clone(port));
        }
    }
}

impl Drop for Burst {
    fn drop(&mut self) {
        self.free();
    }
}

#[inline]
fn as_frame(frame: &dpdk_sys::tapspan_frame) -> Frame<'_> {
    // SAFETY: called on the first `len` entries of a burst alone, which describe mbufs it owns: `data_len` initialised
    // bytes at `data`. They stay until the burst is freed, which needs `&mut Burst`, while `frame` borrows from it.
    let data = unsafe { std::slice::from_raw_parts(frame.data, frame.data_len as usize) };
    Frame { data, wire_len: frame.wire_len }
}

#[inline]
fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch is a hint: it faults on no address, and SSE is part of x86-64.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
